"""Rows that arrive from another node: which kinds are taken, from whom, and how each is written.

A record is inserted if it is not here yet; nothing is overwritten. Directory rows and the hub's consult rows are
replaced by what the hub says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError
from sqlmodel import Session, SQLModel, col, select

from teleconsult.domain.errors import N_, InvalidInput
from teleconsult.store import tables
from teleconsult.store.tables import Record

FROM_VEHICLE: dict[str, type[SQLModel]] = {
    "patient": tables.Patient,
    "encounter": tables.Encounter,
    "observation": tables.Observation,
    "consent": tables.Consent,
    "attachment": tables.Attachment,
    "chatmessage": tables.ChatMessage,
    "consult": tables.Consult,
    "consultevent": tables.ConsultEvent,
    "auditentry": tables.AuditEntry,
}
"""Table name → table, for what the hub takes from a vehicle."""

FROM_HUB: dict[str, type[SQLModel]] = {
    "organization": tables.Organization,
    "village": tables.Village,
    "vehicle": tables.Vehicle,
    "user_account": tables.User,
    "stop": tables.Stop,
    "patient": tables.Patient,
    "encounter": tables.Encounter,
    "observation": tables.Observation,
    "consent": tables.Consent,
    "attachment": tables.Attachment,
    "chatmessage": tables.ChatMessage,
    "opinion": tables.Opinion,
    "consult": tables.Consult,
    "consultevent": tables.ConsultEvent,
    "invitation": tables.Invitation,
    "participation": tables.Participation,
}
"""Table name → table, for what a vehicle takes from the hub."""


@dataclass(frozen=True)
class Result:
    """What became of one entry: new, identical, older, refused or invalid; `sentence` says why."""

    name: str
    sentence: str = ""


R = TypeVar("R", bound=SQLModel)


def parse(kinds: dict[str, type[SQLModel]], kind: str, payload: dict[str, Any]) -> SQLModel:
    """The row inside an entry, validated. Raises InvalidInput."""
    table = kinds.get(kind)
    if table is None:
        raise InvalidInput(N_("This kind of record is not taken here."))
    try:
        row = table.model_validate(payload)
    except ValidationError as error:
        raise InvalidInput(N_("The record does not have the form it should have.")) from error
    unknown = set(payload) - set(table.model_fields)
    if unknown:
        raise InvalidInput(N_("The record was written by a newer program. Update this node."))
    return row


def insert_record(session: Session, row: Record) -> Result:
    """Write a version of a record if it is not here. Of all versions here the highest one is current."""
    table = type(row)
    if session.get(table, row.id) is not None:
        return Result("identical")
    query = select(table).where(table.record_id == row.record_id, col(table.current).is_(True))
    current = session.exec(query).all()
    newest = max(((other.version, other.written_at) for other in current), default=None)
    row.current = newest is None or (row.version, row.written_at) > newest
    if row.current:
        for other in current:
            other.current = False
            session.add(other)
    session.add(row)
    return Result("new" if row.current else "older")


def insert_once(session: Session, row: SQLModel) -> Result:
    """Write a row that never changes (a step, an audit entry) if it is not here."""
    if session.get(type(row), row.id) is not None:  # type: ignore[attr-defined]
        return Result("identical")
    session.add(row)
    return Result("new")


def replace(session: Session, row: SQLModel) -> Result:
    """Write a row over the one that is here: the hub's word about its directory."""
    known = session.get(type(row), row.id)  # type: ignore[attr-defined]
    if known is not None and known.model_dump() == row.model_dump():
        return Result("identical")
    session.merge(row)
    return Result("new")
