"""RTCP: what we write is what we and another implementation read; anything else costs itself."""

from __future__ import annotations

import contextlib

import pytest
from aiortc.rtp import RtcpPacket, RtcpPsfbPacket, RtcpRrPacket, RtcpRtpfbPacket, RtcpSrPacket, unpack_remb_fci
from hypothesis import given
from hypothesis import strategies as st

from teleconsult.media import rtcp
from teleconsult.media.rtp import Malformed

U32 = st.integers(0, 0xFFFFFFFF)
BLOCKS = st.builds(
    rtcp.Block,
    ssrc=U32,
    fraction_lost=st.integers(0, 255),
    lost=st.integers(-0x800000, 0x7FFFFF),
    highest=U32,
    jitter=U32,
    last_sr=U32,
    since_last_sr=U32,
)
SEQUENCES = st.tuples(st.integers(0, 0xFFFF), st.lists(st.integers(1, 40), max_size=60))


@given(U32, st.lists(BLOCKS, max_size=31))
def test_receiver_reports(ssrc: int, blocks: list[rtcp.Block]) -> None:
    data = rtcp.receiver_report(ssrc, blocks)
    assert list(rtcp.parse(data)) == [rtcp.ReceiverReport(ssrc, tuple(blocks))]
    (theirs,) = RtcpPacket.parse(data)
    assert isinstance(theirs, RtcpRrPacket)
    assert [(one.ssrc, one.packets_lost, one.dlsr) for one in theirs.reports] == [
        (block.ssrc, block.lost, block.since_last_sr) for block in blocks
    ]


@given(st.builds(rtcp.SenderReport, U32, st.integers(0, 2**64 - 1), U32, U32, U32, st.tuples(BLOCKS)))
def test_sender_reports_with_a_name(report: rtcp.SenderReport) -> None:
    data = rtcp.sender_report(report) + rtcp.description(report.ssrc, "ann")
    assert list(rtcp.parse(data)) == [report]
    theirs, names = RtcpPacket.parse(data)
    assert isinstance(theirs, RtcpSrPacket)
    assert theirs.sender_info.ntp_timestamp == report.ntp
    assert names.chunks[0].items == [(1, b"ann")]  # type: ignore[union-attr]


@given(st.text("abcdefgh-", max_size=64))
def test_names_of_any_length_are_padded(name: str) -> None:
    data = rtcp.description(5, name)
    assert len(data) % 4 == 0
    assert RtcpPacket.parse(data)[0].chunks[0].items == [(1, name.encode())]  # type: ignore[union-attr]


@given(SEQUENCES)
def test_nacks(steps: tuple[int, list[int]]) -> None:
    sequences = [steps[0]]
    for step in steps[1]:
        sequences.append((sequences[-1] + step) & 0xFFFF)
    data = rtcp.nack(1, 2, sequences)
    assert list(rtcp.parse(data)) == [rtcp.Nack(2, tuple(sequences))]
    (theirs,) = RtcpPacket.parse(data)
    assert isinstance(theirs, RtcpRtpfbPacket)
    assert [one & 0xFFFF for one in theirs.lost] == sequences  # theirs does not wrap


@given(st.integers(0, 2**40), st.lists(U32, max_size=5))
def test_remb(bitrate: int, ssrcs: list[int]) -> None:
    data = rtcp.remb(1, bitrate, ssrcs)
    (report,) = rtcp.parse(data)
    assert isinstance(report, rtcp.Remb)
    assert report.ssrcs == tuple(ssrcs)
    assert bitrate * (1 - 2**-17) <= report.bitrate <= bitrate
    (theirs,) = RtcpPacket.parse(data)
    assert isinstance(theirs, RtcpPsfbPacket)
    assert unpack_remb_fci(theirs.fci) == (report.bitrate, ssrcs)


def test_keyframe_requests_of_both_kinds() -> None:
    fir = bytes.fromhex("84ce0006 00000001 00000000 00000007 01000000 00000008 02000000")
    assert list(rtcp.parse(rtcp.keyframe_request(1, 7) + fir)) == [
        rtcp.KeyframeRequest(7),
        rtcp.KeyframeRequest(7),
        rtcp.KeyframeRequest(8),
    ]


def test_transport_feedback_is_padded_and_skipped_when_it_comes_in() -> None:
    data = rtcp.transport_feedback(1, 2, b"12345")
    assert len(data) == 20
    assert data[0] == 0xAF
    assert data[-1] == 3
    assert list(rtcp.parse(data)) == []


@given(st.binary(max_size=120))
def test_any_bytes_are_read_or_called_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        list(rtcp.parse(data))


@given(st.integers(1, 60))
def test_truncated_reports_are_malformed(cut: int) -> None:
    data = rtcp.receiver_report(1, [rtcp.Block(2, 0, 0, 0, 0, 0, 0), rtcp.Block(3, 0, 0, 0, 0, 0, 0)])
    if cut < len(data):
        with pytest.raises(Malformed):
            list(rtcp.parse(data[:-cut]))
