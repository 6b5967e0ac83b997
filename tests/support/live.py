"""Tabs that talk to a node over Socket.IO, without a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from flask_socketio import SocketIO, SocketIOTestClient

from tests.support.pages import log_in


class Tab:
    """A logged-in person's page. `said(event)` gives what it heard."""

    def __init__(self, app: Flask, socketio: SocketIO, username: str) -> None:
        self.browser = log_in(app.test_client(), username)
        self.socket = SocketIOTestClient(app, socketio, namespace="/live", flask_test_client=self.browser)
        self.heard: list[tuple[str, Any]] = []
        self.channel = str(self.said("hello")[0]["channel"]) if self.connected else ""

    @property
    def connected(self) -> bool:
        return bool(self.socket.is_connected("/live"))

    def ask(self, event: str, *payload: Any) -> Any:
        """Say something; gives the answer."""
        return self.socket.emit(event, *payload, namespace="/live", callback=True)

    def said(self, event: str) -> list[Any]:
        """All that was heard of one event so far."""
        if self.connected:
            for message in self.socket.get_received("/live"):
                self.heard.append((message["name"], message["args"][0] if message["args"] else None))
        return [data for name, data in self.heard if name == event]


NewTab = Callable[[str], Tab]
