"""Reads glucose meters (Glucose Service): what they stored since the last time, and what they measure now.

The record access control point is asked for the records from the bookmark on; the bookmark moves when the node has
kept a record. A record whose context is announced waits for it, because only the context says that it was fasting.
What a context says too late to be kept is said to the person, who types it in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import ClassVar

from teleconsult.plugin_api import Command, DeviceInfo, DeviceState, ReadingFlag, Text
from teleconsult_vitals_bluetooth import racp, texts, uuids
from teleconsult_vitals_bluetooth.clock import CLOSE
from teleconsult_vitals_bluetooth.dating import of_anybody
from teleconsult_vitals_bluetooth.glucose import (
    Glucose,
    GlucoseContext,
    Meal,
    MeterStatus,
    parse_glucose,
    parse_glucose_context,
)
from teleconsult_vitals_bluetooth.ieee11073 import Special
from teleconsult_vitals_bluetooth.interpret import Mark, Notice, Outcome, Taken, failed, number, out_of_range
from teleconsult_vitals_bluetooth.settings import BluetoothSettings
from teleconsult_vitals_bluetooth.storing import StoringReader

MOST_RECORDS = 1000
"""Records of one transfer. No meter stores more, and nobody could place them."""
FOR_CONTEXT = 10.0
"""Seconds that a new measurement waits for a context that it announces: some meters ask the person first."""
LATE = 50
"""So many records that were handed over without their context are remembered in case it still comes."""

_STRIP = MeterStatus.STRIP_INSERTION | MeterStatus.STRIP_TYPE | MeterStatus.STRIP_PULLED
_FAULT = MeterStatus.SENSOR_MALFUNCTION | MeterStatus.DEVICE_FAULT
_REASONS = (
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
    stored: bool
    """Whether the meter was asked for it, so that it may be an earlier one."""
    came: float
    """When, by the clock of the event loop."""
    context: GlucoseContext | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing more is to come for it."""
        return self.context is not None or not self.measurement.context_follows

    @property
    def fasting(self) -> bool:
        """Whether it is known to have been measured fasting."""
        return self.context is not None and self.context.meal is Meal.FASTING


class Phase(Enum):
    """What the last request was for."""

    SINCE = 1
    """Records from the bookmark on."""
    NEWEST = 2
    """The newest record, to see whether the meter began to count anew."""
    ALL = 3
    ANEW = 4
    """All records of a meter that began to count anew."""
    FIRST = 5
    """The newest record alone: what an unknown meter stored before that is left to it."""
    FIRST_OF_ALL = 6
    """The same, and what came since it was first seen: it cannot be asked for the newest, or broke that off."""


def refusal(value: Glucose) -> Notice | None:
    """Why this is no reading; None if it is one."""
    if value.status & MeterStatus.ABOVE_RANGE:
        return out_of_range(texts.ABOVE)
    if value.status & MeterStatus.BELOW_RANGE:
        return out_of_range(texts.BELOW)
    for bits, sentence in _REASONS:
        if value.status & bits:
            return Notice(DeviceState.FAILED, sentence)
    if value.value is None:
        return Notice(DeviceState.FAILED, texts.NO_NUMBER)
    return failed(value.value) if isinstance(value.value, Special) else None


