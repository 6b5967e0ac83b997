"""On whom a device that streams is: the person whom the devices measured for when it was put on.

An oximeter stays on the finger while the doctor opens the next person's page. Its values are of the finger it is
on, so they change over only when it was taken off and put on again, or when a person says whose it is now. A lost
link says nothing about the finger.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from teleconsult.plugin_api import DeviceState

OFF_SECONDS = 3.0
"""No value for so long, and a device that says it does not measure: it was taken off. A single spoilt value, or a
word about something else in the middle of a stream, is no sign of that."""

_AWAY = (DeviceState.SEARCHING, DeviceState.CONNECTED, DeviceState.OFF)


@dataclass(frozen=True)
class Beginning:
    """For whom the devices measured when a measurement began (None: for nobody), and when that was."""

    encounter_id: str | None
    patient: dict[str, Any] | None
    at: datetime


class Wearing:
    """One device's stream. Times are seconds of a monotonic clock. Not safe for threads by itself."""

    def __init__(self) -> None:
        self.on: Beginning | None = None
        self._state = DeviceState.OFF
        self._stopped = False
        self._value_at = float("-inf")

    def tell(self, state: DeviceState) -> None:
        """The device said how it is."""
        before, self._state = self._state, state
        ready = state is DeviceState.IDLE and before in (DeviceState.MEASURING, DeviceState.FAILED)
        failed = state is DeviceState.FAILED and before not in _AWAY
        self._stopped = self._stopped or ready or failed

    def value(self, now: float, beginning: Beginning) -> Beginning:
        """A value came. Gives on whom it is: `beginning` if the device was put on since the last one."""
        if self._stopped and now - self._value_at >= OFF_SECONDS:
            self.on = None
        self._stopped, self._value_at = False, now
        self.on = self.on or beginning
        return self.on

    def put_on(self, beginning: Beginning) -> None:
        """A person says whose it is now."""
        self.on = beginning
