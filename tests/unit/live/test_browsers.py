"""`/live`: who may say and watch what, how everything is answered, and that nothing a browser says ends its socket."""

from __future__ import annotations

from typing import Any

import pytest

from teleconsult.domain.consult import State
from teleconsult.domain.errors import N_, Unavailable
from teleconsult.domain.ids import new_id
from teleconsult.domain.roles import PEOPLE_ROLES, Actor, Role
from teleconsult.live.browsers import Browsers
from teleconsult.live.namespace import CHECK_SECONDS
from teleconsult.services import staff
from teleconsult.services.consults import take_step
from teleconsult.services.node import Node
from tests.support.calls import MovableClock, invite, put_consult
from tests.support.live import NewTab
from tests.support.world import USERNAMES, World

DOCTORS = {Role.VEHICLE_DOCTOR, Role.SPECIALIST}

WHO_MAY = {
    "watch": set(PEOPLE_ROLES),
    "unwatch": set(PEOPLE_ROLES),
    "call:join": DOCTORS,
    "call:resume": DOCTORS,
    "call:check": DOCTORS,
    "call:signal": DOCTORS,
    "call:leave": DOCTORS,
    "call:end": DOCTORS,
    "call:media": DOCTORS,
    "call:quality": DOCTORS,
    "chat:send": DOCTORS,
    "device:command": {Role.VEHICLE_DOCTOR},
}

PEER = "0123456789abcdef"
DESCRIPTION = {"description": {"type": "answer", "sdp": "v=0\r\n"}}


def payload(event: str, consult_id: str) -> dict[str, Any]:
    """A well-formed payload of each event."""
    return {
        "watch": {"topic": "node"},
        "unwatch": {"topic": "node"},
        "call:join": {"consult_id": consult_id, "peer": PEER},
        "call:resume": {"consult_id": consult_id, "peer": PEER},
        "call:check": {"peer": PEER},
        "call:signal": {"consult_id": consult_id, "peer": PEER, "message": DESCRIPTION},
        "call:leave": {"consult_id": consult_id, "peer": PEER},
        "call:end": {"consult_id": consult_id},
        "call:media": {"consult_id": consult_id, "audio": True, "video": False},
        "call:quality": {"consult_id": consult_id, "word": "fair"},
        "chat:send": {"consult_id": consult_id, "id": new_id(), "text": "您好"},
        "device:command": {"assignment_id": "cuff", "command": "measure"},
    }[event]


def test_every_event_says_who_may_say_it() -> None:
    assert {name: set(spec.roles) for name, spec in Browsers.events.items()} == WHO_MAY


@pytest.mark.parametrize("username", ["doctor", "specialist", "coordinator", "admin"])
def test_every_event_with_every_role(hub: Node, hub_tab: NewTab, username: str) -> None:
    consult_id = put_consult(hub)
    tab = hub_tab(username)
    for event, roles in WHO_MAY.items():
        answer = tab.ask(event, payload(event, consult_id))
        refused = answer["ok"] is False and answer["code"] == "not_allowed"
        assert refused is (USERNAMES[username].role not in roles), (event, answer)
        assert answer["ok"] or answer["sentence"], answer
    assert tab.connected


