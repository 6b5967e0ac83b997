"""The oximeter's reader against an oximeter on a pseudo-terminal, run as a node runs it."""

import json
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import serial
import teleconsult_vitals_serial as plugin
from teleconsult_vitals_serial import oximeter, ports, spot_checks
from teleconsult_vitals_serial.oximeter import (
    BATTERY_LOW,
    KEEP_STILL,
    MEASURING,
    NOT_UNDERSTOOD,
    PUT_FINGER_IN,
    SWITCH_ON,
    Oximeter,
)
from teleconsult_vitals_serial.ports import IN_USE, LOST, NOT_THERE
from teleconsult_vitals_serial.settings import SerialSettings
from teleconsult_vitals_serial.simulated.lines import VirtualLine
from teleconsult_vitals_serial.simulated.oximeters import ARTIFACT, NO_FINGER, packet, second, spot_check

from teleconsult.plugin_api import DeviceInfo, DeviceUnavailable, ReadingFlag, ReadingNotTaken


@pytest.fixture
def line():
    virtual = VirtualLine()
    yield virtual
    virtual.unplug()


@pytest.fixture
def start(device_bench, line):
    """Start the reader on the line, with these settings."""

    def begin(clock=None, **settings):
        device = DeviceInfo(device_id="oximeter-1", name="Oximeter", address=line.address)
        bench = device_bench(Oximeter, SerialSettings(**settings), device=device, clock=clock)
        bench.status("connected")
        return bench

    return begin


@pytest.fixture
def streaming(line):
    """A device that sends format 2 in its own time, until the test ends: `streaming(spo2=…)` changes it."""
    state, stop = {"spo2": 97, "pulse": 72}, threading.Event()

    def work():
        timer = 0
        while not stop.wait(1 / 3):
            line.send(packet(2, timer=timer, **state))
            timer += 1

    thread = threading.Thread(target=work)
    thread.start()

    def change(**values):
        state.update(values)

    yield change
    stop.set()
    thread.join(5)


def packets(count, format_=2, first=0, **more):
    """So many packets, and the first frame of the next one."""
    data = b"".join(packet(format_, 97, 72, timer=first + i, **more) for i in range(count + 1))
    return data[: count * 125 + 5]


def test_hooks_keep_to_the_specification(plugin_hooks):
    hooks = plugin_hooks(plugin)
    assert hooks.describe_plugin().settings is SerialSettings
    [readers] = hooks.register_device_readers()
    assert [reader.key for reader in readers] == ["nonin-oximeter", "hl7-analyser", "hl7-analyser-serial"]
    for reader in readers:
        assert reader.title.zh


@pytest.mark.parametrize("format_", [2, 7])
def test_curve_and_numbers_of_a_stream(start, line, format_):
    bench = start()
    line.send(packets(3, format_))
    first, next_ = bench.waveform(), bench.waveform()
    assert (first.first_index, next_.first_index) == (0, 25)
    assert first.rate_hz == 75
    assert first.unit == "1"
    assert first.samples[0] == pytest.approx(100 / (255 if format_ == 2 else 65535))
    assert next_.first_at - first.first_at == timedelta(seconds=1 / 3)


def test_one_reading_a_second_with_all_that_second_s_flags(start, streaming):
    bench = start()
    first = bench.reading("spo2")
    streaming(status=ARTIFACT)
    second_, third = bench.reading("spo2"), bench.reading("spo2")
    assert (first.value("spo2"), first.value("pulse_rate"), first.continuous) == (97, 72, True)
    assert timedelta(seconds=0.8) < third.taken_at - second_.taken_at < timedelta(seconds=1.7)
    assert abs(first.taken_at - datetime.now(UTC)) < timedelta(seconds=5)
    assert ReadingFlag.BODY_MOVEMENT in third.flags
    assert bytes.fromhex(first.raw)[0] == 1
    assert first.reading_id != second_.reading_id


def test_a_finger_that_is_taken_out_gives_a_sentence_and_no_reading(start, line):
    bench = start()
    line.send(packets(2))
    bench.reading("spo2")
    line.send(packets(5, status=NO_FINGER)[5:])
    assert bench.status("idle").sentence == PUT_FINGER_IN
    with pytest.raises(AssertionError, match="no reading"):
        bench.reading(timeout=0.5)


def test_no_value_is_no_reading(start, line):
    bench = start()
    data = packet(2, 127, 511) * 3
    line.send(data)
    bench.waveform()
    assert bench.status("measuring").sentence == KEEP_STILL
    with pytest.raises(AssertionError, match="no reading"):
        bench.reading(timeout=0.5)


def test_a_number_that_jumps_for_one_packet_is_no_reading(start, line):
    bench = start()
    line.send(
        packet(2, 97, 72) + packet(2, 61, 200) + packet(2, 97, 72) * 2 + packet(2, 96, 75) + packet(2, 96, 75)[:5]
    )
    assert bench.reading("spo2").value("spo2") == 97
    with pytest.raises(AssertionError, match="no reading"):
        bench.reading(timeout=0.4)


