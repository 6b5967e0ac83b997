"""What a plugin implements to read a device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from teleconsult.domain import measurement
from teleconsult.plugin_api._devices import Command, DeviceInfo
from teleconsult.plugin_api._session import DeviceSession
from teleconsult.plugin_api._text import Text


class DeviceReader(ABC):
    """Reads one device. It runs as asyncio code in a process of its own, so a crash ends nothing else.

    `settings` is the plugin's own settings model, filled; None if the plugin has none. Open nothing in
    `__init__`: a reader is made anew for every attempt to reach its device.
    """

    def __init__(self, device: DeviceInfo, settings: Any = None) -> None:
        self.device = device
        self.settings = settings

    @abstractmethod
    async def run(self, session: DeviceSession) -> None:
        """Reach the device and read it until cancelled.

        Raise DeviceUnavailable when the device is out of reach: it is tried again with growing pauses.
        Returning means the same. Any other exception is a fault: the process is started anew, and the plugin
        is switched off after repeated faults. On cancellation, let go of the device within three seconds.
        """

    @classmethod
    async def discover(cls, settings: Any = None) -> AsyncIterator[DeviceInfo]:
        """Look for devices until cancelled or all are found. A device without discovery finds nothing.

        Raise DeviceUnavailable if nothing can be looked for, such as without Bluetooth: its sentence is shown.
        """
        return
        yield


@dataclass(frozen=True)
class ReaderType:
    """What `register_device_readers` returns: one sort of device that the plugin can read."""

    key: str
    """The plugin's own word, such as "cuff"; stored with each device, so never change it."""
    title: Text
    reader: type[DeviceReader]
    kinds: tuple[str, ...]
    waveforms: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    """What the device understands; pages show a button for each."""

    def __post_init__(self) -> None:
        if isinstance(self.title, str):
            object.__setattr__(self, "title", Text(en=self.title))
        for word in self.kinds:
            if word not in measurement.KINDS:
                raise ValueError(f"reader {self.key!r}: there is no kind {word!r}")
        for word in self.waveforms:
            if word not in measurement.WAVEFORMS:
                raise ValueError(f"reader {self.key!r}: there is no waveform {word!r}")
        if not (isinstance(self.reader, type) and issubclass(self.reader, DeviceReader)):
            raise TypeError(f"reader {self.key!r}: {self.reader!r} is not a subclass of DeviceReader")
