"""A glucose meter on the virtual radio: which records are asked for, and that each comes once."""
# ruff: noqa: DTZ001 - a device's clock names no zone

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import teleconsult_vitals_bluetooth.meter as module
from bumble.att import ATT_Error
from teleconsult_vitals_bluetooth import reader, storing
from teleconsult_vitals_bluetooth.ieee11073 import encode_sfloat
from teleconsult_vitals_bluetooth.meter import Meter
from teleconsult_vitals_bluetooth.simulated.threaded import Peripheral, Value, device, stamp

from teleconsult.plugin_api import Limits, ReadingFlag

NOW = datetime(2026, 11, 24, 0, 1, 30, tzinfo=UTC)
BASE = datetime(2026, 11, 20, 8, 0)
FASTING = 3
OF_ANYBODY = (ReadingFlag.CLOCK_NOT_SET, ReadingFlag.WHOSE_UNKNOWN)


def record(sequence, value="0.0052", *, unit=4, status=None, context=False, kind=0x11, offset=None, at=None):
    flags = (0 if value is None else 2 | unit) | (8 if status is not None else 0) | (16 if context else 0)
    flags |= 0 if offset is None else 1
    at = at or BASE + timedelta(hours=sequence)
    return b"".join(
        (
            bytes([flags]),
            sequence.to_bytes(2, "little"),
            stamp(at),
            b"" if offset is None else offset.to_bytes(2, "little", signed=True),
            b"" if value is None else encode_sfloat(Decimal(value)) + bytes([kind]),
            b"" if status is None else status.to_bytes(2, "little"),
        )
    )


class VirtualMeter(Peripheral):
    """A meter that answers its record access control point as the profile says."""

    def __init__(self, radio, **memory):
        self.records = dict(memory.pop("records", {}))
        self.contexts = dict(memory.pop("contexts", {}))
        self.supports = {"01", "03", "06"}
        self.requests = []
        self.stop_after = None
        self.backwards = False
        self.busy = 0
        values = {
            0x2A18: Value(0x2A18, "notify"),
            0x2A34: Value(0x2A34, "notify"),
            0x2A52: Value(0x2A52, "write indicate"),
        }
        values[0x2A52].on_write = self.asked
        super().__init__(radio, 0x1808, values)

    def asked(self, request):
        if self.busy:
            self.busy -= 1
            raise ATT_Error(0xFE)
        self.requests.append(request.hex())
        operator = request[1:2].hex()
        if request[0] != 1:
            return
        if operator not in self.supports:
            self.soon((0x2A52, b"\x06\x00\x01\x04"))
            return
        numbers = sorted(self.records)
        if operator == "03":
            first = int.from_bytes(request[3:5], "little")
            numbers = [number for number in numbers if number >= first]
        elif operator == "06":
            numbers = numbers[-1:]
        frames = []
        for number in sorted(numbers, reverse=self.backwards)[: self.stop_after]:
            frames.append((0x2A18, self.records[number]))
            if number in self.contexts:
                frames.append((0x2A34, self.contexts[number]))
        if self.stop_after is None:
            frames.append((0x2A52, b"\x06\x00\x01" + (b"\x01" if numbers else b"\x06")))
        self.soon(*frames)


def context(sequence, meal):
    return b"\x02" + sequence.to_bytes(2, "little") + bytes([meal])


@pytest.fixture
def start(radio, device_bench):
    def begin(meter, **more):
        settings = radio.settings.model_copy(update={"history": more.pop("history", True)})
        return device_bench(Meter, settings, device=device(meter), clock=lambda: NOW, **more)

    return begin


def told(bench, words):
    while words not in (sentence := bench.status().sentence.en):
        pass
    return sentence


def numbers(bench, count):
    return [int(bench.reading("glucose").sequence.split("@")[0]) for _ in range(count)]


def nothing_more(bench):
    assert not [value for value in bench.session.sent.queue if hasattr(value, "components")]


