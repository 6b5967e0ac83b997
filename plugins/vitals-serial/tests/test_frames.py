"""Frames of an oximeter are found in any pieces, after any garbage, and nothing else is ever taken for one."""

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from teleconsult_vitals_serial.nonin.frames import (
    PACKET_BYTES,
    Detector,
    Format,
    Packet,
    PacketScanner,
    SecondScanner,
    SpotCheckScanner,
)
from teleconsult_vitals_serial.nonin.values import read_packet, read_second, read_spot_check
from teleconsult_vitals_serial.simulated.oximeters import packet, second, spot_check

NOON = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
few = settings(max_examples=25, deadline=None)


def stream(format_, count=4, spo2=97, pulse=72):
    """So many packets, and the first frame of the next one."""
    packets = [packet(format_, spo2, pulse, timer=i, pleth=range(i, i + 25)) for i in range(count + 1)]
    return b"".join(packets)[: count * PACKET_BYTES + 5]


def split(data, cuts):
    """The same bytes in pieces."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


def feed(scanner, pieces):
    return [found for piece in pieces for found in scanner.feed(piece)]


@few
@given(st.sampled_from([2, 7]), st.lists(st.integers(0, 10_000), max_size=30))
def test_packets_come_out_of_any_pieces(format_, cuts):
    found = feed(PacketScanner(Format(format_)), split(stream(format_), cuts))
    assert [read_packet(each).spo2 for each in found] == [97] * 4
    assert [each.frames[0].pleth for each in found] == [0, 1, 2, 3]
    assert b"".join(each.raw for each in found) == stream(format_)[:-5]


@few
@given(st.sampled_from([2, 7]), st.binary(max_size=400), st.lists(st.integers(0, 10_000), max_size=8))
def test_a_stream_is_found_after_garbage(format_, garbage, cuts):
    data = garbage + stream(format_, 8)
    values = [read_packet(each) for each in feed(PacketScanner(Format(format_)), split(data, cuts))]
    assert len(values) >= 6, "at most two packets may be lost on the way in"
    assert {each.spo2 for each in values if each} == {97}


@few
@given(st.sampled_from([2, 7]), st.integers(0, 3 * PACKET_BYTES - 1), st.integers(1, 255))
def test_one_wrong_byte_costs_little_and_changes_nothing(format_, at, flip):
    data = bytearray(stream(format_, 8))
    data[PACKET_BYTES + at] ^= flip
    scanner = PacketScanner(Format(format_))
    found = scanner.feed(bytes(data))
    assert {(v.spo2, v.pulse_rate) for each in found if (v := read_packet(each))} == {(97, 72)}
    assert sum(frame is not None for each in found for frame in each.frames) >= 6 * 25 - 1
    assert scanner.counts.broken >= 1


@few
@given(st.sampled_from([2, 7]), st.integers(0, 4 * PACKET_BYTES), st.integers(1, 130))
def test_lost_bytes_never_put_a_value_at_a_wrong_place(format_, at, lost):
    """Different numbers stand in every place, so a frame taken for its neighbour would show."""
    data = b"".join(packet(format_, 97, 72, extended=(91, 300), timer=i) for i in range(9))
    data = data[:at] + data[at + lost :]
    found = PacketScanner(Format(format_)).feed(data)
    assert len(found) >= 4
    for each in found:
        for extended, wanted in ((False, (97, 72)), (True, (91, 300))):
            value = read_packet(each, extended=extended)
            assert value is None or (value.spo2, value.pulse_rate) == wanted


@few
@given(st.binary(max_size=3000))
def test_noise_is_no_packet(noise):
    detector = Detector()
    assert not [found for found in detector.feed(noise) if isinstance(found, Packet)]


def test_flat_curve_without_a_finger_is_found_where_it_starts():
    """Half scale and zeros make frames whose checksum also fits one byte later, for a while."""
    flat = packet(7, 127, 511, pleth=[0x8000] * 25, status=0x08)
    found = PacketScanner(Format.PLETHYSMOGRAM_16_BIT).feed(flat[3:] + flat * 6)
    assert len(found) == 5
    assert {each.frames[7].pleth for each in found} == {0x8000}


@few
@given(st.lists(st.integers(0, 1000), max_size=20))
def test_seconds_come_out_of_any_pieces(cuts):
    data = b"".join(second(84 + i, 200) for i in range(12))
    values = [read_second(each) for each in feed(SecondScanner(), split(data, cuts))]
    assert [each.spo2 for each in values] == [91, 92, 93, 94, 95], "the first seven are not taken"
    assert {each.pulse_rate for each in values} == {200}


def test_a_second_with_a_lost_byte_is_left_out_and_so_are_the_next_ones():
    good = [second(70 + i, 200) for i in range(20)]
    for lost in range(4):
        data = b"".join(good[:9]) + good[9][:lost] + good[9][lost + 1 :] + b"".join(good[10:])
        values = [read_second(each).spo2 for each in SecondScanner().feed(data)]
        assert values in ([77, 78, 87, 88, 89], [77, 78, 88, 89]), lost


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from([2, 7]),
    st.lists(st.tuples(st.integers(0, 1700), st.integers(1, 124), st.binary(max_size=150)), min_size=1, max_size=4),
    st.integers(1, 400),
    st.randoms(use_true_random=False),
)
def test_damage_at_several_places_changes_no_value(format_, damages, size, chance):
    """Bytes are lost and others come instead, at several places, and the format is not known before."""
    top = 255 if format_ == 2 else 65535
    data = b"".join(
        packet(format_, 97, 72, extended=(91, 300), timer=i, pleth=[chance.randint(0, top) for _ in range(25)])
        for i in range(14)
    )
    for at, lost, instead in damages:
        data = data[:at] + instead + data[at + lost :]
    detector = Detector()
    for found in (each for at in range(0, len(data), size) for each in detector.feed(data[at : at + size])):
        assert isinstance(found, Packet)
        for extended, wanted in ((False, (97, 72)), (True, (91, 300))):
            value = read_packet(found, extended=extended)
            assert value is None or (value.spo2, value.pulse_rate) == wanted


@few
@given(st.binary(max_size=60), st.lists(st.integers(0, 1000), max_size=9), st.binary(max_size=50))
def test_spot_checks_come_out_of_garbage_and_pieces(garbage, cuts, more):
    good = spot_check(96, 300, NOON, more=more)
    data = garbage.replace(b"\x00\x02", b"") + good + garbage.replace(b"\x00", b"") + good
    found = feed(SpotCheckScanner(), split(data, cuts))
    values = [read_spot_check(each) for each in found]
    assert [(each.measurement.spo2, each.measurement.pulse_rate) for each in values] == [(96, 300)] * 2
    assert values[0].device_time == NOON.replace(tzinfo=None)


@few
@given(st.integers(6, 19), st.integers(1, 255))
def test_a_spot_check_with_a_wrong_byte_is_none(at, flip):
    data = bytearray(spot_check(96, 70, NOON))
    data[at] ^= flip
    scanner = SpotCheckScanner()
    assert scanner.feed(bytes(data)) == []
    assert scanner.counts.broken == 1


@pytest.mark.parametrize(
    ("format_", "data"),
    [
        (2, stream(2, 3)),
        (7, stream(7, 3)),
        (8, b"".join(second(97, 70 + i) for i in range(9))),
        (13, b"\x06" + spot_check(97, 70, NOON)),
    ],
)
def test_the_format_is_found_out(format_, data):
    detector = Detector()
    found = [each for start in range(0, len(data), 7) for each in detector.feed(data[start : start + 7])]
    assert detector.format is Format(format_)
    assert found


def test_scanners_keep_no_more_than_a_packet():
    for scanner in (*map(PacketScanner, (Format(2), Format(7))), SecondScanner(), SpotCheckScanner()):
        scanner.feed(b"\x80\x01\x00\x02" * 5_000)
        assert len(scanner._buffer) <= PACKET_BYTES
