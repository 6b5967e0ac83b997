"""Every private part of pylibsrtp that the media room touches: SRTP without what its own methods do anew each time.

pylibsrtp's `protect` and `unprotect` allocate and check for every packet about as much as the cipher itself costs.
Tested with the parts of aiortc (`_aiortc`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pylibsrtp import SRTP_MAX_SRTCP_TRAILER_LEN, Session
from pylibsrtp._binding import ffi, lib

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
        send=_sender(outgoing, lib.srtp_protect, nominated),
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

    return run
