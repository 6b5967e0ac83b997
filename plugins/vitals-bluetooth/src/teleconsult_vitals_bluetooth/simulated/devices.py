"""One simulated device for each reader. The frames are made by hand, and share nothing with the parsers."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from teleconsult.plugin_api import DeviceInfo, Text
from teleconsult.plugin_api.checking import Measured, NotSimulated, SimulatedDevice
from teleconsult_vitals_bluetooth.simulated.radio import Peripheral, Value, VirtualRadio

ZONE = ZoneInfo("Asia/Shanghai")
YEARS_OFF = timedelta(days=-2557)
NAN = b"\xff\x07"
STREAM_SECONDS = 0.6


def stamp(moment: datetime) -> bytes:
    """Date Time."""
    return struct.pack("<H5B", moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second)


class BluetoothDevice(SimulatedDevice):
    """What all have in common: battery, clock, identity, and one characteristic that sends results."""

    service: ClassVar[int]
    result: ClassVar[int]
    how: ClassVar[str] = "indicate"
    has_clock: ClassVar[bool] = True
    bad: ClassVar[Mapping[str, bytes]]
    name: ClassVar[Text]

    def __init__(self) -> None:
        self.bad_frames = tuple(self.bad)  # type: ignore[misc]
        self._radio = VirtualRadio()
        self._count = 0
        self._off = timedelta()
        self._last = b""

    @property
    def device(self) -> DeviceInfo:
        """The device as discovery finds it."""
        address = self._peripheral.address
        return DeviceInfo(device_id=f"ble-{address}", name=self.name.zh, address=address)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The radio that it is on."""
        return {"radio": self._radio.transport, "search_seconds": 3.0}

    @property
    def in_use(self) -> bool | None:
        """Whether a reader is connected."""
        return self._peripheral.in_use

    async def switch_on(self, late: float = 0.0) -> None:
        """Come on the air. `late` is how long the battery's level takes to be read."""
        await self._radio.open()
        battery = Value(0x2A19, "read notify", b"\x50")
        battery.late = late
        services: dict[int, dict[int, Value]] = {
            self.service: self.characteristics(),
            0x180F: {0x2A19: battery},
            0x180A: {0x2A29: Value(0x2A29, "read", b"teleconsult (simulated)")},
        }
        if self.has_clock:
            services[0x1805] = {0x2A08: Value(0x2A08, "read", stamp(self.shown()))}
        self._peripheral = Peripheral(self._radio, services, "Simulated")
        await self._peripheral.switch_on()

    async def switch_off(self) -> None:
        """Leave the air."""
        await self._peripheral.switch_off()
        await self._radio.close()

    async def measure(self) -> Measured:
        """Send the next measurement."""
        self._count += 1
        self._tick()
        measured, self._last = self.next_measurement()
        await self._send(self._last)
        return measured

    async def repeat(self) -> None:
        """Send the last frames again."""
        await self._send(self._last)

    async def send_bad(self, frame: str) -> None:
        """Send what is no measurement."""
        await self._send(self.bad[frame])

    async def measure_with_wrong_clock(self) -> Measured:
        """Measure with a clock that is seven years behind."""
        if not self.has_clock:
            raise NotSimulated
        self._off = YEARS_OFF
        return await self.measure()

    async def vanish(self) -> None:
        """Be out of reach."""
        await self._peripheral.vanish()

    def shown(self) -> datetime:
        """What its clock shows. Each measurement is a second later than the last one."""
        return datetime.now(ZONE) - timedelta(minutes=1) + timedelta(seconds=self._count) + self._off

    def characteristics(self) -> dict[int, Value]:
        """What the service has."""
        return {self.result: Value(self.result, self.how)}

    def next_measurement(self) -> tuple[Measured, bytes]:
        """The next measurement as its display shows it, and its frames."""
        raise NotImplementedError

    def _tick(self) -> None:
        if self.has_clock:
            self._peripheral.values[0x2A08].value = stamp(datetime.now(ZONE) + self._off)

    async def _send(self, frame: bytes) -> None:
        await self._peripheral.values[self.result].subscribed.wait()
        await self._peripheral.send(self.result, frame)


class SimulatedCuff(BluetoothDevice):
    """A cuff that tells kPa and mmHg in turn."""

    reader = "cuff"
    service, result = 0x1810, 0x2A35
    name = Text(en="Simulated cuff", zh="模拟血压计")
    bad = MappingProxyType(
        {
            "truncated": bytes.fromhex("0278005000"),
            "oversize": bytes.fromhex("00780050005d00") + bytes(40),
            "NaN": b"\x00" + NAN * 3,
            "infinity": bytes.fromhex("00fe0750005d00"),
        }
    )

    def next_measurement(self) -> tuple[Measured, bytes]:
        """A pressure that rises each time."""
        n = self._count
        if n % 2:
            tenths = (160 + n, 107, 124)
            given = {
                key: (tenth / 10, "kPa") for key, tenth in zip(("systolic", "diastolic", "mean"), tenths, strict=True)
            }
            return Measured("blood_pressure", given), b"\x03" + struct.pack(
                "<3H", *(0xF000 | tenth for tenth in tenths)
            ) + stamp(self.shown())
        whole = (120 + n, 80, 93, 61)
        keys = ("systolic", "diastolic", "mean", "pulse_rate")
        units = ("mm[Hg]", "mm[Hg]", "mm[Hg]", "/min")
        frame = b"\x06" + struct.pack("<3H", *whole[:3]) + stamp(self.shown()) + struct.pack("<H", whole[3])
        return Measured("blood_pressure", dict(zip(keys, zip(whole, units, strict=True), strict=True))), frame


