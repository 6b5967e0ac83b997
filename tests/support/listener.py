"""Somebody logged in at a served node who only listens: events of a topic with the moment of their arrival."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests
import socketio

from tests.support.world import PASSWORD

LIVE = "/live"


@dataclass(frozen=True)
class Heard:
    """An event, and when it came (time.time())."""

    event: str
    data: dict[str, Any]
    at: float


class Listener:
    """A page without a browser. Close it when done."""

    def __init__(self, address: str, username: str, password: str = PASSWORD) -> None:
        self.heard: list[Heard] = []
        self._changed = threading.Condition()
        web = requests.Session()
        token = web.get(f"{address}/login.json", timeout=20).json()["csrf_token"]
        form = {"username": username, "password": password, "csrf_token": token}
        answer = web.post(f"{address}/login", data=form, timeout=20, allow_redirects=False)
        assert answer.status_code == 302, answer.text
        self._client = socketio.Client(reconnection=False)
        self._client.on("*", self._hear, namespace=LIVE)
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in web.cookies)
        self._client.connect(
            address, headers={"Cookie": cookies}, namespaces=[LIVE], transports=["websocket"], wait_timeout=20
        )

    def watch(self, topic: str) -> None:
        """Hear a topic from now on."""
        answer = self._client.call("watch", {"topic": topic}, namespace=LIVE, timeout=20)
        assert answer["ok"], answer

    def wait(self, fits: Callable[[list[Heard]], bool], seconds: float) -> list[Heard]:
        """Wait until what was heard so far fits; gives all of it."""
        with self._changed:
            assert self._changed.wait_for(lambda: fits(self.heard), seconds), f"heard {len(self.heard)} events"
            return list(self.heard)

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()

    def _hear(self, event: str, data: dict[str, Any] | None = None, *_rest: object) -> None:
        with self._changed:
            self.heard.append(Heard(event, data or {}, time.time()))
            self._changed.notify_all()


def waves(heard: list[Heard], kind: str) -> list[Heard]:
    """The runs of samples of one kind."""
    return [one for one in heard if one.event == "waveform" and one.data["kind"] == kind]


def lost_samples(runs: list[Heard]) -> int:
    """How many sample numbers between the first and the last run are missing, doubled or out of order."""
    wrong = 0
    for before, after in itertools.pairwise(runs):
        wrong += abs(after.data["start"] - (before.data["start"] + len(before.data["samples"])))
    return wrong
