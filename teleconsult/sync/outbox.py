"""Reading and acknowledging a node's outbox."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, func, select

from teleconsult.services.node import EVERY_VEHICLE, HUB, Node
from teleconsult.store.tables import OutboxEntry

BLOB = "blob"
"""Kind of the entry that stands for an image's bytes; its record id is the SHA-256."""

NOT_ACCEPTED = ("refused", "invalid")


@dataclass(frozen=True)
class Waiting:
    """What a vehicle still has to send. `since` is when the oldest of it was written."""

    count: int
    since: datetime | None


def waiting(node: Node) -> Waiting:
    """How much waits for the hub."""
    with node.store.read() as session:
        query = select(func.count(), func.min(OutboxEntry.made_at)).where(*_unsent())
        count, since = session.exec(query).one()
    return Waiting(count, since)


def next_batch(node: Node, limit: int = 100) -> list[OutboxEntry]:
    """The oldest records that wait for the hub, in order."""
    return _select(node, col(OutboxEntry.kind) != BLOB, limit)


def next_blobs(node: Node, limit: int = 10) -> list[OutboxEntry]:
    """The oldest images that wait for the hub."""
    return _select(node, col(OutboxEntry.kind) == BLOB, limit)


def _select(node: Node, kind: Any, limit: int) -> list[OutboxEntry]:
    with node.store.read() as session:
        query = select(OutboxEntry).where(*_unsent(), kind).order_by(col(OutboxEntry.seq)).limit(limit)
        return list(session.exec(query))


def _unsent() -> tuple[Any, ...]:
    return (OutboxEntry.target == HUB, col(OutboxEntry.acked_at).is_(None))


def wire(entry: OutboxEntry) -> dict[str, Any]:
    """An entry as it goes over the link."""
    return {"seq": entry.seq, "kind": entry.kind, "record_id": entry.record_id, "payload": entry.payload}


def acknowledge(node: Node, results: dict[int, tuple[str, str]]) -> None:
    """Mark entries as answered: seq → (result's name, sentence). A refusal keeps its sentence for a person to see."""
    if not results:
        return
    with node.store.write() as tx:
        for entry in tx.session.exec(select(OutboxEntry).where(col(OutboxEntry.seq).in_(list(results)))):
            name, sentence = results[entry.seq or 0]
            entry.acked_at = node.clock()
            entry.error = (sentence or name) if name in NOT_ACCEPTED else ""
            entry.attempts += 1
            tx.session.add(entry)


def recent(node: Node, limit: int = 200) -> list[OutboxEntry]:
    """What waits and what was refused, oldest first: the page "to be sent"."""
    with node.store.read() as session:
        trouble = col(OutboxEntry.acked_at).is_(None) | (col(OutboxEntry.error) != "")
        query = select(OutboxEntry).where(OutboxEntry.target == HUB, trouble)
        return list(session.exec(query.order_by(col(OutboxEntry.seq)).limit(limit)))


def for_vehicle(session: Session, vehicle_id: str, after: int, limit: int) -> list[OutboxEntry]:
    """The hub's entries for a vehicle after a sequence number."""
    query = select(OutboxEntry).where(
        col(OutboxEntry.target).in_([vehicle_id, EVERY_VEHICLE]), col(OutboxEntry.seq) > after
    )
    return list(session.exec(query.order_by(col(OutboxEntry.seq)).limit(limit)))
