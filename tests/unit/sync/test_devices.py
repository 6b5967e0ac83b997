"""Readings that a device wrote, before anybody accepted them, travel too; in a device's name nothing else does."""

from __future__ import annotations

import pytest

from teleconsult.domain.roles import Actor, Role
from teleconsult.services.node import Node
from teleconsult.store import new_version
from teleconsult.store.tables import Encounter, Observation
from tests.support.link import push
from tests.support.world import World

CUFF = Actor("device:cuff-1", "臂式血压计", Role.SYSTEM)
PRESSURES = [{"code": "8480-6", "value": 121, "unit": "mm[Hg]"}, {"code": "8462-4", "value": 77, "unit": "mm[Hg]"}]
READING = {
    "kind": "blood_pressure",
    "device_id": "cuff-1",
    "patient_id": World.patient_id,
    "components": PRESSURES,
}


@pytest.mark.parametrize(
    ("table", "values", "result"),
    [
        (Observation, READING, "new"),
        (Observation, {**READING, "device_id": "other"}, "invalid"),
        (Observation, {**READING, "source": "manual"}, "invalid"),
        (
            Encounter,
            {"patient_id": World.patient_id, "doctor_id": World.doctor.user_id, "doctor_name": "甲"},
            "invalid",
        ),
    ],
)
def test_a_device_writes_its_own_readings_only(
    vehicle: Node, hub: Node, table: type[Observation], values: dict[str, object], result: str
) -> None:
    with vehicle.transaction(CUFF) as work:
        work.share(new_version(work.session, table, values, author=CUFF, node_id=vehicle.node_id))
    assert [answer["result"] for answer in push(vehicle, hub)] == [result]
