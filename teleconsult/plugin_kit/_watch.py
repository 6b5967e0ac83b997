"""What is watched while a plugin runs: whether it blocks its loop or never returns, and every text that it shows."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import BaseModel

from teleconsult.plugin_api import Text

STALL = 0.5
"""Seconds for which a reader may keep its event loop to itself."""
STUCK = 12.0
"""Seconds after which a reader that keeps it is ended: the node takes it for stuck after ten."""
TICK = 0.05


class StallWatch:
    """Notes when the loop of this thread stands still in the plugin's own code, and where."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        package: Path,
        told: Callable[[float, str], None],
        stuck: Callable[[float, str], None],
    ) -> None:
        """`told(seconds, place)` is called on another thread, at once, for each stall; `stuck` for one without end."""
        self._loop = loop
        self._package = str(package)
        self._told, self._stuck = told, stuck
        self._thread_id, self._native_id = threading.get_ident(), threading.get_native_id()
        self._ticked = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stall-watch", daemon=True)

    def __enter__(self) -> StallWatch:
        self._tick()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _tick(self) -> None:
        self._ticked = time.monotonic()
        if not self._over.is_set():
            self._loop.call_later(TICK, self._tick)

    def _watch(self) -> None:
        reported, seen, queued = 0.0, 0.0, 0.0
        while not self._over.wait(TICK):
            ticked, now_queued = self._ticked, queued_for(self._native_id)
            if ticked != seen:
                seen, queued = ticked, now_queued
            # A busy machine lets the thread wait for its turn; that is not the plugin's doing.
            stood = time.monotonic() - ticked - (now_queued - queued)
            if ticked == reported:
                if stood > STUCK:
                    self._stuck(STUCK, self._place())
                    return
            elif stood > STALL and (place := self._place()):
                reported = ticked
                self._told(stood, place)

    def _place(self) -> str:
        return place_in(self._package, self._thread_id)


def queued_for(native_id: int) -> float:
    """Seconds that a thread of this process has waited for a processor so far; 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/self/task/{native_id}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def place_in(package: str, thread_id: int) -> str:
    """Where the plugin's own code stands in that thread; empty if it does not run."""
    frame: FrameType | None = sys._current_frames().get(thread_id)
    while frame is not None:
        if frame.f_code.co_filename.startswith(package):
            return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


class CallWatch:
    """Tells of a call that does not return, and where in the plugin's code it stands. Off until `start()`."""

    def __init__(self) -> None:
        self._call: tuple[str, float, float] | None = None

    def start(self, package: Path, told: Callable[[str, float, str], None]) -> None:
        """Watch the calls of this thread. `told(what, seconds, place)` is called on another one, once for each."""
        watch = partial(self._watch, str(package), threading.get_ident(), told)
        threading.Thread(target=watch, name="call-watch", daemon=True).start()

    @contextlib.contextmanager
    def limited(self, what: str, seconds: float) -> Iterator[None]:
        """A call that is given so many seconds."""
        self._call = (what, seconds, time.monotonic())
        try:
            yield
        finally:
            self._call = None

    def _watch(self, package: str, thread_id: int, told: Callable[[str, float, str], None]) -> None:
        reported = None
        while True:
            time.sleep(TICK)
            call = self._call
            if call is not None and call is not reported and time.monotonic() - call[2] > call[1]:
                reported = call
                told(call[0], call[1], place_in(package, thread_id))


def texts_in(value: Any) -> Iterator[Text]:
    """Every `Text` inside a value that crosses the plugin border."""
    if isinstance(value, Text):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from texts_in(getattr(value, name))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from texts_in(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_in(item)


def lacks_chinese(text: Text) -> bool:
    """Whether somebody who reads Chinese would be shown English words. A number or a sign needs no translation."""
    return not text.zh and any(character.isalpha() for character in text.en)
