"""Requests and steps: one winner, nothing half done, everything told and audited."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from teleconsult.domain.consult import Action, State
from teleconsult.domain.errors import Conflict, InvalidInput, NotAllowed, NotFound, TeleconsultError
from teleconsult.domain.ids import new_id, utc_now
from teleconsult.domain.people import site_today
from teleconsult.domain.roles import SYSTEM
from teleconsult.services import consult_steps, consults
from teleconsult.services.consults import ConsentInput, take_step
from teleconsult.services.encounters import finish_encounter
from teleconsult.services.node import Node
from teleconsult.store.tables import AuditEntry, Consent, Consult, ConsultEvent, OutboxEntry
from tests.support.consults import accepted, add_reading, ask, open_encounter, signed
from tests.support.world import World

Heard = list[tuple[str, str, dict[str, Any]]]


@pytest.fixture
def heard(hub: Node) -> Heard:
    """Everything that the hub announces."""
    found: Heard = []
    hub.bus.listen(lambda topic, event, data: found.append((topic, event, data)))
    return found


def row_of(node: Node, consult_id: str) -> Consult:
    with node.store.read() as session:
        row = session.get(Consult, consult_id)
        assert row is not None
        return row


def events_of(node: Node, consult_id: str) -> list[str]:
    with node.store.read() as session:
        rows = session.exec(select(ConsultEvent).where(ConsultEvent.consult_id == consult_id))
        return [row.action for row in sorted(rows, key=lambda row: (row.at, row.id))]


# -- asking -------------------------------------------------------------------------------------------------------


def test_a_request_is_a_consult_an_event_and_a_consent(hub: Node, heard: Heard) -> None:
    encounter_id = open_encounter(hub)
    reading = add_reading(hub, encounter_id)
    consult = ask(hub, encounter_id=encounter_id, observation_ids=(reading,), notes=True)
    day = f"{site_today(hub.clock()):%Y%m%d}"
    assert consult.number == f"JN-01-{day}-001"
    assert (consult.state, consult.revision, consult.pending) == (State.REQUESTED, 1, False)
    assert consult.shared == {"observation_ids": [reading], "notes": True, "history": True}
    with hub.store.read() as session:
        consent = session.exec(select(Consent)).one()
        assert (consent.record_id, consent.consult_id) == (consult.consent_id, consult.id)
        assert (consent.given_by, consent.how, consent.author_name) == ("patient", "oral", World.doctor.name)
        entry = session.exec(select(AuditEntry).where(AuditEntry.entity == "consult")).one()
        assert (entry.action, entry.actor_id, entry.patient_id) == ("create", World.doctor.user_id, World.patient_id)
    assert events_of(hub, consult.id) == ["request"]
    queue = [data for topic, event, data in heard if event == "queue:changed"]
    assert queue == [{"consult_id": consult.id, "state": "requested", "urgency": "urgent", "arrived": True}]


def test_numbers_count_up_per_vehicle_and_day(hub: Node) -> None:
    first, second = ask(hub), ask(hub)
    assert first.number.endswith("-001")
    assert second.number.endswith("-002")


def test_sending_the_same_form_twice_asks_once(hub: Node) -> None:
    key, encounter_id = new_id(), open_encounter(hub)
    assert ask(hub, id=key, encounter_id=encounter_id).number == ask(hub, id=key, encounter_id=encounter_id).number
    assert events_of(hub, key) == ["request"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"specialty": "astrology"}, "specialty"),
        ({"reason": "   "}, "reason"),
        ({"reason": "长" * 1001}, "reason"),
        ({"consent": ConsentInput(given_by="family", how="oral")}, "giver_name"),
        ({"observation_ids": (new_id(),)}, "observation_ids"),
    ],
)
def test_what_is_wrong_with_a_request_is_said_and_nothing_is_kept(
    hub: Node, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        ask(hub, **changes)
    assert refusal.value.field == field
    with hub.store.read() as session:
        assert not session.exec(select(Consult)).all()
        assert not session.exec(select(Consent)).all()


def test_another_persons_reading_is_never_shared(hub: Node) -> None:
    encounter_id = open_encounter(hub)
    reading = add_reading(hub, encounter_id, patient_id=new_id())
    with pytest.raises(InvalidInput):
        ask(hub, encounter_id=encounter_id, observation_ids=(reading,))


def test_a_reading_nobody_accepted_is_not_shared(hub: Node) -> None:
    encounter_id = open_encounter(hub)
    reading = add_reading(hub, encounter_id, status="preliminary")
    with pytest.raises(InvalidInput):
        ask(hub, encounter_id=encounter_id, observation_ids=(reading,))


def test_a_request_needs_the_vehicles_own_doctor_and_an_open_encounter(hub: Node) -> None:
    with pytest.raises(NotAllowed):
        ask(hub, World.other_doctor)
    with pytest.raises(NotAllowed):
        ask(hub, World.specialist)
    encounter_id = open_encounter(hub)
    finish_encounter(hub, World.doctor, encounter_id)
    with pytest.raises(Conflict):
        ask(hub, encounter_id=encounter_id)
    with pytest.raises(NotFound):
        ask(hub, encounter_id=new_id())


# -- steps --------------------------------------------------------------------------------------------------------


def test_the_whole_way_to_a_closed_consult(hub: Node) -> None:
    consult = accepted(hub)
    assert (consult.specialist_id, consult.accepted_at is not None) == (World.specialist.user_id, True)
    take_step(hub, World.doctor, consult.id, Action.START_CALL)
    take_step(hub, SYSTEM, consult.id, Action.INTERRUPT)
    take_step(hub, World.specialist, consult.id, Action.RESUME)
    consult = take_step(hub, World.doctor, consult.id, Action.END_CALL)
    assert consult.state == State.OPINION_DUE
    assert consult.call_started_at is not None
    assert consult.call_ended_at is not None


def test_a_question_and_its_answer_bring_it_back_to_the_queue(hub: Node, heard: Heard) -> None:
    consult = ask(hub)
    take_step(hub, World.specialist, consult.id, Action.ASK_INFORMATION, "心电图有吗？")
    assert not [d for _t, e, d in heard if e == "queue:changed" and d["arrived"] and d["state"] != "requested"]
    heard.clear()
    take_step(hub, World.doctor, consult.id, Action.PROVIDE_INFORMATION, "已上传")
    assert row_of(hub, consult.id).state == State.REQUESTED
    assert (f"user:{World.specialist.user_id}", "consult:changed") in [(t, e) for t, e, _d in heard]
    assert [d["arrived"] for _t, e, d in heard if e == "queue:changed"] == [True]


def test_words_are_asked_for_where_they_are_needed(hub: Node) -> None:
    consult = ask(hub)
    with pytest.raises(InvalidInput) as refusal:
        take_step(hub, World.specialist, consult.id, Action.DECLINE, "  ")
    assert refusal.value.field == "text"
    with pytest.raises(InvalidInput):
        take_step(hub, World.specialist, consult.id, Action.DECLINE, "长" * 2001)
    assert row_of(hub, consult.id).state == State.REQUESTED


def test_the_coordinator_gives_it_to_a_named_specialist(hub: Node) -> None:
    consult = accepted(hub)
    with pytest.raises(InvalidInput):
        take_step(hub, World.coordinator, consult.id, Action.REASSIGN, "出诊", specialist_id=World.doctor.user_id)
    take_step(hub, World.coordinator, consult.id, Action.REASSIGN, "出诊", specialist_id=World.colleague.user_id)
    with pytest.raises(NotAllowed):
        take_step(hub, World.specialist, consult.id, Action.ACCEPT)
    row = take_step(hub, World.colleague, consult.id, Action.ACCEPT)
    assert (row.state, row.specialist_name) == (State.ACCEPTED, World.colleague.name)


def test_who_comes_second_is_told_who_was_first(hub: Node) -> None:
    consult = accepted(hub)
    with pytest.raises(Conflict) as refusal:
        take_step(hub, World.colleague, consult.id, Action.ACCEPT)
    assert World.specialist.name in str(refusal.value)
    assert take_step(hub, World.specialist, consult.id, Action.ACCEPT).revision == consult.revision


def test_an_opinion_is_not_signed_by_a_bare_step(hub: Node) -> None:
    consult = accepted(hub)
    with pytest.raises(InvalidInput):
        take_step(hub, World.specialist, consult.id, Action.SIGN_OPINION)
    assert row_of(hub, consult.id).state == State.ACCEPTED


@pytest.mark.timeout(400)
def test_two_specialists_at_once_200_times(hub: Node) -> None:
    """Real threads, released together: exactly one has it, the other is told who."""
    waiting = [ask(hub).id for _ in range(4)]
    pool = waiting * 50
    for number, consult_id in enumerate(pool):
        start = threading.Barrier(2)
        outcome: dict[str, Any] = {}

        def accept(actor: Any, consult_id: str = consult_id, start: Any = start, outcome: Any = outcome) -> None:
            start.wait(10)
            try:
                outcome[actor.name] = take_step(hub, actor, consult_id, Action.ACCEPT)
            except TeleconsultError as error:
                outcome[actor.name] = error

        threads = [threading.Thread(target=accept, args=(who,)) for who in (World.specialist, World.colleague)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        winners = [name for name, result in outcome.items() if isinstance(result, Consult)]
        losers = [result for result in outcome.values() if isinstance(result, Conflict)]
        assert (len(winners), len(losers)) == (1, 1), (number, outcome)
        assert winners[0] in str(losers[0])
        row = row_of(hub, consult_id)
        assert row.specialist_name == winners[0]
        take_step(
            hub,
            World.specialist if winners[0] == World.specialist.name else World.colleague,
            consult_id,
            Action.RETURN,
            "再来一次",
        )
    for consult_id in waiting:
        steps = events_of(hub, consult_id)
        assert steps.count("accept") == 50
        assert row_of(hub, consult_id).revision == 1 + len(steps) - 1


def test_the_row_is_swapped_only_if_it_is_what_was_judged(hub: Node) -> None:
    """The guard that PostgreSQL needs, where two transactions read the same row before either writes."""
    consult = ask(hub)
    with hub.transaction(World.colleague) as work:
        stale = consult_steps.get_consult(work.session, consult.id)
        work.session.expunge(stale)
    take_step(hub, World.specialist, consult.id, Action.ACCEPT)
    with pytest.raises(Conflict) as refusal, hub.transaction(World.colleague) as work:
        fresh = consult_steps.get_consult(work.session, consult.id)
        fresh.state, fresh.revision, fresh.specialist_id = stale.state, stale.revision, None
        work.session.autoflush = False
        consult_steps.apply_step(work, fresh, Action.ACCEPT)
    assert World.specialist.name in str(refusal.value)
    assert row_of(hub, consult.id).specialist_id == World.specialist.user_id


# -- the clock ----------------------------------------------------------------------------------------------------


def test_what_nobody_takes_expires_and_a_lost_call_ends(hub: Node) -> None:
    asked, called = ask(hub), accepted(hub)
    take_step(hub, World.doctor, called.id, Action.START_CALL)
    take_step(hub, SYSTEM, called.id, Action.INTERRUPT)
    assert consults.lapse(hub) == 0
    interrupted_at = row_of(hub, called.id).state_since
    now = utc_now()
    hub.clock = lambda: now + timedelta(minutes=31)
    assert consults.lapse(hub) == 1
    row = row_of(hub, called.id)
    assert (row.state, row.call_ended_at) == (State.OPINION_DUE, interrupted_at)
    hub.clock = lambda: now + timedelta(hours=72, minutes=1)
    assert consults.lapse(hub) == 1
    assert row_of(hub, asked.id).state == State.EXPIRED
    assert consults.lapse(hub) == 0


# -- between vehicle and hub --------------------------------------------------------------------------------------


def queued(node: Node, kind: str) -> list[dict[str, Any]]:
    with node.store.read() as session:
        rows = session.exec(select(OutboxEntry).where(OutboxEntry.kind == kind).order_by(OutboxEntry.seq))  # type: ignore[arg-type]
        return [row.payload for row in rows]


def carry_up(vehicle: Node, hub: Node) -> list[tuple[str, str]]:
    """What the sync room does with a vehicle's requests and steps, without the network."""
    with hub.store.write() as tx:
        for payload in queued(vehicle, "consult"):
            row = Consult.model_validate(payload)
            if tx.session.get(Consult, row.id) is None:
                row.state, row.revision, row.pending = State.REQUESTED, 0, True
                tx.session.add(row)
    answers = []
    with vehicle.store.read() as session:
        entries = session.exec(
            select(OutboxEntry).where(OutboxEntry.kind == "consultevent").order_by(OutboxEntry.seq)  # type: ignore[arg-type]
        ).all()
    for entry in entries:
        name, sentence = consults.apply_remote_event(hub, ConsultEvent.model_validate(entry.payload))
        answers.append((name, sentence))
        with vehicle.store.write() as tx:
            known = tx.session.get(OutboxEntry, entry.seq)
            assert known is not None
            known.acked_at = vehicle.clock()
            known.error = sentence if name == "refused" else ""
    return answers


