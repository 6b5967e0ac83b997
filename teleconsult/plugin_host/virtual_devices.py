"""Virtual Bluetooth devices that an installed plugin offers, run as a process of their own.

A distribution offers them by an entry point in the group `teleconsult.virtual_devices` that names a module;
`python -m` of it is the process. docs/plugins/virtual-devices.md says what that process prints and obeys. The
module is never imported here. For tests, training and the demonstration.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from teleconsult.domain.errors import N_, InvalidInput, NotFound, Unavailable
from teleconsult.plugin_api import Text
from teleconsult.process import ChildProcess

GROUP = "teleconsult.virtual_devices"
START_SECONDS = 30.0


@dataclass(frozen=True)
class VirtualDevice:
    """One device on the air. `device` names it in requests."""

    device: str
    kind: str
    name: str
    address: str


@dataclass(frozen=True)
class Simulator:
    """What one installed module offers."""

    module: str
    kinds: Mapping[str, Text]
    misbehaviours: Mapping[str, Text]


def find_simulator() -> Simulator:
    """The first installed module that offers virtual devices, by name. Raises NotFound, Unavailable."""
    module = _module()
    try:
        run = subprocess.run(  # noqa: S603 - an installed module, named by its own distribution
            [sys.executable, "-m", module, "--describe"], capture_output=True, timeout=START_SECONDS, check=True
        )
        offered = json.loads(run.stdout)
        return Simulator(
            module,
            {kind: Text.model_validate(text) for kind, text in offered["kinds"].items()},
            {word: Text.model_validate(text) for word, text in offered["misbehaviours"].items()},
        )
    except (subprocess.SubprocessError, OSError, ValueError, KeyError) as error:
        raise Unavailable(N_("The virtual devices of %(module)s do not start."), module=module) from error


class VirtualRadio:
    """Virtual devices on a radio of their own; `with VirtualRadio("blood-pressure") as radio: radio.measure(…)`.

    `kinds` are words of `Simulator.kinds`, one for each device. `every` lets them measure by themselves, seconds;
    `misbehave` is what these measurements do wrong, in turn. `speed` shortens the pauses of a measurement.
    `on_event` hears what devices tell ("connected", "gone", "subscribed", "measured"), on a thread of this object.
    """

    def __init__(
        self,
        *kinds: str,
        port: int = 0,
        every: float | None = None,
        misbehave: Sequence[str] = (),
        speed: float = 1.0,
        module: str | None = None,
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.devices: list[VirtualDevice] = []
        self.port = 0
        arguments = [*kinds, "--port", str(port), "--speed", str(speed)]
        arguments += ["--every", str(every)] if every else []
        arguments += [part for word in misbehave for part in ("--misbehave", word)]
        self._on_event = on_event
        self._numbers = itertools.count(1)
        self._answers: dict[int, dict[str, Any]] = {}
        self._told: Counter[tuple[str, str]] = Counter()
        self._first: dict[str, Any] | None = None
        self._ended = False
        self._changed = threading.Condition()
        self._child = ChildProcess.python(
            "virtual-devices", module or _module(), on_message=self._hear, on_exit=self._end, args=arguments
        )

    @property
    def address(self) -> str:
        """What the setting `radio` of vitals-bluetooth has to be so that it meets these devices."""
        return f"tcp-client:127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the process and wait until the devices are on the air. Raises Unavailable."""
        self._child.start()
        with self._changed:
            self._changed.wait_for(lambda: self._first is not None or self._ended, START_SECONDS)
            first = self._first or {}
        if "ready" not in first:
            self.stop()
            reason = Text.model_validate(first.get("failed", {"en": "no answer", "zh": "无应答"}))
            raise Unavailable(N_("The virtual devices did not start: %(reason)s"), reason=_spoken(reason))
        self.port = int(first["ready"]["port"])
        self.devices = [VirtualDevice(**each) for each in first["ready"]["devices"]]

    def stop(self) -> None:
        """Take all devices off the air."""
        self._child.stop()

    def __enter__(self) -> VirtualRadio:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def ask(self, do: str, device: str | None = None, *, seconds: float = 60.0, **more: Any) -> dict[str, Any]:
        """Ask something of the process and wait for the answer. Raises InvalidInput, Unavailable."""
        number = next(self._numbers)
        request = {"id": number, "do": do, **({"device": device} if device else {}), **more}
        sent = self._child.send(request)
        with self._changed:
            if sent:
                self._changed.wait_for(lambda: number in self._answers or self._ended, seconds)
            answer = self._answers.pop(number, None)
        if answer is None:
            raise Unavailable(N_("The virtual devices do not answer."))
        if not answer["ok"]:
            sentence = _spoken(Text.model_validate(answer["sentence"]))
            raise InvalidInput(N_("The virtual devices refuse: %(reason)s"), reason=sentence)
        return answer

    def measure(
        self,
        device: str | None = None,
        *,
        misbehave: str | None = None,
        values: Mapping[str, Any] | None = None,
        away: float = 0.0,
    ) -> dict[str, Any]:
        """Have a device measure once. The answer counts frames `delivered` and `stored` in the device.

        `values` dictates what is measured; `away` is how long a device that drops stays away, seconds.
        """
        return self.ask("measure", device, misbehave=misbehave, values=dict(values or {}), away=away)

    def wait(self, event: str, device: str, *, times: int = 1, seconds: float = 30.0) -> None:
        """Wait until a device has told something so often since the start. Raises Unavailable."""

        with self._changed:
            self._changed.wait_for(lambda: self._told[event, device] >= times or self._ended, seconds)
            if self._told[event, device] < times:
                raise Unavailable(N_("The virtual devices do not answer."))

    def _hear(self, message: dict[str, Any]) -> None:
        with self._changed:
            if "id" in message:
                self._answers[int(message["id"])] = message
            elif "event" in message:
                self._told[message["event"], message["device"]] += 1
            elif self._first is None:
                self._first = message
            self._changed.notify_all()
        if "event" in message and self._on_event:
            self._on_event(message)

    def _end(self, _status: int) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def _module() -> str:
    """The module to run: the first by the name of its entry point."""
    entries = sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: entry.name)
    if not entries:
        raise NotFound(N_("No installed plugin offers virtual devices. Install teleconsult-vitals-simulator."))
    return entries[0].value


def _spoken(text: Text) -> str:
    """A simulator speaks to whoever started it: in the terminal's language."""
    from teleconsult.i18n import terminal_language

    return text.in_language(terminal_language())
