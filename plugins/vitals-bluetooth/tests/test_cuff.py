"""A cuff on the virtual radio, read as a node reads it. What holds for all readers is tested here."""
# ruff: noqa: DTZ001 - a device's clock names no zone

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from bumble.att import ATT_Error
from teleconsult_vitals_bluetooth import standing
from teleconsult_vitals_bluetooth.cuff import Cuff
from teleconsult_vitals_bluetooth.frames import Stamp, parse_date_time
from teleconsult_vitals_bluetooth.interpret import Taken
from teleconsult_vitals_bluetooth.reader import QUEUE
from teleconsult_vitals_bluetooth.settings import BluetoothSettings
from teleconsult_vitals_bluetooth.simulated.threaded import Peripheral, Value, device, stamp
from teleconsult_vitals_bluetooth.thermometer import Thermometer
from teleconsult_vitals_bluetooth.unkept import Unkept

from teleconsult.plugin_api import DeviceInfo, DeviceUnavailable, Limits, ReadingFlag
from teleconsult.plugin_api.checking import BenchSession

NOW = datetime(2026, 11, 24, 0, 1, 30, tzinfo=UTC)
NAN = "ff07"
UNDATED, OF_ANYBODY = (ReadingFlag.CLOCK_NOT_SET,), (ReadingFlag.CLOCK_NOT_SET, ReadingFlag.WHOSE_UNKNOWN)
WITH_ALL = bytes.fromhex("1e780050005d00" + "ea070b18080102" + "3d00" + "02" + "0500")


def frame(systolic=120, at=None, user=None):
    flags = (2 if at else 0) | (8 if user is not None else 0)
    pressures = systolic.to_bytes(2, "little") + bytes.fromhex("50005d00")
    return bytes([flags]) + pressures + (stamp(at) if at else b"") + (b"" if user is None else bytes([user]))


def cuff(radio, *, paired=False, **more):
    values = {
        0x2A35: Value(0x2A35, "indicate"),
        0x2A36: Value(0x2A36, "notify"),
        0x2A49: Value(0x2A49, "read", b"\x07\x00", paired=paired),
    }
    return Peripheral(radio, 0x1810, values, **more)


def clock(value, properties="read write", **more):
    return {0x2A08: Value(0x2A08, properties, value, **more)}


@pytest.fixture
def start(radio, device_bench):
    def begin(peripheral, **more):
        settings = radio.settings.model_copy(update=more.pop("settings", {}))
        more.setdefault("clock", lambda: NOW)
        return device_bench(Cuff, settings, device=device(peripheral), **more)

    return begin


def test_a_measurement_becomes_a_reading(radio, start):
    peripheral = cuff(radio)
    bench = start(peripheral)
    bench.status("idle")
    peripheral.send(0x2A35, WITH_ALL)
    reading = bench.reading("blood_pressure")
    assert {q.code: q.value for q in reading.components} == {
        "8480-6": Decimal(120),
        "8462-4": Decimal(80),
        "8478-0": Decimal(93),
        "8867-4": Decimal(61),
    }
    assert reading.raw == WITH_ALL.hex()
    assert reading.sequence == "2026-11-24T08:01:02/2"
    assert reading.taken_at == datetime(2026, 11, 24, 0, 1, 2, tzinfo=UTC)
    assert set(reading.flags) == {ReadingFlag.BODY_MOVEMENT, ReadingFlag.IRREGULAR_PULSE}
    assert not reading.continuous


def test_kilopascals_are_converted_and_kept(radio, start):
    peripheral = cuff(radio)
    bench = start(peripheral)
    peripheral.send(0x2A35, bytes.fromhex("01a0f06bf0" + NAN))
    reading = bench.reading()
    assert reading.value("systolic") == Decimal("120.0")
    assert reading.components[0].as_given == "16.0 kPa"
    assert reading.value("mean") is None


def test_the_pressure_in_the_cuff_is_told_on_the_way(radio, start):
    peripheral = cuff(radio)
    bench = start(peripheral)
    peripheral.send(0x2A36, bytes.fromhex("008e00" + NAN + NAN))
    assert "142 mmHg" in bench.status("measuring").sentence.zh
    peripheral.send(0x2A35, frame())
    bench.reading()
    assert bench.status("idle").sentence.zh


