"""The coordinator's board: vehicles, specialists, and what waits or runs. At the hub.

Shows who, where, since when and why; no readings, opinions, chat or images. Giving a consult to a named specialist
is `consults.take_step`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from teleconsult.domain.consult import RUNNING, TABLE, WAITING, Action, State, Urgency
from teleconsult.domain.errors import N_, NotAllowed
from teleconsult.domain.people import site_today
from teleconsult.domain.roles import Actor, Role
from teleconsult.services.consult_steps import get_consult
from teleconsult.services.node import Node, Work
from teleconsult.services.patients import PatientSummary, current_patients, summaries
from teleconsult.services.permissions import require_role
from teleconsult.store.tables import Consult, Organization, Stop, User, Vehicle, Village

_WAITING = WAITING | {State.NEEDS_INFORMATION}
_REASSIGNABLE = frozenset(
    state for state, action, role in TABLE if action is Action.REASSIGN and role is Role.COORDINATOR
)


@dataclass(frozen=True)
class BoardConsult:
    """A consult as the coordinator sees it."""

    consult: Consult
    patient: PatientSummary
    vehicle: str
    village: str

    @property
    def can_reassign(self) -> bool:
        """Whether it can be given to a named specialist now."""
        return State(self.consult.state) in _REASSIGNABLE


@dataclass(frozen=True)
class BoardVehicle:
    """A vehicle in service: its link, where it is today, how much it waits for and does."""

    vehicle: Vehicle
    online_since: datetime | None
    place: str
    waiting: int
    running: int


@dataclass(frozen=True)
class BoardSpecialist:
    """A specialist: whether they have a page open, are in a call, and how many consults they have in hand."""

    user: User
    institution: str
    online_since: datetime | None
    in_call: bool
    in_hand: int


@dataclass(frozen=True)
class Board:
    """Everything on the board. Consults by urgency and then by waiting time."""

    waiting: tuple[BoardConsult, ...]
    running: tuple[BoardConsult, ...]
    vehicles: tuple[BoardVehicle, ...]
    specialists: tuple[BoardSpecialist, ...]
    now: datetime


def look_at_board(node: Node, actor: Actor) -> Board:
    """The board now. Audited as one look at a list."""
    _require_coordinator(node, actor)
    with node.transaction(actor) as work:
        states = [state.value for state in _WAITING | RUNNING]
        rows = list(work.session.exec(select(Consult).where(col(Consult.state).in_(states), Consult.revision > 0)))
        rows.sort(key=lambda row: (Urgency(row.urgency).rank, row.requested_at, row.id))
        lines = _lines(work, rows)
        work.audit("list", "consult", detail=f"board: {len(rows)}")
        return Board(
            waiting=tuple(line for line in lines if State(line.consult.state) in _WAITING),
            running=tuple(line for line in lines if State(line.consult.state) in RUNNING),
            vehicles=_vehicles(work, rows),
            specialists=_specialists(work, rows),
            now=work.now,
        )


def look_at_consult(node: Node, actor: Actor, consult_id: str) -> tuple[BoardConsult, tuple[BoardSpecialist, ...]]:
    """One consult and who could take it: its specialty first, then who is on line and least busy. Audited."""
    _require_coordinator(node, actor)
    with node.transaction(actor) as work:
        consult = get_consult(work.session, consult_id)
        states = [state.value for state in RUNNING]
        running = list(work.session.exec(select(Consult).where(col(Consult.state).in_(states))))
        people = [person for person in _specialists(work, running) if person.user.id != consult.specialist_id]
        people.sort(
            key=lambda person: (
                person.user.specialty != consult.specialty,
                person.online_since is None,
                person.in_call,
                person.in_hand,
            )
        )
        work.audit("read", "consult", consult_id, patient_id=consult.patient_id, detail="board")
        return _lines(work, [consult])[0], tuple(people)


def _require_coordinator(node: Node, actor: Actor) -> None:
    require_role(actor, Role.COORDINATOR)
    if not node.is_hub:
        raise NotAllowed(N_("The board is at the hub."))


def _lines(work: Work, rows: list[Consult]) -> list[BoardConsult]:
    session = work.session
    people = {
        person.id: person
        for person in summaries(session, current_patients(session, {row.patient_id for row in rows}), work.now)
    }
    vehicles = dict(session.exec(select(Vehicle.id, Vehicle.name)).all())
    villages = dict(session.exec(select(Village.id, Village.name)).all())
    return [
        BoardConsult(
            row, people[row.patient_id], vehicles.get(row.vehicle_id, ""), villages.get(row.village_id or "", "")
        )
        for row in rows
        if row.patient_id in people
    ]


def _vehicles(work: Work, rows: list[Consult]) -> tuple[BoardVehicle, ...]:
    waiting = Counter(row.vehicle_id for row in rows if State(row.state) in _WAITING)
    running = Counter(row.vehicle_id for row in rows if State(row.state) in RUNNING)
    places = _places_today(work.session, work)
    query = select(Vehicle).where(col(Vehicle.active).is_(True)).order_by(Vehicle.code)
    return tuple(
        BoardVehicle(
            vehicle=row,
            online_since=work.node.links.online_since(row.id),
            place=" · ".join(places.get(row.id, ())),
            waiting=waiting[row.id],
            running=running[row.id],
        )
        for row in work.session.exec(query)
    )


def _places_today(session: Session, work: Work) -> dict[str, list[str]]:
    query = (
        select(Stop.vehicle_id, Village.name)
        .join(Village, col(Village.id) == col(Stop.village_id))
        .where(Stop.day == site_today(work.now), col(Stop.active).is_(True))
        .order_by(col(Stop.id))
    )
    places: dict[str, list[str]] = {}
    for vehicle_id, name in session.exec(query):
        places.setdefault(vehicle_id, []).append(name)
    return places


def _specialists(work: Work, rows: list[Consult]) -> tuple[BoardSpecialist, ...]:
    in_hand = Counter(row.specialist_id for row in rows if State(row.state) in RUNNING)
    calling = {row.specialist_id for row in rows if row.state == State.IN_CALL}
    query = (
        select(User, Organization.name)
        .join(Organization, col(Organization.id) == col(User.organization_id), isouter=True)
        .where(User.role == Role.SPECIALIST, col(User.active).is_(True))
        .order_by(User.name)
    )
    found = [
        BoardSpecialist(
            user=user,
            institution=institution or "",
            online_since=work.node.presence.online_since(user.id),
            in_call=user.id in calling,
            in_hand=in_hand[user.id],
        )
        for user, institution in work.session.exec(query)
    ]
    return tuple(sorted(found, key=lambda person: (person.online_since is None, person.in_call)))
