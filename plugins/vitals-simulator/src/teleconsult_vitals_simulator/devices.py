"""The four virtual devices, as readers of the plugin API. What they measure comes from `body`."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import ClassVar

from teleconsult.plugin_api import Command, DeviceInfo, DeviceReader, DeviceSession, DeviceState, Text
from teleconsult_vitals_simulator.body import Body
from teleconsult_vitals_simulator.settings import SimulatorSettings

MAKER = "teleconsult (simulated)"
READY = Text(en="Ready to measure.", zh="可以测量。")
CANCELLED = Text(en="Measurement cancelled.", zh="测量已取消。")


class VirtualDevice(DeviceReader):
    """What all have in common: a person to measure, a seeded device id, and being found at once."""

    model: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]
    waveforms: ClassVar[tuple[str, ...]] = ()
    settings: SimulatorSettings

    def __init__(self, device: DeviceInfo, settings: SimulatorSettings | None = None) -> None:
        super().__init__(device, settings or SimulatorSettings())
        self.body = Body(self.settings.profile, self.settings.seed)

    @classmethod
    async def discover(cls, settings: SimulatorSettings | None = None) -> AsyncIterator[DeviceInfo]:
        """The one device of this sort."""
        seed = (settings or SimulatorSettings()).seed
        yield DeviceInfo(
            device_id=f"sim-{cls.model}-{seed}",
            name=f"Simulated {cls.model}",
            kinds=cls.kinds,
            waveforms=cls.waveforms,
            manufacturer=MAKER,
            model=cls.model,
            serial_number=str(seed),
        )

    async def pause(self, seconds: float) -> None:
        """Wait as long as the real device would, divided by the speed-up."""
        await asyncio.sleep(seconds / self.settings.speed)


class MeasuringDevice(VirtualDevice):
    """A device that measures once when it is asked to."""

    async def run(self, session: DeviceSession) -> None:
        """Wait for commands for ever."""
        await session.status(DeviceState.CONNECTED, battery=90)
        await session.status(DeviceState.IDLE, READY)
        while True:
            if await session.next_command() is not Command.MEASURE:
                continue
            done = await session.unless_cancelled(self.measure(session))
            await session.status(DeviceState.IDLE, READY if done else CANCELLED)

    async def measure(self, session: DeviceSession) -> bool:
        """Measure once and hand the reading over. True, so that it differs from being cancelled."""
        raise NotImplementedError


class Cuff(MeasuringDevice):
    """An upper-arm cuff: inflates to above systolic pressure in about 8 s, deflates in about 20 s."""

    model = "cuff"
    kinds = ("blood_pressure",)
    STEPS = 14

    async def measure(self, session: DeviceSession) -> bool:
        """Inflate, deflate, report. The pressure in the cuff is told on the way."""
        now = session.now()
        systolic, diastolic = self.body.pressure(now.timestamp())
        top = systolic + 35
        for step in range(self.STEPS):
            inflating = step < self.STEPS // 3
            part = step / (self.STEPS // 3) if inflating else 1 - (step - self.STEPS // 3) / (self.STEPS * 2 / 3)
            pressure = round(top * part if inflating else diastolic - 15 + (top - diastolic + 15) * part)
            sentence = (
                Text(en=f"Inflating: {pressure} mmHg", zh=f"正在充气：{pressure} mmHg")
                if inflating
                else Text(en=f"Measuring: {pressure} mmHg", zh=f"正在测量：{pressure} mmHg")
            )
            await session.status(DeviceState.MEASURING, sentence, progress=round(100 * step / self.STEPS))
            await self.pause(2.0)
        taken_at = session.now()
        t = taken_at.timestamp()
        systolic, diastolic = self.body.pressure(t)
        high = round(systolic + self.body.noise("systolic", t, 1.5))
        low = round(diastolic + self.body.noise("diastolic", t, 1.2))
        await session.reading(
            "blood_pressure",
            {
                "systolic": (high, "mm[Hg]"),
                "diastolic": (low, "mm[Hg]"),
                "mean": (round(low + (high - low) / 3), "mm[Hg]"),
                "pulse_rate": (round(self.body.pulse_rate(t, 20)), "/min"),
            },
            taken_at=taken_at,
        )
        return True


class Thermometer(MeasuringDevice):
    """An ear thermometer: its sensor warms up for about four seconds."""

    model = "thermometer"
    kinds = ("body_temperature",)
    STEPS = 4

    async def measure(self, session: DeviceSession) -> bool:
        """Warm up and report."""
        for step in range(self.STEPS):
            warming = self.body.temperature(session.now().timestamp()) - 8 * math.exp(-1.3 * step)
            sentence = Text(en=f"Measuring: {warming:.1f} °C", zh=f"正在测量：{warming:.1f} °C")
            await session.status(DeviceState.MEASURING, sentence, progress=round(100 * step / self.STEPS))
            await self.pause(1.0)
        taken_at = session.now()
        t = taken_at.timestamp()
        value = round(self.body.temperature(t) + self.body.noise("temperature", t, 0.05), 1)
        await session.reading("body_temperature", {"body_temperature": (value, "Cel")}, taken_at=taken_at)
        return True


class StreamingDevice(VirtualDevice):
    """A device that streams one curve for ever and says numbers once a second."""

    RATE_HZ: ClassVar[int]
    CHUNK: ClassVar[int]
    """Samples in one run."""
    BATTERY: ClassVar[int] = 80

    async def run(self, session: DeviceSession) -> None:
        """Stream until cancelled. Late is made up for, so no sample is ever lost or moved."""
        await session.status(DeviceState.CONNECTED, battery=self.BATTERY)
        start = session.now()
        await session.status(DeviceState.MEASURING)
        sent = 0
        while True:
            first_at = start + timedelta(seconds=sent / self.RATE_HZ)
            await self._wait_until(session, first_at + timedelta(seconds=self.CHUNK / self.RATE_HZ))
            begin = first_at.timestamp()
            samples = [self.sample(begin + i / self.RATE_HZ) for i in range(self.CHUNK)]
            await session.waveform(self.waveforms[0], self.RATE_HZ, samples, first_at=first_at, first_index=sent)
            sent += self.CHUNK
            if sent % self.RATE_HZ == 0:
                await self.report(session, start + timedelta(seconds=sent / self.RATE_HZ))

    def sample(self, t: float) -> float:
        """The curve's value at an instant, in the unit of its kind."""
        raise NotImplementedError

    async def report(self, session: DeviceSession, at: datetime) -> None:
        """Hand over the numbers of this second."""
        raise NotImplementedError

    async def _wait_until(self, session: DeviceSession, at: datetime) -> None:
        await asyncio.sleep(max(0.0, (at - session.now()).total_seconds()))


