"""Where a person is and what goes on around them: what the frame of each page shows. Reads only."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session, col, select

from teleconsult.domain.consult import State
from teleconsult.domain.network import Level
from teleconsult.domain.people import site_today
from teleconsult.domain.roles import Actor, Role
from teleconsult.services.node import Node
from teleconsult.store import latest
from teleconsult.store.tables import Consult, Organization, Patient, Stop, Vehicle, Village


@dataclass(frozen=True)
class RunningCall:
    """A call of this person's that goes on now."""

    consult_id: str
    patient_name: str


@dataclass(frozen=True)
class Surroundings:
    """`node_name` is the vehicle's or the core hospital's name ("" before the directory is filled).

    `place` is today's stops on a vehicle, the person's institution at the hub.
    """

    node_name: str
    place: str
    call: RunningCall | None


def look_around(node: Node, actor: Actor | None) -> Surroundings:
    """Where this node stands today, and the actor's running call."""
    with node.store.read() as session:
        if node.is_hub:
            name, place = _core_name(session), _institution(session, actor)
        else:
            vehicle = session.get(Vehicle, node.node_id)
            name, place = vehicle.name if vehicle else "", _stops_today(session, node)
        return Surroundings(name, place, _running_call(session, actor) if actor else None)


def _core_name(session: Session) -> str:
    query = select(Organization.name).where(Organization.level == Level.CORE, col(Organization.active).is_(True))
    return session.exec(query.order_by(Organization.code)).first() or ""


def _institution(session: Session, actor: Actor | None) -> str:
    if actor is None or actor.organization_id is None:
        return ""
    organization = session.get(Organization, actor.organization_id)
    return organization.name if organization else ""


def _stops_today(session: Session, node: Node) -> str:
    query = select(Village.name).join(Stop, col(Stop.village_id) == col(Village.id))
    today = site_today(node.clock())
    query = query.where(Stop.vehicle_id == node.node_id, Stop.day == today, col(Stop.active).is_(True))
    return " · ".join(session.exec(query.order_by(col(Stop.id))))


def _running_call(session: Session, actor: Actor) -> RunningCall | None:
    query = select(Consult).where(Consult.state == State.IN_CALL)
    if actor.role is Role.SPECIALIST:
        query = query.where(Consult.specialist_id == actor.user_id)
    elif actor.role is Role.VEHICLE_DOCTOR and actor.vehicle_id:
        query = query.where(Consult.vehicle_id == actor.vehicle_id)
    else:
        return None
    consult = session.exec(query.order_by(col(Consult.state_since).desc())).first()
    if consult is None:
        return None
    patient = latest(session, Patient, consult.patient_id)
    return RunningCall(consult.id, patient.name if patient else "")
