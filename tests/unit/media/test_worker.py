"""What a worker does by itself: how it tells its parent, how a room closes."""

from __future__ import annotations

import asyncio
import os
import threading

from teleconsult.media.messages import MediaConfig, PeerQuality, PeerState
from teleconsult.media.room import Room
from teleconsult.media.worker import BACKLOG, Teller
from teleconsult.process import ChildChannel

QUALITY = PeerQuality(room="r", peer="p", participant="a", up_kbps=1, down_kbps=1, up_loss=0, down_loss=0, rtt_s=None)


def test_a_parent_that_stands_still_stops_nothing_and_misses_nothing_that_counts() -> None:
    read, write = os.pipe()
    teller = Teller(ChildChannel(os.open(os.devnull, os.O_RDONLY), write))
    for _ in range(20 * BACKLOG):  # far more than a pipe holds: it would wait for ever here
        teller.tell(QUALITY)
    teller.tell(PeerState(room="r", peer="p", participant="a", state="closed"))
    told: list[bytes] = []
    with os.fdopen(read, "rb") as pipe:
        reading = threading.Thread(target=lambda: told.extend(pipe), daemon=True)
        reading.start()
        teller.end(10)
        os.close(write)
        reading.join(10)
    assert b'"closed"' in told[-1]
    assert len(told) < 20 * BACKLOG


def test_who_joins_while_a_room_closes_stays(installed: None) -> None:
    async def check() -> None:
        events: list[object] = []
        room = Room("r", MediaConfig(addresses=("127.0.0.1",)), events.append, lambda room: None)
        room.join("old", "a")
        room.close_soon()
        room.join("new", "a")
        async with asyncio.timeout(10):
            while "old" in room.peers:
                await asyncio.sleep(0)
        assert list(room.peers) == ["new"]
        await room.close()

    asyncio.run(check())
