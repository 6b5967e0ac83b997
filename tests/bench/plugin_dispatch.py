"""What it costs to ask plugins: a plain call, a pluggy hook call, and a round trip to plugins' own processes.

    python -m tests.bench.plugin_dispatch

All rows do the same work, `page_panels` of `tests/plugins/every_hook.py`, by each of so many plugins; `per plugin`
and `times direct` are of one plugin's share. The rows named `empty` call a hook that does nothing: what is left is
the dispatch alone. docs/decisions/plugins.md says why plugins have processes all the same.
"""

from __future__ import annotations

import gc
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pluggy

from teleconsult.domain.ids import new_id
from teleconsult.domain.plugin_state import MemoryPluginStateStore
from teleconsult.plugin_api import Page, PageContext, hookimpl, hookspecs, make_reading
from teleconsult.plugin_host import PluginConfig, PluginHost
from tests.bench import Rows, table
from tests.plugins import HERE, every_hook

COUNTS = (1, 5, 10)
PROCESSES = (1, 5)
BATCH = 100
SAMPLES = 200
ROUND_TRIPS = 300


def main() -> Rows:
    """Microseconds, by way of calling."""
    context = _context()
    settings = every_hook.Settings()
    direct = _times(lambda: every_hook.page_panels(context, settings), SAMPLES, BATCH)
    base = statistics.median(direct)
    rows = {"direct": _row(direct, 1, base)}
    for count in COUNTS:
        hook = _hooks(count, every_hook.page_panels).page_panels
        rows[f"pluggy, {count}"] = _row(
            _times(lambda hook=hook: hook(context=context, settings=settings), SAMPLES, BATCH), count, base
        )
    empty = _times(lambda: _nothing(context, settings), SAMPLES, BATCH)
    empty_base = statistics.median(empty)
    rows["empty, direct"] = _row(empty, 1, empty_base)
    for count in COUNTS:
        hook = _hooks(count, hookimpl(_nothing)).page_panels
        rows[f"empty, pluggy, {count}"] = _row(
            _times(lambda hook=hook: hook(context=context, settings=settings), SAMPLES, BATCH), count, empty_base
        )
    for count in PROCESSES:
        rows[f"processes, {count}"] = _row(_round_trips(count, context), count, base)
    print(table("Asking plugins for a page's panels, microseconds", rows))
    return rows


def _context() -> PageContext:
    """A person with three readings, as an encounter's page hands them over."""
    readings = tuple(
        make_reading(
            "cuff-1",
            "blood_pressure",
            {"systolic": (128 + i, "mm[Hg]"), "diastolic": (82, "mm[Hg]"), "pulse_rate": (72, "/min")},
            taken_at=datetime(2026, 11, 24, 6, i, tzinfo=UTC),
        )
        for i in range(3)
    )
    return PageContext(page=Page.ENCOUNTER, language="zh", patient_id=new_id(), age_years=67, readings=readings)


def _nothing(context: PageContext, settings: object) -> list[object]:
    return []


class _Plugin:
    """A plugin with one hook."""

    def __init__(self, page_panels: Callable[..., object]) -> None:
        self.page_panels = page_panels


def _hooks(count: int, page_panels: Callable[..., object]) -> pluggy.HookRelay:
    """The hook callers of a pluggy manager on which so many plugins have this hook."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for number in range(count):
        manager.register(_Plugin(page_panels), f"plugin-{number}")
    manager.check_pending()
    return manager.hook


def _times(call: Callable[[], object], samples: int, batch: int) -> list[float]:
    """Microseconds of one call by the clock of this thread's work, each figure the mean of a batch.

    Nothing here waits, so what else the machine does is left out; `_round_trips` waits, and is timed by the wall.
    """
    for _ in range(batch):
        call()
    found = []
    gc.disable()
    try:
        for _ in range(samples):
            began = time.thread_time_ns()
            for _ in range(batch):
                call()
            found.append((time.thread_time_ns() - began) / batch / 1000)
    finally:
        gc.enable()
    return found


def _round_trips(count: int, context: PageContext) -> list[float]:
    """Microseconds of asking so many plugins in processes of their own, all at once, until all have answered."""
    names = [f"panel_{number}" for number in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            _install(Path(folder), name)
        config = PluginConfig(only=frozenset(names), paths=(folder,), panel_deadline=10.0)
        host = PluginHost(config, MemoryPluginStateStore())
        host.start()
        try:
            found = []
            for number in range(ROUND_TRIPS + 10):
                began = time.perf_counter_ns()
                panels = host.page_panels(context)
                if number >= 10:
                    found.append((time.perf_counter_ns() - began) / 1000)
                assert len(panels) == count, [view.last_error for view in host.plugins()]
            return found
        finally:
            host.stop()


def _install(folder: Path, name: str) -> None:
    """The plugin under another name, with the metadata that an installer would write."""
    shutil.copy(HERE / "every_hook.py", folder / f"{name}.py")
    info = folder / f"demo_{name}-1.2.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: demo-{name}\nVersion: 1.2.3\n")
    (info / "entry_points.txt").write_text(f"[teleconsult.plugins]\n{name} = {name}\n")


def _row(times: list[float], count: int, base: float) -> dict[str, float]:
    ordered = sorted(times)
    median = statistics.median(ordered)
    return {
        "p50": median,
        "p99": ordered[int(len(ordered) * 0.99)],
        "per plugin": median / count,
        "times direct": median / count / base,
    }


if __name__ == "__main__":
    main()
