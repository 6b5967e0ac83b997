"""Reads glucose meters (Glucose Service): what they stored since the last time, and what they measure now.

The record access control point is asked for the records from the bookmark on; the bookmark moves when the node has
kept a record. A record whose context is announced waits for it, because only the context says that it was fasting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from itertools import takewhile
from typing import ClassVar

from teleconsult.plugin_api import Command, DeviceInfo, DeviceState, ReadingFlag, Text
from teleconsult_vitals_bluetooth import racp, texts, uuids
from teleconsult_vitals_bluetooth.glucose import (
    Glucose,
    GlucoseContext,
    Meal,
    MeterStatus,
    parse_glucose,
    parse_glucose_context,
)
from teleconsult_vitals_bluetooth.ieee11073 import Special
from teleconsult_vitals_bluetooth.interpret import Notice, Outcome, Taken, failed, number
from teleconsult_vitals_bluetooth.link import Reply
from teleconsult_vitals_bluetooth.reader import BluetoothReader
from teleconsult_vitals_bluetooth.settings import BluetoothSettings

BETWEEN_RECORDS = 30.0
"""Seconds after which a transfer counts as broken off: the profile's own limit."""
FOR_CONTEXT = 2.0
"""Seconds that a new measurement waits for its context."""

_STRIP = MeterStatus.STRIP_INSERTION | MeterStatus.STRIP_TYPE | MeterStatus.STRIP_PULLED
_FAULT = MeterStatus.SENSOR_MALFUNCTION | MeterStatus.DEVICE_FAULT
_REASONS = (
    (MeterStatus.ABOVE_RANGE, texts.ABOVE),
    (MeterStatus.BELOW_RANGE, texts.BELOW),
    (MeterStatus.SAMPLE_TOO_SMALL, texts.MORE_BLOOD),
    (_STRIP, texts.STRIP),
    (MeterStatus.TOO_HOT | MeterStatus.TOO_COLD, texts.TOO_HOT_OR_COLD),
    (_FAULT, texts.METER_FAULT),
)
_NOT_FETCHED = {
    True: (DeviceState.IDLE, texts.FETCH_REFUSED),
    False: (DeviceState.FAILED, texts.FETCH_FAILED),
}
"""By whether the meter cannot do what was asked."""


