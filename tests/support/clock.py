"""A clock that tests move by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """Stands at 2026-11-24 09:00 at the site until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        """The time it shows."""
        return self.now

    def move(self, **span: float) -> None:
        """Move it on: `clock.move(minutes=5)`."""
        self.now += timedelta(**span)
