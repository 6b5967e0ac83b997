"""A sentence that stands on a device's card until there is a reading: that a result was beyond what can be measured.

A meter says "HI" and switches itself off. The sentence is in the device's memory, so that it outlasts the connection.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from teleconsult.plugin_api import DeviceSession, Text

STANDS = timedelta(hours=1)
"""After so long it is of an earlier person."""


class Standing:
    """The sentence of one device, if there is one."""

    def __init__(self, session: DeviceSession) -> None:
        self._session = session
        self.sentence: Text | None = None
        saved = session.memory.get("standing")
        if not isinstance(saved, list):
            return
        try:
            en, zh, at = saved
            if session.now() - datetime.fromisoformat(at) <= STANDS:
                self.sentence = Text(en=en, zh=zh)
        except (TypeError, ValueError):
            return

    async def put(self, sentence: Text) -> None:
        """Have it stand."""
        self.sentence = sentence
        await self._session.remember(standing=[sentence.en, sentence.zh, self._session.now().isoformat()])

    async def take_away(self) -> None:
        """There is a reading."""
        self.sentence = None
        if self._session.memory.get("standing"):
            await self._session.remember(standing=None)
