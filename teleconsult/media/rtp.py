"""RTP packets as bytes: what the forwarding path must read, and what it writes instead.

Pure functions and constants (RFC 3550, 4588, 7741, 6184, 8285). No state, no sockets, and no packet objects: one
call a packet is what a forwarder can afford.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

HEADER: Final = Struct("!BBHII")
"""Flags, marker and payload type, sequence number, timestamp, SSRC."""

TIMED_HEADER: Final = Struct("!BBHIIHHI")
"""A header followed by an extension block that holds abs-send-time alone."""

ONE_BYTE_PROFILE: Final = 0xBEDE
TWO_BYTE_PROFILE: Final = 0x1000

MID: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
AUDIO_LEVEL: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
ABS_SEND_TIME: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
TRANSPORT_SEQUENCE: Final = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

_U16: Final = Struct("!H")


class Malformed(ValueError):  # noqa: N818 - reads as what it says of the bytes
    """The bytes are no RTP or RTCP packet, or a truncated one."""


def payload_offset(packet: bytes) -> int:
    """Where the payload starts. Raises Malformed if the header is cut short."""
    flags = packet[0]
    offset = 12 + 4 * (flags & 0x0F)
    if flags & 0x10:
        if len(packet) < offset + 4:
            raise Malformed("header extension is truncated")
        offset += 4 + 4 * (packet[offset + 2] << 8 | packet[offset + 3])
    if len(packet) < offset:
        raise Malformed("header is truncated")
    return offset


def find_extension(packet: bytes, wanted: int, end: int) -> int:
    """Where the value of header extension `wanted` starts, or 0. `end` is `payload_offset(packet)`.

    Reads the one-byte form, and the two-byte form that a sender uses when a value is long (RFC 8285).
    """
    flags = packet[0]
    if not flags & 0x10:
        return 0
    at = 12 + 4 * (flags & 0x0F)
    profile = packet[at] << 8 | packet[at + 1]
    at += 4
    if profile == ONE_BYTE_PROFILE:
        while at < end:
            head = packet[at]
            if not head:
                at += 1
                continue
            if head >> 4 == wanted:
                return at + 1 if at + 2 + (head & 15) <= end else 0
            at += 2 + (head & 15)
    elif profile & 0xFFF0 == TWO_BYTE_PROFILE:
        while at + 1 < end:
            head = packet[at]
            if not head:
                at += 1
                continue
            if head == wanted:
                return at + 2 if packet[at + 1] and at + 2 + packet[at + 1] <= end else 0
            at += 2 + packet[at + 1]
    return 0


def extension_block(elements: list[tuple[int, bytes]]) -> bytes:
    """A one-byte-form extension block. Identifiers are 1 to 14, values 1 to 16 bytes long."""
    body = b"".join(bytes(((number << 4) | (len(value) - 1),)) + value for number, value in elements)
    body += bytes(-len(body) % 4)
    return ONE_BYTE_PROFILE.to_bytes(2, "big") + (len(body) // 4).to_bytes(2, "big") + body


def abs_send_time(seconds: float) -> int:
    """Seconds of any steady clock as the 24-bit 6.18 fixed-point number of the abs-send-time extension."""
    return int(seconds * 262144.0) & 0xFFFFFF


def sequence_delta(new: int, old: int) -> int:
    """How far 16-bit `new` lies after `old`: -32768 to 32767, negative when it lies before."""
    return ((new - old + 0x8000) & 0xFFFF) - 0x8000


def wrap_rtx(packet: bytes, offset: int, payload_type: int, sequence: int, ssrc: int, extensions: bytes) -> bytes:
    """A retransmission (RFC 4588) of `packet`, whose payload starts at `offset`; keeps its timestamp and marker.

    `extensions` is an extension block, or empty.
    """
    flags, marker_type, original, timestamp, _ = HEADER.unpack_from(packet)
    head = HEADER.pack(
        0x80 | (flags & 0x20) | (0x10 if extensions else 0),
        (marker_type & 0x80) | payload_type,
        sequence,
        timestamp,
        ssrc,
    )
    return head + extensions + _U16.pack(original) + packet[offset:]


def unwrap_rtx(packet: bytes, payload_type: int, ssrc: int) -> bytes:
    """The packet that a retransmission carries, without header extensions; empty if it carries only padding."""
    offset = payload_offset(packet)
    flags, marker_type, _, timestamp, _ = HEADER.unpack_from(packet)
    end = len(packet) - (packet[-1] if flags & 0x20 else 0)
    if end - offset < 2:
        return b""
    original = packet[offset] << 8 | packet[offset + 1]
    head = HEADER.pack(0x80, (marker_type & 0x80) | payload_type, original, timestamp, ssrc)
    return head + packet[offset + 2 : end]


def starts_keyframe(codec: str, packet: bytes, offset: int) -> bool:
    """Whether the payload at `offset` begins a picture that needs no earlier one. `codec` is "vp8" or "h264"."""
    payload = packet[offset : offset + 64]
    if codec == "vp8":
        return _vp8_keyframe(payload)
    return codec == "h264" and _h264_keyframe(payload)


def _vp8_keyframe(payload: bytes) -> bool:
    """RFC 7741: start of partition 0, and the inverse key frame flag of the VP8 frame header is 0."""
    if len(payload) < 2 or payload[0] & 0x17 != 0x10:
        return False
    at = 1
    if payload[0] & 0x80:
        extended = payload[1]
        at = 2
        if extended & 0x80 and len(payload) > at:
            at += 2 if payload[at] & 0x80 else 1
        if extended & 0x40:
            at += 1
        if extended & 0x30:
            at += 1
    return len(payload) > at and not payload[at] & 1


def _h264_keyframe(payload: bytes) -> bool:
    """RFC 6184: an IDR slice or a sequence parameter set, alone, in an aggregate, or at the start of fragments."""
    if not payload:
        return False
    kind = payload[0] & 0x1F
    if kind == 24 and len(payload) > 3:
        kind = payload[3] & 0x1F
    elif kind == 28 and len(payload) > 1 and payload[1] & 0x80:
        kind = payload[1] & 0x1F
    return kind in (5, 7)
