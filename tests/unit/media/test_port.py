"""The port: what is let in, what is counted, what is answered. The cipher here is plain, which SRTP never is."""

from __future__ import annotations

import random
from time import monotonic
from typing import Any

from teleconsult.media import rtcp, rtp
from teleconsult.media._udp import ffi
from teleconsult.media.arrivals import Arrivals
from teleconsult.media.downtrack import Downtrack
from teleconsult.media.port import FREES, MAX_REPORTERS, UNLIMITED, Cipher, Port
from teleconsult.media.source import Source
from tests.unit.media.packets import fields, give, packet, way_to


class Plain:
    """A cipher that hides nothing, and what was sent through it."""

    def __init__(self, port: Port) -> None:
        self.sent: list[bytes] = []
        self.reports: list[rtcp.Report] = []
        self.opened = 0
        self.feedback = 0
        port.open(Cipher(self._open, self._open_rtcp, way_to(self.sent), self._report))

    def _open(self, slot: Any, length: Any) -> int:
        self.opened += 1
        return bytes(ffi.buffer(slot, length[0])).endswith(b"forged")

    def _open_rtcp(self, data: bytes) -> bytes:
        self.opened += 1
        if data.endswith(b"forged"):
            raise ValueError("authentication failure")
        return data

    def _report(self, data: bytes) -> None:
        self.feedback += data[8] == 0x8F | 0x20 * bool(data[8] & 0x20) and data[9] == 205
        self.reports.extend(rtcp.parse(data))


def publishing() -> tuple[Port, Plain, Source]:
    port = Port()
    plain = Plain(port)
    source = Source("video", 1000, 90000, {96: "vp8"}, port.ssrc, port.send_rtcp, nack=True)
    port.add_source(source, 1001, {97: 96})
    port.set_transport_extension(4)
    return port, plain, source


def receiving(source: Source) -> tuple[Port, Plain, Downtrack]:
    port = Port()
    plain = Plain(port)
    down = Downtrack("video", 5000, 5001, "ann", port.send_rtcp, lambda codec: None)
    down.negotiate({"vp8": 120}, {120: 121}, 3, None)
    port.add_down(down)
    source.attach(down, 0.0)
    return port, plain, down


def test_stream_goes_from_port_to_port() -> None:
    port, _, source = publishing()
    other, plain, _ = receiving(source)
    give(port, packet(1))
    give(port, packet(2, payload=b"\x10\x01more"))
    assert [fields(one)[4] for one in plain.sent] == [b"\x10\x00key", b"\x10\x01more"]
    assert (port.received, other.sent, port.refused) == (2, 2, 0)


def test_retransmission_of_the_publisher_fills_the_gap() -> None:
    port, plain, source = publishing()
    _, others, _ = receiving(source)
    give(port, packet(1))
    give(port, packet(3, payload=b"\x10\x01three"))
    assert any(isinstance(one, rtcp.Nack) and one.sequences == (2,) for one in plain.reports)
    give(port, rtp.wrap_rtx(packet(2, payload=b"\x10\x01two"), 12, 97, 77, 1001, b""))
    assert fields(others.sent[-1])[4] == b"\x10\x01two"
    assert fields(others.sent[-1])[1] == fields(others.sent[0])[1] + 1


def test_nothing_passes_before_the_keys_and_after_the_end() -> None:
    port = Port()
    give(port, packet(1))
    assert port.refused == 1
    open_port, plain, source = publishing()
    _, others, _ = receiving(source)
    open_port.close()
    give(open_port, packet(1))
    assert (open_port.refused, others.sent, plain.opened) == (1, [], 0)


def test_unannounced_ssrc_is_not_even_deciphered() -> None:
    port, plain, _ = publishing()
    for number in range(1000):
        give(port, packet(1, ssrc=50_000 + number))
    assert plain.opened == 0
    assert port.refused == 1000


def test_number_of_reporting_ssrcs_is_bounded() -> None:
    port, plain, _ = publishing()
    for number in range(MAX_REPORTERS + 50):
        give(port, rtcp.receiver_report(number))
    assert plain.opened == MAX_REPORTERS
    assert port.refused == 50
    for number in range(MAX_REPORTERS, 500):
        give(port, rtcp.receiver_report(number) + b"forged")
    assert port.refused > 400


def test_garbage_is_counted_and_nothing_is_raised() -> None:
    port, _, source = publishing()
    _, others, _ = receiving(source)
    give(port, packet(1))
    rng = random.Random(3)
    good = [packet(2), rtcp.receiver_report(1), rtcp.nack(1, 5000, [4]), rtcp.remb(1, 10**6, [5000])]
    for _ in range(3000):
        data = bytearray(rng.choice(good))
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        give(port, bytes(data[: rng.randrange(len(data) + 1)]) or b"\x80")
    assert port.refused > 500
    give(port, packet(30_000))
    assert fields(others.sent[-1])[4] == b"\x10\x00key"


