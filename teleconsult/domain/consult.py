"""The consult lifecycle: one table of (state, action, role) → state.

Pages draw their buttons from `actions()`, services ask `next_state()`. Who exactly may take a step (this
specialist, this vehicle) is `check_actor()`. Nothing here stores, announces or knows the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from teleconsult.domain.errors import N_, Conflict, InvalidInput, NotAllowed
from teleconsult.domain.roles import Actor, Role


class State(StrEnum):
    """Where a consult stands."""

    REQUESTED = "requested"
    NEEDS_INFORMATION = "needs_information"
    REASSIGNED = "reassigned"
    ACCEPTED = "accepted"
    IN_CALL = "in_call"
    INTERRUPTED = "interrupted"
    OPINION_DUE = "opinion_due"
    OPINION_WRITTEN = "opinion_written"
    CLOSED = "closed"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class Action(StrEnum):
    """What somebody does to a consult."""

    REQUEST = "request"
    ASK_INFORMATION = "ask_information"
    PROVIDE_INFORMATION = "provide_information"
    ACCEPT = "accept"
    DECLINE = "decline"
    RETURN = "return"
    WITHDRAW = "withdraw"
    EXPIRE = "expire"
    REASSIGN = "reassign"
    START_CALL = "start_call"
    INTERRUPT = "interrupt"
    RESUME = "resume"
    END_CALL = "end_call"
    SIGN_OPINION = "sign_opinion"
    CORRECT_OPINION = "correct_opinion"
    ACKNOWLEDGE = "acknowledge"


class Urgency(StrEnum):
    """How soon a specialist is needed. Order of the queue: emergency, urgent, routine."""

    EMERGENCY = "emergency"
    URGENT = "urgent"
    ROUTINE = "routine"

    @property
    def rank(self) -> int:
        """0 for the most urgent; sorts a queue."""
        return list(Urgency).index(self)


class Mode(StrEnum):
    """How the consult is held: by video, or in writing (store and forward)."""

    LIVE = "live"
    WRITTEN = "written"


_VD, _SP, _CO, _SYS = Role.VEHICLE_DOCTOR, Role.SPECIALIST, Role.COORDINATOR, Role.SYSTEM
_S, _A = State, Action

TABLE: dict[tuple[State, Action, Role], State] = {
    (_S.REQUESTED, _A.ACCEPT, _SP): _S.ACCEPTED,
    (_S.REQUESTED, _A.ASK_INFORMATION, _SP): _S.NEEDS_INFORMATION,
    (_S.REQUESTED, _A.DECLINE, _SP): _S.DECLINED,
    (_S.REQUESTED, _A.WITHDRAW, _VD): _S.WITHDRAWN,
    (_S.REQUESTED, _A.EXPIRE, _SYS): _S.EXPIRED,
    (_S.REQUESTED, _A.REASSIGN, _CO): _S.REASSIGNED,
    (_S.NEEDS_INFORMATION, _A.PROVIDE_INFORMATION, _VD): _S.REQUESTED,
    (_S.NEEDS_INFORMATION, _A.WITHDRAW, _VD): _S.WITHDRAWN,
    (_S.NEEDS_INFORMATION, _A.EXPIRE, _SYS): _S.EXPIRED,
    (_S.NEEDS_INFORMATION, _A.REASSIGN, _CO): _S.REASSIGNED,
    # A reassigned consult waits for one named specialist; declining gives it back to the whole queue.
    (_S.REASSIGNED, _A.ACCEPT, _SP): _S.ACCEPTED,
    (_S.REASSIGNED, _A.ASK_INFORMATION, _SP): _S.NEEDS_INFORMATION,
    (_S.REASSIGNED, _A.RETURN, _SP): _S.REQUESTED,
    (_S.REASSIGNED, _A.WITHDRAW, _VD): _S.WITHDRAWN,
    (_S.REASSIGNED, _A.EXPIRE, _SYS): _S.EXPIRED,
    (_S.REASSIGNED, _A.REASSIGN, _CO): _S.REASSIGNED,
    (_S.ACCEPTED, _A.START_CALL, _SP): _S.IN_CALL,
    (_S.ACCEPTED, _A.START_CALL, _VD): _S.IN_CALL,
    (_S.ACCEPTED, _A.RETURN, _SP): _S.REQUESTED,
    (_S.ACCEPTED, _A.WITHDRAW, _VD): _S.WITHDRAWN,
    (_S.ACCEPTED, _A.REASSIGN, _CO): _S.REASSIGNED,
    (_S.ACCEPTED, _A.SIGN_OPINION, _SP): _S.OPINION_WRITTEN,
    (_S.IN_CALL, _A.END_CALL, _SP): _S.OPINION_DUE,
    (_S.IN_CALL, _A.END_CALL, _VD): _S.OPINION_DUE,
    (_S.IN_CALL, _A.INTERRUPT, _SYS): _S.INTERRUPTED,
    (_S.IN_CALL, _A.SIGN_OPINION, _SP): _S.OPINION_WRITTEN,
    (_S.IN_CALL, _A.REASSIGN, _CO): _S.REASSIGNED,
    (_S.INTERRUPTED, _A.RESUME, _SP): _S.IN_CALL,
    (_S.INTERRUPTED, _A.RESUME, _VD): _S.IN_CALL,
    (_S.INTERRUPTED, _A.END_CALL, _SP): _S.OPINION_DUE,
    (_S.INTERRUPTED, _A.END_CALL, _VD): _S.OPINION_DUE,
    (_S.INTERRUPTED, _A.END_CALL, _SYS): _S.OPINION_DUE,
    (_S.INTERRUPTED, _A.SIGN_OPINION, _SP): _S.OPINION_WRITTEN,
    (_S.INTERRUPTED, _A.REASSIGN, _CO): _S.REASSIGNED,
    (_S.OPINION_DUE, _A.START_CALL, _SP): _S.IN_CALL,
    (_S.OPINION_DUE, _A.START_CALL, _VD): _S.IN_CALL,
    (_S.OPINION_DUE, _A.SIGN_OPINION, _SP): _S.OPINION_WRITTEN,
    (_S.OPINION_DUE, _A.REASSIGN, _CO): _S.REASSIGNED,
    (_S.OPINION_WRITTEN, _A.ACKNOWLEDGE, _VD): _S.CLOSED,
    (_S.OPINION_WRITTEN, _A.CORRECT_OPINION, _SP): _S.OPINION_WRITTEN,
    # A correction after closing has to be read by the vehicle doctor again.
    (_S.CLOSED, _A.CORRECT_OPINION, _SP): _S.OPINION_WRITTEN,
}
"""The whole lifecycle. A consult begins in `State.REQUESTED` by `Action.REQUEST` of a vehicle doctor."""

WAITING = frozenset({State.REQUESTED, State.REASSIGNED})
"""States in which a specialist is awaited: the queue."""

RUNNING = frozenset({State.ACCEPTED, State.IN_CALL, State.INTERRUPTED, State.OPINION_DUE})
"""States in which a specialist has the consult in hand."""

OVER = frozenset({State.CLOSED, State.DECLINED, State.WITHDRAWN, State.EXPIRED})
"""States in which nobody owes anything."""

CALLABLE = frozenset({State.ACCEPTED, State.IN_CALL, State.INTERRUPTED, State.OPINION_DUE})
"""States in which the call can be entered."""

NEEDS_TEXT = frozenset(
    {Action.DECLINE, Action.ASK_INFORMATION, Action.PROVIDE_INFORMATION, Action.RETURN, Action.REASSIGN}
)
"""Actions that say why (or ask, or answer) in words."""

STATE_NAMES = {
    State.REQUESTED: N_("waiting"),
    State.NEEDS_INFORMATION: N_("needs information"),
    State.REASSIGNED: N_("reassigned"),
    State.ACCEPTED: N_("accepted"),
    State.IN_CALL: N_("in call"),
    State.INTERRUPTED: N_("interrupted"),
    State.OPINION_DUE: N_("opinion due"),
    State.OPINION_WRITTEN: N_("opinion written"),
    State.CLOSED: N_("closed"),
    State.DECLINED: N_("declined"),
    State.WITHDRAWN: N_("withdrawn"),
    State.EXPIRED: N_("expired"),
}

URGENCY_NAMES = {
    Urgency.EMERGENCY: N_("emergency"),
    Urgency.URGENT: N_("urgent"),
    Urgency.ROUTINE: N_("routine"),
}

ACTION_NAMES = {
    Action.REQUEST: N_("Ask for a consult"),
    Action.ASK_INFORMATION: N_("Ask for information"),
    Action.PROVIDE_INFORMATION: N_("Give the information"),
    Action.ACCEPT: N_("Accept"),
    Action.DECLINE: N_("Decline"),
    Action.RETURN: N_("Give back to the queue"),
    Action.WITHDRAW: N_("Withdraw"),
    Action.EXPIRE: N_("Expire"),
    Action.REASSIGN: N_("Reassign"),
    Action.START_CALL: N_("Start the call"),
    Action.INTERRUPT: N_("Interrupt"),
    Action.RESUME: N_("Resume the call"),
    Action.END_CALL: N_("End the call"),
    Action.SIGN_OPINION: N_("Sign the opinion"),
    Action.CORRECT_OPINION: N_("Correct the opinion"),
    Action.ACKNOWLEDGE: N_("Acknowledge"),
}


@dataclass(frozen=True)
class Parties:
    """Who a consult belongs to, as far as permission asks."""

    requester_id: str
    vehicle_id: str
    specialist_id: str | None


def actions(state: State, role: Role) -> tuple[Action, ...]:
    """The steps open to a role, in the order of the table."""
    return tuple(action for (s, action, r) in TABLE if s is state and r is role)


def next_state(state: State, action: Action, role: Role) -> State:
    """The state after the step. Raises Conflict when the state does not allow it, NotAllowed when the role doesn't."""
    target = TABLE.get((state, action, role))
    if target is not None:
        return target
    if any(s is state and a is action for (s, a, _) in TABLE):
        raise NotAllowed(N_("This step is for somebody with another role."))
    raise Conflict(N_("The consult has moved on, so this step is no longer possible. Look at where it stands now."))


def check_actor(action: Action, state: State, actor: Actor, parties: Parties) -> None:
    """Refuse a step by the right role but the wrong person.

    A vehicle doctor acts on consults of their own vehicle. A specialist acts on a consult that is theirs,
    or on a waiting one that is not reserved for a named colleague.
    """
    if actor.role is Role.VEHICLE_DOCTOR and actor.vehicle_id != parties.vehicle_id:
        raise NotAllowed(N_("This consult belongs to another clinic vehicle."))
    if actor.role is Role.SPECIALIST and actor.user_id != parties.specialist_id:
        if state is State.REASSIGNED:
            raise NotAllowed(N_("The coordinator has given this consult to another specialist."))
        if state is not State.REQUESTED:
            raise NotAllowed(N_("This consult is in the hands of another specialist."))


def check_text(action: Action, text: str) -> None:
    """Refuse a step that has to be explained and is not. Raises InvalidInput."""
    if action in NEEDS_TEXT and not text.strip():
        raise InvalidInput(N_("Write a sentence that says why, so that the others know."), field="text")
