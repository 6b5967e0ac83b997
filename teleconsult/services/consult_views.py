"""What pages show of a consult: the queue, a person's own consults, and everything about one. Nothing is written here
but the audit: one entry for each page that shows patients.

Labels in the values are English message ids; pages translate them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, or_, select

from teleconsult.domain.consult import OVER, Action, State, Urgency, actions
from teleconsult.domain.errors import TeleconsultError
from teleconsult.domain.roles import Actor, Role
from teleconsult.services import attachments, chat, consult_steps, opinions
from teleconsult.services.consult_access import Sight, check_sight, sight
from teleconsult.services.node import Node, Work
from teleconsult.services.observation_views import FINAL, PRELIMINARY, reading_views, short_view
from teleconsult.services.patients import PatientSummary, current_patient, current_patients, summaries, summary
from teleconsult.services.permissions import require_role
from teleconsult.store import latest
from teleconsult.store.tables import (
    Consent,
    Consult,
    ConsultEvent,
    Encounter,
    Invitation,
    Observation,
    Opinion,
    Organization,
    User,
    Vehicle,
    Village,
)

KEY_KINDS = ("blood_pressure", "spo2", "pulse_rate", "glucose", "body_temperature")
"""What a queue row shows, in this order, four at most."""

TREND_SPAN = timedelta(days=366)
"""How far back trends go."""

WAIT_SPAN = timedelta(days=60)
MIN_WAITS = 3
"""Fewer accepted requests than this say nothing about the usual wait."""

_IN_HAND = (State.ACCEPTED, State.IN_CALL, State.INTERRUPTED, State.OPINION_DUE)


@dataclass(frozen=True)
class ConsultLine:
    """A consult in a list. `readings` are the key readings that were shared, newest of each kind."""

    consult: Consult
    patient: PatientSummary
    vehicle: str
    village: str
    readings: tuple[dict[str, Any], ...]
    asked: str = ""
    """The question of the specialist who needs information, if one stands open."""

    @property
    def state(self) -> State:
        """Where it stands."""
        return State(self.consult.state)


@dataclass(frozen=True)
class EarlierConsult:
    """A finished consult of the same person, with what came out of it."""

    consult: Consult
    opinion: Opinion | None


@dataclass(frozen=True)
class ConsultView:
    """Everything a page shows of one consult. With an outline only, the clinical parts are empty."""

    consult: Consult
    patient: PatientSummary
    vehicle: str
    vehicle_code: str
    village: str
    requester_organization: str
    requester_phone: str
    actions: tuple[Action, ...]
    """Steps open to the person who looks, in the lifecycle's order."""
    full: bool
    mine: bool
    """Whether the specialist who looks has it in hand."""
    events: tuple[ConsultEvent, ...]
    refused: dict[str, str] = field(default_factory=dict)
    """A vehicle's own steps that the hub did not take: event id → why."""
    consent: Consent | None = None
    encounter: Encounter | None = None
    notes: str = ""
    readings: tuple[dict[str, Any], ...] = ()
    trends: dict[str, tuple[dict[str, Any], ...]] = field(default_factory=dict)
    """Accepted readings by kind, oldest first: kinds with two or more."""
    earlier: tuple[EarlierConsult, ...] = ()
    opinion: Opinion | None = None
    opinion_versions: tuple[Opinion, ...] = ()
    draft: opinions.DraftView | None = None
    messages: tuple[dict[str, Any], ...] = ()
    images: tuple[dict[str, Any], ...] = ()
    invited: tuple[tuple[str, str], ...] = ()
    """(user id, name) of people whose invitation stands."""

    @property
    def state(self) -> State:
        """Where it stands."""
        return State(self.consult.state)

    @property
    def question(self) -> ConsultEvent | None:
        """What the specialist wants to know, while that is open."""
        if self.state is not State.NEEDS_INFORMATION:
            return None
        asked = [event for event in self.events if event.action == Action.ASK_INFORMATION]
        return asked[-1] if asked else None


def specialist_queue(node: Node, actor: Actor, *, specialty: str = "") -> tuple[list[ConsultLine], list[ConsultLine]]:
    """(what waits for a specialist, what they have in hand), audited as one look at a list.

    What waits is sorted by urgency, then by waiting time; what the coordinator gave to somebody else is not in it, and
    `specialty` leaves only what was asked of it. In hand is what was accepted and still wants something, oldest first.
    """
    require_role(actor, Role.SPECIALIST)
    with node.transaction(actor) as work:
        query = select(Consult).where(
            Consult.revision > 0,
            or_(
                Consult.state == State.REQUESTED,
                (col(Consult.state) == State.REASSIGNED) & (col(Consult.specialist_id) == actor.user_id),
            ),
        )
        waiting = [row for row in work.session.exec(query) if not specialty or row.specialty == specialty]
        waiting.sort(key=lambda row: (Urgency(row.urgency).rank, row.requested_at, row.id))
        own = select(Consult).where(
            Consult.specialist_id == actor.user_id, col(Consult.state).in_([state.value for state in _IN_HAND])
        )
        hand = list(work.session.exec(own.order_by(col(Consult.accepted_at))))
        lines = _listed(work, [*waiting, *hand], "queue")
    ids = {row.id for row in waiting}
    return [one for one in lines if one.consult.id in ids], [one for one in lines if one.consult.id not in ids]


