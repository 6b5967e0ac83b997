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
        """With what an earlier reader left in the device's memory, also if that is too old by now."""
        self._session = session
        self.last: Text | None = None
        """What was put last, and not taken away."""
        self._since = session.now()
        try:
            en, zh, at = session.memory["standing"]
            self._since = datetime.fromisoformat(at)
            self._age()
            self.last = Text(en=en, zh=zh)
        except (KeyError, TypeError, ValueError):
            self.last = None

    @property
    def sentence(self) -> Text | None:
        """What stands now."""
        return self.last if self.left() else None

    def left(self) -> float | None:
        """Seconds that the last one still stands; 0.0 if it is too old, None if there is none."""
        return None if self.last is None else max(0.0, (STANDS - self._age()).total_seconds())

    async def put(self, sentence: Text) -> None:
        """Have it stand."""
        self.last, self._since = sentence, self._session.now()
        await self._session.remember(standing=[sentence.en, sentence.zh, self._since.isoformat()])

    async def take_away(self) -> None:
        """There is a reading, or it is too old."""
        self.last = None
        if self._session.memory.get("standing"):
            await self._session.remember(standing=None)

    def _age(self) -> timedelta:
        return max(timedelta(), self._session.now() - self._since)  # the node's clock may have been set back
