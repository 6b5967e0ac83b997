"""The cuff, the oximeter, the thermometer, the scale and the heart rate belt. The meter is in `glucose_meter`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from bumble.gatt import Service

from teleconsult_vitals_simulator.gatt import frames
from teleconsult_vitals_simulator.gatt.frames import CuffStatus, OximetryStatus, SensorStatus
from teleconsult_vitals_simulator.gatt.instrument import Instrument, Outcome, Outgoing
from teleconsult_vitals_simulator.gatt.peripheral import INDICATE, NOTIFY, Peripheral, reading_of, sending, service
from teleconsult_vitals_simulator.gatt.person import Person
from teleconsult_vitals_simulator.gatt.record_access import ALL, RecordAccess


class Cuff(Instrument):
    """Inflates in a third of the time, deflates in the rest, and tells its pressure on the way."""

    kind = "blood-pressure"
    model = "VC-1 cuff"
    keys = frozenset({"systolic", "diastolic", "mean", "pulse_rate", "user", "irregular", "kilopascal", "undated"})
    impossible = MappingProxyType({"systolic": 330, "diastolic": 12, "mean": 118, "pulse_rate": 72})
    STEPS = 12

    def services(self) -> Sequence[Service]:
        """Blood Pressure."""
        self._result = sending(0x2A35, INDICATE)
        self._pressure = sending(0x2A36, NOTIFY)
        features = reading_of(0x2A49, b"\x07\x00")  # body movement, cuff fit, irregular pulse
        return [service(0x1810, self._result, self._pressure, features)]

    async def prelude(self, part: float = 1.0) -> None:
        """Inflate and deflate."""
        systolic, diastolic = self.person.body.pressure(time.time())
        top, rising = systolic + 35, self.STEPS // 3
        for step in range(round(self.STEPS * part)):
            fallen = (step - rising) / (self.STEPS - rising)
            pressure = top * step / rising if step < rising else top - (top - diastolic + 15) * fallen
            await self.radio.send(self._pressure, frames.cuff_pressure(round(pressure)))
            await self.pause(2.0)

    def frames(self, values: Mapping[str, Any], at: datetime) -> list[Outgoing]:
        """One indication."""
        body, t = self.person.body, time.time()
        high: float
        low: float
        high, low = (round(pressure) for pressure in body.pressure(t))
        kilopascal = bool(values.get("kilopascal"))
        if kilopascal:
            high, low = round(high / 7.50062, 1), round(low / 7.50062, 1)
        high, low = values.get("systolic", high), values.get("diastolic", low)
        measured = frames.BloodPressure(
            high,
            low,
            values.get("mean", low + (high - low) / 3),
            None if values.get("undated") else at,
            values.get("pulse_rate", round(body.pulse_rate(t, 20))),
            values.get("user"),
            CuffStatus.IRREGULAR_PULSE if values.get("irregular") else CuffStatus(0),
            kilopascal,
        )
        return [(self._result, measured.encode())]

    def failed(self, at: datetime) -> list[Outgoing]:
        """No numbers; the cuff was too loose and the arm moved."""
        status = CuffStatus.CUFF_TOO_LOOSE | CuffStatus.BODY_MOVED
        return [(self._result, frames.BloodPressure(None, None, None, at, status=status).encode())]


class Streaming(Instrument):
    """An instrument that can send a value every second."""

    def __init__(self, peripheral: Peripheral, person: Person, speed: float) -> None:
        super().__init__(peripheral, person, speed)
        self._streaming: asyncio.Task[None] | None = None

    async def stream(self, on: bool) -> None:
        """Be put on, or taken off."""
        if self._streaming:
            self._streaming.cancel()
            await asyncio.wait({self._streaming})
            self._streaming = None
        if on:
            self._streaming = asyncio.create_task(self._stream())

    async def stop(self) -> None:
        """End the stream too."""
        await self.stream(False)
        await super().stop()

    async def tell(self) -> None:
        """Send the value of now."""
        raise NotImplementedError

    async def _stream(self) -> None:
        while True:
            await self.tell()
            await self.pause(1.0)


class Oximeter(Streaming):
    """Tells its values every second while it is on a finger, and after some seconds one that counts.

    Those that nobody took it keeps, and hands them over when asked for all, as often as it is asked.
    """

    kind = "oximeter"
    model = "VO-2 oximeter"
    keys = frozenset({"spo2", "pulse_rate", "undated"})
    impossible = MappingProxyType({"spo2": 127, "pulse_rate": 420})
    SECONDS = 5

    def services(self) -> Sequence[Service]:
        """Pulse Oximeter."""
        self._spot = sending(0x2A5E, INDICATE)
        self._continuous = sending(0x2A5F, NOTIFY)
        self._memory = RecordAccess(self.radio, frozenset({ALL}))
        # both statuses are supported, readings are stored and marked as such, times are given
        features = reading_of(0x2A60, b"\x0f\x00" + b"\x00\xa3" + b"\x30\x08\x00")
        return [service(0x1822, self._spot, self._continuous, features, self._memory.attribute)]

    async def deliver(self, result: Sequence[Outgoing]) -> Outcome:
        """Send a result, or make records of what nobody takes."""
        outcome = await super().deliver(result)
        for characteristic, frame in self._stored:
            self._memory.keep([(characteristic, frames.as_stored(frame))])
        self._stored = []
        return outcome

    async def stop(self) -> None:
        """End a report too."""
        await self._memory.stop()
        await super().stop()

    async def prelude(self, part: float = 1.0) -> None:
        """Find the pulse."""
        for _ in range(round(self.SECONDS * part)):
            await self.tell()
            await self.pause(1.0)

    async def tell(self) -> None:
        """One continuous measurement."""
        spo2, rate = self._now(time.time())
        await self.radio.send(self._continuous, frames.continuous_oximetry(spo2, rate))

    def frames(self, values: Mapping[str, Any], at: datetime) -> list[Outgoing]:
        """One spot-check."""
        spo2, rate = self._now(time.time())
        spo2, rate = values.get("spo2", spo2), values.get("pulse_rate", rate)
        stamp = None if values.get("undated") else at
        frame = frames.spot_oximetry(spo2, rate, stamp, OximetryStatus.FULLY_QUALIFIED, SensorStatus(0))
        return [(self._spot, frame)]

    def failed(self, at: datetime) -> list[Outgoing]:
        """No finger."""
        status = OximetryStatus.UNAVAILABLE
        return [(self._spot, frames.spot_oximetry(None, None, at, status, SensorStatus.NOT_ON_PERSON))]

    def _now(self, t: float) -> tuple[int, int]:
        return round(self.person.body.spo2(t)), round(self.person.body.pulse_rate(t))


class Thermometer(Instrument):
    """An ear thermometer that warms up for four seconds."""

    kind = "thermometer"
    model = "VT-1 thermometer"
    keys = frozenset({"temperature", "fahrenheit"})
    impossible = MappingProxyType({"temperature": 61.3})

    def services(self) -> Sequence[Service]:
        """Health Thermometer."""
        self._result = sending(0x2A1C, INDICATE)
        self._warming = sending(0x2A1E, NOTIFY)
        return [service(0x1809, self._result, self._warming, reading_of(0x2A1D, bytes([frames.EAR])))]

    async def prelude(self, part: float = 1.0) -> None:
        """Warm up."""
        for step in range(round(4 * part)):
            value = self._now(time.time()) - 2.0 * (3 - step)
            await self.radio.send(self._warming, frames.temperature(value))
            await self.pause(1.0)

    def frames(self, values: Mapping[str, Any], at: datetime) -> list[Outgoing]:
        """One indication."""
        value, fahrenheit = values.get("temperature", self._now(time.time())), bool(values.get("fahrenheit"))
        shown = value * 1.8 + 32 if fahrenheit else value
        return [(self._result, frames.temperature(shown, at, fahrenheit))]

    def failed(self, at: datetime) -> list[Outgoing]:
        """No number."""
        return [(self._result, frames.temperature(None, at))]

    def _now(self, t: float) -> float:
        return round(self.person.body.temperature(t), 1)


class Scale(Instrument):
    """A body scale that tells weight, and body fat to those who want it."""

    kind = "scale"
    model = "VS-1 scale"
    keys = frozenset({"weight", "fat", "user", "pounds"})
    impossible = MappingProxyType({"weight": 327.0, "fat": 99.0})

    def services(self) -> Sequence[Service]:
        """Weight Scale and Body Composition."""
        self._weight = sending(0x2A9D, INDICATE)
        self._fat = sending(0x2A9C, INDICATE)
        return [
            service(0x181D, self._weight, reading_of(0x2A9E, (1 | 1 << 3).to_bytes(4, "little"))),
            service(0x181B, self._fat, reading_of(0x2A9B, (1).to_bytes(4, "little"))),
        ]

    def frames(self, values: Mapping[str, Any], at: datetime) -> list[Outgoing]:
        """Weight, then fat."""
        t = time.time()
        kilograms, fat = values.get("weight", self.person.weight(t)), values.get("fat", self.person.fat(t))
        pounds = bool(values.get("pounds"))
        sent = [(self._weight, frames.weight(kilograms, at, values.get("user"), pounds))]
        if self.radio.listens(self._fat):  # kept for later is the weight alone: few ever ask for more
            sent.append((self._fat, frames.body_composition(fat, at)))
        return sent

    def failed(self, at: datetime) -> list[Outgoing]:
        """Nobody stood still."""
        return [(self._weight, frames.weight(None, at))]


class HeartRateBelt(Streaming):
    """A belt that tells the heart's rate every second. It keeps nothing and has no time."""

    kind = "heart-rate"
    model = "VH-1 belt"
    keys = frozenset({"heart_rate"})
    impossible = MappingProxyType({"heart_rate": 480})
    stores = False

    def services(self) -> Sequence[Service]:
        """Heart Rate."""
        self._rate = sending(0x2A37, NOTIFY)
        return [service(0x180D, self._rate, reading_of(0x2A38, b"\x01"))]

    async def tell(self) -> None:
        """The rate of now."""
        [(characteristic, frame)] = self.frames({}, self.radio.clock.now())
        await self.radio.send(characteristic, frame)

    def frames(self, values: Mapping[str, Any], at: datetime) -> list[Outgoing]:
        """One notification."""
        rate = values.get("heart_rate", round(self.person.body.heart_rate(time.time())))
        return [(self._rate, frames.heart_rate(rate, (60 / rate,)))]

    def failed(self, at: datetime) -> list[Outgoing]:
        """No skin."""
        return [(self._rate, frames.heart_rate(0, contact=False))]
