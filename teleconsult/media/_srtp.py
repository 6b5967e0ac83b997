"""Every private part of pylibsrtp that the media room touches: SRTP without what its own methods do anew each time.

pylibsrtp's `protect` and `unprotect` allocate and check for every packet about as much as the cipher itself costs.
Media is deciphered where the kernel wrote it and protected where the kernel takes it from (`_udp`). Tested with the
parts of aiortc (`_aiortc`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pylibsrtp import SRTP_MAX_SRTCP_TRAILER_LEN, Session
from pylibsrtp._binding import ffi, lib

from teleconsult.media._udp import Pair, Way
from teleconsult.media.port import Cipher


def cipher(incoming: Session, outgoing: Session, nominated: Mapping[int, Pair]) -> Cipher:
    """SRTP for one connection. `nominated` holds, under 1, what ICE has chosen last."""
    way = Way(nominated, _keeping(outgoing, lib.srtp_protect), SRTP_MAX_SRTCP_TRAILER_LEN)
    return Cipher(
        open=_keeping(incoming, lib.srtp_unprotect),
        open_rtcp=_rtcp_opener(incoming),
        way=way,
        send_rtcp=_rtcp_sender(outgoing, nominated),
    )


def _keeping(session: Session, operation: Callable[[Any, Any, Any], int]) -> Callable[[Any, Any], int]:
    """An operation on the session's keys, which lives no longer than they do."""
    run = partial(operation, session._srtp[0])
    run.__dict__["keys"] = session
    return run


def _rtcp_opener(session: Session) -> Callable[[bytes], bytes]:
    """A function that deciphers RTCP. It raises ValueError for what is not authentic, or replayed."""
    unprotect = _keeping(session, lib.srtp_unprotect_rtcp)
    data, buffer = session._cdata, session._buffer
    capacity = len(data)
    length = ffi.new("int *")

    def run(datagram: bytes) -> bytes:
        size = length[0] = len(datagram)
        if size > capacity:
            raise ValueError("too long")
        buffer[0:size] = datagram
        if unprotect(data, length):
            raise ValueError("not authentic, or replayed")
        packet: bytes = buffer[0 : length[0]]
        return packet

    return run


def _rtcp_sender(session: Session, nominated: Mapping[int, Pair]) -> Callable[[bytes], None]:
    """A function that protects RTCP and sends it at once, the way ICE has chosen last."""
    protect = _keeping(session, lib.srtp_protect_rtcp)
    data, buffer = session._cdata, session._buffer
    capacity = len(data) - SRTP_MAX_SRTCP_TRAILER_LEN
    length = ffi.new("int *")

    def run(packet: bytes) -> None:
        pair = nominated.get(1)
        size = length[0] = len(packet)
        if pair is None or size > capacity:
            raise ValueError("no way to the browser, or too long")
        buffer[0:size] = packet
        if protect(data, length):
            raise ValueError("cannot be protected")
        pair.protocol.transport.sendto(buffer[0 : length[0]], pair.remote_addr)

    return run
