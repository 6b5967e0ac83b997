"""What readers share whose devices store readings: asking the Record Access Control Point, and an end to waiting.

One request runs at a time. One that is not answered is aborted and told; a device that is still busy with an earlier
one is asked again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from teleconsult.plugin_api import DeviceState
from teleconsult_vitals_bluetooth import racp, texts, uuids
from teleconsult_vitals_bluetooth.interpret import Notice, Outcome
from teleconsult_vitals_bluetooth.link import Reply
from teleconsult_vitals_bluetooth.reader import BluetoothReader

BETWEEN_RECORDS = 30.0
"""Seconds after which a transfer counts as broken off: the profiles' own limit."""
BUSY_PAUSE = 1.0
"""Seconds until a device is asked again that was busy with another request."""
BUSY_TRIES = 5


class StoringReader(BluetoothReader):
    """A reader that fetches. `asked` is the request that is not answered yet."""

    asked: bytes | None = None
    _again = False
    """Whether the device was busy, so that it is to be asked again after a pause."""
    _due = False
    _refused = 0
    _abort = False
    _malformed_before = 0

    # What a reader of one sort of device adds

    def broken_off(self) -> Iterable[Outcome]:
        """What it comes to that nothing more of a transfer came."""
        return ()

    def idle_pause(self) -> float | None:
        """`pause` while nothing was asked."""
        return None

    def idle_paused(self) -> Iterable[Outcome]:
        """`paused` while nothing was asked."""
        return ()

    # What they share

    async def ask(self, request: bytes) -> bool:
        """Ask, and say so. False if the device refuses, which is said too."""
        await self.say(DeviceState.CONNECTED, texts.FETCHING)
        self._malformed_before = self.malformed
        reply = await self.link.write(uuids.RECORD_ACCESS, request)
        self._due, self._again = False, reply is Reply.BUSY and self._refused < BUSY_TRIES
        self._refused = self._refused + 1 if self._again else 0
        self.asked = request if self._again or reply is Reply.DONE else None
        if self.asked is None:
            busy = reply is Reply.BUSY
            await self.say(
                DeviceState.FAILED if busy else DeviceState.IDLE, texts.FETCH_FAILED if busy else texts.FETCH_REFUSED
            )
        return self.asked is not None

    def answered(self, data: bytes) -> racp.Answer | None:
        """The answer to what was asked; None for any other. Raises MalformedFrame."""
        answer = racp.parse_answer(data)
        if answer.request != racp.REPORT or self.asked is None or self._again:
            return None
        self.asked = None
        return answer

    def fetched(self, count: int) -> Notice:
        """What to say when a transfer has ended that brought so many readings."""
        if unreadable := self.malformed - self._malformed_before:
            return Notice(DeviceState.FAILED, texts.partly_fetched(count, unreadable))
        return Notice(DeviceState.IDLE, texts.fetched(count) if count else texts.NOTHING_STORED)

    def pause(self) -> float | None:
        """An answer may be waited for."""
        if self._again:
            return BUSY_PAUSE
        return self.idle_pause() if self.asked is None else BETWEEN_RECORDS

    def paused(self) -> Iterator[Outcome]:
        """What was waited for does not come."""
        if self._again:
            self._due = True
        elif self.asked is None:
            yield from self.idle_paused()
        else:
            yield from self.broken_off()
            self.asked, self._abort = None, True
            yield Notice(DeviceState.FAILED, texts.FETCH_FAILED)

    async def after(self) -> None:
        """Abort what was given up, ask again what the device was too busy for."""
        if self._abort:
            self._abort = False
            await self.link.write(uuids.RECORD_ACCESS, racp.abort())
        if self._due and self.asked is not None:
            await self.ask(self.asked)
