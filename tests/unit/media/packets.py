"""RTP packets for tests."""

from __future__ import annotations

from types import SimpleNamespace

from teleconsult.media import rtp
from teleconsult.media._udp import Burst, Way
from teleconsult.media.port import Port


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


def way_to(sent: list[bytes]) -> Way:
    """A way that protects nothing and ends in a list."""
    transport = SimpleNamespace(sendto=lambda data, address: sent.append(data))
    pair = SimpleNamespace(protocol=SimpleNamespace(transport=transport), remote_addr=("192.0.2.1", 5))
    return Way({1: pair}, lambda slot, length: 0, 0)


def give(port: Port, *datagrams: bytes) -> None:
    """Datagrams that reach the port in one burst."""
    burst = Burst()
    port.receive(burst, 0, burst.put(*datagrams))
