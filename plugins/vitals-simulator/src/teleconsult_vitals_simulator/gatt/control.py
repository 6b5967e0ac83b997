"""The devices of one process, and what may be asked of them. One request is one JSON object, and so is its answer.

Requests have `do`, mostly `device` (a name, or a kind: then its first device), and `id`, which the answer repeats.
docs/plugins/virtual-devices.md lists them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from zoneinfo import ZoneInfo

from teleconsult.plugin_api import Text
from teleconsult_vitals_simulator.body import Profile
from teleconsult_vitals_simulator.gatt import KINDS, MISBEHAVIOURS
from teleconsult_vitals_simulator.gatt.glucose_meter import GlucoseMeter
from teleconsult_vitals_simulator.gatt.instrument import Instrument, Refused
from teleconsult_vitals_simulator.gatt.instruments import Cuff, HeartRateBelt, Oximeter, Scale, Thermometer
from teleconsult_vitals_simulator.gatt.peripheral import Peripheral
from teleconsult_vitals_simulator.gatt.person import Person
from teleconsult_vitals_simulator.gatt.radio import Radio

INSTRUMENTS: Mapping[str, type[Instrument]] = {
    each.kind: each for each in (Cuff, Oximeter, Thermometer, GlucoseMeter, Scale, HeartRateBelt)
}

Say = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Plan:
    """What the process is to simulate."""

    kinds: Sequence[str]
    """One word for each device; a word that comes twice makes two devices."""
    port: int = 0
    every: float | None = None
    """Seconds from one measurement of its own to the next."""
    misbehave: Sequence[str] = ()
    """What the measurements of its own do wrong, in turn."""
    speed: float = 1.0
    profile: Profile = Profile.NORMAL
    seed: int = 1
    zone: str = "Asia/Shanghai"


class Control:
    """All devices of one radio."""

    def __init__(self, plan: Plan, say: Say) -> None:
        self.plan = plan
        self.radio = Radio()
        self._say = say
        self._devices: dict[str, Instrument] = {}
        self._own: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Put all devices on the air and open the door. Raises OSError if the port is taken."""
        await self.radio.open(self.plan.port)
        person = Person.make(self.plan.profile, self.plan.seed)
        for index, kind in enumerate(self.plan.kinds):
            number = sum(other == kind for other in self.plan.kinds[:index]) + 1
            await self._make(kind, number, person)
        if self.plan.every:
            self._own = [asyncio.create_task(self._by_itself(device)) for device in self._devices.values()]

    async def stop(self) -> None:
        """End everything that runs."""
        for own in self._own:
            own.cancel()
        await asyncio.gather(*self._own, return_exceptions=True)
        for device in self._devices.values():
            await device.stop()
        self.radio.close()

    def describe(self) -> list[dict[str, str]]:
        """Every device: what it is called in requests, its kind, its name on the air, its address."""
        return [
            {"device": name, "kind": each.kind, "name": each.radio.name, "address": each.radio.address}
            for name, each in self._devices.items()
        ]

    async def obey(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Do what is asked, and answer. A request that cannot be done is answered with a sentence."""
        head = {"id": request["id"]} if "id" in request else {}
        try:
            work = _WORK.get(str(request.get("do")))
            if work is None:
                wanted, words = request.get("do"), ", ".join(_WORK)
                raise Refused(f"There is no {wanted!r}; there are: {words}.", f"没有 {wanted!r}，可用：{words}。")
            return {**head, "ok": True, **await work(self, request)}
        except Refused as refused:
            return {**head, "ok": False, "sentence": _words(refused.sentence)}
        except (TypeError, ValueError, ArithmeticError) as error:
            sentence = Text(en=f"These values cannot be used: {error}.", zh=f"数值无法使用：{error}。")
            return {**head, "ok": False, "sentence": _words(sentence)}

    async def _make(self, kind: str, number: int, person: Person) -> None:
        made = INSTRUMENTS[kind]
        index = list(KINDS).index(kind)
        address = f"C{index:X}:7E:1E:00:{number >> 8:02X}:{number & 255:02X}"
        suffix = "" if number == 1 else f" {number}"
        serial = f"V{index}{number:04d}"
        peripheral = Peripheral(
            self.radio.air, f"{made.model}{suffix}", address, made.model, serial, ZoneInfo(self.plan.zone)
        )
        name = f"{kind}-{number}"
        peripheral.on_change = lambda what: self._say({"event": what, "device": name, "at_ns": time.monotonic_ns()})
        device = made(peripheral, person, self.plan.speed)
        await peripheral.start(device.services())
        self._devices[name] = device

    async def _by_itself(self, device: Instrument) -> None:
        assert self.plan.every
        turn = 0
        while True:
            await asyncio.sleep(self.plan.every)
            word = self.plan.misbehave[turn % len(self.plan.misbehave)] if self.plan.misbehave else None
            turn += 1
            outcome = await device.measure(word)
            self._say({"event": "measured", "device": self._name(device), "misbehave": word, **asdict(outcome)})

    def _name(self, device: Instrument) -> str:
        return next(name for name, each in self._devices.items() if each is device)

    def _device(self, request: Mapping[str, Any]) -> Instrument:
        wanted = request.get("device")
        if wanted is None and len(self._devices) == 1:
            return next(iter(self._devices.values()))
        for name, device in self._devices.items():
            if wanted in (name, device.kind):
                return device
        names = ", ".join(self._devices)
        raise Refused(f"There is no device {wanted!r}; there are: {names}.", f"没有设备 {wanted!r}，可用：{names}。")

    async def _measure(self, request: Mapping[str, Any]) -> dict[str, Any]:
        device = self._device(request)
        outcome = await device.measure(request.get("misbehave"), request.get("values"), float(request.get("away", 0.0)))
        return asdict(outcome)

    async def _stream(self, request: Mapping[str, Any]) -> dict[str, Any]:
        await self._device(request).stream(bool(request.get("on", True)))
        return {}

    async def _drop(self, request: Mapping[str, Any]) -> dict[str, Any]:
        await self._device(request).radio.drop(float(request.get("away", 0.0)))
        return {}

    async def _battery(self, request: Mapping[str, Any]) -> dict[str, Any]:
        await self._device(request).radio.set_battery(max(0, min(100, int(request["percent"]))))
        return {}

    async def _clock(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"off": self._device(request).radio.clock.off.total_seconds()}

    async def _list(self, request: Mapping[str, Any]) -> dict[str, Any]:
        del request
        return {"devices": self.describe(), "misbehaviours": list(MISBEHAVIOURS)}


def _words(text: Text) -> dict[str, str]:
    return {"en": text.en, "zh": text.zh}


_WORK: Mapping[str, Callable[[Control, Mapping[str, Any]], Awaitable[dict[str, Any]]]] = {
    "measure": Control._measure,
    "stream": Control._stream,
    "drop": Control._drop,
    "battery": Control._battery,
    "clock": Control._clock,
    "list": Control._list,
}