class Oximeter(StreamingDevice):
    """A finger oximeter: streams the plethysmogram, and once a second saturation and pulse rate."""

    model = "oximeter"
    kinds = ("spo2",)
    waveforms = ("plethysmogram",)
    RATE_HZ = 75
    CHUNK = 15
    """A fifth of a second."""

    def sample(self, t: float) -> float:
        """Blood volume in the finger, no unit."""
        return round(self.body.plethysmogram(t), 4)

    async def report(self, session: DeviceSession, at: datetime) -> None:
        """Saturation and pulse rate."""
        t = at.timestamp()
        await session.reading(
            "spo2",
            {
                "spo2": (min(100, round(self.body.spo2(t) + self.body.noise("spo2", t, 0.2))), "%"),
                "pulse_rate": (round(self.body.pulse_rate(t)), "/min"),
            },
            taken_at=at,
            continuous=True,
        )


class EcgMonitor(StreamingDevice):
    """A one-lead ECG monitor: streams lead II at 500 Hz, and once a second the heart rate."""

    model = "ecg"
    kinds = ("heart_rate",)
    waveforms = ("ecg",)
    RATE_HZ = 500
    CHUNK = 100
    """A fifth of a second."""
    BATTERY = 70

    def sample(self, t: float) -> float:
        """The ECG to the nearest microvolt, in mV."""
        return round(self.body.ecg(t), 3)

    async def report(self, session: DeviceSession, at: datetime) -> None:
        """The heart rate of the last seconds, as a monitor shows it."""
        rate = round(self.body.pulse_rate(at.timestamp(), 6.0))
        await session.reading("heart_rate", {"heart_rate": (rate, "/min")}, taken_at=at, continuous=True)
