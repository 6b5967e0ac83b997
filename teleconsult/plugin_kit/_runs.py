"""Runs a reader against its simulated device as a node would: again and again, until it is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

from teleconsult.domain.errors import N_
from teleconsult.plugin_api import Command, DeviceUnavailable, ReaderType, Reading, ReadingNotTaken, Text
from teleconsult.plugin_api.checking import BenchSession, Measured, SimulatedDevice
from teleconsult.plugin_host._loader import describe_error
from teleconsult.plugin_kit._watch import texts_in

R = TypeVar("R")

RETRY = 0.2
"""Seconds between a lost device and the next attempt. A node waits longer; nothing is shown by waiting."""
POLL = 0.01
PATIENT_END = 6.0
"""Seconds that a run may take to end where another rule judges how long it takes."""


class Shown(Exception):  # noqa: N818 - a result, not a failure of the kit
    """A rule was shown to fall short, with the sentence that says how."""

    def __init__(self, why: str, /, **params: Any) -> None:
        super().__init__(why)
        self.why, self.params = why, params


class Run:
    """One reader that runs on one simulated device. Use it in `async with`; `seen` has every reading so far."""

    def __init__(self, reader: ReaderType, settings: Any, device: SimulatedDevice, late: float = 0.0) -> None:
        self._make, self._settings, self._commands = reader.reader, settings, reader.commands
        self._patience = device.patience + late
        self.session = BenchSession(device.device)
        self.ends: list[DeviceUnavailable | None] = []
        """Each time the reader ended by itself: what said that the device is lost, or None."""
        self.fault: BaseException | None = None
        self.seen: list[Reading] = []
        self.texts: list[Text] = []
        self.battery: int | None = None
        self.task = asyncio.create_task(self._keep_reading())

    async def __aenter__(self) -> Run:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.wait({self.task}, timeout=PATIENT_END)
        self.collect()

    @property
    def ids(self) -> set[str]:
        """The ids of the readings so far."""
        return {reading.reading_id for reading in self.seen}

    async def cancel(self, seconds: float) -> bool:
        """Cancel it as a node does. False if it is still busy so many seconds later."""
        self.task.cancel()
        done, _ = await asyncio.wait({self.task}, timeout=seconds)
        return bool(done)

    async def measured(self, act: Callable[[], Coroutine[Any, Any, Measured]]) -> tuple[Measured, Reading]:
        """Have the device measure, and wait for the reading. Raises Shown if none comes."""
        before = len(self.seen)
        given = await self.acted(act)
        return given, await self.reading(given.kind, before)

    async def acted(self, act: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """Have the device do something; a reader that measures on command is told to, as a person would."""
        if Command.MEASURE in self._commands:
            self.session._ask(Command.MEASURE)
        acting = asyncio.ensure_future(act())
        done, _ = await asyncio.wait({acting, self.task}, timeout=self._patience, return_when=asyncio.FIRST_COMPLETED)
        if acting in done:
            return acting.result()
        acting.cancel()
        await asyncio.wait({acting}, timeout=PATIENT_END)
        self._raise_fault()
        raise Shown(N_("The reader did not come to the device within %(seconds)g s."), seconds=self._patience)

    async def reading(self, kind: str, after: int = 0) -> Reading:
        """The first reading of that kind beyond the first `after` ones. Raises Shown if none comes in time."""
        due = time.monotonic() + self._patience
        while True:
            self.collect()
            for reading in self.seen[after:]:
                if reading.kind == kind:
                    return reading
            self._raise_fault()
            if time.monotonic() > due:
                raise Shown(N_("No reading came within %(seconds)g s."), seconds=self._patience)
            await asyncio.sleep(POLL)

    async def until(self, condition: Callable[[], Any], seconds: float) -> bool:
        """Wait until the condition holds; False if it does not in time. Raises Shown if the reader broke."""
        due = time.monotonic() + seconds
        while not condition():
            self.collect()
            self._raise_fault()
            if time.monotonic() > due:
                return False
            await asyncio.sleep(POLL)
        return True

    def collect(self) -> None:
        """Take what the reader has sent so far."""
        with contextlib.suppress(queue.Empty):
            while True:
                value = self.session.sent.get_nowait()
                self.texts += texts_in(value)
                if isinstance(value, Reading):
                    self.seen.append(value)
                self.battery = getattr(value, "battery", None) or self.battery

    def _raise_fault(self) -> None:
        if self.fault is not None:
            raise Shown(N_("The reader broke: %(error)s"), error=describe_error(self.fault))

    async def _keep_reading(self) -> None:
        while True:
            try:
                await self._make(self.session.device, self._settings).run(self.session)
                self.ends.append(None)
            except DeviceUnavailable as lost:
                self.texts.append(lost.sentence)
                self.ends.append(lost)
            except ReadingNotTaken:
                self.ends.append(None)
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # sys.exit() in a reader too: on a node its process would end
                self.fault = error
                return
            await asyncio.sleep(RETRY)


@contextlib.asynccontextmanager
async def switched_on(make: Callable[[], SimulatedDevice], late: float = 0.0) -> AsyncIterator[SimulatedDevice]:
    """A new simulated device, switched off again whatever happens."""
    device = make()
    try:
        await (device.switch_on(late) if late else device.switch_on())
        yield device
    finally:
        await device.switch_off()
