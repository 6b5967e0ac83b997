"""Simulated devices for `teleconsult plugin check`, and the virtual radio that the tests use. Never on a node."""

from __future__ import annotations

from collections.abc import Sequence

from teleconsult.plugin_api.checking import SimulatedDevice


def simulated() -> Sequence[type[SimulatedDevice]]:
    """One device for each reader."""
    from teleconsult_vitals_bluetooth.simulated import devices  # bumble: only where it is needed

    return (
        devices.SimulatedCuff,
        devices.SimulatedOximeter,
        devices.SimulatedThermometer,
        devices.SimulatedMeter,
        devices.SimulatedScale,
        devices.SimulatedStrap,
    )
