"""Reads oximeters (Pulse Oximeter Service): spot checks, stored spot checks, and the continuous stream."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import ClassVar

from teleconsult.plugin_api import Command, DeviceInfo, DeviceState, ReadingFlag, Text
from teleconsult_vitals_bluetooth import racp, texts, uuids
from teleconsult_vitals_bluetooth.dating import Dated, of_anybody
from teleconsult_vitals_bluetooth.frames import MalformedFrame
from teleconsult_vitals_bluetooth.interpret import Notice, Outcome, Taken, failed, number
from teleconsult_vitals_bluetooth.oximetry import (
    OximeterStatus,
    Oximetry,
    SensorStatus,
    parse_continuous,
    parse_oximeter_features,
    parse_spot_check,
)
from teleconsult_vitals_bluetooth.settings import BluetoothSettings
from teleconsult_vitals_bluetooth.storing import StoringReader

_FAULT = (
    SensorStatus.EQUIPMENT_MALFUNCTION
    | SensorStatus.SENSOR_UNKNOWN
    | SensorStatus.SENSOR_MALFUNCTION
    | SensorStatus.SENSOR_DISCONNECTED
)
_NO_FINGER = SensorStatus.NOT_ON_USER | SensorStatus.SENSOR_DISPLACED
_WEAK = (
    SensorStatus.SIGNAL_IRREGULAR
    | SensorStatus.SIGNAL_INADEQUATE
    | SensorStatus.SIGNAL_POOR
    | SensorStatus.LOW_PERFUSION
    | SensorStatus.SIGNAL_ERRATIC
    | SensorStatus.NOT_PULSATILE
    | SensorStatus.PULSE_QUESTIONABLE
    | SensorStatus.INTERFERENCE
)

REMEMBERED = 120
"""So many spot checks are remembered as fetched. The profile has no numbers to ask from, only for all of them."""


def refusal(value: Oximetry) -> Notice | None:
    """Why this is no reading of a person; None if it is one."""
    if value.status & (OximeterStatus.DEMONSTRATION | OximeterStatus.TESTING):
        return Notice(DeviceState.FAILED, texts.NOT_A_PERSON)
    if value.sensor & _FAULT:
        return Notice(DeviceState.FAILED, texts.OXIMETER_FAULT)
    if value.sensor & _NO_FINGER:
        return Notice(DeviceState.FAILED, texts.NO_FINGER)
    if value.status & (OximeterStatus.INVALID | OximeterStatus.UNAVAILABLE | OximeterStatus.CALIBRATING):
        return Notice(DeviceState.FAILED, texts.NO_SIGNAL)
    if number(value.normal.spo2) is None:
        return failed(value.normal.spo2, texts.NO_SIGNAL)
    return None


def quality_flags(value: Oximetry) -> tuple[ReadingFlag, ...]:
    """What the oximeter said about the quality of its measurement."""
    flags = []
    if value.status & OximeterStatus.EARLY_ESTIMATE:
        flags.append(ReadingFlag.ESTIMATED)
    if value.sensor & _WEAK or value.status & OximeterStatus.QUESTIONABLE:
        flags.append(ReadingFlag.LOW_SIGNAL)
    return tuple(flags)


class Oximeter(StoringReader):
    """One oximeter."""

    services = (uuids.OXIMETER_SERVICE,)
    kinds = ("spo2",)
    title: ClassVar[Text] = Text(en="Pulse oximeter", zh="脉搏血氧仪")
    ready = texts.OXIMETER_READY
    measuring = texts.OXIMETER_MEASURING
    streams = (uuids.CONTINUOUS_MEASUREMENT,)
    listens = (uuids.RECORD_ACCESS, uuids.SPOT_CHECK_MEASUREMENT)
    _stores = False
    _tells_stored = False
    """Whether it marks what comes from its storage."""
    _fetched = 0

    def __init__(self, device: DeviceInfo, settings: BluetoothSettings | None = None) -> None:
        super().__init__(device, settings)
        self._copies: Counter[str] = Counter()

    async def begin(self) -> None:
        """Fetch the spot checks that it stored, if it stores any."""
        if data := await self.link.read(uuids.OXIMETER_FEATURES):
            with suppress(MalformedFrame):
                features = parse_oximeter_features(data)
                self._stores = features.stores_spot_checks
                self._tells_stored = OximeterStatus.FROM_STORAGE in features.status
        self._stores = self._stores and self.link.has(uuids.RECORD_ACCESS)
        if self._stores:
            await self._fetch()

    async def command(self, command: Command) -> None:
        """Fetch again when a person asks for it."""
        if command is not Command.FETCH or self.asked is not None:
            return
        if self._stores:
            await self._fetch()
        else:
            await self.say(DeviceState.IDLE, texts.STORES_NOTHING, again=True)

    async def _fetch(self) -> None:
        self._fetched = 0
        self._copies.clear()
        await self.ask(racp.report_all())

    def take(self, uuid: str, data: bytes) -> Iterator[Outcome]:
        """A spot check, the saturation of this moment, or the end of a transfer."""
        if uuid == uuids.RECORD_ACCESS:
            if (answer := self.answered(data)) is not None:
                yield self._end(answer)
        elif uuid == uuids.SPOT_CHECK_MEASUREMENT:
            yield self._spot_check(parse_spot_check(data), data)
        else:
            value = parse_continuous(data)
            yield refusal(value) or Taken(
                "spo2",
                given(value),
                taken_at=self.session.now(),
                flags=quality_flags(value),
                continuous=True,
                raw=data,
            )

    def _spot_check(self, value: Oximetry, data: bytes) -> Outcome:
        stored = OximeterStatus.FROM_STORAGE in value.status or (self.asked is not None and not self._is_live(value))
        why = refusal(value)
        if stored and why is not None:
            return None  # what failed earlier is nothing that anybody can still act on
        dated = self.date(value.stamp, data, believed=not value.clock_not_set, stored=stored)
        if why is not None:
            return self.of_its_time(why, dated.taken_at, dated.flags)
        if stored and not dated.lasting:
            # It may be anybody's, of any day: it waits in the tray, and once however often it is fetched.
            name = self._name(value) if self.asked is not None else dated.sequence
            dated = Dated(None, of_anybody((ReadingFlag.CLOCK_NOT_SET,), stored), name)
        if stored and self.asked is not None:
            if dated.sequence in self._known:
                return None
            self._fetched += 1
        flags = (*quality_flags(value), *dated.flags)
        return Taken("spo2", given(value), taken_at=dated.taken_at, sequence=dated.sequence, flags=flags, raw=data)

    def _is_live(self, value: Oximetry) -> bool:
        """Whether it is a measurement of now although a transfer runs."""
        return self._tells_stored and bool(value.status) and OximeterStatus.FROM_STORAGE not in value.status

    @property
    def _known(self) -> list[str]:
        """What is passed over when the oximeter hands it over again."""
        known = self.session.memory.get("spot_checks", [])
        return known if isinstance(known, list) else []

    def _name(self, value: Oximetry) -> str:
        """What tells a stored spot check without a usable time: what it says, and which of those that say the same."""
        name = _digest(value)
        self._copies[name] += 1
        return f"{name}#{self._copies[name]}"

    async def kept(self, taken: Taken) -> None:
        """Remember the spot check; one without a lasting sequence as it will be found in the storage."""
        if not self._stores or taken.kind != "spo2" or taken.sequence is None:
            return
        known, name = self._known, taken.sequence
        value = parse_spot_check(taken.raw)
        if self.dating.is_own(name):
            digest = _digest(value)
            name = f"{digest}#{1 + sum(each.startswith(digest) for each in known)}"
        await self.session.remember(spot_checks=[*known, name][-REMEMBERED:])

    def _end(self, answer: racp.Answer) -> Outcome:
        if answer.outcome not in (racp.Outcome.SUCCESS, racp.Outcome.NO_RECORDS):
            return Notice(DeviceState.FAILED, texts.FETCH_FAILED)
        return self.fetched(self._fetched)


def given(value: Oximetry) -> dict[str, tuple[Decimal, str]]:
    """The numbers that it has."""
    numbers = {"spo2": (number(value.normal.spo2), "%"), "pulse_rate": (number(value.normal.pulse_rate), "/min")}
    return {key: (found, unit) for key, (found, unit) in numbers.items() if found is not None}


def _digest(value: Oximetry) -> str:
    """The same for a spot check when it is made and when it is fetched."""
    status, sensor = int(value.status & ~OximeterStatus.FROM_STORAGE), int(value.sensor)
    words = (value.normal.spo2, value.normal.pulse_rate, value.stamp, status, sensor, value.amplitude)
    return hashlib.sha256(" ".join(map(str, words)).encode()).hexdigest()[:16]