def carry_down(hub: Node, vehicle: Node) -> None:
    for payload in queued(hub, "consult"):
        with vehicle.transaction(SYSTEM) as work:
            consults.receive_consult(work, Consult.model_validate(payload))


def test_a_vehicles_request_reaches_the_queue_once(hub: Node, vehicle: Node, heard: Heard) -> None:
    consult = ask(vehicle)
    assert (consult.revision, consult.pending) == (0, True)
    assert [kind for kind in _kinds(vehicle) if kind != "auditentry"] == ["consent", "consult", "consultevent"]
    assert carry_up(vehicle, hub) == [("new", "")]
    assert carry_up(vehicle, hub) == [("identical", "")]
    row = row_of(hub, consult.id)
    assert (row.state, row.revision, row.pending) == (State.REQUESTED, 1, False)
    assert len([1 for _t, e, _d in heard if e == "queue:changed"]) == 1
    carry_down(hub, vehicle)
    row = row_of(vehicle, consult.id)
    assert (row.revision, row.pending) == (1, False)


def _kinds(node: Node) -> list[str]:
    with node.store.read() as session:
        return [row.kind for row in session.exec(select(OutboxEntry).order_by(OutboxEntry.seq))]  # type: ignore[arg-type]


def test_a_vehicles_own_step_runs_ahead_until_the_hub_answers(hub: Node, vehicle: Node) -> None:
    consult = ask(vehicle)
    carry_up(vehicle, hub)
    carry_down(hub, vehicle)
    take_step(hub, World.specialist, consult.id, Action.ASK_INFORMATION, "测一下血氧")
    take_step(vehicle, World.doctor, consult.id, Action.WITHDRAW)
    assert (row_of(vehicle, consult.id).state, row_of(vehicle, consult.id).pending) == (State.WITHDRAWN, True)
    carry_down(hub, vehicle)  # the hub's older word must not undo what was just done here
    assert (row_of(vehicle, consult.id).state, row_of(vehicle, consult.id).pending) == (State.WITHDRAWN, True)
    assert carry_up(vehicle, hub)[-1] == ("new", "")
    carry_down(hub, vehicle)
    assert (row_of(vehicle, consult.id).state, row_of(vehicle, consult.id).pending) == (State.WITHDRAWN, False)


