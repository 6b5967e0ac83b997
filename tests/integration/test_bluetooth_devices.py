"""Virtual Bluetooth devices, read by vitals-bluetooth in its real processes, into an encounter.

Each way in which a device can misbehave has a test of what the doctor sees and of what is stored.
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from teleconsult.demo import virtual_cuff
from teleconsult.demo.run import Demo
from teleconsult.domain.errors import InvalidInput, NotFound, Unavailable
from teleconsult.domain.ids import utc_now
from teleconsult.domain.plugin_state import MemoryPluginStateStore, PluginRecord
from teleconsult.plugin_host import PluginConfig, PluginHost, virtual_devices
from teleconsult.plugin_host.virtual_devices import VirtualRadio
from teleconsult.services import devices, encounters, observations
from teleconsult.services.node import Node
from teleconsult.settings import NodeKind, Settings
from teleconsult.store import Store
from teleconsult.store.plugins import DatabasePluginState
from teleconsult.store.tables import DeviceAssignment, Observation
from tests.support.people import another_patient
from tests.support.world import World

PLUGIN = "vitals-bluetooth"
SECONDS = 30.0
GIVES = {
    "blood-pressure": "blood_pressure",
    "oximeter": "spo2",
    "thermometer": "body_temperature",
    "glucose": "glucose",
    "scale": "body_weight",
    "heart-rate": "heart_rate",
}


class Clinic:
    """A vehicle's node with one virtual device, a person in front of it, and everything the node announces."""

    def __init__(self, node: Node, radio: VirtualRadio) -> None:
        self.node = node
        self.radio = radio
        self.told: list[tuple[int, str, str, dict[str, Any]]] = []
        self._changed = threading.Condition()
        node.bus.listen(self._hear)
        [self.device] = radio.devices
        self.device_id = f"ble-{self.device.address}"
        kind = GIVES[self.device.kind]
        assert node.plugins is not None
        self.reader = next(offer.reader.key for offer in node.plugins.readers() if kind in offer.reader.kinds)
        with node.store.write() as tx:
            tx.session.add(
                DeviceAssignment(
                    plugin=PLUGIN,
                    reader=self.reader,
                    device_id=self.device_id,
                    name="蓝牙设备",
                    info={"kinds": [kind], "address": self.device.address},
                )
            )
        self.encounter_id = encounters.start_encounter(node, World.doctor, World.patient_id).id
        encounters.open_encounter_page(node, World.doctor, self.encounter_id)
        self._stop = devices.start_devices(node)

    def stop(self) -> None:
        """Read no device any more."""
        self._stop()

    def restart(self) -> None:
        """Begin to read anew, as after a restart of the node."""
        self._stop()
        heard = len(self.told)
        self._stop = devices.start_devices(self.node)
        self.state("idle", after=heard)

    def wait(
        self, event: str, fits: Callable[[str, dict[str, Any]], bool] = lambda *_: True, after: int = 0
    ) -> tuple[int, dict[str, Any]]:
        """The first such announcement, and when it came (monotonic, ns)."""

        def found() -> tuple[int, dict[str, Any]] | None:
            return next(((at, d) for at, t, name, d in self.told[after:] if name == event and fits(t, d)), None)

        with self._changed:
            in_time = self._changed.wait_for(lambda: found() is not None, SECONDS)
            assert in_time, f"no {event}; announced was {self.told}"
            result = found()
        assert result is not None
        return result

    def state(self, state: str, sentence: str = "", after: int = 0) -> dict[str, Any]:
        """Wait until the device is in this state, with this in its sentence."""

        def fits(_topic: str, data: dict[str, Any]) -> bool:
            return data["state"] == state and sentence in (data["sentence"] or {"en": ""})["en"]

        return self.wait("device", fits, after)[1]

    def ready(self) -> Clinic:
        """Wait until the reader has reached the device."""
        self.state("idle")
        return self

    def measure(self, misbehave: str | None = None, **values: Any) -> dict[str, Any]:
        """Have the device measure; gives what it says about it."""
        return self.radio.measure(misbehave=misbehave, values=values)

    def shown(self) -> dict[str, Any]:
        """The first reading in the encounter, as the doctor sees it."""
        return self.wait("reading", lambda topic, _: topic == f"encounter:{self.encounter_id}")[1]

    def stored(self, count: int) -> list[Observation]:
        """All readings that are stored, the earliest first, once there are so many."""
        deadline = time.monotonic() + SECONDS
        with self._changed:
            while True:
                with self.node.store.read() as session:
                    query = select(Observation).where(col(Observation.current).is_(True))
                    rows = list(session.exec(query.order_by(col(Observation.written_at))))
                if len(rows) >= count or time.monotonic() > deadline:
                    break
                self._changed.wait(1.0)
        assert len(rows) == count, [row.components for row in rows]
        return rows

    def next_person(self, minutes: int) -> None:
        """So much later the next person sits down and the devices measure for them."""
        self.node.clock = lambda: utc_now() + timedelta(minutes=minutes)
        encounters.finish_encounter(self.node, World.doctor, self.encounter_id)
        later = encounters.start_encounter(self.node, World.doctor, another_patient(self.node)).id
        encounters.open_encounter_page(self.node, World.doctor, later)

    def sentences(self) -> list[str]:
        """Everything the device's card has said."""
        return [
            (d["sentence"] or {"en": d["state"]})["en"]
            for _, t, name, d in self.told
            if (t, name) == ("node", "device")
        ]

    def _hear(self, topic: str, event: str, data: dict[str, Any]) -> None:
        with self._changed:
            self.told.append((time.monotonic_ns(), topic, event, data))
            self._changed.notify_all()