class Meter(StoringReader):
    """One glucose meter.

    The bookmark (`last_record`, with that record's time in `last_base`) moves past a record only if none before it can
    be missing: after a whole transfer, or by one. A record that is handed over twice has the same id both times.
    """

    services = (uuids.GLUCOSE_SERVICE,)
    kinds = ("glucose",)
    title: ClassVar[Text] = Text(en="Glucose meter", zh="血糖仪")
    ready = texts.METER_READY
    listens = (uuids.RECORD_ACCESS, uuids.GLUCOSE_CONTEXT, uuids.GLUCOSE_MEASUREMENT)

    def __init__(self, device: DeviceInfo, settings: BluetoothSettings | None = None) -> None:
        super().__init__(device, settings)
        self._phase = Phase.SINCE
        self._records: dict[int, Record] = {}
        self._late: dict[int, Record] = {}
        """What was handed over without the context that was announced."""
        self._unknown = False
        """Whether it is connected for the first time, so that what it has stored is of before."""
        self._owed = True
        """Whether the meter may have records that were not fetched."""
        self._hands_over = True
        """Whether what was not kept now can be fetched later."""
        self._passed: Mark | None = None
        """The last record that was handed out, to which the bookmark moves once all of them are kept."""
        self._next: tuple[Phase, bytes] | None = None

    @property
    def bookmark(self) -> int:
        """Number of the last record before which nothing is missing; -1 before the first."""
        return int(self.session.memory.get("last_record", -1))

    async def begin(self) -> None:
        """Fetch what was stored since the last time."""
        await self._fetch()

    async def command(self, command: Command) -> None:
        """Fetch again when a person asks for it."""
        if command is Command.FETCH and self.asked is None:
            await self._fetch()

    async def _fetch(self) -> None:
        memory = self.session.memory
        if "last_record" not in memory and not self.settings.history:
            self._unknown = "seen_at" not in memory
            if not self._unknown:
                await self._ask(Phase.FIRST_OF_ALL, racp.report_all())
            else:
                await self.session.remember(seen_at=self.session.now().isoformat())
                await self._ask(Phase.FIRST, racp.report_last())
        elif self.bookmark < 0:
            await self._ask(Phase.ALL, racp.report_all())
        else:  # the last known record comes once more, and shows whether the meter was reset since
            await self._ask(Phase.SINCE, racp.report_from(min(self.bookmark, 0xFFFF)))

    async def _ask(self, phase: Phase, request: bytes) -> None:
        self._phase, self._owed = phase, True
        self._hands_over = await self.ask(request)

    def take(self, uuid: str, data: bytes) -> Iterator[Outcome]:
        """A record, its context, or the end of a transfer."""
        if uuid == uuids.GLUCOSE_MEASUREMENT:
            value = parse_glucose(data)
            self._records[value.sequence] = Record(value, data, stored=self.asked is not None, came=_now())
            if self.asked is not None and len(self._records) > MOST_RECORDS:
                self._records.clear()
                self.cut_off(texts.TOO_MANY_STORED)
                return
        elif uuid == uuids.GLUCOSE_CONTEXT:
            context = parse_glucose_context(data)
            if record := self._records.get(context.sequence):
                self._records[context.sequence] = replace(record, context=context, raw=record.raw + data)
            elif record := self._late.get(context.sequence):
                yield from self._told_late([replace(record, context=context)])
        elif (answer := self.answered(data)) is not None:
            yield from self._end(answer)
        if self.asked is None and self._next is None:
            whole = [record for record in self._records.values() if record.whole]
            yield from self._hand_out(whole, complete=not self._owed)
            yield from self._told_late(whole)

    def idle_pause(self) -> float | None:
        """A context may be waited for."""
        first = min((record.came for record in self._records.values()), default=None)
        return None if first is None else max(0.0, first + FOR_CONTEXT - _now())

    def idle_paused(self) -> Iterator[Outcome]:
        """It does not come."""
        overdue = [record for record in self._records.values() if record.came + FOR_CONTEXT <= _now()]
        yield from self._hand_out(overdue, complete=not self._owed)

    def broken_off(self) -> Iterator[Outcome]:
        """What came whole of a transfer is handed over; the bookmark stays where a record may be missing."""
        records = [record for record in self._records.values() if record.whole]
        self._records.clear()
        if self._phase is not Phase.FIRST_OF_ALL and not self._counts_anew(records):
            yield from self._hand_out(
                (each for each in records if each.measurement.sequence > self.bookmark), complete=not self._owed
            )

    async def after(self) -> None:
        """Move the bookmark past what is no reading, and ask what follows from the last answer."""
        passed, self._passed = self._passed, None
        if passed is not None:
            await self._move(passed)
        following, self._next = self._next, None
        await super().after()
        if following:
            await self._ask(*following)

    async def gone(self) -> None:
        """Save what came whole before the meter went; the rest of a transfer is fetched the next time."""
        if self.asked is not None or self._next is not None:
            await self._deliver(list(self.broken_off()))
            return
        waiting = list(self._records.values())
        await self._deliver(list(self._hand_out(waiting, complete=not self._owed)))
        for record in self._late.values():
            if record in waiting and not record.measurement.control_solution:
                await self._deliver([self._by_hand(record, texts.fasting_unknown(_shown(record.measurement)))])

    def held(self) -> Iterator[Outcome]:
        """A measurement that waits for its context."""
        if self.asked is None:
            yield from self._hand_out(list(self._records.values()), complete=False)

    async def kept(self, taken: Taken) -> None:
        """Move the bookmark."""
        if taken.mark is not None:
            await self._move(taken.mark)

    async def _move(self, mark: Mark) -> None:
        if mark.number != self.bookmark or mark.base != self.session.memory.get("last_base"):
            await self.session.remember(last_record=mark.number, last_base=mark.base)

    def _counts_anew(self, records: Iterable[Record]) -> bool:
        """Whether the meter began to count again: the record of the bookmark's number is another one than it was."""
        base = self.session.memory.get("last_base")
        same = next((each for each in records if each.measurement.sequence == self.bookmark), None)
        return base is not None and same is not None and str(same.measurement.base) != base

    def _end(self, answer: racp.Answer) -> Iterator[Outcome]:
        numbers = sorted(self._records)
        done = answer.outcome in (racp.Outcome.SUCCESS, racp.Outcome.NO_RECORDS)
        if self._phase is Phase.SINCE and answer.unsupported:
            self._next = Phase.ALL, racp.report_all()
        elif self._phase is Phase.SINCE and answer.outcome is racp.Outcome.NO_RECORDS:
            self._next = Phase.NEWEST, racp.report_last()
        elif (self._phase is Phase.SINCE and self._counts_anew(self._records.values())) or (
            self._phase is Phase.NEWEST
            and numbers
            and (numbers[-1] < self.bookmark or self._counts_anew(self._records.values()))
        ):
            self._next = Phase.ANEW, racp.report_all()
        elif self._phase is Phase.FIRST and answer.unsupported:
            self._next = Phase.FIRST_OF_ALL, racp.report_all()
        elif self._phase in (Phase.FIRST, Phase.FIRST_OF_ALL) and answer.outcome is racp.Outcome.NO_RECORDS:
            self._owed, self._passed = False, Mark(-1, "")  # empty: all that it stores from now on is wanted
            yield Notice(DeviceState.IDLE, texts.NOTHING_STORED)
        else:
            yield from self._fetched(answer, done)

    def _fetched(self, answer: racp.Answer, done: bool) -> Iterator[Outcome]:
        records, self._records = self._records, {}
        received = list(records.values())
        self._hands_over = not answer.unsupported
        if self._phase is Phase.FIRST_OF_ALL:
            records = {n: each for n, each in records.items() if n == max(records) or self._since_seen(each)}
        elif self._phase is not Phase.ANEW and not self._counts_anew(records.values()) and records:
            # Some meters answer with everything. (If the newest is older than the bookmark, the meter counts anew.)
            newest = max(records)
            records = {n: each for n, each in records.items() if n > self.bookmark or newest < self.bookmark}
        self._owed = self._owed and not done
        outcomes = [*self._hand_out(records.values(), complete=done), *self._told_late(received)]
        outcomes.sort(key=lambda outcome: isinstance(outcome, Notice) and outcome.stays)
        yield from outcomes
        if not done:
            yield Notice(*_NOT_FETCHED[answer.unsupported])
        elif not outcomes or isinstance(outcomes[-1], Taken):  # else the newest record's sentence must stay to be read
            count = sum(isinstance(outcome, Taken) for outcome in outcomes)
            yield self.fetched(count)

    def _since_seen(self, record: Record) -> bool:
        """Whether it may have been measured since the meter was first connected."""
        at, _ = self._when(record)
        if at is None:
            return not self._unknown
        return at >= datetime.fromisoformat(self.session.memory["seen_at"]) - CLOSE

    def _when(self, record: Record) -> tuple[datetime | None, tuple[ReadingFlag, ...]]:
        """When it was measured, and what to say about that."""
        value, now = record.measurement, self.session.now()
        shown = None if value.status & MeterStatus.TIME_FAULT else value.moment()
        at, flags = self.clock.taken(shown, now)
        return at, of_anybody(flags, record.stored or self.clock.tells_stored(shown, now))

    def _hand_out(self, records: Iterable[Record], *, complete: bool) -> Iterator[Outcome]:
        """Records as readings. `complete`: no record before them can be missing, but one that waits for its context."""
        reached = self.bookmark
        numbered = {record.measurement.sequence: record for record in records}
        waiting = min(self._records.keys() - numbered.keys(), default=None)
        for sequence, record in sorted(numbered.items()):
            self._records.pop(sequence, None)
            mark = None
            if (complete or sequence == reached + 1) and (waiting is None or sequence < waiting):
                reached, mark = sequence, Mark(sequence, str(record.measurement.base))
                self._passed = mark
            outcome = self._reading(record)
            if isinstance(outcome, Taken) and not record.whole:
                self._late[sequence] = record
                while len(self._late) > LATE:
                    del self._late[next(iter(self._late))]
            yield replace(outcome, mark=mark, again=self._hands_over) if isinstance(outcome, Taken) else outcome

    def _told_late(self, records: Iterable[Record]) -> Iterator[Notice]:
        """What the contexts of records say that were handed over without: a reading that is kept does not change."""
        for record in records:
            sequence, base = record.measurement.sequence, record.measurement.base
            if not record.whole or sequence not in self._late:
                continue
            if self._late.pop(sequence).measurement.base == base and record.fasting:
                yield self._by_hand(record, texts.fasting_late(_shown(record.measurement)))

    def _by_hand(self, record: Record, sentence: Text) -> Notice:
        """What a person is to do about it, which hides no result that is beyond what can be measured."""
        notice = Notice(DeviceState.FAILED, sentence, stays=self.standing.sentence is None)
        return self.of_its_time(notice, *self._when(record))

    def _reading(self, record: Record) -> Outcome:
        value = record.measurement
        if (why := refusal(value)) is not None:
            return self.of_its_time(why, *self._when(record))
        assert value.value is not None
        concentration = number(value.value)
        assert concentration is not None
        flags = []
        if value.control_solution:
            flags.append(ReadingFlag.CONTROL_SOLUTION)
        if value.status & MeterStatus.BATTERY_LOW:
            flags.append(ReadingFlag.LOW_BATTERY)
        at, clock_flags = self._when(record)
        return Taken(
            "glucose",
            {"fasting_glucose" if record.fasting else "glucose": (concentration, value.unit)},
            taken_at=at,
            sequence=f"{value.sequence}@{value.base}",
            flags=(*flags, *clock_flags),
            raw=record.raw,
        )


def _now() -> float:
    return asyncio.get_running_loop().time()


def _shown(value: Glucose) -> str:
    """The concentration as meters show it."""
    factor, unit = (1000, "mmol/L") if value.unit == "mol/L" else (100_000, "mg/dL")
    concentration = None if value.value is None else number(value.value)
    return "" if concentration is None else f"{(concentration * factor).normalize():f} {unit}"
