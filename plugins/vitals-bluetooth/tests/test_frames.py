"""Every characteristic's parser: known frames, flags in every combination, frames cut short and made longer."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from teleconsult_vitals_bluetooth import blood_pressure as bp
from teleconsult_vitals_bluetooth import frames, glucose, heart_rate, oximetry, racp, temperature, weight
from teleconsult_vitals_bluetooth.frames import MalformedFrame, Stamp
from teleconsult_vitals_bluetooth.ieee11073 import Special, encode_sfloat

STAMP = Stamp(2026, 11, 24, 8, 1, 2)
STAMPED = bytes.fromhex("ea070b18080102")


@dataclass
class Layout:
    """A characteristic as the specification's table has it: what is always there, and what each flag adds."""

    parse: Any
    head: bytes
    parts: dict[int, bytes]
    order: tuple[int, ...]
    units: int = 0
    flag_bytes: int = 1
    reserved: int = 0

    def frame(self, flags: int) -> bytes:
        body = b"".join(self.parts[bit] for bit in self.order if flags >> bit & 1)
        return flags.to_bytes(self.flag_bytes, "little") + self.head + body


def sfloats(*values):
    return b"".join(encode_sfloat(value if isinstance(value, Special) else Decimal(str(value))) for value in values)


LAYOUTS = {
    "blood pressure": Layout(
        bp.parse_blood_pressure,
        sfloats(120, 80, 93),
        {1: STAMPED, 2: sfloats(61), 3: b"\x02", 4: b"\x05\x00"},
        (1, 2, 3, 4),
        units=1,
        reserved=0xE0,
    ),
    "temperature": Layout(
        temperature.parse_temperature,
        bytes.fromhex("6c0100ff"),
        {1: STAMPED, 2: b"\x03"},
        (1, 2),
        units=1,
        reserved=0xF8,
    ),
    "spot check": Layout(
        oximetry.parse_spot_check,
        sfloats(97, 61),
        {0: STAMPED, 1: b"\x80\x01", 2: b"\x20\x00\x00", 3: sfloats("1.2"), 4: b""},
        (0, 1, 2, 3, 4),
        reserved=0xE0,
    ),
    "continuous": Layout(
        oximetry.parse_continuous,
        sfloats(97, 61),
        {0: sfloats(96, 60), 1: sfloats(98, 62), 2: b"\x80\x01", 3: b"\x20\x00\x00", 4: sfloats("1.2")},
        (0, 1, 2, 3, 4),
        reserved=0xE0,
    ),
    "glucose": Layout(
        glucose.parse_glucose,
        b"\x07\x00" + STAMPED,
        {0: b"\xc4\xff", 1: bytes.fromhex("55b011"), 3: b"\x01\x00", 4: b""},
        (0, 1, 3, 4),
        units=4,
        reserved=0xE0,
    ),
    "glucose context": Layout(
        glucose.parse_glucose_context,
        b"\x07\x00",
        {
            7: b"\x00",
            0: b"\x01" + sfloats("0.05"),
            1: b"\x03",
            2: b"\x51",
            3: b"\x10\x0e\x32",
            4: b"\x01" + sfloats("0.00001"),
            6: sfloats("6.5"),
        },
        (7, 0, 1, 2, 3, 4, 6),
        units=32,
    ),
    "weight": Layout(
        weight.parse_weight,
        b"\xb4\x37",
        {1: STAMPED, 2: b"\x01", 3: b"\xf5\x00\x96\x06"},
        (1, 2, 3),
        units=1,
        reserved=0xF0,
    ),
    "composition": Layout(
        weight.parse_composition,
        b"\xf4\x00",
        {
            1: STAMPED,
            2: b"\x01",
            3: b"\x10\x18",
            4: b"\x90\x01",
            **dict.fromkeys(range(5, 9), b"\x10'"),
            9: b"\x88\x13",
            10: b"\xb4\x37",
            11: b"\x96\x06",
            12: b"",
        },
        tuple(range(1, 13)),
        units=1,
        flag_bytes=2,
        reserved=0xE000,
    ),
    "heart rate": Layout(
        heart_rate.parse_heart_rate, b"\x48", {1: b"", 2: b"", 3: b"\x10\x00", 4: b"\x40\x03"}, (3, 4), reserved=0xE0
    ),
}