@pytest.mark.parametrize("pressures", [NAN + "5000" + "5d00", "7800" + "0008" + NAN, "fe07" * 3])
def test_a_failed_measurement_is_a_sentence_and_no_reading(radio, start, pressures):
    peripheral = cuff(radio)
    bench = start(peripheral)
    peripheral.send(0x2A35, b"\x00" + bytes.fromhex(pressures))
    failed = bench.status("failed").sentence
    assert failed.zh
    assert failed.en
    peripheral.send(0x2A35, frame(121))
    assert bench.reading().value("systolic") == 121


def test_malformed_frames_are_counted_dropped_and_told(radio, start):
    peripheral = cuff(radio)
    bench = start(peripheral)
    peripheral.send(0x2A35, b"", WITH_ALL[:9], WITH_ALL + b"\0", frame(122))
    assert [bench.status("failed").sentence.en.split("(")[1][:1] for _ in range(3)] == ["1", "2", "3"]
    assert bench.reading().value("systolic") == 122


def test_a_repeat_is_the_same_reading_and_another_one_is_not(radio, start):
    peripheral = cuff(radio)
    bench = start(peripheral)
    peripheral.send(0x2A35, WITH_ALL, WITH_ALL, frame(), frame())
    first, repeat, unstamped, another = (bench.reading() for _ in range(4))
    assert first.reading_id == repeat.reading_id
    assert unstamped.reading_id != another.reading_id


def test_stored_readings_come_with_the_old_clock_and_new_ones_with_the_one_we_set(radio, start):
    """The clock is seven years behind; it can be set."""
    old = datetime(2019, 11, 24, 8, 1, 30)
    peripheral = cuff(radio, service_1805=clock(stamp(old)))
    bench = start(peripheral)
    bench.status("idle")
    assert parse_date_time(peripheral.all[0x2A08].value) == Stamp(2026, 11, 24, 8, 1, 30)
    peripheral.send(0x2A35, frame(131, old - timedelta(hours=2)), frame(132, datetime(2026, 11, 24, 8, 1)))
    stored, fresh = bench.reading(), bench.reading()
    assert (stored.taken_at, stored.flags) == (NOW - timedelta(hours=2), (ReadingFlag.CLOCK_CORRECTED,))
    assert stored.sequence == "2019-11-24T06:01:30"
    assert (fresh.taken_at, fresh.flags) == (datetime(2026, 11, 24, 0, 1, tzinfo=UTC), ())


def test_stored_readings_of_a_fast_clock_are_not_of_now_and_a_measurement_after_them_is(radio, start):
    """Five minutes ahead: what it stored at 7:56 says 8:01, and it is 8:01."""
    now = NOW
    peripheral = cuff(radio, service_1805=clock(stamp(datetime(2026, 11, 24, 8, 6, 30))))
    bench = start(peripheral, clock=lambda: now)
    bench.status("idle")
    stored, shown = frame(131, datetime(2026, 11, 24, 7, 50)), datetime(2026, 11, 24, 8, 1)
    found = []
    for n in range(3):  # they come one after the other, longer than the silence that ends them
        now += timedelta(seconds=8)
        peripheral.send(0x2A35, stored if n == 0 else frame(131 + n, shown))
        found.append(bench.reading())
    first, second, third = found
    assert (first.taken_at, first.flags) == (NOW - timedelta(minutes=16, seconds=30), (ReadingFlag.CLOCK_CORRECTED,))
    assert {(each.taken_at, each.flags) for each in (second, third)} == {(None, OF_ANYBODY)}
    now += timedelta(seconds=40)
    peripheral.send(0x2A35, frame(139, datetime(2026, 11, 24, 8, 2, 30)))
    fresh = bench.reading()
    assert (fresh.taken_at, fresh.flags) == (datetime(2026, 11, 24, 0, 2, 30, tzinfo=UTC), ())


