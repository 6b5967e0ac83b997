"""UDP by the burst, on Linux: one system call reads what has come to a socket, one sends what goes to a browser.

A picture leaves its browser as a burst of packets. Read, forwarded and sent one by one each costs two passes through
the kernel and the loop; read together (recvmmsg) and sent as segments of one datagram (UDP_SEGMENT) they cost two for
all, and bring the kernel's times of arrival with them. What is read stays where the kernel wrote it until it is
deciphered there, and what is sent is protected where the kernel takes it from. Knows nothing of what the datagrams
hold, but that media is told by its first byte (RFC 7983) and goes to `media_received`. Where the system offers none of
this `open_socket` falls back on the loop's own transport.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from collections.abc import Callable, Mapping
from struct import Struct
from time import time_ns
from typing import Any, Final, Protocol, cast

from cffi import FFI  # type: ignore[import-untyped]

Address = tuple[str, int]

BURST: Final = 32
"""Most datagrams read from a socket at once: others wait for their turn."""

SEGMENTS: Final = 16
"""Most datagrams that wait for one browser; a picture of 1.5 Mbit/s is six."""

SLOT: Final = 2048
"""Octets kept for a datagram: more than a network takes."""

SOCKET_BUFFER: Final = 2 * 1024 * 1024
"""Octets a socket may hold while the loop is busy."""

SOL_UDP: Final = 17
UDP_SEGMENT: Final = 103
SO_TIMESTAMPNS: Final = 35

CAN_BURST: Final = sys.platform == "linux" and sys.maxsize > 1 << 32
"""Whether the system is one whose structures are declared here."""

NAME: Final = 28
"""Octets of the longer of the two address structures."""

CONTROL: Final = 32
"""Octets of a control message that holds a time, and more than one that holds a segment size takes."""

_CONTROL_HEAD: Final = Struct("=qii")
_V4: Final = Struct("!4s8x")
_V6: Final = Struct("!4x16s4x")
_FAMILY: Final = Struct("=H")
_PORT: Final = Struct("!H")

_MEDIA: Final = bytes(range(128, 192))
"""First bytes of media datagrams."""

_NO_SEGMENTS: Final = (errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.EOPNOTSUPP, errno.ENOPROTOOPT)
"""Answers of a system or a network that cannot send segments."""

ffi = FFI()
ffi.cdef(
    """
    struct iovec { void *iov_base; size_t iov_len; };
    struct msghdr { void *msg_name; unsigned int msg_namelen; struct iovec *msg_iov; size_t msg_iovlen;
                    void *msg_control; size_t msg_controllen; int msg_flags; };
    struct mmsghdr { struct msghdr msg_hdr; unsigned int msg_len; };
    int recvmmsg(int fd, struct mmsghdr *headers, unsigned int count, int flags, void *timeout);
    ssize_t sendmsg(int fd, struct msghdr *header, int flags);
    """
)
_libc: Final = cast(Any, ffi.dlopen(None) if CAN_BURST else None)


_HEADER: Final = ffi.sizeof("struct mmsghdr")

STEP: Final = _HEADER // 4
"""From one datagram's length to the next one's in `Burst.sizes`."""

STAMP: Final = CONTROL // 8
"""From one datagram's time of arrival to the next one's in `Burst.stamps`."""


class MediaProtocol(Protocol):
    """What is told of a socket, beside what asyncio tells a datagram protocol."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None: ...
    def error_received(self, exc: Exception) -> None: ...
    def media_received(self, burst: Burst, start: int, end: int) -> None:
        """Media datagrams: those of `burst` from number `start` to before `end`. They are gone afterwards."""
        ...


