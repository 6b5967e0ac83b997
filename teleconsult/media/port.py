"""The media port of one browser: decrypts what comes, routes it by SSRC, answers reports, keeps count.

Called for each media datagram where it arrives, without a coroutine or a queue. Whatever goes wrong costs that
datagram and is counted; nothing is raised. Knows nothing of negotiation, and nothing of other rooms: its only way
out are the downtracks that its own sources were given.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Final

from teleconsult.media import rtcp, rtp
from teleconsult.media.arrivals import TICK, Arrivals
from teleconsult.media.downtrack import Downtrack
from teleconsult.media.source import Source

FEEDBACK_INTERVAL: Final = 0.1
"""Seconds between transport-wide feedback messages: often enough for a browser to climb in steps of a second."""

ASK_INTERVAL: Final = 0.04
"""Seconds between two looks at what is missing, while something is."""

REPORT_INTERVAL: Final = 1.0
"""Seconds between receiver reports."""

MAX_REPORTERS: Final = 64
"""SSRCs one browser may report under; SRTP keeps a state for each."""

UNLIMITED: Final = 100_000_000
"""Bits per second that take an earlier limit back."""


@dataclass(frozen=True, slots=True)
class Cipher:
    """What SRTP does for one connection. `open*` raise on anything forged; `send*` protect and send."""

    open: Callable[[bytes], bytes]
    open_rtcp: Callable[[bytes], bytes]
    send: Callable[[bytes], None]
    send_rtcp: Callable[[bytes], None]


def _nobody(bitrate: int) -> None:
    pass


def _unread(loss: float, round_trip: float | None) -> None:
    pass


class Port:
    """The media of one browser. `heard` is when it last said anything, in seconds of `time.monotonic`."""

    __slots__ = (
        "_cipher",
        "_counted",
        "_downs",
        "_due",
        "_ended_octets",
        "_ended_packets",
        "_feedback_at",
        "_limited",
        "_limited_at",
        "_offset",
        "_opening",
        "_report_at",
        "_reporters",
        "_rtx",
        "_sources",
        "_transport_at",
        "_transport_extension",
        "_transport_head",
        "arrivals",
        "heard",
        "on_estimate",
        "on_report",
        "received",
        "received_octets",
        "refused",
        "ssrc",
    )

    def __init__(self) -> None:
        self.ssrc = random.getrandbits(32) | 1
        self._opening = rtcp.receiver_report(self.ssrc)
        self.received = 0
        self.received_octets = 0
        self.refused = 0
        self.heard = monotonic()
        self.arrivals = Arrivals()
        self._cipher: Cipher | None = None
        self._transport_extension = 0
        self._transport_head = 0
        self._transport_at = 0
        self._offset = 0
        """Where the last packet's payload and number were: the next one's are there, too, or they are looked for."""
        self._sources: dict[int, Source] = {}
        self._reporters: set[int] = set()
        self._rtx: dict[int, tuple[Source, Mapping[int, int]]] = {}
        self._downs: dict[int, Downtrack] = {}
        self.on_estimate: Callable[[int], None] = _nobody
        """Called with every estimate of what the link to this browser carries, in bit/s."""
        self.on_report: Callable[[float, float | None], None] = _unread
        """Called with every report on pictures: share of packets lost, seconds there and back if known."""
        self._limited: int | None = None
        self._limited_at = 0.0
        self._counted = (0, 0)
        self._ended_packets = 0
        self._ended_octets = 0
        self._due = 0.0
        self._feedback_at = 0.0
        self._report_at = 0.0

    def open(self, cipher: Cipher) -> None:
        """From now on media flows."""
        self._cipher = cipher
        self.heard = monotonic()
        self._due = self.heard + FEEDBACK_INTERVAL
        for down in self._downs.values():
            down.send = cipher.send

    def close(self) -> None:
        """From now on nothing comes in and nothing goes out."""
        self._cipher = None
        for source in self._sources.values():
            for down in source.downs:
                source.detach(down)
        for down in self.downs:
            self.remove_down(down)
        self._sources.clear()
        self._rtx.clear()

    @property
    def is_open(self) -> bool:
        """Whether media can flow."""
        return self._cipher is not None

    @property
    def sources(self) -> tuple[Source, ...]:
        """The streams this browser publishes."""
        return tuple(self._sources.values())

    @property
    def downs(self) -> tuple[Downtrack, ...]:
        """The streams this browser receives."""
        return tuple(self._downs.values())

    def add_source(self, source: Source, rtx_ssrc: int | None, rtx_types: Mapping[int, int]) -> None:
        """Take the stream from this browser. `rtx_types` maps retransmission payload types to what they carry."""
        self._sources[source.ssrc] = source
        if rtx_ssrc is not None and rtx_types:
            self._rtx[rtx_ssrc] = (source, dict(rtx_types))

    def remove_source(self, source: Source) -> None:
        """Take the stream no more."""
        self._sources = {ssrc: one for ssrc, one in self._sources.items() if one is not source}
        self._rtx = {ssrc: entry for ssrc, entry in self._rtx.items() if entry[0] is not source}

    def add_down(self, down: Downtrack) -> None:
        """Answer this browser's reports on a stream that we send it."""
        self._downs[down.ssrc] = down
        if self._cipher is not None:
            down.send = self._cipher.send

    def remove_down(self, down: Downtrack) -> None:
        """Send it no more."""
        if self._downs.pop(down.ssrc, None) is not None:
            self._ended_packets += down.packets + down.resent_packets
            self._ended_octets += down.octets + down.resent_octets
        if down.source is not None:
            down.source.detach(down)

    def set_transport_extension(self, number: int) -> None:
        """The header extension that numbers all packets of this browser, or 0: none was agreed."""
        self._transport_extension = number
        self._transport_head = number << 4 | 1

    def send_rtcp(self, packet: bytes) -> None:
        """Protect and send one compound RTCP packet; without a way to the browser it is counted as refused."""
        if self._cipher is not None:
            try:
                self._cipher.send_rtcp(packet)
            except Exception:  # ICE has closed, and the peer is about to hear of it
                self.refused += 1

    def receive(self, datagram: bytes, arrived: Callable[[], int]) -> None:
        """Take one media datagram (first byte 128 to 191) of this browser, or of somebody who claims to be it.

        `arrived` tells, in nanoseconds, when it came; it is asked only where the browser wants to know.
        """
        try:
            cipher = self._cipher
            if cipher is None:
                self.refused += 1
                return
            now = monotonic()
            if 192 <= datagram[1] < 224:
                ssrc = int.from_bytes(datagram[4:8], "big")
                if ssrc not in self._reporters and len(self._reporters) >= MAX_REPORTERS:
                    self.refused += 1
                    return
                packet = cipher.open_rtcp(datagram)
                self._reporters.add(ssrc)
                self._on_rtcp(packet, now)
            else:
                ssrc = int.from_bytes(datagram[8:12], "big")
                source = self._sources.get(ssrc)
                if source is None and ssrc not in self._rtx:
                    self.refused += 1  # not deciphered: SRTP would keep a state for every SSRC it meets
                    return
                packet = cipher.open(datagram)
                offset = rtp.payload_offset(packet)
                if self._transport_extension:
                    at = self._transport_at
                    if offset != self._offset or packet[at - 1] != self._transport_head:
                        at = self._transport_at = rtp.find_extension(packet, self._transport_extension, offset)
                        self._offset = offset if at else 0
                    if at:
                        self.arrivals.times[packet[at] << 8 | packet[at + 1]] = arrived() // TICK
                if source is not None:
                    source.receive(packet, offset, now)
                else:
                    self._on_retransmission(packet, ssrc, now)
            self.heard = now
            self.received += 1
            self.received_octets += len(datagram)
            if now >= self._due:
                self.tick(now)
        except Exception:  # whatever a stranger sends must not end the loop that serves the others
            self.refused += 1

    def _on_retransmission(self, packet: bytes, ssrc: int, now: float) -> None:
        source, types = self._rtx[ssrc]
        payload_type = types.get(packet[1] & 0x7F)
        if payload_type is None:
            self.refused += 1
            return
        original = rtp.unwrap_rtx(packet, payload_type, source.ssrc)
        if original and source.active:
            source.receive(original, 12, now)

    def _on_rtcp(self, packet: bytes, now: float) -> None:
        for report in rtcp.parse(packet):
            match report:
                case rtcp.SenderReport() | rtcp.ReceiverReport():
                    self._on_report(report, now)
                case rtcp.Nack():
                    down = self._downs.get(report.ssrc)
                    if down is not None:
                        down.resend(report.sequences, now)
                case rtcp.KeyframeRequest():
                    down = self._downs.get(report.ssrc)
                    if down is not None and down.source is not None:
                        down.source.request_keyframe(now)
                case rtcp.Remb():
                    self.on_estimate(report.bitrate)

    def _on_report(self, report: rtcp.SenderReport | rtcp.ReceiverReport, now: float) -> None:
        if isinstance(report, rtcp.SenderReport):
            source = self._sources.get(report.ssrc)
            if source is not None:
                source.on_sender_report(report, now)
        for block in report.blocks:
            down = self._downs.get(block.ssrc)
            if down is not None:
                down.on_block(block, now)
                if down.kind == "video":
                    self.on_report(down.fraction_lost, down.round_trip)

    @property
    def round_trip(self) -> float | None:
        """Seconds to this browser and back, from its reports; None before the first."""
        known = [down.round_trip for down in self._downs.values() if down.round_trip is not None]
        return min(known) if known else None

    def limit(self, source: Source, bitrate: int | None, now: float) -> None:
        """Hold this browser's picture to `bitrate` (bit/s), or to nothing: told when it falls, and every second."""
        if bitrate is None:
            if self._limited is None:
                return
            bitrate, self._limited = UNLIMITED, None
        else:
            if now - self._limited_at < 1.0 and self._limited is not None and bitrate > 0.95 * self._limited:
                return
            self._limited = bitrate
        self._limited_at = now
        self.send_rtcp(rtcp.receiver_report(self.ssrc) + rtcp.remb(self.ssrc, bitrate, [source.ssrc]))

    @property
    def sent(self) -> int:
        """Packets sent."""
        return self._ended_packets + sum(down.packets + down.resent_packets for down in self._downs.values())

    @property
    def sent_octets(self) -> int:
        """Octets of payload sent."""
        return self._ended_octets + sum(down.octets + down.resent_octets for down in self._downs.values())

    @property
    def pictures_octets(self) -> int:
        """Octets of pictures sent, over the streams that are sent now."""
        return sum(down.octets + down.resent_octets for down in self._downs.values() if down.kind == "video")

    def traffic(self) -> tuple[int, int]:
        """Octets received and sent since the last call."""
        received, sent = self._counted
        self._counted = (self.received_octets, self.sent_octets)
        return self.received_octets - received, self.sent_octets - sent

    def tick(self, now: float) -> None:
        """What is due and not done for each packet: ask again, report arrivals and reception.

        The packets themselves bring it about, ten times a second, which costs nobody a wake-up; whoever owns the
        port calls it, too, for when they stop.
        """
        if self._cipher is None or now < self._due:
            return
        soon = False
        for source in self._sources.values():
            if source.wanting:
                source.round_trip = self.round_trip or source.round_trip
                source.tick(now)
                soon = True
        self._due = now + (ASK_INTERVAL if soon else FEEDBACK_INTERVAL)
        if now - self._feedback_at >= FEEDBACK_INTERVAL:
            self._feedback_at = now
            self._send_feedback()
        if now - self._report_at >= REPORT_INTERVAL:
            self._report_at = now
            blocks = [source.block(now) for source in self._sources.values() if source.active]
            if blocks:
                self.send_rtcp(rtcp.receiver_report(self.ssrc, blocks))

    def _send_feedback(self) -> None:
        message = self.arrivals.message()
        if message:
            media = next(iter(self._sources), 0)
            self.send_rtcp(self._opening + rtcp.transport_feedback(self.ssrc, media, message))
