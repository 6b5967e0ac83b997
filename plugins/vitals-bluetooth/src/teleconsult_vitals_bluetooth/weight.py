"""Weight Scale Service 1.0 and Body Composition Service 1.0: their measurements. Bytes to values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from decimal import Decimal

from teleconsult_vitals_bluetooth.frames import Fields, MalformedFrame, Stamp

_UNSUCCESSFUL = 0xFFFF


@dataclass(frozen=True)
class Weighing:
    """One Weight Measurement (0x2A9D). `unit` is UCUM."""

    value: Decimal | None
    """None if the scale could not measure."""
    unit: str
    stamp: Stamp | None = None
    user: int | None = None
    bmi: Decimal | None = None
    height: Decimal | None = None
    """What the scale holds in its user's profile, in `height_unit`. It was not measured."""
    height_unit: str = "m"


def _mass(fields: Fields, imperial: bool) -> Decimal | None:
    """Steps of 5 g or 0.01 lb; None if it was not measured."""
    raw = fields.unsigned(2)
    return None if raw == _UNSUCCESSFUL else raw * (Decimal("0.01") if imperial else Decimal("0.005"))


def _height(fields: Fields, imperial: bool) -> Decimal:
    return fields.unsigned(2) * (Decimal("0.1") if imperial else Decimal("0.001"))


def parse_weight(data: bytes) -> Weighing:
    """Read 0x2A9D. Raises MalformedFrame."""
    source = Fields(data)
    flags = source.unsigned(1)
    imperial = bool(flags & 1)
    value = _mass(source, imperial)
    stamp = source.stamp() if flags & 2 else None
    user = source.user() if flags & 4 else None
    bmi = height = None
    if flags & 8:
        bmi = source.unsigned(2) * Decimal("0.1")
        height = _height(source, imperial)
    source.end(flags & 0xF0)
    return Weighing(value, "[lb_av]" if imperial else "kg", stamp, user, bmi, height, "[in_i]" if imperial else "m")


@dataclass(frozen=True)
class Composition:
    """One Body Composition Measurement (0x2A9C), which may come in two packets. Masses in `unit`, UCUM."""

    fat: Decimal | None
    """Body fat, percent; None if the scale could not measure it."""
    unit: str
    partial: bool = False
    """Whether it is one of two packets."""
    stamp: Stamp | None = None
    user: int | None = None
    basal_metabolism: int | None = None
    """Kilojoules a day."""
    muscle: Decimal | None = None
    """Percent."""
    muscle_mass: Decimal | None = None
    fat_free_mass: Decimal | None = None
    soft_lean_mass: Decimal | None = None
    body_water_mass: Decimal | None = None
    impedance: Decimal | None = None
    """Ohm."""
    weight: Decimal | None = None
    height: Decimal | None = None
    height_unit: str = "m"
    has_weight: bool = False
    """Whether there is a weight in it, measured (`weight`) or not (None)."""

    def joined(self, second: Composition) -> Composition:
        """Both packets as one. Raises MalformedFrame if they do not belong together."""
        if not (self.partial and second.partial) or self.unit != second.unit:
            raise MalformedFrame("the two packets are of different measurements")
        if self.user is not None and second.user not in (None, self.user):
            raise MalformedFrame("the two packets are of different people")
        if self.stamp and second.stamp not in (None, self.stamp):
            raise MalformedFrame("the two packets are of different times")
        given = {f.name: getattr(second, f.name) for f in fields(self) if getattr(self, f.name) is None}
        return replace(self, **given, partial=False, has_weight=self.has_weight or second.has_weight)


def parse_composition(data: bytes) -> Composition:
    """Read 0x2A9C. Raises MalformedFrame."""
    source = Fields(data)
    flags = source.unsigned(2)
    imperial = bool(flags & 1)
    fat = source.unsigned(2)
    stamp = source.stamp() if flags & 1 << 1 else None
    user = source.user() if flags & 1 << 2 else None
    metabolism = source.unsigned(2) if flags & 1 << 3 else None
    muscle = source.unsigned(2) * Decimal("0.1") if flags & 1 << 4 else None
    muscle_mass = _mass(source, imperial) if flags & 1 << 5 else None
    fat_free_mass = _mass(source, imperial) if flags & 1 << 6 else None
    soft_lean_mass = _mass(source, imperial) if flags & 1 << 7 else None
    body_water_mass = _mass(source, imperial) if flags & 1 << 8 else None
    impedance = source.unsigned(2) * Decimal("0.1") if flags & 1 << 9 else None
    weight = _mass(source, imperial) if flags & 1 << 10 else None
    height = _height(source, imperial) if flags & 1 << 11 else None
    source.end(flags >> 13)
    return Composition(
        None if fat == _UNSUCCESSFUL else fat * Decimal("0.1"),
        "[lb_av]" if imperial else "kg",
        bool(flags & 1 << 12),
        stamp,
        user,
        metabolism,
        muscle,
        muscle_mass,
        fat_free_mass,
        soft_lean_mass,
        body_water_mass,
        impedance=impedance,
        weight=weight,
        height=height,
        height_unit="[in_i]" if imperial else "m",
        has_weight=bool(flags & 1 << 10),
    )
