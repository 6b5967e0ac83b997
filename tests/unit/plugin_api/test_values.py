"""What crosses the border is checked whole, and a repeat of a reading is recognised."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from teleconsult import plugin_api
from teleconsult.domain import measurement
from teleconsult.domain.errors import InvalidInput
from teleconsult.plugin_api import (
    DeviceInfo,
    DeviceStatus,
    Panel,
    PanelTable,
    Quantity,
    Reading,
    Text,
    Waveform,
    make_reading,
    supports,
)

NOON = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
PRESSURE = {"systolic": (128, "mm[Hg]"), "diastolic": (81, "mm[Hg]")}


def test_all_is_what_it_says():
    assert plugin_api.__all__ == sorted(plugin_api.__all__, key=lambda n: (not n.isupper(), n[0].islower(), n))
    public = {name for name in vars(plugin_api) if name[0].isalpha()}
    assert set(plugin_api.__all__) <= public
    assert public - set(plugin_api.__all__) <= {"checking", "hookspecs", "testing"}


@pytest.mark.parametrize("kind", measurement.KINDS.values(), ids=lambda kind: kind.key)
def test_every_kind_can_be_read_and_comes_back_from_json_unchanged(kind):
    components = (*kind.required, *kind.one_of[:1], *kind.optional)
    values = {c.key: ((c.low + c.high) / 2, c.unit) for c in components}
    reading = make_reading("d1", kind.key, values, taken_at=NOON, raw=b"\x01\xff")
    assert Reading.model_validate_json(reading.model_dump_json()) == reading
    for component in components:
        assert reading.value(component.key) == values[component.key][0]


def test_a_repeat_has_the_same_id_and_another_reading_another():
    first = make_reading("d1", "blood_pressure", PRESSURE, sequence=7)
    assert first.reading_id == make_reading("d1", "blood_pressure", PRESSURE, sequence="7").reading_id
    later = make_reading("d1", "blood_pressure", PRESSURE, sequence=7, taken_at=NOON)
    assert first.reading_id == later.reading_id, "a corrected clock makes no second reading of one record"
    others = [
        make_reading("d2", "blood_pressure", PRESSURE, sequence=7),
        make_reading("d1", "blood_pressure", PRESSURE, sequence=8),
        make_reading("d1", "blood_pressure", {**PRESSURE, "systolic": (129, "mm[Hg]")}, sequence=7),
        make_reading("d1", "blood_pressure", PRESSURE, taken_at=NOON),
        make_reading("d1", "blood_pressure", PRESSURE, taken_at=NOON + timedelta(seconds=1)),
    ]
    assert len({first.reading_id, *(other.reading_id for other in others)}) == 6


@given(st.decimals(min_value=-500, max_value=500, places=2), st.integers(0, 2))
def test_the_id_does_not_depend_on_how_a_number_is_written(value, zeros):
    longer = Decimal(f"{value}{'0' * zeros}")
    assert (
        make_reading("d", "body_temperature", {"body_temperature": (value, "Cel")}, sequence=1).reading_id
        == make_reading("d", "body_temperature", {"body_temperature": (longer, "Cel")}, sequence=1).reading_id
    )


def test_the_same_instant_in_another_zone_is_the_same_reading():
    shanghai = NOON.astimezone(timezone(timedelta(hours=8)))
    assert (
        make_reading("d", "spo2", {"spo2": (97, "%")}, taken_at=NOON).reading_id
        == make_reading("d", "spo2", {"spo2": (97, "%")}, taken_at=shanghai).reading_id
    )


def test_values_no_body_has_are_taken_unaltered():
    reading = make_reading(
        "d", "blood_pressure", {"systolic": (2047, "mm[Hg]"), "diastolic": (0, "mm[Hg]")}, sequence=1
    )
    assert reading.value("systolic") == 2047


@pytest.mark.parametrize("number", [float("nan"), float("inf"), Decimal("-Infinity")])
def test_what_is_no_number_is_no_reading(number):
    with pytest.raises(ValueError, match="not a number"):
        make_reading("d", "spo2", {"spo2": (number, "%")}, sequence=1)
    with pytest.raises(ValidationError):
        Quantity(code="59408-5", value=number, unit="%")


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("blood_pressure", {"systolic": (128, "mm[Hg]")}, "lacks diastolic"),
        ("blood_pressure", {**PRESSURE, "glucose": (5, "mmol/L")}, "no value named glucose"),
        ("spo2", {"spo2": (97, "mm[Hg]")}, "only in %"),
        ("aura", {"colour": (1, "1")}, "no measurement named aura"),
        ("glucose", {}, "at least 1 item"),
        ("glucose", {"glucose": (5, "mmol/L"), "fasting_glucose": (5, "mmol/L")}, "exactly one"),
    ],
)
def test_incomplete_or_wrong_readings_are_refused_with_the_reason(kind, values, message):
    with pytest.raises((InvalidInput, ValidationError), match=message):
        make_reading("d", kind, values, sequence=1)


def test_a_reading_that_cannot_be_told_from_its_repeat_is_refused():
    with pytest.raises(ValidationError, match="sequence or the time"):
        make_reading("d", "spo2", {"spo2": (97, "%")})


def test_a_time_without_zone_is_refused():
    with pytest.raises(ValidationError, match="timezone"):
        make_reading("d", "spo2", {"spo2": (97, "%")}, taken_at=datetime(2026, 11, 24))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("kind", "key", "given_as", "expected"),
    [
        ("blood_pressure", "systolic", ("16", "kPa"), "120.0"),
        ("glucose", "glucose", ("100", "mg/dL"), "5.55"),
        ("glucose", "glucose", ("0.001", "kg/L"), "5.55"),
        ("body_temperature", "body_temperature", ("98.6", "[degF]"), "37.00"),
        ("body_weight", "body_weight", ("154.3", "[lb_av]"), "69.99"),
    ],
)
def test_other_units_are_converted_and_the_device_s_own_number_is_kept(kind, key, given_as, expected):
    values = {key: (Decimal(given_as[0]), given_as[1])}
    if kind == "blood_pressure":
        values["diastolic"] = (80, "mm[Hg]")
    reading = make_reading("d", kind, values, sequence=1)
    assert str(reading.value(key)) == expected
    code = measurement.kind(kind).component(key).code
    assert next(q.as_given for q in reading.components if q.code == code) == " ".join(given_as)


def test_unknown_fields_are_refused():
    with pytest.raises(ValidationError, match="Extra inputs"):
        DeviceInfo(device_id="d", name="cuff", colour="blue")


@pytest.mark.parametrize("device_id", ["", "-x", "a b", "x" * 65, "../etc"])
def test_device_ids_are_plain_words(device_id):
    with pytest.raises(ValidationError):
        DeviceInfo(device_id=device_id, name="cuff")


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "aura"},
        {"unit": "mV"},
        {"rate_hz": 5000},
        {"rate_hz": 600},
        {"samples": ()},
        {"samples": (float("nan"),)},
        {"samples": (0.0,) * 2001},
        {"first_index": -1},
    ],
)
def test_waveforms_that_cannot_be_are_refused(wrong):
    good = {
        "device_id": "d",
        "kind": "plethysmogram",
        "rate_hz": 75,
        "first_index": 0,
        "first_at": NOON,
        "samples": (0.1, 0.2),
        "unit": "1",
    }
    assert Waveform(**good)
    with pytest.raises(ValidationError):
        Waveform(**{**good, **wrong})


def test_status_bounds():
    with pytest.raises(ValidationError):
        DeviceStatus(device_id="d", state="idle", battery=101, at=NOON)
    with pytest.raises(ValidationError):
        DeviceStatus(device_id="d", state="asleep", at=NOON)


def test_text_falls_back_to_english():
    both, one = Text(en="Cuff", zh="血压计"), Text.model_validate("Cuff")
    assert both.in_language("zh_Hans_CN") == "血压计"
    assert both.in_language("en") == one.in_language("zh") == str(one) == "Cuff"


def test_a_panel_s_table_is_even():
    with pytest.raises(ValidationError, match="as many cells"):
        PanelTable(columns=("a", "b"), lines=(("1",),))
    assert Panel(key="p", title="T", table=PanelTable(columns=("a",), lines=(("1",),)))


@pytest.mark.parametrize(
    ("wanted", "offered", "fits"),
    [("1.0", "1.0", True), ("1.0", "1.3", True), ("1.4", "1.3", False), ("2.0", "1.3", False), ("0.9", "1.3", False)],
)
def test_versions(wanted, offered, fits):
    assert supports(wanted, offered) is fits
