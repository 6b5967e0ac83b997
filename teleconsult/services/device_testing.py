"""A test of a device: its next measurement is nobody's. What was measured before the test is somebody's still."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from teleconsult.plugin_api import Reading, ReadingFlag
from teleconsult.services.observations import CLOCK_TOLERANCE

TEST_SECONDS = 180.0
"""A test of a device ends by itself after so long."""


@dataclass(frozen=True)
class Test:
    """A test that a person has begun: until when it lasts (on the monotonic clock), and when it began."""

    until: float
    since: datetime

    def is_after(self, reading: Reading) -> bool:
        """Whether the reading was certainly taken before the test."""
        return reading.taken_at is not None and reading.taken_at < self.since - CLOCK_TOLERANCE

    def may_be_older(self, reading: Reading, *, seen: bool) -> bool:
        """Whether the reading may have been taken before the test. `seen`: the device was seen measuring it."""
        if seen:
            return False
        if reading.taken_at is None:
            return ReadingFlag.CLOCK_NOT_SET in reading.flags
        return reading.taken_at < self.since
