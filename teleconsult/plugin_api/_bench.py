"""A session whose other end is whoever tries a reader out: the test kit and `teleconsult plugin check`."""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from teleconsult.plugin_api._devices import DeviceInfo, DeviceStatus, Reading, Waveform
from teleconsult.plugin_api._session import DeviceSession, Limits, ReadingNotTaken


class BenchSession(DeviceSession):
    """Keeps what a reader sends in `sent`, in order."""

    def __init__(self, device: DeviceInfo, memory: Mapping[str, Any] | None = None, limits: Limits | None = None):
        super().__init__(device, memory, limits)
        self.sent: queue.Queue[Reading | Waveform | DeviceStatus] = queue.Queue()
        self.refuse_readings = False
        """While it is set, no reading is kept: `session.reading()` raises ReadingNotTaken."""
        self.refused_readings: list[Reading] = []
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def now(self) -> datetime:
        """The time that was set, else the real one."""
        return self.clock()

    async def _send_reading(self, reading: Reading) -> None:
        if self.refuse_readings:
            self.refused_readings.append(reading)
            raise ReadingNotTaken("The reading could not be kept now.")
        self.sent.put(reading)

    async def _send_waveform(self, waveform: Waveform) -> None:
        self.sent.put(waveform)

    async def _send_status(self, status: DeviceStatus) -> None:
        self.sent.put(status)

    async def _send_memory(self, memory: Mapping[str, Any]) -> None: ...