class SimulatedThermometer(BluetoothDevice):
    """A thermometer."""

    reader = "thermometer"
    service, result = 0x1809, 0x2A1C
    name = Text(en="Simulated thermometer", zh="模拟体温计")
    bad = MappingProxyType(
        {
            "truncated": bytes.fromhex("006c01"),
            "oversize": bytes.fromhex("006c0100ff") + bytes(20),
            "NaN": bytes.fromhex("00ffff7f00"),
            "absurd": bytes.fromhex("00ffff7e7f"),
        }
    )

    def next_measurement(self) -> tuple[Measured, bytes]:
        """A temperature that rises each time."""
        tenths = 364 + self._count
        frame = b"\x02" + struct.pack("<I", 0xFF000000 | tenths) + stamp(self.shown())
        return Measured("body_temperature", {"body_temperature": (tenths / 10, "Cel")}), frame


class SimulatedScale(BluetoothDevice):
    """A scale."""

    reader = "scale"
    service, result = 0x181D, 0x2A9D
    name = Text(en="Simulated scale", zh="模拟体重秤")
    bad = MappingProxyType(
        {"truncated": b"\x02\xb4\x37", "oversize": b"\x00\xb4\x37" + bytes(20), "unsuccessful": b"\x00\xff\xff"}
    )

    def next_measurement(self) -> tuple[Measured, bytes]:
        """A weight that rises each time."""
        steps = 14260 + 20 * self._count
        frame = b"\x02" + struct.pack("<H", steps) + stamp(self.shown())
        return Measured("body_weight", {"body_weight": (steps * 5 / 1000, "kg")}), frame


class SimulatedOximeter(BluetoothDevice):
    """An oximeter that makes spot checks."""

    reader = "oximeter"
    service, result = 0x1822, 0x2A5E
    name = Text(en="Simulated oximeter", zh="模拟血氧仪")
    bad = MappingProxyType(
        {
            "truncated": bytes.fromhex("0161003d00"),
            "oversize": bytes.fromhex("0061003d00") + bytes(20),
            "NaN": b"\x00" + NAN * 2,
            "no finger": bytes.fromhex("0461003d00000800"),
            "demonstration": bytes.fromhex("0261003d000004"),
        }
    )

    def next_measurement(self) -> tuple[Measured, bytes]:
        """A pulse that rises each time."""
        pulse = 60 + self._count
        frame = b"\x01" + struct.pack("<2H", 97, pulse) + stamp(self.shown())
        return Measured("spo2", {"spo2": (97, "%"), "pulse_rate": (pulse, "/min")}), frame


class SimulatedMeter(BluetoothDevice):
    """A glucose meter that stores nothing: each measurement is notified at once."""

    reader = "meter"
    service, result = 0x1808, 0x2A18
    how = "notify"
    name = Text(en="Simulated glucose meter", zh="模拟血糖仪")
    bad = MappingProxyType(
        {
            "truncated": b"\x06\x50\x00",
            "oversize": b"\x06\x50\x00" + bytes.fromhex("ea070b18080102" + "34c0" + "11") + bytes(20),
            "NaN": b"\x06\x51\x00" + bytes.fromhex("ea070b18080102") + NAN + b"\x11",
            "strip error": b"\x08\x52\x00" + bytes.fromhex("ea070b18080102") + b"\x08\x00",
        }
    )

    def characteristics(self) -> dict[int, Value]:
        """Measurement, context, and a control point that has nothing."""
        control = Value(0x2A52, "write indicate")
        control.on_write = lambda _: self._peripheral.send_soon((0x2A52, b"\x06\x00\x01\x06"))
        return {**super().characteristics(), 0x2A34: Value(0x2A34, "notify"), 0x2A52: control}

    def next_measurement(self) -> tuple[Measured, bytes]:
        """A concentration that rises each time, in mol/L."""
        tenths = 50 + self._count
        frame = (
            struct.pack("<BH", 6, 100 + self._count) + stamp(self.shown()) + struct.pack("<HB", 0xC000 | tenths, 0x11)
        )
        return Measured("glucose", {"glucose": (tenths / 10, "mmol/L")}), frame


class SimulatedStrap(BluetoothDevice):
    """A strap. Its stream has neither numbers nor times, so a repeat of a value is a new value."""

    reader = "strap"
    service, result = 0x180D, 0x2A37
    how = "notify"
    has_clock = False
    name = Text(en="Simulated heart rate strap", zh="模拟心率带")
    bad = MappingProxyType(
        {
            "truncated": b"\x01\x48",
            "oversize": b"\x00\x48" + bytes(20),
            "no contact": b"\x04\x48",
            "zero": b"\x00\x00",
        }
    )

    async def measure(self) -> Measured:
        """One value of the stream, as late after the one before as straps send them."""
        await asyncio.sleep(STREAM_SECONDS)
        return await super().measure()

    async def repeat(self) -> None:
        """A stream has no repeats."""
        raise NotSimulated

    def next_measurement(self) -> tuple[Measured, bytes]:
        """A rate that rises each time."""
        rate = 70 + self._count
        return Measured("heart_rate", {"heart_rate": (rate, "/min")}), bytes((0, rate))
