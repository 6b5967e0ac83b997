"""Clients hold calls through real worker processes: rooms, rejoins, deaths, bad signals, hostile datagrams."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import socket
import struct
from typing import Any

import pytest
from aiortc import RTCSessionDescription

from teleconsult.media import MediaConfig, SignalOut
from tests.support.media_client import Call, Client, run, shows

pytestmark = pytest.mark.timeout(90)


async def two(call: Call, room: str = "room", lumas: tuple[int, int] = (60, 200)) -> tuple[Client, Client]:
    """Two participants who see and hear each other."""
    one = call.join(room, f"{room}-1", "ann", lumas[0])
    other = call.join(room, f"{room}-2", "bob", lumas[1])
    await call.until(shows(one, lumas[1]), "the first sees the second")
    await call.until(shows(other, lumas[0]), "the second sees the first")
    await call.until(lambda: one.sounds > 5 and other.sounds > 5, "both hear")
    return one, other


async def goes_on(call: Call, *clients: Client) -> None:
    """Pictures and sounds still come."""
    before = [(len(client.lumas), client.sounds) for client in clients]
    await call.until(
        lambda: all(
            len(client.lumas) > lumas + 5 and client.sounds > sounds + 5
            for client, (lumas, sounds) in zip(clients, before, strict=True)
        ),
        "pictures and sounds go on",
    )


def candidates(call: Call, peer: str) -> list[tuple[str, int]]:
    """The media addresses that the worker offered to a peer."""
    found: list[tuple[str, int]] = []
    for event in call.events:
        if isinstance(event, SignalOut) and event.peer == peer and "description" in event.message:
            pattern = r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host"
            found = [(host, int(port)) for host, port in re.findall(pattern, event.message["description"]["sdp"])]
    return found


def test_two_see_and_hear_each_other_and_states_are_told() -> None:
    async def scenario(call: Call) -> None:
        await two(call)
        assert call.states("room-1") == ["new", "connecting", "connected"]
        await call.until(lambda: any(status.peers == 2 for status in call.workers.snapshot()), "status")
        call.workers.leave("room", "room-1")
        await call.until(lambda: call.states("room-1")[-1] == "closed", "closed")
        assert call.refusals("room-1") == call.refusals("room-2") == []
        call.workers.close_room("room")
        await call.until(lambda: call.states("room-2")[-1] == "closed", "the room is closed")

    run(scenario)


def test_rooms_do_not_hear_each_other() -> None:
    async def scenario(call: Call) -> None:
        one, other = await two(call, "east", (40, 100))
        third, fourth = await two(call, "west", (160, 220))
        await goes_on(call, one, other, third, fourth)
        for client, luma in ((one, 100), (other, 40), (third, 220), (fourth, 160)):
            assert all(abs(seen - luma) < 12 for seen in client.lumas), (client.participant, set(client.lumas))

    run(scenario)


def test_datagrams_of_one_room_sent_to_the_port_of_another_are_refused() -> None:
    async def scenario(call: Call) -> None:
        one, other = await two(call, "east", (40, 100))
        third, fourth = await two(call, "west", (160, 220))
        transport = one.connection.getTransceivers()[0].receiver.transport
        send, targets = transport.transport._send, candidates(call, "west-1")
        stolen: list[bytes] = []

        async def copy(data: bytes) -> None:
            stolen.append(data)
            await send(data)

        transport.transport._send = copy
        pair: Any = next(iter(transport.transport._connection._nominated.values()))
        await call.until(lambda: len(stolen) > 100, "media to steal")
        for data in stolen:  # valid SRTP of a room next door, from the very socket of a participant in a call
            for target in targets:
                if ":" not in target[0]:
                    pair.protocol.transport.sendto(data, target)
        await goes_on(call, one, other, third, fourth)
        await call.until(lambda: call.workers.snapshot()[0].refused >= len(stolen), "refused datagrams are counted")
        assert all(abs(seen - 220) < 12 for seen in third.lumas)
        assert all(abs(seen - 160) < 12 for seen in fourth.lumas)

    run(scenario)


def test_participant_who_comes_back_takes_its_own_place() -> None:
    async def scenario(call: Call) -> None:
        _, other = await two(call)
        described = other.descriptions
        again = call.join("room", "room-3", "ann", 120)
        await call.until(shows(other, 120), "the other sees the new picture")
        await call.until(shows(again, 200), "the one who came back sees the other")
        await call.until(lambda: call.states("room-1")[-1] == "closed", "the old peer is closed")
        assert [notice["code"] for notice in call.clients["room-1"].notices] == ["replaced"]
        assert other.descriptions == described, "nothing had to be agreed anew with the other"
        await goes_on(call, other, again)

    run(scenario)


def test_counts_keep_what_calls_that_are_over_have_counted() -> None:
    async def scenario(call: Call) -> None:
        ann, bob = call.join("r", "pa", "ann", 60), call.join("r", "pb", "bob", 200)
        await call.until(shows(ann, 200), "ann sees bob")
        await call.until(lambda: sum(one.packets_out for one in call.workers.snapshot()) > 20, "counted")
        (before,) = call.workers.snapshot()
        call.workers.close_room("r")
        await call.until(lambda: call.workers.snapshot()[0].rooms == 0, "the call over")
        (after,) = call.workers.snapshot()
        assert after.packets_in >= before.packets_in
        assert after.packets_out >= before.packets_out
        assert bob.lumas

    run(scenario)


def test_killed_worker_is_replaced_and_its_rooms_are_told() -> None:
    async def scenario(call: Call) -> None:
        await two(call)
        await call.until(lambda: bool(call.workers.snapshot()[0].peers), "status")
        victim = call.workers.snapshot()[0].pid
        os.kill(victim, signal.SIGKILL)
        await call.until(lambda: call.lost_rooms() == ["room"], "the room is lost")
        call.workers.signal("room", "room-1", {"description": {"type": "answer", "sdp": ""}})
        await call.until(lambda: call.refusals("room-1") == ["unknown_peer"], "the old peer is unknown")
        one = call.join("room", "again-1", "ann", 60)
        other = call.join("room", "again-2", "bob", 200)
        await call.until(shows(one, 200), "they see each other again")
        await goes_on(call, one, other)
        assert call.workers.snapshot()[0].pid != victim

    run(scenario)


def test_rooms_are_spread_over_workers() -> None:
    async def scenario(call: Call) -> None:
        await call.until(lambda: len(call.workers.snapshot()) == 2, "both workers are ready")
        for number in range(4):
            call.join(f"room-{number}", f"peer-{number}", "ann", 60)
        await call.until(
            lambda: [status.rooms for status in call.workers.snapshot()] == [2, 2], "two rooms on each worker"
        )

    run(scenario, MediaConfig(workers=2))


def test_worker_ends_with_its_parent_and_on_sigterm() -> None:
    async def scenario(call: Call) -> None:
        await call.until(lambda: len(call.workers.snapshot()) == 1, "ready")
        first = call.workers.snapshot()[0].pid
        os.kill(first, signal.SIGTERM)
        await call.until(lambda: bool(call.workers.snapshot()) and call.workers.snapshot()[0].pid != first, "replaced")

    run(scenario)


BAD_SIGNALS: list[dict[str, Any]] = [
    {},
    {"description": "v=0"},
    {"description": {"type": "offer"}},
    {"description": {"type": "pranswer", "sdp": "v=0\r\n"}},
    {"description": {"type": "answer", "sdp": 7}},
    {"description": {"type": "answer", "sdp": ""}},
    {"description": {"type": "answer", "sdp": "v=0\r\nm=audio x\r\n"}},
    {
        "description": {
            "type": "answer",
            "sdp": "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n",
        }
    },
    {"description": {"type": "answer", "sdp": "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=fmtp:99 apt=x\r\n"}},
    {"description": {"type": "answer", "sdp": "\x00" * 5000}},
    {"description": {"type": "answer", "sdp": "v=0\r\n" * 60_000}},
    {"nonsense": 1},
]


def test_bad_signals_are_refused_with_a_sentence() -> None:
    async def scenario(call: Call) -> None:
        client = call.join("room", "room-1", "ann", 60)
        client.answers = False
        await call.until(lambda: bool(client.held), "the worker's offer")
        for number, bad in enumerate(BAD_SIGNALS, 1):
            call.workers.signal("room", "room-1", bad)
            await call.until(lambda: len(call.refusals("room-1")) == number, f"{bad} is refused")  # noqa: B023
        assert set(call.refusals("room-1")) == {"bad_message", "bad_description"}
        client.answers = True
        await client.receive(client.held[-1])
        await call.until(lambda: call.states("room-1")[-1] == "connected", "a good answer is taken afterwards")

    run(scenario)


def test_unanswered_offer_is_sent_again_and_a_late_answer_is_ignored() -> None:
    async def scenario(call: Call) -> None:
        client = call.join("room", "room-1", "ann", 60)
        client.answers = False
        await call.until(lambda: len(client.held) == 2, "the offer comes again")
        assert client.held[0] == client.held[1]
        client.answers = True
        await client.receive(client.held[1])
        await call.until(lambda: call.states("room-1")[-1] == "connected", "connected")
        local = client.connection.localDescription
        answer = {"type": "answer", "sdp": local.sdp, "number": 1}
        call.workers.signal("room", "room-1", {"description": answer})
        call.join("room", "room-2", "bob", 200)
        await call.until(shows(client, 200), "the second answer did no harm")
        assert call.refusals("room-1") == []

    run(scenario)


def test_offer_with_sections_of_its_own_is_refused() -> None:
    async def scenario(call: Call) -> None:
        one, _ = await two(call)
        one.connection.addTransceiver("video")
        await one.connection.setLocalDescription(await one.connection.createOffer())
        local = one.connection.localDescription
        call.workers.signal("room", "room-1", {"description": {"type": "offer", "sdp": local.sdp}})
        await call.until(lambda: call.refusals("room-1") == ["unexpected"], "refused")

    run(scenario)


def test_worker_sends_nothing_to_addresses_that_a_description_names() -> None:
    async def scenario(call: Call) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim:
            victim.bind(("127.0.0.1", 0))
            victim.setblocking(False)
            client = call.join("room", "room-1", "ann", 60)
            client.answers = False
            await call.until(lambda: bool(client.held), "the worker's offer")
            offer = client.held[0]["description"]
            await client.connection.setRemoteDescription(RTCSessionDescription(offer["sdp"], offer["type"]))
            await client.connection.setLocalDescription(await client.connection.createAnswer())
            port = victim.getsockname()[1]
            named = f"a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host\r\n"
            sdp = client.connection.localDescription.sdp + named
            call.workers.signal("room", "room-1", {"description": {"type": "answer", "sdp": sdp}})
            candidate = {"candidate": named[2:].strip(), "sdpMid": "0", "sdpMLineIndex": 0}
            call.workers.signal("room", "room-1", {"candidate": candidate})
            await call.until(lambda: call.states("room-1")[-1] == "connected", "connected all the same")
            with pytest.raises(BlockingIOError):
                victim.recv(2000)

    run(scenario, MediaConfig(workers=1, addresses=("127.0.0.1",)))


def test_port_range_addresses_and_announced_addresses() -> None:
    async def scenario(call: Call) -> None:
        await two(call)
        offered = candidates(call, "room-1")
        assert {host for host, _ in offered} == {"127.0.0.1", "203.0.113.7"}
        assert all(45_000 <= port <= 45_020 for _, port in offered)
        assert len({port for _, port in offered}) == 1

    run(
        scenario,
        MediaConfig(workers=1, addresses=("127.0.0.1",), announced=("203.0.113.7",), ports=(45_000, 45_020)),
    )


def test_no_free_port_is_told() -> None:
    async def scenario(call: Call) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 45_021))
            call.join("room", "room-1", "ann", 60)
            await call.until(lambda: call.refusals("room-1") == ["no_address"], "refused")
            await call.until(lambda: call.states("room-1")[-1] == "failed", "failed")

    run(scenario, MediaConfig(workers=1, addresses=("127.0.0.1",), ports=(45_021, 45_021)))


def hostile(seed: int, count: int, samples: list[bytes]) -> list[bytes]:
    """Random, truncated, replayed and forged datagrams of every kind a media port may get."""
    rng = random.Random(seed)
    made: list[bytes] = []
    for _ in range(count):
        body = rng.randbytes(rng.choice((0, 1, 2, 7, 11, 12, 13, 20, 60, 1200, 1472, 9000)))
        sample = rng.choice(samples)
        made.append(
            rng.choice(
                (
                    body,
                    sample,
                    sample[: rng.randrange(len(sample) + 1)],
                    bytes(byte ^ (rng.random() < 0.02) * rng.randrange(256) for byte in sample),
                    bytes((rng.choice((128, 144, 176)), rng.choice((96, 111, 200, 201, 205, 206)))) + body,
                    struct.pack(
                        "!HHI12s", rng.choice((1, 0x101, 0x111, 3)), len(body) & 0xFFFC, 0x2112A442, rng.randbytes(12)
                    )
                    + body,
                    bytes((rng.randrange(20, 64), 254, 253)) + body,
                )
            )
        )
    return made


def test_hostile_datagrams_leave_the_call_alone() -> None:
    async def scenario(call: Call) -> None:
        one, other = await two(call)
        transport = one.connection.getTransceivers()[0].receiver.transport
        send, samples = transport.transport._send, [b"\x80" * 20]

        async def copy(data: bytes) -> None:
            samples.append(data)
            await send(data)

        transport.transport._send = copy
        await call.until(lambda: len(samples) > 60, "real packets to replay and to damage")
        transport.transport._send = send
        pair: Any = next(iter(transport.transport._connection._nominated.values()))
        targets = [target for target in candidates(call, "room-1") if ":" not in target[0]]
        datagrams = hostile(7, 4000, samples)
        await call.until(lambda: bool(call.workers.snapshot()[0].peers), "status")
        memory = call.workers.snapshot()[0].memory_mb
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for number, data in enumerate(datagrams):
                stranger.sendto(data, targets[0])
                pair.protocol.transport.sendto(data, pair.remote_addr)
                if number % 50 == 0:
                    await asyncio.sleep(0.01)
        await goes_on(call, one, other)
        assert call.states("room-1") == ["new", "connecting", "connected"]
        assert call.states("room-2") == ["new", "connecting", "connected"]
        await call.until(lambda: call.workers.snapshot()[0].refused > 2000, "they are counted")
        assert call.workers.snapshot()[0].memory_mb < memory + 30
        assert call.lost_rooms() == []

    run(scenario)
