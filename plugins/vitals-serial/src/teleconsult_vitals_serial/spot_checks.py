"""When a finished measurement was taken, and keeping it until the node has it. No I/O.

A device of format 13 deletes a measurement as soon as it has sent it: the protocol has no acknowledgement. So each
one is remembered with the device before it is offered to the node, and offered again until it is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from teleconsult.plugin_api import DeviceSession, ReadingFlag
from teleconsult_vitals_serial.nonin.commands import ClockAnswers
from teleconsult_vitals_serial.nonin.values import StoredMeasurement

CLOCK_WAIT = timedelta(seconds=2)
CLOCK_TOLERANCE = timedelta(seconds=5)
JUST_NOW = timedelta(minutes=2)
"""A measurement that is not from memory is sent within a minute of being taken."""
MOST_HELD = 50

NOT_SET = (None, ReadingFlag.CLOCK_NOT_SET)


class DeviceClock:
    """The device's clock, for measurements that come with a time.

    The device is asked for its time when the port is opened, and then set to UTC. What it measured by its old
    clock is corrected by the difference, what it measured since then is not. Measurements wait for the answer at
    most two seconds.
    """

    def __init__(self, session: DeviceSession) -> None:
        self.answers = ClockAnswers()
        self._asked_at = session.now()
        self._offset: timedelta | None = None
        self._set_at: datetime | None = None
        self._held: list[tuple[StoredMeasurement, datetime]] = []
        self._seen = False

    @property
    def waits_for_none(self) -> bool:
        """Whether no finished measurement has come: the device may be switched off."""
        return not self._seen

    def set(self, device_time: datetime, now: datetime) -> None:
        """The first answer counts: later ones come from the clock that was set since."""
        if self._offset is None:
            self._offset, self._set_at = now - device_time.replace(tzinfo=UTC), now

    def hold(self, stored: StoredMeasurement, arrived: datetime) -> None:
        """Keep a measurement until the clock is known."""
        self._seen = True
        self._held.append((stored, arrived))

    def due(self, now: datetime) -> list[tuple[StoredMeasurement, datetime]]:
        """The measurements whose time can be told now, as well as it ever can, and when they arrived."""
        if self._offset is None and now - self._asked_at < CLOCK_WAIT and len(self._held) < MOST_HELD:
            return []
        return self.take_held()

    def take_held(self) -> list[tuple[StoredMeasurement, datetime]]:
        """All that are held, whether the clock is known or not."""
        held, self._held = self._held, []
        return held

    def correct(self, stored: StoredMeasurement, arrived: datetime) -> tuple[datetime | None, ReadingFlag | None]:
        """When it was measured, UTC, and what is to be said about it."""
        if self._offset is None or self._set_at is None or stored.device_time is None:
            return NOT_SET
        as_told = stored.device_time.replace(tzinfo=UTC)
        try:
            corrected = as_told + self._offset
        except OverflowError:
            return NOT_SET
        if abs(self._offset) <= CLOCK_TOLERANCE:
            corrected = as_told
        corrected_flag = None if corrected == as_told else ReadingFlag.CLOCK_CORRECTED
        if not stored.from_memory:
            # Just measured, by the clock before or after it was set: one of the two is now.
            if abs(arrived - as_told) <= JUST_NOW:
                return as_told, None
            return (corrected, corrected_flag) if abs(arrived - corrected) <= JUST_NOW else NOT_SET
        before = corrected <= min(self._set_at, arrived) + CLOCK_TOLERANCE
        since = arrived > self._set_at and self._set_at - CLOCK_TOLERANCE <= as_told <= arrived + CLOCK_TOLERANCE
        if corrected != as_told and before == since:
            return NOT_SET  # it may be of either clock, or is of neither
        if since:
            return as_told, None
        return (corrected, corrected_flag) if before else NOT_SET


@dataclass(frozen=True)
class Unkept:
    """A finished measurement that the node does not have yet, with all that its reading is made of."""

    spo2: int
    pulse_rate: int | None
    taken_at: datetime | None
    stamp: str
    flags: tuple[ReadingFlag, ...]
    raw: bytes

    def dump(self) -> list[Any]:
        """As JSON values."""
        at = self.taken_at.isoformat() if self.taken_at else None
        return [self.spo2, self.pulse_rate, at, self.stamp, list(self.flags), self.raw.hex()]

    @classmethod
    def load(cls, values: list[Any]) -> Self:
        """From what `dump` gave."""
        spo2, pulse_rate, at, stamp, flags, raw = values
        taken_at = datetime.fromisoformat(at) if at else None
        return cls(spo2, pulse_rate, taken_at, stamp, tuple(map(ReadingFlag, flags)), bytes.fromhex(raw))


class Shelf:
    """The measurements that the node does not have yet, remembered with the device."""

    def __init__(self, session: DeviceSession) -> None:
        self._session = session
        self._unkept = [Unkept.load(values) for values in session.memory.get("unkept", ())]

    @property
    def unkept(self) -> Iterable[Unkept]:
        """The oldest first."""
        return tuple(self._unkept)

    async def put(self, measurement: Unkept) -> None:
        """Remember one. Beyond MOST_HELD the oldest is dropped: the memory of a device is small."""
        self._unkept = [*self._unkept, measurement][-MOST_HELD:]
        await self._remember()

    async def take(self, measurement: Unkept) -> None:
        """The node has it."""
        self._unkept.remove(measurement)
        await self._remember()

    async def _remember(self) -> None:
        await self._session.remember(unkept=[measurement.dump() for measurement in self._unkept])
