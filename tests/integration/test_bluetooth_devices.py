"""Virtual Bluetooth devices, read by vitals-bluetooth in its real processes, into an encounter."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from teleconsult.demo import virtual_cuff
from teleconsult.demo.run import Demo
from teleconsult.domain.errors import InvalidInput, NotFound, Unavailable
from teleconsult.plugin_host import virtual_devices
from teleconsult.plugin_host.virtual_devices import VirtualRadio
from teleconsult.services import devices, encounters, observations
from teleconsult.services.node import Node
from teleconsult.settings import NodeKind, Settings
from teleconsult.store import Store
from teleconsult.store.plugins import DatabasePluginState
from teleconsult.store.tables import DeviceAssignment
from tests.support.clinic import PLUGIN, SECONDS, Clinic, components
from tests.support.world import World

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


def test_a_device_is_found_by_a_search_and_added(clinic_node: Node, radio: VirtualRadio) -> None:
    found, told = threading.Event(), []

    def hear(_topic: str, event: str, data: dict[str, Any]) -> None:
        if event == "device:found":
            told.append(data)
            found.set()

    clinic_node.bus.listen(hear)
    stop = devices.start_devices(clinic_node)
    try:
        assert clinic_node.plugins is not None
        reader = next(
            offer.reader.key for offer in clinic_node.plugins.readers() if "blood_pressure" in offer.reader.kinds
        )
        devices.search_devices(clinic_node, World.doctor, PLUGIN, reader)
        assert found.wait(SECONDS)
        assert (told[0]["device_id"], told[0]["name"]) == (f"ble-{radio.devices[0].address}", "VC-1 cuff")
        card = devices.add_device(clinic_node, World.doctor, PLUGIN, reader, told[0]["device_id"])
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


@pytest.mark.parametrize("radio", ["oximeter"], indirect=True)
def test_spot_checks_are_fetched_once_however_often_the_oximeter_has_them(clinic: Clinic) -> None:
    away = threading.Thread(target=clinic.radio.ask, args=("drop",), kwargs={"away": 1.0})
    away.start()
    clinic.state("searching")
    assert clinic.measure(spo2=91)["stored"] == 1
    assert clinic.measure(spo2=92, undated=True)["stored"] == 1
    away.join(SECONDS)
    rows = {components(row)["59408-5"]: row for row in clinic.stored(2)}
    assert rows[91].flags == []
    assert (rows[92].flags, rows[92].encounter_id) == (["clock_not_set", "whose_unknown"], None), "it may be of any day"
    heard = len(clinic.told)
    clinic.restart()
    clinic.state("idle", "no new stored readings", after=heard)
    clinic.stored(2)


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