def test_stored_records_are_fetched_exactly_once_across_restarts(radio, start):
    meter = VirtualMeter(radio, records={n: record(n) for n in range(5)})
    first = start(meter)
    assert numbers(first, 5) == [0, 1, 2, 3, 4]
    assert told(first, "fetched") == "5 stored readings were fetched."
    assert first.session.memory["last_record"] == 4
    first.cancel()
    meter.records |= {n: record(n) for n in (5, 6)}
    second = start(meter, memory=first.session.memory)
    assert numbers(second, 2) == [5, 6]
    told(second, "2 stored readings")
    second.command("fetch")
    told(second, "no new stored readings")
    nothing_more(second)
    assert meter.requests == ["0101", "0103010400", "0103010600"]


@pytest.mark.parametrize("knows_last", [True, False])
def test_of_what_was_stored_before_the_first_connection_only_the_newest_is_taken(radio, start, knows_last):
    """It may be the one that was just measured, for which the meter was brought."""
    meter = VirtualMeter(radio, records={n: record(n) for n in range(5)})
    meter.supports = {"01", "03", "06"} if knows_last else {"01", "03"}
    bench = start(meter, history=False)
    assert numbers(bench, 1) == [4]
    told(bench, "1 stored")
    meter.records[5] = record(5)
    bench.command("fetch")
    assert numbers(bench, 1) == [5]
    told(bench, "1 stored")
    assert meter.requests == ["0106", *([] if knows_last else ["0101"]), "0103010400"]


def test_a_meter_that_was_empty_when_it_was_first_seen_hides_nothing(radio, start):
    meter = VirtualMeter(radio)
    bench = start(meter, history=False)
    told(bench, "no new")
    bench.cancel()
    meter.records |= {n: record(n) for n in (1, 2)}
    assert numbers(start(meter, history=False, memory=bench.session.memory), 2) == [1, 2]


def test_a_first_record_that_is_unreadable_makes_no_empty_meter(radio, start):
    meter = VirtualMeter(radio, records={1: record(1), 2: record(2)[:8]})
    bench = start(meter, history=False)
    told(bench, "1 could not be read")
    assert "last_record" not in bench.session.memory


def test_what_was_measured_since_the_first_connection_is_taken_also_if_that_broke_off(radio, start):
    meter = VirtualMeter(radio, records={n: record(n) for n in range(3)})
    meter.stop_after = 0
    bench = start(meter, history=False)
    meter.sent()
    meter.hang_up()
    bench.ended()
    meter.stop_after = None
    meter.records |= {n: record(n, at=datetime(2026, 11, 24, 8, n)) for n in (3, 4)}
    assert numbers(start(meter, history=False, memory=bench.session.memory), 2) == [3, 4]


NEVER_SET = datetime(2000, 1, 1)
TWENTY_MINUTES_AGO = (NOW - timedelta(minutes=20)).isoformat()


def test_records_of_a_meter_whose_clock_is_not_set_are_all_taken_that_may_be_of_since_the_first_connection(
    radio, start
):
    meter = VirtualMeter(radio, records={n: record(n, at=NEVER_SET) for n in range(1, 5)})
    bench = start(meter, history=False, memory={"seen_at": TWENTY_MINUTES_AGO})
    readings = [bench.reading("glucose") for _ in range(4)]
    assert [int(each.sequence.split("@")[0]) for each in readings] == [1, 2, 3, 4]
    assert {(each.taken_at, each.flags) for each in readings} == {(None, OF_ANYBODY)}, "they wait in the tray"
    told(bench, "4 stored")
    assert bookmark(bench) == 4


def test_a_time_that_the_meter_itself_does_not_believe_hides_no_record(radio, start):
    meter = VirtualMeter(radio, records={n: record(n, status=1 << 11) for n in (1, 2)})
    bench = start(meter, history=False, memory={"seen_at": TWENTY_MINUTES_AGO})
    assert numbers(bench, 2) == [1, 2]


def test_of_an_unknown_meter_without_a_set_clock_only_the_newest_record_is_taken(radio, start):
    meter = VirtualMeter(radio, records={n: record(n, at=NEVER_SET) for n in range(1, 5)})
    meter.supports = {"01", "03"}
    bench = start(meter, history=False)
    assert numbers(bench, 1) == [4]
    told(bench, "1 stored")


def test_a_new_measurement_without_a_time_is_not_one_that_was_stored(radio, start):
    meter = VirtualMeter(radio)
    bench = start(meter)
    told(bench, "no new")
    meter.send(0x2A18, record(1, at=NEVER_SET))
    assert bench.reading().flags == (ReadingFlag.CLOCK_NOT_SET,)