def test_a_step_that_came_too_late_is_refused_and_the_vehicle_sees_the_truth(hub: Node, vehicle: Node) -> None:
    consult = ask(vehicle)
    carry_up(vehicle, hub)
    carry_down(hub, vehicle)
    take_step(hub, World.specialist, consult.id, Action.DECLINE, "请转皮肤科")
    take_step(vehicle, World.doctor, consult.id, Action.WITHDRAW)
    name, sentence = carry_up(vehicle, hub)[-1]
    assert name == "refused"
    assert sentence.startswith("The consult has moved on")
    carry_down(hub, vehicle)
    row = row_of(vehicle, consult.id)
    assert (row.state, row.pending) == (State.DECLINED, False)
    with vehicle.store.read() as session:
        assert list(consult_steps.refused(session, consult.id).values()) == [sentence]


@pytest.mark.parametrize(
    "changes",
    [
        {"actor_role": "specialist", "action": "accept", "actor_id": World.specialist.user_id},
        {"actor_role": "system", "action": "expire", "actor_id": "system"},
        {"actor_role": "nobody"},
        {"action": "fly"},
        {"action": "sign_opinion"},
        {"actor_id": World.other_doctor.user_id},
    ],
)
def test_a_vehicle_cannot_take_other_peoples_steps(hub: Node, changes: dict[str, str]) -> None:
    consult = ask(hub)
    values = {
        "consult_id": consult.id,
        "action": "withdraw",
        "to_state": "withdrawn",
        "actor_id": World.doctor.user_id,
        "actor_name": "x",
        "actor_role": "vehicle_doctor",
        "node_id": World.vehicle_id,
        **changes,
    }
    name, sentence = consults.apply_remote_event(hub, ConsultEvent(**values))
    assert name == "refused"
    assert sentence.endswith(".")
    assert row_of(hub, consult.id).state == State.REQUESTED
    assert events_of(hub, consult.id) == ["request"]


