"""The process of one device: loads the plugin, runs its reader, carries what it says. Started by `DeviceHost`.

Messages are JSON objects. The node sends `{"run": …}` or `{"discover": …}` first, then `{"command"}`, `{"ack"}`
and `{"nack"}`; this process sends `{"beat", "cpu"}`, `{"reading", "n"}`, `{"waveform"}`, `{"status"}`, `{"memory"}`,
`{"found"}`, `{"unavailable"}` and, before it ends by a fault, `{"fault"}`.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from teleconsult.plugin_api import (
    Command,
    DeviceInfo,
    DeviceReader,
    DeviceSession,
    DeviceState,
    DeviceStatus,
    DeviceUnavailable,
    Limits,
    Reading,
    ReadingNotTaken,
    Text,
    Waveform,
)
from teleconsult.plugin_host import _faults
from teleconsult.plugin_host._child import confine
from teleconsult.plugin_host._loader import LoadedPlugin, LoadFailure, describe_error, load_plugin
from teleconsult.plugin_host._status import PluginStatus
from teleconsult.process import Backoff, ChildChannel, open_channel

KEEP_TRIES = 6
KEEP_WAIT = 15.0
"""Seconds to wait for the node to say whether it kept a reading."""
CLEANING_UP = 3.0
"""Seconds a reader has to let go of its device."""
FAULT_STATUS = 3

LOST = Text(en="The device is out of reach. It is looked for.", zh="设备未连接，正在查找。")


class NodeSession(DeviceSession):
    """A session whose other end is the node, over the process's channel."""

    def __init__(self, channel: ChildChannel, device: DeviceInfo, memory: Mapping[str, Any], limits: Limits) -> None:
        super().__init__(device, memory, limits)
        self._channel = channel
        self._numbers = itertools.count(1)
        self._kept: dict[int, asyncio.Future[bool]] = {}
        self.kept_any = False

    def take_command(self, command: Command) -> None:
        """What the node asks of the device. Dropped if the reader has a pile of unread commands."""
        self._ask(command)

    def forget_commands(self) -> None:
        """Drop what was asked and not read: it was meant for the person who was at the device then."""
        while not self._commands.empty():
            self._commands.get_nowait()

    def settle(self, number: int, kept: bool) -> None:
        """The node's word on a reading."""
        future = self._kept.get(number)
        if future and not future.done():
            future.set_result(kept)

    async def keep_memory(self) -> None:
        """Hand over what is remembered and was not handed over yet."""
        if self._keeping:
            self._keeping.cancel()
        await self._keep_memory()

    async def _send_reading(self, reading: Reading) -> None:
        pauses = Backoff(0.2, 5.0)
        for _ in range(KEEP_TRIES):
            number = next(self._numbers)
            future = self._kept[number] = asyncio.get_running_loop().create_future()
            self._channel.send({"reading": reading.model_dump(mode="json"), "n": number})
            try:
                async with asyncio.timeout(KEEP_WAIT):  # wait_for may swallow a cancellation on Python 3.11
                    kept = await future
                if kept:
                    self.kept_any = True
                    return
            except TimeoutError:
                pass
            finally:
                del self._kept[number]
            await asyncio.sleep(pauses.next())
        raise ReadingNotTaken("The reading could not be kept now.")

    async def _send_waveform(self, waveform: Waveform) -> None:
        self._channel.send({"waveform": waveform.model_dump(mode="json")})

    async def _send_status(self, status: DeviceStatus) -> None:
        self._channel.send({"status": status.model_dump(mode="json")})

    async def _send_memory(self, memory: Mapping[str, Any]) -> None:
        self._channel.send({"memory": dict(memory)})


async def _read_device(plugin: LoadedPlugin, reader: str, session: NodeSession, first: float, limit: float) -> None:
    """Run the reader for ever, anew whenever its device was lost. Raises what is a fault."""
    pauses = Backoff(first, limit)
    make = plugin.readers[reader].reader
    sentence: Text | None = None
    while True:
        session.kept_any = False
        await session.status(DeviceState.SEARCHING, sentence)  # why it was lost stays to be read
        session.forget_commands()
        try:
            await _run(make(session.device, plugin.settings), session)
            sentence = LOST
        except DeviceUnavailable as lost:
            sentence = lost.sentence
        except ReadingNotTaken:
            sentence = LOST
        if session.kept_any:
            pauses.reset()
        await session.status(DeviceState.SEARCHING, sentence)
        await asyncio.sleep(pauses.next())