@pytest.mark.parametrize("properties", ["read", "read write"])
def test_a_clock_that_cannot_be_set_is_corrected(radio, start, properties):
    ahead = datetime(2031, 11, 24, 8, 1, 30)
    values = clock(stamp(ahead), properties)
    values[0x2A08].on_write = lambda _: None  # it takes the time, and goes on with its own
    peripheral = cuff(radio, service_1805=values)
    bench = start(peripheral)
    peripheral.send(0x2A35, frame(133, ahead))
    reading = bench.reading()
    assert (reading.taken_at, reading.flags) == (NOW, (ReadingFlag.CLOCK_CORRECTED,))


def test_a_clock_that_is_right_is_left_alone(radio, start):
    peripheral = cuff(radio, service_1805=clock(stamp(datetime(2026, 11, 24, 8, 0, 30))))
    start(peripheral).status("idle")
    assert peripheral.all[0x2A08].written == []


def test_without_a_clock_to_compare_a_wrong_year_is_not_taken(radio, start):
    peripheral = cuff(radio)
    bench = start(peripheral)
    peripheral.send(0x2A35, frame(134, datetime(2019, 1, 1)), bytes.fromhex("02780050005d00" + "00" * 7))
    for reading in bench.reading(), bench.reading():
        assert (reading.taken_at, reading.flags) == (None, (ReadingFlag.CLOCK_NOT_SET,))


def test_only_one_user_s_readings_are_taken(radio, start):
    peripheral = cuff(radio)
    bench = start(peripheral, settings={"user_index": 1})
    bench.status("idle")
    peripheral.send(0x2A35, frame(140, user=2), frame(141, user=1), frame(142, user=255))
    passed_over = bench.status("idle").sentence
    assert "user 2" in passed_over.en
    assert "用户 2" in passed_over.zh
    assert [bench.reading().value("systolic") for _ in range(2)] == [141, 142]


def test_each_device_may_have_its_own_user(radio, start):
    peripheral = cuff(radio)
    users = ["ble-F0:00:00:00:00:01=3", f"{peripheral.address.lower()} = 2"]
    bench = start(peripheral, settings={"user_index": 1, "users": users})
    bench.status("idle")
    peripheral.send(0x2A35, frame(140, user=1), frame(141, user=2), frame(142))
    assert "only user 2 is taken" in bench.status("idle").sentence.en
    assert [bench.reading().value("systolic") for _ in range(2)] == [141, 142]


def test_battery_and_what_it_is(radio, start):
    peripheral = cuff(
        radio,
        service_180f={0x2A19: Value(0x2A19, "read notify", b"\x5a")},
        service_180a={
            0x2A29: Value(0x2A29, "read", b"Maker\0"),
            0x2A24: Value(0x2A24, "read", b"BP-1"),
            0x2A25: Value(0x2A25, "read", b"S-7"),
        },
    )
    bench = start(peripheral)
    connected = bench.status("connected")
    assert connected.sentence.en == "Connected: Maker BP-1"
    assert bench.status("idle").battery == 90
    assert bench.session.memory["about"] == {"manufacturer": "Maker", "model": "BP-1", "serial_number": "S-7"}
    peripheral.send(0x2A19, b"\x07")
    low = bench.status("idle")
    assert low.battery == 7
    assert "电池" in low.sentence.zh
    peripheral.send(0x2A35, b"\x00" + bytes.fromhex(NAN * 3), frame())
    bench.status("failed")
    still = bench.status("idle").sentence
    assert "电池" in still.zh
    assert "Ready" in still.en
    peripheral.send(0x2A19, b"\x5a")
    assert bench.status("idle").sentence.en.startswith("Ready")


def test_a_bond_is_made_when_the_device_asks_for_it_and_lasts(radio, start):
    values = clock(stamp(datetime(2026, 11, 24, 8, 1)), paired=True)
    peripheral = cuff(radio, service_1805=values)
    first = start(peripheral)
    first.status("idle")
    assert peripheral.connections[-1].is_encrypted
    memory = first.session.memory
    first.cancel()
    pairings = []
    peripheral.device.on("connection", lambda connection: connection.on("pairing", pairings.append))
    second = start(peripheral, memory=memory)
    second.status("idle")
    assert peripheral.connections[-1].is_encrypted
    assert pairings == []
    assert second.session.memory["bluetooth"] == memory["bluetooth"]


