"""Short ways to a consult in any state, through the services."""

from __future__ import annotations

from typing import Any

from teleconsult.domain.consult import Action
from teleconsult.domain.ids import new_id
from teleconsult.domain.roles import Actor
from teleconsult.services import consults
from teleconsult.services.consults import ConsentInput, RequestInput
from teleconsult.services.node import Node
from teleconsult.services.opinions import OpinionInput, sign_opinion
from teleconsult.store import new_version
from teleconsult.store.tables import Consult, Encounter, Observation
from tests.support.world import World

OPINION = OpinionInput(impression="血压控制不佳", advice="加用氨氯地平 5 mg 每日一次，两周后复测。")
CONSENT = ConsentInput(given_by="patient", how="oral")
LOINC = {"blood_pressure": ("8480-6", "8462-4"), "spo2": ("59408-5",), "pulse_rate": ("8867-4",)}
UCUM = {"blood_pressure": "mm[Hg]", "spo2": "%", "pulse_rate": "/min"}


def open_encounter(node: Node, *, encounter_id: str | None = None, notes: str = "") -> str:
    """An open encounter of the world's patient on the world's vehicle; gives its id."""
    values = {
        "patient_id": World.patient_id,
        "vehicle_id": World.vehicle_id,
        "village_id": World.village_id,
        "doctor_id": World.doctor.user_id,
        "doctor_name": World.doctor.name,
        "notes": notes,
    }
    with node.store.write() as tx:
        row = new_version(
            tx.session, Encounter, values, author=World.doctor, node_id=node.node_id, record_id=encounter_id
        )
        return row.record_id


def add_reading(
    node: Node, encounter_id: str | None, kind: str = "blood_pressure", *numbers: float, **more: Any
) -> str:
    """An accepted reading; gives its id."""
    shown = numbers or (168, 102)
    values = {
        "patient_id": World.patient_id,
        "encounter_id": encounter_id,
        "kind": kind,
        "components": [
            {"code": code, "value": value, "unit": UCUM[kind]} for code, value in zip(LOINC[kind], shown, strict=True)
        ],
        "status": "final",
        "taken_at": node.clock(),
        **more,
    }
    with node.store.write() as tx:
        row = new_version(tx.session, Observation, values, author=World.doctor, node_id=node.node_id)
        return row.record_id


def ask(node: Node, actor: Actor = World.doctor, **changes: Any) -> Consult:
    """A requested consult."""
    encounter_id = changes.pop("encounter_id", None) or open_encounter(node)
    values: dict[str, Any] = {
        "id": new_id(),
        "encounter_id": encounter_id,
        "specialty": "cardiology",
        "urgency": "urgent",
        "reason": "胸闷两小时，请心内科会诊",
        "consent": CONSENT,
        **changes,
    }
    return consults.request_consult(node, actor, RequestInput.model_validate(values))


def accepted(node: Node, **changes: Any) -> Consult:
    """A consult that the world's specialist has in hand."""
    return consults.take_step(node, World.specialist, ask(node, **changes).id, Action.ACCEPT)


def signed(node: Node, **changes: Any) -> Consult:
    """A consult with a signed opinion."""
    consult = accepted(node, **changes)
    sign_opinion(node, World.specialist, consult.id, OPINION)
    with node.store.read() as session:
        found = session.get(Consult, consult.id)
        assert found is not None
        return found
