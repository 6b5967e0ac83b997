"""The hub's inbox: takes what a vehicle pushes, entry by entry, and names the result of each.

Every entry is committed before it is answered. One bad entry does not hold up the ones after it.
"""

from __future__ import annotations

from typing import Any

import structlog
from sqlmodel import Session, SQLModel

from teleconsult.domain.consult import State
from teleconsult.domain.errors import N_, Conflict, InvalidInput, NotAllowed, NotFound, TeleconsultError
from teleconsult.domain.roles import SYSTEM, Role
from teleconsult.services import consults
from teleconsult.services.node import Node, Work
from teleconsult.store.tables import AuditEntry, Consult, ConsultEvent, InboxEntry, Observation, Record, User
from teleconsult.sync import arrivals, rows
from teleconsult.sync.rows import Result

log = structlog.get_logger(__name__)


def receive(node: Node, vehicle_id: str, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Take a batch from a vehicle, in order. Gives `{seq, result, sentence}` for each entry."""
    return [{"seq": entry["seq"], **_as_dict(_take(node, vehicle_id, entry))} for entry in entries]


def _as_dict(result: Result) -> dict[str, str]:
    return {"result": result.name, "sentence": result.sentence}


def _take(node: Node, vehicle_id: str, entry: dict[str, Any]) -> Result:
    kind, record_id = entry["kind"], entry["record_id"]
    try:
        row = rows.parse(rows.FROM_VEHICLE, kind, entry["payload"])
        with node.store.read() as session:
            _check_owner(session, row, vehicle_id)
        result = _take_event(node, row) if isinstance(row, ConsultEvent) else _take_row(node, row)
    except (InvalidInput, NotFound) as error:
        result = Result("invalid", error.carry())
    except (NotAllowed, Conflict) as error:
        result = Result("refused", error.carry())
    if result.name in ("refused", "invalid"):
        log.warning("an entry of a vehicle was not taken", vehicle=vehicle_id, kind=kind, result=result.name)
    with node.store.write() as tx:
        noted = InboxEntry(
            source=vehicle_id, record_id=record_id, kind=kind, result=result.name, detail=result.sentence
        )
        if result.name != "identical":
            tx.session.merge(noted)
    return result


def _take_event(node: Node, event: ConsultEvent) -> Result:
    """A consult step is judged by the lifecycle, at the hub, now."""
    name, sentence = consults.apply_remote_event(node, event)
    return Result(name, sentence)


def _take_row(node: Node, row: SQLModel) -> Result:
    with node.transaction(SYSTEM) as work:
        result = _write(work, row)
        if result.name == "new":
            arrivals.announce(work, row)
        return result


def _write(work: Work, row: SQLModel) -> Result:
    if isinstance(row, Record):
        return rows.insert_record(work.session, row)
    if isinstance(row, Consult):
        return _write_request(work.session, row)
    return rows.insert_once(work.session, row)


def _write_request(session: Session, row: Consult) -> Result:
    """A consult asked for on a vehicle. Later changes of it come as steps, never as rows."""
    if session.get(Consult, row.id) is not None:
        return Result("identical")
    row.state = State.REQUESTED
    row.specialist_id = row.specialist_name = None
    row.accepted_at = row.call_started_at = row.call_ended_at = row.signed_at = row.closed_at = None
    row.revision, row.pending = 0, True  # the request step, which follows, makes it visible
    session.add(row)
    return Result("new")


def _check_owner(session: Session, row: SQLModel, vehicle_id: str) -> None:
    """A vehicle may hand in only what its own node wrote, in the name of people who work on it."""
    node_id = getattr(row, "node_id", None)
    if node_id is not None and node_id != vehicle_id:
        raise NotAllowed(N_("The record was written by another node."))
    if isinstance(row, Consult) and row.vehicle_id != vehicle_id:
        raise NotAllowed(N_("This consult belongs to another clinic vehicle."))
    author_id = getattr(row, "author_id", None) or getattr(row, "actor_id", None)
    if isinstance(row, AuditEntry) or author_id in (None, SYSTEM.user_id) or _measured(row, author_id):
        return
    author = session.get(User, author_id)
    if author is None:
        raise NotFound(N_("The author of this record is not known at the hub."))
    if isinstance(row, ConsultEvent) and row.actor_role != author.role:
        raise NotAllowed(N_("This step is for somebody with another role."))
    if author.role == Role.VEHICLE_DOCTOR and author.vehicle_id != vehicle_id:
        raise NotAllowed(N_("The author of this record works on another clinic vehicle."))


def _measured(row: SQLModel, author_id: str) -> bool:
    """Whether a device of the vehicle wrote the row: a reading that nobody has accepted yet."""
    return isinstance(row, Observation) and row.source == "device" and author_id == f"device:{row.device_id}"[:64]


def receive_blob(node: Node, sha256: str, offset: int, total: int, piece: bytes) -> int:
    """Take a piece of an image; gives how many bytes are here. Raises TeleconsultError."""
    limit = int(node.settings.max_upload_mb * 1024 * 1024)
    if not 0 < total <= limit:
        raise InvalidInput(N_("The image is larger than this hub takes."), field="total")
    try:
        have = node.files.receive(sha256, offset, total, piece)
    except OSError as error:
        raise TeleconsultError(N_("The hub cannot store the image now.")) from error
    if have >= total:
        arrivals.announce_blob(node, sha256)
    return have
