"""Frames against the specifications' own bytes, written out by hand."""

from datetime import datetime
from decimal import Decimal

import pytest
from teleconsult_vitals_simulator.gatt import frames

NOON = datetime(2026, 11, 24, 12, 34, 56)  # noqa: DTZ001 - devices know no zone
STAMP = "ea07 0b 18 0c 22 38"


def hexed(text):
    return bytes.fromhex(text)


@pytest.mark.parametrize(
    ("value", "exponent", "expected"),
    [(120, 0, "7800"), (16.0, -1, "a0f0"), (Decimal("-0.5"), -1, "fbff"), (None, 0, "ff07"), (0.0056, -4, "38c0")],
)
def test_sfloat(value, exponent, expected):
    assert frames.sfloat(value, exponent) == hexed(expected)


@pytest.mark.parametrize(
    ("value", "exponent", "expected"), [(36.4, -1, "6c0100ff"), (-1, 0, "ffffff00"), (None, -1, "ffff7f00")]
)
def test_float(value, exponent, expected):
    assert frames.float32(value, exponent) == hexed(expected)


@pytest.mark.parametrize(("value", "exponent"), [(2046, 0), (-2046, 0), (1, -9), (1, 8)])
def test_what_is_no_sfloat_is_refused(value, exponent):
    with pytest.raises(ValueError, match="is no SFLOAT"):
        frames.sfloat(value, exponent)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (frames.BloodPressure(120, 80, 93).encode(), "00 7800 5000 5d00"),
        (
            frames.BloodPressure(16.0, 10.7, 12.4, NOON, 72, 2, frames.CuffStatus.IRREGULAR_PULSE, True).encode(),
            f"1f a0f0 6bf0 7cf0 {STAMP} 4800 02 0400",
        ),
        (frames.BloodPressure(None, None, None).encode(), "04 ff07 ff07 ff07 ff07"),
        (frames.cuff_pressure(151), "00 9700 ff07 ff07"),
        (frames.spot_oximetry(97, 71), "00 6100 4700"),
        (
            frames.spot_oximetry(97, 71, NOON, frames.OximetryStatus.INVALID, frames.SensorStatus.POOR_SIGNAL),
            f"07 6100 4700 {STAMP} 0080 100000",
        ),
        (frames.continuous_oximetry(97, 71), "00 6100 4700"),
        (frames.temperature(36.4), "04 6c0100ff 03"),
        (frames.temperature(97.5, NOON, True), f"07 cf0300ff {STAMP} 03"),
        (frames.Glucose(7, NOON, 5.6).encode(), f"06 0700 {STAMP} 38c0 11"),
        (frames.Glucose(7, NOON, 5.55, in_kilograms=True).encode(), f"02 0700 {STAMP} 64b0 11"),
        (frames.Glucose(7, NOON, None, -60, frames.MeterStatus(4)).encode(), f"09 0700 {STAMP} c4ff 0400"),
        (frames.Glucose(7, NOON, 5.6, meal=frames.FASTING).encode_context(), "02 0700 03"),
        (frames.weight(62.5), "00 d430"),
        (frames.weight(62.5, NOON, 3, True), f"07 d335 {STAMP} 03"),
        (frames.weight(None), "00 ffff"),
        (frames.body_composition(24.5, NOON), f"0200 f500 {STAMP}"),
        (frames.heart_rate(70, (1.0, 0.5)), "16 46 0004 0002"),
        (frames.heart_rate(300, contact=False), "05 2c01"),
        (frames.current_time(NOON, 1), f"{STAMP} 02 00 01"),
    ],
)
def test_frame(frame, expected):
    assert frame == hexed(expected)