def test_a_fast_vehicle_clock_is_not_believed(hub: Node) -> None:
    consult = ask(hub)
    event = ConsultEvent(
        consult_id=consult.id,
        action="withdraw",
        to_state="withdrawn",
        actor_id=World.doctor.user_id,
        actor_name=World.doctor.name,
        actor_role="vehicle_doctor",
        node_id=World.vehicle_id,
        at=utc_now() + timedelta(days=1),
    )
    assert consults.apply_remote_event(hub, event)[0] == "new"
    assert row_of(hub, consult.id).state_since <= utc_now()


def test_plugins_are_told_after_the_commit_and_not_before(hub: Node) -> None:
    told: list[tuple[str, str, str]] = []

    class Host:
        def announce(self, event: Any) -> None:
            told.append((event.action, event.state, row_of(hub, event.consult_id).state))

    hub.plugins = Host()  # type: ignore[assignment]
    consult = ask(hub)
    with pytest.raises(InvalidInput):
        take_step(hub, World.specialist, consult.id, Action.DECLINE)
    take_step(hub, World.specialist, consult.id, Action.ACCEPT)
    assert told == [("request", "requested", "requested"), ("accept", "accepted", "accepted")]


def test_what_the_hub_writes_goes_to_the_consults_vehicle(hub: Node) -> None:
    consult = signed(hub)
    with hub.store.read() as session:
        entries = session.exec(select(OutboxEntry)).all()
    assert {entry.target for entry in entries} == {World.vehicle_id}
    assert {"consult", "consultevent", "consent", "opinion"} <= {entry.kind for entry in entries}
    assert [e.payload["state"] for e in entries if e.kind == "consult"][-1] == consult.state
