"""Finds frames in the bytes of an oximeter and finds them again after garbage. What frames mean is `values`.

Formats 2 and 7 send 75 frames of five bytes a second, 25 of them make a packet; each frame ends with a checksum
and the first frame of a packet has the SYNC bit. A stream counts as found only with one packet that is right in
all its 125 bytes: a checksum of eight bits alone is met by accident too often. Format 8 sends four bytes a
second without a checksum; only bit 7 tells its first byte. Format 13 sends a packet with start, length,
checksum and end for each finished measurement.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

FRAME_BYTES = 5
PACKET_FRAMES = 25
PACKET_BYTES = FRAME_BYTES * PACKET_FRAMES
FRAMES_PER_SECOND = 75
SYNC = 0x01
_TOP = 0x80


class Format(IntEnum):
    """The maker's number of a serial data format."""

    PLETHYSMOGRAM_8_BIT = 2
    PLETHYSMOGRAM_16_BIT = 7
    EACH_SECOND = 8
    SPOT_CHECK = 13


@dataclass(frozen=True)
class Frame:
    """One right frame of format 2 or 7. `pleth` is 0..255 (format 2) or 0..65535 (format 7)."""

    status: int
    pleth: int
    value: int
    """The fourth byte: what it means depends on the frame's place in its packet."""
    raw: bytes


@dataclass(frozen=True)
class Packet:
    """A third of a second of format 2 or 7: the frames at places 1 to 25, None for a lost one."""

    format: Format
    frames: tuple[Frame | None, ...]

    @property
    def raw(self) -> bytes:
        """The bytes of the frames that are there."""
        return b"".join(frame.raw for frame in self.frames if frame)


@dataclass(frozen=True)
class Second:
    """Four bytes of format 8."""

    raw: bytes


@dataclass(frozen=True)
class SpotCheck:
    """A whole packet of format 13, its checksum right. `data` is what stands between header and footer."""

    data: bytes
    raw: bytes


Found = Packet | Second | SpotCheck


@dataclass
class Counts:
    """What a line did so far."""

    frames: int = 0
    """Right frames."""
    broken: int = 0
    """Frames whose checksum or form was wrong after the stream had been found."""
    skipped: int = 0
    """Bytes that belonged to no frame."""


class Scanner(Protocol):
    """Takes bytes as they come and gives what they hold. It never raises and never keeps more than one packet."""

    counts: Counts

    def feed(self, data: bytes) -> list[Found]:
        """The whole packets that are complete with these bytes."""
        ...


def _frame(format_: Format, data: bytes) -> Frame | None:
    """The frame in exactly five bytes; None if they are none."""
    if sum(data[:4]) & 0xFF != data[4]:
        return None
    if format_ is Format.PLETHYSMOGRAM_8_BIT:
        if data[0] != 1 or data[1] < _TOP:
            return None
        return Frame(data[1], data[2], data[3], data)
    return Frame(data[0], data[1] << 8 | data[2], data[3], data) if data[0] >= _TOP else None


@dataclass
class PacketScanner:
    """Formats 2 and 7."""

    format: Format
    counts: Counts = field(default_factory=Counts)
    _buffer: bytearray = field(default_factory=bytearray)
    _frames: list[Frame | None] = field(default_factory=list)
    _found: bool = False

    def feed(self, data: bytes) -> list[Found]:
        """Packets in order. A frame that is broken while the next two are right leaves a hole in its packet.

        A packet is given once the SYNC of the next one follows: only that shows that no frame was lost within
        it, and what a frame's value means hangs on its place alone.
        """
        self._buffer += data
        packets: list[Found] = []
        while self._step(packets):
            pass
        return packets

    def _step(self, packets: list[Found]) -> bool:
        if not self._found:
            return self._search()
        if len(self._buffer) < FRAME_BYTES:
            return False
        frame = self._at(0)
        if frame is None:
            if len(self._buffer) < 3 * FRAME_BYTES:
                return False
            self.counts.broken += 1
            if self._at(1) is None or self._at(2) is None:
                self._frames = []
                self._found = False
                return True
        elif bool(frame.status & SYNC) != (len(self._frames) in (0, PACKET_FRAMES)):
            self.counts.broken += 1  # whole frames were lost, nobody knows which
            self._frames = []
            if not frame.status & SYNC:
                self._found = False
                return True
        if len(self._frames) == PACKET_FRAMES:
            if frame is not None:
                packets.append(Packet(self.format, tuple(self._frames)))
            self._frames = []
        if frame is not None:
            self.counts.frames += 1
        self._frames.append(frame)
        del self._buffer[:FRAME_BYTES]
        return True

    def _at(self, place: int) -> Frame | None:
        return _frame(self.format, bytes(self._buffer[place * FRAME_BYTES : (place + 1) * FRAME_BYTES]))

    def _search(self) -> bool:
        """Drop bytes up to the first place where a whole right packet starts. False if more bytes are needed."""
        start = 0
        while start + PACKET_BYTES <= len(self._buffer):
            if self._packet_at(start):
                break
            start += 1
        else:
            self.counts.skipped += start
            del self._buffer[:start]
            return False
        self.counts.skipped += start
        del self._buffer[:start]
        self._found = True
        return True

    def _packet_at(self, start: int) -> bool:
        for place in range(PACKET_FRAMES):
            at = start + place * FRAME_BYTES
            frame = _frame(self.format, bytes(self._buffer[at : at + FRAME_BYTES]))
            if frame is None or bool(frame.status & SYNC) != (place == 0):
                return False
        return True


