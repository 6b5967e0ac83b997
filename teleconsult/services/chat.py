"""The conversation of a consult: lines of text that belong to its record. Nothing is changed or removed."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session, col, select

from teleconsult.domain.errors import N_, Conflict, InvalidInput
from teleconsult.domain.roles import Actor
from teleconsult.services.consult_access import check_contribution
from teleconsult.services.node import Node, Work
from teleconsult.store import latest, new_version
from teleconsult.store.tables import ChatMessage

MAX_TEXT = 2000
"""Characters of one line."""


def send_message(node: Node, actor: Actor, consult_id: str, text: str, *, message_id: str) -> dict[str, Any]:
    """Keep a line and tell it to whoever watches. `message_id` is the sender's, so a repeat is not doubled.

    Raises InvalidInput, NotFound, NotAllowed, Conflict (the consult is over).
    """
    line = text.strip()
    if not line:
        raise InvalidInput(N_("Write something first."), field="text")
    if len(line) > MAX_TEXT:
        raise InvalidInput(
            N_("A line can have %(most)s characters at most. Yours is still there: send it in two."),
            field="text",
            most=MAX_TEXT,
        )
    with node.transaction(actor) as work:
        known = latest(work.session, ChatMessage, message_id)
        if known is not None:
            if known.author_id != actor.user_id or known.consult_id != consult_id:
                raise Conflict(N_("This line belongs to another conversation. Load the page again."))
            return message_view(known)
        consult = check_contribution(work.session, actor, consult_id)
        row = new_version(
            work.session,
            ChatMessage,
            {"consult_id": consult_id, "author_role": actor.role, "text": line, "written_at": work.now},
            author=actor,
            node_id=node.node_id,
            record_id=message_id,
        )
        work.audit("create", "chatmessage", row.record_id, patient_id=consult.patient_id)
        work.share(row, [consult.vehicle_id])
        announce_message(work, row)
        return message_view(row)


def announce_message(work: Work, row: ChatMessage) -> None:
    """Tell a line that was written here or has arrived from the other side."""
    work.announce(f"consult:{row.consult_id}", "chat:message", message_view(row))


def message_view(row: ChatMessage) -> dict[str, Any]:
    """A line as pages and live events show it."""
    return {
        "id": row.record_id,
        "consult_id": row.consult_id,
        "author_id": row.author_id,
        "author_name": row.author_name,
        "author_role": row.author_role,
        "text": row.text,
        "written_at": row.written_at.isoformat(),
    }


def messages_of(session: Session, consult_id: str) -> list[dict[str, Any]]:
    """All lines of a consult, oldest first. The caller has checked and audits."""
    query = select(ChatMessage).where(ChatMessage.consult_id == consult_id, col(ChatMessage.current).is_(True))
    return [message_view(row) for row in session.exec(query.order_by(col(ChatMessage.written_at), ChatMessage.id))]
