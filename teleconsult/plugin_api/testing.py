"""pytest fixtures for plugin authors. Installed with teleconsult, so a plugin's tests use them by name.

`device_bench` runs a device reader as the node would, against an in-memory session: start it, give commands,
wait for what it sends; `virtual_device` does so on a plugin's simulated device. `plugin_hooks` checks a plugin's
hooks and calls them. `virtual_patient`, `virtual_encounter`, `page_context`, `consult_event` and `followup_visit` are
invented people's values to call them with. Nothing here talks to a node; `virtual_hub` and `virtual_vehicle` do.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
import warnings
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from datetime import UTC, date, datetime
from types import ModuleType
from typing import Any, TypeVar

import pluggy
import pytest

from teleconsult.domain import measurement
from teleconsult.domain.consult import Action, State, Urgency
from teleconsult.domain.ids import new_id
from teleconsult.domain.people import Sex
from teleconsult.domain.roles import Role
from teleconsult.plugin_api import hookspecs
from teleconsult.plugin_api._bench import BenchSession
from teleconsult.plugin_api._deprecation import deprecated_uses
from teleconsult.plugin_api._devices import (
    Command,
    DeviceInfo,
    DeviceState,
    DeviceStatus,
    Number,
    Reading,
    Waveform,
    make_reading,
)
from teleconsult.plugin_api._events import ConsultEvent
from teleconsult.plugin_api._followup import FollowupVisit
from teleconsult.plugin_api._panels import Page, PageContext
from teleconsult.plugin_api._plugin import API_VERSION
from teleconsult.plugin_api._readers import DeviceReader
from teleconsult.plugin_api._session import Limits
from teleconsult.plugin_api.checking import SimulatedDevice

R = TypeVar("R")
T = TypeVar("T", Reading, Waveform, DeviceStatus)

_WAIT = 10.0


class DeviceBench:
    """One running reader. Use it in a `with` block, or get it from the `device_bench` fixture.

    Values are handed out in the order they were sent; `reading()`, `waveform()` and `status()` skip the others
    until theirs comes. Every wait ends with an AssertionError after `timeout` seconds.
    """

    def __init__(
        self,
        reader: type[DeviceReader],
        settings: Any = None,
        *,
        device: DeviceInfo | None = None,
        memory: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        clock: Callable[[], datetime] | None = None,
        simulated: SimulatedDevice | None = None,
    ) -> None:
        """With `simulated` the reader reads that device, and `settings` may be the settings model's class."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="device-bench", daemon=True)
        self._make = reader
        self._settings = settings
        self.device = device or DeviceInfo(device_id="bench-1", name="Device on the bench")
        self._memory, self._limits, self._clock, self._simulated = memory, limits, clock, simulated
        self.session: BenchSession
        self._running: Future[None]
        self._task: asyncio.Task[None] | None = None

    def __enter__(self) -> DeviceBench:
        self._thread.start()
        if self._simulated is not None:
            self.do(self._simulated.switch_on())
            self.device = self._simulated.device
            if isinstance(self._settings, type):
                self._settings = self._settings(**self._simulated.settings)
        self.session = self.do(self._open())
        self._running = asyncio.run_coroutine_threadsafe(self._run(), self._loop)
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()
        if self._simulated is not None:
            self.do(self._simulated.switch_off())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_WAIT)
        self._loop.close()

    def do(self, work: Coroutine[Any, Any, R]) -> R:
        """Have the simulated device do something, in the reader's loop: `bench.do(simulated.measure())`."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_WAIT)

    def command(self, command: Command | str) -> None:
        """Ask something of the device."""
        self._loop.call_soon_threadsafe(self.session._ask, Command(command))

    def reading(self, kind: str | None = None, timeout: float = _WAIT) -> Reading:
        """The next reading (of that kind)."""
        return self._next(Reading, lambda r: kind in (None, r.kind), f"reading {kind or ''}", timeout)

    def waveform(self, timeout: float = _WAIT) -> Waveform:
        """The next run of samples."""
        return self._next(Waveform, lambda _: True, "waveform", timeout)

    def status(self, state: DeviceState | str | None = None, timeout: float = _WAIT) -> DeviceStatus:
        """The next status (with that state)."""
        return self._next(DeviceStatus, lambda s: state in (None, s.state), f"status {state or ''}", timeout)

    def cancel(self, timeout: float = 3.0) -> None:
        """Cancel the reader as the node does. It has `timeout` seconds to let go of its device."""
        self._running.cancel()
        deadline = time.monotonic() + timeout
        while self.do(self._left()):
            assert time.monotonic() < deadline, f"the reader was still busy {timeout:g} s after it was cancelled"
            time.sleep(0.01)

    def ended(self, timeout: float = _WAIT) -> BaseException | None:
        """Wait until the reader ends by itself: None, or what it raised."""
        try:
            return self._running.exception(timeout)
        except (CancelledError, asyncio.CancelledError) as error:
            return error
        except TimeoutError:
            raise AssertionError(f"the reader did not end within {timeout:g} s") from None

    async def _open(self) -> BenchSession:
        session = BenchSession(self.device, self._memory, self._limits)
        if self._clock:
            session.clock = self._clock
        return session

    async def _run(self) -> None:
        self._task = asyncio.current_task()
        await self._make(self.device, self._settings).run(self.session)

    async def _left(self) -> int:
        """Tasks that the reader has left behind. A simulated device has tasks in this loop too."""
        if self._simulated is not None:
            return 0 if self._task is None or self._task.done() else 1
        return len(asyncio.all_tasks()) - 1

    def _next(self, wanted: type[T], fits: Callable[[T], bool], what: str, timeout: float) -> T:
        deadline = time.monotonic() + timeout
        while True:
            try:
                value = self.session.sent.get(timeout=max(0.0, min(0.1, deadline - time.monotonic())))
            except queue.Empty:
                if self._running.done() and self.session.sent.empty():
                    raise AssertionError(f"no {what}: the reader ended: {self.ended(0)!r}") from None
                if time.monotonic() >= deadline:
                    raise AssertionError(f"no {what} within {timeout:g} s") from None
                continue
            if isinstance(value, wanted) and fits(value):
                return value


def load_hooks(plugin: ModuleType | object) -> Any:
    """Check a plugin's hooks as the node does, and return their callers: `hooks.page_panels(context=…)`.

    Raises pluggy.PluginValidationError for an unknown hook or a wrong argument name, and warns (DeprecationWarning)
    of each hook or argument that a coming version of the border no longer has.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin, "plugin-under-test")
    manager.check_pending()
    arguments = {
        caller.name: [name for impl in caller.get_hookimpls() for name in impl.argnames]
        for caller in manager.get_hookcallers(plugin) or ()
    }
    for warning in deprecated_uses(arguments, API_VERSION):
        warnings.warn(warning.en, DeprecationWarning, stacklevel=2)
    return manager.hook


