"""Versions of records: the newest, all of them, and adding one."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlmodel import Session, col, select

from teleconsult.domain.errors import N_, Conflict
from teleconsult.domain.ids import new_id, utc_now
from teleconsult.domain.roles import Actor
from teleconsult.store.tables.base import Record

R = TypeVar("R", bound=Record)

_VERSION_FIELDS = {
    "id",
    "record_id",
    "version",
    "previous_id",
    "current",
    "node_id",
    "author_id",
    "author_name",
    "written_at",
}


def latest(session: Session, table: type[R], record_id: str) -> R | None:
    """The current version of a record, or None."""
    query = select(table).where(table.record_id == record_id, col(table.current).is_(True))
    return session.exec(query.order_by(col(table.version).desc())).first()


def versions(session: Session, table: type[R], record_id: str) -> list[R]:
    """All versions of a record, oldest first."""
    query = select(table).where(table.record_id == record_id)
    return list(session.exec(query.order_by(col(table.version), col(table.id))))


def new_version(
    session: Session,
    table: type[R],
    values: dict[str, Any],
    *,
    author: Actor,
    node_id: str,
    corrects: R | None = None,
    record_id: str | None = None,
) -> R:
    """Write a record's first version, or with `corrects` the next one (unnamed fields are carried over).

    Raises Conflict if `corrects` is no longer the current version: somebody else was first.
    """
    carried: dict[str, Any] = {}
    if corrects is not None:
        if not corrects.current:
            raise Conflict(N_("Somebody has changed this record since you opened it. Open it again to see the change."))
        carried = corrects.model_dump(exclude=_VERSION_FIELDS)
    own = {
        "record_id": corrects.record_id if corrects else record_id or new_id(),
        "version": corrects.version + 1 if corrects else 1,
        "previous_id": corrects.id if corrects else None,
        "node_id": node_id,
        "author_id": author.user_id,
        "author_name": author.name,
        "written_at": utc_now(),
    }
    row = table(**{**carried, **values, **own})
    if corrects is not None:
        corrects.current = False
        session.add(corrects)
    session.add(row)
    session.flush()
    return row
