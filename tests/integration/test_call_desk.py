"""The call desk with real media workers: offers come, nonsense is refused, a dead worker is told and replaced."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from teleconsult.media import MediaConfig, MediaWorkers
from teleconsult.services.calls import CallDesk
from teleconsult.services.node import Node
from tests.support.calls import peer_id, put_consult
from tests.support.world import World


class Heard:
    """What was announced, and a way to wait for it."""

    def __init__(self, node: Node) -> None:
        self._said: list[tuple[str, str, dict[str, Any]]] = []
        self._changed = threading.Condition()
        node.bus.listen(self._hear)

    def _hear(self, topic: str, event: str, data: dict[str, Any]) -> None:
        with self._changed:
            self._said.append((topic, event, data))
            self._changed.notify_all()

    def wait(self, topic: str, event: str, **values: Any) -> dict[str, Any]:
        """The first announcement of this event whose data has these values."""

        def found() -> dict[str, Any] | None:
            for one, happening, data in self._said:
                if (one, happening) == (topic, event) and values.items() <= data.items():
                    return data
            return None

        with self._changed:
            assert self._changed.wait_for(found, 30), f"{event} on {topic} never came"
            data = found()
        assert data is not None
        return data


@pytest.fixture
def desk(hub: Node) -> Iterator[CallDesk]:
    desk = CallDesk(hub)
    workers = MediaWorkers(MediaConfig(workers=1, addresses=("127.0.0.1",)), desk.on_media_event)
    hub.calls, hub.media = desk, workers
    workers.start()
    desk.start()
    yield desk
    desk.stop()
    workers.stop()


def test_a_call_with_a_real_worker(hub: Node, desk: CallDesk) -> None:
    heard = Heard(hub)
    consult = put_consult(hub)
    peers = {}
    for actor, channel in ((World.doctor, "vehicle-tab"), (World.specialist, "hub-tab")):
        peers[channel] = peer_id()
        desk.handle(actor, channel, "call:join", {"consult_id": consult, "peer": peers[channel]})
        offer = heard.wait(f"channel:{channel}", "call:signal", peer=peers[channel])["message"]["description"]
        assert offer["type"] == "offer"
        assert "m=audio" in offer["sdp"]

    peer = peers["vehicle-tab"]
    nonsense = {"description": {"type": "answer", "sdp": "v=0\r\nthis is no description", "number": 1}}
    desk.handle(World.doctor, "vehicle-tab", "call:signal", {"consult_id": consult, "peer": peer, "message": nonsense})
    refused = heard.wait("channel:vehicle-tab", "call:refused", peer=peer)
    assert refused["sentence"]

    assert hub.media is not None
    (worker,) = hub.media.snapshot()
    os.kill(worker.pid, signal.SIGKILL)
    heard.wait(f"consult:{consult}", "call:reset")
    again = peer_id()
    desk.handle(World.doctor, "vehicle-tab", "call:join", {"consult_id": consult, "peer": again})
    heard.wait("channel:vehicle-tab", "call:signal", peer=again)
    assert [person["name"] for person in desk.participants(consult)] == ["车医生", "专家甲"]
