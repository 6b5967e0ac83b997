"""Fixtures of the tests that read virtual Bluetooth devices."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from teleconsult.domain.plugin_state import MemoryPluginStateStore, PluginRecord
from teleconsult.plugin_host import PluginConfig, PluginHost
from teleconsult.plugin_host.virtual_devices import VirtualRadio
from teleconsult.services.node import Node
from tests.support.clinic import PLUGIN, Clinic


@pytest.fixture
def radio(request: pytest.FixtureRequest) -> Iterator[VirtualRadio]:
    """A radio with one device: a cuff, if the test does not say which."""
    with VirtualRadio(getattr(request, "param", "blood-pressure"), speed=200) as radio:
        yield radio


@pytest.fixture
def clinic_node(vehicle: Node, radio: VirtualRadio) -> Iterator[Node]:
    """The vehicle's node with vitals-bluetooth on that radio."""
    states = MemoryPluginStateStore()
    states.save(PluginRecord(PLUGIN, settings={"radio": radio.address}))
    vehicle.plugins = PluginHost(PluginConfig(only=frozenset({PLUGIN})), states)
    vehicle.plugins.start()
    yield vehicle
    vehicle.plugins.stop()


@pytest.fixture
def clinic(clinic_node: Node, radio: VirtualRadio) -> Iterator[Clinic]:
    """The node with the device assigned, somebody's encounter open, and the reader connected."""
    clinic = Clinic(clinic_node, radio)
    try:
        yield clinic.ready()
    finally:
        clinic.stop()
