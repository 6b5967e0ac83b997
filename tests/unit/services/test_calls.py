"""The call desk: who may enter, what entering does, and how a call survives reloads, lost links and dead workers."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from pydantic import ValidationError
from sqlmodel import select

from teleconsult.domain.consult import CALLABLE, State
from teleconsult.domain.errors import Conflict, NotAllowed, NotFound, Unavailable
from teleconsult.domain.roles import Actor
from teleconsult.media import PeerState, RoomLost, SignalRefused
from teleconsult.services.calls import MAX_PARTICIPANTS, CallDesk
from teleconsult.services.node import Node
from teleconsult.store.tables import AuditEntry, Consult, ConsultEvent, OutboxEntry, Participation
from tests.support.calls import MovableClock, RecordingMedia, invite, peer_id, put_consult
from tests.support.world import World


class Desk:
    """A hub with a desk, a recording backend and everything that was announced."""

    def __init__(self, hub: Node) -> None:
        self.node = hub
        self.clock = MovableClock(hub)
        self.heard: list[tuple[str, str, dict[str, Any]]] = []
        hub.bus.listen(lambda topic, event, data: self.heard.append((topic, event, data)))
        self.desk = CallDesk(hub)
        self.media = RecordingMedia(self.desk.on_media_event)
        hub.media, hub.calls = self.media, self.desk
        self.consult = put_consult(hub)

    def say(self, actor: Actor, event: str, channel: str = "", **data: Any) -> dict[str, Any]:
        return self.desk.handle(actor, channel or actor.user_id, event, {"consult_id": self.consult, **data})

    def enter(self, actor: Actor, channel: str = "") -> str:
        """Join and connect; gives the peer."""
        peer = peer_id()
        self.say(actor, "call:join", channel, peer=peer)
        self.media.connect(self.consult, peer)
        return peer

    def state(self) -> State:
        with self.node.store.read() as session:
            return State(session.get_one(Consult, self.consult).state)

    def told(self, event: str) -> list[tuple[str, dict[str, Any]]]:
        return [(topic, data) for topic, happening, data in self.heard if happening == event]

    def stays(self) -> list[Participation]:
        with self.node.store.read() as session:
            return list(session.exec(select(Participation).order_by(Participation.joined_at)))

    def names(self) -> list[str]:
        return [person["name"] for person in self.desk.participants(self.consult)]

    def wait(self, seconds: float) -> None:
        """Let time pass, and let the desk notice it."""
        self.desk.tick()
        self.clock.pass_by(seconds)
        self.desk.tick()


@pytest.fixture
def desk(hub: Node) -> Desk:
    return Desk(hub)


def test_the_first_to_enter_starts_the_call(desk: Desk) -> None:
    answer = desk.say(World.doctor, "call:join", peer="peer-one")
    assert desk.state() is State.IN_CALL
    assert desk.media.asked == [("join", desk.consult, "peer-one", answer["participant"])]
    assert answer["started_at"] is not None
    assert [(p["name"], p["organization"]) for p in answer["participants"]] == [("车医生", "景宁县人民医院")]


def test_the_second_enters_the_same_call(desk: Desk) -> None:
    desk.enter(World.doctor)
    desk.enter(World.specialist)
    assert desk.names() == ["车医生", "专家甲"]
    with desk.node.store.read() as session:
        actions = [event.action for event in session.exec(select(ConsultEvent))]
    assert actions == ["start_call"]
    topic, data = desk.told("call:participants")[-1]
    assert topic == f"consult:{desk.consult}"
    assert [person["connected"] for person in data["participants"]] == [True, True]


def test_two_who_enter_at_the_same_instant_both_succeed(desk: Desk) -> None:
    failures: list[BaseException] = []
    ready = threading.Barrier(2)

    def enter(actor: Actor) -> None:
        ready.wait()
        try:
            desk.enter(actor)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=enter, args=(actor,)) for actor in (World.doctor, World.specialist)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failures == []
    assert sorted(desk.names()) == ["专家甲", "车医生"]


@pytest.mark.parametrize("actor", [World.other_doctor, World.colleague, World.township_doctor, World.coordinator])
def test_others_are_refused_whatever_they_say(desk: Desk, actor: Actor) -> None:
    peer = desk.enter(World.doctor)
    with pytest.raises(NotAllowed):
        desk.say(actor, "call:join", peer=peer_id())
    with pytest.raises(NotAllowed):
        desk.say(actor, "call:resume", peer=peer)
    with pytest.raises(NotAllowed):
        desk.say(actor, "call:end")
    for event, data in (
        ("call:signal", {"peer": peer, "message": {"description": {"type": "answer", "sdp": "v=0"}}}),
        ("call:media", {"audio": False, "video": False}),
        ("call:quality", {"word": "poor"}),
    ):
        with pytest.raises(Conflict):
            desk.say(actor, event, **data)
    desk.say(actor, "call:leave", peer=peer)
    assert desk.names() == ["车医生"]
    assert [ask[0] for ask in desk.media.asked] == ["join"]


def test_nobody_speaks_through_somebody_elses_peer(desk: Desk) -> None:
    peer = desk.enter(World.doctor)
    desk.enter(World.specialist)
    message = {"description": {"type": "answer", "sdp": "v=0"}}
    with pytest.raises(Conflict):
        desk.say(World.specialist, "call:signal", peer=peer, message=message)
    with pytest.raises(Conflict):
        desk.say(World.specialist, "call:join", peer=peer)
    assert [ask[0] for ask in desk.media.asked] == ["join", "join"]


@pytest.mark.parametrize("state", [state for state in State if state not in CALLABLE])
def test_no_call_where_there_is_none(hub: Node, state: State) -> None:
    desk = Desk(hub)
    desk.consult = put_consult(hub, state)
    with pytest.raises(Conflict):
        desk.say(World.doctor, "call:join", peer=peer_id())
    assert desk.media.asked == []
    assert desk.stays() == []


def test_an_unknown_consult(desk: Desk) -> None:
    desk.consult = World.patient_id
    with pytest.raises(NotFound):
        desk.say(World.doctor, "call:join", peer=peer_id())


def test_without_a_media_worker(desk: Desk) -> None:
    desk.node.media = None
    with pytest.raises(Unavailable):
        desk.say(World.doctor, "call:join", peer=peer_id())
    assert desk.state() is State.ACCEPTED


def test_an_invited_person_enters_but_starts_and_ends_nothing(desk: Desk) -> None:
    invite(desk.node, desk.consult, World.township_doctor.user_id)
    with pytest.raises(Conflict):
        desk.say(World.township_doctor, "call:join", peer=peer_id())
    desk.enter(World.doctor)
    desk.enter(World.township_doctor)
    assert desk.names() == ["车医生", "镇医生"]
    with pytest.raises(NotAllowed):
        desk.say(World.township_doctor, "call:end")
    assert desk.state() is State.IN_CALL


def test_whose_invitation_is_withdrawn_leaves(desk: Desk) -> None:
    invite(desk.node, desk.consult, World.township_doctor.user_id)
    desk.enter(World.doctor)
    peer = desk.enter(World.township_doctor)
    uninvited = {"consult_id": desk.consult, "user_id": World.township_doctor.user_id}
    desk.node.bus.publish(f"consult:{desk.consult}", "call:uninvited", uninvited)
    assert desk.names() == ["车医生"]
    assert ("leave", desk.consult, peer) in desk.media.asked
    assert desk.told("call:ended")[-1][0] == f"channel:{World.township_doctor.user_id}"


def test_whoever_leaves_leaves_with_every_connection(desk: Desk) -> None:
    """The worker keeps an older one until a newer one is connected, which a browser may never do."""
    desk.enter(World.doctor)
    first, second, third = desk.enter(World.specialist), peer_id(), peer_id()
    for peer in (second, third):
        desk.say(World.specialist, "call:join", peer=peer)
    desk.media.connect(desk.consult, second, "failed")
    desk.desk.remove(desk.consult, World.specialist.user_id)
    assert {peer for what, _, peer in (one[:3] for one in desk.media.asked) if what == "leave"} == {first, third}
    assert desk.names() == ["车医生"]


def test_a_connection_that_fails_does_not_hide_an_older_one(desk: Desk) -> None:
    first, second = desk.enter(World.specialist), peer_id()
    desk.say(World.specialist, "call:join", peer=second)
    desk.media.connect(desk.consult, second, "failed")
    desk.desk.channel_gone(World.specialist.user_id, ended=True)
    assert ("leave", desk.consult, first) in desk.media.asked


def test_a_reload_keeps_the_place_and_the_stay(desk: Desk) -> None:
    desk.enter(World.doctor, "old-tab")
    desk.enter(World.specialist)
    desk.desk.channel_gone("old-tab")
    desk.wait(2)
    desk.enter(World.doctor, "new-tab")
    desk.wait(60)
    assert desk.names() == ["车医生", "专家甲"]
    assert [(stay.name, stay.left_at) for stay in desk.stays()] == [("车医生", None), ("专家甲", None)]
    assert desk.state() is State.IN_CALL


def test_a_second_tab_takes_over_and_tells_the_first(desk: Desk) -> None:
    desk.enter(World.doctor, "first-tab")
    desk.enter(World.doctor, "second-tab")
    assert desk.told("call:replaced") == [("channel:first-tab", {"consult_id": desk.consult})]
    assert desk.names() == ["车医生"]
    desk.desk.channel_gone("first-tab")
    desk.wait(60)
    assert desk.names() == ["车医生"]


def test_everybody_gone_interrupts_the_call_after_a_while_only(desk: Desk) -> None:
    for actor in (World.doctor, World.specialist):
        peer = desk.enter(actor)
        desk.desk.channel_gone(actor.user_id)
        desk.media.connect(desk.consult, peer, "closed")
    desk.wait(10)
    assert desk.state() is State.IN_CALL
    desk.wait(10)
    assert desk.state() is State.INTERRUPTED
    assert all(stay.left_at is not None for stay in desk.stays())
    assert ("close_room", desk.consult) in desk.media.asked


def test_an_interrupted_call_is_resumed_by_entering(desk: Desk) -> None:
    peer = desk.enter(World.doctor)
    desk.say(World.doctor, "call:leave", peer=peer)
    desk.wait(20)
    assert desk.state() is State.INTERRUPTED
    desk.enter(World.specialist)
    assert desk.state() is State.IN_CALL
    assert desk.names() == ["专家甲"]


def test_a_lost_uplink_interrupts_nothing_while_media_flows(desk: Desk) -> None:
    peer = desk.enter(World.doctor)
    desk.desk.channel_gone(World.doctor.user_id)
    desk.wait(300)
    assert desk.names() == ["车医生"]
    assert desk.say(World.doctor, "call:resume", "back-again", peer=peer)["resumed"] is True
    desk.media.offer(desk.consult, peer)
    assert desk.told("call:signal")[-1][0] == "channel:back-again"


def test_a_dead_peer_cannot_be_resumed(desk: Desk) -> None:
    peer = desk.enter(World.doctor)
    desk.media.connect(desk.consult, peer, "failed")
    assert desk.say(World.doctor, "call:resume", peer=peer)["resumed"] is False


def test_a_lost_worker_asks_everybody_to_join_again(desk: Desk) -> None:
    first = desk.enter(World.doctor)
    desk.enter(World.specialist)
    desk.desk.on_media_event(RoomLost(room=desk.consult))
    assert desk.told("call:reset") == [(f"consult:{desk.consult}", {"consult_id": desk.consult})]
    assert [person["connected"] for person in desk.desk.participants(desk.consult)] == [False, False]
    assert desk.say(World.doctor, "call:resume", peer=first)["resumed"] is False
    desk.enter(World.doctor)
    assert [person["connected"] for person in desk.desk.participants(desk.consult)] == [True, False]
    assert len(desk.stays()) == 2
    assert desk.state() is State.IN_CALL


def test_a_replaced_peer_that_closes_changes_nothing(desk: Desk) -> None:
    old = desk.enter(World.doctor)
    desk.enter(World.doctor)
    desk.media.connect(desk.consult, old, "closed")
    assert desk.desk.participants(desk.consult)[0]["connected"] is True


def test_switches_and_quality_are_told_to_the_others_once(desk: Desk) -> None:
    desk.enter(World.doctor)
    before = len(desk.told("call:participants"))
    desk.say(World.doctor, "call:media", audio=False, video=True)
    desk.say(World.doctor, "call:media", audio=False, video=True)
    desk.say(World.doctor, "call:quality", word="poor")
    assert len(desk.told("call:participants")) == before + 2
    person = desk.told("call:participants")[-1][1]["participants"][0]
    assert (person["audio"], person["video"], person["word"]) == (False, True, "poor")


def test_the_end_is_told_and_closes_the_room(desk: Desk) -> None:
    desk.enter(World.doctor)
    desk.enter(World.specialist)
    desk.say(World.specialist, "call:end")
    assert desk.state() is State.OPINION_DUE
    assert desk.told("call:ended") == [
        (f"consult:{desk.consult}", {"consult_id": desk.consult, "state": "opinion_due"})
    ]
    assert ("close_room", desk.consult) in desk.media.asked
    assert all(stay.left_at is not None for stay in desk.stays())
    desk.say(World.doctor, "call:end")  # both press at once: the second finds it done
    assert desk.names() == []


def test_who_logs_out_leaves_at_once(desk: Desk) -> None:
    peer = desk.enter(World.doctor)
    desk.desk.handle(World.doctor, World.doctor.user_id, "call:gone", {"ended": True})
    assert desk.names() == []
    assert ("leave", desk.consult, peer) in desk.media.asked


def test_who_leaves_is_gone_even_if_the_worker_noticed_first(desk: Desk) -> None:
    peer = desk.enter(World.doctor)
    desk.enter(World.specialist)
    desk.desk.on_media_event(PeerState(room=desk.consult, peer=peer, participant="x", state="closed"))
    desk.say(World.doctor, "call:leave", peer=peer)
    assert desk.names() == ["专家甲"]


def test_signals_reach_the_worker_as_the_browser_said_them(desk: Desk) -> None:
    peer = desk.enter(World.doctor)
    answer = {"description": {"type": "answer", "sdp": "v=0", "number": 3}}
    desk.say(World.doctor, "call:signal", peer=peer, message=answer)
    assert desk.media.asked[-1] == ("signal", desk.consult, peer, answer)
    candidate = {"candidate": "candidate:1 1 udp 1 10.0.0.1 9 typ host", "sdpMid": "0", "usernameFragment": "ab"}
    desk.say(World.doctor, "call:signal", peer=peer, message={"candidate": candidate})
    assert desk.media.asked[-1] == ("signal", desk.consult, peer, {"candidate": candidate})


def test_a_refused_signal_goes_back_to_its_page_only(desk: Desk) -> None:
    peer = desk.enter(World.doctor)
    desk.desk.on_media_event(
        SignalRefused(room=desk.consult, peer=peer, code="bad_description", sentence="It cannot be read.")
    )
    ((topic, data),) = desk.told("call:refused")
    assert topic == f"channel:{World.doctor.user_id}"
    assert data["code"] == "bad_description"


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("call:join", {"peer": "x"}),
        ("call:join", {"peer": "../../etc/passwd"}),
        ("call:join", {}),
        ("call:signal", {"peer": "peer-one", "message": {}}),
        ("call:signal", {"peer": "peer-one", "message": {"description": {"type": "offer"}}}),
        ("call:signal", {"peer": "peer-one", "message": {"description": {"type": "rollback", "sdp": ""}}}),
        ("call:signal", {"peer": "peer-one", "message": {"description": "v=0"}}),
        ("call:signal", {"peer": "peer-one", "message": {"description": {"type": "offer", "sdp": "x" * 300_000}}}),
        ("call:signal", {"peer": "peer-one", "message": {"candidate": {"sdpMLineIndex": -1}}}),
        ("call:quality", {"word": "<b>"}),
        ("call:media", {"audio": "perhaps", "video": True}),
        ("call:join", {"peer": "peer-one", "role": "administrator"}),
    ],
)
def test_malformed_messages_change_nothing(desk: Desk, event: str, data: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        desk.say(World.doctor, event, **data)
    assert desk.media.asked == []
    assert desk.state() is State.ACCEPTED


def test_a_call_is_bounded(desk: Desk) -> None:
    desk.enter(World.doctor)
    guests = [Actor(f"guest-{n}", f"客{n}", World.specialist.role, World.hospital_id) for n in range(MAX_PARTICIPANTS)]
    for guest in guests:
        invite(desk.node, desk.consult, guest.user_id)
    for guest in guests[:-1]:
        desk.enter(guest)
    with pytest.raises(Conflict):
        desk.enter(guests[-1])
    assert len(desk.names()) == MAX_PARTICIPANTS


def test_a_restarted_hub_waits_for_its_people(desk: Desk) -> None:
    desk.enter(World.doctor)
    reborn = CallDesk(desk.node)
    desk.node.calls = reborn
    reborn.recover()
    assert all(stay.left_at is not None for stay in desk.stays())
    reborn.tick()
    assert desk.state() is State.IN_CALL
    desk.clock.pass_by(20)
    reborn.tick()
    assert desk.state() is State.INTERRUPTED


def test_the_record_of_a_call_is_audited_and_shared_with_the_vehicle(desk: Desk) -> None:
    peer = desk.enter(World.specialist)
    desk.say(World.specialist, "call:leave", peer=peer)
    with desk.node.store.read() as session:
        audit = session.exec(select(AuditEntry).where(AuditEntry.action == "join_call")).one()
        sent = session.exec(select(OutboxEntry).where(OutboxEntry.kind == "participation")).all()
    assert (audit.actor_id, audit.patient_id) == (World.specialist.user_id, World.patient_id)
    assert [(entry.target, entry.payload["left_at"] is None) for entry in sent] == [
        (World.vehicle_id, True),
        (World.vehicle_id, False),
    ]


class TestTheCheckBeforeTheCall:
    """A room of one's own with two peers."""

    def test_it_has_a_room_that_nobody_else_enters(self, desk: Desk) -> None:
        for peer in ("sender-1", "receiver-1"):
            desk.desk.handle(World.doctor, "tab", "call:check", {"peer": peer})
        assert [ask[:3] for ask in desk.media.asked] == [
            ("join", "check:tab", "sender-1"),
            ("join", "check:tab", "receiver-1"),
        ]
        with pytest.raises(Conflict):
            desk.desk.handle(World.doctor, "tab", "call:check", {"peer": "third-one"})
        message = {"consult_id": "check", "peer": "sender-1", "message": {"candidate": None}}
        with pytest.raises(Conflict):
            desk.desk.handle(World.specialist, "another-tab", "call:signal", message)
        desk.desk.handle(World.doctor, "tab", "call:signal", message)
        assert desk.media.asked[-1] == ("signal", "check:tab", "sender-1", {"candidate": None})

    def test_the_workers_offer_reaches_the_tab(self, desk: Desk) -> None:
        desk.desk.handle(World.doctor, "tab", "call:check", {"peer": "sender-1"})
        desk.media.offer("check:tab", "sender-1")
        ((topic, data),) = desk.told("call:signal")
        assert (topic, data["consult_id"], data["peer"]) == ("channel:tab", "check", "sender-1")

    def test_it_ends_by_itself_and_with_the_tab(self, desk: Desk) -> None:
        desk.desk.handle(World.doctor, "tab", "call:check", {"peer": "sender-1"})
        desk.wait(61)
        assert desk.media.asked[-1] == ("close_room", "check:tab")
        desk.desk.handle(World.doctor, "tab", "call:check", {"peer": "sender-2"})
        desk.desk.channel_gone("tab")
        assert desk.media.asked[-1] == ("close_room", "check:tab")
        assert desk.stays() == []
