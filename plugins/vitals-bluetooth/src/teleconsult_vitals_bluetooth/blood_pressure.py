"""Blood Pressure Service 1.1.1: measurement, intermediate cuff pressure. Bytes to values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntFlag

from teleconsult_vitals_bluetooth.frames import Fields, Stamp
from teleconsult_vitals_bluetooth.ieee11073 import Number

_KPA, _STAMP, _PULSE, _USER, _STATUS = (1 << bit for bit in range(5))
_RESERVED = 0xE0


class PressureStatus(IntFlag):
    """Measurement Status without its field for the pulse rate range."""

    NONE = 0
    BODY_MOVEMENT = 1 << 0
    CUFF_TOO_LOOSE = 1 << 1
    IRREGULAR_PULSE = 1 << 2
    IMPROPER_POSITION = 1 << 5


class PulseRange(Enum):
    """What the cuff says about the pulse rate, as against its own limits."""

    WITHIN = 0
    ABOVE = 1
    BELOW = 2
    RESERVED = 3


@dataclass(frozen=True)
class BloodPressure:
    """One Blood Pressure Measurement (0x2A35) or Intermediate Cuff Pressure (0x2A36).

    In the latter `systolic` is the pressure in the cuff, and the two others are NaN. `unit` is UCUM.
    """

    systolic: Number
    diastolic: Number
    mean: Number
    unit: str
    stamp: Stamp | None = None
    pulse_rate: Number | None = None
    """Beats per minute."""
    user: int | None = None
    status: PressureStatus = PressureStatus.NONE
    pulse_range: PulseRange = PulseRange.WITHIN


def parse_blood_pressure(data: bytes) -> BloodPressure:
    """Read 0x2A35 or 0x2A36. Raises MalformedFrame."""
    fields = Fields(data)
    flags = fields.unsigned(1)
    pressures = fields.sfloat(), fields.sfloat(), fields.sfloat()
    stamp = fields.stamp() if flags & _STAMP else None
    pulse_rate = fields.sfloat() if flags & _PULSE else None
    user = fields.user() if flags & _USER else None
    status = fields.unsigned(2) if flags & _STATUS else 0
    fields.end(flags & _RESERVED)
    known = 0
    for bit in PressureStatus:
        known |= bit
    return BloodPressure(
        *pressures,
        unit="kPa" if flags & _KPA else "mm[Hg]",
        stamp=stamp,
        pulse_rate=pulse_rate,
        user=user,
        status=PressureStatus(status & known),
        pulse_range=PulseRange(status >> 3 & 3),
    )
