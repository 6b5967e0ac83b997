"""RTCP: the reports and requests that a forwarder reads from and writes to each browser.

Pure functions and frozen values (RFC 3550, 4585, 5104 and the REMB draft). What arrives was written by
somebody else: anything cut short raises Malformed and costs that datagram only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from struct import Struct, error
from typing import Final

from teleconsult.media.rtp import Malformed

SENDER_REPORT: Final = 200
RECEIVER_REPORT: Final = 201
SOURCE_DESCRIPTION: Final = 202
BYE: Final = 203
TRANSPORT_FEEDBACK: Final = 205
PAYLOAD_FEEDBACK: Final = 206

_HEAD: Final = Struct("!BBH")
_U32: Final = Struct("!I")
_PAIR: Final = Struct("!II")
_SENDER: Final = Struct("!IQIII")
_BLOCK: Final = Struct("!IIIIII")
_NACK: Final = Struct("!HH")


@dataclass(frozen=True, slots=True)
class Block:
    """One reception report: what a receiver got of one SSRC. `lost` is signed; `fraction_lost` is 0 to 255."""

    ssrc: int
    fraction_lost: int
    lost: int
    highest: int
    jitter: int
    last_sr: int
    since_last_sr: int


@dataclass(frozen=True, slots=True)
class SenderReport:
    """`ntp` (64 bit, seconds in the upper half) and `rtp_time` name the same instant of one stream."""

    ssrc: int
    ntp: int
    rtp_time: int
    packets: int
    octets: int
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    ssrc: int
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class Nack:
    """Sequence numbers of `ssrc` that did not arrive."""

    ssrc: int
    sequences: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeyframeRequest:
    """PLI or FIR for `ssrc`."""

    ssrc: int


@dataclass(frozen=True, slots=True)
class Remb:
    """The most a receiver believes it can take, over all of `ssrcs`, in bit/s."""

    bitrate: int
    ssrcs: tuple[int, ...]


Report = SenderReport | ReceiverReport | Nack | KeyframeRequest | Remb


def parse(packet: bytes) -> Iterator[Report]:
    """What a compound packet says, in order; kinds that a forwarder has no use for are skipped."""
    try:
        yield from _parse(packet)
    except (error, IndexError) as exc:
        raise Malformed("RTCP is truncated") from exc


def _parse(packet: bytes) -> Iterator[Report]:
    at = 0
    while at < len(packet):
        flags, kind, words = _HEAD.unpack_from(packet, at)
        end = at + 4 + 4 * words
        if flags >> 6 != 2 or end > len(packet):
            raise Malformed("RTCP version or length is wrong")
        count = flags & 0x1F
        body = packet[at + 4 : end]
        at = end
        if kind == SENDER_REPORT:
            ssrc, ntp, rtp_time, packets, octets = _SENDER.unpack_from(body)
            yield SenderReport(ssrc, ntp, rtp_time, packets, octets, tuple(_blocks(body, 24, count)))
        elif kind == RECEIVER_REPORT:
            yield ReceiverReport(_U32.unpack_from(body)[0], tuple(_blocks(body, 4, count)))
        elif kind == TRANSPORT_FEEDBACK and count == 1:
            yield Nack(_PAIR.unpack_from(body)[1], tuple(_lost(body)))
        elif kind == PAYLOAD_FEEDBACK and count == 1:
            yield KeyframeRequest(_PAIR.unpack_from(body)[1])
        elif kind == PAYLOAD_FEEDBACK and count == 4:
            for entry in range(8, len(body) - 7, 8):
                yield KeyframeRequest(_U32.unpack_from(body, entry)[0])
        elif kind == PAYLOAD_FEEDBACK and count == 15 and body[8:12] == b"REMB":
            yield _remb(body)


def _blocks(body: bytes, at: int, count: int) -> Iterator[Block]:
    for number in range(count):
        ssrc, losses, highest, jitter, last_sr, since = _BLOCK.unpack_from(body, at + 24 * number)
        lost = losses & 0xFFFFFF
        yield Block(ssrc, losses >> 24, lost - (lost >> 23 << 24), highest, jitter, last_sr, since)


def _lost(body: bytes) -> Iterator[int]:
    for first, mask in _NACK.iter_unpack(body[8 : len(body) - len(body) % 4]):
        yield first
        for bit in range(16):
            if mask >> bit & 1:
                yield (first + bit + 1) & 0xFFFF


def _remb(body: bytes) -> Remb:
    count = body[12]
    exponent, mantissa = body[13] >> 2, (body[13] & 3) << 16 | body[14] << 8 | body[15]
    ssrcs = tuple(_U32.unpack_from(body, 16 + 4 * number)[0] for number in range(count))
    return Remb(mantissa << exponent, ssrcs)


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return _HEAD.pack(0x80 | count, kind, len(body) // 4) + body


def _pack_block(block: Block) -> bytes:
    losses = block.fraction_lost << 24 | (max(-0x800000, min(block.lost, 0x7FFFFF)) & 0xFFFFFF)
    return _BLOCK.pack(block.ssrc, losses, block.highest, block.jitter, block.last_sr, block.since_last_sr)


def sender_report(report: SenderReport) -> bytes:
    """At most 31 blocks."""
    head = _SENDER.pack(report.ssrc, report.ntp, report.rtp_time, report.packets, report.octets)
    return _packet(SENDER_REPORT, len(report.blocks), head + b"".join(map(_pack_block, report.blocks)))


def receiver_report(ssrc: int, blocks: Sequence[Block] = ()) -> bytes:
    """At most 31 blocks. Without blocks it is the opening that a compound packet of feedback needs."""
    return _packet(RECEIVER_REPORT, len(blocks), _U32.pack(ssrc) + b"".join(map(_pack_block, blocks)))


def description(ssrc: int, cname: str) -> bytes:
    """SDES with the CNAME that ties the streams of one source together. `cname`: at most 255 bytes."""
    item = b"\x01" + bytes((len(cname.encode()),)) + cname.encode()
    return _packet(SOURCE_DESCRIPTION, 1, _U32.pack(ssrc) + item + bytes(4 - len(item) % 4))


def nack(sender: int, ssrc: int, sequences: Iterable[int]) -> bytes:
    """Ask for missing sequence numbers, given in ascending (wrapping) order."""
    entries: list[list[int]] = []
    for sequence in sequences:
        distance = (sequence - entries[-1][0] - 1) & 0xFFFF if entries else 0xFFFF
        if distance < 16:
            entries[-1][1] |= 1 << distance
        else:
            entries.append([sequence, 0])
    return _packet(TRANSPORT_FEEDBACK, 1, _PAIR.pack(sender, ssrc) + b"".join(_NACK.pack(*e) for e in entries))


def keyframe_request(sender: int, ssrc: int) -> bytes:
    """PLI."""
    return _packet(PAYLOAD_FEEDBACK, 1, _PAIR.pack(sender, ssrc))


def remb(sender: int, bitrate: int, ssrcs: Sequence[int]) -> bytes:
    """REMB; `bitrate` in bit/s is rounded down to 18 significant bits."""
    exponent = max(0, bitrate.bit_length() - 18)
    mantissa = bitrate >> exponent
    body = _PAIR.pack(sender, 0) + b"REMB" + _U32.pack(len(ssrcs) << 24 | exponent << 18 | mantissa)
    return _packet(PAYLOAD_FEEDBACK, 15, body + b"".join(map(_U32.pack, ssrcs)))


def transport_feedback(sender: int, ssrc: int, message: bytes) -> bytes:
    """Wrap a transport-wide feedback message (see `arrivals`), padded to whole words."""
    padding = -len(message) % 4
    tail = bytes(padding - 1) + bytes((padding,)) if padding else b""
    return _packet(TRANSPORT_FEEDBACK, 15 | (0x20 if padding else 0), _PAIR.pack(sender, ssrc) + message + tail)
