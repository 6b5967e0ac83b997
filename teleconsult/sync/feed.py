"""The hub's feed for a vehicle, and how the vehicle applies it."""

from __future__ import annotations

from typing import Any

import structlog
from sqlmodel import Session, SQLModel

from teleconsult.domain.errors import InvalidInput
from teleconsult.domain.roles import SYSTEM
from teleconsult.services import consults
from teleconsult.services.node import Node, Work
from teleconsult.store.tables import Attachment, Consult, Cursor, Record
from teleconsult.sync import arrivals, outbox, rows

log = structlog.get_logger(__name__)

CURSOR = "hub"
NO_PASSWORD = "!"  # noqa: S105 - no hash begins like this, so nobody logs in with it


def read(node: Node, vehicle_id: str, after: int, limit: int) -> list[dict[str, Any]]:
    """The hub's entries for a vehicle after a sequence number, as they go over the link.

    A vehicle gets the password hashes of its own people only, and no vehicle's key.
    """
    with node.store.read() as session:
        entries = outbox.for_vehicle(session, vehicle_id, after, limit)
    return [
        {**outbox.wire(entry), "payload": _without_secrets(entry.kind, entry.payload, vehicle_id)} for entry in entries
    ]


def _without_secrets(kind: str, payload: dict[str, Any], vehicle_id: str) -> dict[str, Any]:
    if kind == "user_account" and payload.get("vehicle_id") != vehicle_id:
        return {**payload, "password_hash": NO_PASSWORD}
    if kind == "vehicle":
        return {**payload, "key_hash": None}
    return payload


def cursor(node: Node) -> int:
    """How far this vehicle has read."""
    with node.store.read() as session:
        found = session.get(Cursor, CURSOR)
        return found.value if found else 0


def apply(node: Node, entries: list[dict[str, Any]]) -> list[str]:
    """Apply entries of the hub and move the cursor, in one transaction.

    Gives the sums of images that are not here yet. An entry that cannot be read is noted in the log and
    stepped over: it would stop everything behind it for ever.
    """
    missing: list[str] = []
    with node.transaction(SYSTEM) as work:
        for entry in entries:
            try:
                row = rows.parse(rows.FROM_HUB, entry["kind"], entry["payload"])
            except InvalidInput as error:
                log.error(
                    "an entry of the hub cannot be applied", kind=entry["kind"], seq=entry["seq"], reason=str(error)
                )
                continue
            _write(work, row)
            if isinstance(row, Attachment) and not node.files.has(row.sha256):
                missing.append(row.sha256)
        if entries:
            _move_cursor(work.session, entries[-1]["seq"])
    return missing


def _write(work: Work, row: SQLModel) -> None:
    if isinstance(row, Consult):
        consults.receive_consult(work, row)
        return
    result = rows.insert_record(work.session, row) if isinstance(row, Record) else rows.replace(work.session, row)
    work.session.flush()
    if result.name == "new":
        arrivals.announce(work, row)


def _move_cursor(session: Session, seq: int) -> None:
    session.merge(Cursor(name=CURSOR, value=seq))
