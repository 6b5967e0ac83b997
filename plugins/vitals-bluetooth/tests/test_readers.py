"""Oximeter, thermometer, scale and strap on the virtual radio. What holds for all readers is in test_cuff."""
# ruff: noqa: DTZ001 - a device's clock names no zone

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import teleconsult_vitals_bluetooth as plugin
import teleconsult_vitals_bluetooth.scale as scale_module
import teleconsult_vitals_bluetooth.storing as storing_module
from teleconsult_vitals_bluetooth.ieee11073 import Special, encode_sfloat
from teleconsult_vitals_bluetooth.oximeter import Oximeter
from teleconsult_vitals_bluetooth.scale import Scale
from teleconsult_vitals_bluetooth.settings import BluetoothSettings
from teleconsult_vitals_bluetooth.simulated.threaded import Peripheral, Value, device, stamp
from teleconsult_vitals_bluetooth.strap import Strap
from teleconsult_vitals_bluetooth.thermometer import Thermometer

from teleconsult.plugin_api import ReadingFlag

NOW = datetime(2026, 11, 24, 0, 1, 30, tzinfo=UTC)
LOCAL = datetime(2026, 11, 24, 8, 1)


def sfloats(*values):
    return b"".join(encode_sfloat(value if isinstance(value, Special) else Decimal(value)) for value in values)


@pytest.fixture
def start(radio, device_bench):
    def begin(reader, peripheral, **more):
        more.setdefault("clock", lambda: NOW)
        return device_bench(reader, radio.settings, device=device(peripheral), **more)

    return begin


def test_hooks_keep_to_the_specification(plugin_hooks):
    hooks = plugin_hooks(plugin)
    assert hooks.describe_plugin().settings is BluetoothSettings
    [readers] = hooks.register_device_readers()
    assert [reader.key for reader in readers] == ["cuff", "oximeter", "thermometer", "meter", "scale", "strap"]
    assert all(reader.title.zh for reader in readers)