async def _run(reader: DeviceReader, session: NodeSession) -> None:
    """Run the reader, and keep what it remembered last however it ends."""
    try:
        await reader.run(session)
    finally:
        await session.keep_memory()


async def _discover(plugin: LoadedPlugin, reader: str, channel: ChildChannel, per_second: float) -> None:
    """Tell of each device that is new, or of which more is known now, or why none can be looked for."""
    try:
        await _tell_found(plugin.readers[reader].reader.discover(plugin.settings), channel, per_second)
    except DeviceUnavailable as error:
        channel.send({"unavailable": error.sentence.model_dump(mode="json")})


async def _tell_found(devices: AsyncIterator[DeviceInfo], channel: ChildChannel, per_second: float) -> None:
    """So many a second at most."""
    known: dict[str, DeviceInfo] = {}
    async for device in devices:
        if known.get(device.device_id) == device:
            await asyncio.sleep(0)  # a search that does nothing but repeat itself must hear that it is to end
            continue
        known[device.device_id] = device
        channel.send({"found": device.model_dump(mode="json")})
        await asyncio.sleep(1 / per_second)


async def _beat(channel: ChildChannel, every: float) -> None:
    while True:
        channel.send({"beat": True, "cpu": time.process_time()})
        await asyncio.sleep(every)


async def _listen(messages: Any, session: NodeSession | None) -> None:
    """Pass on what the node says, until it is gone."""
    async for message in messages:
        if session is None:
            continue
        if "command" in message:
            session.take_command(Command(message["command"]))
        elif "ack" in message:
            session.settle(message["ack"], True)
        elif "nack" in message:
            session.settle(message["nack"], False)


async def _work(channel: ChildChannel) -> int:
    messages = channel.messages()
    first = await anext(messages, None)
    if first is None:
        return 0
    job = first.get("run") or first["discover"]
    try:
        plugin = load_plugin(job["plugin"], job.get("settings", {}))
        if job["reader"] not in plugin.readers:
            raise LoadFailure(PluginStatus.STOPPED_BY_VALIDATION, f"it has no reader {job['reader']!r}")
    except LoadFailure as failure:
        channel.send({"fault": failure.error})
        return FAULT_STATUS
    session = None
    if "run" in first:
        device = DeviceInfo.model_validate(job["device"])
        session = NodeSession(channel, device, job["memory"], Limits(**job["limits"]))
        work = _read_device(plugin, job["reader"], session, job["restart_first"], job["retry_limit"])
    else:
        work = _discover(plugin, job["reader"], channel, job["per_second"])
    return await _supervise(channel, messages, session, asyncio.create_task(work), job["beat"])


async def _supervise(
    channel: ChildChannel, messages: Any, session: NodeSession | None, reading: asyncio.Task[None], beat: float
) -> int:
    """Keep the reader, the beat and the listening going until one of them ends. Returns the exit status."""
    beating = asyncio.create_task(_beat(channel, beat))
    listening = asyncio.create_task(_listen(messages, session))
    ends: set[asyncio.Task[Any]] = {reading, listening}
    if session:
        ends.add(asyncio.create_task(session.refused.wait()))
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    refused = bool(session and session.refused.is_set())
    if not reading.done():
        reading.cancel()
        await asyncio.wait({reading}, timeout=CLEANING_UP)
    beating.cancel()
    if refused:
        channel.send({"fault": _faults.TOO_MUCH})
        return FAULT_STATUS
    if reading.done() and not reading.cancelled() and (error := reading.exception()):
        channel.send({"fault": describe_error(error)})
        return FAULT_STATUS
    return 0


def main() -> None:
    """Run until the node closes our input or the reader fails."""
    channel = open_channel()
    confine(f"device {sys.argv[1]}" if len(sys.argv) > 1 else "device")
    try:
        status = asyncio.run(_bounded(channel))
    except BaseException as error:  # sys.exit() in a reader comes out here
        channel.send({"fault": describe_error(error)})
        status = FAULT_STATUS
    sys.stderr.flush()
    os._exit(status)  # threads that the plugin left behind must not keep the process alive


async def _bounded(channel: ChildChannel) -> int:
    status = await _work(channel)
    sys.stderr.flush()
    os._exit(status)  # tasks that refuse to be cancelled must not keep the process alive


if __name__ == "__main__":
    main()
