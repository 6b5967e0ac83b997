"""The node's handle on one plugin's process: start it, call it with a deadline, notice its end."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from teleconsult.plugin_host import _faults
from teleconsult.plugin_host._description import PluginDescription
from teleconsult.plugin_host._loader import LoadFailure
from teleconsult.plugin_host._problems import SettingProblem, problems_of
from teleconsult.plugin_host._status import PluginStatus
from teleconsult.process import ChildProcess

MAX_LINE = 1024 * 1024


class PluginFault(Exception):  # noqa: N818 - it is counted, not handled
    """A call failed by the plugin's own doing: it raised, was late, or its process ended."""


class PluginBusy(Exception):  # noqa: N818 - says that nothing was called
    """Another call to this plugin is still running; nothing was called."""


class SettingsRefused(Exception):  # noqa: N818 - carries the errors by field
    """The plugin's settings model refused the values. `problems` maps a setting to what is wrong with it."""

    def __init__(self, problems: Mapping[str, SettingProblem]) -> None:
        super().__init__("; ".join(f"{name}: {problem.english}" for name, problem in problems.items()))
        self.problems = dict(problems)


def plugin_environment(paths: Sequence[str]) -> dict[str, str]:
    """The environment in which a plugin's process finds the plugins in `paths` too."""
    if not paths:
        return {}
    inherited = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([*paths, *([inherited] if inherited else [])])}


@dataclass
class _Waiting:
    answered: threading.Event = field(default_factory=threading.Event)
    answer: dict[str, Any] | None = None


class PluginWorker:
    """One plugin's process. Calls are made one at a time; each object is started once."""

    def __init__(self, name: str, paths: Sequence[str], on_death: Callable[[str], None]) -> None:
        """`on_death` is called with a sentence if the process ends without having been told to."""
        self._name = name
        self._on_death = on_death
        self._turn = threading.Lock()
        self._waiting: dict[int, _Waiting] = {}
        self._loading = _Waiting()
        self._ids = itertools.count(1)
        self._expected_end = False
        self._child = ChildProcess.python(
            f"plugin-{name}",
            "teleconsult.plugin_host.plugin_worker",
            on_message=self._hear,
            on_exit=self._ended,
            args=[name],
            env=plugin_environment(paths),
            max_line=MAX_LINE,
            label=f"plugin {name}",
        )

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._child.alive and not self._expected_end

    @property
    def pid(self) -> int | None:
        """The process id."""
        return self._child.pid

    def load(self, settings: Mapping[str, Any], deadline: float) -> PluginDescription:
        """Start the process and load the plugin in it. Raises LoadFailure; then the process is gone."""
        answer = self._start({"load": {"name": self._name, "settings": dict(settings)}}, deadline)
        try:
            return PluginDescription.model_validate(answer["loaded"])
        except ValidationError as error:
            self.stop()
            raise LoadFailure(PluginStatus.STOPPED_BY_VALIDATION, str(error)) from error

    def check(self, values: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        """Have settings checked in a process that ends after it; the plugin is not loaded and need not run.

        Returns them with the defaults filled in. Raises SettingsRefused, LoadFailure.
        """
        answer = self._start({"check": {"name": self._name, "values": dict(values)}}, deadline)
        self.stop()
        if "invalid" in answer:
            raise SettingsRefused(problems_of(answer["invalid"]))
        return dict(answer["result"])

    def _start(self, message: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        """Start the process, and return its answer to the first message. Raises LoadFailure."""
        try:
            self._child.start()
        except OSError as error:
            raise LoadFailure(PluginStatus.STOPPED_BY_LOAD_ERROR, f"{_faults.NOT_STARTED}: {error}") from error
        self._child.send(dict(message))
        answered = self._loading.answered.wait(deadline)
        answer = self._loading.answer
        if answer is not None and "failed" not in answer:
            return answer
        if answer is not None:
            self.stop()
            failed = answer["failed"]
            raise LoadFailure(PluginStatus(failed["status"]), str(failed["error"]), failed.get("schema"))
        self.kill()
        why = _faults.ENDED_LOADING + _faults.last_words(self._child.said_last)
        if not answered:
            why = _faults.LOADING_TOO_LONG % {"seconds": f"{deadline:g}"}
        raise LoadFailure(PluginStatus.STOPPED_BY_LOAD_ERROR, why)

    def call(self, name: str, args: Mapping[str, Any], deadline: float, patience: float | None = None) -> Any:
        """Call and wait for at most `deadline` seconds.

        Raises PluginBusy if a call that began earlier still runs by then, or after `patience` seconds, and PluginFault
        for anything that the plugin does wrong. A plugin that is late is ended: nothing else gets its thread back.
        """
        due = time.monotonic() + deadline
        if not self._turn.acquire(timeout=deadline if patience is None else min(patience, deadline)):
            raise PluginBusy(self._name)
        try:
            return self._call(name, args, max(due, time.monotonic() + 0.01), deadline)
        finally:
            self._turn.release()

    def _call(self, name: str, args: Mapping[str, Any], due: float, deadline: float) -> Any:
        number, waiting = next(self._ids), _Waiting()
        self._waiting[number] = waiting
        late = f"{name} {_faults.LATE % {'seconds': f'{deadline:g}'}}"
        try:
            if not self._send({"id": number, "call": name, "args": args}, due):
                raise PluginFault(late if time.monotonic() >= due else f"{name}: {_faults.HAS_ENDED}")
            if not waiting.answered.wait(max(due - time.monotonic(), 0.0)):
                self.kill()
                raise PluginFault(late)
        finally:
            del self._waiting[number]
        answer = waiting.answer
        if answer is None:
            said = _faults.last_words(self._child.said_last)
            raise PluginFault(f"{name}: {_faults.ENDED_IN_CALL}{said}")
        if "invalid" in answer:
            raise SettingsRefused(problems_of(answer["invalid"]))
        if "fault" in answer:
            raise PluginFault(f"{name}: {answer['fault']}")
        return answer.get("result")

    def _send(self, message: Mapping[str, Any], due: float) -> bool:
        """Send by `due`: a process that does not read is ended then, or writing to it would never end."""
        ending = threading.Timer(max(due - time.monotonic(), 0.0), self.kill)
        ending.daemon = True
        ending.start()
        try:
            return self._child.send(dict(message))
        finally:
            ending.cancel()

    def stop(self) -> None:
        """End the process kindly, or by force after a second."""
        self._expected_end = True
        self._child.stop(grace=1.0)

    def kill(self) -> None:
        """End the process at once."""
        self._expected_end = True
        self._child.kill()

    def _hear(self, message: dict[str, Any]) -> None:
        waiting = self._loading if "id" not in message else self._waiting.get(message["id"])
        if waiting is not None:
            waiting.answer = message
            waiting.answered.set()

    def _ended(self, status: int) -> None:
        in_call = bool(self._waiting)
        loading = not self._loading.answered.is_set()
        for waiting in [self._loading, *self._waiting.values()]:
            waiting.answered.set()
        # Whoever waits for an answer reports the end; only an idle process's death has nobody to tell.
        if not self._expected_end and not in_call and not loading:
            ended = _faults.ENDED_BY_ITSELF % {"status": status}
            self._on_death(ended + _faults.last_words(self._child.said_last))
        self._expected_end = True
