"""Reading the audit: who read or wrote what, when. Writing is `Work.audit`; nothing changes or deletes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlmodel import Session, col, or_, select

from teleconsult.domain.people import SITE_ZONE
from teleconsult.domain.roles import Actor, Role
from teleconsult.services.node import Node
from teleconsult.services.permissions import require_role
from teleconsult.store.tables import AuditEntry, Patient

PAGE = 50
"""Entries of one page."""


@dataclass(frozen=True)
class AuditQuestion:
    """What to look for. `person` is part of the acting person's name, `patient` a name or resident ID number.

    `day` is a day of the site. `before` is the id of the last entry of the page before.
    """

    person: str = ""
    patient: str = ""
    day: date | None = None
    before: str = ""


@dataclass(frozen=True)
class AuditPage:
    """Entries, the newest first; `patients` gives the names; `next` asks for the page after, "" at the end."""

    entries: tuple[AuditEntry, ...]
    patients: dict[str, str]
    next: str


def read_audit(node: Node, actor: Actor, question: AuditQuestion) -> AuditPage:
    """A page of the audit. Looking for a patient is a reading of their record and is itself audited."""
    require_role(actor, Role.ADMINISTRATOR)
    with node.transaction(actor) as work:
        query = select(AuditEntry)
        if question.person.strip():
            query = query.where(col(AuditEntry.actor_name).contains(question.person.strip(), autoescape=True))
        if question.day is not None:
            start = datetime.combine(question.day, time(), SITE_ZONE).astimezone(UTC)
            query = query.where(AuditEntry.at >= start, AuditEntry.at < start + timedelta(days=1))
        if question.patient.strip():
            found = _patients(work.session, question.patient.strip())
            query = query.where(col(AuditEntry.patient_id).in_(found))
            for patient_id in found:
                work.audit("read", "audit", patient_id=patient_id)
        last = work.session.get(AuditEntry, question.before) if question.before else None
        if last is not None:
            older = (AuditEntry.at == last.at) & (AuditEntry.id < last.id)
            query = query.where(or_(AuditEntry.at < last.at, older))
        query = query.order_by(col(AuditEntry.at).desc(), col(AuditEntry.id).desc()).limit(PAGE + 1)
        rows = work.session.exec(query).all()
        shown = tuple(rows[:PAGE])
        names = _names(work.session, {row.patient_id for row in shown if row.patient_id})
        return AuditPage(shown, names, shown[-1].id if len(rows) > PAGE else "")


def _patients(session: Session, text: str) -> list[str]:
    """The people with this name or ID number, whatever they were called in earlier versions."""
    query = select(Patient.record_id).where(or_(Patient.name == text, Patient.resident_id == text.upper()))
    return list(dict.fromkeys(session.exec(query)))


def _names(session: Session, patient_ids: set[str]) -> dict[str, str]:
    query = select(Patient.record_id, Patient.name).where(
        col(Patient.record_id).in_(patient_ids), col(Patient.current).is_(True)
    )
    return dict(session.exec(query).all())
