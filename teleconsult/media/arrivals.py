"""Transport-wide feedback: tell a browser when each of its packets arrived, so that it finds its own rate.

The browser numbers all its packets (a header extension) and judges queueing and loss from the arrival times we
report; its estimator is far better than one a forwarder could afford. Format: draft-holmer-rmcat-transport-wide-cc-
extensions-01.
"""

from __future__ import annotations

from operator import sub
from struct import Struct
from typing import Final

from teleconsult.media.rtp import sequence_delta

TICK: Final = 250_000
"""Nanoseconds in the unit of arrival times."""

_REFERENCE: Final = 256
"""Ticks in 64 ms: the unit of a message's reference time."""

MAX_SPAN: Final = 2000
"""Most packets one message speaks of; a longer silence starts anew."""

_HEAD: Final = Struct("!HHI")
_U16: Final = Struct("!H")
_S16: Final = Struct("!h")

_LOST, _SMALL, _LARGE = 0, 1, 2


class Arrivals:
    """Collects arrivals of one transport and writes them as feedback messages."""

    def __init__(self) -> None:
        self.times: dict[int, int] = {}
        """Sequence number to arrival in ticks; the packet path writes here directly."""
        self._next = -1
        self._messages = 0

    def message(self) -> bytes:
        """The feedback on everything that came since the last call, or nothing to say."""
        times, self.times = self.times, {}
        if not times:
            return b""
        number = self._messages & 0xFF
        start = self._next if self._next >= 0 else next(iter(times))
        usual = _encode_usual(start, times, number)
        if usual:
            self._next = (start + len(times)) & 0xFFFF
            self._messages += 1
            return usual
        offsets = sorted((sequence_delta(sequence, start), ticks) for sequence, ticks in times.items())
        first, last = min(offsets[0][0], 0), offsets[-1][0]
        if last - first >= MAX_SPAN:
            self._next = (start + last + 1) & 0xFFFF
            return b""
        self._next = (start + max(last + 1, 0)) & 0xFFFF
        self._messages += 1
        return encode((start + first) & 0xFFFF, [(offset - first, ticks) for offset, ticks in offsets], number)


def _encode_usual(first: int, times: dict[int, int], number: int) -> bytes:
    """The message if nothing is missing, nothing came late, and no pause was longer than 64 ms; else nothing."""
    count = len(times)
    if list(times) != list(range(first, first + count)):
        return b""
    ticks = list(times.values())
    reference = ticks[0] // _REFERENCE
    try:
        deltas = bytes(map(sub, ticks, [reference * _REFERENCE, *ticks]))
    except ValueError:
        return b""
    return _HEAD.pack(first, count, (reference & 0xFFFFFF) << 8 | number) + _U16.pack(_SMALL << 13 | count) + deltas


def encode(base: int, arrivals: list[tuple[int, int]], number: int) -> bytes:
    """One feedback message. `arrivals`: (offset from `base`, arrival in ticks), ascending, not empty."""
    reference = arrivals[0][1] // _REFERENCE
    at = reference * _REFERENCE
    symbols = [_LOST] * (arrivals[-1][0] + 1)
    deltas = bytearray()
    for offset, ticks in arrivals:
        delta = ticks - at
        if 0 <= delta < 256:
            symbols[offset] = _SMALL
            deltas.append(delta)
        else:
            delta = max(-0x8000, min(delta, 0x7FFF))
            symbols[offset] = _LARGE
            deltas += _S16.pack(delta)
        at += delta
    head = _HEAD.pack(base, len(symbols), (reference & 0xFFFFFF) << 8 | number)
    return head + _chunks(symbols) + bytes(deltas)


def _chunks(symbols: list[int]) -> bytes:
    """Run-length chunks where seven or more symbols are alike, vectors of seven two-bit symbols elsewhere."""
    out = bytearray()
    at, end = 0, len(symbols)
    while at < end:
        symbol, run = symbols[at], 1
        while at + run < end and run < 0x1FFF and symbols[at + run] == symbol:
            run += 1
        if run >= 7 or at + run == end:
            out += _U16.pack(symbol << 13 | run)
            at += run
            continue
        vector = 0xC000
        for place, value in enumerate(symbols[at : at + 7]):
            vector |= value << (12 - 2 * place)
        out += _U16.pack(vector)
        at += 7
    return bytes(out)