@pytest.fixture
def radio(request: pytest.FixtureRequest) -> Iterator[VirtualRadio]:
    """A radio with one device: a cuff, if the test does not say which."""
    with VirtualRadio(getattr(request, "param", "blood-pressure"), speed=200) as radio:
        yield radio


@pytest.fixture
def node(vehicle: Node, radio: VirtualRadio) -> Iterator[Node]:
    """The vehicle's node with vitals-bluetooth on that radio."""
    states = MemoryPluginStateStore()
    states.save(PluginRecord(PLUGIN, settings={"radio": radio.address}))
    vehicle.plugins = PluginHost(PluginConfig(only=frozenset({PLUGIN})), states)
    vehicle.plugins.start()
    yield vehicle
    vehicle.plugins.stop()


@pytest.fixture
def clinic(node: Node, radio: VirtualRadio) -> Iterator[Clinic]:
    """The node with the device assigned, somebody's encounter open, and the reader connected."""
    clinic = Clinic(node, radio)
    try:
        yield clinic.ready()
    finally:
        clinic.stop()


def components(row: Observation) -> dict[str, float]:
    """Values by LOINC code."""
    return {item["code"]: float(item["value"]) for item in row.components}


# Good devices


def test_an_indication_reaches_the_encounter_within_a_second_as_preliminary(clinic: Clinic) -> None:
    sent = clinic.measure(systolic=151, diastolic=92, mean=112, pulse_rate=77)
    assert sent["delivered"] == 1
    arrived, shown = clinic.wait("reading", lambda topic, _: topic == f"encounter:{clinic.encounter_id}")
    assert (arrived - sent["sent_ns"]) / 1e9 < 1.0
    assert (shown["patient"]["name"], shown["device"], shown["status"]) == ("张秀英", "蓝牙设备", "preliminary")
    [row] = clinic.stored(1)
    assert components(row) == {"8480-6": 151, "8462-4": 92, "8478-0": 112, "8867-4": 77}
    assert (row.status, row.source, row.flags) == ("preliminary", "device", [])
    assert abs(row.taken_at - row.received_at) < timedelta(minutes=1)
    assert any("Pressure in the cuff" in sentence for sentence in clinic.sentences())


