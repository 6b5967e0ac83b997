"""Two calls in two rooms of one worker, and hostile datagrams at both from inside, from next door and from outside."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import socket
from dataclasses import asdict, dataclass
from time import monotonic
from typing import Any

from teleconsult.media import MediaConfig, PeerState, SignalOut, rtcp
from tests.support.media_client import Call, Client, shows
from tests.torture.hostile import Hostile

BURST = 40
"""Datagrams between two looks at the calls."""

ROOMS = {"a": (60, 200), "b": (110, 160), "c": (30, 230)}
"""Brightness of the two pictures in each room: a picture that strays is seen. In "c" one of the two is malicious."""

GHOST = "c-ghost"
"""A peer that never answers: what comes to a port whose browser is not there yet."""

GROWTH_MB = 8.0
"""Megabytes by which the worker may grow in the last third of a run."""


@dataclass
class Report:
    """What a run came to. Losses are packets that never came to a receiver, none of them sent by us. The memory before
    is that after two thirds of the run, when everything has its size."""

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
            "sockets leaked": self.sockets_after > self.sockets_before,
            "memory leaked": self.memory_after_mb > self.memory_before_mb + GROWTH_MB,
            "peers or rooms came or went": self.peers not in (6, 7) or self.rooms != 3,
            "little of it was refused": self.refused < self.datagrams * 2 // 3,
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


class Malicious:
    """A participant who attacks with keys that are good, from a room of its own; `theirs` are neighbours' streams."""

    def __init__(self, client: Client, hostile: Hostile, theirs: list[int]) -> None:
        self._rng = hostile.rng
        self._numbers = hostile.numbers
        self._theirs = theirs
        self._own = _streams(client.connection.localDescription.sdp)
        self._gets = _streams(client.connection.remoteDescription.sdp)
        self._session = client.connection.getTransceivers()[0].receiver.transport._tx_srtp
        self._kinds = (self._stray, self._wild, self._nonsense, self._feedback)

    def datagram(self) -> bytes:
        """The next one, of any kind."""
        return self._rng.choice(self._kinds)()

    def _stray(self) -> bytes:
        """A picture under somebody else's number."""
        return self._media(self._rng.choice(self._theirs), 0x80, next(self._numbers), self._rng.randrange(1, 900))

    def _wild(self) -> bytes:
        """Its own streams, with jumps, contributing sources, extensions, padding and payload types of all sorts."""
        number = next(self._numbers) * self._rng.choice((1, 1, 1, 300))
        return self._media(self._rng.choice(self._own), 0x80 | self._rng.randrange(64), number, self._size())

    def _size(self) -> int:
        """Mostly that of a packet; sometimes more than any network takes, up to what a socket reads at once."""
        return self._rng.randrange(900) if self._rng.random() < 0.8 else self._rng.randrange(1100, 2040)

    def _media(self, ssrc: int, first: int, number: int, size: int) -> bytes:
        kind = self._rng.choice((96, 97, 98, 111, 224, 225, 239))
        head = bytes((first, kind)) + (number & 0xFFFF).to_bytes(2, "big") + self._rng.randbytes(4)
        body = self._rng.randbytes(4 * (first & 15)) + b"\xbe\xde" + self._rng.choice((b"\0\1", b"\0\2", b"\xff\xff"))
        try:
            return bytes(self._session.protect(head + ssrc.to_bytes(4, "big") + body + self._rng.randbytes(size)))
        except Exception:  # libsrtp itself refuses to protect some of them
            return self._nonsense()

    def _nonsense(self) -> bytes:
        """A report whose content is noise."""
        words = self._rng.randrange(1, 60)
        kind = self._rng.choice((200, 201, 202, 205, 206))
        head = bytes((0x80 | self._rng.randrange(32), kind)) + words.to_bytes(2, "big")
        sender = self._rng.randrange(4).to_bytes(4, "big")
        return bytes(self._session.protect_rtcp(head + sender + self._rng.randbytes(4 * words - 4)))

    def _feedback(self) -> bytes:
        """Well-made feedback on what it really gets, and on what it does not, with wild contents."""
        target = self._rng.choice((*self._gets, *self._theirs, self._rng.getrandbits(32)))
        report = self._rng.choice(
            (
                lambda: rtcp.nack(1, target, [self._rng.randrange(1 << 16) for _ in range(200)]),
                lambda: rtcp.keyframe_request(1, target),
                lambda: rtcp.remb(1, self._rng.choice((0, 1, 30_000, 1 << 40)), [target]),
                lambda: rtcp.receiver_report(
                    1, [rtcp.Block(target, self._rng.randrange(256), 1 << 20, self._rng.getrandbits(32), 1, 1, 1)]
                ),
                lambda: rtcp.sender_report(
                    rtcp.SenderReport(
                        self._rng.choice(self._own), self._rng.getrandbits(64), self._rng.getrandbits(32), 1, 1
                    )
                ),
            )
        )()
        opening = b"" if report[1] in (200, 201) else rtcp.receiver_report(1)
        return bytes(self._session.protect_rtcp(opening + report))


