"""The line between a device reader and the core: what a reader may do while it runs."""

from __future__ import annotations

import asyncio
import json
import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import uuid4

from teleconsult.domain import measurement
from teleconsult.domain.errors import TeleconsultError
from teleconsult.plugin_api._devices import (
    Command,
    DeviceInfo,
    DeviceState,
    DeviceStatus,
    Number,
    Reading,
    ReadingFlag,
    Waveform,
    make_reading,
)
from teleconsult.plugin_api._text import Text

T = TypeVar("T")


class DeviceUnavailable(TeleconsultError):  # noqa: N818 - reads as the field's words
    """Raised by a reader whose device is out of reach. That is normal: it is tried again, and is no fault."""

    code = "device_unavailable"

    def __init__(self, sentence: Text | str = "The device is out of reach.") -> None:
        """`sentence` is shown to the person at the device while it is looked for."""
        self.sentence = Text.model_validate(sentence)
        super().__init__(self.sentence.en)


class SentTooMuch(TeleconsultError):  # noqa: N818
    """A reader sent more than any device can mean. It is stopped, and that counts as a fault."""

    code = "sent_too_much"


class ReadingNotTaken(TeleconsultError):  # noqa: N818
    """The core could not keep a reading, though it was offered several times. The reader still has it."""

    code = "reading_not_taken"


@dataclass(frozen=True)
class Limits:
    """How much one device may send. What comes faster waits (`await` takes longer); far more is refused."""

    readings_per_second: float = 20
    readings_in_window: int = 2500
    window_seconds: float = 300
    waveforms_per_second: float = 50
    samples_per_second: float = 4000
    statuses_per_second: float = 10
    waiting: int = 100
    """So many calls may wait at once; a reader that starts more without awaiting them is stopped."""
    memory_bytes: int = 16_384
    memories_per_second: float = 2
    """What is remembered more often than this is kept a moment later, the latest value of it."""


class _Bucket:
    """A token bucket on which callers wait for their turn. `refused` is set when too many wait."""

    def __init__(self, per_second: float, waiting: int, refused: asyncio.Event) -> None:
        self._refused = refused
        self._rate = per_second
        self._burst = per_second * 2
        self._tokens = self._burst
        self._at = asyncio.get_running_loop().time()
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._limit = waiting

    async def take(self, tokens: float = 1) -> None:
        if self._waiting >= self._limit:
            self._refused.set()
            raise SentTooMuch("More was sent than can be taken.")
        self._waiting += 1
        try:
            async with self._turn:
                loop = asyncio.get_running_loop()
                self._tokens = min(self._burst, self._tokens + (loop.time() - self._at) * self._rate)
                self._at = loop.time()
                self._tokens -= min(tokens, self._burst)
                if self._tokens < 0:
                    await asyncio.sleep(-self._tokens / self._rate)
        finally:
            self._waiting -= 1


