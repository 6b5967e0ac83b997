"""Encounters: open one, note what is said, finish it. A person has at most one open encounter on a vehicle.

Which of several open encounters the devices measure for is `services.measuring`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from teleconsult.domain.errors import N_, Conflict, InvalidInput, NotFound
from teleconsult.domain.people import site_today
from teleconsult.domain.roles import Actor, Role
from teleconsult.services import measuring
from teleconsult.services.measuring import OPEN
from teleconsult.services.node import Node, Work
from teleconsult.services.patients import PatientSummary, current_patient, current_patients, summaries
from teleconsult.services.permissions import require_role, require_vehicle
from teleconsult.store import latest, new_version, versions
from teleconsult.store.tables import Encounter, Stop

FINISHED = "finished"
MAX_TEXT = 10_000
"""Characters of the notes of one encounter."""


@dataclass(frozen=True)
class EncounterView:
    """An encounter with the person it is about. `measuring` says whether devices measure for it now."""

    id: str
    version: int
    patient: PatientSummary
    vehicle_id: str | None
    village_id: str | None
    doctor_id: str
    doctor_name: str
    state: str
    reason: str
    notes: str
    started_at: datetime
    finished_at: datetime | None
    saved_at: datetime
    measuring: bool

    @property
    def is_open(self) -> bool:
        """Whether it still goes on."""
        return self.state == OPEN


def start_encounter(node: Node, actor: Actor, patient_id: str, *, reason: str = "") -> EncounterView:
    """Open an encounter on the actor's vehicle, or give the one that is open there for this person."""
    vehicle_id = require_vehicle(actor)
    with node.transaction(actor) as work:
        patient = current_patient(work.session, patient_id)
        row = _open_one(work.session, patient_id, vehicle_id)
        if row is None:
            values = {
                "patient_id": patient_id,
                "vehicle_id": vehicle_id,
                "village_id": _village_of_stop(work, vehicle_id) or patient.village_id,
                "doctor_id": actor.user_id,
                "doctor_name": actor.name,
                "reason": _text(reason, "reason"),
                "started_at": work.now,
            }
            row = new_version(work.session, Encounter, values, author=actor, node_id=node.node_id)
            _written(work, row, "create")
        return view(work, row)


def open_encounter_page(node: Node, actor: Actor, encounter_id: str) -> EncounterView:
    """The encounter for its page. Audited.

    Opening the page makes the devices measure for it, unless they measure for somebody whom another doctor
    is seeing: a second doctor's page must not take a reading away from the first one's patient. That page
    shows for whom they measure, and a button (`measure_for`).
    """
    require_role(actor, Role.VEHICLE_DOCTOR)
    with node.transaction(actor) as work:
        row = current_encounter(work.session, encounter_id)
        work.audit("read", "encounter", encounter_id, patient_id=row.patient_id)
        if row.state == OPEN and row.vehicle_id == actor.vehicle_id == node.node_id:
            active = measuring.target(node, work.session, work.now)
            if active is None or (active.actor_id == actor.user_id and active.encounter_id != encounter_id):
                measuring.choose(work, row)
        return view(work, row)


def read_encounter(node: Node, actor: Actor, encounter_id: str) -> EncounterView:
    """The encounter as it stands. Audited; changes nothing about whom the devices measure for."""
    require_role(actor, Role.VEHICLE_DOCTOR)
    with node.transaction(actor) as work:
        row = current_encounter(work.session, encounter_id)
        work.audit("read", "encounter", encounter_id, patient_id=row.patient_id)
        return view(work, row)


def measure_for(node: Node, actor: Actor, encounter_id: str) -> EncounterView:
    """Make the devices measure for this encounter from now on, whatever they measured for before."""
    require_vehicle(actor)
    with node.transaction(actor) as work:
        row = _changeable(work, encounter_id)
        measuring.choose(work, row)
        return view(work, row)


def save_notes(
    node: Node,
    actor: Actor,
    encounter_id: str,
    *,
    reason: str | None = None,
    notes: str | None = None,
    seen_version: int,
) -> EncounterView:
    """Keep what was written as a new version; text that did not change makes none.

    `seen_version` is the version the writer started from. Raises Conflict if somebody has changed the same
    text since; other changes of the encounter do not stand in the way.
    """
    require_vehicle(actor)
    with node.transaction(actor) as work:
        row = _changeable(work, encounter_id)
        given = {"reason": reason, "notes": notes}
        texts = {field: _text(text, field) for field, text in given.items() if text is not None}
        changed = {field: text for field, text in texts.items() if text != getattr(row, field)}
        if not changed:
            return view(work, row)
        if seen_version != row.version:
            _refuse_if_changed(work.session, encounter_id, seen_version, list(changed))
        new = new_version(work.session, Encounter, changed, author=actor, node_id=node.node_id, corrects=row)
        _written(work, new, "update")
        return view(work, new)


def finish_encounter(node: Node, actor: Actor, encounter_id: str) -> EncounterView:
    """End the visit. Devices stop measuring for it. Can be undone with `reopen_encounter`."""
    require_vehicle(actor)
    with node.transaction(actor) as work:
        row = current_encounter(work.session, encounter_id)
        require_vehicle(actor, row.vehicle_id)
        if row.state == FINISHED:
            return view(work, row)
        new = new_version(
            work.session,
            Encounter,
            {"state": FINISHED, "finished_at": work.now},
            author=actor,
            node_id=node.node_id,
            corrects=row,
        )
        _written(work, new, "update")
        measuring.release(work, encounter_id)
        return view(work, new)


