"""Device hosts on demonstration plugins, in real processes: what they tell, and how to wait for it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from teleconsult.plugin_api import DeviceInfo, DeviceStatus, Limits, Reading, Waveform
from teleconsult.plugin_host import DeviceAssignment, DeviceConfig, DeviceHost, PluginHost

WAIT = 20.0


@dataclass
class Heard:
    """What a device host told, and a way to wait for it."""

    queue: queue.Queue[Any] = field(default_factory=queue.Queue)
    memory: dict[str, Any] = field(default_factory=dict)
    offered: list[str] = field(default_factory=list)
    refuse: int = 0
    """So many readings to come are not kept."""

    def reading(self, reading: Reading) -> None:
        self.offered.append(reading.reading_id)
        if self.refuse:
            self.refuse -= 1
            raise RuntimeError("database is locked")
        self.queue.put(reading)

    def next(self, kind: type[Any], fits: Callable[[Any], bool] = lambda _: True, timeout: float = WAIT) -> Any:
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            try:
                value = self.queue.get(timeout=left)
            except queue.Empty:
                break
            if isinstance(value, kind) and fits(value):
                return value
        raise AssertionError(f"no {kind.__name__} within {timeout} s")


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def device_host(heard: Heard) -> Iterator[Callable[..., DeviceHost]]:
    """`device_host(plugins, silent=2)`: a device host whose words go to `heard`."""
    hosts: list[DeviceHost] = []

    def start(plugins: PluginHost, **config: Any) -> DeviceHost:
        values = {"restart_first": 0.05, "restart_limit": 0.2, "beat": 0.2, "limits": Limits(), **config}
        host = DeviceHost(
            plugins,
            on_reading=heard.reading,
            on_waveform=heard.queue.put,
            on_status=heard.queue.put,
            on_memory=heard.memory.__setitem__,
            config=DeviceConfig(**values),
        )
        hosts.append(host)
        return host

    yield start
    for host in hosts:
        host.close()


def assign(reader: str, plugin: str = "devices", **more: Any) -> DeviceAssignment:
    return DeviceAssignment(DeviceInfo(device_id=f"d-{reader}", name=reader), plugin, reader, **more)


def eventually(condition: Callable[[], Any], what: str, timeout: float = WAIT) -> Any:
    """Wait until the condition holds, and return what it gave."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        pause.wait(0.02)
    return result


__all__ = ["DeviceStatus", "Heard", "Reading", "Waveform", "assign", "eventually"]
