"""Devices that exist only as software, for tests and `teleconsult plugin check`. No node uses them."""

from __future__ import annotations

from teleconsult.plugin_api.checking import SimulatedDevice
from teleconsult_vitals_serial.simulated.analysers import NetworkAnalyserDevice, SerialAnalyserDevice
from teleconsult_vitals_serial.simulated.oximeters import SpotCheckOximeter


def simulated() -> list[type[SimulatedDevice]]:
    """One device for each reader of this plugin."""
    return [SpotCheckOximeter, NetworkAnalyserDevice, SerialAnalyserDevice]
