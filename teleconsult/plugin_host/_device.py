"""One device on this node: its process, its last word, its restarts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import structlog
from pydantic import ValidationError

from teleconsult.domain.ids import utc_now
from teleconsult.plugin_api import Command, DeviceInfo, DeviceState, DeviceStatus, Reading, Text, Waveform
from teleconsult.plugin_host import _faults
from teleconsult.plugin_host._busy import BusyWatch
from teleconsult.plugin_host._config import DeviceConfig
from teleconsult.plugin_host._gate import StartGate
from teleconsult.plugin_host._worker import plugin_environment
from teleconsult.process import Backoff, ChildProcess

log = structlog.get_logger(__name__)

MAX_LINE = 256 * 1024
_WINDOW = 5.0
_MEMORIES_PER_SECOND = 10
"""Each is a transaction of the database. A reader's own session keeps it to fewer."""

RESTARTING = Text(en="The device's program stopped. It is started again.", zh="设备程序已停止，正在重新启动。")
SWITCHED_OFF = Text(en="The device's plugin is switched off.", zh="设备所用插件已停用。")


@dataclass(frozen=True)
class DeviceAssignment:
    """A device that a person chose for this node, with the plugin and the reader that read it."""

    device: DeviceInfo
    plugin: str
    reader: str
    memory: Mapping[str, Any] = field(default_factory=dict)
    """What its reader remembered: the last value given to `on_memory`."""


@dataclass(frozen=True)
class DeviceView:
    """How a device is now."""

    device: DeviceInfo
    plugin: str
    reader: str
    commands: tuple[Command, ...]
    status: DeviceStatus
    running: bool
    restarts: int
    last_reading_at: datetime | None
    pid: int | None


@dataclass(frozen=True)
class Sinks:
    """Where a device's words go. Called on the device's own thread, in order.

    `reading` keeps the reading or raises: then the reader offers the same reading again.
    """

    reading: Callable[[Reading], None]
    waveform: Callable[[Waveform], None]
    status: Callable[[DeviceStatus], None]
    memory: Callable[[str, Mapping[str, Any]], None]
    fault: Callable[[str, str], None]
    """(plugin, sentence)"""