def test_settings_refuse_what_cannot_be():
    for wrong in ({"timezone": "Asia/Nowhere"}, {"timezone": "../etc"}, {"user_index": 255}, {"search_seconds": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            BluetoothSettings(**wrong)


@pytest.mark.parametrize(
    ("users", "said"),
    [
        (["ble-AA"], "write DEVICE_ID=NUMBER"),
        (["=1"], "设备标识=编号"),
        (["ble-AA=255"], "from 0 to 254"),
        (["ble-AA=1.5"], "not 'ble-AA=1.5'"),
        (["ble-AA=1", "BLE-aa=2"], "named twice"),
    ],
)
def test_a_user_of_a_device_that_cannot_be_read_is_refused_with_a_sentence(users, said):
    with pytest.raises(ValueError, match=said):
        BluetoothSettings(users=users)


def test_a_device_without_a_user_of_its_own_keeps_to_the_one_of_all():
    settings = BluetoothSettings(user_index=2, users=["ble-AA:01=1", "AA:02=-1"])
    assert [settings.user_of(device) for device in ("ble-AA:01", "ble-AA:02", "ble-AA:03")] == [1, -1, 2]
    assert BluetoothSettings(user_index=2).user_of("ble-AA:01") == 2


def test_the_users_are_lines_of_the_settings_form_and_both_languages_say_who_else_is_taken():
    properties = BluetoothSettings.model_json_schema()["properties"]
    assert (properties["users"]["type"], properties["users"]["items"]["type"]) == ("array", "string")
    for name in ("user_index", "users"):
        assert "255, are taken too" in properties[name]["description"]
        assert "用户未知（255）的测量同样接收" in properties[name]["description"]


def test_a_scale_may_have_another_user_than_the_cuff(radio, device_bench):
    peripheral = scale(radio)
    settings = radio.settings.model_copy(update={"user_index": 1, "users": [f"ble-{peripheral.address}=2"]})
    bench = device_bench(Scale, settings, device=device(peripheral), clock=lambda: NOW)
    peripheral.send(0x2A9D, b"\x04\xb4\x37\x01", b"\x04\xb4\x38\x02")
    assert bench.reading("body_weight").raw == "04b43802"


# Thermometer


def thermometer(radio):
    return Peripheral(radio, 0x1809, {0x2A1C: Value(0x2A1C, "indicate"), 0x2A1E: Value(0x2A1E, "notify")})


def test_a_temperature(radio, start):
    peripheral = thermometer(radio)
    bench = start(Thermometer, peripheral)
    peripheral.send(0x2A1E, bytes.fromhex("005e0100ff"))
    assert "35.0 °C" in bench.status("measuring").sentence.zh
    peripheral.send(0x2A1C, bytes.fromhex("066c0100ff") + stamp(LOCAL) + b"\x03")
    reading = bench.reading("body_temperature")
    assert reading.value("body_temperature") == Decimal("36.4")
    assert reading.taken_at == datetime(2026, 11, 24, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("always", "own", "flags"),
    [
        (b"\x01", b"", (ReadingFlag.SITE_ARMPIT,)),
        (b"\x01", b"\x09", (ReadingFlag.SITE_EAR,)),
        (b"\x02", b"", ()),
        (b"\x2a", b"\x2a", ()),
        (b"", b"\x07", (ReadingFlag.SITE_RECTUM,)),
    ],
)
def test_where_a_temperature_was_taken_goes_with_it(radio, start, always, own, flags):
    values = {0x2A1C: Value(0x2A1C, "indicate"), 0x2A1D: Value(0x2A1D, "read", always)}
    peripheral = Peripheral(radio, 0x1809, values)
    bench = start(Thermometer, peripheral)
    peripheral.until(lambda: values[0x2A1D].reads)
    peripheral.send(0x2A1C, (b"\x04" if own else b"\x00") + bytes.fromhex("6c0100ff") + own)
    assert bench.reading().flags == flags


def test_fahrenheit_is_converted_and_kept(radio, start):
    peripheral = thermometer(radio)
    bench = start(Thermometer, peripheral)
    peripheral.send(0x2A1C, bytes.fromhex("01d90300ff"))
    [temperature] = bench.reading().components
    assert (temperature.value, temperature.unit, temperature.as_given) == (Decimal("36.94"), "Cel", "98.5 [degF]")


def test_a_clock_that_stands_still_makes_no_repeat_of_the_next_person_s_temperature(radio, start):
    peripheral = thermometer(radio)
    frame = bytes.fromhex("026d0100ff") + stamp(datetime(2000, 1, 1))
    now = NOW
    bench = start(Thermometer, peripheral, clock=lambda: now)
    bench.status("idle")
    peripheral.send(0x2A1C, frame, frame)
    first, repeat = bench.reading(), bench.reading()
    assert first.reading_id == repeat.reading_id
    now += timedelta(seconds=20)
    peripheral.send(0x2A1C, frame)
    second = bench.reading()
    assert second.reading_id != first.reading_id
    assert second.flags == (ReadingFlag.CLOCK_NOT_SET,)
    bench.cancel()
    now += timedelta(seconds=10)
    again = start(Thermometer, peripheral, clock=lambda: now, memory=bench.session.memory)
    peripheral.send(0x2A1C, frame)
    assert again.reading().reading_id == second.reading_id, "sent again in the next connection"
    now += timedelta(seconds=20)
    peripheral.send(0x2A1C, frame)
    assert again.reading().reading_id not in {first.reading_id, second.reading_id}


@pytest.mark.parametrize(
    ("frame", "words"),
    [("00ffff7f00", "体温测量失败"), ("00feff7f00", "上限"), ("0002008000", "下限"), ("00ffff7e7f", "无法识别")],
)
def test_no_temperature_is_a_sentence(radio, start, frame, words):
    peripheral = thermometer(radio)
    bench = start(Thermometer, peripheral)
    peripheral.send(0x2A1C, bytes.fromhex(frame))
    sentence = bench.status("failed").sentence.zh
    assert words in sentence
    assert sentence.startswith("2026-11-24 08:01：") == (words in ("上限", "下限"))
    peripheral.send(0x2A1C, bytes.fromhex("006c0100ff"))
    assert bench.reading().value("body_temperature") == Decimal("36.4")


# Scale


def scale(radio, *numbers):
    numbers = numbers or (0x2A9D,)
    return Peripheral(radio, 0x181D, {number: Value(number, "indicate") for number in numbers})


def test_a_weight(radio, start):
    peripheral = scale(radio)
    bench = start(Scale, peripheral)
    peripheral.send(0x2A9D, b"\x0e\xb4\x37" + stamp(LOCAL) + b"\x01\xf5\x00\x96\x06")
    reading = bench.reading("body_weight")
    assert reading.value("body_weight") == Decimal("71.300")
    assert reading.sequence == "2026-11-24T08:01:00/1"
    peripheral.send(0x2A9D, b"\x00\xff\xff")
    assert "称重失败" in bench.status("failed").sentence.zh
    peripheral.send(0x2A9D, b"\x01\x46\x3c")
    assert bench.reading().components[0].as_given == "154.30 [lb_av]"


def test_a_scale_with_body_composition_alone_gives_its_weight_once(radio, start):
    peripheral = scale(radio, 0x2A9C)
    bench = start(Scale, peripheral)
    peripheral.send(
        0x2A9C, bytes.fromhex("0610f400") + stamp(LOCAL) + b"\x01", bytes.fromhex("0414ffff" + "01" + "b437")
    )
    reading = bench.reading("body_weight")
    assert reading.value("body_weight") == Decimal("71.300")
    assert reading.sequence == "2026-11-24T08:01:00/1"


FIRST_WITH_WEIGHT, FIRST = "0014f400{}", "0010f400"
REST, REST_WITH_WEIGHT = "0810ffff1010", "0014ffff{}"


def composed(layout, kilograms=0):
    return bytes.fromhex(layout.format(round(kilograms * 200).to_bytes(2, "little").hex()))


def weights(bench, count):
    return [float(bench.reading("body_weight").value("body_weight")) for _ in range(count)]


def test_packets_of_two_people_are_never_joined(radio, start):
    """The first one's second packet is cut off; then the next one steps on the scale."""
    peripheral = scale(radio, 0x2A9C)
    bench = start(Scale, peripheral)
    frames = composed(FIRST_WITH_WEIGHT, 71.3), b"\x00", composed(FIRST_WITH_WEIGHT, 50), composed(REST)
    peripheral.send(0x2A9C, *frames)
    assert weights(bench, 2) == [71.3, 50]
    told(bench, "Ready")
    peripheral.send(0x2A9C, composed(FIRST), b"\x00", composed(REST_WITH_WEIGHT, 62.5))
    assert weights(bench, 1) == [62.5]
    assert not readings(bench)


def test_a_second_packet_that_does_not_come_is_told_and_not_waited_for(radio, start, monkeypatch):
    monkeypatch.setattr(scale_module, "SECOND_PACKET", 0.2)
    peripheral = scale(radio, 0x2A9C)
    bench = start(Scale, peripheral)
    peripheral.send(0x2A9C, bytes.fromhex("0610f400") + stamp(LOCAL) + b"\x01")
    told(bench, "without the weight")
    peripheral.send(0x2A9C, composed(REST_WITH_WEIGHT, 50))
    reading = bench.reading("body_weight")
    assert (reading.value("body_weight"), reading.taken_at) == (50, NOW), "not the earlier one's time"


@pytest.mark.parametrize("rest", ["0414ffff" + "02" + "b437", "0214ffff" + "ea070b18090000" + "b437"])
def test_a_second_packet_of_another_person_or_time_is_not_joined(radio, start, rest):
    peripheral = scale(radio, 0x2A9C)
    bench = start(Scale, peripheral)
    peripheral.send(0x2A9C, bytes.fromhex("0610f400") + stamp(LOCAL) + b"\x01", bytes.fromhex(rest))
    told(bench, "without the weight")
    reading = bench.reading("body_weight")
    assert reading.raw == rest
    assert "/1" not in reading.sequence


def test_a_second_packet_need_not_name_the_person_again(radio, start):
    peripheral = scale(radio, 0x2A9C)
    bench = start(Scale, peripheral)
    first = bytes.fromhex("0610f400") + stamp(LOCAL) + b"\x01"
    peripheral.send(0x2A9C, first, composed(REST_WITH_WEIGHT, 71.3))
    reading = bench.reading("body_weight")
    assert reading.sequence == "2026-11-24T08:01:00/1"
    assert reading.raw.startswith(first.hex())


def test_a_scale_with_both_gives_one_weight(radio, start):
    peripheral = scale(radio, 0x2A9C, 0x2A9D)
    bench = start(Scale, peripheral)
    peripheral.send(0x2A9C, bytes.fromhex("0004f400b437"))
    peripheral.send(0x2A9D, bytes.fromhex("00b837"))
    assert bench.reading().value("body_weight") == Decimal("71.320")


# Strap


def test_heart_rates_are_a_stream(radio, start):
    peripheral = Peripheral(radio, 0x180D, {0x2A37: Value(0x2A37, "notify")})
    bench = start(Strap, peripheral)
    peripheral.send(0x2A37, b"\x04\x48")
    assert "皮肤" in bench.status("failed").sentence.zh
    peripheral.send(0x2A37, b"\x16\x48\x40\x03")
    reading = bench.reading("heart_rate")
    assert reading.value("heart_rate") == 72
    assert reading.continuous
    assert reading.taken_at == NOW
    assert bench.status("measuring").sentence.zh


def test_a_fast_stream_is_thinned_out(radio, start):
    peripheral = Peripheral(radio, 0x180D, {0x2A37: Value(0x2A37, "notify")})
    bench = start(Strap, peripheral)
    bench.status("idle")
    for _ in range(4):
        peripheral.send(0x2A37, *[bytes((0, 60 + n)) for n in range(50)])
    bench.reading()
    peripheral.hang_up()
    bench.ended()
    left = list(bench.session.sent.queue)
    assert sum(hasattr(value, "components") for value in left) <= 2


# Oximeter


def oximeter(radio, *, features="0000", racp=False):
    values = {
        0x2A5E: Value(0x2A5E, "indicate"),
        0x2A5F: Value(0x2A5F, "notify"),
        0x2A60: Value(0x2A60, "read", bytes.fromhex(features)),
    }
    if racp:
        values[0x2A52] = Value(0x2A52, "write indicate")
    return Peripheral(radio, 0x1822, values)


def test_a_spot_check(radio, start):
    peripheral = oximeter(radio)
    bench = start(Oximeter, peripheral)
    peripheral.send(0x2A5E, b"\x07" + sfloats(97, 61) + stamp(LOCAL) + b"\xc0\x01" + b"\x20\x00\x00")
    reading = bench.reading("spo2")
    assert (reading.value("spo2"), reading.value("pulse_rate")) == (97, 61)
    assert set(reading.flags) == {ReadingFlag.ESTIMATED, ReadingFlag.LOW_SIGNAL}
    assert not reading.continuous
    peripheral.send(0x2A5E, b"\x11" + sfloats(96, Special.NAN) + stamp(datetime(2016, 1, 1)))
    reading = bench.reading("spo2")
    assert (reading.value("pulse_rate"), reading.taken_at) == (None, None)
    assert reading.flags == (ReadingFlag.CLOCK_NOT_SET,)


def test_the_stream(radio, start):
    peripheral = oximeter(radio)
    bench = start(Oximeter, peripheral)
    peripheral.send(0x2A5F, b"\x00" + sfloats(98, 70))
    reading = bench.reading("spo2")
    assert reading.continuous
    assert (reading.value("spo2"), reading.taken_at) == (98, NOW)
    assert "正在测量" in bench.status("measuring").sentence.zh


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (b"\x08" + sfloats(98, 70) + b"\x00\x08\x00", "手指"),
        (b"\x08" + sfloats(98, 70) + b"\x02\x00\x00", "故障"),
        (b"\x04" + sfloats(98, 70) + b"\x00\x04", "演示"),
        (b"\x04" + sfloats(98, 70) + b"\x00\x80", "信号"),
        (b"\x00" + sfloats(Special.NAN, Special.NAN), "信号"),
        (b"\x00" + sfloats(98), "无法识别"),
    ],
)
def test_no_saturation_is_a_sentence(radio, start, frame, words):
    peripheral = oximeter(radio)
    bench = start(Oximeter, peripheral)
    peripheral.send(0x2A5F, frame)
    assert words in bench.status("failed").sentence.zh
    peripheral.send(0x2A5F, b"\x00" + sfloats(98, 70))
    assert bench.reading().value("spo2") == 98


