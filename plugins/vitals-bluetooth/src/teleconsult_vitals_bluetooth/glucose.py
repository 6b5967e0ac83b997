"""Glucose Service 1.0.1: measurement and its context. Bytes to values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, IntFlag

from teleconsult_vitals_bluetooth.frames import Fields, Stamp
from teleconsult_vitals_bluetooth.ieee11073 import Number

CONTROL_SOLUTION_SAMPLE = 10
CONTROL_SOLUTION_SITE = 4
_OFFSET_OVERRUN, _OFFSET_UNDERRUN = 0x7FFF, -0x8000


class MeterStatus(IntFlag):
    """Sensor Status Annunciation."""

    NONE = 0
    BATTERY_LOW = 1 << 0
    SENSOR_MALFUNCTION = 1 << 1
    SAMPLE_TOO_SMALL = 1 << 2
    STRIP_INSERTION = 1 << 3
    STRIP_TYPE = 1 << 4
    ABOVE_RANGE = 1 << 5
    BELOW_RANGE = 1 << 6
    TOO_HOT = 1 << 7
    TOO_COLD = 1 << 8
    STRIP_PULLED = 1 << 9
    DEVICE_FAULT = 1 << 10
    TIME_FAULT = 1 << 11


class Meal(Enum):
    """When the sample was taken, as against meals."""

    BEFORE = 1
    AFTER = 2
    FASTING = 3
    CASUAL = 4
    BEDTIME = 5


@dataclass(frozen=True)
class Glucose:
    """One Glucose Measurement (0x2A18)."""

    sequence: int
    base: Stamp
    """The meter's inner clock."""
    offset_minutes: int = 0
    """What to add to `base` for the time that the meter shows."""
    offset_known: bool = True
    value: Number | None = None
    """The concentration in `unit`; None if the record has none."""
    unit: str = "kg/L"
    sample: int = 0
    """Type of the sample: 1 capillary whole blood … 9 interstitial fluid, 10 control solution; 0 not told."""
    site: int = 0
    """Where it was taken: 1 finger, 2 another place, 3 earlobe, 4 control solution, 15 not told; 0 not told."""
    status: MeterStatus = MeterStatus.NONE
    context_follows: bool = False

    @property
    def control_solution(self) -> bool:
        """Whether it is the meter's test liquid and nobody's blood."""
        return self.sample == CONTROL_SOLUTION_SAMPLE or self.site == CONTROL_SOLUTION_SITE

    def moment(self) -> datetime | None:
        """When it was taken by the time that the meter shows, without zone; None if that cannot be told."""
        base = self.base.moment()
        if base is None or not self.offset_known:
            return None
        try:
            return base + timedelta(minutes=self.offset_minutes)
        except OverflowError:
            return None


def parse_glucose(data: bytes) -> Glucose:
    """Read 0x2A18. Raises MalformedFrame."""
    fields = Fields(data)
    flags = fields.unsigned(1)
    sequence = fields.unsigned(2)
    base = fields.stamp()
    offset = fields.signed(2) if flags & 1 else 0
    value: Number | None = None
    sample = site = 0
    if flags & 2:
        value = fields.sfloat()
        kind = fields.unsigned(1)
        sample, site = kind & 0x0F, kind >> 4
    status = fields.unsigned(2) if flags & 8 else 0
    fields.end(flags & 0xE0)
    known = offset not in (_OFFSET_OVERRUN, _OFFSET_UNDERRUN)
    return Glucose(
        sequence,
        base,
        offset if known else 0,
        known,
        value,
        "mol/L" if flags & 4 else "kg/L",
        sample,
        site,
        MeterStatus(status & 0x0FFF),
        bool(flags & 16),
    )


@dataclass(frozen=True)
class GlucoseContext:
    """One Glucose Measurement Context (0x2A34): what was told about the measurement of the same sequence number."""

    sequence: int
    carbohydrate: tuple[int, Number] | None = None
    """(meal: 1 breakfast … 7 brunch, kilograms)."""
    meal: Meal | None = None
    tester: int | None = None
    health: int | None = None
    exercise: tuple[int, int] | None = None
    """(seconds, percent of the greatest effort); 65535 s stands for longer."""
    medication: tuple[int, Number, str] | None = None
    """(1 rapid … 5 premixed insulin, amount, "kg" or "L")."""
    hba1c: Number | None = None
    """Percent."""


def parse_glucose_context(data: bytes) -> GlucoseContext:
    """Read 0x2A34. Raises MalformedFrame."""
    fields = Fields(data)
    flags = fields.unsigned(1)
    sequence = fields.unsigned(2)
    extended = fields.unsigned(1) if flags & 128 else 0
    carbohydrate = (fields.unsigned(1), fields.sfloat()) if flags & 1 else None
    meal = fields.unsigned(1) if flags & 2 else 0
    tester = health = None
    if flags & 4:
        both = fields.unsigned(1)
        tester, health = both & 0x0F, both >> 4
    exercise = (fields.unsigned(2), fields.unsigned(1)) if flags & 8 else None
    medication = (fields.unsigned(1), fields.sfloat(), "L" if flags & 32 else "kg") if flags & 16 else None
    hba1c = fields.sfloat() if flags & 64 else None
    fields.end(extended)
    return GlucoseContext(
        sequence,
        carbohydrate,
        Meal(meal) if 1 <= meal <= 5 else None,
        tester,
        health,
        exercise,
        medication,
        hba1c,
    )