class HostedDevice:
    """One device and the processes that read it, one after the other. Once stopped, it stays so."""

    def __init__(
        self,
        assignment: DeviceAssignment,
        commands: tuple[Command, ...],
        kinds: tuple[str, ...],
        waveforms: tuple[str, ...],
        settings: Mapping[str, Any],
        paths: tuple[str, ...],
        config: DeviceConfig,
        sinks: Sinks,
        gate: StartGate,
    ) -> None:
        self.assignment = assignment
        self.status = self._status(DeviceState.OFF)
        self._commands = commands
        self._kinds = kinds
        self._waveforms = waveforms
        self.settings = settings
        self._paths = paths
        self._config = config
        self._sinks = sinks
        self._gate = gate
        self._at_gate = False
        self._memory = dict(assignment.memory)
        self._lock = threading.RLock()
        self._wanted = False
        self._stopped = False
        self._child: ChildProcess | None = None
        self._timer: threading.Timer | None = None
        self._backoff = Backoff(config.restart_first, config.restart_limit)
        self._restarts = 0
        self._started_at = 0.0
        self._heard_at = 0.0
        self._listening = False
        self._window_from = 0.0
        self._window_count = self._window_memories = 0
        self._told_fault = ""
        self._heard = False
        self._told_state = False
        self._busy = BusyWatch(config.busy_window, config.busy_share)
        self._last_reading_at: datetime | None = None

    @property
    def device_id(self) -> str:
        """The device's id."""
        return self.assignment.device.device_id

    @property
    def wanted(self) -> bool:
        """Whether it is meant to be read."""
        return self._wanted

    @property
    def memory(self) -> Mapping[str, Any]:
        """What its reader last remembered."""
        return self._memory

    def view(self) -> DeviceView:
        """How it is now."""
        child = self._child
        return DeviceView(
            device=self.assignment.device,
            plugin=self.assignment.plugin,
            reader=self.assignment.reader,
            commands=self._commands,
            status=self.status,
            running=bool(child and child.alive),
            restarts=self._restarts,
            last_reading_at=self._last_reading_at,
            pid=child.pid if child else None,
        )

    def start(self) -> None:
        """Start its process, unless it was stopped already."""
        with self._lock:
            if not self._stopped:
                self._wanted = True
                self._spawn()

    def stop(self, sentence: Text | None = None) -> None:
        """End its process; the reader gets three seconds to let go of the device."""
        with self._lock:
            self._wanted, self._stopped = False, True
            if self._timer:
                self._timer.cancel()
            child, self._child = self._child, None
        if child:
            child.stop(grace=4.0)
        self._tell(self._status(DeviceState.OFF, sentence))

    def command(self, command: Command) -> bool:
        """Pass a command on. False if its process is not running, or has not yet said how the device is."""
        child = self._child
        return bool(child and self._told_state and child.send({"command": command}))

    def look(self) -> None:
        """End a process that has not been heard for too long. Called every second or so."""
        child = self._child
        now = time.monotonic()
        if not (child and child.alive) or self._listening:
            return
        silence, limit = now - self._heard_at, self._config.silent
        if not self._heard:
            limit = self._config.load_deadline
        if silence > limit:
            why = _faults.NOT_HEARD if self._heard else _faults.LOADING_TOO_LONG
            self._told_fault = why % {"seconds": f"{limit:g}"}
            child.kill()
        elif now - self._started_at > self._config.well_after:
            self._backoff.reset()

    def _spawn(self) -> None:
        self._gate.enter(self._launch)

    def _launch(self) -> bool:
        """Start the process. True if it keeps its place at the gate, until it is first heard or has ended."""
        with self._lock:
            if self._wanted:
                self._start_child()
            self._at_gate = bool(self._wanted and self._child and self._child.alive)
            return self._at_gate

    def _leave_gate(self) -> None:
        with self._lock:
            left, self._at_gate = self._at_gate, False
        if left:
            self._gate.leave()

    def _start_child(self) -> None:
        child = ChildProcess.python(
            f"device-{self.device_id}",
            "teleconsult.plugin_host.device_worker",
            on_message=self._hear,
            on_exit=lambda status: self._ended(child, status),
            args=[self.device_id],
            env=plugin_environment(self._paths),
            max_line=MAX_LINE,
            label=f"device {self.device_id}",
        )
        self._child = child
        self._told_fault, self._heard, self._told_state = "", False, False
        self._busy = BusyWatch(self._config.busy_window, self._config.busy_share)
        self._started_at = self._heard_at = self._window_from = time.monotonic()
        self._window_count = self._window_memories = 0
        try:
            child.start()
        except OSError as error:
            self._failed(f"{_faults.NOT_STARTED}: {error}")
            return
        child.send(
            {
                "run": {
                    "plugin": self.assignment.plugin,
                    "reader": self.assignment.reader,
                    "device": self.assignment.device.model_dump(mode="json"),
                    "settings": dict(self.settings),
                    "memory": self._memory,
                    "limits": asdict(self._config.limits),
                    "beat": self._config.beat,
                    "restart_first": self._config.restart_first,
                    "retry_limit": self._config.retry_limit,
                }
            }
        )

    def _hear(self, message: dict[str, Any]) -> None:
        self._leave_gate()
        self._heard = self._listening = True
        try:
            if self._floods():
                return
            self._take(message)
        except (ValidationError, KeyError, ValueError) as error:
            self._give_up(f"{_faults.NONSENSE}: {str(error)[:300]}")
        finally:
            self._heard_at = time.monotonic()
            self._listening = False

    def _take(self, message: dict[str, Any]) -> None:
        """Check a message, and pass it on. Raises what a wrong message raises, and nothing of the sinks."""
        if "reading" in message:
            reading = Reading.model_validate(message["reading"])
            self._check_own(reading.device_id, reading.kind, self._kinds)
            self._pass_reading(reading, int(message["n"]))
        elif "waveform" in message:
            waveform = Waveform.model_validate(message["waveform"])
            self._check_own(waveform.device_id, waveform.kind, self._waveforms)
            self._pass("waveform", lambda: self._sinks.waveform(waveform))
        elif "status" in message:
            status = DeviceStatus.model_validate(message["status"])
            self._check_own(status.device_id)
            self._tell(status)
            self._told_state = True
        elif "memory" in message:
            self._window_memories += 1
            if self._window_memories > _MEMORIES_PER_SECOND * _WINDOW:
                raise ValueError("it remembers far more often than its session lets it")
            memory = self._memory = dict(message["memory"])
            self._pass("memory", lambda: self._sinks.memory(self.device_id, memory))
        elif "beat" in message:
            if self._busy.too_busy(float(message.get("cpu", 0.0)), time.monotonic()):
                self._give_up(_faults.BUSY % {"seconds": f"{self._config.busy_window:g}"})
        elif "fault" in message:
            self._told_fault = str(message["fault"])

    def _pass_reading(self, reading: Reading, number: int) -> None:
        kept = self._pass("reading; its reader offers it again", lambda: self._sinks.reading(reading))
        if kept:
            self._last_reading_at = utc_now()
        if child := self._child:
            child.send({"ack" if kept else "nack": number})

    def _pass(self, what: str, deliver: Callable[[], None]) -> bool:
        """Hand something to a sink. A sink that fails is the node's own trouble, never the plugin's fault."""
        try:
            deliver()
        except Exception:
            log.exception("a device's word was not taken", device_id=self.device_id, word=what)
            return False
        return True

    def _check_own(self, device_id: str, kind: str | None = None, declared: tuple[str, ...] = ()) -> None:
        if device_id != self.device_id:
            raise ValueError(f"it speaks for another device, {device_id!r}")
        if kind is not None and kind not in declared:
            raise ValueError(f"it sends {kind!r}, which its plugin does not declare")

    def _floods(self) -> bool:
        now = time.monotonic()
        if now - self._window_from > _WINDOW:
            self._window_from, self._window_count, self._window_memories = now, 0, 0
        self._window_count += 1
        if self._window_count <= self._config.messages_per_second * _WINDOW:
            return False
        self._give_up(_faults.TOO_MANY_MESSAGES)
        return True

    def _give_up(self, why: str) -> None:
        if not self._told_fault:
            self._told_fault = why
        if self._child:
            self._child.kill()

    def _ended(self, child: ChildProcess, status: int) -> None:
        self._leave_gate()
        with self._lock:
            if child is not self._child or not self._wanted:
                return
        if child.line_too_long:
            self._failed(_faults.LINE_TOO_LONG)
        else:
            ended = _faults.ENDED_BY_ITSELF % {"status": status}
            self._failed(self._told_fault or ended + _faults.last_words(child.said_last))

    def _failed(self, why: str) -> None:
        log.warning("device reader failed", device_id=self.device_id, plugin=self.assignment.plugin, error=why)
        self._tell(self._status(DeviceState.FAILED, RESTARTING))
        self._sinks.fault(self.assignment.plugin, f"{_faults.OF_DEVICE % {'device': self.device_id}}: {why}")
        with self._lock:
            if not self._wanted:  # the plugin was switched off by this very fault
                return
            self._timer = threading.Timer(self._backoff.next(), self._restart)
            self._timer.daemon = True
            self._timer.start()

    def _restart(self) -> None:
        with self._lock:
            if self._wanted:
                self._restarts += 1
                self._spawn()

    def _status(self, state: DeviceState, sentence: Text | None = None) -> DeviceStatus:
        return DeviceStatus(device_id=self.device_id, state=state, sentence=sentence, at=utc_now())

    def _tell(self, status: DeviceStatus) -> None:
        self.status = status
        self._pass("status", lambda: self._sinks.status(status))
