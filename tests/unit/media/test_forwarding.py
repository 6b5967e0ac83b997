"""Sources and downtracks: numbers, retransmission, takeover, keyframes, clocks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleconsult.media import rtcp, rtp
from teleconsult.media._udp import Way
from teleconsult.media.downtrack import RESEND_BUDGET, Downtrack
from teleconsult.media.source import CACHE, KEYFRAME_INTERVAL, Kind, Source
from tests.unit.media.packets import fields, packet, way_to

INTERFRAME = b"\x10\x01inter"


class Bench:
    """A source, and what it says to its publisher."""

    def __init__(self, kind: Kind = "video", ssrc: int = 1000, codec: str = "vp8") -> None:
        self.reports: list[rtcp.Report] = []
        self.source = Source(
            kind=kind,
            ssrc=ssrc,
            clock_rate=90000 if kind == "video" else 48000,
            codecs={96: codec},
            sender_ssrc=1,
            report=lambda data: self.reports.extend(
                one for one in rtcp.parse(data) if not isinstance(one, rtcp.ReceiverReport)
            ),
            nack=True,
        )

    def feed(self, sequence: int, now: float, timestamp: int = 0, payload: bytes = b"\x10\x00key") -> None:
        data = packet(sequence, timestamp, self.source.ssrc, 96, payload)
        self.source.receive(data, rtp.payload_offset(data), now)

    def plis(self) -> int:
        return sum(isinstance(one, rtcp.KeyframeRequest) for one in self.reports)

    def nacks(self) -> list[int]:
        return [sequence for one in self.reports if isinstance(one, rtcp.Nack) for sequence in one.sequences]


class Receiver:
    """A downtrack, and what it sent."""

    def __init__(self, kind: Kind = "video", codecs: dict[str, int] | None = None, rtx: bool = False) -> None:
        self.packets: list[bytes] = []
        self.reports: list[rtcp.Report] = []
        self.unplayable: list[str] = []
        self.down = Downtrack(
            kind,
            5000,
            5001,
            "ann",
            lambda data: self.reports.extend(rtcp.parse(data)),
            self.unplayable.append,
        )
        self.down.way = way_to(self.packets)
        self.down.negotiate({"vp8": 120} if codecs is None else codecs, {120: 121} if rtx else {}, 3, None)

    def sequences(self) -> list[int]:
        return [fields(one)[1] for one in self.packets]


def connected(rtx: bool = False) -> tuple[Bench, Receiver]:
    bench, receiver = Bench(), Receiver(rtx=rtx)
    bench.source.attach(receiver.down, 10.0)
    return bench, receiver


def test_receiver_gets_its_own_numbers_payload_type_and_send_time() -> None:
    bench, receiver = connected()
    bench.feed(60000, 10.0, 5000)
    bench.feed(60001, 10.5, 5000 + 45000, INTERFRAME)
    first, second = map(fields, receiver.packets)
    assert first[0] == second[0] == 120
    assert first[3] == second[3] == 5000
    assert first[1] < 0x8000, "starts low"
    assert (second[1] - first[1], (second[2] - first[2]) & 0xFFFFFFFF) == (1, 45000)
    assert second[4] == INTERFRAME
    at = rtp.find_extension(receiver.packets[1], 3, 20)
    assert int.from_bytes(receiver.packets[1][at : at + 3], "big") == rtp.abs_send_time(10.5)


@given(st.integers(0, 0xFFFF), st.permutations(range(12)), st.sets(st.integers(0, 11)))
def test_order_and_gaps_of_the_publisher_are_kept(start: int, order: list[int], lost: set[int]) -> None:
    bench, receiver = connected()
    bench.feed(start, 10.0)
    for number in order:
        if number not in lost:
            bench.feed(start + 1 + number, 10.0, 0, INTERFRAME)
    first = receiver.sequences()[0]
    assert [(one - first) & 0xFFFF for one in receiver.sequences()[1:]] == [n + 1 for n in order if n not in lost]


def test_mid_goes_along_until_the_receiver_reports() -> None:
    bench, receiver = connected()
    receiver.down.negotiate({"vp8": 120}, {}, 3, (1, b"12"))
    bench.feed(1, 10.0)
    offset = rtp.payload_offset(receiver.packets[0])
    at = rtp.find_extension(receiver.packets[0], 1, offset)
    assert receiver.packets[0][at : at + 2] == b"12"
    assert rtp.find_extension(receiver.packets[0], 3, offset)
    receiver.down.on_block(rtcp.Block(5000, 0, 0, 0, 0, 0, 0), 10.1)
    bench.feed(2, 10.2)
    assert rtp.find_extension(receiver.packets[1], 1, rtp.payload_offset(receiver.packets[1])) == 0


def test_picture_begins_with_a_keyframe_that_is_asked_for() -> None:
    bench, receiver = connected()
    assert bench.plis() == 1
    bench.feed(1, 10.0, 0, INTERFRAME)
    assert receiver.packets == []
    bench.feed(2, 10.0)
    assert len(receiver.packets) == 1


def test_voice_begins_at_once_and_never_asks_for_keyframes() -> None:
    bench, receiver = Bench("audio", codec="opus"), Receiver("audio", {"opus": 111})
    bench.source.attach(receiver.down, 10.0)
    bench.feed(1, 10.0, 0, b"voice")
    assert fields(receiver.packets[0])[4] == b"voice"
    assert bench.plis() == 0


def test_keyframe_requests_are_throttled_and_none_is_forgotten() -> None:
    bench, _ = connected()
    bench.feed(1, 10.0)
    for _ in range(20):
        bench.source.request_keyframe(10.1)
    assert bench.plis() == 1
    bench.source.tick(10.0 + KEYFRAME_INTERVAL + 0.01)
    assert bench.plis() == 2


def test_keyframe_that_comes_meanwhile_answers_a_request_that_was_put_off() -> None:
    bench, _ = connected()
    bench.source.request_keyframe(10.1)
    bench.feed(1, 10.2)
    bench.source.tick(11.0)
    assert bench.plis() == 1


def test_loss_of_the_publisher_is_asked_for_until_it_is_old() -> None:
    bench, receiver = connected()
    bench.feed(65533, 10.0)
    bench.feed(1, 10.0)
    assert bench.nacks() == [65534, 65535, 0]
    bench.source.tick(10.01)
    assert len(bench.nacks()) == 3, "not yet again"
    bench.feed(65535, 10.1, 0, INTERFRAME)
    bench.source.tick(10.2)
    assert bench.nacks()[3:] == [65534, 0]
    for step in range(100):
        bench.source.tick(10.3 + step / 10)
    assert 65534 in bench.nacks()[5:]
    assert len(bench.nacks()) < 20
    assert len(receiver.packets) == 3


def test_packets_that_come_twice_are_sent_once() -> None:
    bench, receiver = connected()
    for sequence in (1, 2, 2, 1, 3):
        bench.feed(sequence, 10.0)
    assert len(receiver.packets) == 3


def test_far_jump_is_a_new_start_not_a_loss() -> None:
    bench, receiver = connected()
    bench.feed(1, 10.0)
    bench.feed(1000, 11.0)
    assert bench.nacks() == []
    assert bench.plis() == 2
    assert len(receiver.packets) == 2


def test_stream_that_is_held_goes_on_without_a_seam_from_a_keyframe() -> None:
    bench, receiver = connected()
    for number in range(5):
        bench.feed(100 + number, 10.0 + number / 30, 3000 * number)
    before = len(receiver.packets)
    last = fields(receiver.packets[-1])
    receiver.down.hold()
    bench.feed(105, 10.2, 18_000)
    receiver.down.resend([last[1]], 10.3)
    assert len(receiver.packets) == before, "neither new packets nor old ones"
    asked = bench.plis()
    bench.source.attach(receiver.down, 11.0)
    assert bench.plis() == asked + 1
    bench.feed(106, 11.1, 99_000, INTERFRAME)
    assert len(receiver.packets) == before
    bench.feed(107, 11.2, 108_000)
    again = fields(receiver.packets[-1])
    assert again[1] == (last[1] + 1) & 0xFFFF, "what was held back was not lost"
    assert again[2] > last[2]
    assert not receiver.down.held


def talking() -> tuple[Bench, Receiver]:
    """Voice, which has no retransmission stream; its first packets carry the MID."""
    bench, receiver = Bench("audio", codec="opus"), Receiver("audio", {"opus": 111})
    receiver.down.negotiate({"opus": 111}, {}, 0, (1, b"0"))
    bench.source.attach(receiver.down, 10.0)
    return bench, receiver


def test_voice_is_sent_again_bit_by_bit() -> None:
    bench, receiver = talking()
    bench.feed(99, 10.0)
    receiver.down.on_block(rtcp.Block(5000, 0, 0, 0, 0, 0, 0), 10.1)
    for number in range(5):
        bench.feed(100 + number, 10.0, number, b"voice" + bytes((number,)))
    wanted = receiver.packets[3]
    receiver.down.resend([fields(wanted)[1]], 11.0)
    assert receiver.packets[-1] == wanted
    assert len(receiver.packets) == 7


def test_no_number_is_ever_protected_with_another_header() -> None:
    bench, receiver = talking()
    bench.feed(100, 10.0)
    receiver.down.resend(receiver.sequences(), 10.05)
    assert len(receiver.packets) == 1, "its header still changes"
    receiver.down.on_block(rtcp.Block(5000, 0, 0, 0, 0, 0, 0), 10.1)
    receiver.down.resend(receiver.sequences(), 10.2)
    assert len(receiver.packets) == 1, "it went out with the MID"
    picture, viewer = connected()
    picture.feed(1, 10.0)
    viewer.down.resend(viewer.sequences(), 10.2)
    assert len(viewer.packets) == 1, "it went out with its time of sending"


@pytest.mark.parametrize(
    ("types", "mid", "times"), [({"opus": 111}, None, 0), ({"opus": 112}, (1, b"0"), 0), ({"opus": 111}, (1, b"0"), 3)]
)
def test_a_new_agreement_repeats_nothing_with_another_header(
    types: dict[str, int], mid: tuple[int, bytes] | None, times: int
) -> None:
    """Whoever joins or leaves has everybody negotiate anew, also before a receiver has reported."""
    bench, receiver = talking()
    bench.feed(100, 10.0)
    receiver.down.negotiate(types, {}, times, mid)
    receiver.down.negotiate({"opus": 111}, {}, 0, None)
    receiver.down.resend(receiver.sequences(), 10.2)
    assert len(receiver.packets) == 1
    bench.feed(101, 10.3)
    receiver.down.resend(receiver.sequences()[-1:], 10.4)
    assert receiver.packets[1] == receiver.packets[2], "what came since can be repeated"


def test_nacks_are_answered_for_as_long_as_a_call_lasts() -> None:
    bench, receiver = connected(rtx=True)
    for number in range(140_000):
        bench.feed(number & 0xFFFF, 10.0 + number / 200, number)
        if number % 5_000 == 4_999:
            receiver.down.resend([fields(receiver.packets[-1])[1]], 10.0 + number / 200)
            assert fields(receiver.packets[-1])[0] == 121, f"after {number} packets"
    assert receiver.down.resent_packets == 28


def test_what_comes_late_from_before_a_takeover_gets_no_number_again() -> None:
    bench, receiver = connected()
    for number in range(100, 105):
        bench.feed(number, 10.0, 3000 * number)
    successor = Bench(ssrc=2000)
    successor.source.attach(receiver.down, 11.0)
    for number in (500, 502):
        successor.feed(number, 11.0, 3000 * number)
    successor.source._missing = dict.fromkeys(range(495, 500), (11.0, 11.0, 1))
    for number in (498, 499, 501):
        successor.feed(number, 11.0, 3000 * number, INTERFRAME)
    sequences = receiver.sequences()
    assert len(sequences) == len(set(sequences)) == 8
    receiver.down.hold()
    successor.source.attach(receiver.down, 12.0)
    successor.feed(503, 12.0, 3000 * 503, INTERFRAME)
    successor.feed(504, 12.0, 3000 * 504)
    successor.source._missing[502] = (12.0, 12.0, 1)
    successor.feed(502, 12.1, 3000 * 502, INTERFRAME)
    sequences = receiver.sequences()
    assert len(sequences) == len(set(sequences)) == 9


def test_a_late_packet_does_not_set_the_stream_back() -> None:
    bench, _ = connected()
    for number, timestamp in ((1, 3000), (3, 6000), (2, 3000)):
        bench.feed(number, 10.0 + number, timestamp)
    assert bench.source.position() == (3, 6000, 13.0)


def test_nack_is_answered_by_retransmission_stream_where_agreed() -> None:
    bench, receiver = connected(rtx=True)
    for number in range(5):
        bench.feed(100 + number, 10.0, number, b"\x10\x00" + bytes((number,)))
    wanted = receiver.packets[2]
    receiver.down.resend([fields(wanted)[1]], 11.0)
    assert fields(receiver.packets[-1])[0] == 121
    assert fields(receiver.packets[-1])[3] == 5001
    assert fields(rtp.unwrap_rtx(receiver.packets[-1], 120, 5000)) == fields(wanted)


def test_nack_for_what_never_came_or_is_too_old_is_not_answered() -> None:
    bench, receiver = connected()
    for number in range(CACHE["video"] + 10):
        bench.feed(number, 10.0)
    first = receiver.sequences()[0]
    count = len(receiver.packets)
    receiver.down.resend([first, first - 5, first + CACHE["video"] + 30], 11.0)
    assert len(receiver.packets) == count


def test_nack_flood_is_bounded() -> None:
    bench, receiver = connected(rtx=True)
    for number in range(300):
        bench.feed(number, 10.0)
    sequences = receiver.sequences()
    receiver.down.resend(sequences, 11.0)
    assert len(receiver.packets) == 300 + RESEND_BUDGET
    receiver.down.resend(sequences[:3], 11.01)
    assert len(receiver.packets) == 300 + RESEND_BUDGET + 3


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF))
def test_takeover_leaves_no_seam(seq1: int, time1: int, seq2: int, time2: int) -> None:
    old, receiver = connected()
    old.feed(seq1, 10.0, time1)
    old.feed(seq1 + 1, 10.1, time1 + 9000, INTERFRAME)
    new = Bench(ssrc=2000)
    new.source.attach(receiver.down, 10.2)
    new.feed(seq2, 10.2, time2, INTERFRAME)
    old.feed(seq1 + 2, 10.2, time1 + 18000, INTERFRAME)  # the old goes on until the new begins
    new.feed(seq2 + 1, 10.6, time2)
    old.feed(seq1 + 3, 10.7, time1 + 63000, INTERFRAME)  # and is not heard after it
    new.feed(seq2 + 2, 10.7, time2 + 9000, INTERFRAME)
    numbers = [fields(one)[1:3] for one in receiver.packets]
    first = numbers[0]
    assert [(number - first[0]) & 0xFFFF for number, _ in numbers] == [0, 1, 2, 3, 4]
    elapsed = [(timestamp - first[1]) & 0xFFFFFFFF for _, timestamp in numbers]
    assert elapsed[:3] == [0, 9000, 18000]
    assert abs(elapsed[3] - 54000) <= 1
    assert elapsed[4] - elapsed[3] == 9000
    assert old.source.downs == ()
    count = len(receiver.packets)
    receiver.down.resend([numbers[1][0]], 11.0)  # of the old one, whose packets the new one does not have
    assert len(receiver.packets) == count


def test_clock_of_the_publisher_reaches_receivers_in_their_numbers() -> None:
    bench, receiver = connected()
    bench.feed(1, 10.0, 7000)
    sent = fields(receiver.packets[0])[2]
    bench.source.on_sender_report(rtcp.SenderReport(1000, 5 << 32, 7000, 1, 1), 10.0)
    (report,) = receiver.reports
    assert isinstance(report, rtcp.SenderReport)
    assert (report.ssrc, report.ntp, report.rtp_time, report.packets) == (5000, 5 << 32, sent, 1)
    late = Receiver()
    bench.source.attach(late.down, 12.0)
    bench.feed(2, 12.0, 7000 + 180_000)
    (carried,) = late.reports
    assert isinstance(carried, rtcp.SenderReport)
    assert (carried.ntp, carried.rtp_time) == (7 << 32, fields(late.packets[0])[2])


def test_round_trip_and_loss_from_the_receivers_report() -> None:
    bench, receiver = connected()
    bench.feed(1, 10.0)
    bench.source.on_sender_report(rtcp.SenderReport(1000, 5 << 32, 0, 1, 1), 10.0)
    receiver.down.on_block(rtcp.Block(5000, 64, 3, 0, 0, 5 << 16, 65536), 11.25)
    assert receiver.down.round_trip == 0.25
    assert receiver.down.fraction_lost == 0.25
    receiver.down.on_block(rtcp.Block(5000, 0, 3, 0, 0, 99, 65536), 19.0)
    assert receiver.down.round_trip == 0.25, "a report on another clock tells nothing"


def test_reception_report_counts_loss_since_the_last() -> None:
    bench, _ = connected()
    for sequence in (65530, 65531, 65534, 65535, 0, 1):
        bench.feed(sequence, 10.0)
    block = bench.source.block(10.0)
    assert (block.lost, block.fraction_lost, block.highest) == (2, 64, 0x10001)
    bench.feed(2, 10.0)
    assert bench.source.block(10.0).fraction_lost == 0


def test_codec_that_a_receiver_lacks_is_told_once() -> None:
    bench, receiver = Bench(), Receiver(codecs={"h264/42e01f": 98})
    other = Receiver()
    bench.source.attach(receiver.down, 10.0)
    bench.source.attach(other.down, 10.0)
    bench.feed(1, 10.0)
    bench.feed(2, 10.0)
    assert receiver.packets == []
    assert receiver.unplayable == ["vp8"]
    assert receiver.down.refused == 2
    assert len(other.packets) == 2


def test_receiver_that_fails_does_not_disturb_the_others() -> None:
    bench, good = connected()

    def broken(data: bytes) -> None:
        raise OSError("gone")

    def broken_seal(slot: object, length: object) -> int:
        raise OSError("gone")

    bad = Downtrack("video", 1, 2, "ann", broken, lambda codec: None)
    bad.way = Way({}, broken_seal, 0)
    bad.negotiate({"vp8": 120}, {}, 0, None)
    bench.source.attach(bad, 10.0)
    later = Receiver()
    bench.source.attach(later.down, 10.0)
    bench.feed(1, 10.0)
    assert bad.refused == 1
    assert len(good.packets) == len(later.packets) == 1
