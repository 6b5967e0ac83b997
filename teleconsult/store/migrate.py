"""Alembic migrations, run from code so that `teleconsult db upgrade` needs no other file."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from teleconsult.store.engine import Store

HERE = Path(__file__).parent / "migrations"


def config(url: str) -> Config:
    """Alembic's configuration for a database."""
    result = Config()
    result.set_main_option("script_location", str(HERE))
    result.attributes["url"] = url
    return result


def upgrade(store: Store) -> None:
    """Bring the database to the newest schema."""
    command.upgrade(config(store.url), "head")


def head() -> str | None:
    """The newest revision that this program knows."""
    return ScriptDirectory.from_config(config("")).get_current_head()


def current(store: Store) -> str | None:
    """The revision the database is at; None if it has never been migrated."""
    with store.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()
