"""A gate through which readers' processes start, a few at a time.

Loading a plugin takes a second of a core. A hundred processes that load at once would all be slow enough to be
taken for stuck, ended, and started again, for ever.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable


class StartGate:
    """Has `places` places; who finds none waits, first come first served. Both methods may be called anywhere."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[Callable[[], bool]] = deque()
        self._lock = threading.Lock()

    def enter(self, begin: Callable[[], bool]) -> None:
        """Call `begin` now, or on the thread of somebody who leaves. If it gives True, `leave` is to follow."""
        with self._lock:
            if self._free == 0:
                self._waiting.append(begin)
                return
            self._free -= 1
        if not begin():
            self.leave()

    def leave(self) -> None:
        """Give the place to the first of those who wait that still wants it."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._free += 1
                    return
                begin = self._waiting.popleft()
            if begin():
                return
