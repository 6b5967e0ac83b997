"""The round: where a vehicle is today, who lives there, who has been seen, what is still open.

Who is *due* for a follow-up is a follow-up programme's rule, not this module's: here people with a known
condition come first, those seen longest ago before others, and the page says just that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlmodel import Session, col, func, select

from teleconsult.domain.consult import OVER, Urgency
from teleconsult.domain.people import SITE_ZONE, site_today
from teleconsult.domain.roles import Actor
from teleconsult.services import measuring
from teleconsult.services.encounters import EncounterView, views
from teleconsult.services.node import Node, Work
from teleconsult.services.patients import PatientSummary, current_patients, summaries
from teleconsult.services.permissions import require_vehicle
from teleconsult.store.tables import Consult, Encounter, Patient, Stop, Vehicle, Village


@dataclass(frozen=True)
class StopView:
    """A vehicle in a village on a day. `people` is how many live there."""

    id: str
    day: date
    village_id: str
    village: str
    township: str
    people: int
    note: str


@dataclass(frozen=True)
class Villager:
    """Somebody of the stop's village, and when they were last seen on any vehicle."""

    person: PatientSummary
    last_seen: date | None
    encounter_id: str | None
    """The encounter of today, if there is one"""
    seen: bool
    """Whether today's encounter is finished"""


@dataclass(frozen=True)
class OpenConsult:
    """A consult of this vehicle that is not over."""

    id: str
    number: str
    patient: PatientSummary | None
    encounter_id: str | None
    specialty: str
    urgency: str
    state: str
    state_since: datetime
    specialist_name: str | None


@dataclass(frozen=True)
class Today:
    """All that the Today page shows."""

    day: date
    vehicle: str
    stops: tuple[StopView, ...]
    next_stop: StopView | None
    villagers: tuple[Villager, ...]
    """With a known condition and not yet seen today, those seen longest ago first"""
    seen: tuple[EncounterView, ...]
    """Finished today, the latest first"""
    being_seen: tuple[EncounterView, ...]
    """Open, also from earlier days, the newest first"""
    consults: tuple[OpenConsult, ...]
    measuring: measuring.MeasuringFor | None


def look_at_today(node: Node, actor: Actor) -> Today:
    """The day's work of the actor's vehicle. Audited as one look at the list."""
    vehicle_id = require_vehicle(actor)
    with node.transaction(actor) as work:
        session, day = work.session, site_today(work.now)
        stops = _stops(session, vehicle_id, day, day)
        coming = _stops(session, vehicle_id, day + timedelta(days=1), day + timedelta(days=92), most=1)
        seen = views(work, _encounters_of_day(session, vehicle_id, day, "finished"))
        open_now = views(work, _open_encounters(session, vehicle_id))
        vehicle = session.get(Vehicle, vehicle_id)
        work.audit("list", "patient", detail="today")
        return Today(
            day=day,
            vehicle=vehicle.name if vehicle else "",
            stops=tuple(stops),
            next_stop=coming[0] if coming else None,
            villagers=tuple(_with_conditions(work, [stop.village_id for stop in stops], seen, open_now)),
            seen=tuple(seen),
            being_seen=tuple(open_now),
            consults=tuple(_open_consults(work, vehicle_id)),
            measuring=measuring.target(node, session, work.now),
        )


def people_of_village(node: Node, actor: Actor, village_id: str) -> list[Villager]:
    """Everybody registered in a village, by name. Audited as one look at the list."""
    vehicle_id = require_vehicle(actor)
    with node.transaction(actor) as work:
        day = site_today(work.now)
        seen = views(work, _encounters_of_day(work.session, vehicle_id, day, "finished"))
        open_now = views(work, _open_encounters(work.session, vehicle_id))
        query = select(Patient).where(Patient.village_id == village_id, col(Patient.current).is_(True))
        rows = list(work.session.exec(query.order_by(col(Patient.pinyin), col(Patient.birth_date))))
        work.audit("list", "patient", detail=f"village {village_id}: {len(rows)}")
        return _villagers(work, rows, seen, open_now)


def stop_village_id(node: Node) -> str | None:
    """The village this vehicle is in today, if it is in one."""
    with node.store.read() as session:
        stops = _stops(session, node.node_id, site_today(node.clock()), site_today(node.clock()), most=1)
        return stops[0].village_id if stops else None


