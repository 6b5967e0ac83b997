"""Whether a process keeps a core busy: by its processor time, looked at once in a while."""

from __future__ import annotations


class BusyWatch:
    """Told a process's processor time now and then, in seconds since it began."""

    def __init__(self, window: float, share: float) -> None:
        """`share` of one core over `window` seconds is too much."""
        self._window = window
        self._share = share
        self._from: tuple[float, float] | None = None

    def too_busy(self, used: float, now: float) -> bool:
        """Note what it has used so far. True if a window has passed in which that was too much."""
        if self._from is None:
            self._from = (now, used)
            return False
        began, before = self._from
        if now - began < self._window:
            return False
        self._from = (now, used)
        return used - before > self._share * (now - began)