def test_feedback_of_receivers_reaches_the_publisher_or_is_answered() -> None:
    port, plain, source = publishing()
    other, others, down = receiving(source)
    give(port, packet(1))
    sequence = fields(others.sent[0])[1]
    give(other, rtcp.receiver_report(9) + rtcp.nack(9, down.ssrc, [sequence]))
    assert fields(others.sent[-1])[0] == 121
    source.tick(100.0)
    before = sum(isinstance(one, rtcp.KeyframeRequest) for one in plain.reports)
    source._keyframe_asked = -10.0
    give(other, rtcp.receiver_report(9) + rtcp.keyframe_request(9, down.ssrc))
    assert sum(isinstance(one, rtcp.KeyframeRequest) for one in plain.reports) == before + 1
    give(other, rtcp.receiver_report(9) + rtcp.keyframe_request(9, 1000))  # not a stream of this receiver
    assert sum(isinstance(one, rtcp.KeyframeRequest) for one in plain.reports) == before + 1
    estimates: list[int] = []
    reports: list[tuple[float, float | None]] = []
    other.on_estimate = estimates.append
    other.on_report = lambda loss, round_trip: reports.append((loss, round_trip))
    give(other, rtcp.receiver_report(9) + rtcp.remb(9, 640_000, [down.ssrc]))
    assert estimates == [640_000]
    block = rtcp.Block(down.ssrc, 64, 10, sequence, 0, 0, 0)
    give(other, rtcp.receiver_report(9, [block]))
    assert reports == [(0.25, None)]


def test_port_numbers_arrivals_and_reports_every_second() -> None:
    port, plain, _ = publishing()
    give(port, packet(1, extensions=rtp.extension_block([(4, b"\x00\x07")])))
    give(port, packet(2, extensions=rtp.extension_block([(4, b"\x00\x08")])))
    assert set(port.arrivals.times) == {7, 8}
    now = monotonic() + 1
    port.tick(now)
    assert isinstance(port.arrivals, Arrivals)
    assert port.arrivals.times == {}
    assert plain.feedback == 1
    reports = [one for one in plain.reports if isinstance(one, rtcp.ReceiverReport) and one.blocks]
    assert [block.ssrc for block in reports[0].blocks] == [1000]
    port.tick(now + 0.5)
    assert len([one for one in plain.reports if isinstance(one, rtcp.ReceiverReport) and one.blocks]) == 1


def test_publisher_is_limited_when_it_falls_and_told_when_it_is_over() -> None:
    port, plain, source = publishing()

    def told() -> list[int]:
        return [one.bitrate for one in plain.reports if isinstance(one, rtcp.Remb)]

    port.limit(source, None, 1.0)
    assert told() == []
    port.limit(source, 500_000, 2.0)
    port.limit(source, 499_000, 2.2)
    assert len(told()) == 1
    port.limit(source, 300_000, 2.4)
    port.limit(source, 310_000, 3.5)
    assert len(told()) == 3
    port.limit(source, None, 3.6)
    port.limit(source, None, 3.8)
    assert len(told()) == 4
    assert told()[-1] > UNLIMITED * 0.99
    for tenth in range(40, 200):
        port.limit(source, None, tenth / 10)
    assert len(told()) == 3 + FREES, "one that is lost must not hold the picture back for ever"
    assert told()[-1] > UNLIMITED * 0.99


def test_a_limit_ends_the_news_of_its_end() -> None:
    port, plain, source = publishing()
    for bitrate, now in ((500_000, 1.0), (None, 2.0), (400_000, 2.5), (400_000, 4.0)):
        port.limit(source, bitrate, now)
    told = [one.bitrate for one in plain.reports if isinstance(one, rtcp.Remb)]
    assert [bitrate > UNLIMITED * 0.99 for bitrate in told] == [False, True, False, False]


def test_pictures_that_have_ended_still_count() -> None:
    """Or the rate of a link would fall below nothing when somebody leaves."""
    port, _, source = publishing()
    viewer, seen, down = receiving(source)
    give(port, packet(1))
    assert len(seen.sent) == 1
    before = viewer.pictures_octets
    viewer.remove_down(down)
    assert viewer.pictures_octets == before > 0


def test_a_held_picture_of_a_closed_port_has_nothing_to_go_on_with() -> None:
    port, _, source = publishing()
    viewer, _, down = receiving(source)
    give(port, packet(1))
    down.hold()
    viewer.close()
    assert down.source is None
