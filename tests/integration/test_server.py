"""The web server as a node runs it, gevent with patched threads, where it differs from plain threads."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench._server_app import MAX_MESSAGE_BYTES
from tests.bench.servers import CANDIDATES, LARGE_BYTES, Candidate, Server, large_messages
from tests.support.socketio_client import Client

WRITERS = """
from gevent import monkey

monkey.patch_all()
import json, sys, time
import gevent
from teleconsult.store import Store

store = Store(f"sqlite:///{sys.argv[1]}")
with store.engine.begin() as connection:
    connection.exec_driver_sql("CREATE TABLE event (id INTEGER PRIMARY KEY)")
longest = 0.0


def beat():
    global longest
    last = time.monotonic()
    while True:
        gevent.sleep(0.005)
        now = time.monotonic()
        longest, last = max(longest, now - last), now


def write():
    for _ in range(10):
        with store.write() as tx:
            tx.session.connection().exec_driver_sql("INSERT INTO event DEFAULT VALUES")
            gevent.sleep(0.001)  # what a careless handler would do


heart = gevent.spawn(beat)
writers = [gevent.spawn(write) for _ in range(30)]
gevent.joinall(writers, raise_error=True)
heart.kill()
with store.engine.connect() as connection:
    count = connection.exec_driver_sql("SELECT count(*) FROM event").scalar()
print(json.dumps({"count": count, "longest": longest}))
"""


def test_thirty_greenlets_write_without_stopping_the_others(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", WRITERS, str(tmp_path / "node.db")], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert result["count"] == 300
    assert result["longest"] < 2, "SQLite waited for a lock that a greenlet of the same thread held"


def _received_whole(candidate: Candidate, folder: Path) -> int:
    server = Server(candidate, folder, tls=False)
    try:
        server.wait_until_ready(None)
        return asyncio.run(large_messages(server, 2))
    finally:
        server.stop()


@pytest.mark.parametrize(("name", "whole"), [("gevent pywsgi", 0), ("gevent pywsgi, whole sends", 2)])
def test_a_stalled_receiver_gets_whole_messages(name: str, whole: int, tmp_path: Path) -> None:
    """Without `teleconsult.websocket` the message arrives damaged; if it no longer does, that can go."""
    candidate = next(candidate for candidate in CANDIDATES if candidate.name == name)
    assert _received_whole(candidate, tmp_path) == whole, f"of 2 messages of {LARGE_BYTES} bytes"


def test_a_message_beyond_the_limit_closes_its_connection(tmp_path: Path) -> None:
    candidate = next(candidate for candidate in CANDIDATES if candidate.name == "gevent pywsgi, whole sends")
    server = Server(candidate, tmp_path, tls=False)

    async def send_too_much() -> None:
        client = await Client.connect(server.port)
        with pytest.raises(ConnectionError):
            await client.call("echo", "x" * (MAX_MESSAGE_BYTES + 1), seconds=20)
        other = await Client.connect(server.port)
        assert await other.call("echo", "still here") == "still here"

    try:
        server.wait_until_ready(None)
        asyncio.run(send_too_much())
    finally:
        server.stop()
