"""Reads a Nonin oximeter on a serial port. What its bytes mean is `nonin`; how a port is read is `ports`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from teleconsult.plugin_api import DeviceInfo, DeviceReader, DeviceSession, DeviceState, ReadingFlag, Text
from teleconsult_vitals_serial.nonin.commands import GET_TIME, select_format, set_time
from teleconsult_vitals_serial.nonin.frames import FRAMES_PER_SECOND, Counts, Detector, Found, Packet, Second, SpotCheck
from teleconsult_vitals_serial.nonin.pacing import Pacer
from teleconsult_vitals_serial.nonin.values import (
    Contact,
    Measurement,
    StoredMeasurement,
    plethysmogram,
    read_packet,
    read_second,
    read_spot_check,
)
from teleconsult_vitals_serial.ports import SerialPort, discover_ports, find_port
from teleconsult_vitals_serial.settings import SerialSettings
from teleconsult_vitals_serial.spot_checks import DeviceClock, Shelf, Unkept

SWITCH_ON = Text(
    en="Nothing comes from the oximeter. Switch it on and put the finger in.",
    zh="未收到血氧仪数据。请开机并将手指放入。",
)
NOT_UNDERSTOOD = Text(
    en="The oximeter is not understood. Check its data format and speed in the settings.",
    zh="无法识别血氧仪数据，请检查设置中的数据格式和波特率。",
)
MEASURING = Text(en="Measuring. Keep the hand still.", zh="正在测量，请保持手部不动。")
PUT_FINGER_IN = Text(en="Put the finger in.", zh="请将手指放入。")
KEEP_STILL = Text(
    en="Looking for the pulse. Keep still; warm the hand if this goes on.",
    zh="正在寻找脉搏，请保持不动；如持续无数值，请先暖手。",
)
NO_SENSOR = Text(en="The sensor is not connected. Plug it in.", zh="探头未连接，请插好探头。")
BATTERY_LOW = Text(en="The oximeter's battery is low. Replace it.", zh="血氧仪电量不足，请更换电池。")
NO_RESULT = Text(
    en="The oximeter found no value. Warm the hand and measure again.", zh="未测到数值，请暖手后重新测量。"
)
KEPT = Text(en="Measured.", zh="测量完成。")

_CONTACT = {
    Contact.MEASURING: (DeviceState.MEASURING, MEASURING),
    Contact.SEARCHING: (DeviceState.MEASURING, KEEP_STILL),
    Contact.NO_FINGER: (DeviceState.IDLE, PUT_FINGER_IN),
    Contact.NO_SENSOR: (DeviceState.FAILED, NO_SENSOR),
}

EVERY = timedelta(seconds=1)
"""How often a reading is given of a stream that has three values a second."""
SILENT = timedelta(seconds=4)
NOT_UNDERSTOOD_AFTER = 1200
"""Bytes without one packet in them: more than two seconds of the fastest format."""
DISTURBED = 0.03
"""The part of frames lost within a check that is told to a person."""
DISTURBED_CHECK = 10 * FRAMES_PER_SECOND


class Oximeter(DeviceReader):
    """One oximeter, of a kind that sends by itself."""

    kinds: ClassVar[tuple[str, ...]] = ("spo2",)
    waveforms: ClassVar[tuple[str, ...]] = ("plethysmogram",)
    settings: SerialSettings

    def __init__(self, device: DeviceInfo, settings: SerialSettings | None = None) -> None:
        super().__init__(device, settings or SerialSettings())

    @classmethod
    async def discover(cls, settings: SerialSettings | None = None) -> AsyncIterator[DeviceInfo]:
        """Every serial port."""
        further = (settings or SerialSettings()).further_ports
        async for device in discover_ports(further, cls.kinds, cls.waveforms):
            yield device

    async def run(self, session: DeviceSession) -> None:
        """Open the port and hand over what comes, until cancelled."""
        address = await asyncio.to_thread(find_port, self.device)
        async with SerialPort(address, self.settings.oximeter_baud) as port:
            await session.status(DeviceState.CONNECTED, PUT_FINGER_IN)
            await _Conversation(session, port, self.settings).listen()


class _Conversation:
    """One time that the port is open."""

    def __init__(self, session: DeviceSession, port: SerialPort, settings: SerialSettings) -> None:
        self._session = session
        self._port = port
        self._settings = settings
        self._detector = Detector(settings.oximeter_format.number)
        self._pacer = Pacer()
        self._clock = DeviceClock(session)
        self._shelf = Shelf(session)
        self._told: tuple[DeviceState, Text] | None = None
        self._flags: set[ReadingFlag] = set()
        self._read_at: datetime | None = None
        self._before: Measurement | None = None
        self._without_packet = 0
        self._checked = Counts()
        self._disturbed: Text | None = None

    async def listen(self) -> None:
        """Until the port is lost or the reader cancelled."""
        await self._offer_unkept()
        if self._settings.oximeter_format.number:
            await self._port.write(select_format(self._settings.oximeter_format.number))
        await self._port.write(GET_TIME)
        heard_at = self._session.now()
        try:
            async for data in self._port.chunks():
                now = self._session.now()
                if data:
                    heard_at = now
                    await self._take(data, now)
                elif now - heard_at >= SILENT and self._clock.waits_for_none:
                    # A device that sends finished measurements alone is rightly silent between them.
                    await self._tell(DeviceState.SEARCHING, SWITCH_ON)
                for stored, arrived in self._clock.due(now):
                    await self._keep(stored, arrived)
        finally:
            for stored, arrived in self._clock.take_held():
                await self._shelve(stored, arrived)

    async def _take(self, data: bytes, now: datetime) -> None:
        if answer := self._clock.answers.feed(data):
            self._clock.set(answer, now)
            await self._port.write(set_time(now.astimezone(UTC)))
        found = self._detector.feed(data)
        if found:
            self._without_packet = 0
            await self._give(found, now)
            await self._check_line()
            return
        self._without_packet += len(data)
        if self._without_packet >= NOT_UNDERSTOOD_AFTER:
            await self._tell(DeviceState.FAILED, NOT_UNDERSTOOD)
            if self._detector.format and not self._settings.oximeter_format.number:
                # Another format was chosen at the device: find out anew.
                self._detector, self._checked = Detector(), Counts()
            self._without_packet = 0

    async def _give(self, found: list[Found], now: datetime) -> None:
        packets = [packet for packet in found if isinstance(packet, Packet)]
        for packet, index, first_at in self._pacer.place(packets, now) if packets else ():
            for place, samples in plethysmogram(packet):
                await self._session.waveform(
                    "plethysmogram",
                    FRAMES_PER_SECOND,
                    samples,
                    first_at=first_at + timedelta(seconds=place / FRAMES_PER_SECOND),
                    first_index=index + place,
                )
            measurement = read_packet(packet, extended=self._settings.oximeter_extended_average)
            if measurement and self._confirmed(measurement):
                await self._stream(measurement, first_at + timedelta(seconds=len(packet.frames) / FRAMES_PER_SECOND))
        for each in found:
            if isinstance(each, Second):
                await self._stream(read_second(each), now)
            elif isinstance(each, SpotCheck):
                self._clock.hold(read_spot_check(each), now)

    def _confirmed(self, measurement: Measurement) -> bool:
        """Whether the packet before said about the same.

        The device renews these numbers every 1.5 s, over four packets. A number for one packet alone comes from
        losses on the line that a checksum of single frames cannot see.
        """
        before, self._before = self._before, measurement
        if measurement.contact is not Contact.MEASURING:
            return True
        if before is None:
            return False
        pairs = ((measurement.spo2, before.spo2, 2), (measurement.pulse_rate, before.pulse_rate, 5))
        return all(new is None or (old is not None and abs(new - old) <= most) for new, old, most in pairs)

    async def _stream(self, measurement: Measurement, at: datetime) -> None:
        """One reading a second of a stream, with the flags of all of that second."""
        state, sentence = _CONTACT[measurement.contact]
        if measurement.contact is Contact.MEASURING:
            sentence = self._disturbed or (BATTERY_LOW if measurement.battery_low else MEASURING)
        await self._tell(state, sentence)
        if measurement.contact is not Contact.MEASURING:
            self._flags.clear()
            self._read_at = None
            return
        self._flags |= measurement.flags
        # A tenth of slack: three packets are a second, give or take the jitter of their arrival.
        if self._read_at is not None and timedelta() <= at - self._read_at < 0.9 * EVERY:
            return
        assert measurement.spo2 is not None
        await self._session.reading(
            "spo2",
            _values(measurement.spo2, measurement.pulse_rate),
            taken_at=at,
            flags=sorted(self._flags),
            continuous=True,
            raw=measurement.raw,
        )
        self._read_at = at
        self._flags.clear()

    async def _keep(self, stored: StoredMeasurement, arrived: datetime) -> None:
        """One finished measurement of a device that measures once."""
        if not await self._shelve(stored, arrived):
            await self._tell(DeviceState.FAILED, NO_RESULT)
            return
        await self._offer_unkept()
        self._told = None
        await self._tell(DeviceState.IDLE, BATTERY_LOW if stored.measurement.battery_low else KEPT)

    async def _shelve(self, stored: StoredMeasurement, arrived: datetime) -> bool:
        """Remember a measurement until the node has it. False if there is no value in it."""
        found = stored.measurement
        if found.spo2 is None:
            return False
        taken_at, clock_flag = self._clock.correct(stored, arrived)
        flags = sorted({*found.flags, *([clock_flag] if clock_flag else [])})
        await self._shelf.put(Unkept(found.spo2, found.pulse_rate, taken_at, stored.stamp, tuple(flags), found.raw))
        return True

    async def _offer_unkept(self) -> None:
        """Hand over what the node does not have yet. Raises ReadingNotTaken; then it is offered the next time."""
        for each in self._shelf.unkept:
            await self._session.reading(
                "spo2",
                _values(each.spo2, each.pulse_rate),
                taken_at=each.taken_at,
                sequence=each.stamp,
                flags=each.flags,
                raw=each.raw,
            )
            await self._shelf.take(each)

    async def _tell(self, state: DeviceState, sentence: Text) -> None:
        """Say how it goes, once for each change."""
        if self._told != (state, sentence):
            self._told = (state, sentence)
            await self._session.status(state, sentence)

    async def _check_line(self) -> None:
        """Count what was lost over about ten seconds, and say so if it is much."""
        counts, before = self._detector.counts, self._checked
        frames, broken = counts.frames - before.frames, counts.broken - before.broken
        if frames + broken < DISTURBED_CHECK:
            return
        self._checked = replace(counts)
        self._disturbed = None
        if broken >= DISTURBED * (frames + broken):
            self._disturbed = Text(
                en=f"The line is disturbed: {broken} of {frames + broken} parts were lost. Check plug and cable.",
                zh=f"线路受干扰：{frames + broken} 段数据中丢失 {broken} 段，请检查插头和数据线。",
            )
            await self._tell(DeviceState.MEASURING, self._disturbed)


def _values(spo2: int, pulse_rate: int | None) -> dict[str, tuple[int, str]]:
    values = {"spo2": (spo2, "%")}
    if pulse_rate is not None:
        values["pulse_rate"] = (pulse_rate, "/min")
    return values
