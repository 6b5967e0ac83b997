"""UDP by the burst, on Linux: one system call reads what has come to a socket, one sends what goes to a browser.

A picture leaves its browser as a burst of packets. Read, forwarded and sent one by one each costs two passes through
the kernel and the loop; read together (recvmmsg) and sent as segments of one datagram (UDP_SEGMENT) they cost two for
all, and bring the kernel's times of arrival with them. Knows nothing of what the datagrams hold, but that media is
told by its first byte (RFC 7983) and goes to `media_received`. Where the system offers none of this `open_socket`
falls back on the loop's own transport.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from collections.abc import Callable
from struct import Struct
from time import monotonic, sleep, time_ns
from typing import Any, Final, Protocol, cast

from cffi import FFI  # type: ignore[import-untyped]

Address = tuple[str, int]

BURST: Final = 32
"""Most datagrams read from a socket at once: others wait for their turn."""

SEGMENTS: Final = 16
"""Most datagrams that wait for one browser; a picture of 1.5 Mbit/s is six."""

PAUSE: Final = 0.001
GATHER: Final = 0.0001
"""Seconds of quiet after which a datagram is taken for the first of a burst, and for how long the rest may gather. To
wake up costs more than to forward, so that a worker with little to do would spend most of its time on it; one with much
to do is seldom quiet, and never waits."""

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
_STAMP: Final = Struct("=qq")
_V4: Final = Struct("!4s8x")
_V6: Final = Struct("!4x16s4x")
_FAMILY: Final = Struct("=H")
_PORT: Final = Struct("!H")

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


class MediaProtocol(Protocol):
    """What is told of a socket, beside what asyncio tells a datagram protocol."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None: ...
    def error_received(self, exc: Exception) -> None: ...
    def media_received(self, data: bytes, arrived: Callable[[], int]) -> None:
        """One media datagram; `arrived` tells, until the next one, when it came, in nanoseconds of the wall clock."""
        ...


