"""Who may see and write what of a consult.

- the doctors of the vehicle it belongs to, and the specialist who has it in hand: everything;
- every specialist, while nobody has it in hand and it is not reserved for a colleague: everything, to decide by;
- whoever was invited into its call, until the invitation is withdrawn: everything;
- the coordinator: who, where, since when and the reason; no readings, opinion, chat or images;
- the administrator: nothing of it (the audit tells who did what).

Steps are judged by the lifecycle itself (`consult_steps`), not here.
"""

from __future__ import annotations

from enum import Enum

from sqlmodel import Session

from teleconsult.domain.consult import OVER, State
from teleconsult.domain.errors import N_, Conflict, NotAllowed
from teleconsult.domain.roles import Actor, Role
from teleconsult.services.call_access import is_invited, is_party
from teleconsult.services.consult_steps import get_consult
from teleconsult.store.tables import Consult

_UNTAKEN = frozenset({State.REQUESTED, State.NEEDS_INFORMATION})


class Sight(Enum):
    """How much of a consult a person sees."""

    NOTHING = 0
    OUTLINE = 1
    """Who, where, since when, why: no clinical text beyond the reason."""
    ALL = 2


def sight(session: Session, actor: Actor, consult: Consult) -> Sight:
    """How much of the consult this person sees."""
    if actor.is_system or is_party(consult, actor) or is_invited(session, consult.id, actor.user_id):
        return Sight.ALL
    if actor.role is Role.SPECIALIST and State(consult.state) in _UNTAKEN and consult.revision > 0:
        return Sight.ALL
    if actor.role is Role.COORDINATOR:
        return Sight.OUTLINE
    return Sight.NOTHING


def check_sight(session: Session, actor: Actor, consult_id: str, least: Sight = Sight.ALL) -> Consult:
    """The consult, if this person sees at least that much of it. Raises NotFound or NotAllowed."""
    consult = get_consult(session, consult_id)
    if sight(session, actor, consult).value < least.value:
        if actor.role is Role.SPECIALIST and consult.specialist_name:
            raise NotAllowed(
                N_("This consult is with %(name)s now, so it is open to the people in it only."),
                name=consult.specialist_name,
            )
        raise NotAllowed(N_("This consult is open to the people in it only."))
    return consult


def may_contribute(session: Session, actor: Actor, consult: Consult) -> bool:
    """Whether this person may add a line or an image: the parties and the invited, until it is over."""
    belongs = is_party(consult, actor) or is_invited(session, consult.id, actor.user_id)
    return belongs and State(consult.state) not in OVER


def check_contribution(session: Session, actor: Actor, consult_id: str) -> Consult:
    """The consult, if this person may add a line or an image to it now.

    The parties and the invited may, until it is over. Raises NotFound, NotAllowed, Conflict.
    """
    consult = get_consult(session, consult_id)
    if not (is_party(consult, actor) or is_invited(session, consult_id, actor.user_id)):
        raise NotAllowed(N_("Only the doctors of this consult and the people they invited can add to it."))
    if State(consult.state) in OVER:
        raise Conflict(N_("This consult is over, so nothing can be added to it any more."))
    return consult
