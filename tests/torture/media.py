"""Two calls in two rooms of one worker, and hostile datagrams at both from inside, from next door and from outside."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from dataclasses import asdict, dataclass
from time import monotonic
from typing import Any

from teleconsult.media import MediaConfig, SignalOut
from tests.support.media_client import Call, Client, shows
from tests.torture.hostile import Hostile

BURST = 40
"""Datagrams between two looks at the calls."""

ROOMS = {"a": (60, 200), "b": (110, 160)}
"""Brightness of the two pictures in each room: a picture that strays is seen."""


@dataclass
class Report:
    """What a run came to. Losses are packets that never came to a receiver, none of them sent by us."""

    seed: int
    datagrams: int = 0
    seconds: float = 0.0
    refused: int = 0
    packets: int = 0
    lost: int = 0
    strayed: int = 0
    memory_before_mb: float = 0.0
    memory_after_mb: float = 0.0
    sockets_before: int = 0
    sockets_after: int = 0
    peers: int = 0
    rooms: int = 0
    worker_deaths: int = 0
    states_changed: int = 0

    @property
    def problems(self) -> list[str]:
        """What must not be."""
        bad = {
            "packets of calls in progress were lost": self.lost,
            "pictures strayed into the other room": self.strayed,
            "the worker died": self.worker_deaths,
            "connections were disturbed": self.states_changed,
            "sockets leaked": self.sockets_after != self.sockets_before,
            "memory leaked": self.memory_after_mb > self.memory_before_mb + 30,
            "peers or rooms came or went": (self.peers, self.rooms) != (4, 2),
            "little of it was refused": self.refused < self.datagrams // 2,
        }
        return [what for what, is_so in bad.items() if is_so]

    def lines(self) -> list[str]:
        """For people."""
        return [f"{name.replace('_', ' ')}: {value}" for name, value in asdict(self).items()]


class Watched:
    """What one client gets, by sequence number."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._got: dict[int, dict[int, None]] = {}
        for receiver in client.connection.getReceivers():
            self._watch(receiver)

    def _watch(self, receiver: Any) -> None:
        handle = receiver._handle_rtp_packet

        async def note(packet: Any, arrival_time_ms: int) -> None:
            self._got.setdefault(packet.ssrc, {})[packet.sequence_number] = None
            await handle(packet, arrival_time_ms)

        receiver._handle_rtp_packet = note

    @property
    def packets(self) -> int:
        return sum(map(len, self._got.values()))

    def lost(self) -> int:
        """Numbers between the first and the last of each stream that never came; the newest may be on their way."""
        missing = 0
        for numbers in self._got.values():
            first = next(iter(numbers))
            reached = max((number - first + 0x8000) & 0xFFFF for number in numbers) - 0x8000
            wanted = range(first, first + max(0, reached - 100))
            missing += sum(number & 0xFFFF not in numbers for number in wanted)
        return missing


def transport_of(client: Client) -> Any:
    """The client's ICE transport."""
    return client.connection.getTransceivers()[0].receiver.transport.transport


def place_of(client: Client) -> tuple[Any, tuple[str, int]]:
    """The client's own socket, and the worker's port for it."""
    pair: Any = next(iter(transport_of(client)._connection._nominated.values()))
    return pair.protocol.transport, pair.remote_addr


def ufrag_of(call: Call, peer: str) -> str:
    """The name by which the worker's agent for this peer is asked; it travels in the clear."""
    for event in call.events:
        if isinstance(event, SignalOut) and event.peer == peer and "description" in event.message:
            found = re.search(r"^a=ice-ufrag:(\S+)", event.message["description"]["sdp"], re.MULTILINE)
            if found:
                return found[1]
    raise AssertionError(f"no offer for {peer}")


async def record(client: Client, call: Call, count: int) -> list[bytes]:
    """What this client sends for a while, as it goes over the network."""
    transport, samples = transport_of(client), []
    send = transport._send

    async def copy(data: bytes) -> None:
        samples.append(data)
        await send(data)

    transport._send = copy
    await call.until(lambda: len(samples) >= count, "datagrams to replay")
    transport._send = send
    return samples


async def meet(call: Call, room: str) -> tuple[Client, Client]:
    """Two who see each other."""
    lumas = ROOMS[room]
    one, other = (call.join(room, f"{room}-{n}", f"person-{room}-{n}", luma) for n, luma in enumerate(lumas))
    await call.until(shows(one, lumas[1]), f"the first of {room} sees the second")
    await call.until(shows(other, lumas[0]), f"the second of {room} sees the first")
    return one, other


