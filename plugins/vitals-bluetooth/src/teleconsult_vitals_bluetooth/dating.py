"""When a reading was taken, and what tells it from all others of its device. No I/O.

A device's own unchanged time tells a repeat. It does not where the clock may stand still: a thermometer that always
says 2000-01-01 gives the same frame for two people of 36.5 °C.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from teleconsult.plugin_api import ReadingFlag
from teleconsult_vitals_bluetooth.clock import NOT_SET, DeviceClock
from teleconsult_vitals_bluetooth.frames import Stamp

REPEATED = timedelta(seconds=15)
"""A frame without a usable time that comes once more within this is a repeat; after it, the next person's."""
REMEMBERED = 10


@dataclass(frozen=True)
class Dated:
    """What a reading says of its time."""

    taken_at: datetime | None
    flags: tuple[ReadingFlag, ...]
    sequence: str
    lasting: bool = False
    """Whether the sequence is the device's own, the same whenever the reading is sent."""


def of_anybody(flags: tuple[ReadingFlag, ...], stored: bool) -> tuple[ReadingFlag, ...]:
    """The flags of a time. A stored reading without a usable one is not of whoever is measured when it comes."""
    if stored and ReadingFlag.CLOCK_NOT_SET in flags:
        return (*flags, ReadingFlag.WHOSE_UNKNOWN)
    return flags


class Dating:
    """Dates the frames of one connection. `recent` is what the last one remembered, from `memory`."""

    def __init__(self, recent: object = None) -> None:
        self._run = secrets.token_hex(6)
        self._unstamped = 0
        self._recent: dict[str, tuple[datetime, str]] = {}
        for frame in recent if isinstance(recent, list) else ():
            try:
                digest, at, sequence = frame
                self._recent[str(digest)] = datetime.fromisoformat(at), str(sequence)
            except (TypeError, ValueError):
                continue

    def date(
        self,
        stamp: Stamp | None,
        data: bytes,
        clock: DeviceClock,
        now: datetime,
        *,
        user: int | None,
        believed: bool,
        stored: bool,
    ) -> Dated:
        """Date a frame that came at `now`. `believed` is False if the device itself says that its clock is not set.

        A frame without a stamp was measured when it came, and counts as a new reading each time. One that is `stored`,
        or shows it by its time, is anybody's if that time cannot be used.
        """
        if stamp is None:
            return Dated(None, (), self.number())
        shown = stamp.moment()
        at, flags = clock.taken(shown, now) if believed else NOT_SET
        flags = of_anybody(flags, stored or (believed and clock.tells_stored(shown, now)))
        if ReadingFlag.CLOCK_NOT_SET in flags and not (believed and clock.runs and shown):
            return Dated(at, flags, self._told_by_arrival(data, now))
        return Dated(at, flags, str(stamp) if user is None else f"{stamp}/{user}", lasting=True)

    def number(self) -> str:
        """A sequence that no other reading has."""
        self._unstamped += 1
        return f"{self._run}-{self._unstamped}"

    def is_own(self, sequence: str) -> bool:
        """Whether it is a sequence of this connection's own making."""
        return sequence.startswith(f"{self._run}-")

    def memory(self) -> list[list[str]]:
        """What to remember for the next connection: a device may send again what was not confirmed in this one."""
        return [[digest, at.isoformat(), sequence] for digest, (at, sequence) in self._recent.items()]

    def _told_by_arrival(self, data: bytes, now: datetime) -> str:
        digest = hashlib.sha256(data).hexdigest()[:16]
        last, sequence = self._recent.pop(digest, (None, ""))
        if last is None or abs(now - last) > REPEATED:
            sequence = self.number()
        self._recent[digest] = now, sequence
        while len(self._recent) > REMEMBERED:
            del self._recent[next(iter(self._recent))]
        return sequence
