"""Sockets read and written by the burst: nothing is lost, joined, or out of order, whatever the sizes."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from teleconsult.media import _udp
from teleconsult.media._udp import SEGMENTS, Burst, BurstTransport, Way, open_socket

pytestmark = pytest.mark.skipif(not _udp.CAN_BURST, reason="this system has no recvmmsg")

NO_CHECKSUM = {"127.0.0.1": (socket.SOL_SOCKET, 11), "::1": (_udp.SOL_UDP, 101)}
ACCEPT_NO_CHECKSUM = 102
"""Linux: no UDP checksums; a socket that makes none can send no segments, as some networks cannot."""


class Taker:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.transport: BurstTransport
        self.media: list[tuple[bytes, int]] = []
        self.others: list[tuple[bytes, tuple[Any, ...]]] = []
        self.came = asyncio.Event()
        self.lost = asyncio.Event()
        self.on_media: Callable[[], None] = lambda: None
        self.on_other: Callable[[bytes], None] = lambda data: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, BurstTransport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()

    def error_received(self, exc: Exception) -> None:
        raise AssertionError(str(exc))

    def media_received(self, burst: Burst, start: int, end: int) -> None:
        for number in range(start, end):
            self.media.append((burst.datagram(number), burst.arrived(number)))
        self.came.set()
        self.on_media()

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self.others.append((data, addr))
        self.came.set()
        self.on_other(data)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.media) + len(self.others) < count:
                self.came.clear()
                await self.came.wait()


def with_socket(host: str, check: Callable[[Taker, socket.socket], Awaitable[None]]) -> None:
    """Run `check` with one of our sockets and a plain one that stands for a browser."""

    async def main() -> None:
        taker = Taker()
        await open_socket(lambda: taker, (host, 0))
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as browser:
            browser.bind((host, 0))
            browser.settimeout(5)
            try:
                await check(taker, browser)
            finally:
                taker.transport.close()
                await asyncio.wait_for(taker.lost.wait(), 5)

    asyncio.run(main())


def media(number: int, size: int) -> bytes:
    return bytes((0x80, number & 0xFF)) + random.Random(number).randbytes(size - 2)


def way_from(taker: Taker, browser: socket.socket) -> Way:
    """A way that protects nothing."""
    protocol, address = SimpleNamespace(transport=taker.transport), browser.getsockname()[:2]
    return Way({1: SimpleNamespace(protocol=protocol, remote_addr=address)}, lambda slot, length: 0, 0)


async def until_times_are_noted(taker: Taker, browser: socket.socket) -> None:
    """The kernel begins to note times in its own time after the first socket asks; until then they are those of
    reading."""
    async with asyncio.timeout(5):
        while True:
            browser.sendto(media(0, 20), taker.transport.get_extra_info("sockname"))
            sent = time.time_ns()
            time.sleep(0.01)
            await taker.until(1)
            _, arrived = taker.media.pop()
            if arrived <= sent:
                return


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_burst_comes_whole_in_order_and_with_the_kernels_times(host: str) -> None:
    async def check(taker: Taker, browser: socket.socket) -> None:
        to = taker.transport.get_extra_info("sockname")
        await until_times_are_noted(taker, browser)
        sent = [media(number, 20 + 31 * (number % 40)) for number in range(100)]
        before = time.time_ns()
        for data in sent:
            browser.sendto(data, to)
        after = time.time_ns()
        time.sleep(0.1)  # the loop is busy: what is told is when they came, not when we got to them
        await taker.until(100)
        assert [data for data, _ in taker.media] == sent
        times = [at for _, at in taker.media]
        assert times == sorted(times)
        assert before - 10**6 <= times[0]
        assert times[-1] <= after + 10**6

    with_socket(host, check)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_what_is_no_media_comes_with_its_sender_and_is_answered(host: str) -> None:
    async def check(taker: Taker, browser: socket.socket) -> None:
        to = taker.transport.get_extra_info("sockname")
        for data in (b"\x00\x01stun", b"", b"\x16dtls", b"\xc8other"):
            browser.sendto(data, to)
        await taker.until(4)
        assert [data for data, _ in taker.others] == [b"\x00\x01stun", b"", b"\x16dtls", b"\xc8other"]
        assert {address for _, address in taker.others} == {(host, browser.getsockname()[1])}
        taker.transport.sendto(b"answer", taker.others[0][1])
        assert browser.recv(100) == b"answer"

    with_socket(host, check)


@pytest.mark.parametrize("segments", [True, False], ids=["segments", "a network without segments"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_what_goes_to_a_browser_arrives_as_it_was_put(host: str, segments: bool) -> None:
    async def check(taker: Taker, browser: socket.socket) -> None:
        if not segments:
            taker.transport.get_extra_info("socket").setsockopt(*NO_CHECKSUM[host], 1)
            if host == "::1":
                browser.setsockopt(_udp.SOL_UDP, ACCEPT_NO_CHECKSUM, 1)
        way = way_from(taker, browser)
        rng = random.Random(5)
        sizes = [
            1130,
            1130,
            1130,
            400,
            1130,
            90,
            90,
            1200,
            1130,
            1130,
            *(rng.choice((90, 700, 1130)) for _ in range(60)),
        ]
        sent = [media(number, size) for number, size in enumerate(sizes)]

        def burst() -> None:
            for one in sent:
                way.send(one[:12], one[12:])

        taker.on_media = burst
        browser.sendto(media(0, 30), taker.transport.get_extra_info("sockname"))
        await taker.until(1)
        assert [browser.recv(2048) for _ in sent] == sent
        assert len(sent) > 2 * SEGMENTS
        assert way.dropped == 0
        way.send(media(1, 50), b"")
        assert browser.recv(2048) == media(1, 50), "outside of a burst nothing waits"
        assert taker.transport.segments is segments

    with_socket(host, check)


def test_what_cannot_be_handled_costs_itself_alone() -> None:
    async def check(taker: Taker, browser: socket.socket) -> None:
        problems: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
        way = way_from(taker, browser)

        def refuse_odd(data: bytes) -> None:
            way.send(data, b"")
            if data[1] % 2:
                raise RuntimeError("odd")

        taker.on_other = refuse_odd
        for number in range(6):
            browser.sendto(bytes((20, number)), taker.transport.get_extra_info("sockname"))
        await taker.until(6)
        assert [browser.recv(100) for _ in range(6)] == [bytes((20, number)) for number in range(6)]
        assert len(problems) == 3

    with_socket("127.0.0.1", check)


def test_nothing_is_sent_once_the_socket_is_closed() -> None:
    async def check(taker: Taker, browser: socket.socket) -> None:
        way = way_from(taker, browser)
        taker.transport.close()
        assert taker.transport.is_closing()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM):  # which now may have the number ours had
            way.send(media(1, 30), b"")
        assert way.dropped == 1
        browser.setblocking(False)
        with pytest.raises(BlockingIOError):
            browser.recv(100)

    with_socket("127.0.0.1", check)


def test_address_that_is_not_ours_cannot_be_bound() -> None:
    with pytest.raises(OSError, match="assign requested address"):
        asyncio.run(open_socket(Taker, ("192.0.2.1", 0)))


def test_what_cannot_be_protected_costs_itself_alone() -> None:
    async def check(taker: Taker, browser: socket.socket) -> None:
        protocol, address = SimpleNamespace(transport=taker.transport), browser.getsockname()[:2]
        way = Way(
            {1: SimpleNamespace(protocol=protocol, remote_addr=address)},
            lambda slot, length: _udp.ffi.buffer(slot, 2)[1][0] % 2,
            0,
        )
        taker.on_media = lambda: [way.send(media(number, 30), b"") for number in range(6)] and None
        browser.sendto(media(0, 30), taker.transport.get_extra_info("sockname"))
        await taker.until(1)
        assert [browser.recv(100) for _ in range(3)] == [media(number, 30) for number in (0, 2, 4)]
        assert way.dropped == 3

    with_socket("127.0.0.1", check)


def test_a_packet_that_is_too_long_is_refused() -> None:
    way = Way({}, lambda slot, length: 0, 144)
    with pytest.raises(ValueError, match="too long"):
        way.send(bytes(20), bytes(_udp.SLOT - 100))
    way.send(bytes(20), bytes(1000))
    assert way.dropped == 1, "there is no way yet"


def test_nothing_is_protected_that_would_grow_beyond_its_slot() -> None:
    sealed: list[int] = []
    way = Way({}, lambda slot, length: sealed.append(length[0]) or 0, 144)
    way.put(way.capacity + 1)
    assert (way.dropped, way.waiting, sealed) == (1, 0, [])
    way.put(way.capacity)
    assert sealed == [_udp.SLOT - 144]


def test_a_way_that_fails_costs_its_own_packets_alone() -> None:
    def break_down(slot: Any, length: Any) -> int:
        raise RuntimeError

    outbox = _udp._Outbox()
    broken, whole = (Way({}, seal, 144) for seal in (break_down, lambda slot, length: 0))
    for way in (broken, whole):
        way.waiting = 2
    outbox.waiting = [broken, whole]
    outbox.send()
    assert (broken.dropped, broken.waiting) == (2, 0)
    assert whole.waiting == 0
