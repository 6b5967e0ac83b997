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
from typing import Any, Final

from teleconsult.media import rtcp, rtp
from teleconsult.media._udp import SLOT, STAMP, STEP, Burst, Way
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

FREES: Final = 5
"""How often that is said."""


@dataclass(frozen=True, slots=True)
class Cipher:
    """What SRTP does for one connection.

    `open` deciphers a datagram of a burst in place, given its slot and its length; it answers other than 0 for what is
    not authentic, or replayed. `open_rtcp` raises. What goes by `way` or `send_rtcp` is protected and sent.
    """

    open: Callable[[Any, Any], int]
    open_rtcp: Callable[[bytes], bytes]
    way: Way
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
        "_ended_pictures",
        "_ended_unsent",
        "_feedback_at",
        "_frees",
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
        "_way",
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
        self._way: Way | None = None
        self._transport_extension = 0
        self._transport_head = 0
        self._transport_at = 0
        self._offset = 0
        """Where the last packet's payload and number were: the next one's are there, too, or they are looked for."""
        self._sources: dict[bytes, Source] = {}
        """By SSRC, as it stands in a packet."""
        self._reporters: set[int] = set()
        self._rtx: dict[int, tuple[Source, Mapping[int, int]]] = {}
        self._downs: dict[int, Downtrack] = {}
        self.on_estimate: Callable[[int], None] = _nobody
        """Called with every estimate of what the link to this browser carries, in bit/s."""
        self.on_report: Callable[[float, float | None], None] = _unread
        """Called with every report on pictures: share of packets lost, seconds there and back if known."""
        self._limited: int | None = None
        self._limited_at = 0.0
        self._frees = 0
        """How often it is still to be said that there is no limit any more."""
        self._counted = (0, 0)
        self._ended_packets = 0
        self._ended_octets = 0
        self._ended_pictures = 0
        self._ended_unsent = 0
        self._due = 0.0
        self._feedback_at = 0.0
        self._report_at = 0.0

    def open(self, cipher: Cipher) -> None:
        """From now on media flows."""
        self._cipher, self._way = cipher, cipher.way
        self.heard = monotonic()
        self._due = self.heard + FEEDBACK_INTERVAL
        for down in self._downs.values():
            down.way = cipher.way

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
        self._sources[source.ssrc.to_bytes(4, "big")] = source
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
            down.way = self._cipher.way

    def remove_down(self, down: Downtrack) -> None:
        """Send it no more."""
        if self._downs.pop(down.ssrc, None) is not None:
            self._ended_packets += down.packets + down.resent_packets
            self._ended_octets += down.sent_octets
            self._ended_unsent += down.refused
            self._ended_pictures += down.sent_octets if down.kind == "video" else 0
        if down.source is not None:
            down.source.detach(down)
            down.source = None

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

    def receive(self, burst: Burst, start: int, end: int) -> None:
        """Take the media datagrams (first byte 128 to 191) of a burst from number `start` to before `end`.

        They are of this browser, or of somebody who claims to be it: what is not authentic costs itself alone.
        """
        cipher = self._cipher
        if cipher is None:
            self.refused += end - start
            return
        now = monotonic()
        data, octets, sizes, slots, lengths = burst.data, burst.octets, burst.sizes, burst.slots, burst.lengths
        sources, decipher = self._sources, cipher.open
        times = self.arrivals.times if self._transport_extension else None
        stamps, taken = burst.stamps, 0
        for number in range(start, end):
            at = number * SLOT
            try:
                source = sources.get(data[at + 8 : at + 12])
                if source is None or 192 <= octets[at + 1] < 224:
                    self._receive_other(cipher, burst, number, now)
                    continue
                if decipher(slots[number], lengths[number]):
                    self.refused += 1
                    continue
                packet = data[at : at + sizes[number * STEP]]
                offset = rtp.payload_offset(packet)
                if times is not None:
                    place = self._transport_at
                    if offset != self._offset or packet[place - 1] != self._transport_head:
                        place = self._transport_at = rtp.find_extension(packet, self._transport_extension, offset)
                        self._offset = offset if place else 0
                    if place:
                        came = stamps[number * STAMP] * 1_000_000_000 + stamps[number * STAMP + 1]
                        times[packet[place] << 8 | packet[place + 1]] = came // TICK
                source.receive(packet, offset, now)
                taken += len(packet)
                self.received += 1
            except Exception:  # whatever a stranger sends must not end the loop that serves the others
                self.refused += 1
        if taken:
            self.heard = now
            self.received_octets += taken
        if now >= self._due:
            self._tick_safely(now)

    def _receive_other(self, cipher: Cipher, burst: Burst, number: int, now: float) -> None:
        """A report, a retransmission, or nothing of ours. Raises on anything that cannot be followed."""
        datagram = burst.datagram(number)
        if 192 <= datagram[1] < 224:
            ssrc = int.from_bytes(datagram[4:8], "big")
            if ssrc not in self._reporters and len(self._reporters) >= MAX_REPORTERS:
                raise ValueError("too many reporters")
            packet = cipher.open_rtcp(datagram)
            self._reporters.add(ssrc)
            self._on_rtcp(packet, now)
        else:
            ssrc = int.from_bytes(datagram[8:12], "big")
            if ssrc not in self._rtx:  # not deciphered: SRTP would keep a state for every SSRC it meets
                raise ValueError("nobody's stream")
            if cipher.open(burst.slots[number], burst.lengths[number]):
                raise ValueError("not authentic, or replayed")
            packet = burst.datagram(number)
            self._note_arrival(packet, burst, number)
            self._on_retransmission(packet, ssrc, now)
        self.heard = now
        self.received += 1
        self.received_octets += len(datagram)

    def _note_arrival(self, packet: bytes, burst: Burst, number: int) -> None:
        if self._transport_extension:
            at = rtp.find_extension(packet, self._transport_extension, rtp.payload_offset(packet))
            if at:
                self.arrivals.times[packet[at] << 8 | packet[at + 1]] = burst.arrived(number) // TICK

    def _tick_safely(self, now: float) -> None:
        try:
            self.tick(now)
        except Exception:
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
            source = self._sources.get(report.ssrc.to_bytes(4, "big"))
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
        """Hold this browser's picture to `bitrate` (bit/s), or to nothing: told when it falls, and every second.

        That there is no limit any more is told `FREES` times, since any datagram may be lost.
        """
        if bitrate is None:
            if self._limited is not None:
                self._limited, self._frees, self._limited_at = None, FREES, now - 1.0
            if not self._frees or now - self._limited_at < 1.0:
                return
            self._frees -= 1
            bitrate = UNLIMITED
        else:
            if now - self._limited_at < 1.0 and self._limited is not None and bitrate > 0.95 * self._limited:
                return
            self._limited, self._frees = bitrate, 0
        self._limited_at = now
        self.send_rtcp(rtcp.receiver_report(self.ssrc) + rtcp.remb(self.ssrc, bitrate, [source.ssrc]))

    @property
    def sent(self) -> int:
        """Packets sent."""
        return self._ended_packets + sum(down.packets + down.resent_packets for down in self._downs.values())

    @property
    def unsent(self) -> int:
        """Packets that were to be sent and could not be: a codec that is not played there, no way, a full socket."""
        dropped = self._way.dropped if self._way is not None else 0
        return dropped + self._ended_unsent + sum(down.refused for down in self._downs.values())

    @property
    def sent_octets(self) -> int:
        """Octets of payload sent."""
        return self._ended_octets + sum(down.sent_octets for down in self._downs.values())

    @property
    def pictures_octets(self) -> int:
        """Octets of pictures sent."""
        return self._ended_pictures + sum(down.sent_octets for down in self._downs.values() if down.kind == "video")

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
            media = next((source.ssrc for source in self._sources.values()), 0)
            self.send_rtcp(self._opening + rtcp.transport_feedback(self.ssrc, media, message))
