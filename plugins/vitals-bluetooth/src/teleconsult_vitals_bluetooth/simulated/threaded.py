"""The virtual radio on a thread of its own, so that plain tests can speak to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

from teleconsult.plugin_api import DeviceInfo
from teleconsult_vitals_bluetooth.settings import BluetoothSettings
from teleconsult_vitals_bluetooth.simulated import radio as virtual
from teleconsult_vitals_bluetooth.simulated.devices import stamp
from teleconsult_vitals_bluetooth.simulated.radio import Value

__all__ = ["Peripheral", "Radio", "Value", "device", "stamp"]
WAIT = 5.0


class Radio:
    """A virtual radio and its thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="radio", daemon=True)
        self.thread.start()
        self.air = virtual.VirtualRadio()
        self.do(self.air.open())
        self.settings = BluetoothSettings(radio=self.air.transport, search_seconds=WAIT)

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do it on the radio's thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WAIT)

    def close(self) -> None:
        """End it with everything on it."""
        self.do(self._close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(WAIT)
        self.loop.close()

    async def _close(self) -> None:
        await self.air.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Peripheral:
    """One virtual device; `service_180f={…}` and the like add services."""

    def __init__(self, radio: Radio, service: int, values: dict[int, Value], **more: dict[int, Value]) -> None:
        self.radio = radio
        services = {service: values, **{int(name.removeprefix("service_"), 16): v for name, v in more.items()}}
        radio.do(self._start(services))
        self.address, self.device = self.inner.address, self.inner.device
        self.all, self.connections = self.inner.values, self.inner.connections

    async def _start(self, services: dict[int, dict[int, Value]]) -> None:
        self.inner = virtual.Peripheral(self.radio.air, services)
        await self.inner.switch_on()

    def send(self, number: int, *frames: bytes) -> None:
        """Wait until a reader listens, and send these."""
        self.radio.do(self.inner.send(number, *frames))

    def soon(self, *frames: tuple[int, bytes]) -> None:
        """From within a write: send these after it."""
        self.inner.send_soon(*frames)

    def sent(self) -> None:
        """Wait until everything that `soon` sends is out."""
        self.radio.do(self.inner.sent())

    def hang_up(self) -> None:
        """End the connection."""
        self.radio.do(self.inner.hang_up())

    def vanish(self) -> None:
        """Be out of reach."""
        self.radio.do(self.inner.vanish())

    def alone(self) -> None:
        """Wait until nobody is connected."""
        self.radio.do(self.inner.until(lambda: not self.inner.in_use))

    def until(self, condition: Any) -> None:
        """Wait until it holds."""
        self.radio.do(self.inner.until(condition))


def device(peripheral: Peripheral) -> DeviceInfo:
    """The device as a person would have chosen it."""
    return DeviceInfo(device_id=f"ble-{peripheral.address}", name="virtual", address=peripheral.address)
