"""What the packets of an oximeter mean, bit by bit as it is published."""

from datetime import UTC, datetime, timedelta

import pytest
from teleconsult_vitals_serial.nonin.commands import GET_TIME, ClockAnswers, select_format, set_time
from teleconsult_vitals_serial.nonin.frames import Format, PacketScanner, Second, SpotCheckScanner
from teleconsult_vitals_serial.nonin.pacing import Pacer
from teleconsult_vitals_serial.nonin.values import (
    Contact,
    packet_timer,
    plethysmogram,
    read_packet,
    read_second,
    read_spot_check,
)
from teleconsult_vitals_serial.simulated.oximeters import (
    ARTIFACT,
    GREEN,
    NO_FINGER,
    NO_SENSOR,
    OUT_OF_TRACK,
    RED,
    YELLOW,
    packet,
    second,
    spot_check,
)

from teleconsult.plugin_api import ReadingFlag

NOON = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)


def one(format_=2, spo2=97, pulse=72, **more):
    [found] = PacketScanner(Format(format_)).feed(packet(format_, spo2, pulse, **more) + packet(format_, 0, 0))
    return found


def checked(**more):
    [found] = SpotCheckScanner().feed(spot_check(97, 72, NOON, **more))
    return read_spot_check(found)


@pytest.mark.parametrize("format_", [2, 7])
@pytest.mark.parametrize(("spo2", "pulse"), [(0, 0), (100, 127), (70, 128), (99, 300), (126, 510)])
def test_numbers_of_all_their_bits(format_, spo2, pulse):
    found = read_packet(one(format_, spo2, pulse))
    assert (found.spo2, found.pulse_rate) == (spo2, pulse)
    assert found.flags == frozenset()


def test_the_average_of_eight_beats_is_another_place():
    found = one(extended=(90, 200))
    assert (read_packet(found).spo2, read_packet(found).pulse_rate) == (97, 72)
    slow = read_packet(found, extended=True)
    assert (slow.spo2, slow.pulse_rate) == (90, 200)


@pytest.mark.parametrize(
    ("status", "flags"),
    [
        (GREEN, set()),
        (YELLOW, {ReadingFlag.LOW_SIGNAL}),
        (RED, {ReadingFlag.LOW_SIGNAL}),
        (OUT_OF_TRACK, {ReadingFlag.LOW_SIGNAL}),
        (ARTIFACT, {ReadingFlag.BODY_MOVEMENT}),
        (ARTIFACT | RED, {ReadingFlag.BODY_MOVEMENT, ReadingFlag.LOW_SIGNAL}),
    ],
)
def test_signal_bits_become_flags(status, flags):
    for format_ in (2, 7):
        found = read_packet(one(format_, status=status))
        assert found.contact is Contact.MEASURING
        assert found.flags == flags


@pytest.mark.parametrize(
    ("status", "contact"), [(NO_FINGER, Contact.NO_FINGER), (NO_SENSOR | NO_FINGER, Contact.NO_SENSOR)]
)
def test_numbers_repeated_after_the_finger_is_gone_are_none(status, contact):
    found = read_packet(one(status=status))
    assert (found.contact, found.spo2, found.pulse_rate) == (contact, None, None)


def test_missing_values():
    assert read_packet(one(spo2=127, pulse=511)).contact is Contact.SEARCHING
    assert read_packet(one(spo2=127, pulse=511)).spo2 is None
    only_spo2 = read_packet(one(spo2=95, pulse=511))
    assert (only_spo2.spo2, only_spo2.pulse_rate) == (95, None)


def test_battery_low():
    assert read_packet(one(battery_low=True)).flags == {ReadingFlag.LOW_BATTERY}
    assert read_second(Second(second(97, 72, status_2=1))).flags == {ReadingFlag.LOW_BATTERY}
    assert checked(battery_low=True).measurement.flags == {ReadingFlag.LOW_BATTERY}