@dataclass
class SecondScanner:
    """Format 8. It has no checksum, so the first seven frames after anything else are not taken.

    Noise, as of a wrong speed, looks like one frame in one of twenty places, and like eight in a row once in
    months of nothing but noise.
    """

    NOT_TAKEN = 7
    NO_VALUE, MOST = 127, 100

    counts: Counts = field(default_factory=Counts)
    _buffer: bytearray = field(default_factory=bytearray)
    _run: int = 0
    """Right frames since anything else came."""

    def feed(self, data: bytes) -> list[Found]:
        """Frames in order."""
        self._buffer += data
        found: list[Found] = []
        while self._buffer:
            if self._buffer[0] < _TOP:
                self._skip(1)
                continue
            end = next((at for at in range(1, min(4, len(self._buffer))) if self._buffer[at] >= _TOP), None)
            if end is not None:
                self._skip(end)
                continue
            if len(self._buffer) < 4:
                break
            if self.MOST < self._buffer[2] < self.NO_VALUE:
                self._skip(4)
                continue
            self._run += 1
            if self._run > self.NOT_TAKEN:
                self.counts.frames += 1
                found.append(Second(bytes(self._buffer[:4])))
            del self._buffer[:4]
        return found

    def _skip(self, size: int) -> None:
        if self._run > self.NOT_TAKEN:
            self.counts.broken += 1
        self.counts.skipped += size
        self._run = 0
        del self._buffer[:size]


@dataclass
class SpotCheckScanner:
    """Format 13."""

    HEADER = bytes((0x00, 0x02, 0x00, 0x0D))
    LEAST_DATA = 14
    MOST_DATA = 64
    """The data may grow with new parameters; nothing near this size is known."""
    ETX = 0x03

    counts: Counts = field(default_factory=Counts)
    _buffer: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[Found]:
        """Packets in order."""
        self._buffer += data
        found: list[Found] = []
        while (packet := self._next()) is not None:
            if packet:
                self.counts.frames += 1
                found.append(SpotCheck(packet[6:-2], packet))
        return found

    def _next(self) -> bytes | None:
        """The packet at the start, b"" for something dropped, None if more bytes are needed."""
        start = self._buffer.find(self.HEADER)
        if start < 0:
            kept = next((size for size in (3, 2, 1) if self._buffer.endswith(self.HEADER[:size])), 0)
            self._skip(len(self._buffer) - kept)
            return None
        self._skip(start)
        if len(self._buffer) < 6:
            return None
        size = self._buffer[4] << 8 | self._buffer[5]
        if not self.LEAST_DATA <= size <= self.MOST_DATA:
            return self._broken()
        whole = 6 + size + 2
        if len(self._buffer) < whole:
            return None
        packet = bytes(self._buffer[:whole])
        if packet[-1] != self.ETX or sum(packet[6:-2]) & 0xFF != packet[-2]:
            return self._broken()
        del self._buffer[:whole]
        return packet

    def _broken(self) -> bytes:
        self.counts.broken += 1
        self._skip(1)
        return b""

    def _skip(self, size: int) -> None:
        self.counts.skipped += size
        del self._buffer[:size]


def scanner(format_: Format) -> Scanner:
    """The scanner of one format."""
    if format_ is Format.EACH_SECOND:
        return SecondScanner()
    if format_ is Format.SPOT_CHECK:
        return SpotCheckScanner()
    return PacketScanner(format_)


class Detector:
    """Scans for all formats until one is found, then for that one alone.

    A device sends one format; for another one make a new detector.
    """

    def __init__(self, only: Format | None = None) -> None:
        self._candidates = {format_: scanner(format_) for format_ in ([only] if only else Format)}

    @property
    def format(self) -> Format | None:
        """The format that was found; None as long as it is unknown."""
        return next(iter(self._candidates)) if len(self._candidates) == 1 else None

    @property
    def counts(self) -> Counts:
        """Counts of the format that was found."""
        return self._candidates[self.format].counts if self.format else Counts()

    def feed(self, data: bytes) -> list[Found]:
        """What the format that was found holds in these bytes."""
        for format_, candidate in list(self._candidates.items()):
            found = candidate.feed(data)
            if found:
                self._candidates = {format_: candidate}
                return found
        return []
