"""Every private part of pylibsrtp that the media room touches: SRTP without what its own methods do anew each time.

pylibsrtp's `protect` and `unprotect` allocate and check for every packet about as much as the cipher itself costs.
Tested with the parts of aiortc (`_aiortc`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pylibsrtp import SRTP_MAX_SRTCP_TRAILER_LEN, Session
from pylibsrtp._binding import ffi, lib

from teleconsult.media._udp import SLOT, BurstTransport, Way
from teleconsult.media.port import Cipher


class Pair(Protocol):
    """The pair of addresses that ICE has chosen: our socket, and where the browser is."""

    @property
    def protocol(self) -> Any: ...
    @property
    def remote_addr(self) -> tuple[str, int]: ...


def cipher(incoming: Session, outgoing: Session, nominated: Mapping[int, Pair]) -> Cipher:
    """SRTP for one connection. `nominated` holds, under 1, what ICE has chosen last."""
    return Cipher(
        open=_opener(incoming, lib.srtp_unprotect),
        open_rtcp=_opener(incoming, lib.srtp_unprotect_rtcp),
        send=_burst_sender(outgoing, lib.srtp_protect, nominated),
        send_rtcp=_sender(outgoing, lib.srtp_protect_rtcp, nominated),
    )


def _opener(session: Session, operation: Callable[[Any, Any, Any], int]) -> Callable[[bytes], bytes]:
    """A function that deciphers a datagram. It raises ValueError for what is not authentic, or replayed."""
    context, data, buffer = session._srtp[0], session._cdata, session._buffer
    capacity = len(data)
    length = ffi.new("int *")

    def run(datagram: bytes) -> bytes:
        size = length[0] = len(datagram)
        if size > capacity:
            raise ValueError("too long")
        buffer[0:size] = datagram
        if operation(context, data, length):
            raise ValueError("not authentic, or replayed")
        packet: bytes = buffer[0 : length[0]]
        return packet

    run.__dict__["keys"] = session  # what `context` points to lives no longer than this
    return run


def _sender(
    session: Session, operation: Callable[[Any, Any, Any], int], nominated: Mapping[int, Pair]
) -> Callable[[bytes], None]:
    """A function that protects a packet and sends it the way ICE has chosen last."""
    context, data, buffer = session._srtp[0], session._cdata, session._buffer
    capacity = len(data) - SRTP_MAX_SRTCP_TRAILER_LEN
    length = ffi.new("int *")
    pair: Pair | None = None
    address: tuple[str, int] = ("", 0)
    sendto: Any = None

    def run(packet: bytes) -> None:
        nonlocal pair, address, sendto
        if nominated.get(1) is not pair:
            pair = nominated.get(1)
            if pair is not None:
                address, sendto = pair.remote_addr, pair.protocol.transport.sendto
        size = length[0] = len(packet)
        if pair is None or size > capacity:
            raise ValueError("no way to the browser, or too long")
        buffer[0:size] = packet
        if operation(context, data, length):
            raise ValueError("cannot be protected")
        sendto(buffer[0 : length[0]], address)

    run.__dict__["keys"] = session  # what `context` points to lives no longer than this
    return run


def _burst_sender(
    session: Session, operation: Callable[[Any, Any, Any], int], nominated: Mapping[int, Pair]
) -> Callable[[bytes], None]:
    """As `_sender`, by the burst where the socket can: packets are protected where they are sent from."""
    context = session._srtp[0]
    capacity = len(session._cdata) - SRTP_MAX_SRTCP_TRAILER_LEN
    length = ffi.new("int *")
    slow = _sender(session, operation, nominated)
    pair: Pair | None = None
    way: Way | None = None
    sizes: list[int] = []
    buffer: Any = None
    slots: list[Any] = []

    def run(packet: bytes) -> None:
        nonlocal pair, way, sizes, buffer, slots
        if nominated.get(1) is not pair:
            if way is not None:
                way.flush()
            pair, way = nominated.get(1), None
            transport = None if pair is None else pair.protocol.transport
            if pair is not None and isinstance(transport, BurstTransport):
                way = transport.way(pair.remote_addr)
                sizes, buffer, slots = way.sizes, way.buffer, way.slots
        if way is None:
            slow(packet)
            return
        size = length[0] = len(packet)
        if size > capacity:
            raise ValueError("too long")
        place = len(sizes)
        start = place * SLOT
        buffer[start : start + size] = packet
        if operation(context, slots[place], length):
            raise ValueError("cannot be protected")
        way.put(length[0])

    run.__dict__["keys"] = session  # what `context` points to lives no longer than this
    return run