def _stops(session: Session, vehicle_id: str, first: date, last: date, most: int = 10) -> list[StopView]:
    query = (
        select(Stop, Village)
        .join(Village, col(Village.id) == col(Stop.village_id))
        .where(Stop.vehicle_id == vehicle_id, Stop.day >= first, Stop.day <= last)
        .order_by(col(Stop.day), col(Stop.id))
    )
    found = list(session.exec(query.limit(most)))
    people = _counts(session, {village.id for _, village in found})
    return [
        StopView(stop.id, stop.day, village.id, village.name, village.township, people.get(village.id, 0), stop.note)
        for stop, village in found
    ]


def _counts(session: Session, village_ids: Iterable[str]) -> dict[str, int]:
    query = (
        select(Patient.village_id, func.count())
        .where(col(Patient.village_id).in_(list(village_ids)), col(Patient.current).is_(True))
        .group_by(Patient.village_id)
    )
    return {str(village_id): count for village_id, count in session.exec(query)}


def _encounters_of_day(session: Session, vehicle_id: str, day: date, state: str) -> list[Encounter]:
    start = datetime.combine(day, time(), SITE_ZONE)
    query = select(Encounter).where(
        Encounter.vehicle_id == vehicle_id,
        Encounter.state == state,
        col(Encounter.current).is_(True),
        Encounter.started_at >= start,
        Encounter.started_at < start + timedelta(days=1),
    )
    return list(session.exec(query.order_by(col(Encounter.finished_at).desc())))


def _open_encounters(session: Session, vehicle_id: str) -> list[Encounter]:
    query = select(Encounter).where(
        Encounter.vehicle_id == vehicle_id, Encounter.state == "open", col(Encounter.current).is_(True)
    )
    return list(session.exec(query.order_by(col(Encounter.started_at).desc())))


def _with_conditions(
    work: Work, village_ids: list[str], seen: list[EncounterView], open_now: list[EncounterView]
) -> list[Villager]:
    query = select(Patient).where(col(Patient.village_id).in_(village_ids), col(Patient.current).is_(True))
    rows = [row for row in work.session.exec(query) if row.conditions]
    found = [v for v in _villagers(work, rows, seen, open_now) if not v.seen and v.encounter_id is None]
    return sorted(found, key=lambda v: (v.last_seen or date.min, v.person.name))


def _villagers(
    work: Work, rows: list[Patient], seen: list[EncounterView], open_now: list[EncounterView]
) -> list[Villager]:
    last = _last_seen(work.session, [row.record_id for row in rows])
    finished = {encounter.patient.id: encounter.id for encounter in seen}
    going_on = {encounter.patient.id: encounter.id for encounter in open_now}
    return [
        Villager(
            person=person,
            last_seen=last.get(person.id),
            encounter_id=going_on.get(person.id) or finished.get(person.id),
            seen=person.id in finished and person.id not in going_on,
        )
        for person in summaries(work.session, rows, work.now)
    ]


def _last_seen(session: Session, patient_ids: list[str]) -> dict[str, date]:
    query = (
        select(Encounter.patient_id, func.max(Encounter.started_at))
        .where(col(Encounter.patient_id).in_(patient_ids), col(Encounter.current).is_(True))
        .group_by(Encounter.patient_id)
    )
    return {patient_id: site_today(at) for patient_id, at in session.exec(query)}


def _open_consults(work: Work, vehicle_id: str) -> list[OpenConsult]:
    over = [state.value for state in OVER]
    query = select(Consult).where(Consult.vehicle_id == vehicle_id, col(Consult.state).not_in(over))
    rows = list(work.session.exec(query))
    rows.sort(key=lambda row: (Urgency(row.urgency).rank, row.requested_at))
    people = current_patients(work.session, {row.patient_id for row in rows})
    shown = {person.id: person for person in summaries(work.session, people, work.now)}
    return [
        OpenConsult(
            id=row.id,
            number=row.number,
            patient=shown.get(row.patient_id),
            encounter_id=row.encounter_id,
            specialty=row.specialty,
            urgency=row.urgency,
            state=row.state,
            state_since=row.state_since,
            specialist_name=row.specialist_name,
        )
        for row in rows
    ]
