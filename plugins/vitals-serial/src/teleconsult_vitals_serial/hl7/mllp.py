"""MLLP framing: where messages start and end in a stream of bytes. What a message says is `message`.

A block is <VT> message <FS><CR>. Neither VT nor FS nor CR is part of any character in UTF-8, GBK or GB18030, so
blocks are found in bytes, before anything is decoded. Source: HL7 v2 Implementation Support Guide, appendix C.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

START, END, RETURN = 0x0B, 0x1C, 0x0D
MOST_BYTES = 4 * 1024 * 1024
"""Analysers send pictures of their curves within results; nothing near this size is known."""


class Trouble(Enum):
    """What was wrong with bytes that were left out."""

    NO_START = auto()
    """Bytes outside of a block."""
    NO_END = auto()
    """A block began before the last one had ended."""
    TOO_LONG = auto()


@dataclass(frozen=True)
class Left:
    """Bytes that are no message. `head` is how the block began, at most 1 KiB, to answer it."""

    trouble: Trouble
    head: bytes = b""


class Framer:
    """Finds blocks in bytes that come in any pieces. Never keeps more than `most` bytes."""

    HEAD = 1024

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._block: bytearray | None = None
        self._too_long = False
        self._outside = False
        """Whether bytes outside of a block were told already: one stretch of them is told once."""

    @property
    def inside(self) -> bool:
        """Whether a block has begun and not ended."""
        return self._block is not None

    def feed(self, data: bytes) -> list[bytes | Left]:
        """Messages, without their framing, and what was left out, in order."""
        found: list[bytes | Left] = []
        at = 0
        while at < len(data):
            look = self._look_for_start if self._block is None else self._look_for_end
            at = look(data, at, found)
        return found

    def _look_for_start(self, data: bytes, at: int, found: list[bytes | Left]) -> int:
        start = data.find(START, at)
        between = data[at:] if start < 0 else data[at:start]
        if between.strip(b"\r\n\x00 ") and not self._outside:
            self._outside = True
            found.append(Left(Trouble.NO_START))
        if start < 0:
            return len(data)
        self._block, self._too_long, self._outside = bytearray(), False, False
        return start + 1

    def _look_for_end(self, data: bytes, at: int, found: list[bytes | Left]) -> int:
        assert self._block is not None
        ends = [place for place in (data.find(END, at), data.find(START, at)) if place >= 0]
        end = min(ends, default=len(data))
        room = self._most - len(self._block)
        if end - at > room:
            self._too_long = True
        self._block += data[at : min(end, at + max(room, 0))]
        if end == len(data):
            return end
        head = bytes(self._block[: self.HEAD])
        if self._too_long:
            found.append(Left(Trouble.TOO_LONG, head))
        elif data[end] == START:
            found.append(Left(Trouble.NO_END, head))
        else:
            found.append(bytes(self._block))
        if data[end] == START:
            self._block, self._too_long = bytearray(), False
        else:
            self._block = None
        return end + 1


def frame(message: bytes) -> bytes:
    """A message in its block."""
    return bytes((START,)) + message + bytes((END, RETURN))