def test_bytes_one_by_one_after_garbage(start, line):
    bench = start()
    for byte in os.urandom(50) + packets(2):
        line.send(bytes([byte]))
    assert bench.reading("spo2").value("spo2") == 97


def test_a_lost_packet_shows_as_a_gap(start, line):
    bench = start()
    line.send(packets(2)[:-5] + packets(2, first=5))
    assert [bench.waveform().first_index // 25 for _ in range(4)] == [0, 1, 5, 6]


def test_a_slow_start(start, line, monkeypatch):
    monkeypatch.setattr(oximeter, "SILENT", timedelta(seconds=0.6))
    bench = start()
    assert bench.status("searching").sentence == SWITCH_ON
    line.send(packets(2))
    assert bench.reading("spo2")


def test_unplugged_is_out_of_reach_and_no_fault(start, line):
    bench = start()
    line.send(packets(2))
    bench.reading()
    line.unplug()
    ended = bench.ended()
    assert isinstance(ended, DeviceUnavailable)
    assert ended.sentence == LOST


def test_nothing_there_and_something_there_that_is_used(device_bench, line):
    gone = device_bench(Oximeter, device=DeviceInfo(device_id="x", name="x", address="/dev/does-not-exist"))
    assert gone.ended().sentence == NOT_THERE
    usb = device_bench(Oximeter, device=DeviceInfo(device_id="usb-0403-6001-A1", name="x", address=line.address))
    assert usb.ended().sentence == NOT_THERE, "what is at a USB device's old address may be another one"
    with serial.Serial(line.address, exclusive=True):
        used = device_bench(Oximeter, device=DeviceInfo(device_id="x", name="x", address=line.address))
        assert used.ended().sentence == IN_USE


def test_lets_go_at_once(start, line):
    for data in (b"", packets(2)):
        bench = start()
        line.send(data)
        assert line.in_use
        began = time.monotonic()
        bench.cancel()
        assert time.monotonic() - began < 2.5
        assert not line.in_use


def test_a_flood_is_slowed_and_ends_nothing(start, line):
    bench = start()
    stop = threading.Event()

    def flood():
        first = 0
        while not stop.is_set():
            line.send(packets(20, first=first)[:-5])
            first += 20

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    seen = [bench.reading() for _ in range(3)]
    assert all(reading.value("spo2") == 97 for reading in seen)
    assert not bench.session.refused.is_set()
    began = time.monotonic()
    bench.cancel()
    assert time.monotonic() - began < 2.5
    stop.set()
    line.unplug()


def test_what_is_not_understood_is_said(start, line):
    bench = start()
    line.send(b"SPO2=098 HR=072\r\n" * 100)
    assert bench.status("failed").sentence == NOT_UNDERSTOOD
    line.send(packets(3))
    assert bench.reading()


def test_another_format_while_it_runs(start, line):
    bench = start()
    line.send(packets(2))
    bench.reading()
    line.send(packets(14, 7))
    bench.status("failed")
    line.send(packets(3, 7))
    assert [bench.waveform().samples[0] < 0.01 for _ in range(3)] == [True] * 3


def test_a_disturbed_line_is_said(start, line):
    bench = start()
    data = bytearray(packets(40)[:-5])
    for at in range(250 + 20, len(data), 125):
        data[at] ^= 0x55  # one of 25 frames
    line.send(bytes(data))
    sentence = bench.status("measuring").sentence
    while sentence == MEASURING:
        sentence = bench.status("measuring").sentence
    assert "lost" in sentence.en
    assert "干扰" in sentence.zh


def test_each_second_format(start, line):
    bench = start(oximeter_format="8")
    for i in range(8):
        line.send(second(96, 70 + i, status_2=1))
    assert bench.status("measuring").sentence == BATTERY_LOW
    reading = bench.reading("spo2")
    assert (reading.value("pulse_rate"), reading.flags) == (77, (ReadingFlag.LOW_BATTERY,))
    assert b"\x02\x70\x02\x02\x08\x03" in line.received(), "a format that is set is asked of the device"


class TestSpotChecks:
    """A device that measures once, with a clock."""

    NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)

    def begin(self, start, line, clock=None):
        """Start the reader at NOW; `clock` is what the device answers."""
        now = [self.NOW]
        bench = start(clock=lambda: now[0])
        deadline = time.monotonic() + 5
        while b"\x02\x72\x00\x03" not in line.received():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        if clock:
            parts = (clock.year % 100, clock.month, clock.day, clock.hour, clock.minute, clock.second)
            line.send(bytes([2, 0xF2, 6, *parts, 3]))
        else:
            now[0] += timedelta(seconds=3)
        return bench

    def test_a_right_clock(self, start, line):
        bench = self.begin(start, line, self.NOW)
        line.send(spot_check(96, 70, self.NOW - timedelta(seconds=20)))
        reading = bench.reading("spo2")
        assert (reading.taken_at, reading.flags) == (self.NOW - timedelta(seconds=20), ())
        assert not reading.continuous
        assert bench.status("idle").sentence.zh == "测量完成。"

    def test_what_was_stored_by_a_wrong_clock_is_corrected(self, start, line):
        wrong = datetime(2008, 1, 1, tzinfo=UTC)
        bench = self.begin(start, line, wrong)
        line.send(spot_check(96, 70, wrong - timedelta(hours=2), from_memory=True))
        reading = bench.reading("spo2")
        assert reading.taken_at == self.NOW - timedelta(hours=2)
        assert reading.flags == (ReadingFlag.CLOCK_CORRECTED,)
        line.send(spot_check(95, 70, self.NOW + timedelta(seconds=1)))
        later = bench.reading("spo2")
        assert (later.taken_at, later.flags) == (self.NOW + timedelta(seconds=1), ()), "its clock has been set"
        assert set_to(line) == self.NOW

    def test_a_clock_that_does_not_answer_is_not_believed(self, start, line):
        bench = self.begin(start, line)
        line.send(spot_check(96, 70, datetime(2031, 1, 1, tzinfo=UTC)))
        reading = bench.reading("spo2")
        assert (reading.taken_at, reading.flags) == (None, (ReadingFlag.CLOCK_NOT_SET,))

    def test_a_repeat_is_the_same_reading(self, start, line):
        bench = self.begin(start, line, self.NOW)
        line.send(spot_check(96, 70, self.NOW) * 2)
        first = bench.reading().reading_id
        assert bench.reading().reading_id == first
        line.send(spot_check(96, 70, self.NOW - timedelta(seconds=1)))
        assert bench.reading().reading_id != first

    def test_what_the_node_cannot_keep_is_offered_again_after_a_restart(self, start, line, device_bench, monkeypatch):
        monkeypatch.setattr(spot_checks, "CLOCK_WAIT", timedelta(seconds=0.3))
        bench = self.begin(start, line, self.NOW)
        bench.session.refuse_readings = True
        line.send(spot_check(96, 70, self.NOW - timedelta(seconds=20)))
        assert isinstance(bench.ended(), ReadingNotTaken)
        memory = json.loads(json.dumps(bench.session.memory))
        again = device_bench(Oximeter, SerialSettings(), device=bench.device, memory=memory)
        reading = again.reading("spo2")
        assert (reading.value("spo2"), reading.taken_at) == (96, self.NOW - timedelta(seconds=20))
        line.send(spot_check(95, 70, self.NOW))
        assert again.reading("spo2").value("spo2") == 95
        again.status("idle")
        assert again.session.memory == {"unkept": []}

    def test_what_came_while_the_clock_was_asked_survives_a_stop(self, start, line, device_bench):
        bench = start(clock=lambda: self.NOW)
        line.send(spot_check(96, 70, self.NOW, from_memory=True))
        with pytest.raises(AssertionError, match="no reading"):
            bench.reading(timeout=0.4)  # it is held until the device has told its time
        bench.cancel()
        again = device_bench(Oximeter, SerialSettings(), device=bench.device, memory=bench.session.memory)
        reading = again.reading("spo2")
        assert (reading.value("spo2"), reading.flags) == (96, (ReadingFlag.CLOCK_NOT_SET,))

    def test_no_measurement_is_a_sentence(self, start, line):
        bench = self.begin(start, line, self.NOW)
        line.send(spot_check(127, 511, self.NOW, missing=True))
        assert "暖手" in bench.status("failed").sentence.zh
        with pytest.raises(AssertionError, match="no reading"):
            bench.reading(timeout=0.3)