@pytest.mark.parametrize(
    ("radio", "dictated", "expected"),
    [
        ("oximeter", {"spo2": 93, "pulse_rate": 101}, {"59408-5": 93, "8867-4": 101}),
        ("thermometer", {"temperature": 38.4}, {"8310-5": 38.4}),
        ("scale", {"weight": 62.5}, {"29463-7": 62.5}),
        ("glucose", {"glucose": 6.1}, {"14743-9": 6.1}),
        ("glucose", {"glucose": 7.4, "fasting": True}, {"14770-2": 7.4}),
    ],
    indirect=["radio"],
)
def test_every_kind_reaches_the_encounter(clinic: Clinic, dictated: dict[str, Any], expected: dict[str, float]) -> None:
    clinic.measure(**dictated)
    [row] = clinic.stored(1)
    assert components(row) == pytest.approx(expected)
    assert (row.status, row.encounter_id) == ("preliminary", clinic.encounter_id)


@pytest.mark.parametrize("radio", ["heart-rate", "oximeter"], indirect=True)
def test_a_stream_is_shown_and_not_stored(clinic: Clinic) -> None:
    clinic.radio.ask("stream", on=True)
    _, streamed = clinic.wait("streaming", lambda topic, _: topic == f"encounter:{clinic.encounter_id}")
    assert 40 < float(streamed["text"]) <= 100
    clinic.radio.ask("stream", on=False)
    clinic.stored(0)


def test_a_device_is_found_by_a_search_and_added(node: Node, radio: VirtualRadio) -> None:
    found, told = threading.Event(), []

    def hear(_topic: str, event: str, data: dict[str, Any]) -> None:
        if event == "device:found":
            told.append(data)
            found.set()

    node.bus.listen(hear)
    stop = devices.start_devices(node)
    try:
        assert node.plugins is not None
        reader = next(offer.reader.key for offer in node.plugins.readers() if "blood_pressure" in offer.reader.kinds)
        devices.search_devices(node, World.doctor, PLUGIN, reader)
        assert found.wait(SECONDS)
        assert (told[0]["device_id"], told[0]["name"]) == (f"ble-{radio.devices[0].address}", "VC-1 cuff")
        card = devices.add_device(node, World.doctor, PLUGIN, reader, told[0]["device_id"])
        radio.wait("subscribed", radio.devices[0].device)
        assert card.name == "VC-1 cuff"
    finally:
        stop()


@pytest.mark.parametrize("radio", ["glucose"], indirect=True)
def test_stored_records_are_fetched_once_also_after_a_restart(clinic: Clinic) -> None:
    clinic.measure(glucose=5.1)
    clinic.measure(glucose=5.2)
    clinic.stored(2)
    clinic.restart()
    clinic.measure(glucose=5.3)
    assert [components(row)["14743-9"] for row in clinic.stored(3)] == pytest.approx([5.1, 5.2, 5.3])


def test_a_reading_without_an_encounter_waits_in_the_tray(clinic: Clinic) -> None:
    encounters.finish_encounter(clinic.node, World.doctor, clinic.encounter_id)
    clinic.measure(systolic=133)
    clinic.wait("unassigned:changed", lambda _, d: d["count"] == 1)
    [row] = clinic.stored(1)
    assert (row.patient_id, row.encounter_id, [m["mark"] for m in row.marks]) == (None, None, ["nobody"])


