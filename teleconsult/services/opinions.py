"""The specialist's opinion: kept as it is typed, signed as a record, corrected as a new version, acknowledged.

A draft belongs to one specialist and one consult. Two tabs that write the same draft never overwrite each other:
the second one is told and keeps its own text.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, field_validator
from sqlmodel import Session, col, select

from teleconsult.domain.consult import Action, State
from teleconsult.domain.errors import N_, Conflict, InvalidInput, NotAllowed
from teleconsult.domain.people import site_today
from teleconsult.domain.roles import Actor, Role
from teleconsult.services import consult_steps as steps
from teleconsult.services import consults
from teleconsult.services.node import Node, Work
from teleconsult.services.permissions import require_role
from teleconsult.store import new_version
from teleconsult.store.tables import Consult, Opinion, OpinionDraft, Organization

MAX_TEXT = 4000
"""Characters of one field; the record has to fit a page."""

_WRITABLE = frozenset({State.ACCEPTED, State.IN_CALL, State.INTERRUPTED, State.OPINION_DUE})
_CORRECTABLE = frozenset({State.OPINION_WRITTEN, State.CLOSED})

Text = Annotated[str, StringConstraints(strip_whitespace=True)]


class OpinionTexts(BaseModel):
    """What an opinion says, signed or not; a draft may have any of it empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    impression: Text = ""
    advice: Text = ""
    medicines: Text = ""
    refer: bool = False
    refer_to: Text = ""


class DraftInput(OpinionTexts):
    """An opinion as it is being typed: the day of the next look may be half written."""

    review_on: Annotated[str, StringConstraints(strip_whitespace=True, max_length=40)] = ""