def set_to(line):
    """What the reader set the device's clock to."""
    heard = line.received()
    at = heard.index(b"\x02\x72\x06")
    year, *rest = heard[at + 3 : at + 9]
    return datetime(2000 + year, *rest, tzinfo=UTC)


def test_ports_have_lasting_names():
    def usb(device, **more):
        values = {"vid": 0x0403, "pid": 0x6001, "serial_number": "A50285BI", "location": "1-1.2", "product": "Cable"}
        values |= {"device": device, "name": device[5:], "manufacturer": None, "description": "n/a", **more}
        return SimpleNamespace(**values)

    def found(port):
        [info] = ports.list_serial_ports(lambda: [port])
        return info

    assert found(usb("/dev/ttyUSB0")).device_id == found(usb("/dev/ttyUSB3")).device_id == "usb-0403-6001-A50285BI"
    assert found(usb("/dev/ttyUSB0")).lasting
    without = found(usb("/dev/ttyUSB0", serial_number=None))
    assert (without.device_id, without.lasting) == ("usb-0403-6001-at-1-1.2", False)
    assert found(usb("/dev/ttyS0", vid=None, serial_number=None)).device_id == "port-ttyS0"
    assert found(usb("/dev/ttyUSB0", serial_number="é 7")).device_id == "usb-0403-6001-__7"
    device = DeviceInfo(device_id="usb-0403-6001-A50285BI", name="x", address="/dev/ttyUSB0")
    assert ports.find_port(device, lambda: [usb("/dev/ttyUSB7")]) == "/dev/ttyUSB7"
