"""What all readers have in common: find, connect, prepare, then take frames until the device is gone.

A reader of one sort of device says which characteristics it listens to and what a frame of each comes to (`take`).
Frames wait in a queue of a fixed length; what was received but not yet kept by the node when a reader ends is
remembered and offered first the next time.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from teleconsult.plugin_api import (
    Command,
    DeviceInfo,
    DeviceReader,
    DeviceSession,
    DeviceState,
    DeviceUnavailable,
    ReadingFlag,
    Text,
)
from teleconsult_vitals_bluetooth import texts, uuids
from teleconsult_vitals_bluetooth.clock import DeviceClock
from teleconsult_vitals_bluetooth.dating import Dated, Dating
from teleconsult_vitals_bluetooth.frames import (
    MalformedFrame,
    Stamp,
    parse_battery_level,
    parse_words,
)
from teleconsult_vitals_bluetooth.interpret import Notice, Outcome, Taken
from teleconsult_vitals_bluetooth.link import Link, Radio, heed_cancellation
from teleconsult_vitals_bluetooth.settings import BluetoothSettings
from teleconsult_vitals_bluetooth.standing import Standing
from teleconsult_vitals_bluetooth.timekeeping import Timekeeper
from teleconsult_vitals_bluetooth.unkept import Unkept

log = logging.getLogger(__name__)

QUEUE = 500
"""So many frames may wait. A cuff that stored two hundred sends them all at once; more is no device that measures."""
STREAM_PAUSE = 0.5
"""Seconds between two values of a stream that are handed over; those between are passed over."""
STANDS_STILL = timedelta(hours=12)
"""A result beyond what can be measured that is older than this is said, and does not stand."""
NEARLY_EMPTY = 15
"""Percent of charge at which the person at the device is told."""


@dataclass(frozen=True)
class Frame:
    """What a characteristic sent, and when it came."""

    uuid: str
    data: bytes
    at: datetime


class BluetoothReader(DeviceReader):
    """Reads one device. Made anew for every connection, so its attributes belong to one connection."""

    services: ClassVar[tuple[str, ...]]
    """A device of this sort advertises one of these."""
    kinds: ClassVar[tuple[str, ...]]
    title: ClassVar[Text]
    ready: ClassVar[Text]
    measuring: ClassVar[Text] = texts.CONNECTED
    """What to say while a stream runs."""
    listens: ClassVar[tuple[str, ...]]
    """The characteristics whose frames are all taken, in the order in which they are switched on."""
    streams: ClassVar[tuple[str, ...]] = ()
    """The characteristics of which only the newest frame matters. Switched on before the others."""
    settings: BluetoothSettings
    session: DeviceSession
    link: Link
    unkept: Unkept
    dating: Dating
    standing: Standing
    _arrived: datetime
    """When the frame came that is being taken."""
    _timekeeper: Timekeeper

    def __init__(self, device: DeviceInfo, settings: BluetoothSettings | None = None) -> None:
        super().__init__(device, settings or BluetoothSettings())
        self._queue: deque[Frame] = deque()
        self._awake = asyncio.Event()
        self._newest: dict[str, bytes] = {}
        self._streamed_at: dict[str, float] = {}
        self._cut_off: Text | None = None
        self.malformed = 0
        """How many frames of this connection were none."""
        self._said: tuple[DeviceState, Text] | None = None
        self._took_any = False
        self._battery_low = False
        self._streaming = False

    # What a reader of one sort of device adds

    def take(self, uuid: str, data: bytes) -> Iterable[Outcome]:
        """What a frame comes to. Does no I/O. Raises MalformedFrame."""
        raise NotImplementedError

    async def begin(self) -> None:
        """Asked for once, when everything is switched on."""

    async def kept(self, taken: Taken) -> None:
        """Told when the node has kept a reading."""

    async def command(self, command: Command) -> None:
        """Asked for when a person asks something of the device."""

    def pause(self) -> float | None:
        """Seconds after which `paused` is wanted if no frame comes; None for never."""
        return None

    def paused(self) -> Iterable[Outcome]:
        """What it comes to that no frame came."""
        return ()

    async def after(self) -> None:
        """Asked for after every frame's outcomes were handed over."""

    @property
    def clock(self) -> DeviceClock:
        """What is known of the device's clock."""
        return self._timekeeper.clock

    def date(
        self,
        stamp: Stamp | None,
        data: bytes,
        *,
        user: int | None = None,
        believed: bool = True,
        stored: bool | None = None,
    ) -> Dated:
        """When the frame that is being taken was measured, and what tells its reading from others; see `Dating`.

        A device that does not say whether a reading is `stored` sends those that are as soon as it can, also while it
        measures for somebody else.
        """
        if stored is None:
            stored = self._is_measuring and not self.clock.settled
        clock, now = self.clock, self._arrived
        return self.dating.date(stamp, data, clock, now, user=user, believed=believed, stored=stored)

    def passed_over(self, user: int | None) -> Notice | None:
        """What to say for a reading of a user whose readings are not taken; None if it is taken."""
        wanted = self.settings.user_of(self.device.device_id)
        if user is None or wanted in (-1, user):
            return None
        return Notice(DeviceState.IDLE, texts.other_user(user, wanted))

    def of_its_time(self, notice: Notice, at: datetime | None, flags: Iterable[ReadingFlag]) -> Notice:
        """A result beyond what can be measured may be a stored one: it says of when, and stands if it is of today."""
        if not notice.stays:
            return notice
        if ReadingFlag.CLOCK_NOT_SET in flags:
            return replace(notice, sentence=texts.undated(notice.sentence))
        return notice if at is None else replace(notice, at=at, stays=self.session.now() - at < STANDS_STILL)

    @property
    def _is_measuring(self) -> bool:
        return self._said is not None and self._said[0] is DeviceState.MEASURING

    async def gone(self) -> None:
        """Asked for when the device is gone and all its frames are taken."""

    def held(self) -> Iterable[Outcome]:
        """Readings that wait for more to come. Asked for when the reader ends."""
        return ()

    # Discovery

    @classmethod
    async def discover(cls, settings: BluetoothSettings | None = None) -> AsyncIterator[DeviceInfo]:
        """Every device that advertises one of the services, once, until cancelled. Raises DeviceUnavailable."""
        settings = settings or BluetoothSettings()
        seen = set()
        async with Radio.open(settings.radio, {}, _forget) as radio, radio.scan(list(cls.services)) as heard:
            async for device, advertised in heard:
                if device.address in seen:
                    continue
                seen.add(device.address)
                name = advertised.local_name or device.name or f"{cls.title.en} {device.address[-5:]}"
                yield DeviceInfo(
                    device_id=f"ble-{device.address}",
                    name=parse_words(name.encode())[:80] or cls.title.en,
                    kinds=cls.kinds,
                    address=device.address,
                )

    # One connection

    async def run(self, session: DeviceSession) -> None:
        """Reach the device and read it until it is gone or this is cancelled. Raises DeviceUnavailable."""
        self.session = session
        self.unkept = Unkept(session)
        self.standing = Standing(session)
        self.dating = Dating(session.memory.get("undated"))
        address = self.device.address or self.device.device_id.removeprefix("ble-")
        await self._say_what_stands()
        try:
            await self._offer_again()
            kept = session.memory.get("bluetooth", {})
            async with Radio.open(self.settings.radio, kept, self._keep_bonds) as radio:
                found = await radio.find(address, self._search_seconds)
                async with Link.open(radio, found, self._awake.set) as link:
                    self.link = link
                    await self._prepare()
                    await self._pump()
        except DeviceUnavailable as error:
            stands = self.standing.sentence
            if stands is None or stands == error.sentence:
                raise
            raise DeviceUnavailable(texts.both(stands, error.sentence)) from error
        finally:
            await self.unkept.save(self._still_queued())
            if (undated := self.dating.memory()) != session.memory.get("undated", []):
                await session.remember(undated=undated)

    async def say(self, state: DeviceState, sentence: Text, *, again: bool = False) -> None:
        """Say how the device is, unless that was the last thing said (`again`: also then)."""
        if state is DeviceState.IDLE and self.standing.sentence is not None:
            state, sentence, again = DeviceState.FAILED, self.standing.sentence, False
        if again or (state, sentence) != self._said:
            self._said = (state, sentence)
            await self.session.status(state, sentence)

    async def _say_what_stands(self) -> None:
        """A result beyond what can be measured, also while the device is looked for; what stood too long, no more."""
        if self.standing.last is not None:
            await self.session.status(DeviceState.SEARCHING, self.standing.sentence)
            await self._take_away_what_is_old()

    async def _take_away_what_is_old(self) -> None:
        if (last := self.standing.last) is None or self.standing.sentence is not None:
            return
        await self.standing.take_away()
        if self._said == (DeviceState.FAILED, last):
            await self.say(DeviceState.IDLE, self._ready())

    @property
    def _search_seconds(self) -> float:
        """A search ends also when what stands on the card is to go."""
        left = self.standing.left()
        return min(self.settings.search_seconds, left or self.settings.search_seconds)

    async def _keep_bonds(self, bonds: dict[str, Any]) -> None:
        await self.session.remember(bluetooth=bonds)

    async def _prepare(self) -> None:
        link = self.link
        if not any(link.has(uuid, "notify", "indicate") for uuid in (*self.listens, *self.streams)):
            raise DeviceUnavailable(texts.WRONG_SORT)
        await self.say(DeviceState.CONNECTED, await self._introduce())
        await self._watch_battery()
        unknown = DeviceClock(self.settings.zone, timedelta(days=self.settings.trusted_days))
        self._timekeeper = Timekeeper(link, self.session, unknown)
        await self._timekeeper.set()
        for uuid in (*self.streams, *self.listens):
            await link.subscribe(uuid, lambda data, uuid=uuid: self._heard(uuid, data))  # type: ignore[misc]
        self._timekeeper.listening()
        await self.say(DeviceState.IDLE, self._ready())
        await self.begin()

    async def _introduce(self) -> Text:
        """What the device says it is. Kept, so that service staff find it even when the device is away."""
        parts = {
            "manufacturer": uuids.MANUFACTURER_NAME,
            "model": uuids.MODEL_NUMBER,
            "serial_number": uuids.SERIAL_NUMBER,
            "firmware": uuids.FIRMWARE_REVISION,
        }
        about = {name: parse_words(data)[:80] for name, uuid in parts.items() if (data := await self.link.read(uuid))}
        about = {name: words for name, words in about.items() if words}
        if about and about != self.session.memory.get("about"):
            await self.session.remember(about=about)
        words = " ".join(about[name] for name in ("manufacturer", "model") if name in about)
        return texts.known(words) if words else texts.CONNECTED

    async def _watch_battery(self) -> None:
        if data := await self.link.read(uuids.BATTERY_LEVEL):
            await self._tell_battery(data)
        if self.link.has(uuids.BATTERY_LEVEL, "notify"):
            await self.link.subscribe(uuids.BATTERY_LEVEL, lambda data: self._heard_newest(uuids.BATTERY_LEVEL, data))

    async def _tell_battery(self, data: bytes) -> None:
        with suppress(MalformedFrame):
            level = parse_battery_level(data)
            if level is None:
                return
            state, sentence = self._said or (DeviceState.CONNECTED, texts.CONNECTED)
            is_ready = sentence == self._ready()
            self._battery_low = level <= NEARLY_EMPTY
            if is_ready:
                self._said = state, self._ready()
            elif self._battery_low:
                stands = self.standing.sentence
                sentence = texts.LOW_BATTERY if stands is None else texts.both(stands, texts.LOW_BATTERY)
            await self.session.status(state, self._ready() if is_ready else sentence, battery=level)

    def _ready(self) -> Text:
        return texts.low_battery(self.ready) if self._battery_low else self.ready

    # Frames

    def _heard(self, uuid: str, data: bytes) -> None:
        if uuid in self.streams:
            self._heard_newest(uuid, data)
            return
        if self._cut_off is None:
            self._queue.append(Frame(uuid, data, self.session.now()))
        if len(self._queue) > QUEUE:
            self.cut_off(texts.FLOODED)
        self._awake.set()

    def cut_off(self, sentence: Text) -> None:
        """End the connection to a device that sends what it cannot mean. What waits of it is nobody's reading."""
        self._cut_off = sentence
        self._queue.clear()
        self._newest.clear()

    def _heard_newest(self, uuid: str, data: bytes) -> None:
        if uuid not in self._newest:
            self._queue.append(Frame(uuid, b"", self.session.now()))
        self._newest[uuid] = data
        self._awake.set()

    async def _pump(self) -> None:
        """Take frames and commands until the device is gone and everything it sent is handed over."""
        command = asyncio.create_task(self.session.next_command())
        command.add_done_callback(lambda _: self._awake.set())
        try:
            while self._cut_off is None:
                heed_cancellation()
                self._awake.clear()
                if self._queue:
                    await self._handle()
                elif self.link.lost:
                    await self.gone()
                    break
                elif command.done():
                    await self.command(command.result())
                    command = asyncio.create_task(self.session.next_command())
                    command.add_done_callback(lambda _: self._awake.set())
                else:
                    await self._wait()
        finally:
            command.cancel()
            await asyncio.wait({command})
        raise DeviceUnavailable(self._farewell())

    async def _wait(self) -> None:
        pause, left = self.pause(), self.standing.left()
        until = min((seconds for seconds in (pause, left) if seconds is not None), default=None)
        try:
            async with asyncio.timeout(until):
                await self._awake.wait()
        except TimeoutError:
            await self._take_away_what_is_old()
            if until == pause:
                await self._deliver(list(self.paused()))
                await self.after()

    def _farewell(self) -> Text:
        if self._cut_off is not None:
            return self._cut_off
        if self._is_measuring and not self._streaming:
            return texts.LOST_MEASURING
        if self.standing.sentence is not None:
            return self.standing.sentence
        return texts.ASLEEP if self._took_any else texts.LOST

    async def _handle(self) -> None:
        if self._queue[0].uuid in self.listens and self._queue[0].uuid != uuids.RECORD_ACCESS:
            await self._timekeeper.check()  # it stays in the queue meanwhile, where a cancellation does not lose it
            if self._cut_off is not None:
                return
        frame = self._queue.popleft()
        frame = replace(frame, data=self._newest.pop(frame.uuid, frame.data))
        if frame.uuid == uuids.BATTERY_LEVEL:
            await self._tell_battery(frame.data)
            return
        await self._deliver(self._interpret(frame), insist=frame.uuid not in self.streams)
        await self.after()

    def _interpret(self, frame: Frame) -> list[Outcome]:
        self._arrived = frame.at
        if frame.uuid in self.listens:
            self._timekeeper.heard(frame.at)
        try:
            outcomes = list(self.take(frame.uuid, frame.data))
        except MalformedFrame as error:
            self.malformed += 1
            shown = frame.data[:64].hex()
            log.warning("%s: malformed frame %s of %s: %s", self.device.device_id, shown, frame.uuid, error)
            return [Notice(DeviceState.FAILED, texts.malformed(self.malformed))]
        return [each if each is None else each.received(frame.at) for each in outcomes]

    async def _deliver(self, outcomes: list[Outcome], *, insist: bool = True) -> None:
        """Hand over readings and say sentences, in order. `insist`: a failure is said each time, not once in a row."""
        self.unkept.readings += [each for each in outcomes if isinstance(each, Taken) and each.must_be_remembered]
        for outcome in outcomes:
            if isinstance(outcome, Notice):
                sentence = self._dated(outcome.received(self.session.now()))
                if outcome.stays:
                    await self.standing.put(sentence)
                elif outcome.state is DeviceState.MEASURING:
                    await self.standing.take_away()
                await self.say(outcome.state, sentence, again=insist and outcome.state is DeviceState.FAILED)
            elif isinstance(outcome, Taken) and outcome.continuous:
                await self._stream(outcome)
            elif isinstance(outcome, Taken):
                await self._hand_over(outcome)
                if outcome.must_be_remembered:
                    self.unkept.readings.remove(outcome)
                self._took_any = True
                await self.kept(outcome)
                await self.standing.take_away()
                await self.say(DeviceState.IDLE, self._ready())

    def _dated(self, notice: Notice) -> Text:
        if notice.at is None:
            return notice.sentence
        return texts.of_time(notice.sentence, f"{notice.at.astimezone(self.settings.zone):%Y-%m-%d %H:%M}")

    async def _stream(self, taken: Taken) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._streamed_at.get(taken.kind, float("-inf")) < STREAM_PAUSE:
            return
        self._streamed_at[taken.kind] = now
        self._streaming = True
        await self.standing.take_away()
        await self._hand_over(taken)
        await self.say(DeviceState.MEASURING, self.measuring)

    async def _hand_over(self, taken: Taken) -> None:
        await self.session.reading(
            taken.kind,
            taken.values,
            taken_at=taken.taken_at,
            sequence=taken.sequence,
            flags=taken.flags,
            continuous=taken.continuous,
            raw=taken.raw,
        )

    # What was received and not kept yet

    def _still_queued(self) -> list[Taken]:
        """Readings of frames that would be lost with this connection."""
        left: list[Taken] = []
        while self._queue:
            frame = self._queue.popleft()
            if frame.uuid in self.listens:
                outcomes = [outcome for outcome in self._interpret(frame) if isinstance(outcome, Taken)]
                left += [taken for taken in outcomes if taken.must_be_remembered]
        return left + [each for each in self.held() if isinstance(each, Taken) and each.must_be_remembered]

    async def _offer_again(self) -> None:
        """Offer what an earlier reader received and could not hand over. Raises ReadingNotTaken."""
        while self.unkept.readings:
            await self._hand_over(self.unkept.readings[0])
            del self.unkept.readings[0]
        await self.unkept.save()


async def _forget(_: dict[str, Any]) -> None:
    """Discovery pairs with nothing, so there is nothing to keep."""
