"""What is announced when a row has arrived from the other side: the same as if it had been written here."""

from __future__ import annotations

from sqlmodel import SQLModel, select

from teleconsult.domain.roles import SYSTEM
from teleconsult.services import attachments, chat, observations
from teleconsult.services.node import Node, Work
from teleconsult.store.tables import Attachment, ChatMessage, Observation, Opinion


def announce(work: Work, row: SQLModel) -> None:
    """Announce a row that was just written, after the commit."""
    if isinstance(row, ChatMessage):
        chat.announce_message(work, row)
    elif isinstance(row, Observation):
        observations.announce_reading(work, row)
    elif isinstance(row, Opinion):
        work.announce(
            f"consult:{row.consult_id}", "opinion:signed", {"consult_id": row.consult_id, "version": row.version}
        )
    elif isinstance(row, Attachment) and work.node.files.has(row.sha256):
        attachments.announce_attachment(work, row)


def announce_blob(node: Node, sha256: str) -> None:
    """An image is whole now: announce every attachment that shows it."""
    with node.transaction(SYSTEM) as work:
        for row in work.session.exec(select(Attachment).where(Attachment.sha256 == sha256)):
            attachments.announce_attachment(work, row)
