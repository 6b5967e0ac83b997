"""Records between a vehicle and the hub: once, in order, only one's own, and the hub decides about consults."""

from __future__ import annotations

import pytest
from sqlmodel import select

from teleconsult.domain.consult import Action, State
from teleconsult.domain.errors import InvalidInput
from teleconsult.domain.roles import Actor
from teleconsult.services import accounts, chat, consults, encounters, opinions
from teleconsult.services.node import Node
from teleconsult.store import versions
from teleconsult.store.tables import AuditEntry, ChatMessage, Consult, ConsultEvent, Encounter, OutboxEntry, User
from teleconsult.sync import feed, inbox, outbox
from tests.support.link import exchange, pull, push
from tests.support.world import World


def ask(vehicle: Node, doctor: Actor = World.doctor) -> Consult:
    encounter = encounters.start_encounter(vehicle, doctor, World.patient_id, reason="头晕")
    request = consults.RequestInput.model_validate(
        {
            "encounter_id": encounter.id,
            "specialty": "cardiology",
            "urgency": "urgent",
            "reason": "血压持续升高",
            "consent": {"given_by": "patient", "how": "oral"},
        }
    )
    return consults.request_consult(vehicle, doctor, request)


def stored(node: Node, consult_id: str) -> Consult:
    with node.store.read() as session:
        consult = session.get(Consult, consult_id)
    assert consult is not None
    return consult


def test_a_request_reaches_the_hub_and_its_acceptance_the_vehicle(vehicle: Node, hub: Node) -> None:
    consult = ask(vehicle)
    assert {answer["result"] for answer in exchange(vehicle, hub)} == {"new"}
    at_hub = stored(hub, consult.id)
    assert (at_hub.state, at_hub.pending, at_hub.reason) == (State.REQUESTED, False, "血压持续升高")
    assert stored(vehicle, consult.id).pending is False

    consults.take_step(hub, World.specialist, consult.id, Action.ACCEPT)
    pull(vehicle, hub)
    here = stored(vehicle, consult.id)
    assert (here.state, here.specialist_name) == (State.ACCEPTED, World.specialist.name)


def test_a_second_delivery_changes_nothing(vehicle: Node, hub: Node) -> None:
    ask(vehicle)
    batch = [outbox.wire(entry) for entry in outbox.next_batch(vehicle)]
    first = inbox.receive(hub, vehicle.node_id, batch)
    with hub.store.read() as session:
        before = {table: len(session.exec(select(table)).all()) for table in (Encounter, ConsultEvent, AuditEntry)}
    second = inbox.receive(hub, vehicle.node_id, batch)
    with hub.store.read() as session:
        after = {table: len(session.exec(select(table)).all()) for table in (Encounter, ConsultEvent, AuditEntry)}
    assert {answer["result"] for answer in first} == {"new"}
    assert {answer["result"] for answer in second} == {"identical"}
    assert before == after


def test_a_step_that_comes_too_late_is_refused_and_the_vehicle_learns_the_truth(vehicle: Node, hub: Node) -> None:
    consult = ask(vehicle)
    exchange(vehicle, hub)
    consults.take_step(vehicle, World.doctor, consult.id, Action.WITHDRAW)
    assert stored(vehicle, consult.id).pending is True
    consults.take_step(hub, World.specialist, consult.id, Action.DECLINE, "请先到卫生院检查")
    results = exchange(vehicle, hub)
    refused = [answer for answer in results if answer["result"] == "refused"]
    assert len(refused) == 1
    assert refused[0]["sentence"]
    here = stored(vehicle, consult.id)
    assert (here.state, here.pending) == (State.DECLINED, False)
    with vehicle.store.read() as session:
        kept = session.exec(select(OutboxEntry).where(OutboxEntry.error != "")).one()
    assert kept.kind == "consultevent"


def test_a_vehicle_cannot_hand_in_what_another_wrote(vehicle: Node, hub: Node) -> None:
    ask(vehicle)
    batch = [outbox.wire(entry) for entry in outbox.next_batch(vehicle)]
    answers = inbox.receive(hub, World.other_vehicle_id, batch)
    assert {answer["result"] for answer in answers} == {"refused"}
    with hub.store.read() as session:
        assert session.exec(select(Consult)).all() == []


