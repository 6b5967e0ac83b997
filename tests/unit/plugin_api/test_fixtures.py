"""The fixtures for plugin authors: an invented patient, her encounter, a simulated device, nodes with a plugin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from teleconsult.plugin_api import DeviceInfo, DeviceReader, DeviceSession, Page
from teleconsult.plugin_api.checking import Measured, SimulatedDevice
from teleconsult.plugin_api.testing import DeviceBench
from teleconsult.plugin_kit import make_project


class Scale(DeviceReader):
    """Reads whatever the simulated scale was asked for."""

    async def run(self, session: DeviceSession) -> None:
        await SimulatedScale.weighed.wait()
        await session.reading("body_weight", {"body_weight": (70, "kg")}, sequence=1)


class SimulatedScale(SimulatedDevice):
    reader = "scale"
    weighed: Any = None
    on = False

    @property
    def device(self) -> DeviceInfo:
        return DeviceInfo(device_id="scale-1", name="Scale", kinds=("body_weight",))

    async def switch_on(self, late: float = 0.0) -> None:
        SimulatedScale.weighed, self.on = asyncio.Event(), True

    async def switch_off(self) -> None:
        self.on = False

    async def measure(self) -> Measured:
        self.weighed.set()
        return Measured("body_weight", {"body_weight": (70, "kg")})


def test_a_patient_has_no_open_encounter_and_is_changed_by_name(virtual_patient: Callable[..., Any]) -> None:
    patient = virtual_patient(age_years=8)
    assert (patient.age_years, patient.sex, patient.encounter_id, patient.readings) == (8, "female", None, ())


def test_an_encounter_has_readings_in_their_own_units(virtual_encounter: Callable[..., Any]) -> None:
    encounter = virtual_encounter({"blood_pressure": {"systolic": 150, "diastolic": 90}}, page=Page.CONSULT)
    [reading] = encounter.readings
    assert (reading.value("systolic"), reading.components[0].unit) == (Decimal(150), "mm[Hg]")
    assert encounter.encounter_id
    assert encounter.page is Page.CONSULT


def test_a_device_is_switched_on_and_read(virtual_device: Callable[..., DeviceBench]) -> None:
    simulated = SimulatedScale()
    bench = virtual_device(simulated, Scale)
    assert simulated.on
    bench.do(simulated.measure())
    assert bench.reading("body_weight").device_id == "scale-1"


def test_a_hub_calls_a_plugin_that_is_not_installed(
    virtual_hub: Callable[..., Any], virtual_encounter: Callable[..., Any], tmp_path: Any
) -> None:
    project = make_project("my-panel", "panel", tmp_path)
    with virtual_hub("my-panel", project=project) as hub:
        assert len(hub.panels(virtual_encounter({"body_weight": {"body_weight": 70}}))) == 1


def test_they_are_there_by_name(request: pytest.FixtureRequest) -> None:
    names = ("virtual_patient", "virtual_encounter", "virtual_device", "virtual_hub", "virtual_vehicle")
    assert all(callable(request.getfixturevalue(name)) for name in names)
