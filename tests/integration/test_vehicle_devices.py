"""The simulated devices, through the real plugin host, into an encounter."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlmodel import select

from teleconsult.app import create_app
from teleconsult.domain.errors import Conflict, NotAllowed, NotFound
from teleconsult.domain.plugin_state import MemoryPluginStateStore, PluginRecord
from teleconsult.live import create_socketio
from teleconsult.plugin_host import PluginConfig, PluginHost
from teleconsult.services import devices, encounters
from teleconsult.services.node import Node
from teleconsult.store.tables import AuditEntry, DeviceAssignment, Observation
from tests.support.live import Tab
from tests.support.world import World

PLUGIN = "vitals-simulator"
SECONDS = 30.0


class Heard:
    """What the node announces; `wait` gives the first announcement that fits."""

    def __init__(self, node: Node) -> None:
        self._all: list[tuple[str, str, dict[str, Any]]] = []
        self._changed = threading.Condition()
        node.bus.listen(self._hear)

    def _hear(self, topic: str, event: str, data: dict[str, Any]) -> None:
        with self._changed:
            self._all.append((topic, event, data))
            self._changed.notify_all()

    def wait(self, event: str, fits: Callable[[str, dict[str, Any]], bool] = lambda *_: True) -> dict[str, Any]:
        """The data of the first such announcement, also of one made before."""

        def found() -> dict[str, Any] | None:
            return next((d for topic, name, d in self._all if name == event and fits(topic, d)), None)

        with self._changed:
            assert self._changed.wait_for(lambda: found() is not None, SECONDS), f"{event} was not announced"
            data = found()
        assert data is not None
        return data


@pytest.fixture
def heard(vehicle: Node) -> Heard:
    """Everything the vehicle node announces."""
    return Heard(vehicle)


@pytest.fixture
def node(vehicle: Node, heard: Heard) -> Iterator[Node]:
    """The vehicle node with the simulator running a hundred times faster than a real cuff."""
    states = MemoryPluginStateStore()
    states.save(PluginRecord(PLUGIN, settings={"speed": 100.0}))
    vehicle.plugins = PluginHost(PluginConfig(only=frozenset({PLUGIN})), states)
    vehicle.plugins.start()
    stop = devices.start_devices(vehicle)
    yield vehicle
    stop()
    vehicle.plugins.stop()


def add(node: Node, heard: Heard, reader: str, name: str) -> devices.DeviceCard:
    devices.search_devices(node, World.doctor, PLUGIN, reader)
    found = heard.wait("device:found", lambda _, d: d["reader"] == reader)
    card = devices.add_device(node, World.doctor, PLUGIN, reader, found["device_id"], name=name)
    heard.wait("device", lambda _, d: d["name"] == name and d["state"] in ("idle", "measuring"))
    return card


def test_found_added_measured_accepted_forgotten(node: Node, heard: Heard) -> None:
    card = add(node, heard, "cuff", "一号血压计")
    assert [found.device_id for found in devices.found_devices(node)] == []
    with pytest.raises(Conflict):
        devices.add_device(node, World.doctor, PLUGIN, "cuff", card.device_id)
    view = encounters.start_encounter(node, World.doctor, World.patient_id)
    devices.command_device(node, World.doctor, card.assignment_id, "measure", encounter_id=view.id)
    shown = heard.wait("reading", lambda topic, _: topic == f"encounter:{view.id}")
    assert (shown["patient"]["name"], shown["device"], shown["status"]) == ("张秀英", "一号血压计", "preliminary")
    assert shown["marks"] == [] or {mark["mark"] for mark in shown["marks"]} <= {"above_target", "urgent"}
    assert devices.forget_device(node, World.doctor, card.assignment_id) == "一号血压计"
    assert devices.cards(node) == []
    with node.store.read() as session:
        assert len(session.exec(select(Observation)).all()) == 1, "its readings stay"
        audited = session.exec(select(AuditEntry).where(AuditEntry.entity == "device")).all()
    assert [entry.action for entry in audited] == ["create", "delete"]


def test_an_oximeter_streams_and_its_value_can_be_taken(node: Node, heard: Heard) -> None:
    card = add(node, heard, "oximeter", "血氧仪")
    view = encounters.start_encounter(node, World.doctor, World.patient_id)
    encounters.open_encounter_page(node, World.doctor, view.id)
    wave = heard.wait("waveform", lambda topic, _: topic == f"encounter:{view.id}")
    assert (wave["kind"], wave["rate"]) == ("plethysmogram", 75)
    assert len(wave["samples"]) > 5
    streamed = heard.wait("streaming", lambda topic, _: topic == f"encounter:{view.id}")
    assert 80 <= int(streamed["text"]) <= 100
    with node.store.read() as session:
        assert session.exec(select(Observation)).all() == []
    kept = devices.take_streamed(node, World.doctor, view.id, card.device_id)
    assert (kept["status"], kept["device"]) == ("final", "血氧仪")


def test_a_test_is_shown_and_not_kept(node: Node, heard: Heard) -> None:
    card = add(node, heard, "thermometer", "耳温计")
    view = encounters.start_encounter(node, World.doctor, World.patient_id)
    encounters.open_encounter_page(node, World.doctor, view.id)
    devices.test_device(node, World.doctor, card.assignment_id)
    tested = heard.wait("device:tested")
    assert 34 < float(tested["reading"]["text"]) < 41
    with node.store.read() as session:
        assert session.exec(select(Observation)).all() == []


def test_assigned_devices_are_read_again_after_a_restart(node: Node, heard: Heard) -> None:
    card = add(node, heard, "cuff", "血压计")
    assert node.devices is not None
    node.devices.close()
    with node.store.read() as session:
        assert session.exec(select(DeviceAssignment)).one().info["kinds"] == ["blood_pressure"]
    again = Heard(node)
    stop = devices.start_devices(node)
    try:
        again.wait("device", lambda _, d: d["assignment_id"] == card.assignment_id and d["state"] == "idle")
        assert devices.cards(node)[0].can_measure
    finally:
        stop()


def test_a_page_that_begins_to_watch_hears_how_everything_is(node: Node, heard: Heard) -> None:
    card = add(node, heard, "ecg", "心电")
    view = encounters.start_encounter(node, World.doctor, World.patient_id)
    encounters.open_encounter_page(node, World.doctor, view.id)
    app = create_app(node)
    tab = Tab(app, create_socketio(app, node), "doctor")
    assert tab.ask("watch", {"topic": "node"}) == {"ok": True}
    (device,) = tab.said("device")
    assert (device["assignment_id"], device["name"], device["state"]) == (card.assignment_id, "心电", "measuring")
    announced = heard.wait("device", lambda _, d: d["name"] == "心电" and d["state"] == "measuring")
    assert device.keys() == announced.keys()
    (target,) = tab.said("measuring")
    assert (target["encounter_id"], target["patient"]["name"]) == (view.id, "张秀英")
    assert tab.said("unassigned:changed") == [{"count": 0}]


def test_only_the_vehicles_own_doctors_and_known_devices(node: Node) -> None:
    with pytest.raises(NotAllowed):
        devices.search_devices(node, World.other_doctor, PLUGIN, "cuff")
    with pytest.raises(NotFound):
        devices.search_devices(node, World.doctor, PLUGIN, "toaster")
    with pytest.raises(NotFound):
        devices.add_device(node, World.doctor, PLUGIN, "cuff", "never-found")
    with pytest.raises(NotFound):
        devices.command_device(node, World.doctor, "nothing", "measure")
