"""The hub hears how a vehicle's plugins stand, and shows it to the administrator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask_socketio import SocketIO, SocketIOTestClient

from teleconsult.app import create_app
from teleconsult.live import create_socketio
from teleconsult.plugin_host import PluginConfig, PluginHost
from teleconsult.services import directory, vehicle_plugins
from teleconsult.services.node import Node
from teleconsult.store.plugins import DatabasePluginState
from teleconsult.sync.uplink import Uplink
from tests.plugins import install
from tests.support.pages import enter_as
from tests.support.world import World


def link_of(hub: Node) -> SocketIOTestClient:
    key = directory.make_vehicle_key(hub, World.administrator, World.vehicle_id)
    app = create_app(hub)
    socketio: SocketIO = create_socketio(app, hub)
    auth = {"vehicle_id": World.vehicle_id, "key": key}
    return socketio.test_client(app, namespace="/uplink", auth=auth)


class Client:
    """The vehicle's end, which hands what is emitted to a function."""

    def __init__(self, carry: Callable[[str, Any], None]) -> None:
        self._carry = carry

    def emit(self, event: str, data: Any, namespace: str) -> None:
        self._carry(event, data)


def test_a_plugin_switched_off_on_a_vehicle_is_seen_at_the_hub(hub: Node, vehicle: Node, tmp_path: Path) -> None:
    link = link_of(hub)
    admin = enter_as(create_app(hub).test_client(), hub, World.administrator)
    config = PluginConfig(only=frozenset({"devices"}), paths=(install(tmp_path, "devices"),), fault_limit=1)
    vehicle.plugins = PluginHost(config, DatabasePluginState(vehicle.store))
    vehicle.plugins.start()
    uplink = Uplink(vehicle, "http://hub.invalid", "key")
    sent: list[str] = []

    def carry(event: str, data: Any) -> None:
        sent.append(event)
        link.emit(event, data, namespace="/uplink")

    uplink._client = Client(carry)
    try:
        told = uplink._tell_plugins(None)
        assert "需要处理" not in admin.get("/admin/vehicles").text
        told = uplink._tell_plugins(told)
        assert sent == ["plugins"], "not again while nothing changes"
        vehicle.plugins.record_fault("devices", "device cuff: it was not heard for 10 s")
        uplink._tell_plugins(told)
    finally:
        vehicle.plugins.stop()
    assert "插件需要处理" in admin.get("/admin/vehicles").text
    page = admin.get(f"/admin/vehicles/{World.vehicle_id}").text
    assert "多次故障后已停用" in page
    assert "设备 cuff: 10 秒没有回应" in page
    assert "Devices" not in admin.get(f"/admin/vehicles/{World.other_vehicle_id}").text


def test_a_hub_that_cannot_be_told_is_told_later(vehicle: Node) -> None:
    uplink = Uplink(vehicle, "http://hub.invalid", "key")

    def lost(event: str, data: Any) -> None:
        raise OSError("gone")

    uplink._client = Client(lost)
    assert uplink._tell_plugins(None) is None


def test_what_a_vehicle_tells_is_checked_and_shown_as_text(hub: Node) -> None:
    link = link_of(hub)
    plugin = {
        "name": "x",
        "version": "1",
        "title_en": "<b>x</b>",
        "title_zh": "<b>x</b>",
        "status": "of a later version",
        "faults": 0,
        "last_error": "",
    }
    for wrong in ({"plugins": [plugin] * 65}, {"plugins": [{**plugin, "faults": "many"}]}, "nonsense"):
        link.emit("plugins", wrong, namespace="/uplink")
    assert vehicle_plugins.of_vehicle(hub, World.vehicle_id) == ()
    link.emit("plugins", {"plugins": [plugin]}, namespace="/uplink")
    admin = enter_as(create_app(hub).test_client(), hub, World.administrator)
    page = admin.get(f"/admin/vehicles/{World.vehicle_id}").text
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "of a later version" in page
