"""What a person must still hear of results that became no reading: beyond the range, or taken back.

An analyser's next message comes within seconds. So these stand before what is said of it, the latest first, for an
hour. They are in the device's memory, so that they outlast the connection and the node's restart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from teleconsult.plugin_api import DeviceSession, Text
from teleconsult_vitals_serial.hl7.readings import Remark

STANDS = timedelta(hours=1)
"""After so long it was heard, or is of an earlier person."""
MOST_SHOWN = 5
MOST_COUNTED = 30
"""Beyond MOST_SHOWN only how many there are is remembered: the memory of a device is small."""
LONGEST = 500


@dataclass(frozen=True)
class _Entry:
    came: datetime
    key: str
    remark: Remark | None

    def dump(self) -> list[Any]:
        """As JSON values."""
        found = self.remark
        words = [found.name, found.person, found.said, found.at.isoformat(), found.measured] if found else []
        return [self.came.isoformat(), self.key, *words]

    @classmethod
    def load(cls, values: list[Any]) -> Self:
        """From what `dump` gave."""
        came, key, *words = values
        remark = None
        if words:
            name, person, said, at, measured = words
            remark = Remark(key, name, person, said, datetime.fromisoformat(at), measured)
        return cls(datetime.fromisoformat(came), key, remark)


class Standing:
    """The remarks of one device that still stand."""

    def __init__(self, session: DeviceSession) -> None:
        self._session = session
        try:
            self._entries = [_Entry.load(values) for values in session.memory.get("standing") or ()]
        except (TypeError, ValueError):
            self._entries = []

    def __bool__(self) -> bool:
        return bool(self._fresh())

    async def put(self, remarks: Iterable[Remark]) -> None:
        """Have them stand, and forget the names of those that no longer do.

        One of a message that is sent again stands already.
        """
        entries, now = self._fresh(), self._session.now()
        known = {entry.key for entry in entries}
        entries += [_Entry(now, remark.key, remark) for remark in remarks if remark.key not in known]
        entries = entries[-MOST_COUNTED:]
        without = [replace(entry, remark=None) for entry in entries[:-MOST_SHOWN]]
        entries = [*without, *entries[-MOST_SHOWN:]]
        if entries != self._entries:
            self._entries = entries
            await self._session.remember(standing=[entry.dump() for entry in entries])

    def before(self, sentence: Text) -> Text:
        """The sentence with what stands before it: as many as there is room for, and how many more there are."""
        entries = self._fresh()
        shown = [entry.remark.sentence for entry in reversed(entries) if entry.remark]
        if not shown:
            return sentence
        while True:
            more = len(entries) - len(shown)
            parts = [*shown, *([_more(more)] if more else []), sentence]
            en, zh = " ".join(part.en for part in parts), "".join(part.zh for part in parts)
            if len(shown) == 1 or max(len(en), len(zh)) <= LONGEST:
                return Text(en=en[:LONGEST], zh=zh[:LONGEST])
            shown.pop()

    def _fresh(self) -> list[_Entry]:
        now = self._session.now()
        return [entry for entry in self._entries if abs(now - entry.came) <= STANDS]


def _more(count: int) -> Text:
    return Text(en=f"And {count} earlier ones.", zh=f"另有较早的 {count} 项。")
