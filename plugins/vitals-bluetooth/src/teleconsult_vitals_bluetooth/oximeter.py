"""Reads oximeters (Pulse Oximeter Service): spot checks, stored spot checks, and the continuous stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import ClassVar

from teleconsult.plugin_api import Command, DeviceState, ReadingFlag, Text
from teleconsult_vitals_bluetooth import racp, texts, uuids
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
from teleconsult_vitals_bluetooth.reader import BluetoothReader

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


class Oximeter(BluetoothReader):
    """One oximeter."""

    services = (uuids.OXIMETER_SERVICE,)
    kinds = ("spo2",)
    title: ClassVar[Text] = Text(en="Pulse oximeter", zh="脉搏血氧仪")
    ready = texts.OXIMETER_READY
    measuring = texts.OXIMETER_MEASURING
    streams = (uuids.CONTINUOUS_MEASUREMENT,)
    listens = (uuids.RECORD_ACCESS, uuids.SPOT_CHECK_MEASUREMENT)
    _stores = False
    _fetching = False
    _fetched = 0

    async def begin(self) -> None:
        """Fetch the spot checks that it stored, if it stores any."""
        if data := await self.link.read(uuids.OXIMETER_FEATURES):
            with suppress(MalformedFrame):
                self._stores = parse_oximeter_features(data).stores_spot_checks
        self._stores = self._stores and self.link.has(uuids.RECORD_ACCESS)
        if self._stores:
            await self._fetch()

    async def command(self, command: Command) -> None:
        """Fetch again when a person asks for it."""
        if command is not Command.FETCH:
            return
        if self._stores:
            await self._fetch()
        else:
            await self.say(DeviceState.IDLE, texts.STORES_NOTHING, again=True)

    async def _fetch(self) -> None:
        self._fetching = await self.link.write(uuids.RECORD_ACCESS, racp.report_all())
        self._fetched = 0

    def take(self, uuid: str, data: bytes) -> Iterator[Outcome]:
        """A spot check, the saturation of this moment, or the end of a transfer."""
        if uuid == uuids.RECORD_ACCESS:
            yield self._answered(racp.parse_answer(data))
            return
        spot = uuid == uuids.SPOT_CHECK_MEASUREMENT
        value = parse_spot_check(data) if spot else parse_continuous(data)
        if (why := refusal(value)) is not None:
            # What failed before this connection is nothing that anybody can still act on.
            yield None if spot and self._fetching else why
            return
        spo2, pulse = number(value.normal.spo2), number(value.normal.pulse_rate)
        values = {"spo2": (spo2, "%"), "pulse_rate": (pulse, "/min")}
        given: dict[str, tuple[Decimal, str]] = {
            key: (got, unit) for key, (got, unit) in values.items() if got is not None
        }
        flags = quality_flags(value)
        if not spot:
            yield Taken("spo2", given, taken_at=self.session.now(), flags=flags, continuous=True, raw=data)
            return
        dated = self.date(value.stamp, data, believed=not value.clock_not_set)
        if self._fetching:
            if dated.sequence in self.session.memory.get("spot_checks", []):
                return
            self._fetched += 1
        yield Taken(
            "spo2",
            given,
            taken_at=dated.taken_at,
            sequence=dated.sequence,
            flags=(*flags, *dated.flags),
            raw=data,
        )

    async def kept(self, taken: Taken) -> None:
        """Remember the spot check, so that it is passed over when the oximeter hands it over again."""
        if self._stores and taken.kind == "spo2":
            known = list(self.session.memory.get("spot_checks", []))
            await self.session.remember(spot_checks=[*known, taken.sequence][-REMEMBERED:])

    def _answered(self, answer: racp.Answer) -> Outcome:
        if answer.request != racp.REPORT or not self._fetching:
            return None
        self._fetching = False
        if answer.outcome not in (racp.Outcome.SUCCESS, racp.Outcome.NO_RECORDS):
            return Notice(DeviceState.FAILED, texts.FETCH_FAILED)
        return Notice(DeviceState.IDLE, texts.fetched(self._fetched) if self._fetched else texts.NOTHING_STORED)
