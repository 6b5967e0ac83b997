"""Comparing a device's clock with ours, and setting it. What follows for a time stamp is `clock`'s."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from teleconsult.plugin_api import DeviceSession, DeviceUnavailable
from teleconsult_vitals_bluetooth import uuids
from teleconsult_vitals_bluetooth.clock import CLOSE, SILENCE, DeviceClock
from teleconsult_vitals_bluetooth.frames import (
    MalformedFrame,
    Stamp,
    encode_current_time,
    parse_current_time,
    parse_date_time,
)
from teleconsult_vitals_bluetooth.link import Link, Reply

CHECK = 5.0
"""Seconds between two looks at the device's clock while it sends results."""
ANSWER = 0.5
"""Seconds that a result waits for this look: it is to be seen within one."""
_CLOCKS = (uuids.CURRENT_TIME, uuids.DATE_TIME)


class Timekeeper:
    """The clock of one connected device. `clock` is what is known of it."""

    def __init__(self, link: Link, session: DeviceSession, clock: DeviceClock) -> None:
        self.clock = replace(clock, settled=False)
        self._link = link
        self._session = session
        self._uuid: str | None = None
        self._checked_at = float("-inf")
        self._heard_at = session.now()

    async def set(self) -> None:
        """Compare the device's clock with ours, then set it where that can be done."""
        self._uuid = next((uuid for uuid in _CLOCKS if self._link.has(uuid)), None)
        if self._uuid is None:
            return
        ahead = await self._compare()
        set_at = None
        if ahead is None or abs(ahead) > CLOSE:
            now = self._session.now()
            local = now.astimezone(self.clock.zone)
            encoded = encode_current_time(local) if self._uuid == uuids.CURRENT_TIME else Stamp.of(local).encode()
            accepted = await self._link.write(self._uuid, encoded) is Reply.DONE
            shows = await self._compare()
            # What a device shows counts more than what it answers: some refuse the time that they took ("a field was
            # ignored"), and some take it and go on with their own.
            if accepted if shows is None else abs(shows) <= CLOSE:
                set_at = now
        self._heard_at = self._session.now()
        self.clock = replace(self.clock, ahead=ahead, set_at=set_at, settled=False)

    def listening(self) -> None:
        """The device can send from now on: what it had stored comes at once."""
        self._heard_at = self._session.now()

    def heard(self, at: datetime) -> None:
        """A result came: the first one after a silence, and all after it, were measured since the device could send."""
        if not self.clock.settled and at - self._heard_at > SILENCE:
            self.clock = replace(self.clock, settled=True)
        self._heard_at = at

    async def check(self) -> None:
        """Whether the clock was changed since it was compared: by a person, or by an empty battery."""
        now = asyncio.get_running_loop().time()
        if self._uuid is None or self._link.lost or now - self._checked_at < CHECK:
            return
        self._checked_at = now
        with suppress(DeviceUnavailable, TimeoutError):  # many devices are gone as soon as they have sent
            async with asyncio.timeout(ANSWER):
                ahead = await self._compare()
            right = self.clock.set_at is not None or self.clock.ahead is None
            expected = timedelta() if right else self.clock.ahead
            if ahead is not None and expected is not None and abs(ahead - expected) > CLOSE:
                self.clock = replace(self.clock, ahead=ahead, set_at=None)
                await self.set()

    async def _compare(self) -> timedelta | None:
        """How far the device's clock is ahead of ours; None if it cannot be read."""
        assert self._uuid is not None
        data = await self._link.read(self._uuid)
        parse = parse_current_time if self._uuid == uuids.CURRENT_TIME else parse_date_time
        if data is None:
            return None
        try:
            shown = parse(data).moment()
            if shown is None:
                return None
            at: datetime = shown.replace(tzinfo=self.clock.zone).astimezone(UTC)
        except (MalformedFrame, OverflowError):
            return None
        return at - self._session.now()
