"""Readers that do well, and readers that do each of the things a broken one does. One reader key each."""

import asyncio
import contextlib
import itertools
import os
import sys
import time

from teleconsult.plugin_api import DeviceInfo, DeviceReader, DeviceUnavailable, PluginInfo, ReaderType, Text, hookimpl

time.sleep(float(os.environ.get("TEST_SLOW_IMPORT", "0")))

SPO2 = {"spo2": (97, "%")}


class Steady(DeviceReader):
    """Sends a reading each time it is asked, and remembers how many."""

    @classmethod
    async def discover(cls, settings=None):
        for name in ("Scale", "Scale", "Scale 2"):
            yield DeviceInfo(device_id="scale", name=name)

    async def run(self, session):
        count = session.memory.get("count", 0)
        await session.status("idle", f"remembers {count}")
        while True:
            await session.next_command()
            count += 1
            await session.reading("spo2", SPO2, sequence=count)
            await session.remember(count=count)
            await session.status("idle", f"sent {count}")


class Crash(DeviceReader):
    async def run(self, session):
        raise RuntimeError("the driver broke")


class Exit(DeviceReader):
    async def run(self, session):
        sys.exit(4)


class Die(DeviceReader):
    async def run(self, session):
        os.write(2, b"the library gave up\n")
        os._exit(5)


class Block(DeviceReader):
    async def run(self, session):
        time.sleep(3600)


class Spin(DeviceReader):
    """Is heard, and does nothing but keep a core busy."""

    async def run(self, session):
        while True:
            await asyncio.sleep(0)


class Lost(DeviceReader):
    """Neither found nor reached."""

    @classmethod
    async def discover(cls, settings=None):
        raise DeviceUnavailable(Text(en="Switch Bluetooth on.", zh="请打开蓝牙。"))
        yield

    async def run(self, session):
        raise DeviceUnavailable("Not in reach")


class Away(DeviceReader):
    """Out of reach until there is a file at its address."""

    async def run(self, session):
        if not os.path.exists(self.device.address):
            raise DeviceUnavailable("Not in reach")
        await session.status("idle")
        while True:
            await session.status("measuring", f"obeys {await session.next_command()}")


class Fast(DeviceReader):
    """Sends as fast as it is let, waiting for each; finds devices without end."""

    @classmethod
    async def discover(cls, settings=None):
        for number in itertools.count():
            yield DeviceInfo(device_id=f"ghost-{number}", name="Ghost")

    async def run(self, session):
        count = 0
        while True:
            count += 1
            await session.reading("spo2", SPO2, sequence=count)


class Flood(DeviceReader):
    """Sends ten thousand a second without waiting for any."""

    async def run(self, session):
        count = 0
        while True:
            for _ in range(100):
                count += 1
                asyncio.ensure_future(session.reading("spo2", SPO2, sequence=count))  # noqa: RUF006
            await asyncio.sleep(0.01)


class Bypass(DeviceReader):
    """Goes round the session and floods the node itself."""

    async def run(self, session):
        while True:
            session._channel.send({"beat": True})


class Notes(DeviceReader):
    """Goes round the session and has the node write to its database without end."""

    async def run(self, session):
        for count in range(200):
            session._channel.send({"memory": {"count": count}})
        await session.next_command()


class Oversize(DeviceReader):
    async def run(self, session):
        session._channel.send({"status": {"device_id": self.device.device_id, "sentence": "x" * 10_000_000}})
        await session.next_command()


class Nonsense(DeviceReader):
    async def run(self, session):
        session._channel.send({"reading": {"kind": "blood_pressure", "value": "NaN"}, "n": 1})
        await session.next_command()


class Undeclared(DeviceReader):
    async def run(self, session):
        await session.reading("body_weight", {"body_weight": (70, "kg")}, sequence=1)


class Stubborn(DeviceReader):
    """Refuses to be cancelled."""

    async def run(self, session):
        await session.status("idle")
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)


@hookimpl
def describe_plugin():
    return PluginInfo(title="Devices", api_version="1.0")


@hookimpl
def register_device_readers():
    readers = (
        Steady, Crash, Exit, Die, Block, Spin, Lost, Away, Fast, Flood, Bypass, Notes, Oversize, Nonsense, Undeclared,
        Stubborn,
    )  # fmt: skip
    return [ReaderType(r.__name__.lower(), r.__name__, r, ("spo2",), commands=("measure",)) for r in readers]