def descriptors(pid: int) -> int:
    """Open files and sockets of a process."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def malicious(client: Client, hostile: Hostile, ssrcs: list[int]) -> bytes:
    """A packet under this client's own good keys: somebody else's SSRC, or RTCP that is nonsense."""
    rng = hostile.rng
    outgoing = client.connection.getTransceivers()[0].receiver.transport._tx_srtp
    if rng.random() < 0.5:
        number = next(hostile.numbers) & 0xFFFF
        head = bytes((0x80, rng.choice((96, 111)))) + number.to_bytes(2, "big") + rng.randbytes(4)
        head += rng.choice(ssrcs).to_bytes(4, "big")
        return bytes(outgoing.protect(head + rng.randbytes(rng.randrange(1, 900))))
    words = rng.randrange(1, 60)
    head = bytes((0x80 | rng.randrange(32), rng.choice((200, 201, 202, 205, 206)))) + words.to_bytes(2, "big")
    sender = rng.randrange(4).to_bytes(4, "big")
    return bytes(outgoing.protect_rtcp(head + sender + rng.randbytes(4 * words - 4)))


async def torture(call: Call, seed: int, rounds: int, seconds: float) -> Report:
    """Run until `rounds` datagrams or `seconds` are over."""
    report = Report(seed)
    clients = [*await meet(call, "a"), *await meet(call, "b")]
    attacker, neighbour = clients[0], clients[2]
    samples = await record(attacker, call, 150)
    hostile = Hostile(seed, samples, ufrag_of(call, attacker.peer))
    watched = [Watched(client) for client in clients]
    await call.until(lambda: sum(one.peers for one in call.workers.snapshot()) == 4, "status")
    before = call.workers.snapshot()[0]
    report.memory_before_mb, report.sockets_before = before.memory_mb, descriptors(before.pid)
    states = len([event for event in call.events if type(event).__name__ == "PeerState"])
    own, port = place_of(attacker)
    _, other_port = place_of(neighbour)
    theirs = [int(number) for number in re.findall(r"a=ssrc:(\d+)", neighbour.connection.localDescription.sdp)]
    begun = monotonic()
    family = socket.AF_INET6 if ":" in port[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as stranger:
        stranger.setblocking(False)
        while report.datagrams < rounds and monotonic() - begun < seconds:
            for _ in range(BURST // 4):
                send_from_outside(stranger, hostile.datagram(), port)
                own.sendto(hostile.datagram(), port)
                own.sendto(hostile.datagram(), other_port)
                own.sendto(malicious(attacker, hostile, theirs), hostile.rng.choice((port, other_port)))
            report.datagrams += BURST
            await asyncio.sleep(0.01)
    report.seconds = round(monotonic() - begun, 1)
    seen = [len(client.lumas) for client in clients]
    await call.until(
        lambda: all(len(client.lumas) > count + 10 for client, count in zip(clients, seen, strict=True)),
        "all four pictures go on",
        30,
    )
    await call.until(lambda: sum(one.refused for one in call.workers.snapshot()) > before.refused, "counted")
    await asyncio.sleep(2.2)  # the worker's next status
    after = call.workers.snapshot()[0]
    report.refused, report.peers, report.rooms = after.refused - before.refused, after.peers, after.rooms
    report.memory_after_mb, report.sockets_after = after.memory_mb, descriptors(after.pid)
    report.worker_deaths = int(after.pid != before.pid) + len(call.lost_rooms())
    report.states_changed = len([event for event in call.events if type(event).__name__ == "PeerState"]) - states
    report.packets = sum(one.packets for one in watched)
    report.lost = sum(one.lost() for one in watched)
    for client, expected in zip(clients, (ROOMS["a"][1], ROOMS["a"][0], ROOMS["b"][1], ROOMS["b"][0]), strict=True):
        report.strayed += sum(abs(luma - expected) > 20 for luma in client.lumas[3:])
    return report


def send_from_outside(stranger: socket.socket, data: bytes, port: tuple[str, int]) -> None:
    """What the system will not take is lost, as on any network."""
    with contextlib.suppress(OSError):
        stranger.sendto(data, port)


def run(seed: int, rounds: int, seconds: float) -> Report:
    """A run against a fresh worker."""

    async def main() -> Report:
        async with Call(MediaConfig(workers=1)) as call:
            return await torture(call, seed, rounds, seconds)

    return asyncio.run(main())
