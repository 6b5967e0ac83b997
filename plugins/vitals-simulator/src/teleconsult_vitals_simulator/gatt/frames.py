"""Values to bytes, as the Bluetooth SIG's health profiles lay them out. No I/O and no parsing.

It is written from the specifications and shares no line with any reader, so that a reader tested against it is
tested against something else than itself. Sources: GATT Specification Supplement (field layouts), ISO/IEEE
11073-20601 (SFLOAT, FLOAT and their special values), and the services BLS 1.1, PLXS 1.0, HTS 1.0, GLS 1.0,
WSS 1.0, BCS 1.0, HRS 1.0, CTS 1.1.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import IntFlag

Value = Decimal | int | float | None
"""None says that there is no number: it goes out as NaN."""

SFLOAT_NAN = 0x07FF
FLOAT_NAN = 0x007FFFFF
UNSUCCESSFUL = 0xFFFF
"""What a scale says instead of a weight that it could not measure."""


class CuffStatus(IntFlag):
    """Measurement Status of a blood pressure measurement."""

    BODY_MOVED = 1 << 0
    CUFF_TOO_LOOSE = 1 << 1
    IRREGULAR_PULSE = 1 << 2
    WRONG_POSITION = 1 << 5


class SensorStatus(IntFlag):
    """Device and Sensor Status of a pulse oximeter."""

    POOR_SIGNAL = 1 << 4
    LOW_PERFUSION = 1 << 5
    NOT_ON_PERSON = 1 << 11


class OximetryStatus(IntFlag):
    """Measurement Status of a pulse oximeter."""

    FULLY_QUALIFIED = 1 << 8
    FROM_STORAGE = 1 << 9
    UNAVAILABLE = 1 << 13
    INVALID = 1 << 15


class MeterStatus(IntFlag):
    """Sensor Status Annunciation of a glucose meter."""

    BATTERY_LOW = 1 << 0
    SAMPLE_TOO_SMALL = 1 << 2
    STRIP_PULLED_TOO_SOON = 1 << 9


EAR = 3
"""Temperature Type: ear."""
CAPILLARY_WHOLE_BLOOD, FINGER = 1, 1
"""Glucose: Type and Sample Location."""
FASTING, CASUAL = 3, 4
"""Meal in the context of a glucose measurement."""


def sfloat(value: Value, exponent: int) -> bytes:
    """A 16-bit medical float: 12 bits of mantissa, 4 of exponent, both two's complement.

    `exponent` is the number's resolution (-1 for tenths). Raises ValueError for what does not fit.
    """
    if value is None:
        return struct.pack("<H", SFLOAT_NAN)
    mantissa = _mantissa(value, exponent)
    if not -2045 <= mantissa <= 2045 or not -8 <= exponent <= 7:
        raise ValueError(f"{value} at 10^{exponent} is no SFLOAT")
    return struct.pack("<H", (exponent & 0xF) << 12 | mantissa & 0xFFF)


def float32(value: Value, exponent: int) -> bytes:
    """A 32-bit medical float: 24 bits of mantissa, 8 of exponent, both two's complement."""
    if value is None:
        return struct.pack("<I", FLOAT_NAN)
    mantissa = _mantissa(value, exponent)
    if not -8_388_605 <= mantissa <= 8_388_605 or not -128 <= exponent <= 127:
        raise ValueError(f"{value} at 10^{exponent} is no FLOAT")
    return struct.pack("<I", (exponent & 0xFF) << 24 | mantissa & 0xFFFFFF)


def _mantissa(value: Decimal | int | float, exponent: int) -> int:
    return int((Decimal(str(value)).scaleb(-exponent)).to_integral_value())


def date_time(at: datetime) -> bytes:
    """Date Time: the device's own clock, without a zone."""
    return struct.pack("<HBBBBB", at.year, at.month, at.day, at.hour, at.minute, at.second)