def reopen_encounter(node: Node, actor: Actor, encounter_id: str) -> EncounterView:
    """Undo finishing. Raises Conflict if the person has another open encounter here."""
    require_vehicle(actor)
    with node.transaction(actor) as work:
        row = current_encounter(work.session, encounter_id)
        vehicle_id = require_vehicle(actor, row.vehicle_id)
        if row.state == OPEN:
            return view(work, row)
        if _open_one(work.session, row.patient_id, vehicle_id):
            raise Conflict(N_("This person already has another open encounter on this vehicle."))
        new = new_version(
            work.session,
            Encounter,
            {"state": OPEN, "finished_at": None},
            author=actor,
            node_id=node.node_id,
            corrects=row,
        )
        _written(work, new, "update")
        return view(work, new)


def being_seen(node: Node, actor: Actor) -> list[EncounterView]:
    """All open encounters of the actor's vehicle, the newest first. Audited as one look at a list."""
    vehicle_id = require_vehicle(actor)
    with node.transaction(actor) as work:
        rows = work.session.exec(
            select(Encounter)
            .where(Encounter.vehicle_id == vehicle_id, Encounter.state == OPEN, col(Encounter.current).is_(True))
            .order_by(col(Encounter.started_at).desc())
        )
        found = views(work, list(rows))
        work.audit("list", "encounter", detail=f"open: {len(found)}")
        return found


def current_encounter(session: Session, encounter_id: str) -> Encounter:
    """The current version. Raises NotFound."""
    row = latest(session, Encounter, encounter_id)
    if row is None:
        raise NotFound(N_("There is no such encounter on this machine."))
    return row


def view(work: Work, row: Encounter) -> EncounterView:
    """One encounter as pages show it."""
    return views(work, [row])[0]


def views(work: Work, rows: list[Encounter]) -> list[EncounterView]:
    """Encounters as pages show them, in the given order."""
    people = current_patients(work.session, {row.patient_id for row in rows})
    shown = {person.id: person for person in summaries(work.session, people, work.now)}
    active = measuring.target(work.node, work.session, work.now)
    return [
        EncounterView(
            id=row.record_id,
            version=row.version,
            patient=shown[row.patient_id],
            vehicle_id=row.vehicle_id,
            village_id=row.village_id,
            doctor_id=row.doctor_id,
            doctor_name=row.doctor_name,
            state=row.state,
            reason=row.reason,
            notes=row.notes,
            started_at=row.started_at,
            finished_at=row.finished_at,
            saved_at=row.written_at,
            measuring=active is not None and active.encounter_id == row.record_id,
        )
        for row in rows
        if row.patient_id in shown
    ]


def _changeable(work: Work, encounter_id: str) -> Encounter:
    row = current_encounter(work.session, encounter_id)
    require_vehicle(work.actor, row.vehicle_id)
    if row.state != OPEN:
        raise Conflict(N_("This encounter is finished. Open it again to go on writing."))
    return row


def _open_one(session: Session, patient_id: str, vehicle_id: str) -> Encounter | None:
    query = select(Encounter).where(
        Encounter.patient_id == patient_id,
        Encounter.vehicle_id == vehicle_id,
        Encounter.state == OPEN,
        col(Encounter.current).is_(True),
    )
    return session.exec(query.order_by(col(Encounter.started_at))).first()


def _village_of_stop(work: Work, vehicle_id: str) -> str | None:
    today = site_today(work.now)
    query = select(Stop.village_id).where(Stop.vehicle_id == vehicle_id, Stop.day == today, col(Stop.active).is_(True))
    return work.session.exec(query.order_by(Stop.id)).first()


def _refuse_if_changed(session: Session, encounter_id: str, seen_version: int, fields: list[str]) -> None:
    history = {row.version: row for row in versions(session, Encounter, encounter_id)}
    seen = history.get(seen_version)
    if seen is None:
        raise NotFound(N_("There is no such encounter on this machine."))
    for version in sorted(history):
        other = history[version]
        if version > seen_version and any(getattr(other, name) != getattr(seen, name) for name in fields):
            raise Conflict(
                N_("%(name)s has changed this text meanwhile. Yours is still here: compare the two."),
                name=other.author_name,
            )


def _text(text: str, field: str) -> str:
    if len(text) > MAX_TEXT:
        raise InvalidInput(
            N_("This text is longer than %(most)s characters. Shorten it; nothing was lost."),
            field=field,
            most=MAX_TEXT,
        )
    return text.replace("\r\n", "\n").strip()


def _written(work: Work, row: Encounter, action: str) -> None:
    work.audit(action, "encounter", row.record_id, patient_id=row.patient_id)
    work.share(row, [row.vehicle_id] if row.vehicle_id else [])
    work.announce(
        f"encounter:{row.record_id}",
        "encounter:changed",
        {"encounter_id": row.record_id, "version": row.version, "state": row.state},
    )