def test_results_that_only_a_paired_peer_may_have_come_once(radio, start):
    peripheral = Peripheral(radio, 0x1810, {0x2A35: Value(0x2A35, "indicate", paired=True)})
    bench = start(peripheral)
    peripheral.send(0x2A35, frame(145))
    assert bench.reading().value("systolic") == 145
    assert peripheral.connections[-1].is_encrypted
    peripheral.send(0x2A35, frame(146))
    assert bench.reading().value("systolic") == 146


def test_a_device_that_forgot_the_bond_is_paired_anew(radio, start):
    peripheral = Peripheral(radio, 0x1810, {0x2A35: Value(0x2A35, "indicate", paired=True)})
    first = start(peripheral)
    first.status("idle")
    first.cancel()

    async def forget():
        await peripheral.device.keystore.delete_all()

    radio.do(forget())
    second = start(peripheral, memory=first.session.memory)
    peripheral.send(0x2A35, frame(147))
    assert second.reading().value("systolic") == 147
    assert second.session.memory["bluetooth"]["keys"] != first.session.memory["bluetooth"]["keys"]


def test_a_lost_device_is_unavailable_and_found_again(radio, start):
    peripheral = cuff(radio)
    bench = start(peripheral)
    bench.status("idle")
    peripheral.hang_up()
    lost = bench.ended()
    assert isinstance(lost, DeviceUnavailable)
    assert lost.sentence.zh
    again = start(peripheral)
    peripheral.send(0x2A35, frame(150))
    assert again.reading().value("systolic") == 150


def test_a_cuff_that_switches_itself_off_has_handed_over_everything(radio, start):
    peripheral = cuff(radio)
    bench = start(peripheral)
    peripheral.send(0x2A35, *(frame(100 + n) for n in range(12)))
    peripheral.hang_up()
    assert [bench.reading().value("systolic") for _ in range(12)] == [100 + n for n in range(12)]
    assert "switched itself off" in bench.ended().sentence.en


def test_a_loss_in_the_middle_of_a_measurement_is_told(radio, start):
    peripheral = cuff(radio)
    bench = start(peripheral)
    peripheral.send(0x2A36, bytes.fromhex("008e00" + NAN + NAN))
    bench.status("measuring")
    peripheral.hang_up()
    assert "measure again" in bench.ended().sentence.en.lower()


def test_what_the_node_could_not_keep_is_offered_again_once(radio, start):
    peripheral = cuff(radio)
    bench = start(peripheral)
    bench.status("idle")
    bench.session.refuse_readings = True
    peripheral.send(0x2A35, frame(160, datetime(2026, 11, 24, 8, 0)))
    assert bench.ended() is not None
    assert len(bench.session.memory["unkept"]) == 1
    second = start(peripheral, memory=bench.session.memory)
    reading = second.reading()
    assert (reading.value("systolic"), reading.sequence) == (160, "2026-11-24T08:00:00")
    assert reading.taken_at == datetime(2026, 11, 24, tzinfo=UTC)
    second.status("idle")
    assert second.session.memory["unkept"] == []


def test_what_came_without_a_time_is_offered_again_with_the_time_when_it_came(radio, start):
    """One person's reading that the node could not keep must not be of now when the next one sits there."""
    peripheral = cuff(radio)
    first = start(peripheral)
    first.status("idle")
    first.session.refuse_readings = True
    peripheral.send(0x2A35, frame(160))
    assert first.ended() is not None
    second = start(peripheral, memory=first.session.memory, clock=lambda: NOW + timedelta(hours=1))
    again = second.reading()
    assert (again.value("systolic"), again.taken_at, again.flags) == (160, NOW, ())
    peripheral.send(0x2A35, frame(120))
    assert second.reading().taken_at == NOW + timedelta(hours=1)


def test_what_an_earlier_version_kept_without_a_time_is_not_of_now(radio, start):
    kept = ["blood_pressure", {"systolic": ["160", "mm[Hg]"], "diastolic": ["90", "mm[Hg]"]}, None, "a-1", [], ""]
    reading = start(cuff(radio), memory={"unkept": [kept]}).reading()
    assert (reading.taken_at, reading.flags) == (None, (ReadingFlag.CLOCK_NOT_SET,))


