"""What a person decides on the command line reaches a host that runs already."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from teleconsult.domain.plugin_state import MemoryPluginStateStore, PluginRecord
from teleconsult.plugin_host import PluginConfig, PluginHost, PluginStatus, PluginView
from tests.plugins import install

NAME = "misbehaving"


class Shared(MemoryPluginStateStore):
    """A store that gives copies, as a database does, and that can be out of reach."""

    def __init__(self) -> None:
        super().__init__()
        self.reachable = True

    def save(self, record: PluginRecord) -> None:
        if not self.reachable:
            raise RuntimeError("database is locked")
        super().save(replace(record))


Until = Callable[[Callable[[PluginView], bool]], PluginView]


@pytest.fixture
def shared() -> Shared:
    return Shared()


@pytest.fixture
def host(tmp_path: Path, shared: Shared) -> Iterator[PluginHost]:
    config = PluginConfig(
        only=frozenset({NAME}), paths=(install(tmp_path, NAME),), follow_every=0.05, fault_limit=2, load_deadline=20
    )
    host = PluginHost(config, shared)
    host.start()
    yield host
    host.stop()


@pytest.fixture
def until(host: PluginHost) -> Until:
    """Waits until the plugin's view fits."""
    changed = threading.Condition()

    def tell(_: str) -> None:
        with changed:
            changed.notify_all()

    host.on_change(tell)

    def wait(fits: Callable[[PluginView], bool]) -> PluginView:
        with changed:
            assert changed.wait_for(lambda: fits(host.plugin(NAME)), 20), host.plugin(NAME)
        return host.plugin(NAME)

    return wait


def test_off_and_on_again(shared: Shared, host: PluginHost, until: Until) -> None:
    shared.save(PluginRecord(NAME, enabled=False))
    until(lambda view: view.status is PluginStatus.DISABLED)
    shared.save(PluginRecord(NAME))
    until(lambda view: view.status is PluginStatus.ENABLED)


def test_new_settings_are_loaded(shared: Shared, host: PluginHost, until: Until) -> None:
    assert host.plugin(NAME).settings["how"] != "nonsense"
    shared.save(PluginRecord(NAME, settings={"how": "nonsense"}))
    assert until(lambda view: view.settings["how"] == "nonsense").status is PluginStatus.ENABLED


def test_a_fault_does_not_write_over_a_decision(shared: Shared, host: PluginHost, until: Until) -> None:
    shared.save(PluginRecord(NAME, enabled=False))
    host.record_fault(NAME, "something")
    kept = shared.get(NAME)
    assert kept is not None
    assert not kept.enabled
    assert kept.faults == 1
    assert host.plugin(NAME).status is PluginStatus.DISABLED


def test_what_could_not_be_stored_is_not_taken_back(shared: Shared, host: PluginHost) -> None:
    shared.save(PluginRecord(NAME))
    shared.reachable = False
    for _ in range(2):
        host.record_fault(NAME, "something")
    asked = [host.plugin(NAME).status for _ in range(20) if not threading.Event().wait(0.02)]
    assert set(asked) == {PluginStatus.SWITCHED_OFF_AFTER_FAULTS}
