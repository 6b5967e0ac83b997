"""What was received and the node does not have yet: it is remembered with the device, and offered first the next time.

A cuff deletes what was confirmed to it, so a reading that the node could not keep is nowhere else.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable

from teleconsult.plugin_api import DeviceSession
from teleconsult_vitals_bluetooth.interpret import Taken

log = logging.getLogger(__name__)

KEPT_READINGS = 30
KEPT_BYTES = 9000
"""Bonds and bookmarks need their place in the memory too."""
_SPOILT = (TypeError, ValueError, AttributeError, ArithmeticError)


class Unkept:
    """Such readings of one device, in the order in which they came."""

    def __init__(self, session: DeviceSession) -> None:
        """With what an earlier reader left in the device's memory."""
        self._session = session
        self.readings: list[Taken] = []
        saved = session.memory.get("unkept")
        for each in saved if isinstance(saved, list) else ():
            try:
                self.readings.append(Taken.kept(each))
            except _SPOILT as error:
                log.warning("%s: a kept reading cannot be read: %s", session.device.device_id, error)

    async def save(self, also: Iterable[Taken] = ()) -> None:
        """Remember them, and these after them. If they are too many, the newest."""
        left = [taken.keep() for taken in (*self.readings, *also)]
        if not left and not self._session.memory.get("unkept"):
            return
        newest = left[-KEPT_READINGS:]
        while len(json.dumps(newest)) > KEPT_BYTES:
            del newest[0]
        if len(newest) < len(left):
            log.warning("%s: %d readings could not be kept", self._session.device.device_id, len(left) - len(newest))
        await self._session.remember(unkept=newest)