@pytest.fixture
def plugin_hooks() -> Callable[[ModuleType | object], Any]:
    """`plugin_hooks(module)` checks the module's hooks and returns their callers."""
    return load_hooks


@pytest.fixture
def device_bench() -> Iterator[Callable[..., DeviceBench]]:
    """`device_bench(ReaderClass, settings, …)` starts a reader; all are cancelled at the end of the test."""
    benches: list[DeviceBench] = []

    def start(reader: type[DeviceReader], settings: Any = None, **more: Any) -> DeviceBench:
        bench = DeviceBench(reader, settings, **more)
        bench.__enter__()
        benches.append(bench)
        return bench

    yield start
    for bench in benches:
        bench.__exit__()


@pytest.fixture
def virtual_device(device_bench: Callable[..., DeviceBench]) -> Callable[..., DeviceBench]:
    """`virtual_device(SimulatedScale(), Scale, ScaleSettings)`: a bench whose reader reads the simulated device."""

    def start(simulated: SimulatedDevice, reader: type[DeviceReader], settings: Any = None, **more: Any) -> DeviceBench:
        return device_bench(reader, settings, simulated=simulated, **more)

    return start


@pytest.fixture
def virtual_patient(page_context: Callable[..., PageContext]) -> Callable[..., PageContext]:
    """`virtual_patient(age_years=…, sex=…)`: an invented woman of 67, without an open encounter."""

    def make(**changes: Any) -> PageContext:
        return page_context(**{"encounter_id": None, **changes})

    return make


@pytest.fixture
def virtual_encounter(virtual_patient: Callable[..., PageContext]) -> Callable[..., PageContext]:
    """`virtual_encounter({"body_weight": {"body_weight": 70}}, …)`: her open encounter, with readings in it.

    The numbers are in the kind's own unit.
    """

    def make(readings: Mapping[str, Mapping[str, Number]] | None = None, **changes: Any) -> PageContext:
        taken = [
            make_reading(
                "virtual-device",
                kind,
                {key: (number, measurement.kind(kind).component(key).unit) for key, number in values.items()},
                taken_at=datetime.now(UTC),
            )
            for kind, values in (readings or {}).items()
        ]
        return virtual_patient(**{"encounter_id": new_id(), "readings": tuple(taken), **changes})

    return make


@pytest.fixture
def page_context() -> Callable[..., PageContext]:
    """`page_context(page="consult", readings=…)`: an invented woman of 67 on the encounter page."""

    def make(**changes: Any) -> PageContext:
        values = {
            "page": Page.ENCOUNTER,
            "language": "zh",
            "patient_id": new_id(),
            "age_years": 67,
            "sex": Sex.FEMALE,
            "encounter_id": new_id(),
            **changes,
        }
        return PageContext.model_validate(values)

    return make


@pytest.fixture
def consult_event() -> Callable[..., ConsultEvent]:
    """`consult_event(action="accept", state="accepted")`: a step of an invented consult."""

    def make(**changes: Any) -> ConsultEvent:
        values = {
            "event_id": new_id(),
            "consult_id": new_id(),
            "action": Action.REQUEST,
            "state": State.REQUESTED,
            "at": datetime.now(UTC),
            "urgency": Urgency.ROUTINE,
            "actor_role": Role.VEHICLE_DOCTOR,
            **changes,
        }
        return ConsultEvent.model_validate(values)

    return make


@pytest.fixture
def followup_visit() -> Callable[..., FollowupVisit]:
    """`followup_visit({"systolic": 150}, …)`: a visit whose answers are given by linkId."""

    def make(answers: Mapping[str, Any], **changes: Any) -> FollowupVisit:
        items = [{"linkId": link, "answer": [_answer(value)]} for link, value in answers.items()]
        values = {
            "patient_id": new_id(),
            "age_years": 67,
            "sex": Sex.FEMALE,
            "visited_on": date(2026, 11, 24),
            "response": {"resourceType": "QuestionnaireResponse", "status": "completed", "item": items},
            **changes,
        }
        return FollowupVisit.model_validate(values)

    return make


def _answer(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"valueBoolean": value}
    if isinstance(value, int):
        return {"valueInteger": value}
    if isinstance(value, float):
        return {"valueDecimal": value}
    return {"valueString": str(value)}
