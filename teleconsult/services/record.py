"""The consultation record: one page that says who asked what, who answered what, and who agreed to it.

Fields of 会诊记录表 in 国家基本公共卫生服务规范（第三版）: reason for the consultation, opinion, the consulting
doctors and their institutions, the responsible doctor and the date. Number, times, participants and consent are the
site's own additions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlmodel import Session, col, select

from teleconsult.domain.consult import State
from teleconsult.domain.errors import N_, Conflict
from teleconsult.domain.network import Level
from teleconsult.domain.people import age_on, site_today
from teleconsult.domain.roles import Actor, Role
from teleconsult.services.consult_access import check_sight
from teleconsult.services.consults import GIVERS
from teleconsult.services.node import Node
from teleconsult.services.observation_views import FINAL, short_view
from teleconsult.services.opinions import current_opinion
from teleconsult.services.patients import current_patient
from teleconsult.store import latest
from teleconsult.store.tables import (
    Consent,
    Consult,
    Observation,
    Opinion,
    Organization,
    Participation,
    Patient,
    User,
    Vehicle,
    Village,
)

RECORDABLE = frozenset({State.OPINION_WRITTEN, State.CLOSED})
"""There is a record as soon as the opinion is signed."""


@dataclass(frozen=True)
class Doctor:
    """A doctor as the record names them."""

    name: str
    title: str
    organization: str
    specialty: str = ""


@dataclass(frozen=True)
class Stay:
    """A person's time in the call; several stays of one person are one."""

    name: str
    role: Role
    organization: str
    joined_at: datetime
    left_at: datetime | None
    length: timedelta


@dataclass(frozen=True)
class ConsultRecord:
    """What the printed page holds."""

    consult: Consult
    patient: Patient
    age: int
    village: str
    vehicle: str
    institution: str
    opinion: Opinion
    consulting: tuple[Doctor, ...]
    responsible: Doctor
    participants: tuple[Stay, ...]
    consent: Consent | None
    consent_giver: str
    readings: tuple[dict[str, object], ...]
    printed_at: datetime
    day: date


def consult_record(node: Node, actor: Actor, consult_id: str) -> ConsultRecord:
    """The record of a consult with a signed opinion. Audited.

    Raises NotFound, NotAllowed, and Conflict while no opinion is signed.
    """
    with node.transaction(actor) as work:
        session = work.session
        consult = check_sight(session, actor, consult_id)
        opinion = current_opinion(session, consult_id)
        if opinion is None or State(consult.state) not in RECORDABLE:
            raise Conflict(N_("There is no record yet: it is made when the opinion is signed."))
        patient = current_patient(session, consult.patient_id)
        consent = latest(session, Consent, consult.consent_id) if consult.consent_id else None
        stays = _stays(session, consult_id, work.now)
        work.audit("read", "consult_record", consult_id, patient_id=patient.record_id)
        village = session.get(Village, consult.village_id) if consult.village_id else None
        vehicle = session.get(Vehicle, consult.vehicle_id)
        return ConsultRecord(
            consult=consult,
            patient=patient,
            age=age_on(patient.birth_date, site_today(consult.requested_at)),
            village=f"{village.township}{village.name}" if village else "",
            vehicle=vehicle.name if vehicle else "",
            institution=_core(session) or opinion.organization_name,
            opinion=opinion,
            consulting=_consulting(session, opinion, stays),
            responsible=_doctor(session, consult.requester_id, consult.requester_name),
            participants=stays,
            consent=consent,
            consent_giver=_giver(consent, patient),
            readings=_readings(session, consult),
            printed_at=work.now,
            day=site_today(opinion.signed_at),
        )


def _core(session: Session) -> str:
    query = select(Organization.name).where(Organization.level == Level.CORE, col(Organization.active).is_(True))
    return session.exec(query.order_by(Organization.code)).first() or ""


def _doctor(session: Session, user_id: str, name: str, organization: str = "") -> Doctor:
    user = session.get(User, user_id)
    home = session.get(Organization, user.organization_id) if user and user.organization_id else None
    return Doctor(
        name=name,
        title=user.title if user else "",
        organization=organization or (home.name if home else ""),
        specialty=(user.specialty or "") if user else "",
    )


def _consulting(session: Session, opinion: Opinion, stays: Iterable[Stay]) -> tuple[Doctor, ...]:
    """The signer first, then the other specialists who were in the call."""
    found = [_doctor(session, opinion.author_id, opinion.author_name, opinion.organization_name)]
    for stay in stays:
        if stay.role is Role.SPECIALIST and stay.name != opinion.author_name:
            found.append(Doctor(stay.name, "", stay.organization))
    return tuple(found)


def _stays(session: Session, consult_id: str, now: datetime) -> tuple[Stay, ...]:
    query = select(Participation).where(Participation.consult_id == consult_id)
    by_person: dict[str, list[Participation]] = {}
    for row in session.exec(query.order_by(col(Participation.joined_at))):
        by_person.setdefault(row.user_id, []).append(row)
    return tuple(
        Stay(
            name=rows[0].name,
            role=Role(rows[0].role),
            organization=rows[0].organization_name,
            joined_at=rows[0].joined_at,
            left_at=rows[-1].left_at,
            length=sum(((row.left_at or now) - row.joined_at for row in rows), timedelta()),
        )
        for rows in by_person.values()
    )


def _giver(consent: Consent | None, patient: Patient) -> str:
    if consent is None:
        return ""
    return consent.giver_name or (patient.name if consent.given_by in GIVERS else "")


def _readings(session: Session, consult: Consult) -> tuple[dict[str, object], ...]:
    """The accepted readings that the specialist was shown, newest of each kind."""
    query = select(Observation).where(
        col(Observation.record_id).in_(list(consult.shared.get("observation_ids", []))),
        Observation.patient_id == consult.patient_id,
        Observation.status == FINAL,
        col(Observation.current).is_(True),
    )
    newest: dict[str, dict[str, object]] = {}
    for row in session.exec(query.order_by(col(Observation.taken_at).desc())):
        newest.setdefault(row.kind, short_view(row))
    return tuple(newest.values())