def test_what_a_device_without_a_clock_measured_for_one_person_is_never_the_next_one_s(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node cannot keep the reading of the first; it comes again when the devices measure for the second."""
    keep = observations.take_reading

    def refuse(*_args: Any, **_more: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(observations, "take_reading", refuse)
    clinic.measure(systolic=177, undated=True)
    heard = len(clinic.told)
    clinic.state("searching", after=heard)  # the reader has given up, and remembers
    clinic.next_person(minutes=10)
    monkeypatch.setattr(observations, "take_reading", keep)
    [row] = clinic.stored(1)
    assert (components(row)["8480-6"], row.encounter_id) == (177, None)
    assert "before_encounter" in {mark["mark"] for mark in row.marks}


# Devices that misbehave


def test_drop_says_that_nothing_was_kept_and_the_next_measurement_counts(clinic: Clinic) -> None:
    clinic.measure("drop")
    clinic.state("searching", "The connection was lost during the measurement, and nothing was kept. Measure again.")
    clinic.stored(0)
    heard = len(clinic.told)
    clinic.state("idle", after=heard)
    clinic.measure(systolic=128)
    assert components(clinic.stored(1)[0])["8480-6"] == 128


def test_repeat_is_one_reading(clinic: Clinic) -> None:
    assert clinic.measure("repeat", systolic=141)["delivered"] == 3
    assert clinic.measure(systolic=142)["delivered"] == 1
    clinic.wait("reading", lambda _, d: d["text"].startswith("142"))
    assert [components(row)["8480-6"] for row in clinic.stored(2)] == [141, 142]


@pytest.mark.parametrize("word", ["malformed", "oversize"])
def test_a_wrong_frame_is_said_and_not_stored_and_the_link_stands(clinic: Clinic, word: str) -> None:
    clinic.measure(word, systolic=151)
    clinic.state("failed", "unreadable")
    clinic.measure(systolic=129)
    assert components(clinic.stored(1)[0])["8480-6"] == 129


@pytest.mark.parametrize(
    ("radio", "sentence"),
    [
        ("blood-pressure", "far more than it can measure"),
        ("oximeter", "far more than it can measure"),
        ("thermometer", "far more than it can measure"),
        ("scale", "far more than it can measure"),
        ("glucose", "more stored readings than it can mean"),
    ],
    indirect=["radio"],
)
def test_flood_is_cut_off_and_said_and_nearly_nothing_of_it_is_stored(clinic: Clinic, sentence: str) -> None:
    heard = len(clinic.told)
    clinic.measure("flood")
    clinic.state("searching", sentence, after=heard)
    with clinic.node.store.read() as session:
        rows = session.exec(select(Observation)).all()
    assert len(rows) < 100, "of 3000"
    assert {row.status for row in rows} <= {"preliminary"}, "and none counts by itself"


def test_a_device_that_flooded_is_read_again(clinic: Clinic) -> None:
    clinic.measure("flood")
    clinic.state("searching", "far more than it can measure")
    heard = len(clinic.told)
    clinic.state("idle", after=heard)
    clinic.measure(systolic=211)
    clinic.wait("reading", lambda _, d: d["text"].startswith("211"))


def test_wrong_clock_while_away_is_corrected(clinic: Clinic) -> None:
    away = threading.Thread(target=clinic.radio.ask, args=("drop",), kwargs={"away": 1.0})
    away.start()
    clinic.state("searching")
    assert clinic.measure("wrong-clock", systolic=137)["stored"] == 1
    away.join(SECONDS)
    [row] = clinic.stored(1)
    assert abs(row.taken_at - row.received_at) < timedelta(minutes=2)
    assert row.flags == ["clock_corrected"]
    assert abs(clinic.radio.ask("clock")["off"]) < 5, "and the device's clock was set"


def test_a_clock_that_jumps_back_while_connected_is_noticed_and_corrected(clinic: Clinic) -> None:
    clinic.measure("wrong-clock", systolic=138)
    [row] = clinic.stored(1)
    assert abs(row.taken_at - row.received_at) < timedelta(minutes=2)
    assert (row.flags, row.encounter_id) == (["clock_corrected"], clinic.encounter_id)
    assert abs(clinic.radio.ask("clock")["off"]) < 5, "and the device's clock was set"


@pytest.mark.parametrize(
    ("radio", "expected"),
    [
        ("blood-pressure", {"8480-6": 330, "8462-4": 12, "8478-0": 118, "8867-4": 72}),
        ("oximeter", {"59408-5": 127, "8867-4": 420}),
        ("thermometer", {"8310-5": 61.3}),
        ("scale", {"29463-7": 327}),
    ],
    indirect=["radio"],
)
def test_out_of_range_is_marked_and_never_altered(clinic: Clinic, expected: dict[str, float]) -> None:
    clinic.measure("out-of-range")
    [row] = clinic.stored(1)
    assert components(row) == pytest.approx(expected)
    marks = {mark["mark"] for mark in clinic.shown()["marks"]}
    assert marks == {"implausible"}
    assert row.status == "preliminary"


def test_low_battery_is_said_and_the_reading_counts(clinic: Clinic) -> None:
    clinic.measure("low-battery", systolic=126)
    _, status = clinic.wait("device", lambda _, d: d["battery"] == 4)
    assert status["sentence"]["en"].startswith("The battery is nearly empty. Change it.")
    assert components(clinic.stored(1)[0])["8480-6"] == 126


@pytest.mark.parametrize(
    ("radio", "sentence"),
    [
        ("blood-pressure", "The cuff could not measure."),
        ("oximeter", "finger"),
        ("thermometer", "The thermometer could not measure."),
        ("glucose", "too little blood"),
        ("scale", "The scale could not weigh."),
    ],
    indirect=["radio"],
)
def test_error_is_said_in_a_sentence_and_nothing_is_stored(clinic: Clinic, sentence: str) -> None:
    clinic.measure("error")
    clinic.state("failed", sentence)
    clinic.measure()
    [row] = clinic.stored(1)
    assert "implausible" not in {mark["mark"] for mark in row.marks}


# The demonstration, the radio itself, and the command line


def test_the_demonstration_has_the_cuff_on_the_air_and_keeps_what_a_person_changed(tmp_path: Path) -> None:
    demo = Demo(tmp_path, hub_port=0, vehicle_port=0)
    key = demo.prepare()
    store = Store(Settings(kind=NodeKind.VEHICLE, data_dir=tmp_path / "vehicle").url)
    addresses = set()
    for name in ("蓝牙血压计", "新名字"):
        demo.start_radio(key)
        assert demo.radio is not None
        record = DatabasePluginState(store).get(PLUGIN)
        assert record is not None
        assert record.settings["radio"] == demo.radio.address
        addresses.add(demo.radio.address)
        with store.write() as tx:
            row = tx.session.exec(select(DeviceAssignment).where(DeviceAssignment.plugin == PLUGIN)).one()
            assert (row.name, row.device_id) == (name, f"ble-{demo.radio.devices[0].address}")
            row.name = "新名字"
            tx.session.add(row)
        demo.stop()
    store.close()
    assert len(addresses) == 2


def test_a_letter_at_the_demonstration_s_terminal_presses_the_cuff_s_button(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, terminal = pty.openpty()
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        virtual_cuff.take_letters(clinic.radio)
        os.write(person, b"x\nm\n")
        assert clinic.shown()["kind"] == "blood_pressure"
        os.write(person, b"\x04")  # the end of what is typed, so that nobody reads the closed terminal
        clinic.stored(1)
    os.close(person)


def test_no_installed_simulator_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_devices, "GROUP", "teleconsult.nothing_of_this_name")
    with pytest.raises(NotFound, match="No installed plugin offers virtual devices"):
        virtual_devices.find_simulator()


def test_a_refusal_and_a_taken_port_are_told(radio: VirtualRadio) -> None:
    with pytest.raises(InvalidInput) as refused:
        radio.measure(misbehave="sing")
    assert "'sing'" in str(refused.value.params["reason"])
    second = VirtualRadio("scale", port=radio.port)
    with pytest.raises(Unavailable) as taken:
        second.start()
    assert str(radio.port) in str(taken.value.params["reason"])


def test_the_command_line_runs_devices_and_takes_letters() -> None:
    command = [sys.executable, "-m", "teleconsult", "devices", "simulate"]
    run = subprocess.run(
        [*command, "scale", "--port", "0"],
        input="w\nh\nm 2\nq\n",
        capture_output=True,
        text=True,
        env={**os.environ, "TELECONSULT_LANGUAGE": "en"},
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert "On the air: VS-1 scale. Set “radio” of vitals-bluetooth to tcp-client:127.0.0.1:" in run.stdout
    assert run.stdout.count("send a frame that is cut off") == 3, (
        "at the start, for h, and for a device that is not there"
    )
    refused = subprocess.run([*command, "toaster"], capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1
    assert "toaster" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_process_ends_with_its_input(radio: VirtualRadio) -> None:
    module = virtual_devices.find_simulator().module
    run = subprocess.run([sys.executable, "-m", module, "scale"], input="", capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert "ready" in json.loads(run.stdout.splitlines()[0])