class Burst:
    """Datagrams that were read at once, by number, in memory that the kernel writes to.

    `data` is that memory, of which number N begins at octet N * SLOT, and `octets` the same as numbers. `slots` and
    `lengths` point to each datagram and to its length, for whoever deciphers it in place; `sizes` has these lengths,
    that of number N at N * STEP. `stamps` has the times of arrival, seconds and nanoseconds of the wall clock, those
    of number N at N * STAMP and after it.
    """

    def __init__(self) -> None:
        memory = self._memory = ffi.new("char[]", BURST * SLOT)
        self._names = ffi.new("char[]", BURST * NAME)
        self._controls = ffi.new("char[]", BURST * CONTROL)
        self._iov = ffi.new("struct iovec[]", BURST)
        headers = self._headers = ffi.new("struct mmsghdr[]", BURST)
        self.slots = [memory + number * SLOT for number in range(BURST)]
        for number, slot in enumerate(self.slots):
            self._iov[number].iov_base, self._iov[number].iov_len = slot, SLOT
            header = headers[number].msg_hdr
            header.msg_name, header.msg_namelen = self._names + number * NAME, NAME
            header.msg_iov, header.msg_iovlen = self._iov + number, 1
            header.msg_control, header.msg_controllen = self._controls + number * CONTROL, CONTROL
        self.lengths = [ffi.cast("int *", ffi.addressof(headers[number], "msg_len")) for number in range(BURST)]
        self._fresh = ffi.new("struct mmsghdr[]", BURST)
        ffi.memmove(self._fresh, headers, BURST * _HEADER)
        self.data = ffi.buffer(memory)
        self.octets = memoryview(self.data)
        words = memoryview(ffi.buffer(headers)).cast("B").cast("I")
        self.sizes = words[ffi.offsetof("struct mmsghdr", "msg_len") // 4 :]
        self._noted = words[ffi.offsetof("struct msghdr", "msg_controllen") // 4 :]
        self.stamps = memoryview(ffi.buffer(self._controls)).cast("B").cast("q")[_CONTROL_HEAD.size // 8 :]
        self._name_data = ffi.buffer(self._names)

    def read(self, descriptor: int) -> int:
        """Read what has come, and tell how many; 0 if none, or if the system has an error to tell."""
        count: int = _libc.recvmmsg(descriptor, self._headers, BURST, 0, ffi.NULL)
        if count <= 0:
            return 0
        if self._noted[0] < CONTROL:  # the system tells no times
            self._stamp(count)
        return count

    def put(self, *datagrams: bytes) -> int:
        """Take datagrams that were read in another way, as if they came now, and tell how many. At most BURST."""
        for number, datagram in enumerate(datagrams):
            data = datagram[:SLOT]
            self.data[number * SLOT : number * SLOT + len(data)] = data
            self.sizes[number * STEP] = len(data)
        self._stamp(len(datagrams))
        return len(datagrams)

    def _stamp(self, count: int) -> None:
        seconds, nanoseconds = divmod(time_ns(), 1_000_000_000)
        for number in range(count):
            self.stamps[number * STAMP], self.stamps[number * STAMP + 1] = seconds, nanoseconds

    def renew(self, count: int) -> None:
        """Undo what reading `count` datagrams has written into their headers."""
        ffi.memmove(self._headers, self._fresh, count * _HEADER)

    def datagram(self, number: int) -> bytes:
        """A datagram as it is now."""
        start = number * SLOT
        found: bytes = self.data[start : start + self.sizes[number * STEP]]
        return found

    def arrived(self, number: int) -> int:
        """When the kernel got a datagram, in nanoseconds of the wall clock."""
        at = number * STAMP
        return self.stamps[at] * 1_000_000_000 + self.stamps[at + 1]

    def sender(self, number: int) -> Address:
        """Where a datagram came from."""
        name = self._name_data[number * NAME : (number + 1) * NAME]
        port = _PORT.unpack_from(name, 2)[0]
        if _FAMILY.unpack_from(name)[0] == socket.AF_INET6:
            return socket.inet_ntop(socket.AF_INET6, name[8:24]), port
        return socket.inet_ntop(socket.AF_INET, name[4:8]), port


class _Outbox:
    """The ways on which something waits for the end of the burst that is being dealt with."""

    def __init__(self) -> None:
        self.open = False
        self.waiting: list[Way] = []

    def send(self) -> None:
        """Send all of it."""
        self.open = False
        waiting, self.waiting = self.waiting, []
        for way in waiting:
            count = way.waiting
            try:
                way.flush()
            except Exception:  # costs that browser what waited, and no other
                way.dropped += count


_outbox: Final = _Outbox()
_burst: Final = Burst()
"""One for all sockets, since each burst is dealt with before the next is read."""


class Pair(Protocol):
    """A pair of addresses: one of our sockets, and where the browser is."""

    @property
    def protocol(self) -> Any: ...
    @property
    def remote_addr(self) -> Address: ...


class Way:
    """The way to one browser: what is sent here goes with what else goes there, once the burst is dealt with.

    `nominated` holds, under 1, the pair of addresses that is used now. `seal` protects a packet in place, given
    pointers to it and to its length, which it sets, and lengthens it by `growth` octets at most; it answers other
    than 0 if it cannot. `dropped` counts what could not be protected, had no way, or was not taken by the system.

    Most packets are sent by `send`. Who has many writes each to `buffer`, at octet `waiting` * SLOT, and calls `put`.
    """

    __slots__ = (
        "_address",
        "_control",
        "_header",
        "_iov",
        "_memory",
        "_name",
        "_nominated",
        "_pair",
        "_pointers",
        "_seal",
        "_sizes",
        "_slots",
        "_transport",
        "buffer",
        "capacity",
        "dropped",
        "waiting",
    )

    def __init__(self, nominated: Mapping[int, Pair], seal: Callable[[Any, Any], int], growth: int) -> None:
        self._nominated = nominated
        self._seal = seal
        self.capacity = SLOT - growth
        self.dropped = 0
        memory = self._memory = ffi.new("char[]", SEGMENTS * SLOT)
        self.buffer = ffi.buffer(memory)
        self._slots = [memory + number * SLOT for number in range(SEGMENTS)]
        self._iov = ffi.new("struct iovec[]", SEGMENTS)
        for number, slot in enumerate(self._slots):
            self._iov[number].iov_base = slot
        self._pointers = [ffi.cast("int *", ffi.addressof(self._iov[n], "iov_len")) for n in range(SEGMENTS)]
        self._sizes = memoryview(ffi.buffer(self._iov)).cast("B").cast("P")
        self._control = ffi.new("char[]", _CONTROL_HEAD.pack(_CONTROL_HEAD.size + 2, SOL_UDP, UDP_SEGMENT) + bytes(8))
        self._header = ffi.new("struct msghdr *")
        self._header.msg_control = self._control
        self._name = ffi.NULL
        self._pair: Pair | None = None
        self._transport: Any = None
        self._address: Address = ("", 0)
        self.waiting = 0

    def send(self, head: bytes, body: bytes) -> None:
        """Protect and send a packet that begins with `head` and goes on with `body`. Raises ValueError if too long."""
        start = self.waiting * SLOT
        middle = start + len(head)
        end = middle + len(body)
        if end - start > self.capacity:
            raise ValueError("too long")
        self.buffer[start:middle] = head
        self.buffer[middle:end] = body
        self.put(end - start)

    def put(self, size: int) -> None:
        """Protect and send the packet of so many octets that was written to `buffer` at octet `waiting` * SLOT.

        One that leaves no room for what protecting adds is dropped: it would grow into what lies behind.
        """
        if size > self.capacity:
            self.dropped += 1
            return
        place = self.waiting
        self._sizes[2 * place + 1] = size
        self.waiting = place + 1
        if not _outbox.open or place == SEGMENTS - 1:
            self.flush()
        elif not place:
            _outbox.waiting.append(self)

    def flush(self) -> None:
        """Send what waits: datagrams of one size and a shorter one after them are one call."""
        total, self.waiting = self.waiting, 0
        pair = self._nominated.get(1)
        if pair is not self._pair:
            self._turn_to(pair)
        seal, slots, pointers, sizes = self._seal, self._slots, self._pointers, self._sizes
        for place in range(total):
            if seal(slots[place], pointers[place]):
                sizes[2 * place + 1] = 0
        start = 0
        while start < total:
            segment = last = sizes[2 * start + 1]
            end = start + 1
            while end < total and segment == last and 0 < sizes[2 * end + 1] <= segment:
                last = sizes[2 * end + 1]
                end += 1
            if segment:
                self._send(start, end, segment)
            else:
                self.dropped += 1
            start = end

    def _turn_to(self, pair: Pair | None) -> None:
        self._pair = pair
        self._transport = None if pair is None else pair.protocol.transport
        if pair is not None:
            self._address = pair.remote_addr
        if isinstance(self._transport, BurstTransport):
            name = _sockaddr(self._address)
            self._name = ffi.new("char[]", name)
            self._header.msg_name, self._header.msg_namelen = self._name, len(name)

    def _send(self, start: int, end: int, segment: int) -> None:
        header, transport = self._header, self._transport
        together = end - start > 1
        if not isinstance(transport, BurstTransport):
            self._send_plainly(start, end)
        elif together and not transport.segments:
            for number in range(start, end):
                self._send(number, number + 1, segment)
        else:
            header.msg_iov, header.msg_iovlen = self._iov + start, end - start
            if together:
                self._control[16], self._control[17] = bytes((segment & 0xFF,)), bytes((segment >> 8,))
            header.msg_controllen = 24 if together else 0
            if _libc.sendmsg(transport.descriptor, header, 0) >= 0:
                return
            if together and ffi.errno in _NO_SEGMENTS:
                transport.segments = False
                self._send(start, end, segment)
            else:
                self.dropped += end - start

    def _send_plainly(self, start: int, end: int) -> None:
        for number in range(start, end):
            if self._transport is None:
                self.dropped += 1
            else:
                at = number * SLOT
                self._transport.sendto(self.buffer[at : at + self._sizes[2 * number + 1]], self._address)


def _sockaddr(address: Address) -> bytes:
    host, port = address
    if ":" in host:
        raw = _V6.pack(socket.inet_pton(socket.AF_INET6, host))
        return _FAMILY.pack(socket.AF_INET6) + _PORT.pack(port) + raw
    return _FAMILY.pack(socket.AF_INET) + _PORT.pack(port) + _V4.pack(socket.inet_pton(socket.AF_INET, host))


class BurstTransport(asyncio.DatagramTransport):
    """A socket whose media is read and sent by the burst. `segments`: whether the network takes segments."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, protocol: MediaProtocol) -> None:
        super().__init__({"socket": sock, "sockname": sock.getsockname()})
        self.descriptor = sock.fileno()
        self.segments = True
        self._loop = loop
        self._socket = sock
        self._protocol = protocol
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        protocol.connection_made(self)
        loop.add_reader(sock, self._read)

    def _read(self) -> None:
        burst = _burst
        count = burst.read(self.descriptor)
        if not count:
            return
        _outbox.open = True
        try:
            firsts = burst.octets[: count * SLOT : SLOT].tobytes()
            if not firsts.strip(_MEDIA):
                self._protocol.media_received(burst, 0, count)
            else:
                self._sort(burst, firsts)
        except Exception as exc:  # costs what was read now, and nothing after it
            self._complain(exc)
        finally:
            burst.renew(count)
            _outbox.send()

    def _sort(self, burst: Burst, firsts: bytes) -> None:
        """Hand over a burst that is not of media alone."""
        for number, first in enumerate(firsts):
            try:
                if 127 < first < 192 and burst.sizes[number * STEP]:
                    self._protocol.media_received(burst, number, number + 1)
                else:
                    self._protocol.datagram_received(burst.datagram(number), burst.sender(number))
            except Exception as exc:  # costs that datagram, and none after it
                self._complain(exc)

    def _complain(self, problem: Exception) -> None:
        self._loop.call_exception_handler({"message": "datagram not handled", "exception": problem})

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send one datagram now; what the system will not take is lost, as on any network."""
        try:
            self._socket.sendto(data, addr)
        except BlockingIOError:
            pass
        except OSError as exc:
            self._protocol.error_received(exc)

    def is_closing(self) -> bool:
        """Whether it has been closed."""
        return self.descriptor < 0

    def close(self) -> None:
        """Close the socket; the protocol is told soon."""
        if self.descriptor >= 0:
            self._loop.remove_reader(self._socket)
            self.descriptor = -1
            self._socket.close()
            self._loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        """Close the socket: nothing ever waits to be sent."""
        self.close()


async def open_socket(make: Callable[[], MediaProtocol], address: Address) -> MediaProtocol:
    """Bind a socket to `address`. Raises OSError if that cannot be."""
    loop = asyncio.get_running_loop()
    if CAN_BURST:
        sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.bind(address)
        except OSError:
            sock.close()
            raise
        protocol = make()
        BurstTransport(loop, sock, protocol)
    else:
        transport, protocol = await loop.create_datagram_endpoint(cast(Any, make), local_addr=address)
        sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
    return protocol
