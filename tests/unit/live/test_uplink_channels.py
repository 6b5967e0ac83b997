"""Which vehicle a browser's channel is at, for as long as its page is open."""

from __future__ import annotations

from typing import Any

import pytest
from flask_socketio import SocketIOTestClient

from teleconsult.app import create_app
from teleconsult.live import create_socketio
from teleconsult.services import directory
from teleconsult.services.calls import CallDesk
from teleconsult.services.node import Node
from tests.support.calls import RecordingMedia, peer_id, put_consult
from tests.support.world import World


@pytest.fixture
def link(hub: Node) -> SocketIOTestClient:
    """A vehicle's uplink at a hub that holds calls."""
    hub.calls = CallDesk(hub)
    hub.media = RecordingMedia(hub.calls.on_media_event)
    app = create_app(hub)
    auth = {
        "vehicle_id": World.vehicle_id,
        "key": directory.make_vehicle_key(hub, World.administrator, World.vehicle_id),
    }
    return create_socketio(app, hub).test_client(app, namespace="/uplink", auth=auth)


def relay(link: SocketIOTestClient, channel: str, event: str, **data: Any) -> dict[str, Any]:
    message = {"channel": channel, "user_id": World.doctor.user_id, "event": event, "data": data}
    answer: dict[str, Any] = link.emit("relay", message, namespace="/uplink", callback=True)
    return answer


def delivered(hub: Node, link: SocketIOTestClient, channel: str) -> bool:
    """Whether the vehicle is handed what is said to this channel."""
    link.get_received("/uplink")
    hub.bus.publish(f"channel:{channel}", "call:reset", {})
    return any(one["name"] == "deliver" for one in link.get_received("/uplink"))


def test_a_page_that_is_gone_is_forgotten(hub: Node, link: SocketIOTestClient) -> None:
    consult = put_consult(hub)
    for channel in ("first", "second"):
        assert relay(link, channel, "call:join", consult_id=consult, peer=peer_id())["ok"]
    assert relay(link, "first", "call:gone", ended=False)["ok"]
    assert not delivered(hub, link, "first")
    assert delivered(hub, link, "second")


def test_a_page_is_forgotten_though_its_doctor_is_not_known_any_more(hub: Node, link: SocketIOTestClient) -> None:
    consult = put_consult(hub)
    assert relay(link, "first", "call:join", consult_id=consult, peer=peer_id())["ok"]
    with hub.store.write() as tx:
        doctor = tx.session.get_one(directory.User, World.doctor.user_id)
        doctor.active = False
        tx.session.add(doctor)
    assert not relay(link, "first", "call:gone", ended=True)["ok"]
    assert not delivered(hub, link, "first")
