"""The child's side: keep stdout for the channel, send everything else that is printed to stderr."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import AsyncIterator
from typing import Any

Message = dict[str, Any]

MAX_LINE = 4 * 1024 * 1024
"""Longest line, in bytes, that a child accepts from its parent."""


class ChildChannel:
    """A child's end of the channel. `send` may be called from any thread."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd = read_fd
        self._out = os.fdopen(write_fd, "wb", buffering=0)
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Write one message to the parent. A parent that is gone is noticed on the reading side."""
        line = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        view = memoryview(line)
        try:
            with self._lock:
                while view:
                    view = view[self._out.write(view) or 0 :]
        except (BrokenPipeError, BlockingIOError):
            pass

    async def messages(self) -> AsyncIterator[Message]:
        """The parent's messages, until it closes the channel or dies."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=MAX_LINE)
        pipe = os.fdopen(self._read_fd, "rb", buffering=0)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        try:
            while line := await reader.readline():
                message = json.loads(line)
                if isinstance(message, dict):
                    yield message
        finally:
            transport.close()


def open_channel() -> ChildChannel:
    """Take stdin and stdout for the channel. What this process prints from now on goes to stderr."""
    read_fd, write_fd = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    sys.stdout.flush()
    os.dup2(2, 1)
    return ChildChannel(read_fd, write_fd)