def test_a_record_is_not_passed_before_the_node_has_it(radio, start):
    meter = VirtualMeter(radio, records={n: record(n) for n in range(3)})
    bench = start(meter, memory={"last_record": 0})
    bench.session.refuse_readings = True
    bench.ended()
    assert bench.session.memory["last_record"] == 0
    assert not bench.session.memory.get("unkept")
    again = start(meter, memory=bench.session.memory)
    assert numbers(again, 2) == [1, 2]


def test_a_new_measurement_comes_by_itself(radio, start):
    meter = VirtualMeter(radio)
    bench = start(meter)
    told(bench, "no new")
    meter.send(0x2A18, record(9, "0.0061"))
    reading = bench.reading("glucose")
    assert reading.value("glucose") == Decimal("6.10")
    assert reading.components[0].as_given == "0.0061 mol/L"
    assert bench.status("idle").sentence.en.startswith("Ready")
    assert bench.session.memory["last_record"] == 9


def test_kilograms_a_litre_are_converted(radio, start):
    meter = VirtualMeter(radio, records={1: record(1, "0.00099", unit=0)})
    assert start(meter).reading().value("glucose") == Decimal("5.50")


def test_only_the_context_makes_it_a_fasting_one(radio, start):
    meter = VirtualMeter(
        radio,
        records={1: record(1, context=True), 2: record(2, context=True), 3: record(3)},
        contexts={1: context(1, FASTING), 2: context(2, 1)},
    )
    bench = start(meter)
    readings = [bench.reading() for _ in range(3)]
    assert [r.value("fasting_glucose") is not None for r in readings] == [True, False, False]
    assert readings[0].raw == (meter.records[1] + meter.contexts[1]).hex()


def test_a_new_measurement_waits_for_its_context(radio, start, monkeypatch):
    assert module.FOR_CONTEXT >= 10, "the meter may ask the person first"
    meter = VirtualMeter(radio)
    bench = start(meter)
    told(bench, "no new")
    meter.send(0x2A18, record(1, context=True))
    meter.send(0x2A34, context(1, FASTING))
    assert bench.reading().value("fasting_glucose") == Decimal("5.20")
    monkeypatch.setattr(module, "FOR_CONTEXT", 0.05)
    meter.send(0x2A18, record(2, context=True))
    assert bench.reading().value("glucose") == Decimal("5.20")


JUST_NOW = datetime(2026, 11, 24, 8, 1)
TOO_LATE = (
    "2026-11-24 08:01: The meter said too late that the result 5.2 mmol/L was measured fasting, "
    "and it was kept without that. Enter it by hand as fasting glucose."
)


def test_that_a_result_was_fasting_is_said_if_the_meter_says_it_too_late(radio, start, monkeypatch):
    monkeypatch.setattr(module, "FOR_CONTEXT", 0.05)
    meter = VirtualMeter(radio)
    bench = start(meter)
    told(bench, "no new")
    meter.send(0x2A18, record(1, context=True, at=JUST_NOW))
    first = bench.reading()
    assert first.value("glucose") == Decimal("5.20")
    meter.send(0x2A34, context(1, FASTING))
    assert bench.status("failed").sentence.en == TOO_LATE
    meter.hang_up()
    assert bench.ended().sentence.en == TOO_LATE, "it stands: somebody is to do something"


def test_what_the_meter_says_too_late_and_changes_nothing_is_not_said(radio, start, monkeypatch):
    monkeypatch.setattr(module, "FOR_CONTEXT", 0.05)
    meter = VirtualMeter(radio)
    bench = start(meter)
    told(bench, "no new")
    meter.send(0x2A18, record(1, context=True, at=JUST_NOW))
    bench.reading()
    meter.send(0x2A34, context(1, 1))
    meter.hang_up()
    assert "switched itself off" in bench.ended().sentence.en


def test_a_context_that_comes_only_when_the_record_is_fetched_again_is_said_too(radio, start, monkeypatch):
    monkeypatch.setattr(module, "FOR_CONTEXT", 0.05)
    meter = VirtualMeter(radio)
    bench = start(meter)
    told(bench, "no new")
    meter.records[1] = record(1, context=True, at=JUST_NOW)
    meter.send(0x2A18, meter.records[1])
    bench.reading()
    meter.contexts[1] = context(1, FASTING)
    bench.command("fetch")
    assert bench.status("failed").sentence.en == TOO_LATE


