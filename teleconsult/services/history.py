"""What is known of a person from before: earlier encounters with their readings, and what the encounter page shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from teleconsult.domain import measurement
from teleconsult.domain.roles import Actor, Role
from teleconsult.services import encounters, measuring, observations, tray
from teleconsult.services.encounters import EncounterView
from teleconsult.services.node import Node
from teleconsult.services.observation_views import FINAL, last_visit, short_view
from teleconsult.services.patients import PatientSummary, current_patient, summary
from teleconsult.services.permissions import require_role
from teleconsult.store.tables import Consult, Encounter, Observation, Patient

EARLIER = 20
SHOWN_KINDS = ("blood_pressure", "spo2", "body_temperature", "glucose", "body_weight")
"""Tiles that an encounter shows even before anything was measured, if there is a value from an earlier visit."""


@dataclass(frozen=True)
class EarlierVisit:
    """An encounter from before, in one line."""

    encounter: Encounter
    readings: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class PersonPage:
    """All that a person's page shows."""

    patient: Patient
    summary: PatientSummary
    visits: tuple[EarlierVisit, ...]
    open_encounter_id: str | None
    """Open on the actor's vehicle"""


@dataclass(frozen=True)
class EncounterPage:
    """All that the encounter page shows."""

    encounter: EncounterView
    readings: tuple[dict[str, Any], ...]
    """Of this encounter, newest first"""
    previous: dict[str, dict[str, Any]]
    """Kind → value of the last visit, for kinds not measured yet"""
    visits: tuple[EarlierVisit, ...]
    consults: tuple[Consult, ...]
    measuring: PatientSummary | None
    """Whom the vehicle's devices measure for now"""
    unassigned: tuple[dict[str, Any], ...]
    """The readings of the vehicle's tray that came last"""
    unassigned_count: int


def look_at_person(node: Node, actor: Actor, patient_id: str) -> PersonPage:
    """A person with their earlier visits. Audited as one reading of the record. Raises NotFound."""
    with node.transaction(actor) as work:
        row = current_patient(work.session, patient_id)
        work.audit("read", "patient", patient_id, patient_id=patient_id)
        visits = earlier_visits(work.session, patient_id)
        going_on = next(
            (
                v.encounter.record_id
                for v in visits
                if v.encounter.state == measuring.OPEN and v.encounter.vehicle_id == actor.vehicle_id
            ),
            None,
        )
        return PersonPage(row, summary(work.session, row, work.now), tuple(visits), going_on)


def look_at_encounter(node: Node, actor: Actor, encounter_id: str) -> EncounterPage:
    """An encounter for its page; devices may begin to measure for it (`encounters.open_encounter_page`)."""
    view = encounters.open_encounter_page(node, actor, encounter_id)
    with node.transaction(actor) as work:
        session = work.session
        readings = observations.readings_of(work, encounter_id)
        measured = {reading["kind"] for reading in readings if reading["status"] != "cancelled"}
        previous = {}
        for kind in SHOWN_KINDS:
            if kind not in measured:
                row = last_visit(session, view.patient.id, kind, besides=encounter_id)
                if row is not None:
                    previous[kind] = short_view(row)
        query = select(Consult).where(Consult.encounter_id == encounter_id)
        target = measuring.target(node, session, work.now)
        here = actor.vehicle_id == node.node_id
        return EncounterPage(
            encounter=view,
            readings=tuple(readings),
            previous=previous,
            visits=tuple(earlier_visits(session, view.patient.id, besides=encounter_id, most=6)),
            consults=tuple(session.exec(query.order_by(col(Consult.requested_at).desc()))),
            measuring=summary(session, current_patient(session, target.patient_id), work.now) if target else None,
            unassigned=tuple(observations.tray(work, most=tray.BESIDE)) if here else (),
            unassigned_count=observations.tray_count(session) if here else 0,
        )


def read_readings(node: Node, actor: Actor, encounter_id: str) -> list[dict[str, Any]]:
    """An encounter's readings as they stand, for a page that is open already.

    Audited. Unlike opening the page it changes nothing about whom the devices measure for: a page that was left open
    in the background, and whose connection comes back, must not take the next reading for its own person.
    """
    require_role(actor, Role.VEHICLE_DOCTOR)
    with node.transaction(actor) as work:
        row = encounters.current_encounter(work.session, encounter_id)
        work.audit("read", "encounter", encounter_id, patient_id=row.patient_id)
        return observations.readings_of(work, encounter_id)


def earlier_visits(
    session: Session, patient_id: str, *, besides: str | None = None, most: int = EARLIER
) -> list[EarlierVisit]:
    """A person's encounters, the latest first. The caller audits the page."""
    query = select(Encounter).where(Encounter.patient_id == patient_id, col(Encounter.current).is_(True))
    if besides is not None:
        query = query.where(Encounter.record_id != besides)
    rows = list(session.exec(query.order_by(col(Encounter.started_at).desc()).limit(most)))
    readings = _readings(session, [row.record_id for row in rows])
    return [EarlierVisit(row, tuple(readings.get(row.record_id, ()))) for row in rows]


def _readings(session: Session, encounter_ids: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    query = select(Observation).where(
        col(Observation.encounter_id).in_(list(encounter_ids)),
        col(Observation.current).is_(True),
        Observation.status == FINAL,
    )
    order = list(measurement.KINDS)
    found: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(session.exec(query), key=lambda r: (order.index(r.kind), r.taken_at)):
        found.setdefault(str(row.encounter_id), []).append(short_view(row))
    return found
