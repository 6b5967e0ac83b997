"""One browser's connection as the worker sees it: negotiation, state, and what it publishes and receives.

The worker is the impolite peer: it offers, and an offer of the browser that crosses its own is ignored. Messages
of one browser are taken strictly one after the other. Knows nothing of other browsers; the room (`room`) says
which streams this one is to get.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, Protocol

import structlog
from aiortc import RTCRtpTransceiver, RTCSessionDescription
from aiortc.exceptions import OperationError

from teleconsult.media import _aiortc, rtp
from teleconsult.media.beat import on_the_beat
from teleconsult.media.downtrack import Downtrack
from teleconsult.media.messages import NOTICES, MediaConfig, PeerStateName
from teleconsult.media.port import Port
from teleconsult.media.source import Kind, Source

log = structlog.get_logger(__name__)

MAX_SIGNALS: Final = 64
"""Messages of one browser that may wait; a browser that sends more is not one of ours."""

MAX_SDP: Final = 200_000
"""Longest description, in characters."""

PATIENCE: Final = 4.0
"""Seconds after which an offer that is not answered is sent again: the message may have been lost on its way."""

LOOK_INTERVAL: Final = 0.5
"""Seconds between two looks at a peer."""

JOIN_TIMEOUT: Final = 30.0
"""Seconds for a new peer to be connected."""

SILENCE: Final = 6.0
"""Seconds without any media or report after which a connection counts as disturbed."""

SILENCE_LIMIT: Final = 30.0
"""Seconds without any media or report after which a connection has failed."""

CANDIDATES: Final = ("a=candidate:", "a=end-of-candidates")

Key = tuple[str, Kind]
"""A participant's voice or picture."""


class PeerListener(Protocol):
    """What a peer tells its room."""

    def signal_out(self, peer: Peer, message: Mapping[str, Any]) -> None: ...
    def refused(self, peer: Peer, code: str) -> None: ...
    def state_changed(self, peer: Peer) -> None: ...
    def published(self, peer: Peer) -> None: ...
    def ready(self, peer: Peer) -> None: ...


@dataclass(slots=True, eq=False)
class Slot:
    """A media section on which this browser gets somebody's voice or picture; without `key` it is free again."""

    transceiver: RTCRtpTransceiver
    kind: Kind
    key: Key | None = None
    down: Downtrack | None = None
    agreed: bool = field(default=False)