def test_a_frame_is_not_lost_when_the_reader_is_stopped_while_it_looks_at_the_clock(radio, start):
    values = clock(stamp(datetime(2026, 11, 24, 8, 1)))
    peripheral = cuff(radio, service_1805=values)
    bench = start(peripheral)
    bench.status("idle")
    reads = values[0x2A08].reads
    values[0x2A08].late = 3.0
    peripheral.send(0x2A35, frame(166))
    peripheral.until(lambda: values[0x2A08].reads > reads)
    bench.cancel()
    assert [Taken.kept(each).values["systolic"][0] for each in bench.session.memory["unkept"]] == [166]
    values[0x2A08].late = 0.0
    assert start(peripheral, memory=bench.session.memory).reading().value("systolic") == 166


def test_a_clock_that_does_not_answer_does_not_hold_a_reading_up(radio, start):
    values = clock(stamp(datetime(2026, 11, 24, 8, 1)))
    peripheral = cuff(radio, service_1805=values)
    bench = start(peripheral)
    bench.status("idle")
    values[0x2A08].late = 3.0
    peripheral.send(0x2A35, frame(167))
    assert bench.reading(timeout=0.95).value("systolic") == 167


def test_of_too_much_to_remember_the_newest_is_remembered():
    async def remember():
        info = DeviceInfo(device_id="ble-1", name="cuff")
        session = BenchSession(info)
        values = {key: (Decimal(120), "mm[Hg]") for key in ("systolic", "diastolic", "mean", "pulse_rate")}
        flags = tuple(ReadingFlag)
        unkept = Unkept(session)
        await unkept.save(Taken("blood_pressure", values, NOW, f"n{n}", flags, raw=bytes(20)) for n in range(90))
        return session.memory["unkept"]

    kept = [Taken.kept(saved).sequence for saved in asyncio.run(remember())]
    assert 10 < len(kept) <= 30
    assert kept == [f"n{n}" for n in range(90 - len(kept), 90)]


def test_a_clock_that_takes_the_time_and_says_no_was_set(radio, start):
    values = clock(stamp(datetime(2019, 11, 24, 8, 1)))

    def take_and_refuse(written):
        values[0x2A08].value = written
        raise ATT_Error(0x80)

    values[0x2A08].on_write = take_and_refuse
    peripheral = cuff(radio, service_1805=values)
    bench = start(peripheral)
    peripheral.send(0x2A35, frame(136, datetime(2026, 11, 24, 8, 1)))
    reading = bench.reading()
    assert (reading.taken_at, reading.flags) == (datetime(2026, 11, 24, 0, 1, tzinfo=UTC), ())


def test_a_spoilt_memory_does_no_harm(radio, start):
    peripheral = cuff(radio)
    for spoilt in ([1, ["x"], ["blood_pressure", {"systolic": ["x", "y"]}, 1, 2, [], ""]], 7, {"a": 1}):
        bench = start(peripheral, memory={"unkept": spoilt})
        bench.status("idle")
        bench.cancel()


def test_an_absent_device_is_unavailable(radio, device_bench):
    nobody = DeviceInfo(device_id="ble-C0:00:00:00:00:99", name="gone", address="C0:00:00:00:00:99")
    bench = device_bench(Cuff, radio.settings.model_copy(update={"search_seconds": 0.3}), device=nobody)
    assert isinstance(bench.ended(), DeviceUnavailable)


def test_no_radio_is_unavailable(radio, device_bench):
    settings = radio.settings.model_copy(update={"radio": "tcp-client:127.0.0.1:1"})
    assert "Bluetooth" in device_bench(Cuff, settings).ended().sentence.en


def test_a_device_of_another_sort_is_told(radio, start):
    peripheral = Peripheral(radio, 0x1810, {0x2A1C: Value(0x2A1C, "indicate")})
    assert "not give such readings" in start(peripheral).ended().sentence.en


