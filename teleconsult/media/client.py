"""The hub's side of the media workers: start them, place rooms on them, replace the dead.

Plain threads, no asyncio: it runs inside a web process under gevent. Events come on a thread of the worker they
come from, one at a time for each worker.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

import structlog
from pydantic import BaseModel, ValidationError

from teleconsult.media.backend import MediaBackend
from teleconsult.media.messages import (
    REFUSALS,
    WORKER_MESSAGES,
    CloseRoom,
    Configure,
    Join,
    Leave,
    MediaConfig,
    MediaEvent,
    PeerState,
    Ready,
    RoomLost,
    Signal,
    SignalRefused,
    WorkerStatus,
)
from teleconsult.process import Backoff, ChildProcess

log = structlog.get_logger(__name__)

MAX_SIGNAL: Final = 300_000
"""Characters of the longest message taken from a browser; a description of twenty sections has about 50 000."""

WELL: Final = 10.0
"""Seconds of life after which a worker's next death is no part of a series."""


@dataclass(slots=True, eq=False)
class _Worker:
    """One worker through all its lives. `pending` holds commands until it is ready."""

    number: int
    process: ChildProcess | None = None
    ready: bool = False
    started_at: float = 0.0
    status: WorkerStatus | None = None
    backoff: Backoff = field(default_factory=Backoff)
    rooms: dict[str, set[str]] = field(default_factory=dict)
    pending: list[dict[str, Any]] = field(default_factory=list)

    @property
    def load(self) -> tuple[bool, int, int]:
        """Sorts the least loaded first; one that is not ready comes last."""
        return (not self.ready, sum(map(len, self.rooms.values())), self.number)


class MediaWorkers(MediaBackend):
    """Media workers as child processes of this one.

    `on_event` is called for every event; it must not block for long, and what it raises is logged.
    """

    def __init__(self, config: MediaConfig, on_event: Callable[[MediaEvent], None]) -> None:
        self._config = config
        self._on_event = on_event
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._watchers: dict[str, Callable[[MediaEvent], None]] = {}
        self._workers = [_Worker(number) for number in range(config.workers or os.cpu_count() or 1)]

    def start(self) -> None:
        """Start every worker. Raises OSError if this Python cannot be run again."""
        for worker in self._workers:
            self._launch(worker)

    def stop(self) -> None:
        """Close every room and end every worker."""
        self._stopping.set()
        ending = [worker.process for worker in self._workers if worker.process is not None]
        threads = [threading.Thread(target=process.stop) for process in ending]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def announce(self, addresses: tuple[str, ...], announced: tuple[str, ...]) -> None:
        """Bind and offer these from now on, in rooms that begin. Calls in progress keep what they have."""
        with self._lock:
            self._config = self._config.model_copy(update={"addresses": addresses, "announced": announced})
            for worker in self._workers:
                self._send(worker, Configure(config=self._config))

    def join(self, room: str, peer: str, participant: str) -> None:
        """Offer a participant a connection, on the room's worker or, for a new room, on the least loaded."""
        command = Join(room=room, peer=peer, participant=participant)
        with self._lock:
            worker = self._worker_of(room) or min(self._workers, key=lambda one: one.load)
            worker.rooms.setdefault(room, set()).add(peer)
            self._send(worker, command)

    def signal(self, room: str, peer: str, message: Mapping[str, object]) -> None:
        """Carry a browser's message. One for a peer that is gone is refused."""
        code = "unknown_peer"
        with self._lock:
            worker = self._worker_of(room)
            if worker is not None and peer in worker.rooms[room]:
                command = Signal(room=room, peer=peer, message=dict(message))
                if len(command.model_dump_json()) <= MAX_SIGNAL:
                    self._send(worker, command)
                    return
                code = "bad_message"
        self._tell(SignalRefused(room=room, peer=peer, code=code, sentence=REFUSALS[code]))

    def leave(self, room: str, peer: str) -> None:
        """Close a peer; nothing happens if it is gone."""
        with self._lock:
            worker = self._worker_of(room)
            if worker is not None:
                self._send(worker, Leave(room=room, peer=peer))

    def close_room(self, room: str) -> None:
        """Close all peers of a room; nothing happens if there is none."""
        with self._lock:
            worker = self._worker_of(room)
            if worker is not None:
                self._send(worker, CloseRoom(room=room))

    def watch(self, room: str, on_event: Callable[[MediaEvent], None] | None) -> None:
        """Tell the events of this room to somebody else from now on; None: as those of any other room."""
        with self._lock:
            if on_event is None:
                self._watchers.pop(room, None)
            else:
                self._watchers[room] = on_event

    def snapshot(self) -> list[WorkerStatus]:
        """What each living worker does, at most two seconds old."""
        with self._lock:
            return [
                worker.status or WorkerStatus(pid=worker.process.pid or 0)
                for worker in self._workers
                if worker.ready and worker.process is not None
            ]

    # -- workers -----------------------------------------------------------------------------------------

    def _worker_of(self, room: str) -> _Worker | None:
        return next((worker for worker in self._workers if room in worker.rooms), None)

    def _send(self, worker: _Worker, command: BaseModel) -> None:
        message = command.model_dump()
        if worker.ready and worker.process is not None:
            worker.process.send(message)
        else:
            worker.pending.append(message)

    def _launch(self, worker: _Worker) -> None:
        process = ChildProcess.python(
            f"media-{worker.number}",
            "teleconsult.media.worker",
            on_message=lambda message: self._on_message(worker, message),
            on_exit=lambda status: self._on_exit(worker, status),
        )
        with self._lock:
            worker.process = process
            worker.started_at = monotonic()
            process.start()
        process.send(Configure(config=self._config).model_dump())

    def _on_message(self, worker: _Worker, message: dict[str, Any]) -> None:
        try:
            event = WORKER_MESSAGES.validate_python(message)
        except ValidationError as exc:
            log.error("media worker's message refused", problems=exc.errors(include_input=False))
            return
        match event:
            case Ready():
                self._on_ready(worker)
            case WorkerStatus():
                worker.status = event
            case _:
                if isinstance(event, PeerState) and event.state in ("failed", "closed"):
                    self._forget(worker, event.room, event.peer)
                self._tell(event)

    def _on_ready(self, worker: _Worker) -> None:
        with self._lock:
            pending, worker.pending = worker.pending, []
            worker.ready = True
            for message in pending:
                if worker.process is not None:
                    worker.process.send(message)

    def _forget(self, worker: _Worker, room: str, peer: str) -> None:
        with self._lock:
            peers = worker.rooms.get(room)
            if peers is not None:
                peers.discard(peer)
                if not peers:
                    del worker.rooms[room]

    def _on_exit(self, worker: _Worker, status: int) -> None:
        with self._lock:
            lost, worker.rooms = list(worker.rooms), {}
            worker.pending = []
            worker.ready = False
            worker.status = None
        if self._stopping.is_set():
            return
        log.error("media worker ended", worker=worker.number, status=status, rooms=len(lost))
        for room in lost:
            self._tell(RoomLost(room=room))
        if monotonic() - worker.started_at > WELL:
            worker.backoff.reset()
        if not self._stopping.wait(worker.backoff.next()):
            self._launch(worker)

    def _tell(self, event: MediaEvent) -> None:
        try:
            self._watchers.get(event.room, self._on_event)(event)
        except Exception:
            log.exception("handling a media event failed", event_type=event.type)
