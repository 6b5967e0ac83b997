"""RTP packets for tests."""

from __future__ import annotations

from teleconsult.media import rtp


def packet(
    sequence: int,
    timestamp: int = 0,
    ssrc: int = 1000,
    payload_type: int = 96,
    payload: bytes = b"\x10\x00key",
    marker: bool = False,
    extensions: bytes = b"",
) -> bytes:
    """One packet; the default payload is the start of a VP8 keyframe."""
    head = rtp.HEADER.pack(
        0x90 if extensions else 0x80,
        (0x80 if marker else 0) | payload_type,
        sequence & 0xFFFF,
        timestamp & 0xFFFFFFFF,
        ssrc,
    )
    return head + extensions + payload


def fields(data: bytes) -> tuple[int, int, int, int, bytes]:
    """Payload type, sequence, timestamp, SSRC and payload."""
    _, marker_type, sequence, timestamp, ssrc = rtp.HEADER.unpack_from(data)
    return marker_type & 0x7F, sequence, timestamp, ssrc, data[rtp.payload_offset(data) :]