def test_a_saturation_beyond_what_can_be_measured_says_of_when_it_is(radio, start):
    peripheral = oximeter(radio)
    bench = start(Oximeter, peripheral)
    below = sfloats(Special.NEGATIVE_INFINITY, 61)
    peripheral.send(0x2A5F, b"\x00" + below)
    assert bench.status("failed").sentence.zh.startswith("2026-11-24 08:01：结果低于")
    peripheral.send(0x2A5E, b"\x01" + below + stamp(LOCAL - timedelta(minutes=5)))
    assert bench.status("failed").sentence.zh.startswith("2026-11-24 07:56：结果低于")


def test_stored_spot_checks_are_fetched_once(radio, start):
    peripheral = oximeter(radio, features="0c00", racp=True)
    frames = [b"\x01" + sfloats(90 + n, 61) + stamp(datetime(2026, 11, 20 + n)) for n in range(3)]
    answer = (0x2A52, bytes.fromhex("06000101"))
    peripheral.all[0x2A52].on_write = lambda _: peripheral.soon(*[(0x2A5E, frame) for frame in frames], answer)
    bench = start(Oximeter, peripheral)
    assert [bench.reading().value("spo2") for _ in range(3)] == [90, 91, 92]
    assert "3" in bench.status("idle").sentence.en
    bench.cancel()
    frames.append(b"\x01" + sfloats(93, 61) + stamp(datetime(2026, 11, 23)))
    again = start(Oximeter, peripheral, memory=bench.session.memory)
    assert again.reading().value("spo2") == 93
    told(again, "1 stored")
    again.command("fetch")
    told(again, "no new")


