"""Oximeters as software: the bytes of data formats 2, 7, 8 and 13, made from the published layout and not with
the code that reads them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from teleconsult.plugin_api import DeviceInfo
from teleconsult.plugin_api.checking import Measured, SimulatedDevice
from teleconsult_vitals_serial.simulated.lines import VirtualLine

NO_FINGER, OUT_OF_TRACK, ARTIFACT, NO_SENSOR = 0x08, 0x10, 0x20, 0x40
GREEN, RED, YELLOW = 0x02, 0x04, 0x06


def packet(
    format_: int,
    spo2: int,
    pulse: int,
    *,
    pleth: Sequence[int] = tuple(range(100, 125)),
    status: int = 0,
    timer: int = 0,
    battery_low: bool = False,
    extended: tuple[int, int] | None = None,
) -> bytes:
    """125 bytes of format 2 or 7: a third of a second. 127 % and 511 /min mean that there is no value."""
    slow_spo2, slow_pulse = extended or (spo2, pulse)
    high, low = pulse >> 7, pulse & 0x7F
    slow_high, slow_low = slow_pulse >> 7, slow_pulse & 0x7F
    floats = [high, low, spo2, 21, 0, timer >> 7 & 0x7F, timer & 0x7F, 0x20 | int(battery_low), spo2, spo2, spo2, 0, 0]
    floats += [slow_high, slow_low, slow_spo2, slow_spo2, 0, 0, high, low, slow_high, slow_low, 0, 0]
    frames = bytearray()
    for place, (sample, value) in enumerate(zip(pleth, floats, strict=True)):
        bits = 0x80 | status | (1 if place == 0 else 0)
        head = [1, bits, sample] if format_ == 2 else [bits, sample >> 8, sample & 0xFF]
        frames += bytes([*head, value, (sum(head) + value) % 256])
    return bytes(frames)


def second(spo2: int, pulse: int, *, status: int = 0, status_2: int = 0) -> bytes:
    """Four bytes of format 8."""
    return bytes([0x80 | status | pulse >> 7, pulse & 0x7F, spo2, status_2])


def spot_check(
    spo2: int,
    pulse: int,
    at: datetime,
    *,
    good: bool = True,
    from_memory: bool = False,
    battery_low: bool = False,
    missing: bool = False,
    more: bytes = b"",
) -> bytes:
    """A packet of format 13, dated by the device's clock."""
    parts = (at.year // 100, at.year % 100, at.month, at.day, at.hour, at.minute, at.second, 0)
    data = bytes(int(str(part), 16) for part in parts)
    data += bytes([2 * good | missing, 16 * from_memory | battery_low, pulse >> 8, pulse & 0xFF, 0, spo2]) + more
    return bytes([0, 2, 0, 13, 0, len(data)]) + data + bytes([sum(data) % 256, 3])


class SpotCheckOximeter(SimulatedDevice):
    """An oximeter of format 13 with a clock, on a pseudo-terminal: each measurement is finished and sent once."""

    reader = "nonin-oximeter"
    bad_frames = ("checksum", "truncated", "no value", "length")

    def __init__(self) -> None:
        self._line: VirtualLine | None = None
        self._clock_ahead = timedelta()
        self._last = b""
        self._count = 0
        self._late = 0.0
        self._asked = False
        self._answering: asyncio.Task[None] | None = None

    @property
    def line(self) -> VirtualLine:
        """The line that it is on."""
        assert self._line is not None, "it is not switched on"
        return self._line

    @property
    def device(self) -> DeviceInfo:
        """As discovery finds it through the setting."""
        name = self.line.address.removeprefix("/dev/").replace("/", "_")
        return DeviceInfo(device_id=f"port-{name}", name="Oximeter", kinds=("spo2",), address=self.line.address)

    @property
    def settings(self) -> Mapping[str, Any]:
        """A pseudo-terminal is listed nowhere, so it is named."""
        return {"further_ports": self.line.address}

    @property
    def in_use(self) -> bool:
        """Whether a reader has the port open."""
        return self._line is not None and self._line.in_use

    async def switch_on(self, late: float = 0.0) -> None:
        """Be plugged in; the clock answers from now on."""
        self._line, self._late = VirtualLine(), late
        self._answering = asyncio.create_task(self._answer())

    async def switch_off(self) -> None:
        """Be unplugged."""
        if self._answering:
            self._answering.cancel()
            await asyncio.wait({self._answering})
        if self._line:
            self._line.unplug()

    async def measure(self) -> Measured:
        """A finger, a few seconds long, shortened to none."""
        await self._reader_is_there()
        await asyncio.sleep(self._late)
        self._count += 1
        spo2, pulse = 95 + self._count % 4, 60 + self._count % 40
        # Every measurement has a second of its own, as on the device.
        at = datetime.now(UTC) + self._clock_ahead + timedelta(seconds=self._count % 60 - 60)
        self._last = spot_check(spo2, pulse, at)
        self.line.send(self._last)
        return Measured("spo2", {"spo2": (spo2, "%"), "pulse_rate": (pulse, "/min")})

    async def measure_with_wrong_clock(self) -> Measured:
        """Four years behind."""
        self._clock_ahead = timedelta(days=-4 * 365)
        return await self.measure()

    async def repeat(self) -> None:
        """The same packet again."""
        await self._reader_is_there()
        self.line.send(self._last)

    async def send_bad(self, frame: str) -> None:
        """A packet that must not become a reading."""
        good = bytearray(spot_check(88, 44, datetime.now(UTC)))
        if frame == "checksum":
            good[-2] ^= 0x55
        elif frame == "truncated":
            del good[9:]
        elif frame == "length":
            good[5] = 13
        else:
            good = bytearray(spot_check(127, 511, datetime.now(UTC), missing=True))
        self.line.send(bytes(good))

    async def vanish(self) -> None:
        """The cable is pulled."""
        if self._answering:
            self._answering.cancel()
        self.line.unplug()

    async def _reader_is_there(self) -> None:
        """Until a reader has asked for the time: what comes while it opens the port is lost to it."""
        while not (self.in_use and self._asked):
            self._asked = self._asked and self.in_use
            await asyncio.sleep(0.01)

    async def _answer(self) -> None:
        """Tell and take the time. The simulated clock is never set: it stays as wrong as it is."""
        heard = b""
        while True:
            heard = (heard + self.line.received())[-64:]
            if not self.in_use:
                heard, self._asked = b"", False
            elif b"\x02\x72\x00\x03" in heard:
                heard, self._asked = b"", True
                now = datetime.now(UTC) + self._clock_ahead
                self.line.send(
                    bytes([2, 0xF2, 6, now.year % 100, now.month, now.day, now.hour, now.minute, now.second, 3])
                )
            await asyncio.sleep(0.01)
