"""Who may enter a consult's call and when, what entering does to the consult, and the record of who was in it.

Works on the store and the lifecycle only; the living call (peers, channels) is `services/calls.py`.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

from teleconsult.domain.consult import CALLABLE, Action, State
from teleconsult.domain.errors import N_, Conflict, NotAllowed, NotFound
from teleconsult.domain.roles import SYSTEM, Actor, Role
from teleconsult.services.consult_steps import apply_step, get_consult
from teleconsult.services.node import Node
from teleconsult.store.tables import Consult, Invitation, Organization, Participation

_ENTERING = {
    State.ACCEPTED: Action.START_CALL,
    State.OPINION_DUE: Action.START_CALL,
    State.INTERRUPTED: Action.RESUME,
}
"""The step that entering the call takes, by the state it is entered in."""


def is_invited(session: Session, consult_id: str, user_id: str) -> bool:
    """Whether this person was asked into this consult's call, and the invitation stands."""
    query = select(Invitation.id).where(
        Invitation.consult_id == consult_id,
        Invitation.user_id == user_id,
        col(Invitation.withdrawn_at).is_(None),
    )
    return session.exec(query).first() is not None


def is_party(consult: Consult, actor: Actor) -> bool:
    """Whether the consult is this specialist's, or of this doctor's vehicle."""
    if actor.role is Role.SPECIALIST:
        return actor.user_id == consult.specialist_id
    return actor.role is Role.VEHICLE_DOCTOR and actor.vehicle_id == consult.vehicle_id


def check_entry(session: Session, actor: Actor, consult_id: str) -> Consult:
    """The consult whose call this person may enter now.

    Raises NotFound, NotAllowed for anybody but the parties and the invited, Conflict when there is no call to enter.
    """
    consult = session.get(Consult, consult_id)
    if consult is None:
        raise NotFound(N_("There is no such consult."))
    if not is_party(consult, actor) and not is_invited(session, consult_id, actor.user_id):
        raise NotAllowed(N_("Only the doctors of this consult and the people they invited can enter its call."))
    if State(consult.state) not in CALLABLE:
        raise Conflict(N_("There is no call to enter: look at where the consult stands now."))
    return consult


def begin(node: Node, actor: Actor, consult_id: str) -> datetime | None:
    """Take the step that entering means, if it means one. Gives when the call started.

    Two who enter at once both succeed: whoever comes second finds the call begun.
    """
    with node.store.read() as session:
        consult = check_entry(session, actor, consult_id)
        party = is_party(consult, actor)
    action = _ENTERING.get(State(consult.state))
    if action is not None and party:
        try:
            _take(node, actor, consult_id, action)
        except Conflict:
            with node.store.read() as session:
                consult = check_entry(session, actor, consult_id)
            if State(consult.state) is not State.IN_CALL:
                raise
    elif action is not None and State(consult.state) is not State.INTERRUPTED:
        raise Conflict(N_("The call has not begun. You can enter as soon as one of the doctors has."))
    with node.store.read() as session:
        consult = check_entry(session, actor, consult_id)
    return consult.call_started_at


def _take(node: Node, actor: Actor, consult_id: str, action: Action) -> None:
    with node.transaction(actor) as work:
        apply_step(work, get_consult(work.session, consult_id), action)


def write_arrival(node: Node, actor: Actor, consult_id: str, participation_id: str) -> str:
    """Keep that the person joined. Gives the name of their institution."""
    with node.transaction(actor) as work:
        consult = work.session.get(Consult, consult_id)
        if consult is None:
            raise NotFound(N_("There is no such consult."))
        organization = work.session.get(Organization, actor.organization_id) if actor.organization_id else None
        row = Participation(
            id=participation_id,
            consult_id=consult_id,
            user_id=actor.user_id,
            name=actor.name,
            role=actor.role,
            organization_name=organization.name if organization else "",
            joined_at=work.now,
        )
        work.session.add(row)
        work.audit("join_call", "consult", consult_id, patient_id=consult.patient_id)
        work.share(row, [consult.vehicle_id])
        return row.organization_name


def write_departure(node: Node, participation_ids: list[str]) -> None:
    """Keep that these people left now."""
    if not participation_ids:
        return
    with node.transaction(SYSTEM) as work:
        for participation_id in participation_ids:
            row = work.session.get(Participation, participation_id)
            if row is None or row.left_at is not None:
                continue
            row.left_at = work.now
            work.session.add(row)
            consult = work.session.get(Consult, row.consult_id)
            work.share(row, [consult.vehicle_id] if consult else [])


def unfinished(node: Node) -> tuple[list[str], list[str]]:
    """What an earlier life of this hub left behind: consults in call, and stays that never ended."""
    with node.store.read() as session:
        running = select(Consult.id).where(Consult.state == State.IN_CALL)
        open_stays = select(Participation.id).where(col(Participation.left_at).is_(None))
        return list(session.exec(running)), list(session.exec(open_stays))


def interrupt(node: Node, consult_id: str) -> None:
    """Everybody is gone: the consult is interrupted, unless it has moved on already."""
    with node.store.read() as session:
        consult = session.get(Consult, consult_id)
    if consult is None or State(consult.state) is not State.IN_CALL:
        return
    try:
        _take(node, SYSTEM, consult_id, Action.INTERRUPT)
    except Conflict:
        return  # somebody ended the call in this very moment


def end(node: Node, actor: Actor, consult_id: str) -> None:
    """The call is over: the opinion is due. Ending one that is over already is no fault.

    Raises NotFound, NotAllowed (an invited person leaves, but does not end it), Conflict.
    """
    with node.store.read() as session:
        consult = session.get(Consult, consult_id)
    if consult is not None and State(consult.state) in (State.OPINION_DUE, State.OPINION_WRITTEN):
        if not is_party(consult, actor):
            raise NotAllowed(N_("Only the doctors of this consult can end its call."))
        return
    _take(node, actor, consult_id, Action.END_CALL)
