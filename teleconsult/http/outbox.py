"""The page "to be sent": what waits on this vehicle for the hub, since when, and what the hub did not take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, render_template

from teleconsult.domain.errors import N_
from teleconsult.domain.roles import Role
from teleconsult.http.errors import carried_sentence
from teleconsult.http.security import allow, current_node
from teleconsult.store.tables import OutboxEntry
from teleconsult.sync import outbox

bp = Blueprint("outbox", __name__, url_prefix="/outbox")

KIND_NAMES = {
    "patient": N_("Person's record"),
    "encounter": N_("Encounter"),
    "observation": N_("Reading"),
    "consent": N_("Consent"),
    "consult": N_("Consult request"),
    "consultevent": N_("Consult step"),
    "chatmessage": N_("Chat line"),
    "attachment": N_("Image's description"),
    "blob": N_("Image"),
    "auditentry": N_("Audit entry"),
}


@dataclass(frozen=True)
class Line:
    """One kind of thing that waits, or one thing that was not taken."""

    name: str
    count: int
    since: datetime
    size: int
    """bytes of images, else 0"""
    trouble: str = ""


def lines(entries: Sequence[OutboxEntry]) -> tuple[list[Line], list[Line]]:
    """What waits, one line for each kind; and what was refused, one line for each thing."""
    waiting: dict[str, Line] = {}
    refused = []
    for entry in entries:
        size = int(entry.payload.get("size", 0)) if entry.kind == outbox.BLOB else 0
        name = KIND_NAMES.get(entry.kind, N_("Other"))
        if entry.acked_at is not None:
            refused.append(Line(name, 1, entry.made_at, size, carried_sentence(entry.error)))
            continue
        known = waiting.get(entry.kind, Line(name, 0, entry.made_at, 0))
        waiting[entry.kind] = Line(name, known.count + 1, min(known.since, entry.made_at), known.size + size)
    return list(waiting.values()), refused


@bp.get("/")
@allow(Role.VEHICLE_DOCTOR)
def index() -> str:
    """What waits and what was not taken."""
    node = current_node()
    waiting, refused = lines(outbox.recent(node))
    link = node.uplink() if node.uplink else None
    return render_template("outbox.html", waiting=waiting, refused=refused, link=link)
