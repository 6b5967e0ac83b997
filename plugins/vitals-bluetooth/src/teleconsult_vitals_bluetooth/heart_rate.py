"""Heart Rate Service 1.0: its measurement. Bytes to values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from teleconsult_vitals_bluetooth.frames import Fields, MalformedFrame


@dataclass(frozen=True)
class HeartRate:
    """One Heart Rate Measurement (0x2A37)."""

    rate: int
    """Beats per minute; 0 while the strap finds none."""
    contact: bool | None = None
    """Whether it touches skin; None if it cannot tell."""
    energy: int | None = None
    """Energy spent since it was reset, kilojoules."""
    intervals: tuple[int, ...] = ()
    """Times between beats, the oldest first, in 1/1024 s."""


def parse_heart_rate(data: bytes) -> HeartRate:
    """Read 0x2A37. Raises MalformedFrame."""
    fields = Fields(data)
    flags = fields.unsigned(1)
    rate = fields.unsigned(2 if flags & 1 else 1)
    contact = bool(flags & 2) if flags & 4 else None
    energy = fields.unsigned(2) if flags & 8 else None
    intervals: tuple[int, ...] = ()
    if flags & 16:
        if fields.left == 0:
            raise MalformedFrame("the times between beats are missing")
        intervals = tuple(fields.unsigned(2) for _ in range((fields.left + 1) // 2))
    fields.end(flags & 0xE0)
    return HeartRate(rate, contact, energy, intervals)
