"""One step of a consult inside an open transaction: judged by the lifecycle, kept as an event, told to whoever watches.

Two people who step at once: the row is changed only if it is still in the state (and revision) that was judged, so
exactly one of them succeeds, on SQLite and on PostgreSQL. Which steps a page or a timer may ask for is `consults`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from teleconsult.domain.consult import (
    WAITING,
    Action,
    Mode,
    Parties,
    State,
    Urgency,
    check_actor,
    check_text,
    next_state,
)
from teleconsult.domain.errors import N_, Conflict, InvalidInput, NotFound
from teleconsult.domain.roles import Actor, Role
from teleconsult.plugin_api import ConsultEvent as PluginEvent
from teleconsult.services.node import HUB, Work
from teleconsult.store.tables import Consult, ConsultEvent, OutboxEntry, User

MAX_WORDS = 2000
"""Characters of the words that go with a step."""

_UNQUEUED = frozenset({State.NEEDS_INFORMATION, *WAITING})


def get_consult(session: Session, consult_id: str) -> Consult:
    """The consult. Raises NotFound."""
    row = session.get(Consult, consult_id)
    if row is None:
        raise NotFound(N_("There is no such consult."))
    return row


def parties(consult: Consult) -> Parties:
    """Who the consult belongs to."""
    return Parties(consult.requester_id, consult.vehicle_id, consult.specialist_id)


def judge(consult: Consult, action: Action, actor: Actor, text: str) -> State:
    """The state after the step. Raises Conflict, NotAllowed or InvalidInput with a sentence; changes nothing."""
    state = State(consult.state)
    if actor.role is Role.VEHICLE_DOCTOR:
        check_actor(action, state, actor, parties(consult))
    if action is Action.ACCEPT and state not in WAITING and consult.specialist_name:
        raise Conflict(N_("%(name)s has already accepted this consult."), name=consult.specialist_name)
    target = next_state(state, action, actor.role)
    check_actor(action, state, actor, parties(consult))
    check_text(action, text)
    if len(text) > MAX_WORDS:
        raise InvalidInput(
            N_("This text is longer than %(most)s characters. Shorten it; nothing was lost."),
            field="text",
            most=MAX_WORDS,
        )
    return target


def apply_step(
    work: Work, consult: Consult, action: Action, *, text: str = "", details: dict[str, Any] | None = None
) -> ConsultEvent:
    """Judge and take the actor's step. `consult` shows the new state afterwards."""
    text = text.strip()
    target = judge(consult, action, work.actor, text)
    event = ConsultEvent(
        consult_id=consult.id,
        action=action,
        from_state=consult.state,
        to_state=target,
        actor_id=work.actor.user_id,
        actor_name=work.actor.name,
        actor_role=work.actor.role,
        node_id=work.node.node_id,
        at=work.now,
        text=text,
        details=details or {},
    )
    keep_step(work, consult, event, target)
    work.audit(action, "consult", consult.id, patient_id=consult.patient_id)
    return event


def keep_step(work: Work, consult: Consult, event: ConsultEvent, target: State) -> None:
    """Write a judged step. Raises Conflict if somebody else's step came in between; nothing is changed then."""
    before = State(consult.state)
    concerned = {consult.specialist_id}
    if before is State.NEEDS_INFORMATION:
        concerned.add(_asked_by(work.session, consult))
    values = _effects(work, consult, event, target)
    if work.node.is_hub:
        values["revision"] = consult.revision + 1
        values["pending"] = False
    else:
        values["pending"] = True  # the hub has not judged it yet
    _swap(work, consult, Action(event.action), values)
    work.session.add(event)
    work.share(event, [consult.vehicle_id])
    if work.node.is_hub:
        work.share(consult, [consult.vehicle_id])
    announce(work, consult, before, event.action, event.actor_name, also=concerned)
    tell_plugins(work, consult, event)