def my_consults(node: Node, actor: Actor, *, limit: int = 100) -> tuple[list[ConsultLine], list[ConsultLine]]:
    """(those that go on, those that are over): of the doctor's vehicle, or of the specialist. Newest first."""
    require_role(actor, Role.VEHICLE_DOCTOR, Role.SPECIALIST)
    with node.transaction(actor) as work:
        query = select(Consult)
        if actor.role is Role.VEHICLE_DOCTOR:
            query = query.where(Consult.vehicle_id == actor.vehicle_id)
        else:
            query = query.where(Consult.specialist_id == actor.user_id)
        rows = work.session.exec(query.order_by(col(Consult.requested_at).desc()).limit(limit))
        lines = _listed(work, list(rows), "mine")
    return [line for line in lines if line.state not in OVER], [line for line in lines if line.state in OVER]


def consults_of_encounter(work: Work, encounter_id: str) -> list[Consult]:
    """The consults of an encounter, newest first. The caller audits the page."""
    query = select(Consult).where(Consult.encounter_id == encounter_id)
    return list(work.session.exec(query.order_by(col(Consult.requested_at).desc())))


def consult_page(node: Node, actor: Actor, consult_id: str) -> ConsultView:
    """Everything that this person sees of a consult. Audited. Raises NotFound, NotAllowed."""
    with node.transaction(actor) as work:
        consult = check_sight(work.session, actor, consult_id, Sight.OUTLINE)
        full = sight(work.session, actor, consult) is Sight.ALL
        work.audit("read", "consult", consult_id, patient_id=consult.patient_id, detail="" if full else "outline")
        return _view(work, actor, consult, full)


