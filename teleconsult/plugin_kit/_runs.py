"""Runs a reader against its simulated device as a node would: again and again, until it is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

from teleconsult.domain.errors import N_, InvalidInput
from teleconsult.plugin_api import (
    Command,
    DeviceState,
    DeviceStatus,
    DeviceUnavailable,
    ReaderType,
    Reading,
    ReadingNotTaken,
    Text,
    Waveform,
)
from teleconsult.plugin_api.checking import BenchSession, Measured, NotSimulated, SimulatedDevice
from teleconsult.plugin_host._loader import describe_error
from teleconsult.plugin_kit._watch import texts_in

R = TypeVar("R")

RETRY = 0.2
"""Seconds between a lost device and the next attempt. A node waits longer; nothing is shown by waiting."""
POLL = 0.01
PATIENT_END = 6.0
"""Seconds that a run may take to end where another rule judges how long it takes."""
SWITCHING = 20.0
"""Seconds within which a simulated device is there, and gone."""
FLOOD = 30
"""More readings within a second than any device can mean."""


class Shown(Exception):  # noqa: N818 - a result, not a failure of the kit
    """A rule was shown to fall short, with the sentence that says how."""

    spoils = False
    """Whether nothing else can be shown on this reader."""

    def __init__(self, why: str, /, *, of: str = "", **params: Any) -> None:
        """`of` is the rule that it belongs to, if that is not the one that is being shown."""
        super().__init__(why)
        self.why, self.params, self.of = why, params, of


class Flooded(Shown):
    """The reader sent more than a node takes."""

    spoils = True


class SimulationBroke(Shown):
    """The simulated device is at fault, and not the reader."""

    spoils = True


class Run:
    """One reader that runs on one simulated device. Use it in `async with`; `seen` has every reading so far."""

    def __init__(
        self,
        reader: ReaderType,
        settings: Any,
        device: SimulatedDevice,
        late: float = 0.0,
        told: set[str] | None = None,
    ) -> None:
        """`told` are the kinds of which it was said already that the reader does not declare them."""
        self._reader, self._settings = reader, settings
        self._patience = device.patience + late
        self.session = BenchSession(device.device)
        self.ends: list[DeviceUnavailable | None] = []
        """Each time the reader ended by itself: what said that the device is lost, or None."""
        self.fault: BaseException | None = None
        self.hidden: BaseException | None = None
        """What a DeviceUnavailable was made of that says nothing about a connection."""
        self.seen: list[Reading] = []
        self.failures = 0
        """How often it told the person at the device that something failed."""
        self.texts: list[Text] = []
        self.battery: int | None = None
        self._told = set() if told is None else told
        self._noticed: Shown | None = None
        self._times: deque[float] = deque(maxlen=FLOOD + 1)
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
        if Command.MEASURE in self._reader.commands:
            self.session._ask(Command.MEASURE)
        acting = asyncio.ensure_future(act())
        done, _ = await asyncio.wait({acting, self.task}, timeout=self._patience, return_when=asyncio.FIRST_COMPLETED)
        if acting in done:
            return self._result(acting)
        acting.cancel()
        await asyncio.wait({acting}, timeout=PATIENT_END)
        self.collect()
        self.raise_noticed()
        raise self._late(
            N_("The reader did not come to the device within %(seconds)g s."),
            N_("The reader did not come to the device within %(seconds)g s: it took it for lost, for %(error)s"),
        )

    def _result(self, acting: asyncio.Future[R]) -> R:
        try:
            return acting.result()
        except (NotSimulated, Shown):
            raise
        except OSError as error:
            self.raise_noticed()
            why = N_("The simulated device could not send to the reader: %(error)s")
            raise Shown(why, error=describe_error(error)) from error
        except Exception as error:
            raise SimulationBroke(N_("The simulated device broke: %(error)s"), error=describe_error(error)) from error

    async def reading(self, kind: str, after: int = 0) -> Reading:
        """The first reading of that kind beyond the first `after` ones. Raises Shown if none comes in time."""
        due = time.monotonic() + self._patience
        while True:
            self.collect()
            self.raise_noticed()
            for reading in self.seen[after:]:
                if reading.kind == kind:
                    return reading
            if time.monotonic() > due:
                raise self._late(
                    N_("No reading came within %(seconds)g s."),
                    N_("No reading came within %(seconds)g s: the reader took the device for lost, for %(error)s"),
                )
            await asyncio.sleep(POLL)

    async def until(self, condition: Callable[[], Any], seconds: float) -> bool:
        """Wait until the condition holds; False if it does not in time. Raises Shown if the reader broke."""
        due = time.monotonic() + seconds
        while not condition():
            self.collect()
            self.raise_noticed()
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
                if isinstance(value, Reading) and self._declared(value.kind, self._reader.kinds):
                    self.seen.append(value)
                    self._times.append(time.monotonic())
                elif isinstance(value, Waveform):
                    self._declared(value.kind, self._reader.waveforms)
                elif isinstance(value, DeviceStatus):
                    self.failures += value.state is DeviceState.FAILED
                if (battery := getattr(value, "battery", None)) is not None:
                    self.battery = battery
        if self.session.refused.is_set():
            why = N_("It sent more at once than a node takes; a node ends it for that, and counts a fault.")
            self._noticed = Flooded(why)
        elif len(self._times) > FLOOD and self._times[-1] - self._times[0] < 1:
            why = N_("It floods: more than %(count)d readings came within a second.")
            self._noticed = Flooded(why, count=FLOOD)

    def _declared(self, kind: str, declared: tuple[str, ...]) -> bool:
        if kind in declared:
            return True
        if kind not in self._told:
            self._told.add(kind)
            why = N_("It sends %(kind)s, which its ReaderType does not declare: %(declared)s.")
            self._noticed = self._noticed or Shown(why, kind=kind, declared=", ".join(declared) or "–")
        return False

    def raise_noticed(self, fault: bool = True) -> None:
        """Raises Shown for what was wrong with what the reader sent and, if asked, with how it ended."""
        if self._noticed is not None:
            noticed, self._noticed = self._noticed, None
            raise noticed
        if fault and self.fault is not None:
            # a unit that there is not: InvalidInput, which names it
            unit = isinstance(self.fault, InvalidInput) and "unit" in self.fault.params
            raise Shown(
                N_("The reader broke: %(error)s"),
                of="units-stated" if unit else "",
                error=describe_error(self.fault),
            )

    def _late(self, why: str, because: str) -> Shown:
        if self.hidden is None:
            return Shown(why, seconds=self._patience)
        return Shown(because, seconds=self._patience, error=describe_error(self.hidden))

    async def _keep_reading(self) -> None:
        while True:
            try:
                await self._reader.reader(self.session.device, self._settings).run(self.session)
                self.ends.append(None)
            except DeviceUnavailable as lost:
                self.texts.append(lost.sentence)
                self.ends.append(lost)
                cause = lost.__cause__ or lost.__context__
                if cause is not None and not isinstance(cause, OSError | EOFError | asyncio.CancelledError):
                    self.hidden = cause
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
    """A new simulated device, switched off again whatever happens. Raises SimulationBroke if it cannot be."""
    try:
        device = make()
    except Exception as error:
        raise SimulationBroke(N_("The simulated device broke: %(error)s"), error=describe_error(error)) from error
    try:
        await _switched("switch_on()", device.switch_on(late) if late else device.switch_on(), late)
        yield device
    except BaseException:
        with contextlib.suppress(SimulationBroke):
            await _switched("switch_off()", device.switch_off())
        raise
    await _switched("switch_off()", device.switch_off())


async def _switched(what: str, work: Coroutine[Any, Any, None], late: float = 0.0) -> None:
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=SWITCHING + late)
    if not done:
        task.cancel()
        why = N_("%(what)s of the simulated device did not end within %(seconds)g s.")
        raise SimulationBroke(why, what=what, seconds=SWITCHING + late)
    try:
        task.result()
    except NotSimulated:
        raise
    except Exception as error:
        why = N_("%(what)s of the simulated device broke: %(error)s")
        raise SimulationBroke(why, what=what, error=describe_error(error)) from error