def _swap(work: Work, consult: Consult, action: Action, values: dict[str, Any]) -> None:
    statement = (
        update(Consult)
        .where(
            col(Consult.id) == consult.id,
            col(Consult.state) == consult.state,
            col(Consult.revision) == consult.revision,
        )
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    changed = work.session.execute(statement).rowcount  # type: ignore[attr-defined]
    work.session.refresh(consult)
    if changed == 1:
        return
    if action is Action.ACCEPT and consult.specialist_name:
        raise Conflict(N_("%(name)s has already accepted this consult."), name=consult.specialist_name)
    raise Conflict(N_("The consult has moved on, so this step is no longer possible. Look at where it stands now."))


def _effects(work: Work, consult: Consult, event: ConsultEvent, target: State) -> dict[str, Any]:
    """The columns that the step changes."""
    action, before, at = Action(event.action), State(consult.state), event.at
    values: dict[str, Any] = {"state": target.value}
    if target is not before or action is Action.REASSIGN:
        values["state_since"] = at
    match action:
        case Action.ACCEPT:
            values.update(specialist_id=event.actor_id, specialist_name=event.actor_name, accepted_at=at)
        case Action.RETURN | Action.ASK_INFORMATION:
            values.update(specialist_id=None, specialist_name=None, accepted_at=None)
        case Action.REASSIGN:
            chosen = _named_specialist(work, event)
            values.update(specialist_id=chosen.id, specialist_name=chosen.name, accepted_at=None)
        case Action.START_CALL:
            values.update(call_started_at=consult.call_started_at or at, call_ended_at=None)
        case Action.END_CALL:
            # A call that nobody resumed ended when it was interrupted.
            values["call_ended_at"] = consult.state_since if before is State.INTERRUPTED else at
        case Action.SIGN_OPINION:
            values["signed_at"] = at
        case Action.CORRECT_OPINION:
            values.update(signed_at=at, closed_at=None)
        case Action.ACKNOWLEDGE:
            values["closed_at"] = at
        case _:
            pass
    if before in (State.IN_CALL, State.INTERRUPTED) and target not in (State.IN_CALL, State.INTERRUPTED):
        values.setdefault("call_ended_at", consult.state_since if before is State.INTERRUPTED else at)
    return values


def _named_specialist(work: Work, event: ConsultEvent) -> User:
    """The specialist a consult is given to. Raises InvalidInput."""
    user = work.session.get(User, str(event.details.get("specialist_id") or ""))
    if user is None or user.role != Role.SPECIALIST or not user.active:
        raise InvalidInput(N_("Choose a specialist who still works here."), field="specialist_id")
    return user


def _asked_by(session: Session, consult: Consult) -> str | None:
    """The specialist who last asked for information: the answer concerns them."""
    query = select(ConsultEvent.actor_id).where(
        ConsultEvent.consult_id == consult.id, ConsultEvent.action == Action.ASK_INFORMATION
    )
    return session.exec(query.order_by(col(ConsultEvent.at).desc())).first()


def announce(
    work: Work,
    consult: Consult,
    before: State | None,
    action: str,
    actor_name: str,
    *,
    also: Iterable[str | None] = (),
) -> None:
    """Tell the pages that show the consult, its people, the queue and the board."""
    state = State(consult.state)
    told = {
        "consult_id": consult.id,
        "number": consult.number,
        "state": state.value,
        "revision": consult.revision,
        "pending": consult.pending,
        "action": str(action),
        "actor_name": actor_name,
    }
    work.announce(f"consult:{consult.id}", "consult:changed", told)
    for user_id in {consult.requester_id, consult.specialist_id, *also} - {None}:
        work.announce(f"user:{user_id}", "consult:changed", told)
    if state in _UNQUEUED or before in _UNQUEUED:
        arrived = state in WAITING and (before not in WAITING or action == Action.REASSIGN)
        work.announce(
            "queue",
            "queue:changed",
            {"consult_id": consult.id, "state": state.value, "urgency": consult.urgency, "arrived": arrived},
        )
    work.announce("board", "board:changed", {})


def tell_plugins(work: Work, consult: Consult, event: ConsultEvent) -> None:
    """Have this node's plugins told of the step, once it is committed."""
    host = work.node.plugins
    if host is None:
        return
    told = PluginEvent(
        event_id=event.id,
        consult_id=consult.id,
        action=Action(event.action),
        state=State(event.to_state),
        at=event.at,
        urgency=Urgency(consult.urgency),
        mode=Mode(consult.mode),
        specialty=consult.specialty,
        actor_role=Role(event.actor_role),
        patient_id=consult.patient_id,
        encounter_id=consult.encounter_id,
        organization_id=_organization_of(work.session, event.actor_id),
        vehicle_id=consult.vehicle_id,
    )
    work.afterwards(lambda: host.announce(told))


def _organization_of(session: Session, user_id: str) -> str | None:
    user = session.get(User, user_id)
    return user.organization_id if user else None


def unjudged(session: Session, consult_id: str) -> list[ConsultEvent]:
    """A vehicle's own steps that the hub has not answered yet, in their order."""
    query = (
        select(ConsultEvent)
        .join(OutboxEntry, col(OutboxEntry.record_id) == col(ConsultEvent.id))
        .where(
            ConsultEvent.consult_id == consult_id,
            OutboxEntry.kind == "consultevent",
            OutboxEntry.target == HUB,
            col(OutboxEntry.acked_at).is_(None),
        )
    )
    return list(session.exec(query.order_by(col(OutboxEntry.seq))))


def refused(session: Session, consult_id: str) -> dict[str, str]:
    """A vehicle's own steps that the hub did not take: event id → the hub's sentence."""
    query = (
        select(ConsultEvent.id, OutboxEntry.error)
        .join(OutboxEntry, col(OutboxEntry.record_id) == col(ConsultEvent.id))
        .where(
            ConsultEvent.consult_id == consult_id,
            OutboxEntry.kind == "consultevent",
            OutboxEntry.target == HUB,
            OutboxEntry.error != "",
        )
    )
    return dict(session.exec(query).all())


def moment(at: datetime, now: datetime) -> datetime:
    """A time told by another machine's clock: never later than now."""
    return min(at, now)
