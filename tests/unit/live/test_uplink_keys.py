"""A vehicle's link stands only as long as its key is good."""

from __future__ import annotations

import pytest
from flask_socketio import SocketIO, SocketIOTestClient

from teleconsult.app import create_app
from teleconsult.live import create_socketio
from teleconsult.services import directory
from teleconsult.services.node import Node
from tests.support.world import World


@pytest.fixture
def key(hub: Node) -> str:
    return directory.make_vehicle_key(hub, World.administrator, World.vehicle_id)


@pytest.fixture
def link(hub: Node, key: str) -> SocketIOTestClient:
    app = create_app(hub)
    socketio: SocketIO = create_socketio(app, hub)
    auth = {"vehicle_id": World.vehicle_id, "key": key}
    client = socketio.test_client(app, namespace="/uplink", auth=auth)
    assert client.is_connected("/uplink")
    assert client.emit("beat", {}, namespace="/uplink", callback=True)["ok"]
    return client


def test_revoking_the_key_cuts_the_link_at_once(hub: Node, link: SocketIOTestClient) -> None:
    assert hub.links.online_since(World.vehicle_id) is not None
    directory.revoke_vehicle_key(hub, World.administrator, World.vehicle_id)
    assert not link.is_connected("/uplink")
    assert hub.links.online_since(World.vehicle_id) is None


def test_a_key_revoked_by_another_process_ends_the_link_with_the_next_heartbeat(
    hub: Node, link: SocketIOTestClient
) -> None:
    with hub.store.write() as tx:
        vehicle = tx.session.get_one(directory.Vehicle, World.vehicle_id)
        vehicle.key_hash = None
        tx.session.add(vehicle)
    assert link.is_connected("/uplink")
    link.emit("beat", {}, namespace="/uplink")
    assert not link.is_connected("/uplink")


def test_another_vehicles_key_does_not_matter(hub: Node, link: SocketIOTestClient) -> None:
    directory.make_vehicle_key(hub, World.administrator, World.other_vehicle_id)
    assert link.is_connected("/uplink")