class OpinionInput(OpinionTexts):
    """An opinion as it is signed. Raises InvalidInput for a day that is none."""

    review_on: date | None = None

    @field_validator("review_on", mode="before")
    @classmethod
    def _day(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return date.fromisoformat(value.strip()) if value.strip() else None
        except ValueError as error:
            raise InvalidInput(N_("Write the day like 2026-12-01."), field="review_on") from error


@dataclass(frozen=True)
class DraftView:
    """What is kept of an opinion being written. `revision` 0: nothing yet."""

    fields: dict[str, Any]
    revision: int
    saved_at: datetime | None


class DraftConflict(Conflict):
    """Another window has written this draft meanwhile; `read_draft` gives what it wrote."""

    code = "draft_conflict"

    def __init__(self) -> None:
        super().__init__(
            N_("You have this opinion open in another window too, and it was changed there. Both texts are kept.")
        )


def draft_of(session: Session, consult_id: str, author_id: str) -> DraftView:
    """The draft, or an empty one."""
    row = session.get(OpinionDraft, (consult_id, author_id))
    return DraftView(dict(row.fields), row.revision, row.saved_at) if row else DraftView({}, 0, None)


def read_draft(node: Node, actor: Actor, consult_id: str) -> DraftView:
    """The actor's own draft as it is kept now. Raises NotAllowed and Conflict if there is no opinion to write."""
    with node.transaction(actor) as work:
        consult = _check_author(work.session, actor, consult_id)
        work.audit("read", "opinion_draft", consult_id, patient_id=consult.patient_id)
        return draft_of(work.session, consult_id, actor.user_id)


def save_draft(node: Node, actor: Actor, consult_id: str, opinion: DraftInput, *, seen_revision: int) -> DraftView:
    """Keep what is typed. `seen_revision` is the revision the window has; gives the next one.

    Raises DraftConflict if another window was faster, NotAllowed and Conflict if there is no opinion to write.
    """
    _check_lengths(opinion)
    fields = opinion.model_dump(mode="json")
    with node.transaction(actor) as work:
        _check_author(work.session, actor, consult_id)
        row = work.session.get(OpinionDraft, (consult_id, actor.user_id))
        if row is None:
            row = OpinionDraft(consult_id=consult_id, author_id=actor.user_id, revision=0)
        elif row.fields == fields:
            return DraftView(fields, row.revision, row.saved_at)
        if row.revision != seen_revision:
            raise DraftConflict
        row.fields, row.revision, row.saved_at = fields, row.revision + 1, work.now
        work.session.add(row)
        return DraftView(fields, row.revision, row.saved_at)


def sign_opinion(
    node: Node, actor: Actor, consult_id: str, opinion: OpinionInput, *, seen_revision: int | None = None
) -> Opinion:
    """Sign the opinion, or a correction of the signed one: a record, and the consult's next step.

    `seen_revision` is the draft's revision in the window that signs (None: no draft is kept there). Raises
    InvalidInput with the field to blame, DraftConflict, NotAllowed, Conflict.
    """
    require_role(actor, Role.SPECIALIST)
    _check_lengths(opinion)
    with node.transaction(actor) as work:
        consult = _check_author(work.session, actor, consult_id)
        _check_complete(opinion, site_today(work.now))
        draft = work.session.get(OpinionDraft, (consult_id, actor.user_id))
        if draft is not None and seen_revision is not None and draft.revision != seen_revision:
            raise DraftConflict
        before = current_opinion(work.session, consult_id)
        action = Action.CORRECT_OPINION if before is not None and _is_signed(consult) else Action.SIGN_OPINION
        values = opinion.model_dump(exclude={"refer_to"})
        values |= {
            "consult_id": consult_id,
            "patient_id": consult.patient_id,
            "refer_to": opinion.refer_to if opinion.refer else "",
            "organization_name": _organization(work, actor),
            "signed_at": work.now,
        }
        if before is not None and action is Action.CORRECT_OPINION and _same(before, values):
            raise InvalidInput(N_("Nothing in the opinion was changed, so there is nothing to correct."))
        steps.apply_step(work, consult, action)
        row = new_version(work.session, Opinion, values, author=actor, node_id=node.node_id, corrects=before)
        if draft is not None:
            work.session.delete(draft)
        work.audit("create" if before is None else "update", "opinion", row.record_id, patient_id=row.patient_id)
        work.share(row, [consult.vehicle_id])
        work.announce(f"consult:{consult_id}", "opinion:signed", {"consult_id": consult_id, "version": row.version})
        return row


def acknowledge_opinion(node: Node, actor: Actor, consult_id: str) -> Consult:
    """The vehicle doctor has read the opinion: the consult is closed."""
    return consults.take_step(node, actor, consult_id, Action.ACKNOWLEDGE)


def current_opinion(session: Session, consult_id: str) -> Opinion | None:
    """The newest version of a consult's opinion, or None."""
    query = select(Opinion).where(Opinion.consult_id == consult_id, col(Opinion.current).is_(True))
    return session.exec(query.order_by(col(Opinion.version).desc())).first()


def opinion_versions(session: Session, consult_id: str) -> list[Opinion]:
    """All versions of a consult's opinion, oldest first."""
    query = select(Opinion).where(Opinion.consult_id == consult_id)
    return list(session.exec(query.order_by(col(Opinion.version), col(Opinion.signed_at))))


def _check_author(session: Session, actor: Actor, consult_id: str) -> Consult:
    consult = steps.get_consult(session, consult_id)
    if actor.role is not Role.SPECIALIST or consult.specialist_id != actor.user_id:
        if consult.specialist_name and actor.role is Role.SPECIALIST:
            raise NotAllowed(
                N_("This consult is with %(name)s now, who writes its opinion."), name=consult.specialist_name
            )
        raise NotAllowed(N_("The opinion is written by the specialist who has accepted the consult."))
    if State(consult.state) not in _WRITABLE | _CORRECTABLE:
        raise Conflict(N_("Accept the consult first; then its opinion can be written."))
    return consult


def _is_signed(consult: Consult) -> bool:
    return State(consult.state) in _CORRECTABLE


def _check_lengths(opinion: OpinionTexts) -> None:
    for field in ("impression", "advice", "medicines", "refer_to"):
        if len(getattr(opinion, field)) > MAX_TEXT:
            raise InvalidInput(
                N_("This text is longer than %(most)s characters. Shorten it; nothing was lost."),
                field=field,
                most=MAX_TEXT,
            )


def _check_complete(opinion: OpinionInput, today: date) -> None:
    if not opinion.impression:
        raise InvalidInput(N_("Write the impression before you sign."), field="impression")
    if not opinion.advice:
        raise InvalidInput(N_("Write the advice before you sign."), field="advice")
    if opinion.refer and not opinion.refer_to:
        raise InvalidInput(N_("Write where the patient should be referred to."), field="refer_to")
    if opinion.review_on is not None and opinion.review_on < today:
        raise InvalidInput(N_("The day of the next look lies in the past."), field="review_on")


def _organization(work: Work, actor: Actor) -> str:
    row = work.session.get(Organization, actor.organization_id) if actor.organization_id else None
    return row.name if row else ""


def _same(before: Opinion, values: dict[str, Any]) -> bool:
    fields = ("impression", "advice", "medicines", "refer", "refer_to", "review_on")
    return all(getattr(before, field) == values[field] for field in fields)
