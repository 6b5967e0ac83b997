"""The demonstration's Bluetooth cuff: a virtual device that the vehicle reads like a real one.

It is there if both plugins that it needs are installed, and the demonstration goes on without it if not.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime

from teleconsult.demo.county import stable_id
from teleconsult.domain.errors import TeleconsultError
from teleconsult.domain.plugin_state import PluginRecord
from teleconsult.plugin_host import find_plugins
from teleconsult.plugin_host.virtual_devices import VirtualRadio
from teleconsult.services.node import Node
from teleconsult.store.plugins import DatabasePluginState
from teleconsult.store.tables import DeviceAssignment

KIND = "blood-pressure"
READS = "vitals-bluetooth"
READER = "cuff"
SPEED = 2.0
"""A measurement takes twelve seconds, so that nobody waits long."""
MEASURE, DROP = "m", "d"
_ID = stable_id("device", "virtual-bluetooth-cuff")
_ADDED = datetime(2025, 1, 7, tzinfo=UTC)


def start(vehicle: Node) -> VirtualRadio | None:
    """Put the cuff on the air, and make it the vehicle's own. None if it cannot be had; the reason is written."""
    if READS not in {plugin.name for plugin in find_plugins()}:
        return None
    try:
        radio = VirtualRadio(KIND, speed=SPEED)
        radio.start()
    except TeleconsultError as error:
        sys.stderr.write(f"{error}\n")
        return None
    _assign(vehicle, radio)
    return radio


def _assign(vehicle: Node, radio: VirtualRadio) -> None:
    """The radio's port is another one at every start; what a person changed about the device stays."""
    states = DatabasePluginState(vehicle.store)
    record = states.get(READS) or PluginRecord(READS)
    states.save(replace(record, settings={**record.settings, "radio": radio.address}))
    [device] = radio.devices
    with vehicle.store.write() as tx:
        if tx.session.get(DeviceAssignment, _ID) is None:
            tx.session.add(
                DeviceAssignment(
                    id=_ID,
                    plugin=READS,
                    reader=READER,
                    device_id=f"ble-{device.address}",
                    name="蓝牙血压计",
                    info={"kinds": ["blood_pressure"], "model": device.name, "address": device.address},
                    made_at=_ADDED,
                )
            )


def take_letters(radio: VirtualRadio) -> None:
    """Let the person at the terminal press the cuff's button, if there is a terminal."""
    if sys.stdin is not None and sys.stdin.isatty():
        threading.Thread(target=_take, args=(radio,), daemon=True).start()


def _take(radio: VirtualRadio) -> None:
    for line in sys.stdin:
        letter = line.strip()
        if letter in (MEASURE, DROP):
            threading.Thread(target=_press, args=(radio, letter), daemon=True).start()


def _press(radio: VirtualRadio, letter: str) -> None:
    try:
        radio.measure(misbehave="drop" if letter == DROP else None)
    except TeleconsultError as error:
        sys.stderr.write(f"{error}\n")
