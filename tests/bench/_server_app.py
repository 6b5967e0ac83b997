"""The server that `tests.bench.servers` measures: a small Flask-SocketIO application under one of the candidates.

    python -m tests.bench._server_app gevent PORT DATABASE [CERTIFICATE KEY]

or, under gunicorn, `tests.bench._server_app:make_app()` with MODE and DATABASE in the environment. Not part of
the product: it only has the load of a hub, which is echoes, broadcasts and writes to SQLite.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__" and sys.argv[1].startswith("gevent"):
    from gevent import monkey

    monkey.patch_all()

import sqlite3
import threading
from typing import Any

from flask import Flask
from flask_socketio import SocketIO

from teleconsult import websocket

MAX_MESSAGE_BYTES = 10_000_000
CREATE = "CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY, body TEXT NOT NULL)"


class Database:
    """SQLite as the store uses it: WAL, one connection a thread, one writer at a time by a lock of the process."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._local = threading.local()
        self._lock = threading.Lock()
        self._connection().execute(CREATE)

    def write(self, body: str) -> None:
        """Insert one row in a transaction of its own."""
        with self._lock:
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO event (body) VALUES (?)", (body,))
            connection.execute("COMMIT")

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._local, "connection"):
            self._local.connection = sqlite3.connect(self._path, isolation_level=None)
            self._local.connection.execute("PRAGMA journal_mode=WAL")
        connection: sqlite3.Connection = self._local.connection
        return connection


def make_app(mode: str | None = None, path: str | None = None) -> Flask:
    """The application with its Socket.IO events; `mode` is Flask-SocketIO's async_mode."""
    app = Flask(__name__)
    database = Database(path or os.environ["DATABASE"])
    socketio = SocketIO(
        app, async_mode=mode or os.environ["MODE"], ping_interval=10, max_http_buffer_size=MAX_MESSAGE_BYTES
    )

    @app.get("/")
    def page() -> str:
        return "ready"

    @socketio.on("echo")
    def echo(value: Any) -> Any:
        return value

    @socketio.on("write")
    def write(value: Any) -> Any:
        database.write("x" * 500)
        return value

    @socketio.on("broadcast")
    def broadcast(value: Any) -> None:
        socketio.emit("news", value)

    @socketio.on("large")
    def large(size: int) -> str:
        return "".join(f"{number:09d}," for number in range(size // 10))

    return app


def main() -> None:
    """Serve with gevent's own WSGI server, with TLS if a certificate is given."""
    mode, port, database, *tls = sys.argv[1:]
    from gevent import pywsgi

    if mode == "gevent-whole":
        websocket.install(max_message_bytes=MAX_MESSAGE_BYTES)
    options = {"certfile": tls[0], "keyfile": tls[1]} if tls else {}
    app = make_app("gevent", database)
    pywsgi.WSGIServer(("127.0.0.1", int(port)), app, log=None, **options).serve_forever()


if __name__ == "__main__":
    main()
