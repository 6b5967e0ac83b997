"""What both sorts of plugin processes do first: bound what the plugin can print and how much memory it takes."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
import time
from typing import TextIO

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]

MEMORY_MB = 768
"""Most memory, in MiB, that one plugin process may allocate. Beyond it, it gets MemoryError."""
LINES_PER_SECOND = 50
LINE_LENGTH = 2000


class LimitedStream(io.TextIOBase):
    """Passes on at most `LINES_PER_SECOND` lines a second, so that a plugin cannot fill the node's log."""

    def __init__(self, out: TextIO, label: str) -> None:
        self._out = out
        self._label = label
        self._second = 0
        self._lines = 0
        self._dropped = 0
        self._partial = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._partial = (self._partial + text).split("\n")
        self._partial = self._partial[:LINE_LENGTH]
        for line in lines:
            self._write_line(line)
        return len(text)

    def flush(self) -> None:
        self._out.flush()

    def _write_line(self, line: str) -> None:
        second = int(time.monotonic())
        if second != self._second:
            if self._dropped:
                self._out.write(f"[{self._label}] {self._dropped} lines dropped\n")
            self._second, self._lines, self._dropped = second, 0, 0
        self._lines += 1
        if self._lines > LINES_PER_SECOND:
            self._dropped += 1
            return
        self._out.write(f"[{self._label}] {line[:LINE_LENGTH]}\n")
        self._out.flush()


def confine(label: str) -> None:
    """Bound this process before any plugin code runs in it. `label` stands before each line it prints."""
    threading.Thread(target=_end_with_parent, args=[os.getppid()], name="parent", daemon=True).start()
    sys.stdout = LimitedStream(sys.stderr, label)
    sys.stderr = sys.stdout
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    if resource is not None and hasattr(resource, "RLIMIT_DATA"):
        limit = MEMORY_MB * 1024 * 1024
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _end_with_parent(parent: int) -> None:
    """End this process when the node is gone, even while a plugin blocks the thread that would hear of it."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)