class Peer:
    """One connection. Call `run()` in a task of its own; it ends when the peer is closed."""

    def __init__(self, name: str, participant: str, config: MediaConfig, listener: PeerListener) -> None:
        self.name = name
        self.participant = participant
        self.port = Port()
        self.state: PeerStateName = "new"
        self.published: dict[Kind, Source] = {}
        self._config = config
        self._listener = listener
        self._connection = _aiortc.new_connection()
        self._uplinks: dict[Kind, RTCRtpTransceiver] = {
            "audio": self._connection.addTransceiver("audio", direction="recvonly"),
            "video": self._connection.addTransceiver("video", direction="recvonly"),
        }
        first = self._uplinks["audio"]
        _aiortc.let_browser_control(first)
        self._ice = _aiortc.connection_of(first)
        self._ice.addresses = config.addresses
        self._ice.ports = config.ports
        self._ice.on_media = self.port.receive
        self._dtls = first.receiver.transport
        self._dtls.on("statechange", self._on_dtls)
        self._slots: list[Slot] = []
        self._wanted: set[Key] = set()
        self._signals: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue(MAX_SIGNALS + 1)
        self._offer_due = True
        self._number = 0
        self._sent_at = math.inf
        self._born = monotonic()
        self._loop = asyncio.get_running_loop()

    # -- what the room asks ------------------------------------------------------------------------------

    def signal(self, message: Mapping[str, Any]) -> None:
        """Take a message of the browser; it is worked on after those before it."""
        if self._signals.qsize() >= MAX_SIGNALS:
            self._listener.refused(self, "bad_message")
            return
        self._signals.put_nowait(message)

    def want(self, keys: set[Key]) -> None:
        """Say which streams this browser is to get. Negotiates if that changed."""
        if keys != self._wanted:
            self._wanted = set(keys)
            self._offer_due = True
            if not self._signals.full():
                self._signals.put_nowait(None)

    def downtrack(self, key: Key) -> Downtrack | None:
        """Where to send that stream, if the browser has agreed to it and can be reached."""
        if not self.port.is_open:
            return None
        return next((slot.down for slot in self._slots if slot.key == key and slot.agreed), None)

    async def run(self) -> None:
        """Negotiate until closed."""
        self._signals.put_nowait(None)
        on_the_beat(self._loop, random.uniform(0, LOOK_INTERVAL), self._tick)  # noqa: S311 - spreads the work
        while self.state not in ("failed", "closed"):
            message = await self._signals.get()
            try:
                if message is not None:
                    await self._take(message)
                if self._offer_due and self._connection.signalingState == "stable":
                    await self._offer()
            except OSError as exc:
                log.error("media socket", peer=self.name, problem=str(exc))
                self._listener.refused(self, "no_address")
                self._set_state("failed")
            except Exception:
                log.exception("negotiation failed", peer=self.name)
                self._set_state("failed")

    async def close(self, state: PeerStateName = "closed") -> None:
        """End the connection; the browser is told by DTLS."""
        self.port.close()
        self._set_state(state)
        if not self._signals.full():
            self._signals.put_nowait(None)
        await self._connection.close()

    # -- negotiation -------------------------------------------------------------------------------------

    async def _take(self, message: Mapping[str, Any]) -> None:
        description = message.get("description")
        if description is None and "candidate" in message:
            return  # the browser finds us, we never look for it: see `_aiortc.MediaConnection`
        if not isinstance(description, Mapping):
            self._listener.refused(self, "bad_message")
            return
        kind, sdp = description.get("type"), description.get("sdp")
        if kind not in ("offer", "answer") or not isinstance(sdp, str) or len(sdp) > MAX_SDP:
            self._listener.refused(self, "bad_description")
            return
        waiting = self._connection.signalingState == "have-local-offer"
        if kind == "offer" and waiting:
            return  # it crossed ours; the polite browser withdraws it and answers
        if kind == "answer" and (not waiting or description.get("number", self._number) != self._number):
            return  # answers an offer that was sent twice, or one that has been followed by another
        try:
            sections = _aiortc.read_sections(sdp)
        except ValueError as exc:
            log.info("unreadable description", peer=self.name, problem=str(exc))
            self._listener.refused(self, "bad_description")
            return
        if kind == "offer" and not self._fits(sections):
            self._listener.refused(self, "unexpected")
            return
        await self._apply(kind, sdp, sections)

    def _fits(self, sections: list[_aiortc.Section]) -> bool:
        """A browser may change what it sends on sections we have offered; it may not add any."""
        ours = [one.mid for one in self._connection.getTransceivers() if one.mid is not None]
        return [one.mid for one in sections] == ours

    async def _apply(self, kind: str, sdp: str, sections: list[_aiortc.Section]) -> None:
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(without_candidates(sdp), kind))
        except OperationError:
            self._listener.refused(self, "no_common_codec")
            return
        except Exception as exc:  # aiortc asserts and unpacks what a browser wrote
            log.info("description refused", peer=self.name, problem=f"{type(exc).__name__}: {exc}")
            self._listener.refused(self, "bad_description")
            return
        if kind == "offer":
            await self._connection.setLocalDescription()
            self._send_description()
        if self.state == "new":
            self._set_state("connecting")
        self._agree(sections)

    async def _offer(self) -> None:
        self._offer_due = False
        self._sent_at = math.inf
        self._assign()
        await self._connection.setLocalDescription(await self._connection.createOffer())
        self._number += 1
        self._send_description()

    def _assign(self) -> None:
        """Give every wanted stream a section, free the sections of the others."""
        for slot in self._slots:
            if slot.key is not None and slot.key not in self._wanted:
                self._free(slot)
        have = {slot.key for slot in self._slots}
        for key in sorted(self._wanted - have):
            kind = key[1]
            free = next((one for one in self._slots if one.key is None and one.kind == kind), None)
            if free is None:
                free = Slot(self._connection.addTransceiver(kind, direction="sendonly"), kind)
                self._slots.append(free)
            self._fill(free, key)

    def _free(self, slot: Slot) -> None:
        if slot.down is not None:
            self.port.remove_down(slot.down)
        slot.key = slot.down = None
        slot.agreed = False
        slot.transceiver.direction = "inactive"

    def _fill(self, slot: Slot, key: Key) -> None:
        participant, kind = key
        ssrc, rtx_ssrc = (random.getrandbits(31) | 1 for _ in range(2))
        _aiortc.label_sender(slot.transceiver, participant, f"{participant}-{kind}", ssrc, rtx_ssrc)
        slot.transceiver.direction = "sendonly"
        slot.key = key
        slot.agreed = False
        slot.down = Downtrack(
            kind=kind,
            ssrc=ssrc,
            rtx_ssrc=rtx_ssrc,
            cname=participant,
            report=self.port.send_rtcp,
            unplayable=lambda codec: self._unplayable(key, codec),
        )
        self.port.add_down(slot.down)

    def _unplayable(self, key: Key, codec: str) -> None:
        self.notify("unplayable", participant=key[0], kind=key[1], codec=codec)

    def notify(self, code: str, **details: str) -> None:
        """Tell the browser something outside of negotiation (`NOTICES`)."""
        notice = {"code": code, "sentence": NOTICES[code], **details}
        self._listener.signal_out(self, {"notice": notice})

    def _send_description(self) -> None:
        local = self._connection.localDescription
        description = {
            "type": local.type,
            "sdp": announce(local.sdp, self._config.announced),
            "number": self._number,
        }
        self._sent_at = monotonic()
        self._listener.signal_out(self, {"description": description})

    def _agree(self, sections: list[_aiortc.Section]) -> None:
        """Carry what was agreed over to the packet path."""
        by_mid = {section.mid: section for section in sections}
        for kind, transceiver in self._uplinks.items():
            section = by_mid.get(transceiver.mid or "")
            if section is not None:
                self._publish(kind, _aiortc.negotiated(transceiver), section)
        for slot in self._slots:
            terms = _aiortc.negotiated(slot.transceiver)
            if slot.down is None or terms.direction != "sendonly" or terms.mid not in by_mid:
                continue
            mid = terms.extensions.get(rtp.MID)
            slot.down.negotiate(
                payload_types={name: number for number, name in reversed(terms.codecs.items())},
                rtx_types={carried: number for number, carried in terms.rtx.items()},
                abs_send_time=terms.extensions.get(rtp.ABS_SEND_TIME, 0),
                mid=(mid, terms.mid.encode()) if mid and not slot.agreed else None,
            )
            slot.agreed = True
        self._listener.published(self)
        if self.port.is_open:
            self._listener.ready(self)

    def _publish(self, kind: Kind, terms: _aiortc.Negotiated, section: _aiortc.Section) -> None:
        """Take the stream of one section, drop it, or go on with it."""
        old = self.published.get(kind)
        sending = terms.direction == "recvonly" and not section.rejected
        if old is not None and (not sending or old.ssrc != section.ssrc):
            self.port.remove_source(old)
            del self.published[kind]
            old = None
        if not sending or section.ssrc is None or old is not None:
            return
        if kind == "video":
            self.port.set_transport_extension(terms.extensions.get(rtp.TRANSPORT_SEQUENCE, 0))
        source = Source(
            kind=kind,
            ssrc=section.ssrc,
            clock_rate=48000 if kind == "audio" else 90000,
            codecs=terms.codecs,
            sender_ssrc=self.port.ssrc,
            report=self.port.send_rtcp,
            nack=terms.nack,
        )
        self.port.add_source(source, section.rtx_ssrc, terms.rtx)
        self.published[kind] = source

    # -- state -------------------------------------------------------------------------------------------

    def _on_dtls(self) -> None:
        if self._dtls.state == "connected":
            self.port.open(_aiortc.cipher(self._uplinks["audio"]))
            self._set_state("connected")
            self._listener.ready(self)
        elif self._dtls.state == "failed":
            self._set_state("failed")
        elif self._dtls.state == "closed":
            self._set_state("closed")

    def _tick(self) -> None:
        """The port's duties, and whether the browser is still there. Every peer in its own time, so that the
        packets of none wait for the duties of all."""
        if self.state in ("failed", "closed"):
            return
        now = monotonic()
        try:
            self.port.tick(now)
            self._look(now)
        except Exception:
            log.exception("peer's duties failed", peer=self.name)
        on_the_beat(self._loop, LOOK_INTERVAL, self._tick)

    def _look(self, now: float) -> None:
        """Whether the browser is still there, and has got our offer."""
        silence = now - max(self.port.heard, self._ice.heard)
        if self._connection.signalingState == "have-local-offer" and now - self._sent_at > PATIENCE:
            self._send_description()
        if self.state in ("new", "connecting"):
            if now - self._born > JOIN_TIMEOUT:
                self._set_state("failed")
        elif self.state == "connected":
            if silence > SILENCE:
                self._set_state("disconnected")
        elif self.state == "disconnected":
            if silence < SILENCE:
                self._set_state("connected")
            elif silence > SILENCE_LIMIT:
                self._set_state("failed")

    def _set_state(self, state: PeerStateName) -> None:
        if state != self.state and self.state not in ("failed", "closed"):
            self.state = state
            self._listener.state_changed(self)

    @property
    def counts(self) -> Counter[str]:
        """Since its start: packets in and out, datagrams that were refused, packets that could not be sent."""
        port, refused = self.port, self._ice.refused + self.port.refused
        return Counter(packets_in=port.received, packets_out=port.sent, refused=refused, unsent=port.unsent)


def without_candidates(sdp: str) -> str:
    """The browser's description without its addresses: it finds us, we never look for it."""
    return "".join(f"{line}\r\n" for line in sdp.splitlines() if not line.startswith(CANDIDATES))


def announce(sdp: str, addresses: tuple[str, ...]) -> str:
    """Our description as the browser gets it: we choose no path (ICE lite), and are also at `addresses`."""
    lines: list[str] = []
    for line in sdp.splitlines():
        if line.startswith("m=") and "a=ice-lite" not in lines:
            lines.append("a=ice-lite")
        lines.append(line)
        if line.startswith("a=candidate:"):
            lines.extend(_announced(line, addresses))
    return "\r\n".join(lines) + "\r\n"


def _announced(line: str, addresses: tuple[str, ...]) -> list[str]:
    """The candidate `line` once more for every further address of its own IP version."""
    parts = line.split(" ")
    version = ipaddress.ip_address(parts[4]).version
    return [
        " ".join([f"{parts[0]}{number}", *parts[1:4], address, *parts[5:]])
        for number, address in enumerate(addresses)
        if ipaddress.ip_address(address).version == version
    ]
