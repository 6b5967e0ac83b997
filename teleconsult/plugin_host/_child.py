"""What both sorts of plugin processes do first: bound what the plugin can print, and how much of the machine
it takes."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import TextIO

from teleconsult.process import LimitedLines

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]

MEMORY_MB = 768
"""Most memory, in MiB, that one plugin process may allocate. Beyond it, it gets MemoryError."""


class LimitedStream(io.TextIOBase):
    """Passes on at most 50 lines a second, so that a plugin cannot fill the node's log."""

    def __init__(self, out: TextIO, label: str) -> None:
        self._out = out
        self._lines = LimitedLines(self._pass_on, label)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._lines.feed(text)
        return len(text)

    def flush(self) -> None:
        self._out.flush()

    def _pass_on(self, line: str) -> None:
        self._out.write(line)
        self._out.flush()


POLITENESS = 5
"""How much lower than the node's own a plugin's priority is: pages and calls come first."""


def confine(label: str) -> None:
    """Bound this process before any plugin code runs in it. `label` stands before each line it prints."""
    threading.Thread(target=_end_with_parent, args=[os.getppid()], name="parent", daemon=True).start()
    _step_back()
    faulthandler.enable()  # a crash in native code says where, and the node repeats it
    sys.stdout = LimitedStream(sys.stderr, label)
    sys.stderr = sys.stdout
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    if resource is not None and hasattr(resource, "RLIMIT_DATA"):
        limit = MEMORY_MB * 1024 * 1024
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _step_back() -> None:
    """Lower this process's priority, and that of its session, which is what counts where Linux groups by sessions."""
    if hasattr(os, "nice"):
        os.nice(POLITENESS)
    if hasattr(os, "getsid") and os.getsid(0) == os.getpid():  # else it would be somebody else's session too
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(POLITENESS))


def _end_with_parent(parent: int) -> None:
    """End this process when the node is gone, even while a plugin blocks the thread that would hear of it."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)
