"""A third person in a call: who can be asked, asking, and taking it back.

Invitations are kept at the hub, where the calls are. A vehicle asks the hub over its uplink (`hub_questions`).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session, col, select

from teleconsult.domain.consult import CALLABLE, State
from teleconsult.domain.errors import N_, Conflict, InvalidInput, NotAllowed, NotFound
from teleconsult.domain.roles import Actor, Role
from teleconsult.services.call_access import is_party
from teleconsult.services.consult_steps import get_consult
from teleconsult.services.node import Node
from teleconsult.store.tables import Consult, Invitation, Organization, User


@dataclass(frozen=True)
class Invitee:
    """Somebody who can be asked into a call."""

    user_id: str
    name: str
    title: str
    specialty: str
    organization: str
    level: str
    online: bool
    invited: bool


def who_can_come(node: Node, actor: Actor, consult_id: str) -> list[Invitee]:
    """Every active specialist of the network but the one who has the consult: those on line first, then by name.

    Doctors of township health centres are specialists of their institution here.
    """
    with node.store.read() as session:
        consult = _check(session, actor, consult_id)
        standing = {row.user_id for row in _standing(session, consult_id)}
        query = (
            select(User, Organization)
            .join(Organization, col(Organization.id) == col(User.organization_id), isouter=True)
            .where(User.role == Role.SPECIALIST, col(User.active).is_(True), User.id != consult.specialist_id)
        )
        found = [
            Invitee(
                user_id=user.id,
                name=user.name,
                title=user.title,
                specialty=user.specialty or "",
                organization=organization.name if organization else "",
                level=organization.level if organization else "",
                online=node.presence.online_since(user.id) is not None,
                invited=user.id in standing,
            )
            for user, organization in session.exec(query)
            if user.id != actor.user_id
        ]
    return sorted(found, key=lambda person: (not person.online, person.level != "branch", person.name, person.user_id))


def invite(node: Node, actor: Actor, consult_id: str, user_id: str) -> Invitation:
    """Ask a specialist into the call. Asking twice is asking once, but rings again."""
    with node.transaction(actor) as work:
        consult = _check(work.session, actor, consult_id)
        user = work.session.get(User, user_id)
        if user is None or user.role != Role.SPECIALIST or not user.active:
            raise NotFound(N_("This person cannot be invited: choose somebody from the list."))
        if user_id in (consult.specialist_id, actor.user_id):
            raise InvalidInput(N_("%(name)s is in this consult already."), field="user_id", name=user.name)
        row = next((row for row in _standing(work.session, consult_id) if row.user_id == user_id), None)
        if row is None:
            row = Invitation(
                consult_id=consult_id,
                user_id=user_id,
                invited_by=actor.user_id,
                invited_by_name=actor.name,
                at=work.now,
            )
            work.session.add(row)
            work.audit("invite", "consult", consult_id, patient_id=consult.patient_id, detail=user.name)
            work.share(row, [consult.vehicle_id])
        call = {"consult_id": consult_id, "number": consult.number, "by": actor.name}
        work.announce(f"user:{user_id}", "call:invited", call)
        return row


def withdraw_invitation(node: Node, actor: Actor, consult_id: str, user_id: str) -> None:
    """Take an invitation back; who is in the call by it leaves it."""
    with node.transaction(actor) as work:
        consult = get_consult(work.session, consult_id)
        if not is_party(consult, actor):
            raise NotAllowed(N_("Only the doctors of this consult can invite somebody."))
        for row in _standing(work.session, consult_id):
            if row.user_id == user_id:
                row.withdrawn_at = work.now
                work.session.add(row)
                work.audit("uninvite", "consult", consult_id, patient_id=consult.patient_id)
                work.share(row, [consult.vehicle_id])
                work.announce(f"consult:{consult_id}", "call:uninvited", {"consult_id": consult_id, "user_id": user_id})


def _standing(session: Session, consult_id: str) -> list[Invitation]:
    query = select(Invitation).where(Invitation.consult_id == consult_id, col(Invitation.withdrawn_at).is_(None))
    return list(session.exec(query))


def _check(session: Session, actor: Actor, consult_id: str) -> Consult:
    consult = get_consult(session, consult_id)
    if not is_party(consult, actor):
        raise NotAllowed(N_("Only the doctors of this consult can invite somebody."))
    if State(consult.state) not in CALLABLE:
        raise Conflict(N_("There is no call to invite somebody to: look at where the consult stands now."))
    return consult
