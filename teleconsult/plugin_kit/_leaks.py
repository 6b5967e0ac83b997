"""Whether a plugin leaves something behind: many runs of a reader, many calls of a hook, and nothing may grow."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import time
import tracemalloc
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teleconsult.domain.errors import N_
from teleconsult.plugin_api.checking import NotSimulated, SimulatedDevice
from teleconsult.plugin_kit._reader_check import ReaderCheck
from teleconsult.plugin_kit._report import Line, holds
from teleconsult.plugin_kit._runs import PATIENT_END, Shown, switched_on

WARM_UP = 2
"""Runs that may fill caches and start what is kept for later."""
SECONDS = 4.0
RUNS = (3, 25)
LOST_SECONDS = 2.0
LOST_RUNS = (4, 10)
"""Fewer: it may take a reader seconds to notice that its device is out of reach."""
ATTEMPT = 3
"""Files that one attempt to connect may have open at the moment of counting: a reader goes on trying."""
CALLS = 50
LEAK_BYTES = 64 * 1024
"""Memory that may be gone after each run. A leak of one reading's frames is smaller, one of a connection larger."""
_LEFT = (
    N_("%(count)d tasks were left after %(runs)d runs."),
    N_("%(count)d threads were left after %(runs)d runs."),
    N_("%(count)d open files or sockets were left after %(runs)d runs."),
    N_("%(count)d child processes were left after %(runs)d runs."),
)


@dataclass(frozen=True)
class Held:
    """What this process holds at one moment."""

    tasks: int
    threads: int
    files: int
    children: int
    memory: int

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """All but the memory, in the order of the sentences."""
        return self.tasks, self.threads, self.files, self.children


def held() -> Held:
    """What is held now."""
    gc.collect()
    try:
        tasks = len(asyncio.all_tasks())
    except RuntimeError:  # a hook is called outside any loop
        tasks = 0
    return Held(
        tasks=tasks,
        threads=threading.active_count(),
        files=len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0,
        children=sum(len(path.read_text().split()) for path in Path("/proc/self/task").glob("*/children")),
        memory=tracemalloc.get_traced_memory()[0],
    )


def check_growth(before: Held, after: Held, runs: int, running: int = 0) -> None:
    """Raises Shown if something was left by at least every second run, and more than `running`, which may be held by
    the run that goes on."""
    for why, first, last in zip(_LEFT, before.counts, after.counts, strict=True):
        if last - first >= max(runs // 2, 2, running + 1):
            raise Shown(why, count=last - first, runs=runs)
    if (each := (after.memory - before.memory) // runs) > LEAK_BYTES:
        raise Shown(N_("%(kib)d KiB of memory were left after each run."), kib=each // 1024)


async def leaks(check: ReaderCheck) -> list[Line]:
    """`leaks-nothing`: runs that are cancelled, runs that lose their device, and runs that do not reach it."""
    async with switched_on(check.make) as device:
        with _traced():  # it slows everything down, so the other runs go without
            runs = await _grown(lambda: _cancelled(check, device), SECONDS, RUNS, WARM_UP)
    with contextlib.suppress(NotSimulated):
        runs += await _grown(lambda: _lost(check), LOST_SECONDS, LOST_RUNS, running=ATTEMPT)
        runs += await _out_of_reach(check)
    return [holds("leaks-nothing", check.key, N_("%(runs)d runs"), runs=runs)]


async def _grown(
    once: Callable[[], Coroutine[Any, Any, None]],
    seconds: float,
    bounds: tuple[int, int],
    warm_up: int = 1,
    running: int = 0,
) -> int:
    """Do it again and again. Raises Shown if something grew; gives how often it was done."""
    for _ in range(warm_up):
        await once()
    await asyncio.sleep(0.05)
    before = held()
    began, runs = time.monotonic(), 0
    while runs < bounds[0] or (runs < bounds[1] and time.monotonic() - began < seconds):
        await once()
        runs += 1
    check_growth(before, await _settled(before), runs, running)
    return runs


async def _cancelled(check: ReaderCheck, device: SimulatedDevice) -> None:
    async with check.run(device) as run:
        await run.measured(device.measure)
        await run.cancel(PATIENT_END)


async def _lost(check: ReaderCheck) -> None:
    async with switched_on(check.make) as device, check.run(device) as run:
        await run.measured(device.measure)
        ended = len(run.ends)
        await device.vanish()
        with contextlib.suppress(Shown):  # how it takes the loss is another rule's matter
            await run.until(lambda: len(run.ends) > ended, device.patience)


async def _out_of_reach(check: ReaderCheck) -> int:
    """One run that tries again and again, as a node has it try."""
    async with switched_on(check.make) as device:
        await device.vanish()
        async with check.run(device) as run:

            async def once() -> None:
                ended = len(run.ends)
                with contextlib.suppress(Shown):
                    await run.until(lambda: len(run.ends) > ended, device.patience)

            return await _grown(once, LOST_SECONDS, LOST_RUNS, running=ATTEMPT)


async def _settled(before: Held) -> Held:
    """What is held once closing connections have had their time."""
    for _ in range(10):
        await asyncio.sleep(0.05)
        now = held()
        if all(last <= first for first, last in zip(before.counts, now.counts, strict=True)):
            return now
        await asyncio.sleep(0.1)
    return held()


def calls_leave_nothing(calls: dict[str, Callable[[int], object]]) -> list[Line]:
    """`hooks-leak-nothing`: each hook many times; what it returns or raises is the other rules' matter."""
    with _traced():
        for name, call in calls.items():
            for number in range(WARM_UP):
                _call(call, number)
            before = held()
            began, runs = time.monotonic(), 0
            while runs < RUNS[0] or (runs < CALLS and time.monotonic() - began < SECONDS):
                _call(call, runs)
                runs += 1
            try:
                check_growth(before, held(), runs)
            except Shown as shown:
                said = {"why": shown.why, "params": shown.params}
                raise Shown(N_("%(what)s: %(said)s"), what=name, said=said) from shown
    return [holds("hooks-leak-nothing", "", N_("%(calls)s, called again and again"), calls=", ".join(calls))]


def _call(call: Callable[[int], object], number: int) -> None:
    with contextlib.suppress(Exception, SystemExit):
        call(number)


@contextlib.contextmanager
def _traced() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()
