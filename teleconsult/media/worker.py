"""The media worker: one process, one loop, many rooms. Run as `python -m teleconsult.media.worker`.

Reads commands from its parent and answers with events (`messages`); ends when the parent closes the channel or
dies, or on SIGTERM. Holds no state that outlives it: browsers whose worker died join again elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import Any, Final

import structlog
from pydantic import ValidationError

from teleconsult.media import _aiortc
from teleconsult.media.messages import (
    COMMANDS,
    CloseRoom,
    Configure,
    Join,
    Leave,
    MediaConfig,
    PeerQuality,
    PeerState,
    Ready,
    Signal,
    SignalOut,
    SignalRefused,
    WorkerStatus,
)
from teleconsult.media.room import Room
from teleconsult.process import ChildChannel, open_channel

log = structlog.get_logger(__name__)

COLLECT_AFTER: Final = 8
"""Closed peers whose memory is worth a collection."""

NICENESS: Final = -10
"""A voice that waits for a report or a backup to be written is not understood."""

STATUS_INTERVAL: Final = 2.0

BACKLOG: Final = 200
"""Untold events from which on no more of how things go are kept."""

Event = SignalOut | SignalRefused | PeerState | PeerQuality | Ready | WorkerStatus


class Teller:
    """Tells the parent what happens, on a thread of its own: a parent that stands still must not stop the calls.

    While it does, how things go is left out, and what a call needs is kept.
    """

    def __init__(self, channel: ChildChannel) -> None:
        self._channel = channel
        self._waiting: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="teller", daemon=True)
        self._thread.start()

    def tell(self, event: Event) -> None:
        """Tell this as soon as the parent listens."""
        if self._waiting.qsize() < BACKLOG or not isinstance(event, (PeerQuality, WorkerStatus)):
            self._waiting.put(event.model_dump())

    def end(self, patience: float = 1.0) -> None:
        """Tell what is left, for so many seconds at most."""
        self._waiting.put(None)
        self._thread.join(patience)

    def _run(self) -> None:
        while (message := self._waiting.get()) is not None:
            self._channel.send(message)


class Worker:
    """All rooms of this process."""

    def __init__(self, channel: ChildChannel) -> None:
        self._channel = channel
        self._teller = Teller(channel)
        self._config = MediaConfig()
        self._rooms: dict[str, Room] = {}
        self._status_at = monotonic()
        self._cpu = _cpu_seconds()
        self._closed = 0
        self._ended: Counter[str] = Counter()
        """What the rooms that are over have counted."""

    async def run(self) -> None:
        """Serve until the parent goes."""
        ticking = asyncio.create_task(self._tell_status())
        try:
            async for message in self._channel.messages():
                try:
                    self._take(message)
                except Exception:
                    log.exception("command failed", command=message.get("type"))
        finally:
            ticking.cancel()
            await self.close()
            self._teller.end()

    async def close(self) -> None:
        """Close every room; browsers are told by DTLS."""
        rooms, self._rooms = self._rooms, {}
        await asyncio.gather(*(room.close() for room in rooms.values()))

    def _take(self, message: dict[str, Any]) -> None:
        try:
            command = COMMANDS.validate_python(message)
        except ValidationError as exc:
            log.error("command refused", problems=exc.errors(include_input=False, include_url=False))
            return
        match command:
            case Configure():
                self._config = command.config
                self.emit(Ready())
            case Join():
                self._room(command.room).join(command.peer, command.participant)
            case Signal():
                self._room(command.room).signal(command.peer, command.message)
            case Leave():
                self._room(command.room).leave(command.peer)
            case CloseRoom():
                self._room(command.room).close_soon()

    def _room(self, name: str) -> Room:
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = Room(name, self._config, self.emit, self._forget)
        return room

    def _forget(self, room: Room) -> None:
        if self._rooms.get(room.name) is room:
            del self._rooms[room.name]
            self._ended += room.ended

    def emit(self, event: Event) -> None:
        """Tell the parent."""
        if isinstance(event, PeerState) and event.state in ("closed", "failed"):
            self._closed += 1
        self._teller.tell(event)

    async def _tell_status(self) -> None:
        while True:
            await asyncio.sleep(STATUS_INTERVAL)
            self.emit(self._status(monotonic()))
            self._collect()

    def _collect(self) -> None:
        """Free what closed peers leave in circles, once there are enough of them: it halts every call of this worker
        for half a millisecond for each peer there is."""
        alive = sum(len(room.peers) for room in self._rooms.values())
        if self._closed > max(COLLECT_AFTER, alive // 2):
            self._closed = 0
            gc.collect()

    def _status(self, now: float) -> WorkerStatus:
        cpu = _cpu_seconds()
        share = (cpu - self._cpu) / (now - self._status_at)
        self._cpu, self._status_at = cpu, now
        peers = [peer for room in self._rooms.values() for peer in room.peers.values()]
        ended = [room.ended for room in self._rooms.values()]
        counts = sum([*ended, *(peer.counts for peer in peers)], self._ended.copy())
        return WorkerStatus(
            pid=os.getpid(),
            rooms=len(self._rooms),
            peers=len(peers),
            packets_in=counts["packets_in"],
            packets_out=counts["packets_out"],
            refused=counts["refused"],
            unsent=counts["unsent"],
            cpu=round(share, 3),
            memory_mb=round(_memory_mb(), 1),
        )


def _memory_mb() -> float:
    """What this process holds now; where the system does not say so, the most it ever held."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * resource.getpagesize() / (1 << 20)


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system


async def _serve(channel: ChildChannel) -> None:
    serving = asyncio.current_task()
    assert serving is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await Worker(channel).run()


def ask_for_priority() -> None:
    """Before other processes of this machine, where we may; where the kernel groups by session, that group too."""
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
        Path("/proc/self/autogroup").write_text(str(NICENESS))


def _log_to_stderr() -> None:
    """One line an event, without the values of local variables: they may hold what people say and are."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


def main() -> None:
    """Run the worker on this process's stdin and stdout."""
    channel = open_channel()
    _log_to_stderr()
    ask_for_priority()
    _aiortc.install()
    gc.freeze()  # what is loaded now stays: no later collection need look at it
    gc.set_threshold(5_000, 20, 1_000_000)  # no full collection by itself: see `Worker._collect`
    if sys.platform == "win32":
        asyncio.run(_serve(channel))
    else:
        import uvloop

        uvloop.run(_serve(channel))


if __name__ == "__main__":
    main()