@dataclass(frozen=True)
class Record:
    """One measurement that was received, with its context once that came."""

    measurement: Glucose
    raw: bytes
    context: GlucoseContext | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing more is to come for it."""
        return self.context is not None or not self.measurement.context_follows


class Phase(Enum):
    """What was asked of the record access control point, and is not answered yet."""

    NOTHING = 0
    SINCE = 1
    """Records from the bookmark on."""
    NEWEST = 2
    """The newest record, to see whether the meter began to count anew, or to begin behind it."""
    ALL = 3


def refusal(value: Glucose) -> Notice | None:
    """Why this is no reading; None if it is one."""
    for bits, sentence in _REASONS:
        if value.status & bits:
            return Notice(DeviceState.FAILED, sentence)
    if value.value is None:
        return Notice(DeviceState.FAILED, texts.NO_NUMBER)
    return failed(value.value) if isinstance(value.value, Special) else None


class Meter(BluetoothReader):
    """One glucose meter."""

    services = (uuids.GLUCOSE_SERVICE,)
    kinds = ("glucose",)
    title: ClassVar[Text] = Text(en="Glucose meter", zh="血糖仪")
    ready = texts.METER_READY
    listens = (uuids.RECORD_ACCESS, uuids.GLUCOSE_CONTEXT, uuids.GLUCOSE_MEASUREMENT)

    def __init__(self, device: DeviceInfo, settings: BluetoothSettings | None = None) -> None:
        super().__init__(device, settings)
        self._phase = Phase.NOTHING
        self._records: dict[int, Record] = {}
        self._handed_out = -1
        self._next: tuple[Phase, bytes] | None = None
        self._broken_off = False

    @property
    def bookmark(self) -> int:
        """Number of the last record that the node has; -1 before the first."""
        return int(self.session.memory.get("last_record", -1))

    async def begin(self) -> None:
        """Fetch what was stored since the last time."""
        await self._fetch()

    async def command(self, command: Command) -> None:
        """Fetch again when a person asks for it."""
        if command is Command.FETCH and self._phase is Phase.NOTHING:
            await self._fetch()

    async def _fetch(self) -> None:
        if self.bookmark < 0 and not self.settings.history:
            await self._ask(Phase.NEWEST, racp.report_last())
        elif self.bookmark < 0:
            await self._ask(Phase.ALL, racp.report_all())
        else:
            await self._ask(Phase.SINCE, racp.report_from(min(self.bookmark + 1, 0xFFFF)))

    async def _ask(self, phase: Phase, request: bytes) -> None:
        await self.say(DeviceState.CONNECTED, texts.FETCHING)
        if await self.link.write(uuids.RECORD_ACCESS, request) is Reply.DONE:
            self._phase = phase
        else:
            self._phase = Phase.NOTHING
            await self.say(DeviceState.IDLE, texts.FETCH_REFUSED)

    def take(self, uuid: str, data: bytes) -> Iterator[Outcome]:
        """A record, its context, or the end of a transfer."""
        if uuid == uuids.GLUCOSE_MEASUREMENT:
            value = parse_glucose(data)
            self._records[value.sequence] = Record(value, data)
        elif uuid == uuids.GLUCOSE_CONTEXT:
            context = parse_glucose_context(data)
            if record := self._records.get(context.sequence):
                self._records[context.sequence] = replace(record, context=context, raw=record.raw + data)
        else:
            yield from self._answered(racp.parse_answer(data))
        if self._phase is Phase.NOTHING:
            yield from self._hand_out([record for record in self._records.values() if record.whole])

    def pause(self) -> float | None:
        """A transfer or a context may be waited for."""
        if self._phase is not Phase.NOTHING:
            return BETWEEN_RECORDS
        return FOR_CONTEXT if self._records else None

    def paused(self) -> Iterator[Outcome]:
        """What was waited for does not come."""
        if self._phase is Phase.NOTHING:
            yield from self._hand_out(self._records.values())
            return
        yield from self._hand_out(self._whole())
        self._phase, self._broken_off = Phase.NOTHING, True
        self._records.clear()
        yield Notice(DeviceState.FAILED, texts.FETCH_FAILED)

    async def after(self) -> None:
        """Move the bookmark past what is no reading, and ask what follows from the last answer."""
        if self._handed_out >= 0:
            if self._handed_out != self.bookmark:
                await self.session.remember(last_record=self._handed_out)
            self._handed_out = -1
        if self._broken_off:
            self._broken_off = False
            await self.link.write(uuids.RECORD_ACCESS, racp.abort())
        following, self._next = self._next, None
        if following:
            await self._ask(*following)

    async def gone(self) -> None:
        """Save what came whole before the meter went; the rest is fetched the next time."""
        await self._deliver(list(self._hand_out(self._whole())))

    async def kept(self, taken: Taken) -> None:
        """Move the bookmark."""
        if taken.record is not None:
            await self.session.remember(last_record=taken.record)

    def _whole(self) -> list[Record]:
        """The first records, as far as nothing more is to come for them."""
        if self._phase is Phase.NEWEST or (self._phase is Phase.ALL and self.bookmark >= 0):
            return []
        records = [self._records[number] for number in sorted(self._records)]
        return list(takewhile(lambda record: record.whole, records))

    def _answered(self, answer: racp.Answer) -> Iterator[Outcome]:
        if answer.request != racp.REPORT or self._phase is Phase.NOTHING:
            return
        phase, self._phase = self._phase, Phase.NOTHING
        numbers = sorted(self._records)
        if answer.unsupported and phase is Phase.SINCE:
            self._next = Phase.ALL, racp.report_all()
        elif answer.outcome is racp.Outcome.NO_RECORDS and phase is Phase.SINCE:
            self._next = Phase.NEWEST, racp.report_last()
        elif phase is Phase.NEWEST and numbers and numbers[-1] < self.bookmark:
            self._records.clear()
            self._next = Phase.ALL, racp.report_all()
        elif phase is Phase.NEWEST:
            if self.bookmark < 0 and numbers:
                self._handed_out = numbers[-1]
            self._records.clear()
            yield Notice(DeviceState.IDLE, texts.NOTHING_STORED)
        else:
            yield from self._fetched_all(answer)

    def _fetched_all(self, answer: racp.Answer) -> Iterator[Outcome]:
        numbers = sorted(self._records)
        if numbers and numbers[-1] > self.bookmark:
            # Some meters answer with everything. (If the newest is older than the bookmark, the meter counts anew.)
            self._records = {n: record for n, record in self._records.items() if n > self.bookmark}
        elif numbers and numbers[-1] == self.bookmark:
            self._records.clear()
        outcomes = list(self._hand_out(self._records.values()))
        yield from outcomes
        if answer.outcome not in (racp.Outcome.SUCCESS, racp.Outcome.NO_RECORDS):
            yield Notice(*_NOT_FETCHED[answer.unsupported])
        elif not outcomes or isinstance(outcomes[-1], Taken):  # else the newest record's sentence must stay to be read
            count = sum(isinstance(outcome, Taken) for outcome in outcomes)
            yield Notice(DeviceState.IDLE, texts.fetched(count) if count else texts.NOTHING_STORED)

    def _hand_out(self, records: Iterable[Record]) -> Iterator[Outcome]:
        for record in sorted(records, key=lambda record: record.measurement.sequence):
            self._handed_out = record.measurement.sequence
            del self._records[self._handed_out]
            yield self._reading(record)

    def _reading(self, record: Record) -> Outcome:
        value = record.measurement
        if (why := refusal(value)) is not None:
            return why
        assert value.value is not None
        concentration = number(value.value)
        assert concentration is not None
        fasting = record.context is not None and record.context.meal is Meal.FASTING
        flags = []
        if value.control_solution:
            flags.append(ReadingFlag.CONTROL_SOLUTION)
        if value.status & MeterStatus.BATTERY_LOW:
            flags.append(ReadingFlag.LOW_BATTERY)
        at, clock_flags = self.clock.taken(value.moment(), self.session.now())
        if value.status & MeterStatus.TIME_FAULT:
            at, clock_flags = None, (ReadingFlag.CLOCK_NOT_SET,)
        return Taken(
            "glucose",
            {"fasting_glucose" if fasting else "glucose": (concentration, value.unit)},
            taken_at=at,
            sequence=f"{value.sequence}@{value.base}",
            flags=(*flags, *clock_flags),
            raw=record.raw,
            record=value.sequence,
        )