@pytest.mark.parametrize("at", [None, datetime(2026, 11, 24, 8, 1)])
def test_a_flood_ends_the_connection_with_a_sentence_and_nothing_of_it_is_kept(radio, start, at):
    peripheral = Peripheral(radio, 0x1810, {0x2A35: Value(0x2A35, "notify")})
    bench = start(peripheral, limits=Limits(readings_per_second=1))
    bench.status("idle")
    peripheral.send(0x2A35, *[frame(50 + n, at) for n in range(QUEUE + 20)])
    assert "far more" in bench.ended().sentence.en
    assert sum(hasattr(value, "components") for value in bench.session.sent.queue) <= 5
    assert len(bench.session.memory.get("unkept", [])) <= 1, "that which was on its way to the node"


@pytest.mark.parametrize("when", ["searching", "connected", "measuring"])
def test_it_lets_go_when_it_is_cancelled(radio, start, when):
    peripheral = cuff(radio)
    threads = threading.active_count()
    if when == "searching":
        peripheral.vanish()
    bench = start(peripheral)
    if when != "searching":
        bench.status("idle")
    if when == "measuring":
        peripheral.send(0x2A36, bytes.fromhex("008e00" + NAN + NAN))
        bench.status("measuring")
    bench.cancel(timeout=3.0)
    peripheral.alone()
    assert threading.active_count() <= threads + 1


def test_discovery_finds_devices_of_its_sort_once(radio):
    peripheral = cuff(radio)
    other = Peripheral(radio, 0x1809, {0x2A1C: Value(0x2A1C, "indicate")})

    async def look(reader, seconds):
        found = []
        try:
            async with asyncio.timeout(seconds):
                async for device in reader.discover(radio.settings):
                    found.append(device)
        except TimeoutError:
            pass
        return found

    [found] = asyncio.run(look(Cuff, 0.5))
    assert (found.address, found.device_id) == (peripheral.address, f"ble-{peripheral.address}")
    assert found.name == "Virtual"
    assert found.kinds == ("blood_pressure",)
    [thermometer] = asyncio.run(look(Thermometer, 0.5))
    assert thermometer.address == other.address


def test_discovery_without_bluetooth_says_so():
    async def look():
        return [device async for device in Cuff.discover(BluetoothSettings(radio="tcp-client:127.0.0.1:1"))]

    with pytest.raises(DeviceUnavailable) as unavailable:
        asyncio.run(look())
    assert "蓝牙不可用" in unavailable.value.sentence.zh


def test_a_clock_that_jumps_while_it_is_connected_is_noticed_and_set(radio, start):
    values = clock(stamp(datetime(2026, 11, 24, 8, 1)))
    peripheral = cuff(radio, service_1805=values)
    bench = start(peripheral)
    bench.status("idle")
    jumped = datetime(2016, 11, 24, 8, 1, 30)
    values[0x2A08].value = stamp(jumped)
    peripheral.send(0x2A35, frame(135, jumped))
    reading = bench.reading()
    assert (reading.taken_at, reading.flags) == (NOW, (ReadingFlag.CLOCK_CORRECTED,))
    assert parse_date_time(values[0x2A08].value) == Stamp(2026, 11, 24, 8, 1, 30)


RISING = bytes.fromhex("008e00" + NAN + NAN)


def measuring(peripheral, bench):
    peripheral.send(0x2A36, RISING)
    bench.status("measuring")


def test_what_a_cuff_without_a_set_clock_sends_at_once_while_it_measures_is_nobody_s(radio, start):
    """It hands over what it stored as soon as it is connected, while it already measures the next person."""
    now, never_set = NOW, datetime(2019, 1, 1)
    peripheral = cuff(radio)
    bench = start(peripheral, clock=lambda: now)
    bench.status("idle")
    measuring(peripheral, bench)
    peripheral.send(0x2A35, frame(161, never_set))
    stored = bench.reading()
    assert (stored.taken_at, stored.flags) == (None, OF_ANYBODY)
    measuring(peripheral, bench)
    now += timedelta(seconds=40)
    peripheral.send(0x2A35, frame(121, never_set))
    live = bench.reading()
    assert (live.value("systolic"), live.flags) == (121, UNDATED)