def _streams(sdp: str) -> list[int]:
    """The numbers of the streams that a description names."""
    return sorted({int(number) for number in re.findall(r"a=ssrc:(\d+)", sdp)})


def shuffle(client: Client, rng: random.Random) -> None:
    """Let one in five of this client's own datagrams wait, and go out of order, from now on."""
    transport, waiting = transport_of(client), list[bytes]()
    send = transport._send

    async def out_of_order(data: bytes) -> None:
        if rng.random() < 0.2:
            waiting.append(data)
        else:
            await send(data)
        if len(waiting) > 30:
            rng.shuffle(waiting)
            for one in waiting:
                await send(one)
            waiting.clear()

    transport._send = out_of_order


async def torture(call: Call, seed: int, rounds: int, seconds: float) -> Report:
    """Run until `rounds` datagrams or `seconds` are over."""
    report = Report(seed)
    clients = [*await meet(call, "a"), *await meet(call, "b")]
    attacker, neighbour = clients[0], clients[2]
    mallory, _ = await meet(call, "c")
    samples = await record(attacker, call, 150)
    hostile = Hostile(seed, samples, ufrag_of(call, attacker.peer))
    malicious = Malicious(mallory, hostile, _streams(neighbour.connection.localDescription.sdp))
    watched = [Watched(client) for client in clients]
    call.workers.join("c", GHOST, "ghost")
    await call.until(lambda: GHOST in offers(call), "an offer to nobody")
    await call.until(lambda: sum(one.peers for one in call.workers.snapshot()) == 7, "status")
    before = call.workers.snapshot()[0]
    report.sockets_before = descriptors(before.pid)
    states = changes(call)
    own, port = place_of(attacker)
    _, other_port = place_of(neighbour)
    mallorys, mallory_port = place_of(mallory)
    ghost_port = offers(call)[GHOST]
    shuffle(mallory, hostile.rng)
    begun = monotonic()
    family = socket.AF_INET6 if ":" in port[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as stranger:
        stranger.setblocking(False)
        while (done := max(report.datagrams / rounds, (monotonic() - begun) / seconds)) < 1:
            for _ in range(BURST // 5):
                send_from_outside(stranger, hostile.datagram(), hostile.rng.choice((port, ghost_port)))
                own.sendto(hostile.datagram(), port)
                own.sendto(hostile.datagram(), other_port)
                own.sendto(hostile.datagram(), ghost_port)
                mallorys.sendto(malicious.datagram(), hostile.rng.choice((port, other_port, mallory_port)))
            report.datagrams += BURST
            if done < 2 / 3:
                report.memory_before_mb = call.workers.snapshot()[0].memory_mb
            await asyncio.sleep(0.01)
    report.seconds = round(monotonic() - begun, 1)
    seen = [len(client.lumas) for client in clients]
    await call.until(
        lambda: all(len(client.lumas) > count + 10 for client, count in zip(clients, seen, strict=True)),
        "all four pictures go on",
        30,
    )
    reached = sum(one.refused for one in call.workers.snapshot())
    await call.until(lambda: sum(one.refused for one in call.workers.snapshot()) >= reached, "counted")
    await asyncio.sleep(2.2)  # the worker's next status
    after = call.workers.snapshot()[0]
    report.refused, report.peers, report.rooms = after.refused - before.refused, after.peers, after.rooms
    report.memory_after_mb, report.sockets_after = after.memory_mb, descriptors(after.pid)
    report.worker_deaths = int(after.pid != before.pid) + len(call.lost_rooms())
    report.states_changed = changes(call) - states
    report.packets = sum(one.packets for one in watched)
    report.lost = sum(one.lost() for one in watched)
    for client, expected in zip(clients, (ROOMS["a"][1], ROOMS["a"][0], ROOMS["b"][1], ROOMS["b"][0]), strict=True):
        report.strayed += sum(abs(luma - expected) > 20 for luma in client.lumas[3:])
    return report


def changes(call: Call) -> int:
    """How often the connection of anybody who answers has changed its state."""
    return sum(isinstance(event, PeerState) and event.peer != GHOST for event in call.events)


def offers(call: Call) -> dict[str, tuple[str, int]]:
    """Where the worker waits for each peer."""
    found: dict[str, tuple[str, int]] = {}
    for event in call.events:
        if isinstance(event, SignalOut) and "description" in event.message:
            match = re.search(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", event.message["description"]["sdp"])
            if match:
                found[event.peer] = (match[1], int(match[2]))
    return found


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
