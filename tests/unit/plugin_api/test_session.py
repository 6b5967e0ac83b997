"""What a reader can rely on while it runs, and how much it may send."""

import asyncio
import time

import pytest

from teleconsult.plugin_api import Command, DeviceReader, DeviceUnavailable, Limits, SentTooMuch, Text

SPO2 = {"spo2": (97, "%")}


def reader(run):
    """A reader class with this coroutine as its `run`."""
    return type("Tried", (DeviceReader,), {"run": lambda self, session: run(session)})


def test_readings_without_number_and_time_count_as_new_ones(device_bench):
    async def run(session):
        for _ in range(2):
            await session.reading("spo2", SPO2)

    bench = device_bench(reader(run))
    assert bench.reading().reading_id != bench.reading().reading_id


def test_waveforms_carry_on_and_a_gap_shows(device_bench):
    async def run(session):
        now = session.now()
        await session.waveform("plethysmogram", 75, [0.1] * 15, first_at=now)
        await session.waveform("plethysmogram", 75, [0.1] * 15, first_at=now)
        await session.waveform("plethysmogram", 75, [0.1] * 15, first_at=now, first_index=100)
        await session.waveform("plethysmogram", 75, [0.1], first_at=now)

    bench = device_bench(reader(run))
    assert [bench.waveform().first_index for _ in range(4)] == [0, 15, 100, 115]


def test_the_battery_s_charge_is_kept(device_bench):
    async def run(session):
        await session.status("connected", battery=41)
        await session.status("idle", Text(en="Ready", zh="就绪"))

    bench = device_bench(reader(run))
    assert [bench.status().battery for _ in range(2)] == [41, 41]


def test_cancelling_ends_the_work_and_other_commands_do_not(device_bench):
    ended = []

    async def work():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def run(session):
        await session.status("measuring")
        result = await session.unless_cancelled(work())
        await session.status("idle", str(result))

    bench = device_bench(reader(run))
    bench.status("measuring")
    bench.command(Command.MEASURE)
    bench.command(Command.CANCEL)
    assert str(bench.status("idle").sentence) == "None"
    assert ended == ["cancelled"]


def test_work_that_is_not_cancelled_gives_its_result_and_its_error(device_bench):
    async def good():
        return "seven"

    async def bad():
        raise DeviceUnavailable("gone")

    async def run(session):
        await session.status("idle", await session.unless_cancelled(good()))
        await session.unless_cancelled(bad())

    bench = device_bench(reader(run))
    assert str(bench.status().sentence) == "seven"
    assert str(bench.ended()) == "gone"


def test_cancelling_the_reader_cancels_its_work(device_bench):
    ended = []

    async def work():
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    async def run(session):
        await session.status("measuring")
        await session.unless_cancelled(work())

    bench = device_bench(reader(run))
    bench.status()
    bench.cancel(timeout=1.0)
    assert ended == [True]


def test_what_comes_too_fast_waits(device_bench):
    async def run(session):
        for number in range(100):
            await session.reading("spo2", SPO2, sequence=number)

    bench = device_bench(reader(run), limits=Limits(readings_per_second=40))
    began = time.monotonic()
    for number in range(100):  # no order is lost by waiting
        assert bench.reading().sequence == str(number)
    assert 0.3 < time.monotonic() - began < 3, "a burst of two seconds' worth of readings, then 40 a second"


def test_too_many_readings_and_too_many_waiting_are_refused(device_bench):
    async def many(session):
        for number in range(20):
            await session.reading("spo2", SPO2, sequence=number)

    bench = device_bench(reader(many), limits=Limits(readings_in_window=10))
    assert isinstance(bench.ended(), SentTooMuch)
    assert bench.session.refused.is_set()

    async def pile(session):
        await asyncio.gather(*(session.reading("spo2", SPO2, sequence=n) for n in range(500)))

    bench = device_bench(reader(pile), limits=Limits(waiting=50))
    assert isinstance(bench.ended(), SentTooMuch)
    assert bench.session.refused.is_set()


def test_memory_is_bounded(device_bench):
    async def run(session):
        await session.remember(last=7)
        assert session.memory == {"first": 1, "last": 7}
        await session.remember(book="x" * 20_000)

    bench = device_bench(reader(run), memory={"first": 1})
    assert "at most 16384 bytes" in str(bench.ended())
    assert bench.session.memory == {"first": 1, "last": 7}


def test_the_bench_says_what_is_missing(device_bench):
    async def run(session):
        raise RuntimeError("broken")

    bench = device_bench(reader(run))
    with pytest.raises(AssertionError, match="RuntimeError\\('broken'\\)"):
        bench.reading()
