"""The conversation of a consult in one piece: its lines and images, and whether more can be added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from teleconsult.domain.roles import Actor
from teleconsult.services import attachments, chat
from teleconsult.services.consult_access import check_sight, may_contribute
from teleconsult.services.node import Node


@dataclass(frozen=True)
class Conversation:
    """Oldest first."""

    may_add: bool
    messages: list[dict[str, Any]]
    images: list[dict[str, Any]]


def conversation(node: Node, actor: Actor, consult_id: str) -> Conversation:
    """Everything said and shown so far. Audited. Raises NotFound, NotAllowed."""
    with node.transaction(actor) as work:
        consult = check_sight(work.session, actor, consult_id)
        work.audit("read", "conversation", consult_id, patient_id=consult.patient_id)
        return Conversation(
            may_add=may_contribute(work.session, actor, consult),
            messages=chat.messages_of(work.session, consult_id),
            images=attachments.images_of(node, work.session, consult_id),
        )
