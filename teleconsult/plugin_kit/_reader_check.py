"""One reader that is being checked: how it is run on its simulated device, and what was seen of it on the way."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from teleconsult.domain.errors import N_
from teleconsult.plugin_api import ReaderType, Text
from teleconsult.plugin_api.checking import SimulatedDevice
from teleconsult.plugin_host._loader import describe_error
from teleconsult.plugin_kit._runs import POLL, Run, SimulationBroke

LETTING_GO = 3.0
"""Seconds that a reader has to let go of its device."""


@dataclass
class ReaderCheck:
    """One reader with the simulated device that it is tried on, and what was seen of it on the way."""

    reader: ReaderType
    make: Callable[[], SimulatedDevice]
    fill: Callable[[Any], Any]
    """Settings by name → the plugin's settings model."""
    texts: set[Text] = field(default_factory=set)
    battery: int | None = None
    ran: bool = False
    undeclared: set[str] = field(default_factory=set)
    """Kinds that it sent and does not declare; each is told once."""
    spoilt: str = ""
    """Why nothing more can be shown on it; empty as long as something can."""

    @property
    def key(self) -> str:
        """The reader's key."""
        return self.reader.key

    @contextlib.asynccontextmanager
    async def run(self, device: SimulatedDevice, late: float = 0.0) -> AsyncIterator[Run]:
        """The reader, running on the device."""
        async with Run(self.reader, self._filled(device), device, late, self.undeclared) as run:
            try:
                yield run
            finally:
                run.collect()
                self.ran = self.ran or bool(run.seen)
                self.texts.update(run.texts)
                self.battery = self.battery if run.battery is None else run.battery
            run.raise_noticed(fault=False)
        due = time.monotonic() + LETTING_GO
        while device.in_use and time.monotonic() < due:
            await asyncio.sleep(POLL)  # the next reader must not meet the last one's connection

    def _filled(self, device: SimulatedDevice) -> Any:
        try:
            return self.fill(device.settings)
        except ValueError as error:
            why = N_("The settings of the simulated device are not the plugin's: %(error)s")
            raise SimulationBroke(why, error=describe_error(error)) from error
