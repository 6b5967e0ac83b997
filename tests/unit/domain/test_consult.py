"""The lifecycle table: nothing unreachable, nothing stuck, every illegal step refused with a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleconsult.domain.consult import (
    ACTION_NAMES,
    CALLABLE,
    NEEDS_TEXT,
    OVER,
    RUNNING,
    STATE_NAMES,
    TABLE,
    WAITING,
    Action,
    Parties,
    State,
    Urgency,
    actions,
    check_actor,
    check_text,
    next_state,
)
from teleconsult.domain.errors import Conflict, InvalidInput, NotAllowed
from teleconsult.domain.roles import SYSTEM, Actor, Role
from tests.support.world import World

STEP = st.tuples(st.sampled_from(Action), st.sampled_from(Role))


def reachable(start: State) -> set[State]:
    """Every state that can follow `start`, in any number of steps."""
    found, edge = {start}, [start]
    while edge:
        here = edge.pop()
        for (state, _action, _role), target in TABLE.items():
            if state is here and target not in found:
                found.add(target)
                edge.append(target)
    return found


def test_every_state_can_be_reached_from_the_request() -> None:
    assert reachable(State.REQUESTED) == set(State)


@pytest.mark.parametrize("state", State)
def test_no_state_is_stuck(state: State) -> None:
    assert reachable(state) & OVER, f"nothing ends a consult that is {state}"


@pytest.mark.parametrize("state", sorted(set(State) - OVER))
def test_a_living_consult_always_has_a_person_who_can_move_it(state: State) -> None:
    assert any(role is not Role.SYSTEM for (s, _a, role) in TABLE if s is state)


def test_nobody_owes_anything_when_it_is_over_but_a_correction_may_come() -> None:
    steps = {(state, action) for (state, action, _role) in TABLE if state in OVER}
    assert steps == {(State.CLOSED, Action.CORRECT_OPINION)}


def test_states_are_sorted_into_groups_without_overlap() -> None:
    assert not WAITING & RUNNING
    assert not RUNNING & OVER
    assert CALLABLE == RUNNING
    assert set(STATE_NAMES) == set(State)
    assert set(ACTION_NAMES) == set(Action)
    assert {action for (_s, action, _r) in TABLE} == set(Action) - {Action.REQUEST}


@given(st.lists(STEP, max_size=40))
def test_a_random_walk_refuses_what_the_table_does_not_have_with_a_sentence(steps: list[tuple[Action, Role]]) -> None:
    state = State.REQUESTED
    for action, role in steps:
        legal = (state, action, role) in TABLE
        assert (action in actions(state, role)) is legal
        if legal:
            state = next_state(state, action, role)
            continue
        somebody_may = any(s is state and a is action for (s, a, _r) in TABLE)
        with pytest.raises(NotAllowed if somebody_may else Conflict, match=r"^.{20,}\.$"):
            next_state(state, action, role)


@given(st.data())
def test_a_random_walk_of_legal_steps_ends_somewhere(data: st.DataObject) -> None:
    """From wherever legal steps lead, an end stays within reach, and no step leads out of the table."""
    state = State.REQUESTED
    for _step in range(data.draw(st.integers(0, 30))):
        legal = [(action, role) for (s, action, role) in TABLE if s is state]
        if not legal:
            assert state in OVER
            return
        action, role = data.draw(st.sampled_from(legal))
        state = next_state(state, action, role)
    assert reachable(state) & OVER


@given(st.sampled_from(State), st.sampled_from(Action), st.sampled_from([World.specialist, World.colleague]))
def test_a_specialist_acts_on_a_free_consult_or_on_their_own(state: State, action: Action, actor: Actor) -> None:
    mine = Parties(World.doctor.user_id, World.vehicle_id, actor.user_id)
    check_actor(action, state, actor, mine)
    of_another = Parties(World.doctor.user_id, World.vehicle_id, "somebody else")
    if state is State.REQUESTED:
        check_actor(action, state, actor, of_another)
    else:
        with pytest.raises(NotAllowed):
            check_actor(action, state, actor, of_another)


@given(st.sampled_from(State), st.sampled_from(Action))
def test_a_vehicle_doctor_acts_on_their_own_vehicles_consults_only(state: State, action: Action) -> None:
    parties = Parties(World.doctor.user_id, World.vehicle_id, None)
    check_actor(action, state, World.doctor, parties)
    check_actor(action, state, SYSTEM, parties)
    with pytest.raises(NotAllowed):
        check_actor(action, state, World.other_doctor, parties)


@given(st.sampled_from(Action), st.text())
def test_steps_that_have_to_be_explained_are_refused_without_words(action: Action, text: str) -> None:
    if action in NEEDS_TEXT and not text.strip():
        with pytest.raises(InvalidInput) as refusal:
            check_text(action, text)
        assert refusal.value.field == "text"
    else:
        check_text(action, text)


def test_urgency_sorts_a_queue() -> None:
    assert sorted(Urgency, key=lambda u: u.rank) == [Urgency.EMERGENCY, Urgency.URGENT, Urgency.ROUTINE]
