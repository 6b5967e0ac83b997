"""What happens inside a device's process, run here without one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from teleconsult.plugin_api import Command, DeviceInfo, DeviceReader, DeviceUnavailable, Limits, ReaderType
from teleconsult.plugin_host.device_worker import NodeSession, _read_device

DEVICE = DeviceInfo(device_id="cuff", name="Cuff")


class Channel:
    """The node's end, which only listens."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    def states(self) -> list[str]:
        return [message["status"]["state"] for message in self.sent if "status" in message]

    def memories(self) -> list[dict[str, Any]]:
        return [message["memory"] for message in self.sent if "memory" in message]


class Plugin:
    """A loaded plugin with one reader."""

    settings = None

    def __init__(self, reader: type[DeviceReader]) -> None:
        self.readers = {"cuff": ReaderType("cuff", "Cuff", reader, ("blood_pressure",))}


def session_on(channel: Any, **limits: Any) -> NodeSession:
    return NodeSession(channel, DEVICE, {"kept": 1}, Limits(**limits))


def test_a_command_to_a_lost_device_is_not_carried_out_when_it_is_back() -> None:
    obeyed: list[Command] = []
    runs: list[str] = []

    class Cuff(DeviceReader):
        async def run(self, session: Any) -> None:
            runs.append("run")
            if len(runs) == 1:
                session.take_command(Command.MEASURE)  # the node had not heard yet that the cuff is gone
                raise DeviceUnavailable
            obeyed.append(await session.next_command())

    async def scenario() -> None:
        session = session_on(Channel())
        reading = asyncio.create_task(_read_device(Plugin(Cuff), "cuff", session, 0.0, 0.0))  # type: ignore[arg-type]
        async with asyncio.timeout(5):
            while len(runs) < 2:
                await asyncio.sleep(0)
            session.take_command(Command.CANCEL)
            while not obeyed:
                await asyncio.sleep(0)
        reading.cancel()

    asyncio.run(scenario())
    assert obeyed[0] is Command.CANCEL


def test_what_is_remembered_often_is_kept_now_and_then_and_the_last_of_it_always() -> None:
    channel = Channel()

    async def scenario() -> None:
        session = session_on(channel, memories_per_second=20)
        for count in range(100):
            await session.remember(count=count)
        assert channel.memories() == [{"kept": 1, "count": 0}], "the first at once"
        async with asyncio.timeout(5):
            while len(channel.memories()) < 2:
                await asyncio.sleep(0.01)

    asyncio.run(scenario())
    assert channel.memories()[1:] == [{"kept": 1, "count": 99}]


def test_what_has_not_changed_is_not_kept_again() -> None:
    channel = Channel()

    async def scenario() -> None:
        session = session_on(channel)
        await session.remember(kept=1)
        await session.keep_memory()

    asyncio.run(scenario())
    assert channel.memories() == []


@pytest.mark.parametrize("end", [RuntimeError("broken"), SystemExit(3), asyncio.CancelledError()])
def test_what_was_remembered_last_is_kept_however_the_reader_ends(end: BaseException) -> None:
    channel = Channel()

    class Cuff(DeviceReader):
        async def run(self, session: Any) -> None:
            for count in range(3):
                await session.remember(count=count)
            raise end

    async def scenario() -> None:
        await _read_device(Plugin(Cuff), "cuff", session_on(channel), 0.0, 0.0)  # type: ignore[arg-type]

    with pytest.raises(type(end)):
        asyncio.run(scenario())
    assert channel.memories()[-1] == {"kept": 1, "count": 2}
