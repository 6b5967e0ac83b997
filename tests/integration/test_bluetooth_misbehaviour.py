"""Virtual Bluetooth devices that misbehave, each way over every kind that can: what the doctor sees, what is stored."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from sqlmodel import select

from teleconsult.store.tables import Observation
from tests.support.clinic import SECONDS, Clinic, components

MEASURED_AT_ONCE = ["blood-pressure", "oximeter", "thermometer", "scale"]
"""Devices that tell a result as soon as they have it, and have an end of a measurement."""


@pytest.mark.parametrize("radio", MEASURED_AT_ONCE, indirect=True)
def test_drop_is_said_and_the_next_measurement_counts(clinic: Clinic) -> None:
    heard = len(clinic.told)
    clinic.measure("drop")
    if clinic.device.kind in ("blood-pressure", "thermometer"):  # the others do not say that they measure
        clinic.state("searching", "lost during the measurement, and nothing was kept. Measure again.", after=heard)
    else:
        clinic.state("searching", "The connection to the device was lost", after=heard)
    clinic.stored(0)
    heard = len(clinic.told)
    clinic.state("idle", after=heard)
    clinic.measure()
    clinic.stored(1)


@pytest.mark.parametrize("radio", ["glucose"], indirect=True)
def test_a_meter_that_drops_in_its_report_loses_no_record(clinic: Clinic) -> None:
    clinic.measure(glucose=5.1)
    clinic.stored(1)
    clinic.measure("drop", glucose=5.2)
    clinic.measure(glucose=5.3)
    assert [components(row)["14743-9"] for row in clinic.stored(3)] == pytest.approx([5.1, 5.2, 5.3])


@pytest.mark.parametrize("radio", [*MEASURED_AT_ONCE, "glucose"], indirect=True)
def test_repeat_is_one_reading(clinic: Clinic) -> None:
    clinic.measure("repeat")
    clinic.stored(1)
    time.sleep(1.1)  # the next one has another time stamp, which has whole seconds
    clinic.measure()
    assert len({row.reading_id for row in clinic.stored(2)}) == 2


@pytest.mark.parametrize("word", ["malformed", "oversize"])
@pytest.mark.parametrize("radio", MEASURED_AT_ONCE, indirect=True)
def test_a_wrong_frame_is_said_and_not_stored_and_the_link_stands(clinic: Clinic, word: str) -> None:
    clinic.measure(word)
    clinic.state("failed", "unreadable")
    clinic.measure()
    clinic.stored(1)


@pytest.mark.parametrize("radio", ["heart-rate"], indirect=True)
def test_a_wrong_frame_of_a_stream_is_said(clinic: Clinic) -> None:
    """One that is too long is none: any number of times between beats may follow."""
    clinic.measure("malformed")
    clinic.state("failed", "unreadable")
    clinic.stored(0)


@pytest.mark.parametrize("word", ["malformed", "oversize"])
@pytest.mark.parametrize("radio", ["glucose"], indirect=True)
def test_a_wrong_record_is_said_and_the_others_come(clinic: Clinic, word: str) -> None:
    clinic.measure(word)
    clinic.state("failed", "unreadable")
    clinic.state("failed", "could not be read")
    clinic.measure(glucose=5.6)
    assert components(clinic.stored(1)[0])["14743-9"] == pytest.approx(5.6)


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


@pytest.mark.parametrize("radio", [*MEASURED_AT_ONCE, "glucose"], indirect=True)
def test_a_clock_that_jumps_back_is_noticed_and_corrected_and_set(clinic: Clinic) -> None:
    clinic.measure("wrong-clock")
    [row] = clinic.stored(1)
    assert abs(row.taken_at - row.received_at) < timedelta(minutes=2)
    assert "clock_corrected" in row.flags
    assert row.encounter_id == clinic.encounter_id
    assert abs(clinic.radio.ask("clock")["off"]) < 5, "and the device's clock was set"


@pytest.mark.parametrize(
    ("radio", "expected"),
    [
        ("blood-pressure", {"8480-6": 330, "8462-4": 12, "8478-0": 118, "8867-4": 72}),
        ("oximeter", {"59408-5": 127, "8867-4": 420}),
        ("thermometer", {"8310-5": 61.3}),
        ("scale", {"29463-7": 327}),
        ("glucose", {"14743-9": 71.2}),
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


@pytest.mark.parametrize("radio", ["blood-pressure", "oximeter", "thermometer", "scale"], indirect=True)
def test_low_battery_is_said_and_the_reading_counts(clinic: Clinic) -> None:
    clinic.measure("low-battery")
    _, status = clinic.wait("device", lambda _, d: d["battery"] == 4)
    assert status["sentence"]["en"].startswith("The battery is nearly empty. Change it.")
    [row] = clinic.stored(1)
    assert (row.status, row.encounter_id) == ("preliminary", clinic.encounter_id)
    clinic.state("idle", "nearly empty. Change it. Ready.")


@pytest.mark.parametrize("radio", ["glucose"], indirect=True)
def test_a_meter_with_a_low_battery_says_so_when_it_is_back(clinic: Clinic) -> None:
    clinic.measure("low-battery", glucose=5.4)
    clinic.wait("device", lambda _, d: d["battery"] == 4 and "nearly empty" in d["sentence"]["en"])
    assert components(clinic.stored(1)[0])["14743-9"] == pytest.approx(5.4)


@pytest.mark.parametrize(
    ("radio", "sentence"),
    [
        ("blood-pressure", "The cuff could not measure."),
        ("oximeter", "finger"),
        ("thermometer", "The thermometer could not measure."),
        ("glucose", "too little blood"),
        ("scale", "The scale could not weigh."),
        ("heart-rate", "does not touch the skin"),
    ],
    indirect=["radio"],
)
def test_error_is_said_in_a_sentence_and_nothing_is_stored(clinic: Clinic, sentence: str) -> None:
    clinic.measure("error")
    clinic.state("failed", sentence)
    if clinic.device.kind == "heart-rate":
        clinic.stored(0)
        return
    clinic.measure()
    [row] = clinic.stored(1)
    assert "implausible" not in {mark["mark"] for mark in row.marks}
