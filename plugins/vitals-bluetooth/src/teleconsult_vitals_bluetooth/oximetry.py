"""Pulse Oximeter Service 1.0: spot-check and continuous measurement, features. Bytes to values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

from teleconsult_vitals_bluetooth.frames import Fields, Stamp
from teleconsult_vitals_bluetooth.ieee11073 import Number


class OximeterStatus(IntFlag):
    """Measurement Status. Bits 0 to 4 are reserved."""

    NONE = 0
    ONGOING = 1 << 5
    EARLY_ESTIMATE = 1 << 6
    VALIDATED = 1 << 7
    FULLY_QUALIFIED = 1 << 8
    FROM_STORAGE = 1 << 9
    DEMONSTRATION = 1 << 10
    TESTING = 1 << 11
    CALIBRATING = 1 << 12
    UNAVAILABLE = 1 << 13
    QUESTIONABLE = 1 << 14
    INVALID = 1 << 15


class SensorStatus(IntFlag):
    """Device and Sensor Status. Bits 16 to 23 are reserved."""

    NONE = 0
    DISPLAY_UPDATE = 1 << 0
    EQUIPMENT_MALFUNCTION = 1 << 1
    SIGNAL_IRREGULAR = 1 << 2
    SIGNAL_INADEQUATE = 1 << 3
    SIGNAL_POOR = 1 << 4
    LOW_PERFUSION = 1 << 5
    SIGNAL_ERRATIC = 1 << 6
    NOT_PULSATILE = 1 << 7
    PULSE_QUESTIONABLE = 1 << 8
    ANALYSING = 1 << 9
    INTERFERENCE = 1 << 10
    NOT_ON_USER = 1 << 11
    SENSOR_UNKNOWN = 1 << 12
    SENSOR_DISPLACED = 1 << 13
    SENSOR_MALFUNCTION = 1 << 14
    SENSOR_DISCONNECTED = 1 << 15


@dataclass(frozen=True)
class Saturation:
    """SpO2 in percent and pulse rate per minute, averaged over one span of time."""

    spo2: Number
    pulse_rate: Number


@dataclass(frozen=True)
class Oximetry:
    """One PLX Spot-Check Measurement (0x2A5E) or PLX Continuous Measurement (0x2A5F)."""

    normal: Saturation
    fast: Saturation | None = None
    slow: Saturation | None = None
    stamp: Stamp | None = None
    clock_not_set: bool = False
    status: OximeterStatus = OximeterStatus.NONE
    sensor: SensorStatus = SensorStatus.NONE
    amplitude: Number | None = None
    """Pulse amplitude index, in percent."""


def _saturation(fields: Fields) -> Saturation:
    return Saturation(fields.sfloat(), fields.sfloat())


def _status(value: int) -> OximeterStatus:
    return OximeterStatus(value & 0xFFE0)


def _sensor(value: int) -> SensorStatus:
    return SensorStatus(value & 0xFFFF)


def parse_spot_check(data: bytes) -> Oximetry:
    """Read 0x2A5E. Raises MalformedFrame."""
    fields = Fields(data)
    flags = fields.unsigned(1)
    normal = _saturation(fields)
    stamp = fields.stamp() if flags & 1 else None
    status = fields.unsigned(2) if flags & 2 else 0
    sensor = fields.unsigned(3) if flags & 4 else 0
    amplitude = fields.sfloat() if flags & 8 else None
    fields.end(flags & 0xE0)
    return Oximetry(
        normal,
        stamp=stamp,
        clock_not_set=bool(flags & 16),
        status=_status(status),
        sensor=_sensor(sensor),
        amplitude=amplitude,
    )


def parse_continuous(data: bytes) -> Oximetry:
    """Read 0x2A5F. Raises MalformedFrame."""
    fields = Fields(data)
    flags = fields.unsigned(1)
    normal = _saturation(fields)
    fast = _saturation(fields) if flags & 1 else None
    slow = _saturation(fields) if flags & 2 else None
    status = fields.unsigned(2) if flags & 4 else 0
    sensor = fields.unsigned(3) if flags & 8 else 0
    amplitude = fields.sfloat() if flags & 16 else None
    fields.end(flags & 0xE0)
    return Oximetry(normal, fast, slow, status=_status(status), sensor=_sensor(sensor), amplitude=amplitude)


@dataclass(frozen=True)
class OximeterFeatures:
    """PLX Features (0x2A60)."""

    stores_spot_checks: bool
    has_clock: bool
    multiple_bonds: bool
    status: OximeterStatus = OximeterStatus.NONE
    """Which bits of the measurement status it uses."""
    sensor: SensorStatus = SensorStatus.NONE
    """Which bits of the device and sensor status it uses."""


def parse_oximeter_features(data: bytes) -> OximeterFeatures:
    """Read 0x2A60. Raises MalformedFrame."""
    fields = Fields(data)
    features = fields.unsigned(2)
    status = fields.unsigned(2) if features & 1 else 0
    sensor = fields.unsigned(3) if features & 2 else 0
    fields.end(features >> 8)
    return OximeterFeatures(
        stores_spot_checks=bool(features & 4),
        has_clock=bool(features & 8),
        multiple_bonds=bool(features & 128),
        status=_status(status),
        sensor=_sensor(sensor),
    )