def usual_wait(node: Node, specialty: str) -> int | None:
    """Seconds from request to acceptance that half of the recent requests of a specialty stayed below.

    None when fewer than three were accepted in the last 60 days: then nobody knows yet.
    """
    with node.store.read() as session:
        query = select(Consult.requested_at, Consult.accepted_at).where(
            Consult.specialty == specialty,
            col(Consult.accepted_at).is_not(None),
            Consult.requested_at > node.clock() - WAIT_SPAN,
        )
        waits = sorted((done - asked).total_seconds() for asked, done in session.exec(query) if done)
    if len(waits) < MIN_WAITS:
        return None
    return int(waits[len(waits) // 2])


def _listed(work: Work, rows: Sequence[Consult], what: str) -> list[ConsultLine]:
    work.audit("list", "consult", detail=f"{what}: {len(rows)}")
    return _lines(work.session, rows, work.now)


def _lines(session: Session, rows: Sequence[Consult], now: datetime) -> list[ConsultLine]:
    people = {p.id: p for p in summaries(session, current_patients(session, {r.patient_id for r in rows}), now)}
    vehicles = _names(session, Vehicle, {r.vehicle_id for r in rows})
    villages = _names(session, Village, {r.village_id for r in rows})
    return [
        ConsultLine(
            consult=row,
            patient=people[row.patient_id],
            vehicle=vehicles.get(row.vehicle_id, ""),
            village=villages.get(row.village_id or "", ""),
            readings=_key_readings(session, row),
            asked=_open_question(session, row),
        )
        for row in rows
        if row.patient_id in people
    ]


def _names(session: Session, table: type[Vehicle] | type[Village], ids: Iterable[str | None]) -> dict[str, str]:
    wanted = {identity for identity in ids if identity}
    query = select(col(table.id), col(table.name)).where(col(table.id).in_(wanted))
    return dict(session.exec(query).all())


def _open_question(session: Session, consult: Consult) -> str:
    if consult.state != State.NEEDS_INFORMATION:
        return ""
    query = select(ConsultEvent.text).where(
        ConsultEvent.consult_id == consult.id, ConsultEvent.action == Action.ASK_INFORMATION
    )
    return session.exec(query.order_by(col(ConsultEvent.at).desc())).first() or ""


def _key_readings(session: Session, consult: Consult) -> tuple[dict[str, Any], ...]:
    newest: dict[str, dict[str, Any]] = {}
    for row in shared_observations(session, consult):
        if row.status == FINAL:
            newest.setdefault(row.kind, short_view(row))
    return tuple(newest[kind] for kind in KEY_KINDS if kind in newest)[:4]


def shared_observations(session: Session, consult: Consult) -> list[Observation]:
    """What was ticked when asking, and what the same encounter has measured since; newest first."""
    ids = list(consult.shared.get("observation_ids", []))
    since = (col(Observation.encounter_id) == consult.encounter_id) & (
        col(Observation.taken_at) >= consult.requested_at
    )
    query = select(Observation).where(
        Observation.patient_id == consult.patient_id,
        col(Observation.current).is_(True),
        col(Observation.status).in_([FINAL, PRELIMINARY]),
        or_(col(Observation.record_id).in_(ids), since),
    )
    return list(session.exec(query.order_by(col(Observation.taken_at).desc(), col(Observation.id).desc())))


def _view(work: Work, actor: Actor, consult: Consult, full: bool) -> ConsultView:
    session = work.session
    vehicle = session.get(Vehicle, consult.vehicle_id)
    village = session.get(Village, consult.village_id) if consult.village_id else None
    requester = session.get(User, consult.requester_id)
    organization = (
        session.get(Organization, requester.organization_id) if requester and requester.organization_id else None
    )
    query = select(ConsultEvent).where(ConsultEvent.consult_id == consult.id)
    events = tuple(session.exec(query.order_by(col(ConsultEvent.at), col(ConsultEvent.id))))
    outline: dict[str, Any] = {
        "consult": consult,
        "patient": summary(session, current_patient(session, consult.patient_id), work.now),
        "vehicle": vehicle.name if vehicle else "",
        "vehicle_code": vehicle.code if vehicle else "",
        "village": village.name if village else "",
        "requester_organization": organization.name if organization else "",
        "requester_phone": requester.phone if requester else "",
        "actions": possible_actions(consult, actor),
        "full": full,
        "mine": actor.role is Role.SPECIALIST and consult.specialist_id == actor.user_id,
        "events": events,
        "refused": {} if work.node.is_hub else consult_steps.refused(session, consult.id),
    }
    if not full:
        outline["events"] = tuple(_without_medicine(event) for event in events)
        return ConsultView(**outline)
    return ConsultView(**outline, **_clinical(work, actor, consult))


def _without_medicine(event: ConsultEvent) -> ConsultEvent:
    """A step without its words where those are a question about the patient, or the answer to it."""
    if event.action not in (Action.ASK_INFORMATION, Action.PROVIDE_INFORMATION):
        return event
    return ConsultEvent(**{**event.model_dump(), "text": ""})


def _clinical(work: Work, actor: Actor, consult: Consult) -> dict[str, Any]:
    session, shared = work.session, consult.shared
    encounter = latest(session, Encounter, consult.encounter_id) if consult.encounter_id else None
    own = actor.role is Role.VEHICLE_DOCTOR
    history = bool(shared.get("history")) or own
    versions = tuple(opinions.opinion_versions(session, consult.id))
    is_author = actor.role is Role.SPECIALIST and consult.specialist_id == actor.user_id
    return {
        "consent": latest(session, Consent, consult.consent_id) if consult.consent_id else None,
        "encounter": encounter,
        "notes": encounter.notes if encounter and (shared.get("notes") or own) else "",
        "readings": tuple(reading_views(session, shared_observations(session, consult), work.now)),
        "trends": _trends(session, consult, work.now) if history else {},
        "earlier": _earlier(session, consult) if history else (),
        "opinion": opinions.current_opinion(session, consult.id),
        "opinion_versions": versions,
        "draft": opinions.draft_of(session, consult.id, actor.user_id) if is_author else None,
        "messages": tuple(chat.messages_of(session, consult.id)),
        "images": tuple(attachments.images_of(work.node, session, consult.id)),
        "invited": _invited(session, consult.id),
    }


def possible_actions(consult: Consult, actor: Actor) -> tuple[Action, ...]:
    """The steps that this very person may take now."""
    found = []
    for action in actions(State(consult.state), actor.role):
        try:
            consult_steps.judge(consult, action, actor, "-")
        except TeleconsultError:
            continue
        found.append(action)
    return tuple(found)


def _trends(session: Session, consult: Consult, now: datetime) -> dict[str, tuple[dict[str, Any], ...]]:
    query = select(Observation).where(
        Observation.patient_id == consult.patient_id,
        Observation.status == FINAL,
        col(Observation.current).is_(True),
        Observation.taken_at > now - TREND_SPAN,
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for row in session.exec(query.order_by(col(Observation.taken_at), col(Observation.id))):
        found.setdefault(row.kind, []).append(short_view(row))
    return {kind: tuple(views) for kind, views in found.items() if len(views) > 1}


def _earlier(session: Session, consult: Consult) -> tuple[EarlierConsult, ...]:
    query = select(Consult).where(
        Consult.patient_id == consult.patient_id,
        Consult.id != consult.id,
        col(Consult.state).in_([State.CLOSED.value, State.OPINION_WRITTEN.value]),
    )
    rows = session.exec(query.order_by(col(Consult.requested_at).desc()).limit(10))
    return tuple(EarlierConsult(row, opinions.current_opinion(session, row.id)) for row in rows)


def _invited(session: Session, consult_id: str) -> tuple[tuple[str, str], ...]:
    query = (
        select(User.id, User.name)
        .join(Invitation, col(Invitation.user_id) == col(User.id))
        .where(Invitation.consult_id == consult_id, col(Invitation.withdrawn_at).is_(None))
    )
    return tuple((user_id, name) for user_id, name in session.exec(query.order_by(col(Invitation.at))))
