"""What a child prints, passed on line by line, so many a second at most."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

LINES_PER_SECOND = 50
LINE_LENGTH = 2000
"""Characters; the rest of a longer line is dropped."""
_KEPT = 3


class LimitedLines:
    """Passes on at most `LINES_PER_SECOND` lines a second, each with its label, so that no child fills the log."""

    def __init__(self, out: Callable[[str], object], label: str) -> None:
        """`out` is called with text that ends with the end of a line."""
        self._out = out
        self._label = f"[{label}] "
        self._second = 0
        self._lines = 0
        self._dropped = 0
        self._partial = ""
        self._last: deque[str] = deque(maxlen=_KEPT)

    @property
    def last(self) -> str:
        """The last words, in one line, whether they were passed on or not."""
        return " ".join(line for line in (*self._last, self._without_label(self._partial)) if line.strip())[-500:]

    def feed(self, text: str) -> None:
        """Take text as it comes, also parts of lines."""
        *lines, self._partial = (self._partial + text).split("\n")
        self._partial = self._partial[:LINE_LENGTH]
        for line in lines:
            self._take(self._without_label(line))

    def end(self) -> None:
        """Nothing more comes: pass on the line that has no end."""
        if self._partial:
            self.feed("\n")

    def _without_label(self, line: str) -> str:
        return line.removeprefix(self._label)  # the child may have put it there itself

    def _take(self, line: str) -> None:
        if line.strip():
            self._last.append(line[:LINE_LENGTH])
        second = int(time.monotonic())
        if second != self._second:
            if self._dropped:
                self._out(f"{self._label}{self._dropped} lines dropped\n")
            self._second, self._lines, self._dropped = second, 0, 0
        self._lines += 1
        if self._lines > LINES_PER_SECOND:
            self._dropped += 1
            return
        self._out(f"{self._label}{line[:LINE_LENGTH]}\n")
