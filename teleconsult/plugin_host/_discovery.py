"""One search for devices, in a process of its own. A search that finds without end is ended, and is a fault."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from teleconsult.plugin_api import DeviceInfo, Text
from teleconsult.plugin_host import _faults
from teleconsult.plugin_host._config import DeviceConfig
from teleconsult.plugin_host._worker import plugin_environment
from teleconsult.process import ChildProcess

MAX_LINE = 64 * 1024
_OTHER_MESSAGES = 1000
"""More than the beats of any search."""


class Discovery:
    """A search by one reader of one plugin. `on_found` and the others are called on a thread of this object."""

    def __init__(
        self,
        plugin: str,
        reader: str,
        config: DeviceConfig,
        on_found: Callable[[DeviceInfo], None],
        on_fault: Callable[[str], None],
        on_unavailable: Callable[[Text], None] = lambda _sentence: None,
    ) -> None:
        self._plugin = plugin
        self._reader = reader
        self._config = config
        self._on_found = on_found
        self._on_fault = on_fault
        self._on_unavailable = on_unavailable
        self._known: dict[str, DeviceInfo] = {}
        self._messages = 0
        self._heard = 0
        self._done = threading.Event()
        self._child: ChildProcess | None = None

    def start(self, settings: Mapping[str, Any], paths: Sequence[str], seconds: float) -> None:
        """Search for so many seconds, unless `end` is called before."""
        child = self._child = ChildProcess.python(
            f"discover-{self._plugin}-{self._reader}",
            "teleconsult.plugin_host.device_worker",
            on_message=self.hear,
            on_exit=lambda _status: self.end(),
            args=[f"discovery {self._plugin}"],
            env=plugin_environment(paths),
            max_line=MAX_LINE,
            label=f"discovery {self._plugin}",
        )
        child.start()
        child.send(
            {
                "discover": {
                    "plugin": self._plugin,
                    "reader": self._reader,
                    "settings": dict(settings),
                    "beat": self._config.beat,
                    "per_second": self._config.found_per_second,
                }
            }
        )

        def wait() -> None:
            self._done.wait(seconds)
            self.end()
            child.stop(grace=4.0)

        threading.Thread(target=wait, name=f"discover-{self._plugin}", daemon=True).start()

    def end(self) -> None:
        """End the search soon. What is found from now on is not told."""
        self._done.set()

    def hear(self, message: Mapping[str, Any]) -> None:
        """What its process says. Only a device that is new, or of which more is known now, is passed on."""
        if self._done.is_set():
            return
        self._messages += 1
        if self._messages > self._config.found_limit + _OTHER_MESSAGES:
            self._give_up(_faults.TOO_MANY_MESSAGES)
        elif "fault" in message:
            self._give_up(str(message["fault"]))
        elif "unavailable" in message:
            try:
                sentence = Text.model_validate(message["unavailable"])
            except ValidationError as error:
                self._give_up(f"{_faults.NONSENSE}: {str(error)[:300]}")
                return
            self.end()
            self._on_unavailable(sentence)
        elif "found" in message:
            self._heard += 1
            try:
                device = DeviceInfo.model_validate(message["found"])
            except ValidationError as error:
                self._give_up(f"{_faults.FOUND_NONSENSE}: {str(error)[:300]}")
                return
            if self._heard > self._config.found_limit:
                self._give_up(_faults.FOUND_TOO_MANY % {"count": self._config.found_limit})
            elif self._known.get(device.device_id) != device:
                self._known[device.device_id] = device
                self._on_found(device)

    def _give_up(self, why: str) -> None:
        self.end()
        if self._child:
            self._child.kill()
        self._on_fault(f"{_faults.OF_DISCOVERY % {'reader': self._reader}}: {why}")
