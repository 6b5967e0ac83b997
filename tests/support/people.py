"""More people for a test than the small world has."""

from __future__ import annotations

from datetime import date

from teleconsult.services import patients
from teleconsult.services.node import Node
from teleconsult.services.patients import PersonInput
from tests.support.world import World


def another_patient(node: Node, name: str = "李大山", born: date = date(1990, 5, 1)) -> str:
    """Register somebody in the world's village; gives the id."""
    person = PersonInput(name=name, sex="male", birth_date=born, village_id=World.village_id)
    return patients.register_patient(node, World.doctor, person).id