def test_a_meter_that_goes_before_the_context_comes_has_handed_over_its_result(radio, start):
    meter = VirtualMeter(radio)
    bench = start(meter)
    told(bench, "no new")
    meter.send(0x2A18, record(1, context=True, at=JUST_NOW))
    meter.hang_up()
    assert bench.reading().value("glucose") == Decimal("5.20")
    lost = bench.ended().sentence
    assert lost.en.startswith("2026-11-24 08:01: The meter was gone before it said whether the result 5.2 mmol/L was")
    assert lost.zh.startswith("2026-11-24 08:01：血糖仪在说明结果 5.2 mmol/L 是否")


def test_the_bookmark_does_not_move_past_a_measurement_that_waits_for_its_context(radio, start):
    meter = VirtualMeter(radio, records={4: record(4)})
    bench = start(meter, memory={"last_record": 3})
    assert numbers(bench, 1) == [4]
    told(bench, "1 stored")
    meter.records |= {5: record(5, context=True), 6: record(6)}
    meter.contexts[5] = context(5, FASTING)
    meter.send(0x2A18, meter.records[5], meter.records[6])
    assert numbers(bench, 1) == [6]
    bench.cancel()
    assert bookmark(bench) == 4
    again = start(meter, memory=bench.session.memory)
    assert again.reading().value("fasting_glucose") == Decimal("5.20")
    assert numbers(again, 1) == [6]


def test_a_measurement_that_waits_for_its_context_is_remembered_if_it_cannot_be_fetched(radio, start):
    meter = VirtualMeter(radio)
    meter.all[0x2A52].refuse = 0x80
    bench = start(meter)
    told(bench, "does not hand over")
    meter.send(0x2A18, record(1, context=True), record(2))
    assert numbers(bench, 1) == [2]
    bench.cancel()
    assert numbers(start(meter, memory=bench.session.memory), 1) == [1]


def test_a_meter_that_counts_anew_is_read_from_its_beginning(radio, start):
    meter = VirtualMeter(radio, records={n: record(n) for n in range(2)})
    bench = start(meter, memory={"last_record": 500})
    assert numbers(bench, 2) == [0, 1]
    told(bench, "2 stored")
    assert bench.session.memory["last_record"] == 1


def test_a_meter_that_hands_over_only_everything(radio, start):
    meter = VirtualMeter(radio, records={n: record(n) for n in range(4)})
    meter.supports = {"01"}
    bench = start(meter, memory={"last_record": 1})
    assert numbers(bench, 2) == [2, 3]
    told(bench, "2 stored")
    nothing_more(bench)


def test_a_transfer_that_breaks_off_goes_on_the_next_time(radio, start):
    meter = VirtualMeter(radio, records={n: record(n) for n in range(6)})
    meter.stop_after = 4
    bench = start(meter)
    meter.sent()
    meter.hang_up()
    assert numbers(bench, 4) == [0, 1, 2, 3]
    bench.ended()
    meter.stop_after = None
    assert numbers(start(meter, memory=bench.session.memory), 2) == [4, 5]


def test_a_transfer_that_stands_still_is_stopped_and_told(radio, start, monkeypatch):
    monkeypatch.setattr(storing, "BETWEEN_RECORDS", 0.2)
    meter = VirtualMeter(radio, records={n: record(n) for n in range(6)})
    meter.stop_after = 2
    bench = start(meter)
    assert numbers(bench, 2) == [0, 1]
    assert bench.status("failed").sentence.zh
    meter.until(lambda: "0300" in meter.requests)


def test_a_malformed_record_is_dropped_and_the_others_come(radio, start):
    meter = VirtualMeter(radio, records={0: record(0), 1: record(1)[:8], 2: record(2)})
    bench = start(meter)
    assert "unreadable" in bench.status("failed").sentence.en
    assert numbers(bench, 2) == [0, 2]
    told(bench, "2 stored readings were fetched; 1 could not be read")