class DeviceSession(ABC):
    """What a reader is given to work with, for one device. Used from the reader's own event loop only."""

    def __init__(
        self, device: DeviceInfo, memory: Mapping[str, Any] | None = None, limits: Limits | None = None
    ) -> None:
        self.device = device
        self._limits = limits or Limits()
        self._memory = dict(memory or {})
        self._kept_memory = json.dumps(self._memory)
        self._memory_kept_at = -math.inf
        self._keeping: asyncio.TimerHandle | asyncio.Task[None] | None = None
        self._commands: asyncio.Queue[Command] = asyncio.Queue(maxsize=16)
        self._run = uuid4().hex[:12]
        self._unnumbered = 0
        self._recent: deque[float] = deque()
        self._next_sample: dict[str, int] = {}
        self._battery: int | None = None
        self.refused = asyncio.Event()
        """Set when more was sent than is taken: the reader is then ended, whatever it does with SentTooMuch."""
        self._readings = self._bucket(self._limits.readings_per_second)
        self._waveforms = self._bucket(self._limits.waveforms_per_second)
        self._samples = self._bucket(self._limits.samples_per_second)
        self._statuses = self._bucket(self._limits.statuses_per_second)

    # What a reader sends

    async def reading(
        self,
        kind: str,
        values: Mapping[str, tuple[Number, str]],
        *,
        taken_at: datetime | None = None,
        sequence: str | int | None = None,
        flags: Sequence[ReadingFlag] = (),
        continuous: bool = False,
        note: str = "",
        raw: bytes = b"",
    ) -> Reading:
        """Hand over one measurement and wait until the core has kept it.

        `values` maps a component's key to (number, UCUM unit): `{"systolic": (128, "mm[Hg]"), …}`; see
        `make_reading` for units and errors. Only when this returns may a reader delete the record in the
        device or move its bookmark. A repeat of the same reading is recognised and kept once; for that give
        `sequence` or `taken_at`. Where a device has neither, every call counts as a new measurement.
        Raises ReadingNotTaken if the core cannot keep it now, SentTooMuch for a flood.
        """
        if sequence is None and taken_at is None:
            self._unnumbered += 1
            sequence = f"{self._run}-{self._unnumbered}"
        reading = make_reading(
            self.device.device_id,
            kind,
            values,
            taken_at=taken_at,
            sequence=sequence,
            flags=tuple(flags),
            continuous=continuous,
            note=note,
            raw=raw,
        )
        await self._readings.take()
        self._count_reading()
        await self._send_reading(reading)
        return reading

    async def waveform(
        self,
        kind: str,
        rate_hz: float,
        samples: Sequence[float],
        *,
        first_at: datetime,
        first_index: int | None = None,
    ) -> None:
        """Send a run of samples: 1 to 2000 of them, best every 0.1 to 0.5 s, in the unit of the kind.

        `first_index` is the number of the first sample since the stream began; without it the run follows the
        last one. A reader that lost samples says so by skipping numbers.
        """
        wave = measurement.WAVEFORMS.get(kind)
        index = self._next_sample.get(kind, 0) if first_index is None else first_index
        chunk = Waveform(
            device_id=self.device.device_id,
            kind=kind,
            rate_hz=rate_hz,
            first_index=index,
            first_at=first_at,
            samples=tuple(samples),
            unit=wave.unit if wave else "",
        )
        self._next_sample[kind] = index + len(chunk.samples)
        await self._waveforms.take()
        await self._samples.take(len(chunk.samples))
        await self._send_waveform(chunk)

    async def status(
        self,
        state: DeviceState | str,
        sentence: Text | str | None = None,
        *,
        battery: int | None = None,
        progress: int | None = None,
    ) -> None:
        """Say how the device is. The battery's charge is kept until another one is told."""
        if battery is not None:
            self._battery = battery
        await self._statuses.take()
        await self._send_status(
            DeviceStatus.model_validate(
                {
                    "device_id": self.device.device_id,
                    "state": state,
                    "sentence": sentence,
                    "battery": self._battery,
                    "progress": progress,
                    "at": self.now(),
                }
            )
        )

    # What a reader is asked

    async def next_command(self) -> Command:
        """Wait for what a person asks of the device."""
        return await self._commands.get()

    async def unless_cancelled(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Do `work`; if a person cancels meanwhile, cancel it and return None.

        Any other command that comes while the device is busy is dropped.
        """
        task = asyncio.create_task(work)
        try:
            while True:
                asked = asyncio.create_task(self._commands.get())
                try:
                    await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
                    if task.done():
                        if asked.done():  # came too late for this work: leave it for the reader
                            self._commands.put_nowait(asked.result())
                        return task.result()
                    if asked.result() is Command.CANCEL:
                        return None
                finally:
                    asked.cancel()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    # What a reader keeps

    @property
    def memory(self) -> Mapping[str, Any]:
        """What this device's reader remembered, also before the node was started the last time."""
        return self._memory

    async def remember(self, **values: Any) -> None:
        """Keep JSON values across restarts: a bond, the number of the last record fetched. At most 16 KiB.

        Returns at once. They are kept within half a second, and when the reader ends.
        """
        memory = {**self._memory, **values}
        if len(json.dumps(memory)) > self._limits.memory_bytes:
            raise ValueError(f"a reader remembers at most {self._limits.memory_bytes} bytes")
        self._memory = memory
        if self._keeping is None:
            loop = asyncio.get_running_loop()
            pause = self._memory_kept_at + 1 / self._limits.memories_per_second - loop.time()
            if pause <= 0:
                await self._keep_memory()
            else:
                self._keeping = loop.call_later(pause, self._keep_memory_soon)

    def now(self) -> datetime:
        """The node's time, UTC. Ask here and not the system, so that a test can move it."""
        return datetime.now(UTC)

    # What the core's side of the session does

    def _ask(self, command: Command) -> bool:
        """Hand a command to the reader. False if it has a pile of unread ones already."""
        try:
            self._commands.put_nowait(command)
        except asyncio.QueueFull:
            return False
        return True

    def _keep_memory_soon(self) -> None:
        self._keeping = asyncio.get_running_loop().create_task(self._keep_memory())

    async def _keep_memory(self) -> None:
        """Hand over what is remembered, unless it was handed over already."""
        self._keeping = None
        written = json.dumps(self._memory)
        if written != self._kept_memory:
            self._kept_memory = written
            self._memory_kept_at = asyncio.get_running_loop().time()
            await self._send_memory(self._memory)

    def _bucket(self, per_second: float) -> _Bucket:
        return _Bucket(per_second, self._limits.waiting, self.refused)

    def _count_reading(self) -> None:
        now = asyncio.get_running_loop().time()
        self._recent.append(now)
        while self._recent[0] < now - self._limits.window_seconds:
            self._recent.popleft()
        if len(self._recent) > self._limits.readings_in_window:
            self.refused.set()
            raise SentTooMuch("More readings were sent than a device can mean.")

    @abstractmethod
    async def _send_reading(self, reading: Reading) -> None:
        """Hand it over and return when it is kept."""

    @abstractmethod
    async def _send_waveform(self, waveform: Waveform) -> None: ...

    @abstractmethod
    async def _send_status(self, status: DeviceStatus) -> None: ...

    @abstractmethod
    async def _send_memory(self, memory: Mapping[str, Any]) -> None: ...