@pytest.mark.parametrize("username", ["other-doctor", "colleague", "township"])
def test_somebody_elses_consult(hub: Node, hub_tab: NewTab, username: str) -> None:
    consult_id = put_consult(hub)
    hub_tab("doctor").ask("call:join", payload("call:join", consult_id))
    stranger = hub_tab(username)
    assert stranger.ask("watch", {"topic": f"consult:{consult_id}"})["code"] == "not_allowed"
    for event in ("call:join", "call:resume", "call:end", "chat:send"):
        assert stranger.ask(event, payload(event, consult_id))["code"] == "not_allowed", event
    for event in ("call:signal", "call:media", "call:quality"):
        assert stranger.ask(event, payload(event, consult_id))["code"] == "conflict", event
    hub.bus.publish(f"consult:{consult_id}", "chat:message", {"text": "secret"})
    assert stranger.said("chat:message") == []


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("watch", [{}]),
        ("watch", []),
        ("watch", ["node"]),
        ("watch", [{"topic": "node"}, {"topic": "node"}]),
        ("watch", [{"topic": "x" * 5000}]),
        ("watch", [{"topic": "secrets"}]),
        ("watch", [{"topic": "consult:"}]),
        ("watch", [{"topic": ["node"]}]),
        ("watch", [None]),
        ("watch", [b"\x00\xff"]),
        ("call:join", [{"consult_id": "1 OR 1=1", "peer": PEER}]),
        (
            "call:signal",
            [{"consult_id": new_id(), "peer": PEER, "message": {"description": {"type": "offer", "sdp": 7}}}],
        ),
        (
            "call:signal",
            [{"consult_id": new_id(), "peer": PEER, "message": {"description": {"type": "bye", "sdp": ""}}}],
        ),
        ("call:signal", [{"consult_id": new_id(), "peer": PEER, "message": "offer"}]),
        ("chat:send", [{"consult_id": new_id(), "id": new_id(), "text": "x" * 5000}]),
        ("device:command", [{"assignment_id": "cuff", "command": {"rm": "-rf"}}]),
    ],
)
def test_malformed_payloads_are_answered_with_a_sentence(hub_tab: NewTab, event: str, data: list[Any]) -> None:
    tab = hub_tab("doctor")
    answer = tab.ask(event, *data)
    assert (answer["ok"], answer["code"]) == (False, "invalid")
    assert answer["sentence"]
    assert tab.ask("watch", {"topic": "node"}) == {"ok": True}


@pytest.mark.parametrize("event", ["nonsense", "call:gone", "unknown", "event:watch", "__init__", "welcome", "end"])
def test_unknown_events(hub_tab: NewTab, event: str) -> None:
    tab = hub_tab("doctor")
    answer = tab.ask(event, {"ended": True})
    assert (answer["ok"], answer["code"]) == (False, "unknown_event")
    assert tab.ask("watch", {"topic": "node"}) == {"ok": True}


def test_events_named_like_the_connection_itself(hub: Node, hub_tab: NewTab) -> None:
    tab = hub_tab("doctor")
    tab.ask("connect", {})
    assert len(tab.said("hello")) == 1
    assert tab.ask("watch", {"topic": "node"}) == {"ok": True}
    tab.ask("disconnect")
    assert hub.presence.online_since(World.doctor.user_id) is None
    assert tab.ask("watch", {"topic": "node"})["code"] == "login"


def test_sentences_are_in_the_persons_language(hub_tab: NewTab) -> None:
    assert any("一" <= sign <= "鿿" for sign in hub_tab("doctor").ask("nonsense")["sentence"])


# -- topics ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "allowed"),
    [
        ("queue", {"specialist", "colleague", "township", "coordinator"}),
        ("board", {"coordinator", "admin"}),
        ("node", set(USERNAMES)),
        ("consult", {"doctor", "specialist"}),
        ("own user", set(USERNAMES)),
        ("other user", set()),
        ("channel", set()),
    ],
)
def test_who_may_watch_what(hub: Node, hub_tab: NewTab, topic: str, allowed: set[str]) -> None:
    consult_id = put_consult(hub, State.IN_CALL)
    for username, actor in USERNAMES.items():
        tab = hub_tab(username)
        other = World.doctor if actor is not World.doctor else World.specialist
        name = {
            "consult": f"consult:{consult_id}",
            "own user": f"user:{actor.user_id}",
            "other user": f"user:{other.user_id}",
            "channel": f"channel:{tab.channel}",
        }.get(topic, topic)
        assert tab.ask("watch", {"topic": name})["ok"] is (username in allowed), username


def test_announcements_reach_who_watches_and_nobody_else(hub: Node, hub_tab: NewTab) -> None:
    consult_id = put_consult(hub)
    doctor, specialist = hub_tab("doctor"), hub_tab("specialist")
    topic = f"consult:{consult_id}"
    assert doctor.ask("watch", {"topic": topic})["ok"]
    hub.bus.publish(topic, "reading", {"id": "1"})
    assert (doctor.said("reading"), specialist.said("reading")) == ([{"id": "1"}], [])
    doctor.ask("unwatch", {"topic": topic})
    hub.bus.publish(topic, "reading", {"id": "2"})
    assert doctor.said("reading") == [{"id": "1"}]