def bookmark(bench):
    return bench.session.memory["last_record"]


def test_a_measurement_after_a_broken_transfer_hides_no_record(radio, start, monkeypatch):
    monkeypatch.setattr(storing, "BETWEEN_RECORDS", 0.2)
    meter = VirtualMeter(radio, records={n: record(n) for n in range(10)})
    meter.stop_after = 0
    bench = start(meter, memory={"last_record": 4})
    told(bench, "could not all be fetched")
    meter.records[10] = record(10)
    meter.send(0x2A18, meter.records[10])
    assert numbers(bench, 1) == [10]
    told(bench, "Ready")
    assert bookmark(bench) == 4
    meter.stop_after = None
    bench.command("fetch")
    assert numbers(bench, 6) == [5, 6, 7, 8, 9, 10]
    told(bench, "stored readings were fetched")
    assert bookmark(bench) == 10


def test_a_meter_that_begins_with_its_newest_record_loses_none_when_it_breaks_off(radio, start):
    meter = VirtualMeter(radio, records={n: record(n) for n in range(6)})
    meter.backwards, meter.stop_after = True, 2
    bench = start(meter, memory={"last_record": 1})
    meter.sent()
    meter.hang_up()
    assert numbers(bench, 2) == [4, 5]
    bench.ended()
    assert bookmark(bench) == 1
    meter.stop_after = None
    assert numbers(start(meter, memory=bench.session.memory), 4) == [2, 3, 4, 5]


def test_a_meter_that_was_reset_and_has_counted_past_the_bookmark_is_read_from_its_beginning(radio, start):
    meter = VirtualMeter(radio, records={n: record(n) for n in range(4)})
    bench = start(meter)
    told(bench, "4 stored")
    bench.cancel()
    later = BASE + timedelta(days=3)
    meter.records = {n: record(n, at=later + timedelta(minutes=n)) for n in range(6)}
    again = start(meter, memory=bench.session.memory)
    assert numbers(again, 6) == [0, 1, 2, 3, 4, 5]
    told(again, "6 stored")
    assert bookmark(again) == 5
    again.cancel()
    told(start(meter, memory=again.session.memory), "no new")


def test_a_measurement_that_cannot_be_fetched_later_is_remembered(radio, start):
    meter = VirtualMeter(radio)
    meter.all[0x2A52].refuse = 0x80
    bench = start(meter)
    told(bench, "does not hand over")
    bench.session.refuse_readings = True
    meter.send(0x2A18, record(1))
    bench.ended()
    assert numbers(start(meter, memory=bench.session.memory), 1) == [1]


def test_a_flood_of_stored_records_is_refused_with_a_sentence(radio, start, monkeypatch):
    monkeypatch.setattr(module, "MOST_RECORDS", 40)
    meter = VirtualMeter(radio, records={n: record(n) for n in range(60)})
    bench = start(meter)
    assert "none was taken" in bench.ended().sentence.en
    nothing_more(bench)
    assert not bench.session.memory.get("unkept")
    assert "last_record" not in bench.session.memory


def test_a_flood_of_measurements_is_cut_off_and_forgotten(radio, start, monkeypatch):
    monkeypatch.setattr(reader, "QUEUE", 30)
    meter = VirtualMeter(radio)
    bench = start(meter, limits=Limits(readings_per_second=1))
    told(bench, "no new")
    meter.send(0x2A18, *[record(n) for n in range(1, 60)])
    assert "far more" in bench.ended().sentence.en
    assert sum(hasattr(value, "components") for value in bench.session.sent.queue) <= 5
    assert not bench.session.memory.get("unkept")


def test_a_meter_that_is_busy_is_asked_again(radio, start, monkeypatch):
    monkeypatch.setattr(storing, "BUSY_PAUSE", 0.05)
    meter = VirtualMeter(radio, records={1: record(1)})
    meter.busy = 2
    assert numbers(start(meter), 1) == [1]