def test_a_vehicle_cannot_write_in_the_name_of_a_specialist(vehicle: Node, hub: Node) -> None:
    consult = ask(vehicle)
    exchange(vehicle, hub)
    forged = ConsultEvent(
        consult_id=consult.id,
        action=Action.ACCEPT,
        from_state=State.REQUESTED,
        to_state=State.ACCEPTED,
        actor_id=World.doctor.user_id,
        actor_name="假专家",
        actor_role="specialist",
        node_id=vehicle.node_id,
    )
    with vehicle.transaction(World.doctor) as work:
        work.share(forged)
    assert [answer["result"] for answer in push(vehicle, hub)] == ["refused"]
    assert stored(hub, consult.id).state == State.REQUESTED


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("user_account", {"id": "x"}),
        ("encounter", {"id": "x"}),
        ("encounter", {"patient_id": 5, "record_id": []}),
        ("auditentry", {"unknown": 1}),
        ("nothing", {}),
    ],
)
def test_what_is_no_record_is_invalid_and_does_not_hold_up_the_rest(
    vehicle: Node, hub: Node, kind: str, payload: dict[str, object]
) -> None:
    ask(vehicle)
    batch = [outbox.wire(entry) for entry in outbox.next_batch(vehicle)]
    bad = {"seq": 0, "kind": kind, "record_id": "x", "payload": payload}
    answers = inbox.receive(hub, vehicle.node_id, [bad, *batch])
    assert answers[0]["result"] == "invalid"
    assert {answer["result"] for answer in answers[1:]} == {"new"}


def test_versions_keep_their_order_and_the_newest_is_current(vehicle: Node, hub: Node) -> None:
    encounter = encounters.start_encounter(vehicle, World.doctor, World.patient_id, reason="复诊")
    encounters.finish_encounter(vehicle, World.doctor, encounter.id)
    batch = [outbox.wire(entry) for entry in outbox.next_batch(vehicle)]
    inbox.receive(hub, vehicle.node_id, list(reversed(batch)))
    with hub.store.read() as session:
        rows = versions(session, Encounter, encounter.id)
    assert [row.state for row in rows] == ["open", "finished"]
    assert [row.current for row in rows] == [False, True]


def test_chat_and_opinion_go_both_ways(vehicle: Node, hub: Node) -> None:
    heard: list[tuple[str, str]] = []
    vehicle.bus.listen(lambda topic, event, data: heard.append((topic, event)))
    consult = ask(vehicle)
    exchange(vehicle, hub)
    consults.take_step(hub, World.specialist, consult.id, Action.ACCEPT)
    pull(vehicle, hub)
    chat.send_message(hub, World.specialist, consult.id, "请再测一次血压", message_id=World.patient_id)
    chat.send_message(vehicle, World.doctor, consult.id, "好的，马上测", message_id=World.stop_id)
    exchange(vehicle, hub)
    for node in (vehicle, hub):
        with node.store.read() as session:
            assert {line.text for line in session.exec(select(ChatMessage))} == {"请再测一次血压", "好的，马上测"}
    fields = {"impression": "高血压2级", "advice": "按时服药", "refer": False}
    opinions.sign_opinion(hub, World.specialist, consult.id, opinions.OpinionInput.model_validate(fields))
    pull(vehicle, hub)
    assert stored(vehicle, consult.id).state == State.OPINION_WRITTEN
    topic = f"consult:{consult.id}"
    assert {(topic, "chat:message"), (topic, "opinion:signed"), (topic, "consult:changed")} <= set(heard)
    consults.take_step(vehicle, World.doctor, consult.id, Action.ACKNOWLEDGE)
    exchange(vehicle, hub)
    assert stored(hub, consult.id).state == State.CLOSED


def test_a_vehicle_gets_its_own_peoples_passwords_only(vehicle: Node, hub: Node) -> None:
    with hub.transaction(World.administrator) as work:
        for user in work.session.exec(select(User)):
            work.send(user, "*")
    sent = {entry["payload"]["id"]: entry["payload"] for entry in feed.read(hub, vehicle.node_id, 0, 200)}
    assert sent[World.doctor.user_id]["password_hash"].startswith("$argon2id$")
    assert sent[World.other_doctor.user_id]["password_hash"] == feed.NO_PASSWORD
    pull(vehicle, hub)
    with pytest.raises(InvalidInput):
        accounts.log_in(vehicle, "specialist", feed.NO_PASSWORD, address="", agent="")


def test_a_new_person_at_the_hub_can_log_in_on_the_vehicle(vehicle: Node, hub: Node) -> None:
    with hub.transaction(World.administrator) as work:
        user = work.session.get(User, World.doctor.user_id)
        assert user is not None
        new = User(**{**user.model_dump(), "id": "00000000-0000-7000-8000-000000000099", "username": "new-doctor"})
        work.session.add(new)
        work.send(new, "*")
    pull(vehicle, hub)
    _, actor = accounts.log_in(vehicle, "new-doctor", "villages-73", address="", agent="")
    assert actor.vehicle_id == vehicle.node_id
