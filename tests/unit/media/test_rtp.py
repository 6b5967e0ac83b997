"""RTP bytes: headers, header extensions, retransmissions, keyframes."""

from __future__ import annotations

import pytest
from aiortc.rtp import RtpPacket, unpack_header_extensions
from hypothesis import given
from hypothesis import strategies as st

from teleconsult.media import rtp
from tests.unit.media.packets import fields, packet

U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFFFFFF)
ELEMENTS = st.lists(
    st.tuples(st.integers(1, 14), st.binary(min_size=1, max_size=16)), min_size=1, unique_by=lambda element: element[0]
)


@given(ELEMENTS, st.binary(max_size=40))
def test_extensions_written_are_found_again(elements: list[tuple[int, bytes]], payload: bytes) -> None:
    data = packet(1, extensions=rtp.extension_block(elements), payload=payload)
    offset = rtp.payload_offset(data)
    assert data[offset:] == payload
    for number, value in elements:
        at = rtp.find_extension(data, number, offset)
        assert data[at : at + len(value)] == value
    for number in set(range(1, 15)) - {number for number, _ in elements}:
        assert rtp.find_extension(data, number, offset) == 0


@given(ELEMENTS)
def test_extensions_written_are_read_by_another_implementation(elements: list[tuple[int, bytes]]) -> None:
    block = rtp.extension_block(elements)
    assert unpack_header_extensions(int.from_bytes(block[:2], "big"), block[4:]) == elements


def test_two_byte_extensions_are_found() -> None:
    block = bytes.fromhex("1000 0002") + bytes((4, 2)) + b"\x12\x34" + bytes((9, 1)) + b"x" + b"\x00"
    data = packet(1, extensions=block)
    at = rtp.find_extension(data, 4, rtp.payload_offset(data))
    assert data[at : at + 2] == b"\x12\x34"
    assert rtp.find_extension(data, 5, rtp.payload_offset(data)) == 0


@given(st.binary(min_size=12, max_size=80))
def test_any_bytes_are_read_or_called_malformed(data: bytes) -> None:
    try:
        offset = rtp.payload_offset(data)
    except rtp.Malformed:
        return
    assert 12 <= offset <= len(data)
    for number in range(1, 15):
        assert 0 <= rtp.find_extension(data, number, offset) <= offset
    rtp.unwrap_rtx(data, 96, 1)
    rtp.starts_keyframe("vp8", data, offset)
    rtp.starts_keyframe("h264", data, offset)


@given(U16, U16, U32, U32, st.binary(max_size=50), st.booleans())
def test_retransmission_carries_the_original(
    sequence: int, own: int, timestamp: int, ssrc: int, payload: bytes, marker: bool
) -> None:
    original = packet(sequence, timestamp, 7, 96, payload, marker)
    wrapped = rtp.wrap_rtx(original, 12, 97, own, ssrc, rtp.extension_block([(3, b"abc")]))
    assert fields(wrapped)[:4] == (97, own, timestamp, ssrc)
    assert rtp.unwrap_rtx(wrapped, 96, 7) == original
    assert RtpPacket.parse(wrapped).payload == sequence.to_bytes(2, "big") + payload


def test_retransmission_of_padding_alone_carries_nothing() -> None:
    padding = bytes(99) + bytes((100,))
    data = rtp.HEADER.pack(0xA0, 97, 5, 0, 9) + padding
    assert rtp.unwrap_rtx(data, 96, 7) == b""


@given(U16, st.integers(-0x8000, 0x7FFF))
def test_sequence_delta_is_the_way_round(old: int, delta: int) -> None:
    assert rtp.sequence_delta((old + delta) & 0xFFFF, old) == delta


@pytest.mark.parametrize(
    ("codec", "payload", "expected"),
    [
        ("vp8", "10 00", True),
        ("vp8", "10 01", False),  # an interframe
        ("vp8", "00 00", False),  # not the start of a partition
        ("vp8", "11 00", False),  # the start of another partition
        ("vp8", "90 80 05 00", True),  # 7-bit picture number
        ("vp8", "90 80 05 01", False),
        ("vp8", "90 80 85 12 00", True),  # 15-bit picture number
        ("vp8", "90 e0 85 12 00 01 00", True),  # 15-bit picture number, TL0PICIDX and TID
        ("vp8", "90", False),
        ("h264", "65 88", True),
        ("h264", "67 42", True),
        ("h264", "41 9a", False),
        ("h264", "78 00 02 67 42", True),  # aggregate that starts with a parameter set
        ("h264", "7c 85", True),  # first fragment of an IDR slice
        ("h264", "7c 05", False),  # a later fragment
        ("h264", "", False),
        ("vp9", "10 00", False),
    ],
)
def test_keyframes_are_told_from_others(codec: str, payload: str, expected: bool) -> None:
    assert rtp.starts_keyframe(codec, packet(1, payload=bytes.fromhex(payload)), 12) is expected
