"""Health Thermometer Service 1.0: measurement, intermediate temperature, type. Bytes to values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from teleconsult_vitals_bluetooth.frames import Fields, Stamp
from teleconsult_vitals_bluetooth.ieee11073 import Number

_FAHRENHEIT, _STAMP, _SITE = (1 << bit for bit in range(3))
_RESERVED = 0xF8


class Site(Enum):
    """Temperature Type (0x2A1D): where the temperature was taken."""

    ARMPIT = 1
    BODY = 2
    EAR = 3
    FINGER = 4
    GASTROINTESTINAL = 5
    MOUTH = 6
    RECTUM = 7
    TOE = 8
    TYMPANUM = 9


@dataclass(frozen=True)
class Temperature:
    """One Temperature Measurement (0x2A1C) or Intermediate Temperature (0x2A1E). `unit` is UCUM."""

    value: Number
    unit: str
    stamp: Stamp | None = None
    site: Site | None = None


def _site(value: int) -> Site | None:
    return Site(value) if value in {site.value for site in Site} else None


def parse_temperature(data: bytes) -> Temperature:
    """Read 0x2A1C or 0x2A1E. Raises MalformedFrame."""
    fields = Fields(data)
    flags = fields.unsigned(1)
    value = fields.float()
    stamp = fields.stamp() if flags & _STAMP else None
    site = _site(fields.unsigned(1)) if flags & _SITE else None
    fields.end(flags & _RESERVED)
    return Temperature(value, "[degF]" if flags & _FAHRENHEIT else "Cel", stamp, site)


def parse_site(data: bytes) -> Site | None:
    """Read 0x2A1D; None for a place that is reserved. Raises MalformedFrame."""
    fields = Fields(data)
    site = fields.unsigned(1)
    fields.end()
    return _site(site)