def current_time(at: datetime, adjust_reason: int = 0) -> bytes:
    """Current Time: Date Time, day of the week (Monday is 1), 1/256 s, why it was set."""
    return date_time(at) + bytes([at.isoweekday(), at.microsecond * 256 // 1_000_000, adjust_reason])


@dataclass(frozen=True)
class BloodPressure:
    """Blood Pressure Measurement (0x2A35), pressures in mm[Hg] or, with `kilopascal`, in kPa."""

    systolic: Value
    diastolic: Value
    mean: Value
    at: datetime | None = None
    pulse_rate: Value = None
    user: int | None = None
    status: CuffStatus | None = None
    kilopascal: bool = False

    def encode(self) -> bytes:
        """The frame."""
        exponent = -1 if self.kilopascal else 0
        has_pulse = self.pulse_rate is not None or self.systolic is None
        flags = (
            self.kilopascal
            | (self.at is not None) << 1
            | has_pulse << 2
            | (self.user is not None) << 3
            | (self.status is not None) << 4
        )
        return b"".join(
            (
                bytes([flags]),
                *(sfloat(pressure, exponent) for pressure in (self.systolic, self.diastolic, self.mean)),
                date_time(self.at) if self.at else b"",
                sfloat(self.pulse_rate, 0) if has_pulse else b"",
                b"" if self.user is None else bytes([self.user]),
                b"" if self.status is None else struct.pack("<H", self.status),
            )
        )


def cuff_pressure(pressure: Value) -> bytes:
    """Intermediate Cuff Pressure (0x2A36), mm[Hg]: the other two numbers are NaN by definition."""
    return b"\x00" + sfloat(pressure, 0) + sfloat(None, 0) * 2


def spot_oximetry(
    spo2: Value,
    pulse_rate: Value,
    at: datetime | None = None,
    status: OximetryStatus | None = None,
    sensor: SensorStatus | None = None,
) -> bytes:
    """PLX Spot-Check Measurement (0x2A5E): % and /min."""
    flags = (at is not None) | (status is not None) << 1 | (sensor is not None) << 2
    return b"".join(
        (
            bytes([flags]),
            sfloat(spo2, 0),
            sfloat(pulse_rate, 0),
            date_time(at) if at else b"",
            b"" if status is None else struct.pack("<H", status),
            b"" if sensor is None else int(sensor).to_bytes(3, "little"),
        )
    )


def as_stored(spot_check: bytes) -> bytes:
    """The same spot check as it comes out of the oximeter's storage: its status says so."""
    at = 12 if spot_check[0] & 1 else 5
    if not spot_check[0] & 2 or len(spot_check) < at + 2:
        return spot_check
    status = int.from_bytes(spot_check[at : at + 2], "little") | OximetryStatus.FROM_STORAGE
    return spot_check[:at] + status.to_bytes(2, "little") + spot_check[at + 2 :]


def continuous_oximetry(spo2: Value, pulse_rate: Value, sensor: SensorStatus | None = None) -> bytes:
    """PLX Continuous Measurement (0x2A5F): % and /min, normal averaging."""
    flags = (sensor is not None) << 3
    tail = b"" if sensor is None else int(sensor).to_bytes(3, "little")
    return bytes([flags]) + sfloat(spo2, 0) + sfloat(pulse_rate, 0) + tail


def temperature(value: Value, at: datetime | None = None, fahrenheit: bool = False) -> bytes:
    """Temperature Measurement (0x2A1C) in the ear, Cel or [degF]; without `at` also for 0x2A1E."""
    flags = fahrenheit | (at is not None) << 1 | 1 << 2
    return bytes([flags]) + float32(value, -1) + (date_time(at) if at else b"") + bytes([EAR])


@dataclass(frozen=True)
class Glucose:
    """Glucose Measurement (0x2A18) and its context (0x2A34); `concentration` is in mmol/L."""

    sequence: int
    at: datetime
    concentration: Value = None
    """None leaves the number out, as a meter does when it could not measure."""
    offset_minutes: int | None = None
    status: MeterStatus | None = None
    meal: int | None = None
    in_kilograms: bool = False
    """Whether the frame gives kg/L (the meters that show mg/dL) and not mol/L."""

    def encode(self) -> bytes:
        """The measurement's frame."""
        has_number = self.concentration is not None
        flags = (
            (self.offset_minutes is not None)
            | has_number << 1
            | (has_number and not self.in_kilograms) << 2
            | (self.status is not None) << 3
            | (self.meal is not None) << 4
        )
        return b"".join(
            (
                struct.pack("<BH", flags, self.sequence),
                date_time(self.at),
                b"" if self.offset_minutes is None else struct.pack("<h", self.offset_minutes),
                self._concentration() if has_number else b"",
                b"" if self.status is None else struct.pack("<H", self.status),
            )
        )

    def _concentration(self) -> bytes:
        assert self.concentration is not None
        millimoles = Decimal(str(self.concentration))
        if self.in_kilograms:  # 1 mmol/L is 18.0156 mg/dL, and 1 mg/dL is 1e-5 kg/L
            number = sfloat((millimoles * Decimal("18.0156")).to_integral_value().scaleb(-5), -5)
        else:
            number = sfloat(millimoles.scaleb(-3), -4)
        return number + bytes([FINGER << 4 | CAPILLARY_WHOLE_BLOOD])

    def encode_context(self) -> bytes | None:
        """The context's frame; None if the meter was told nothing of the meal."""
        return None if self.meal is None else struct.pack("<BHB", 1 << 1, self.sequence, self.meal)


def weight(kilograms: Value, at: datetime | None = None, user: int | None = None, pounds: bool = False) -> bytes:
    """Weight Measurement (0x2A9D) in steps of 5 g or 0.01 [lb_av]; None says that it was unsuccessful."""
    flags = pounds | (at is not None) << 1 | (user is not None) << 2
    if kilograms is None:
        steps = UNSUCCESSFUL
    elif pounds:
        steps = round(float(kilograms) / 0.45359237 / 0.01)
    else:
        steps = round(float(kilograms) / 0.005)
    tail = b"" if user is None else bytes([user])
    return struct.pack("<BH", flags, steps) + (date_time(at) if at else b"") + tail


def body_composition(fat_percent: Value, at: datetime | None = None) -> bytes:
    """Body Composition Measurement (0x2A9C): body fat in steps of 0.1 %; None says that it was unsuccessful."""
    steps = UNSUCCESSFUL if fat_percent is None else round(float(fat_percent) * 10)
    return struct.pack("<HH", (at is not None) << 1, steps) + (date_time(at) if at else b"")


def heart_rate(rate: int, beats: tuple[float, ...] = (), contact: bool = True) -> bytes:
    """Heart Rate Measurement (0x2A37), /min; `beats` are times from beat to beat in seconds."""
    wide = rate > 255
    flags = wide | contact << 1 | 1 << 2 | bool(beats) << 4
    number = struct.pack("<H", rate) if wide else bytes([rate])
    return bytes([flags]) + number + b"".join(struct.pack("<H", round(beat * 1024)) for beat in beats)
