"""For whom this vehicle's devices measure just now.

Several browsers may have several encounters open on one vehicle, so which of them readings go to is never
guessed: it is one stored fact of the node, changed by a person, shown on every page. It ends with the encounter
and with the day at the site. A reading without it waits to be placed by a person.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from teleconsult.domain.people import site_today
from teleconsult.services.node import Node, Work
from teleconsult.services.patients import PatientSummary, current_patient, summary
from teleconsult.store import latest
from teleconsult.store.tables import Encounter, NodeSetting

OPEN = "open"
_KEY = "measuring_for"


@dataclass(frozen=True)
class MeasuringFor:
    """The encounter that readings go to, since when, and who chose it."""

    encounter_id: str
    patient_id: str
    actor_id: str
    since: datetime


def target(node: Node, session: Session, now: datetime) -> MeasuringFor | None:
    """The encounter the devices measure for at `now`, or None."""
    setting = session.get(NodeSetting, _KEY)
    if setting is None or not setting.value:
        return None
    values = json.loads(setting.value)
    chosen = MeasuringFor(**{**values, "since": datetime.fromisoformat(values["since"])})
    if site_today(chosen.since) != site_today(now):
        return None
    row = latest(session, Encounter, chosen.encounter_id)
    if row is None or row.state != OPEN or row.vehicle_id != node.node_id:
        return None
    return chosen


def target_patient(node: Node) -> tuple[MeasuringFor, PatientSummary] | None:
    """Whom the devices measure for, to be shown on every page of the vehicle."""
    with node.store.read() as session:
        now = node.clock()
        chosen = target(node, session, now)
        if chosen is None:
            return None
        return chosen, summary(session, current_patient(session, chosen.patient_id), now)


def announced_target(node: Node) -> dict[str, Any]:
    """What `measuring` says now: the encounter and the person, or nulls."""
    found = target_patient(node)
    if found is None:
        return {"encounter_id": None, "patient": None}
    return {"encounter_id": found[0].encounter_id, "patient": patient_words(found[1])}


def choose(work: Work, encounter: Encounter) -> None:
    """From now on the devices measure for this encounter."""
    values = {
        "encounter_id": encounter.record_id,
        "patient_id": encounter.patient_id,
        "actor_id": work.actor.user_id,
        "since": work.now.isoformat(),
    }
    work.session.merge(NodeSetting(key=_KEY, value=json.dumps(values)))
    person = summary(work.session, current_patient(work.session, encounter.patient_id), work.now)
    _announce(work, {"encounter_id": encounter.record_id, "patient": patient_words(person)})


def release(work: Work, encounter_id: str) -> None:
    """The devices measure for nobody, if it was this encounter they measured for."""
    setting = work.session.get(NodeSetting, _KEY)
    if setting is not None and setting.value and json.loads(setting.value)["encounter_id"] == encounter_id:
        setting.value = ""
        work.session.add(setting)
        _announce(work, {"encounter_id": None, "patient": None})


def patient_words(person: PatientSummary) -> dict[str, Any]:
    """What has to stand beside a reading: who it is of."""
    return {"id": person.id, "name": person.name, "age": person.age, "sex": person.sex.value}


def _announce(work: Work, data: dict[str, Any]) -> None:
    work.announce("node", "measuring", data)