def storing(radio, frames, features="0c00"):
    """An oximeter that hands over these when it is asked for all."""
    peripheral = oximeter(radio, features=features, racp=True)
    peripheral.requests = []

    def asked(request):
        peripheral.requests.append(request.hex())
        if request[0] == 1:
            peripheral.soon(*[(0x2A5E, frame) for frame in frames], (0x2A52, bytes.fromhex("06000101")))

    peripheral.all[0x2A52].on_write = asked
    return peripheral


def told(bench, words):
    while words not in (sentence := bench.status().sentence.en):
        pass
    return sentence


def readings(bench):
    return [value for value in bench.session.sent.queue if hasattr(value, "components")]


OF_ANYBODY = (ReadingFlag.CLOCK_NOT_SET, ReadingFlag.WHOSE_UNKNOWN)
UNDATED = b"\x00" + sfloats(90, 61)
STORED = b"\x02" + sfloats(91, 62) + b"\x00\x03"
CLOCK_LOST = b"\x11" + sfloats(92, 63) + stamp(datetime(2000, 1, 1))


def test_stored_spot_checks_without_a_time_come_once_and_for_the_tray(radio, start):
    peripheral = storing(radio, [UNDATED, UNDATED, STORED, CLOCK_LOST])
    bench = start(Oximeter, peripheral)
    first = [bench.reading() for _ in range(4)]
    assert {(each.taken_at, each.flags) for each in first} == {(None, OF_ANYBODY)}
    assert len({each.reading_id for each in first}) == 4, "two that say the same are two"
    told(bench, "4 stored")
    bench.cancel()
    again = start(Oximeter, peripheral, memory=bench.session.memory)
    told(again, "no new")
    assert not readings(again)
    again.cancel()
    forgetful = {**again.session.memory, "spot_checks": []}
    once_more = start(Oximeter, peripheral, memory=forgetful)
    assert {once_more.reading().reading_id for _ in range(4)} == {each.reading_id for each in first}