@pytest.mark.parametrize(
    ("status", "status_2", "contact", "flags"),
    [
        (0, 0x20, Contact.MEASURING, set()),
        (0x20, 0, Contact.MEASURING, {ReadingFlag.LOW_SIGNAL}),
        (0x10, 0, Contact.MEASURING, {ReadingFlag.LOW_SIGNAL}),
        (0x08, 0, Contact.MEASURING, {ReadingFlag.LOW_SIGNAL}),
        (0x04, 0, Contact.MEASURING, {ReadingFlag.BODY_MOVEMENT}),
        (0x40, 0, Contact.NO_SENSOR, set()),
        (0, 0x08, Contact.NO_FINGER, set()),
    ],
)
def test_bits_of_format_8(status, status_2, contact, flags):
    found = read_second(Second(second(97, 300, status=status, status_2=status_2)))
    assert (found.contact, found.flags) == (contact, flags)
    assert (found.spo2, found.pulse_rate) == ((97, 300) if contact is Contact.MEASURING else (None, None))


def test_a_spot_check_that_did_not_settle_is_flagged():
    assert checked().measurement.flags == frozenset()
    assert checked(good=False).measurement.flags == {ReadingFlag.LOW_SIGNAL}
    assert checked(missing=True).measurement.spo2 is None
    assert checked(from_memory=True).from_memory


def test_a_spot_check_of_no_date_has_none():
    [found] = SpotCheckScanner().feed(spot_check(97, 72, NOON))
    broken = type(found)(bytes([0x20, 0x26, 0x1A, 0x24, *found.data[4:]]), found.raw)
    assert read_spot_check(broken).device_time is None


def test_samples_with_a_hole():
    data = bytearray(packet(2, 97, 72, pleth=range(0, 250, 10)) + packet(2, 97, 72))
    scanner = PacketScanner(Format.PLETHYSMOGRAM_8_BIT)
    assert scanner.feed(packet(2, 97, 72)) == [], "not before the next one begins"
    data[10 * 5 + 2] ^= 0xFF
    found = scanner.feed(bytes(data))[1]
    (first, before), (second_, after) = plethysmogram(found)
    assert (first, len(before), second_, len(after)) == (0, 10, 11, 14)
    assert before[1] == pytest.approx(10 / 255)
    assert read_packet(found) is None, "bytes that came instead could have moved the others"
    assert plethysmogram(one(7, pleth=[65535] * 25))[0][1] == [1.0] * 25


def test_lost_packets_leave_a_gap_by_the_device_s_timer():
    pacer = Pacer()
    placed = pacer.place([one(timer=16382)], NOON)
    placed += pacer.place([one(timer=16383), one(timer=0), one(timer=3)], NOON + timedelta(seconds=1))
    assert [index // 25 for _, index, _ in placed] == [0, 1, 2, 5]
    assert packet_timer(one(timer=16383)) == 16383


def test_without_a_timer_the_gap_is_the_silence():
    pacer = Pacer()
    indexes = [pacer.place([one()], NOON + timedelta(seconds=at))[0][1] // 25 for at in (0, 0.33, 0.68, 1.0, 4.0, 4.33)]
    assert indexes == [0, 1, 2, 3, 12, 13]


def test_a_burst_after_a_stall_is_no_gap():
    pacer = Pacer()
    pacer.place([one()], NOON)
    placed = pacer.place([one()] * 9, NOON + timedelta(seconds=3))
    assert [index // 25 for _, index, _ in placed] == list(range(1, 10))


def test_samples_end_when_they_arrived_and_follow_each_other():
    pacer = Pacer()
    at = [pacer.place([one(timer=i)], NOON + timedelta(seconds=i / 3 + i % 3 * 0.01))[0] for i in range(300)]
    _, index, first_at = at[-1]
    assert index == 299 * 25
    assert abs(first_at + timedelta(seconds=1 / 3) - NOON - timedelta(seconds=299 / 3)) < timedelta(seconds=0.05)


def test_commands_as_published():
    assert bytes.fromhex("02720003") == GET_TIME
    assert select_format(Format.EACH_SECOND) == bytes.fromhex("02 70 02 02 08 03")
    assert set_time(datetime(2050, 12, 31, 14, 30, 15, tzinfo=UTC)) == bytes.fromhex("02 72 06 32 0C 1F 0E 1E 0F 03")


@pytest.mark.parametrize("size", [1, 3, 40])
def test_the_clock_s_answer_is_found(size):
    data = b"\x06\x02\xf2" + bytes.fromhex("02 F2 06 1A 0D 18 06 05 04 03") + bytes.fromhex("02F2061A0B180605040306")
    answers = ClockAnswers()
    found = [time for at in range(0, len(data), size) if (time := answers.feed(data[at : at + size]))]
    assert [str(time) for time in found] == ["2026-11-24 06:05:04"], "month 13 is none"
