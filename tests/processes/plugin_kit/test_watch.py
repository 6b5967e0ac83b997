"""A loop that stands still is told from a machine that is busy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from teleconsult.plugin_kit import _watch
from teleconsult.plugin_kit._watch import CallWatch, StallWatch

HERE = Path(__file__)


def watched(stand: Callable[[], None]) -> list[str]:
    """The places of the stalls while the loop does this."""
    told: list[str] = []
    loop = asyncio.new_event_loop()

    async def work() -> None:
        await asyncio.sleep(0.1)
        stand()

    try:
        with StallWatch(loop, HERE, lambda _, place: told.append(place), lambda _, place: told.append(place)):
            loop.run_until_complete(work())
    finally:
        loop.close()
    return told


def test_a_loop_that_stands_still_is_told_with_its_place() -> None:
    [place] = watched(lambda: time.sleep(1.0))
    assert place.startswith("test_watch.py:")


def test_waiting_for_a_processor_is_no_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_watch, "queued_for", lambda _: time.monotonic())  # it waits all the time
    assert watched(lambda: time.sleep(1.0)) == []


def test_a_call_that_hangs_is_told_once_with_its_place() -> None:
    told: list[tuple[str, float, str]] = []
    watch = CallWatch()
    watch.start(HERE, lambda *what: told.append(what))
    with watch.limited("rank()", 0.2):
        time.sleep(0.6)
    with watch.limited("rank()", 5.0):
        pass
    [(what, seconds, place)] = told
    assert (what, seconds) == ("rank()", 0.2)
    assert place.startswith("test_watch.py:")