def test_a_live_spot_check_without_a_time_is_not_fetched_again(radio, start):
    frames = []
    peripheral = storing(radio, frames)
    bench = start(Oximeter, peripheral)
    told(bench, "no new")
    peripheral.send(0x2A5E, UNDATED, UNDATED)
    live = bench.reading(), bench.reading()
    assert [(each.taken_at, each.flags) for each in live] == [(NOW, ())] * 2
    bench.cancel()
    frames += [b"\x02" + UNDATED[1:] + b"\x00\x02"] * 2  # the same two, marked as from the storage
    again = start(Oximeter, peripheral, memory=bench.session.memory)
    told(again, "no new")
    assert not readings(again)


def test_what_comes_from_the_storage_unasked_and_without_a_time_is_not_of_now(radio, start):
    peripheral = oximeter(radio)
    bench = start(Oximeter, peripheral)
    bench.status("idle")
    peripheral.send(0x2A5E, STORED)
    assert bench.reading().flags == OF_ANYBODY


def test_a_measurement_during_a_transfer_is_live_where_the_oximeter_marks_the_others(radio, start):
    live = b"\x02" + sfloats(97, 64) + b"\x00\x01"
    peripheral = storing(radio, [STORED, live], features="0500" + "0003")
    bench = start(Oximeter, peripheral)
    assert [bench.reading().flags for _ in range(2)] == [OF_ANYBODY, ()]
    told(bench, "1 stored")