@pytest.mark.parametrize(
    ("status", "value", "words"),
    [(1 << 5, None, "上限"), (1 << 6, None, "下限"), (1 << 2, None, "采血量"), (1 << 9, None, "试纸"),
     (1 << 8, "0.005", "温度"), (1 << 10, "0.005", "故障"), (None, None, "未给出结果")],
)  # fmt: skip
def test_what_is_no_result_is_a_sentence_and_is_passed_by(radio, start, status, value, words):
    meter = VirtualMeter(radio, records={3: record(3, value, status=status)})
    bench = start(meter)
    assert words in bench.status("failed").sentence.zh
    nothing_more(bench)
    meter.records[4] = record(4)
    meter.send(0x2A18, meter.records[4])
    assert numbers(bench, 1) == [4]
    bench.cancel()
    told(start(meter, memory=bench.session.memory), "no new")


ABOVE, BELOW = 1 << 5, 1 << 6


@pytest.mark.parametrize(("status", "words"), [(ABOVE, "above what"), (BELOW, "below what")])
def test_a_result_beyond_what_the_meter_measures_stays_on_its_card_until_there_is_a_reading(
    radio, start, status, words
):
    meter = VirtualMeter(radio, records={1: record(1)})
    bench = start(meter)
    told(bench, "1 stored")
    meter.records[2] = record(2, None, status=status, at=datetime(2026, 11, 24, 8, 1))
    meter.send(0x2A18, meter.records[2])
    sentence = bench.status("failed").sentence
    assert words in sentence.en
    assert sentence.zh.startswith("2026-11-24 08:01：")
    bench.command("fetch")
    told(bench, "Fetching")
    assert bench.status().sentence == sentence, "and not: no new stored readings"
    meter.hang_up()
    assert bench.ended().sentence == sentence
    again = start(meter, memory=bench.session.memory)
    assert again.status("failed").sentence == sentence
    meter.send(0x2A18, record(3))
    assert numbers(again, 1) == [3]
    assert again.status("idle").sentence.en.startswith("Ready")
    assert not again.session.memory["standing"]


def test_a_high_result_among_stored_ones_is_said_last(radio, start):
    meter = VirtualMeter(
        radio, records={1: record(1, None, status=ABOVE, at=datetime(2026, 11, 24, 7, 50)), 2: record(2)}
    )
    bench = start(meter)
    assert numbers(bench, 1) == [2]
    assert "above what" in bench.status("failed").sentence.en
    bench.cancel()
    assert "above what" in start(meter, memory=bench.session.memory).status("failed").sentence.en


def test_an_old_one_beyond_what_can_be_measured_does_not_stay(radio, start):
    meter = VirtualMeter(radio, records={1: record(1, None, status=ABOVE)})
    bench = start(meter)
    assert "2026-11-20 09:00: The result is above" in bench.status("failed").sentence.en
    bench.command("fetch")
    told(bench, "no new")


def test_one_beyond_what_can_be_measured_of_a_meter_whose_clock_is_not_set_says_so(radio, start):
    meter = VirtualMeter(radio, records={1: record(1, None, status=ABOVE, at=NEVER_SET)})
    bench = start(meter)
    assert bench.status("failed").sentence.en.startswith("2026-11-24 08:01: Measured at an unknown time. The result is")


def test_what_is_no_result_is_told_once(radio, start):
    meter = VirtualMeter(radio, records={3: record(3, None)})
    bench = start(meter)
    bench.status("failed")
    meter.sent()
    bench.command("fetch")
    told(bench, "no new")


def test_marks(radio, start):
    meter = VirtualMeter(
        radio,
        records={
            1: record(1, kind=0x4A),
            2: record(2, status=1),
            3: record(3, status=1 << 11),
            4: record(4, offset=-60),
            5: record(5, at=datetime(2019, 1, 1)),
        },
    )
    bench = start(meter)
    one, two, three, four, five = (bench.reading() for _ in range(5))
    assert one.flags == (ReadingFlag.CONTROL_SOLUTION,)
    assert two.flags == (ReadingFlag.LOW_BATTERY,)
    assert (three.flags, three.taken_at) == (OF_ANYBODY, None)
    assert four.taken_at == datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
    assert (five.flags, five.taken_at) == (OF_ANYBODY, None)


def test_a_meter_that_refuses_says_so(radio, start):
    meter = VirtualMeter(radio)
    meter.all[0x2A52].refuse = 0x80
    bench = start(meter)
    told(bench, "does not hand over")
    meter.send(0x2A18, record(1))
    assert numbers(bench, 1) == [1]
