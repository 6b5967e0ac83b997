"""Socket.IO namespaces. Thin: parse, call a service, answer. What is said on them: docs/live.md."""

from __future__ import annotations

import threading

import structlog
from flask import Flask
from flask_socketio import SocketIO

from teleconsult import websocket
from teleconsult.live.browsers import Browsers
from teleconsult.live.uplink import UplinkNamespace
from teleconsult.services.node import Node

log = structlog.get_logger(__name__)

MAX_MESSAGE_BYTES = 1024 * 1024
"""The largest messages are batches of records and pieces of images on the uplink."""

LOGIN_CHECK_SECONDS = 20.0


def create_socketio(app: Flask, node: Node) -> SocketIO:
    """The live side of a node: `/live` for browsers and, at the hub, `/uplink` for vehicles.

    Only pages of this node's own address may connect from a browser. Starts no thread: see `watch_logins`.
    """
    websocket.install(MAX_MESSAGE_BYTES)
    socketio = SocketIO(
        app,
        async_mode="gevent" if _is_patched() else "threading",
        message_queue=node.settings.redis_url,
        max_http_buffer_size=MAX_MESSAGE_BYTES,
        cors_allowed_origins=None,  # engine.io then takes its own origin only
        manage_session=False,
        ping_interval=10,
        ping_timeout=10,
        logger=False,
        engineio_logger=False,
    )
    browsers = Browsers(node)
    socketio.on_namespace(browsers)
    if node.is_hub:
        socketio.on_namespace(UplinkNamespace(node))
    app.extensions["teleconsult_browsers"] = browsers
    return socketio


def watch_logins(app: Flask, stopping: threading.Event) -> None:
    """Close sockets whose login has ended, until `stopping`. Runs in a thread of whoever serves."""
    browsers: Browsers = app.extensions["teleconsult_browsers"]
    while not stopping.wait(LOGIN_CHECK_SECONDS):
        try:
            browsers.check_logins()
        except Exception:
            log.exception("logins could not be checked")


def _is_patched() -> bool:
    """Whether gevent has replaced Python's threads in this process."""
    from gevent import monkey

    return bool(monkey.is_module_patched("threading"))