@pytest.mark.parametrize(("properties", "shown"), [("read write", (2001, 2026)), ("read", (2001, 2002))])
def test_what_a_cuff_measured_before_its_clock_was_ever_set_is_nobody_s(radio, start, properties, shown):
    """However late it comes. The clock is more than twenty years off: set, or left as it is."""
    now, (then, today) = NOW, shown
    values = clock(stamp(datetime(2002, 11, 24, 8, 1, 30)), properties)
    peripheral = cuff(radio, service_1805=values)
    bench = start(peripheral, clock=lambda: now)
    bench.status("idle")
    now += timedelta(seconds=40)
    measuring(peripheral, bench)
    peripheral.send(0x2A35, frame(162, datetime(then, 3, 1)))
    assert bench.reading().flags == OF_ANYBODY
    measuring(peripheral, bench)
    peripheral.send(0x2A35, frame(122, datetime(today, 11, 24, 8, 2)))
    live = bench.reading()
    assert (live.value("systolic"), ReadingFlag.WHOSE_UNKNOWN in live.flags) == (122, False)


ABOVE = bytes.fromhex("fe07" * 3)
"""Beyond what the cuff can measure."""


def beyond(at=None):
    return bytes([2 if at else 0]) + ABOVE + (stamp(at) if at else b"")


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (None, "2026-11-24 08:01: The result is above"),
        (datetime(2026, 11, 24, 7, 58), "2026-11-24 07:58: The result is above"),
        (datetime(2000, 1, 1), "2026-11-24 08:01: Measured at an unknown time. The result is above"),
    ],
)
def test_a_result_beyond_what_can_be_measured_says_of_when_it_is(radio, start, at, said):
    peripheral = cuff(radio)
    bench = start(peripheral)
    peripheral.send(0x2A35, beyond(at))
    assert bench.status("failed").sentence.en.startswith(said)


def test_a_result_beyond_what_can_be_measured_of_another_day_does_not_stand(radio, start):
    peripheral = cuff(radio)
    bench = start(peripheral)
    peripheral.send(0x2A35, beyond(datetime(2026, 11, 22, 8, 0)))
    assert bench.status("failed").sentence.en.startswith("2026-11-22 08:00: ")
    bench.cancel()
    assert not bench.session.memory.get("standing")


def test_that_a_device_is_not_found_does_not_hide_its_result_beyond_what_can_be_measured(radio, start):
    peripheral = cuff(radio)
    first = start(peripheral)
    peripheral.send(0x2A35, beyond())
    stands = first.status("failed").sentence
    peripheral.vanish()
    assert first.ended().sentence == stands
    second = start(peripheral, memory=first.session.memory, settings={"search_seconds": 0.3})
    assert second.status("searching").sentence == stands
    lost = second.ended().sentence
    assert lost.en == f"{stands.en} The device was not found. Switch it on, and bring it nearer."
    assert lost.zh.startswith(stands.zh)
    memory, later = first.session.memory, NOW + timedelta(hours=2)
    third = start(peripheral, memory=memory, settings={"search_seconds": 0.3}, clock=lambda: later)
    assert third.status("searching").sentence is None
    assert third.ended().sentence.en.startswith("The device was not found.")


def test_a_result_beyond_what_can_be_measured_goes_from_the_card_of_a_connected_device_too(radio, start, monkeypatch):
    monkeypatch.setattr(standing, "STANDS", timedelta(seconds=0.2))
    peripheral = cuff(radio)
    bench = start(peripheral, clock=lambda: datetime.now(UTC))
    bench.status("idle")
    peripheral.send(0x2A35, beyond())
    assert "above what" in bench.status("failed").sentence.en
    assert bench.status("idle").sentence.en.startswith("Ready"), "by itself"
    assert not bench.session.memory["standing"]


def test_a_low_battery_does_not_hide_a_result_beyond_what_can_be_measured(radio, start):
    peripheral = cuff(radio, service_180f={0x2A19: Value(0x2A19, "read notify", b"\x5a")})
    bench = start(peripheral)
    bench.status("idle")
    peripheral.send(0x2A35, beyond())
    stands = bench.status("failed").sentence
    peripheral.send(0x2A19, b"\x07")
    assert bench.status("failed").sentence.en == f"{stands.en} The battery is nearly empty. Change it."
