"""A hub and a vehicle with pages and sockets, and a call desk with a recording media backend."""

from __future__ import annotations

import pytest

from teleconsult.app import create_app
from teleconsult.live import create_socketio
from teleconsult.services.calls import CallDesk
from teleconsult.services.node import Node
from tests.support.calls import MovableClock, RecordingMedia
from tests.support.live import NewTab, Tab


@pytest.fixture
def clock(hub: Node) -> MovableClock:
    return MovableClock(hub)


@pytest.fixture
def hub_tab(hub: Node, clock: MovableClock) -> NewTab:
    """Opens tabs at the hub."""
    hub.calls = CallDesk(hub)
    hub.media = RecordingMedia(hub.calls.on_media_event)
    app = create_app(hub)
    socketio = create_socketio(app, hub)
    app.extensions["socketio_for_tests"] = socketio

    def open_tab(username: str) -> Tab:
        return Tab(app, socketio, username)

    open_tab.app = app  # type: ignore[attr-defined]
    return open_tab


@pytest.fixture
def vehicle_tab(vehicle: Node) -> NewTab:
    """Opens tabs at the vehicle."""
    app = create_app(vehicle)
    socketio = create_socketio(app, vehicle)
    return lambda username: Tab(app, socketio, username)