def test_who_watched_a_waiting_consult_hears_no_more_of_it_when_a_colleague_has_it(hub: Node, hub_tab: NewTab) -> None:
    waiting = {"specialist_id": None, "specialist_name": None, "accepted_at": None}
    consult_id = put_consult(hub, State.REQUESTED, **waiting)
    topic = f"consult:{consult_id}"
    both = specialist, colleague = hub_tab("specialist"), hub_tab("colleague")
    assert all(tab.ask("watch", {"topic": topic})["ok"] for tab in both)
    from teleconsult.domain.consult import Action

    take_step(hub, World.specialist, consult_id, Action.ACCEPT)
    assert [tab.said("consult:changed")[0]["actor_name"] for tab in both] == ["专家甲", "专家甲"]
    hub.bus.publish(topic, "chat:message", {"text": "只给你们"})
    assert len(specialist.said("chat:message")) == 1
    assert colleague.said("chat:message") == []


def test_a_withdrawn_invitation_ends_the_hearing(hub: Node, hub_tab: NewTab) -> None:
    consult_id = put_consult(hub, State.IN_CALL)
    invitation = invite(hub, consult_id, World.township_doctor.user_id)
    tab = hub_tab("township")
    assert tab.ask("watch", {"topic": f"consult:{consult_id}"})["ok"]
    from teleconsult.store.tables import Invitation

    with hub.store.write() as tx:
        row = tx.session.get_one(Invitation, invitation)
        row.withdrawn_at = hub.clock()
        tx.session.add(row)
    told = {"consult_id": consult_id, "user_id": World.township_doctor.user_id}
    hub.bus.publish(f"consult:{consult_id}", "call:uninvited", told)
    hub.bus.publish(f"consult:{consult_id}", "reading", {"id": "1"})
    assert tab.said("reading") == []


# -- logins ------------------------------------------------------------------------------------------------


def test_without_a_login_nobody_connects(hub_tab: NewTab) -> None:
    from flask_socketio import SocketIOTestClient

    app = hub_tab.app  # type: ignore[attr-defined]
    client = SocketIOTestClient(
        app, app.extensions["socketio_for_tests"], namespace="/live", flask_test_client=app.test_client()
    )
    assert not client.is_connected("/live")


def test_an_expired_login_ends_the_socket_with_a_word(hub: Node, hub_tab: NewTab, clock: MovableClock) -> None:
    tab = hub_tab("specialist")
    clock.pass_by(hub.settings.session_hours * 3600 + CHECK_SECONDS)
    answer = tab.ask("watch", {"topic": "queue"})
    assert (answer["ok"], answer["code"]) == (False, "login")
    assert not tab.connected
    assert hub.presence.online_since(World.specialist.user_id) is None


def test_an_open_page_alone_does_not_keep_a_login_alive(hub: Node, hub_tab: NewTab, clock: MovableClock) -> None:
    tab = hub_tab("specialist")
    for _ in range(int(hub.settings.session_idle_minutes) + 1):
        clock.pass_by(60)
        browsers_of(hub_tab).check_logins()
    assert not tab.connected


def test_a_call_keeps_its_login_alive(hub: Node, hub_tab: NewTab, clock: MovableClock) -> None:
    consult_id = put_consult(hub)
    tab = hub_tab("specialist")
    assert tab.ask("call:join", payload("call:join", consult_id))["ok"]
    for _ in range(int(hub.settings.session_idle_minutes) + 10):
        clock.pass_by(60)
        browsers_of(hub_tab).check_logins()
    assert tab.connected


def test_a_closed_account_is_out_at_once(hub: Node, hub_tab: NewTab) -> None:
    consult_id = put_consult(hub)
    tab = hub_tab("specialist")
    tab.ask("call:join", payload("call:join", consult_id))
    staff.set_active(hub, World.administrator, World.specialist.user_id, active=False)
    assert not tab.connected
    assert hub.calls is not None
    assert hub.calls.participants(consult_id) == []


def test_only_pages_of_this_address_connect(hub_tab: NewTab) -> None:
    client = hub_tab.app.test_client()  # type: ignore[attr-defined]
    handshake = "/socket.io/?EIO=4&transport=polling"
    assert client.get(handshake, headers={"Origin": "http://localhost"}).status_code == 200
    assert client.get(handshake, headers={"Origin": "http://elsewhere.example"}).status_code == 400
    assert client.get(handshake, headers={"Origin": "null"}).status_code == 400


# -- calls and chat ----------------------------------------------------------------------------------------


