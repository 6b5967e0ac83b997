"""The node's devices: each assigned one is read in a process of its own, watched and started again.

This module knows nothing of patients and encounters: it hands over readings, and its owner places them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from teleconsult.domain.errors import N_, InvalidInput, NotFound, Unavailable
from teleconsult.plugin_api import Command, DeviceInfo, DeviceState, DeviceStatus, Reading, Text, Waveform
from teleconsult.plugin_host._config import DeviceConfig
from teleconsult.plugin_host._description import ReaderDescription
from teleconsult.plugin_host._device import SWITCHED_OFF, DeviceAssignment, DeviceView, HostedDevice, Sinks
from teleconsult.plugin_host._discovery import Discovery
from teleconsult.plugin_host._gate import StartGate
from teleconsult.plugin_host._host import PluginHost

log = structlog.get_logger(__name__)


def _forget(_device_id: str, _memory: Mapping[str, Any]) -> None:
    """Where nobody keeps what readers remember."""


class DeviceHost:
    """All devices of this node.

    `on_reading(reading)` keeps a reading or raises, and then the same reading comes again with the same
    `reading_id`. `on_waveform(waveform)` and `on_status(status)` pass on. `on_memory(device_id, values)` keeps
    what a reader wants to remember; give it back in the next `DeviceAssignment`. All are called on threads of
    this object; those of one device one at a time and in order.
    """

    def __init__(
        self,
        plugins: PluginHost,
        *,
        on_reading: Callable[[Reading], None],
        on_waveform: Callable[[Waveform], None],
        on_status: Callable[[DeviceStatus], None],
        on_memory: Callable[[str, Mapping[str, Any]], None] = _forget,
        config: DeviceConfig | None = None,
    ) -> None:
        self._plugins = plugins
        self._config = config or DeviceConfig()
        self._sinks = Sinks(on_reading, on_waveform, on_status, on_memory, self._fault)
        self._gate = StartGate(self._config.starting)
        self._devices: dict[str, HostedDevice] = {}
        self._lock = threading.Lock()  # guards the table alone: devices are started, stopped and heard outside it
        self._closing = threading.Event()
        self._changed: set[str] = set()
        self._wake = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="devices", daemon=True)
        self._keeper.start()
        plugins.on_change(self._plugin_changed)

    def start_device(self, assignment: DeviceAssignment) -> DeviceView:
        """Read this device from now on; an earlier assignment of the same device ends.

        Where its plugin does not run now, the device is off and starts when the plugin is switched on.
        """
        device_id = assignment.device.device_id
        with self._lock:
            before = self._devices.get(device_id)
            hosted = self._devices[device_id] = self._make(assignment)
        if before:
            before.stop()
        self._begin(hosted)
        return hosted.view()

    def stop_device(self, device_id: str, *, missing_ok: bool = False) -> None:
        """Stop reading it and forget the assignment. Raises NotFound unless `missing_ok`."""
        with self._lock:
            hosted = self._devices.pop(device_id, None)
        if hosted:
            hosted.stop()
        elif not missing_ok:
            raise _no_device(device_id)

    def command(self, device_id: str, command: Command | str) -> None:
        """Ask something of a device. Raises NotFound, InvalidInput (it cannot do that), Unavailable.

        A device that is away is asked nothing: it would obey when it is back, with somebody else's arm in the cuff.
        """
        hosted = self._devices.get(device_id)
        if hosted is None:
            raise _no_device(device_id)
        if command not in hosted.view().commands:
            raise InvalidInput(N_("This device cannot do that."), field="command")
        if hosted.status.state in (DeviceState.SEARCHING, DeviceState.OFF):
            raise Unavailable(N_("The device is not connected. Switch it on, and ask again when it is ready."))
        if not hosted.command(Command(command)):
            raise Unavailable(N_("The device is being started. Try again in a moment."))

    def devices(self) -> list[DeviceView]:
        """All assigned devices, by id."""
        return [self._devices[device_id].view() for device_id in sorted(self._devices)]

    def device(self, device_id: str) -> DeviceView:
        """One device. Raises NotFound."""
        hosted = self._devices.get(device_id)
        if hosted is None:
            raise _no_device(device_id)
        return hosted.view()

    def discover(
        self,
        plugin: str,
        reader: str,
        on_found: Callable[[DeviceInfo], None],
        seconds: float = 15.0,
        *,
        on_unavailable: Callable[[Text], None] = lambda _sentence: None,
    ) -> Callable[[], None]:
        """Look for devices that a reader can read; `on_found` is called for each, on a thread, and again when more
        is known of it. `on_unavailable` is called at most once: nothing can be looked for, and why.

        Returns at once, with a function that ends the search early. Raises NotFound if there is no such reader.
        """
        self._reader(plugin, reader)
        search = Discovery(plugin, reader, self._config, on_found, lambda why: self._fault(plugin, why), on_unavailable)
        search.start(self._plugins.plugin(plugin).settings, self._plugins.config.paths, seconds)
        return search.end

    def close(self) -> None:
        """End all device processes, all at the same time."""
        self._closing.set()
        self._wake.set()
        self._keeper.join(5.0)
        with self._lock:
            devices, self._devices = list(self._devices.values()), {}
        threads = [threading.Thread(target=device.stop, daemon=True) for device in devices]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _make(self, assignment: DeviceAssignment) -> HostedDevice:
        view = self._plugins.plugin(assignment.plugin)
        reader = next((r for r in view.readers if r.key == assignment.reader), None)
        return HostedDevice(
            assignment,
            commands=reader.commands if reader else (),
            kinds=reader.kinds if reader else (),
            waveforms=reader.waveforms if reader else (),
            settings=view.settings,
            paths=self._plugins.config.paths,
            config=self._config,
            sinks=self._sinks,
            gate=self._gate,
        )

    def _begin(self, hosted: HostedDevice) -> None:
        plugin, reader = hosted.assignment.plugin, hosted.assignment.reader
        if any(o.plugin == plugin and o.reader.key == reader for o in self._plugins.readers()):
            hosted.start()
        else:
            hosted.stop(SWITCHED_OFF)

    def _reader(self, plugin: str, key: str) -> ReaderDescription:
        for offered in self._plugins.readers():
            if offered.plugin == plugin and offered.reader.key == key:
                return offered.reader
        raise NotFound(N_("The plugin %(name)s does not offer this."), name=plugin)

    def _fault(self, plugin: str, sentence: str) -> None:
        self._plugins.record_fault(plugin, sentence)

    def _plugin_changed(self, name: str) -> None:
        # Called while the plugin's lock may be held, and stopping a device takes seconds: leave it to the keeper.
        self._changed.add(name)
        self._wake.set()

    def _keep(self) -> None:
        """Look after the processes every second, and follow the plugins' switches."""
        while not self._closing.is_set():
            self._wake.wait(1.0)
            self._wake.clear()
            while self._changed:
                self._follow(self._changed.pop())
            for hosted in list(self._devices.values()):
                hosted.look()

    def _follow(self, plugin: str) -> None:
        view = self._plugins.plugin(plugin)
        if view.status == "loading":
            return
        runs = view.status == "enabled"
        for hosted in list(self._devices.values()):
            if hosted.assignment.plugin != plugin:
                continue
            if hosted.wanted and not runs:
                hosted.stop(SWITCHED_OFF)
            elif runs and (not hosted.wanted or hosted.settings != view.settings):
                self._replace(hosted)

    def _replace(self, hosted: HostedDevice) -> None:
        """Read a device anew, with the plugin's settings of now, unless a person has changed it meanwhile."""
        hosted.stop()
        with self._lock:
            if self._devices.get(hosted.device_id) is not hosted:
                return
            new = self._devices[hosted.device_id] = self._make(replace(hosted.assignment, memory=hosted.memory))
        self._begin(new)


def _no_device(device_id: str) -> NotFound:
    return NotFound(N_("There is no device %(device)s here."), device=device_id)
