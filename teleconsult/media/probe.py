"""One try of the way to a media worker: `python -m teleconsult.media.probe`, a process of its own.

Takes an offer of a worker and one of the addresses in it from its parent, asks that address by STUN, a number of
times and with the call's own credentials, then makes the connection that a browser would make (ICE and DTLS, no
media), and tells what came of it. `selftest` is the parent's side. One line in, two lines out, and it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import re
import socket
import sys
from time import monotonic
from typing import Any, Final

from aioice import stun
from aiortc import RTCSessionDescription

from teleconsult.media import _aiortc
from teleconsult.media.messages import Probe, ProbeAnswer, ProbeOutcome, ProbeResult
from teleconsult.process import ChildChannel, open_channel

PAUSE: Final = 0.05
"""Seconds between two questions."""

PATIENCE: Final = 1.5
"""Seconds to wait for answers after the last question: the worst links that still carry a voice take less."""

CONNECT_SECONDS: Final = 10.0
"""Seconds for ICE and DTLS."""

_NO_WAY: Final = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EACCES)
"""The system's answers where it knows no way, or is forbidden to take it."""


class _Questions(asyncio.DatagramProtocol):
    """STUN questions to one address and port, and the times of their answers."""

    def __init__(self, ufrag: str, password: str) -> None:
        self._name = f"{ufrag}:probe"
        self._key = password.encode()
        self._asked: dict[bytes, float] = {}
        self.times: list[float] = []
        self.refused = False

    def question(self) -> bytes:
        """One more binding request, in wire form."""
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        message.attributes["USERNAME"] = self._name
        message.attributes["PRIORITY"] = 1
        message.attributes["ICE-CONTROLLING"] = 1
        message.add_message_integrity(self._key)
        self._asked[message.transaction_id] = monotonic()
        return bytes(message)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """An answer, or something that claims to be one."""
        now = monotonic()
        with contextlib.suppress(ValueError):
            message = stun.parse_message(data)
            if message.message_class is stun.Class.RESPONSE and message.check_message_integrity(self._key):
                asked = self._asked.pop(message.transaction_id, None)
                if asked is not None:
                    self.times.append(now - asked)

    def error_received(self, exc: Exception) -> None:
        """What the network says of a question: nobody listens there."""
        self.refused = self.refused or isinstance(exc, ConnectionRefusedError)


class _ProbeError(Exception):
    """The try has ended early; the argument says how."""

    def __init__(self, outcome: ProbeOutcome) -> None:
        super().__init__(outcome)
        self.outcome: ProbeOutcome = outcome


def ports_of(sdp: str, host: str) -> list[int]:
    """The ports that an offer names for a host."""
    lines = [line.split(" ") for line in sdp.splitlines() if line.startswith("a=candidate:")]
    return list(dict.fromkeys(int(parts[5]) for parts in lines if parts[4] == host))


def only(sdp: str, host: str, port: int) -> str:
    """The offer without any address but this one."""
    kept = [
        line
        for line in sdp.splitlines()
        if not line.startswith("a=candidate:") or line.split(" ")[4:6] == [host, str(port)]
    ]
    return "\r\n".join(kept) + "\r\n"


def _line(sdp: str, name: str) -> str:
    found = re.search(rf"^a={name}:(\S+)", sdp, re.MULTILINE)
    if found is None:
        raise ValueError(f"the offer has no {name}")
    return found[1]


def source_address(host: str) -> str:
    """The address of this machine from which it sends to that host. Raises OSError where there is no way."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect((host, 9))
        return str(sock.getsockname()[0])


async def ask(sdp: str, host: str, count: int) -> tuple[int, list[float]]:
    """Ask every port that the offer has for this host `count` times: the port that answered best, and its seconds."""
    loop = asyncio.get_running_loop()
    asking: list[tuple[int, asyncio.DatagramTransport, _Questions]] = []
    try:
        for port in ports_of(sdp, host):
            protocol = _Questions(_line(sdp, "ice-ufrag"), _line(sdp, "ice-pwd"))
            transport, _ = await loop.create_datagram_endpoint(lambda p=protocol: p, remote_addr=(host, port))  # type: ignore[misc]
            asking.append((port, transport, protocol))
        for _ in range(count):
            for _port, transport, protocol in asking:
                transport.sendto(protocol.question())
            await asyncio.sleep(PAUSE)
        deadline = monotonic() + PATIENCE
        while monotonic() < deadline and all(len(protocol.times) < count for _, _, protocol in asking):
            await asyncio.sleep(PAUSE)
    except OSError as exc:
        raise _ProbeError("no_route" if exc.errno in _NO_WAY else "no_answer") from exc
    finally:
        for _port, transport, _protocol in asking:
            transport.close()
    best = max(asking, key=lambda one: len(one[2].times), default=None)
    if best is None or not best[2].times:
        raise _ProbeError("refused" if any(protocol.refused for _, _, protocol in asking) else "no_answer")
    return best[0], best[2].times


async def connect(sdp: str, host: str, port: int, channel: ChildChannel) -> float:
    """Make the connection through this address alone: the seconds it took from the answer on."""
    connection = _aiortc.new_connection()
    done = asyncio.Event()
    connection.on("connectionstatechange", done.set)
    try:
        await connection.setRemoteDescription(RTCSessionDescription(only(sdp, host, port), "offer"))
        _aiortc.connection_of(connection.getTransceivers()[0]).addresses = (source_address(host),)
        await connection.setLocalDescription(await connection.createAnswer())
        local = connection.localDescription
        begun = monotonic()
        channel.send(ProbeAnswer(description={"type": local.type, "sdp": local.sdp}).model_dump())
        async with asyncio.timeout(CONNECT_SECONDS):
            while connection.connectionState not in ("connected", "failed", "closed"):
                done.clear()
                await done.wait()
        if connection.connectionState != "connected":
            raise _ProbeError("no_connection")
        return monotonic() - begun
    except TimeoutError:
        raise _ProbeError("no_connection") from None
    finally:
        await connection.close()


async def probe(command: Probe, channel: ChildChannel) -> ProbeResult:
    """The whole try."""
    times: list[float] = []
    try:
        source_address(command.host)
        port, times = await ask(command.sdp, command.host, command.count)
        seconds = await connect(command.sdp, command.host, port, channel)
    except _ProbeError as error:
        return _result(error.outcome, command, times)
    except OSError as exc:
        return _result("no_route" if exc.errno in _NO_WAY else "no_answer", command, times)
    return _result("ok", command, times, connect_ms=round(seconds * 1000, 1))


def _result(outcome: ProbeOutcome, command: Probe, times: list[float], connect_ms: float | None = None) -> ProbeResult:
    ordered = sorted(times)
    return ProbeResult(
        outcome=outcome,
        asked=command.count,
        answered=len(ordered),
        rtt_ms=round(ordered[len(ordered) // 2] * 1000, 1) if ordered else None,
        worst_ms=round(ordered[-1] * 1000, 1) if ordered else None,
        connect_ms=connect_ms,
    )


async def _serve(channel: ChildChannel) -> None:
    async for message in channel.messages():
        channel.send((await probe(Probe.model_validate(message), channel)).model_dump())
        return


def main() -> None:
    """Make one try, commanded on stdin."""
    channel = open_channel()
    _aiortc.install()
    asyncio.run(_serve(channel))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
