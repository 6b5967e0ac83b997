"""What `teleconsult plugin check` tries the readers on: they are their own devices, so there is little to switch on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from teleconsult.plugin_api import DeviceInfo, ReaderType
from teleconsult.plugin_api.checking import Measured, NotSimulated, SimulatedDevice


class SoftwareDevice(SimulatedDevice):
    """One of the simulated devices, a hundred times as fast as a real one."""

    def __init__(self, made: ReaderType) -> None:
        self.reader = made.key  # type: ignore[misc]
        self._made = made
        self._device = DeviceInfo(device_id="unknown", name="unknown")

    @property
    def device(self) -> DeviceInfo:
        """As its own search finds it."""
        return self._device

    @property
    def settings(self) -> Mapping[str, Any]:
        """Faster than life."""
        return {"speed": 100}

    async def switch_on(self, late: float = 0.0) -> None:
        """Find it. Software is never late."""
        if late:
            raise NotSimulated
        async for info in self._made.reader.discover():
            self._device = info

    async def switch_off(self) -> None:
        """Nothing is held."""

    async def measure(self) -> Measured:
        """The reader makes its own numbers; only their plausibility can be checked."""
        await asyncio.sleep(0)
        return Measured(self._made.kinds[0])


def simulated() -> Sequence[Callable[[], SimulatedDevice]]:
    """One for each reader."""
    from teleconsult_vitals_simulator import register_device_readers

    return [partial(SoftwareDevice, made) for made in register_device_readers()]