def all_flags(layout):
    bits = list(layout.parts)
    for choice in range(1 << len(bits)):
        flags = sum(1 << bit for place, bit in enumerate(bits) if choice >> place & 1)
        yield flags
        if layout.units:
            yield flags | layout.units


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_flags_in_every_combination_and_every_wrong_length(layout):
    for flags in all_flags(layout):
        frame = layout.frame(flags)
        value = layout.parse(frame)
        assert value == layout.parse(bytearray(frame))
        # Every length for a few fields; for the 8192 frames of a composition the telling ones.
        for length in range(len(frame)) if len(layout.parts) < 10 else (0, len(frame) // 2, len(frame) - 1):
            with pytest.raises(MalformedFrame):
                layout.parse(frame[:length])
        with pytest.raises(MalformedFrame):
            layout.parse(frame + b"\0")
        with pytest.raises(MalformedFrame):
            layout.parse(frame + bytes(600))
        if layout.reserved and layout.parse is not heart_rate.parse_heart_rate:
            longer = (flags | layout.reserved).to_bytes(layout.flag_bytes, "little") + frame[layout.flag_bytes :]
            assert layout.parse(longer + b"\x01\x02\x03") == value


PARSERS = [
    *(layout.parse for layout in LAYOUTS.values()),
    oximetry.parse_oximeter_features,
    temperature.parse_site,
    racp.parse_answer,
    frames.parse_date_time,
    frames.parse_current_time,
    frames.parse_battery_level,
]


@settings(max_examples=300)
@given(st.sampled_from(PARSERS), st.binary(max_size=40))
def test_no_bytes_at_all_do_anything_but_parse_or_be_refused(parse, data):
    try:
        first = parse(data)
    except MalformedFrame:
        return
    assert parse(data) == first


def test_blood_pressure_with_everything():
    value = bp.parse_blood_pressure(bytes.fromhex("1e780050005d00" + STAMPED.hex() + "3d00" + "02" + "2f00"))
    assert value == bp.BloodPressure(
        Decimal(120),
        Decimal(80),
        Decimal(93),
        "mm[Hg]",
        STAMP,
        Decimal(61),
        2,
        bp.PressureStatus.BODY_MOVEMENT
        | bp.PressureStatus.CUFF_TOO_LOOSE
        | bp.PressureStatus.IRREGULAR_PULSE
        | bp.PressureStatus.IMPROPER_POSITION,
        bp.PulseRange.ABOVE,
    )


def test_blood_pressure_in_kilopascals_and_without_a_mean():
    value = bp.parse_blood_pressure(b"\x01" + sfloats("16.0", "10.7", Special.NAN))
    assert (value.systolic, value.diastolic, value.mean, value.unit) == (
        Decimal(16),
        Decimal("10.7"),
        Special.NAN,
        "kPa",
    )


def test_an_unknown_user_is_nobody():
    assert bp.parse_blood_pressure(b"\x08" + sfloats(120, 80, 93) + b"\xff").user is None
    assert weight.parse_weight(bytes.fromhex("04b43705")).user == 5


def test_temperature():
    assert temperature.parse_temperature(bytes.fromhex("066c0100ff" + STAMPED.hex() + "03")) == temperature.Temperature(
        Decimal("36.4"), "Cel", STAMP, temperature.Site.EAR
    )
    assert temperature.parse_temperature(bytes.fromhex("01dd0300ff")).unit == "[degF]"
    assert temperature.parse_temperature(bytes.fromhex("00ffff7f00")).value is Special.NAN
    assert temperature.parse_site(b"\x09") is temperature.Site.TYMPANUM
    assert temperature.parse_site(b"\x2a") is None


def test_oximeter():
    spot = oximetry.parse_spot_check(bytes.fromhex("1761003d00" + STAMPED.hex() + "0088" + "001800"))
    assert spot.normal == oximetry.Saturation(Decimal(97), Decimal(61))
    assert spot.stamp == STAMP
    assert spot.clock_not_set
    assert spot.status == oximetry.OximeterStatus.INVALID | oximetry.OximeterStatus.TESTING
    assert spot.sensor == oximetry.SensorStatus.NOT_ON_USER | oximetry.SensorStatus.SENSOR_UNKNOWN
    flow = oximetry.parse_continuous(b"\x03" + sfloats(97, 61, 96, 60, 98, 62))
    assert (flow.fast.spo2, flow.slow.pulse_rate) == (96, 62)
    features = oximetry.parse_oximeter_features(bytes.fromhex("0f00" + "a001" + "200000"))
    assert features.stores_spot_checks
    assert features.has_clock
    assert features.sensor == oximetry.SensorStatus.LOW_PERFUSION
    with pytest.raises(MalformedFrame):
        oximetry.parse_oximeter_features(bytes.fromhex("0f00a001"))


def test_glucose_and_its_context():
    value = glucose.parse_glucose(bytes.fromhex("1b0700" + STAMPED.hex() + "c4ff" + "55b0" + "11" + "0100"))
    assert value.sequence == 7
    assert value.value == Decimal("0.00085")
    assert value.unit == "kg/L"
    assert (value.sample, value.site) == (1, 1)
    assert value.status == glucose.MeterStatus.BATTERY_LOW
    assert value.context_follows
    assert str(value.moment()) == "2026-11-24 07:01:02"
    molar = glucose.parse_glucose(b"\x06\x08\x00" + STAMPED + sfloats("0.0052") + b"\x4a")
    assert molar.unit == "mol/L"
    assert molar.control_solution
    context = glucose.parse_glucose_context(bytes.fromhex("02070003"))
    assert (context.sequence, context.meal) == (7, glucose.Meal.FASTING)


@pytest.mark.parametrize("offset", ["ff7f", "0080"])
def test_a_time_offset_that_overran_gives_no_time(offset):
    value = glucose.parse_glucose(bytes.fromhex("010700" + STAMPED.hex() + offset))
    assert value.moment() is None
    assert value.value is None


def test_weights():
    assert weight.parse_weight(bytes.fromhex("00b437")).value == Decimal("71.300")
    imperial = weight.parse_weight(bytes.fromhex("09463c" + "f500" + "b002"))
    assert (imperial.value, imperial.unit, imperial.bmi) == (Decimal("154.30"), "[lb_av]", Decimal("24.5"))
    assert (imperial.height, imperial.height_unit) == (Decimal("68.8"), "[in_i]")
    assert weight.parse_weight(bytes.fromhex("00ffff")).value is None


def test_a_composition_in_two_packets():
    first = weight.parse_composition(bytes.fromhex("0610f400" + STAMPED.hex() + "01"))
    second = weight.parse_composition(bytes.fromhex("0414ffff" + "01" + "b437"))
    whole = first.joined(second)
    assert (whole.fat, whole.weight, whole.stamp, whole.partial) == (Decimal("24.4"), Decimal("71.300"), STAMP, False)
    with pytest.raises(MalformedFrame):
        first.joined(weight.parse_composition(bytes.fromhex("0414ffff" + "02" + "b437")))
    with pytest.raises(MalformedFrame):
        whole.joined(second)


def test_heart_rates():
    assert heart_rate.parse_heart_rate(b"\x00\x48") == heart_rate.HeartRate(72)
    value = heart_rate.parse_heart_rate(bytes.fromhex("1d2c01" + "1000" + "40033003"))
    assert value == heart_rate.HeartRate(300, False, 16, (0x340, 0x330))
    assert heart_rate.parse_heart_rate(b"\x06\x48").contact is True


def test_record_access():
    assert racp.report_from(300) == bytes.fromhex("0103012c01")
    assert racp.report_all() == b"\x01\x01"
    assert racp.report_last() == b"\x01\x06"
    assert racp.abort() == b"\x03\x00"
    assert racp.parse_answer(bytes.fromhex("06000101")) == racp.Answer(racp.REPORT, racp.Outcome.SUCCESS)
    assert racp.parse_answer(bytes.fromhex("06000109")).unsupported
    assert racp.parse_answer(bytes.fromhex("060001f0")).outcome is None
    for wrong in ("060101 01", "0700", "06000101 00", "0101"):
        with pytest.raises(MalformedFrame):
            racp.parse_answer(bytes.fromhex(wrong))


def test_times():
    assert frames.parse_date_time(STAMPED) == STAMP
    assert STAMP.encode() == STAMPED
    assert frames.Stamp(0, 0, 0, 1, 2, 3).moment() is None
    assert frames.Stamp(2026, 2, 30, 1, 2, 3).moment() is None
    written = frames.encode_current_time(STAMP.moment().replace(microsecond=500_000))
    assert written == STAMPED + b"\x02\x80\x02"
    assert frames.parse_current_time(written) == STAMP
    for wrong in ("ea070d18080102", "ea070b18180102", "ea070b1808013c"):
        with pytest.raises(MalformedFrame):
            frames.parse_date_time(bytes.fromhex(wrong))


def test_battery_and_words():
    assert frames.parse_battery_level(b"\x64") == 100
    assert frames.parse_battery_level(b"\xff") is None
    assert frames.parse_words(b"UA-651BLE\0\0junk") == "UA-651BLE"
    assert frames.parse_words(b"\xff\x07A\n") == "\ufffdA"