def test_a_stored_spot_check_whose_clock_is_not_to_be_believed_is_nobody_s_also_while_it_streams(radio, start):
    """By the right clock of now it is of tomorrow: it was stored under a wrong one. The time still tells a repeat."""
    tomorrow = b"\x03" + sfloats(93, 63) + stamp(LOCAL + timedelta(days=1)) + b"\x00\x03"
    live = b"\x11" + sfloats(97, 64) + stamp(datetime(2016, 1, 1))
    values = {0x2A5E: Value(0x2A5E, "indicate"), 0x2A5F: Value(0x2A5F, "notify")}
    peripheral = Peripheral(radio, 0x1822, values, service_1805={0x2A08: Value(0x2A08, "read", stamp(LOCAL))})
    bench = start(Oximeter, peripheral)
    peripheral.send(0x2A5F, b"\x00" + sfloats(98, 70))
    bench.status("measuring")
    peripheral.send(0x2A5E, tomorrow)
    stored = bench.reading()
    assert (stored.sequence, stored.flags) == ("2026-11-25T08:01:00", OF_ANYBODY)
    peripheral.send(0x2A5E, live)
    assert bench.reading().flags == (ReadingFlag.CLOCK_NOT_SET,), "it is of whoever wears it"


def test_a_transfer_that_is_never_answered_is_stopped_and_told(radio, start, monkeypatch):
    monkeypatch.setattr(storing_module, "BETWEEN_RECORDS", 0.2)
    peripheral = storing(radio, [])
    peripheral.all[0x2A52].on_write = lambda request: peripheral.requests.append(request.hex())
    bench = start(Oximeter, peripheral)
    bench.command("fetch")
    told(bench, "could not all be fetched")
    peripheral.until(lambda: peripheral.requests == ["0101", "0300"])
    peripheral.send(0x2A5E, b"\x04" + sfloats(98, 70) + b"\x00\x08\x00")
    told(bench, "No finger")


def test_an_oximeter_that_is_busy_is_asked_again(radio, start, monkeypatch):
    monkeypatch.setattr(storing_module, "BUSY_PAUSE", 0.05)
    peripheral = storing(radio, [])
    control = peripheral.all[0x2A52]
    control.refuse = 0xFE
    bench = start(Oximeter, peripheral)
    told(bench, "could not all be fetched")
    control.refuse = None
    bench.command("fetch")
    told(bench, "no new")


def test_an_oximeter_that_stores_nothing_says_so(radio, start):
    peripheral = oximeter(radio)
    bench = start(Oximeter, peripheral)
    bench.status("idle")
    bench.command("fetch")
    assert "不存储" in bench.status("idle").sentence.zh