def test_a_call_through_sockets(hub: Node, hub_tab: NewTab) -> None:
    consult_id = put_consult(hub)
    doctor, specialist = hub_tab("doctor"), hub_tab("specialist")
    for tab in (doctor, specialist):
        tab.ask("watch", {"topic": f"consult:{consult_id}"})
    entered = doctor.ask("call:join", {"consult_id": consult_id, "peer": PEER})
    assert entered["ok"]
    assert [person["name"] for person in entered["participants"]] == ["车医生"]
    hub.media.offer(consult_id, PEER)  # type: ignore[union-attr]
    assert [said["peer"] for said in doctor.said("call:signal")] == [PEER]
    assert specialist.said("call:signal") == []
    assert specialist.said("call:participants")[-1]["participants"][0]["name"] == "车医生"
    line = {"consult_id": consult_id, "id": new_id(), "text": "听得到吗"}
    assert doctor.ask("chat:send", line)["message"]["text"] == "听得到吗"
    doctor.ask("chat:send", line)
    assert [said["text"] for said in specialist.said("chat:message")] == ["听得到吗"]
    assert specialist.ask("call:end", {"consult_id": consult_id}) == {"ok": True}
    assert doctor.said("call:ended") == [{"consult_id": consult_id, "state": "opinion_due"}]


def test_a_closed_tab_is_noticed(hub: Node, hub_tab: NewTab) -> None:
    consult_id = put_consult(hub)
    tab = hub_tab("doctor")
    assert hub.presence.online_since(World.doctor.user_id) is not None
    tab.ask("call:join", {"consult_id": consult_id, "peer": PEER})
    tab.socket.disconnect("/live")
    assert hub.presence.online_since(World.doctor.user_id) is None
    assert hub.calls is not None
    (call,) = hub.calls._calls.values()
    assert [stay.channel for stay in call.stays.values()] == [None]


def test_a_vehicle_hands_calls_to_the_hub(vehicle: Node, vehicle_tab: NewTab) -> None:
    consult_id = put_consult(vehicle)
    handed: list[tuple[str, Actor, str, dict[str, Any]]] = []

    def relay(channel: str, actor: Actor, event: str, data: dict[str, Any]) -> dict[str, Any]:
        handed.append((channel, actor, event, data))
        return {"ok": True, "participant": "p"}

    vehicle.relay = relay
    tab = vehicle_tab("doctor")
    assert tab.ask("call:join", {"consult_id": consult_id, "peer": PEER}) == {"ok": True, "participant": "p"}
    assert tab.ask("call:signal", {"consult_id": consult_id, "peer": PEER, "message": DESCRIPTION})["ok"]
    assert [(channel, actor.user_id, event) for channel, actor, event, _ in handed] == [
        (tab.channel, World.doctor.user_id, "call:join"),
        (tab.channel, World.doctor.user_id, "call:signal"),
    ]
    assert handed[1][3] == {"consult_id": consult_id, "peer": PEER, "message": DESCRIPTION}
    vehicle.bus.publish(f"channel:{tab.channel}", "call:signal", {"peer": PEER})
    assert tab.said("call:signal") == [{"peer": PEER}]
    tab.socket.disconnect("/live")
    assert handed[-1][2:] == ("call:gone", {"ended": False})


def test_off_line_the_call_says_so_and_the_rest_works(vehicle: Node, vehicle_tab: NewTab) -> None:
    consult_id = put_consult(vehicle)

    def relay(channel: str, actor: Actor, event: str, data: dict[str, Any]) -> dict[str, Any]:
        raise Unavailable(N_("The link to the county hospital is lost. The call goes on when it is back."))

    vehicle.relay = relay
    tab = vehicle_tab("doctor")
    answer = tab.ask("call:join", {"consult_id": consult_id, "peer": PEER})
    assert (answer["ok"], answer["code"]) == (False, "unavailable")
    assert tab.ask("chat:send", {"consult_id": consult_id, "id": new_id(), "text": "先记下"})["ok"]
    tab.socket.disconnect("/live")


def browsers_of(hub_tab: NewTab) -> Browsers:
    """The namespace behind a hub's tabs."""
    found = hub_tab.app.extensions["teleconsult_browsers"]  # type: ignore[attr-defined]
    assert isinstance(found, Browsers)
    return found
