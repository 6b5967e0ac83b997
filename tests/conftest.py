"""Fixtures for every test: nodes with a real, migrated database of their own.

By default the database is SQLite, copied from one migrated template. With TELECONSULT_TEST_DATABASE_URL (a
PostgreSQL server that may create databases) the same tests run there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from teleconsult.domain.ids import new_id
from teleconsult.services.node import Node
from teleconsult.settings import NodeKind, Settings
from teleconsult.store import Store, migrate
from tests.support.world import World, build_world

SERVER = os.environ.get("TELECONSULT_TEST_DATABASE_URL")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On PostgreSQL only the tests that use a database run; the others would find nothing new there."""
    if SERVER is None:
        return
    chosen = [item for item in items if "database_template" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@pytest.fixture(scope="session")
def database_template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A migrated, empty database: the path of a SQLite file, or the name of a PostgreSQL database."""
    if SERVER is None:
        path = tmp_path_factory.mktemp("template") / "template.db"
        store = Store(f"sqlite:///{path}")
        migrate.upgrade(store)
        with store.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        store.close()
        yield str(path)
        return
    name = f"template_{new_id().replace('-', '')}"
    _on_server(f"CREATE DATABASE {name}")
    store = Store(_url(name))
    migrate.upgrade(store)
    store.close()
    yield name
    _on_server(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def new_database(database_template: str, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Makes migrated, empty databases; calling it gives the URL of another one."""
    made: list[str] = []

    def make() -> str:
        if SERVER is None:
            path = tmp_path / f"{new_id()}.db"
            shutil.copy(database_template, path)
            return f"sqlite:///{path}"
        name = f"test_{new_id().replace('-', '')}"
        _on_server(f"CREATE DATABASE {name} TEMPLATE {database_template}")
        made.append(name)
        return _url(name)

    yield make
    for name in made:
        _on_server(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def new_node(new_database: Callable[[], str], tmp_path: Path) -> Iterator[Callable[..., Node]]:
    """Makes nodes: `new_node()` a hub, `new_node(kind="vehicle", node_id=…)` a vehicle."""
    nodes: list[Node] = []

    def make(kind: str = "hub", node_id: str = "hub", **settings: object) -> Node:
        data = tmp_path / f"{kind}-{len(nodes)}"
        data.mkdir()
        values = {"data_dir": data, "database_url": new_database(), "allow_demo_data": True, **settings}
        config = Settings(kind=NodeKind(kind), **values)
        node = Node(config, Store(config.url), node_id)
        nodes.append(node)
        return node

    yield make
    for node in nodes:
        node.store.close()


@pytest.fixture
def hub(new_node: Callable[..., Node]) -> Node:
    """A hub with the small world of `tests.support.world` in it."""
    node = new_node()
    build_world(node)
    return node


@pytest.fixture
def vehicle(new_node: Callable[..., Node]) -> Node:
    """A vehicle node with the same small world in it."""
    node = new_node(kind="vehicle", node_id=World.vehicle_id)
    build_world(node)
    return node


def _url(name: str) -> str:
    assert SERVER is not None
    return sa.make_url(SERVER).set(database=name).render_as_string(hide_password=False)


def _on_server(statement: str) -> None:
    assert SERVER is not None
    engine = sa.create_engine(SERVER, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