class _Inbox:
    """Where datagrams are read to: one for all sockets, since each burst is dealt with before the next."""

    def __init__(self) -> None:
        self.at = 0
        self._slots = ffi.new("char[]", BURST * SLOT)
        self._names = ffi.new("char[]", BURST * NAME)
        self._controls = ffi.new("char[]", BURST * CONTROL)
        self._iov = ffi.new("struct iovec[]", BURST)
        self._headers = ffi.new("struct mmsghdr[]", BURST)
        for number in range(BURST):
            self._iov[number].iov_base = self._slots + number * SLOT
            self._iov[number].iov_len = SLOT
            header = self._headers[number].msg_hdr
            header.msg_name, header.msg_namelen = self._names + number * NAME, NAME
            header.msg_iov, header.msg_iovlen = self._iov + number, 1
            header.msg_control, header.msg_controllen = self._controls + number * CONTROL, CONTROL
        self._size = ffi.sizeof("struct mmsghdr")
        self._fresh = ffi.new("struct mmsghdr[]", BURST)
        ffi.memmove(self._fresh, self._headers, BURST * self._size)
        self.data = ffi.buffer(self._slots)
        self.lengths = memoryview(ffi.buffer(self._headers)).cast("B").cast("I")[ffi.sizeof("struct msghdr") // 4 :]
        self.step = self._size // 4
        self._name_data = ffi.buffer(self._names)
        self._control_data = ffi.buffer(self._controls)

    def read(self, descriptor: int) -> int:
        """Read what has come, and tell how many; 0 if none, or if the system has an error to tell."""
        count: int = _libc.recvmmsg(descriptor, self._headers, BURST, 0, ffi.NULL)
        return max(0, count)

    def renew(self, count: int) -> None:
        """Undo what reading `count` datagrams has written into their headers."""
        ffi.memmove(self._headers, self._fresh, count * self._size)

    def arrived(self) -> int:
        """When the kernel got datagram `at`, in nanoseconds of the wall clock."""
        if self._headers[self.at].msg_hdr.msg_controllen < CONTROL:
            return time_ns()  # came before the kernel began to note times
        seconds, nanoseconds = _STAMP.unpack_from(self._control_data, self.at * CONTROL + _CONTROL_HEAD.size)
        return int(seconds * 1_000_000_000 + nanoseconds)

    def sender(self) -> Address:
        """Where datagram `at` came from."""
        name = self._name_data[self.at * NAME : (self.at + 1) * NAME]
        port = _PORT.unpack_from(name, 2)[0]
        if _FAMILY.unpack_from(name)[0] == socket.AF_INET6:
            return socket.inet_ntop(socket.AF_INET6, name[8:24]), port
        return socket.inet_ntop(socket.AF_INET, name[4:8]), port


class _Outbox:
    """The ways on which something waits for the end of the burst that is being dealt with."""

    def __init__(self) -> None:
        self.open = False
        self.sent = 0.0
        """When the last burst was dealt with, in seconds of `time.monotonic`."""
        self.waiting: list[Way] = []

    def send(self) -> None:
        """Send all of it."""
        self.open = False
        waiting, self.waiting = self.waiting, []
        for way in waiting:
            way.flush()


_outbox: Final = _Outbox()
_inbox: Final = cast(_Inbox, _Inbox() if CAN_BURST else None)


class Way:
    """The way to one browser: what is put here is sent with what else goes there, once the burst is dealt with.

    The next datagram's place is slot number `len(sizes)` of `buffer`, where `slots` points to it: write it there,
    then call `put` with its size.
    `dropped` counts what the system would not take.
    """

    __slots__ = (
        "_control",
        "_header",
        "_iov",
        "_lengths",
        "_memory",
        "_name",
        "_transport",
        "buffer",
        "dropped",
        "sizes",
        "slots",
    )

    def __init__(self, transport: BurstTransport, address: Address) -> None:
        self._transport = transport
        self.dropped = 0
        memory = self._memory = ffi.new("char[]", SEGMENTS * SLOT)
        self.buffer = ffi.buffer(memory)
        self.slots = [memory + number * SLOT for number in range(SEGMENTS)]
        self._iov = ffi.new("struct iovec[]", SEGMENTS)
        for number, slot in enumerate(self.slots):
            self._iov[number].iov_base = slot
        self._lengths = memoryview(ffi.buffer(self._iov)).cast("B").cast("Q")
        self._name = ffi.new("char[]", _sockaddr(address))
        self._control = ffi.new("char[]", _CONTROL_HEAD.pack(_CONTROL_HEAD.size + 2, SOL_UDP, UDP_SEGMENT) + bytes(8))
        self._header = ffi.new("struct msghdr *")
        self._header.msg_name, self._header.msg_namelen = self._name, len(self._name) - 1
        self._header.msg_control = self._control
        self.sizes: list[int] = []

    def put(self, size: int) -> None:
        """Send what was written into the next place: `size` octets."""
        sizes = self.sizes
        sizes.append(size)
        if not _outbox.open or len(sizes) == SEGMENTS:
            self.flush()
        elif len(sizes) == 1:
            _outbox.waiting.append(self)

    def flush(self) -> None:
        """Send what waits: datagrams of one size and a shorter one after them are one call."""
        sizes, lengths = self.sizes, self._lengths
        start, total = 0, len(sizes)
        while start < total:
            segment = lengths[2 * start + 1] = sizes[start]
            end = start + 1
            while end < total and sizes[end] <= segment == sizes[end - 1]:
                lengths[2 * end + 1] = sizes[end]
                end += 1
            self._send(start, end, segment)
            start = end
        sizes.clear()

    def _send(self, start: int, end: int, segment: int) -> None:
        header, transport = self._header, self._transport
        together = end - start > 1
        if together and not transport.segments:
            for number in range(start, end):
                self._send(number, number + 1, segment)
            return
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
        inbox, protocol = _inbox, self._protocol
        if monotonic() - _outbox.sent > PAUSE:
            sleep(GATHER)
        count = inbox.read(self.descriptor)
        _outbox.open = True
        try:
            data, lengths, step = inbox.data, inbox.lengths, inbox.step
            for number in range(count):
                inbox.at = number
                start = number * SLOT
                datagram = data[start : start + lengths[number * step]]
                try:
                    if datagram and 127 < datagram[0] < 192:
                        protocol.media_received(datagram, inbox.arrived)
                    else:
                        protocol.datagram_received(datagram, inbox.sender())
                except Exception as exc:  # costs that datagram, and none after it
                    self._loop.call_exception_handler({"message": "datagram not handled", "exception": exc})
        finally:
            inbox.renew(count)
            _outbox.send()
            _outbox.sent = monotonic()

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send one datagram now; what the system will not take is lost, as on any network."""
        try:
            self._socket.sendto(data, addr)
        except BlockingIOError:
            pass
        except OSError as exc:
            self._protocol.error_received(exc)

    def way(self, address: Address) -> Way:
        """The way to one browser."""
        return Way(self, address)

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
