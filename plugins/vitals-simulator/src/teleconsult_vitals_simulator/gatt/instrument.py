"""What every virtual instrument does: measure, keep what nobody took, hand it over later, and misbehave when told.

What is measured and how its frames look, each kind says itself (`instruments`, `glucose_meter`).
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

from bumble.gatt import Service

from teleconsult.plugin_api import Text
from teleconsult_vitals_simulator.gatt import MISBEHAVIOURS
from teleconsult_vitals_simulator.gatt.peripheral import Attribute, Peripheral
from teleconsult_vitals_simulator.gatt.person import Person

MEMORY = 100
"""Readings that a device keeps for later; the oldest are lost first."""

FLOOD = 3000
CLOCK_OFF = timedelta(days=-3653)
EMPTY_BATTERY = 4
"""%"""

Outgoing = tuple[Attribute, bytes]


class Refused(Exception):  # noqa: N818 - it is an answer, said in one sentence
    """The device cannot do what it was told."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.sentence = Text(en=en, zh=zh)


@dataclass
class Outcome:
    """What became of one measurement."""

    delivered: int = 0
    stored: int = 0
    sent_ns: int = 0
    """`time.monotonic_ns()` just before the first frame of the result went out."""
    frames: list[str] = field(default_factory=list)
    """What went out or was stored, as hexadecimal digits."""


class Instrument(ABC):
    """One virtual device: its peripheral, and what it does with the person."""

    kind: ClassVar[str]
    model: ClassVar[str]
    keys: ClassVar[frozenset[str]]
    """Values that may be dictated to it."""
    impossible: ClassVar[Mapping[str, Any]]
    """Values that no body has."""
    stores: ClassVar[bool] = True

    def __init__(self, peripheral: Peripheral, person: Person, speed: float) -> None:
        self.radio = peripheral
        self.person = person
        self._speed = speed
        self._busy = asyncio.Lock()
        self._stored: list[Outgoing] = []
        peripheral.on_subscription = self._subscribed

    @abstractmethod
    def services(self) -> Sequence[Service]:
        """The services of its profile, made once."""

    @abstractmethod
    def frames(self, values: Mapping[str, Any], at: datetime) -> list[Outgoing]:
        """One successful measurement, at that local time of the device."""

    @abstractmethod
    def failed(self, at: datetime) -> list[Outgoing]:
        """What it says when it could not measure."""

    async def prelude(self, part: float = 1.0) -> None:
        """What goes on before a result, or the first part of it: three seconds of measuring."""
        await self.pause(3.0 * part)

    async def stream(self, on: bool) -> None:
        """Begin or end to send every second."""
        raise Refused(f"A {self.kind} device does not stream.", f"{self.kind} 设备不支持连续发送。")

    async def stop(self) -> None:
        """End what runs by itself."""
        await self.radio.stop()

    async def measure(
        self, misbehave: str | None = None, values: Mapping[str, Any] | None = None, away: float = 0.0
    ) -> Outcome:
        """Measure once. `away` is how long a device that drops stays away, seconds. Raises Refused."""
        dictated = dict(values or {})
        if misbehave is not None and misbehave not in MISBEHAVIOURS:
            words = ", ".join(MISBEHAVIOURS)
            raise Refused(f"No device can {misbehave!r}; there are: {words}.", f"没有 {misbehave!r}，可用：{words}。")
        if unknown := ", ".join(sorted(set(dictated) - self.keys)):
            known = ", ".join(sorted(self.keys))
            raise Refused(
                f"A {self.kind} device has no {unknown}; it has: {known}.",
                f"{self.kind} 设备没有 {unknown}，可用：{known}。",
            )
        async with self._busy:
            return await self._measure(misbehave, dictated, away)

    async def _measure(self, misbehave: str | None, values: dict[str, Any], away: float) -> Outcome:
        if misbehave == "low-battery":
            await self.radio.set_battery(EMPTY_BATTERY)
        elif misbehave == "wrong-clock":
            self.radio.clock.off = CLOCK_OFF
        elif misbehave == "out-of-range":
            values = {**self.impossible, **values}
        elif misbehave == "drop":
            await self.prelude(0.5)
            await self.radio.drop(away)
            return Outcome()
        await self.prelude()
        at = self.radio.clock.now().replace(microsecond=0)
        if misbehave == "flood":
            return await self._flood(values, at)
        result = self.failed(at) if misbehave == "error" else self.frames(values, at)
        return await self.deliver(bend(misbehave, result, self.radio.mtu()))

    async def deliver(self, result: Sequence[Outgoing]) -> Outcome:
        """Send a result, or keep what nobody takes."""
        outcome = Outcome(sent_ns=time.monotonic_ns(), frames=[frame.hex() for _, frame in result])
        for characteristic, frame in result:
            if await self.radio.send(characteristic, frame):
                outcome.delivered += 1
            elif self.stores:
                self._stored = [*self._stored, (characteristic, frame)][-MEMORY:]
                outcome.stored += 1
        return outcome

    async def _flood(self, values: Mapping[str, Any], at: datetime) -> Outcome:
        outcome = Outcome(sent_ns=time.monotonic_ns())
        for number in range(FLOOD):
            for characteristic, frame in self.frames(values, at - timedelta(seconds=number)):
                outcome.delivered += await self.radio.pour(characteristic, frame)
            if number % 20 == 0:
                await asyncio.sleep(0)
        return outcome

    async def _subscribed(self, characteristic: Attribute) -> None:
        """Hand over what was kept. What is not confirmed stays."""
        async with self._busy:
            kept, self._stored = self._stored, []
            for number, (own, frame) in enumerate(kept):
                if own is not characteristic or not await self.radio.send(own, frame):
                    self._stored.append(kept[number])

    async def pause(self, seconds: float) -> None:
        """Wait as long as a real device would, divided by the speed-up."""
        await asyncio.sleep(seconds / self._speed)


def bend(misbehave: str | None, result: Sequence[Outgoing], mtu: int) -> list[Outgoing]:
    """The frames as a device sends them that misbehaves in what it sends."""
    if misbehave == "repeat":
        return [each for each in result for _ in range(3)]
    if misbehave == "malformed":
        return [(characteristic, frame[: len(frame) // 2]) for characteristic, frame in result]
    if misbehave == "oversize":
        return [(characteristic, frame + b"\xaa" * max(1, mtu - len(frame))) for characteristic, frame in result]
    return list(result)
