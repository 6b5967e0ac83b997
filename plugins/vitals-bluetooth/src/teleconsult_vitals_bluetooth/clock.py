"""When a reading was taken, by a device's clock that may be wrong. No I/O.

A device's time stamp names no zone and may be years off. It is used as it is only if the device's clock was compared
with ours or the time is a likely one; otherwise it is corrected by the difference that was seen, or not used at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from teleconsult.plugin_api import ReadingFlag

CLOSE = timedelta(minutes=2)
"""A clock this near to ours counts as right: people set clocks to the minute."""
ABSURD = timedelta(days=20 * 365)
"""A clock this far off was never set, and it is not known whether it runs at all."""

SILENCE = timedelta(seconds=10)
"""What comes after so long a silence is a new measurement: stored ones come one right after the other."""

Taken = tuple[datetime | None, tuple[ReadingFlag, ...]]
NOT_SET: Taken = (None, (ReadingFlag.CLOCK_NOT_SET,))


@dataclass(frozen=True)
class DeviceClock:
    """What is known of a device's clock in this connection."""

    zone: ZoneInfo
    trusted: timedelta
    """How old a time stamp may be if the clock could not be compared."""
    ahead: timedelta | None = None
    """How much the clock was ahead of ours when it was compared, before it was set; None if it cannot be read."""
    set_at: datetime | None = None
    """When we set it; None if it cannot be set."""
    settled: bool = True
    """Whether the device has been silent since it could send, so that what it sends now is not what it had stored."""

    @property
    def runs(self) -> bool:
        """Whether it was seen to be a clock that runs: then two measurements do not have the same time."""
        return self.set_at is not None or (self.ahead is not None and abs(self.ahead) < ABSURD)

    def tells_stored(self, shown: datetime | None, now: datetime) -> bool:
        """Whether a time that could not be used (`taken`) shows that the reading is, or may be, an earlier one.

        False where the clock tells nothing, or shows the same time now.
        """
        if shown is None or self.set_at is not None:
            return shown is not None
        if self.ahead is None:
            return False
        try:
            return abs(shown.replace(tzinfo=self.zone).astimezone(UTC) - self.ahead - now) > CLOSE
        except (OverflowError, ValueError):
            return True

    def taken(self, shown: datetime | None, now: datetime) -> Taken:
        """When it was in UTC, and what to say about it, for the time without zone that the device gave.

        `None` for `shown` is a stamp without a usable date. The time is None where nothing can be said.
        """
        if shown is None:
            return NOT_SET
        try:
            at = shown.replace(tzinfo=self.zone).astimezone(UTC)
        except (OverflowError, ValueError):
            return NOT_SET
        if self.set_at is not None and self.set_at - CLOSE <= at <= now + CLOSE:
            if not self.settled and self.ahead is not None and CLOSE < self.ahead < ABSURD:
                return NOT_SET  # of now by the clock that we set, or stored and earlier by the one that was ahead
            return at, ()  # taken since we set the clock
        if self.ahead is None:
            return (at, ()) if now - self.trusted <= at <= now + CLOSE else NOT_SET
        if abs(self.ahead) >= ABSURD:
            return NOT_SET
        if abs(self.ahead) <= CLOSE:
            return (at, ()) if at <= now + CLOSE else NOT_SET
        try:
            corrected = at - self.ahead
        except OverflowError:
            return NOT_SET
        if corrected > now + CLOSE:  # the clock was set back since then, so the difference tells nothing
            return NOT_SET
        return corrected, (ReadingFlag.CLOCK_CORRECTED,)
