"""A participant's stream as one receiver gets it: its own SSRC, numbers, times, payload types and retransmissions.

When the publisher comes back through a new connection the new source takes the downtrack over, and the receiver
notices a keyframe, no more.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from teleconsult.media import rtcp, rtp
from teleconsult.media._udp import SLOT, Way
from teleconsult.media.rtp import HEADER, ONE_BYTE_PROFILE, TIMED_HEADER
from teleconsult.media.source import Kind, Source

RESEND_BUDGET: Final = 100
"""Most packets a receiver can have sent again at once; as many again in 50 ms."""


GUARDED: Final = 4096
"""Packets after which nothing from before a seam in the numbers can come any more: far more than a source keeps, and
far fewer than make the numbers ambiguous."""


class Downtrack:
    """A participant's stream as one receiver gets it.

    `payload_types` maps codec names to what this receiver calls them; `rtx_types` maps its payload types to their
    retransmission types; `abs_send_time` and `mid_extension` are header extension numbers or 0; `cname` ties voice
    and picture of one participant together. `report` protects and sends RTCP; `unplayable` is told, once,
    the name of a codec that the receiver does not have.
    """

    __slots__ = (
        "_budget",
        "_budget_at",
        "_cname",
        "_extensions",
        "_first_own",
        "_guarded_until",
        "_last_at",
        "_last_sequence",
        "_last_sr",
        "_last_sr_at",
        "_last_time",
        "_mid",
        "_payload_types",
        "_plain_from",
        "_plain_until",
        "_report",
        "_rtx_sequence",
        "_rtx_types",
        "_sequence_offset",
        "_time_head",
        "_time_offset",
        "_told",
        "_types",
        "_unplayable",
        "fraction_lost",
        "held",
        "kind",
        "octets",
        "packets",
        "refused",
        "resent_octets",
        "resent_packets",
        "round_trip",
        "rtx_ssrc",
        "source",
        "ssrc",
        "way",
    )

    def __init__(
        self,
        kind: Kind,
        ssrc: int,
        rtx_ssrc: int,
        cname: str,
        report: Callable[[bytes], None],
        unplayable: Callable[[str], None],
    ) -> None:
        self.kind: Kind = kind
        self.ssrc = ssrc
        self.rtx_ssrc = rtx_ssrc
        self.packets = 0
        self.octets = 0
        self.refused = 0
        self.resent_packets = 0
        self.resent_octets = 0
        self.fraction_lost = 0.0
        self.round_trip: float | None = None
        self.source: Source | None = None
        self.held = False
        """Whether nothing is sent until a source takes this stream up again."""
        self._cname = cname
        self.way: Way
        """To the receiver: set by the port when it is open; nothing is attached before."""
        self._report = report
        self._unplayable = unplayable
        self._payload_types: dict[str, int] = {}
        self._rtx_types: dict[int, int] = {}
        self._types: list[int] = [-1] * 128
        self._time_head = 0
        self._mid: tuple[int, bytes] | None = None
        self._extensions = b""
        self._sequence_offset = 0
        self._time_offset = 0
        self._last_sequence = random.getrandbits(14)
        self._last_time = random.getrandbits(31)
        self._last_at = 0.0
        self._first_own = self._plain_from = 0
        self._guarded_until = self._plain_until = 0
        self._rtx_sequence = random.getrandbits(14)
        self._budget = float(RESEND_BUDGET)
        self._budget_at = 0.0
        self._last_sr = 0
        self._last_sr_at = 0.0
        self._told: set[str] = set()

    def negotiate(
        self,
        payload_types: Mapping[str, int],
        rtx_types: Mapping[int, int],
        abs_send_time: int,
        mid: tuple[int, bytes] | None,
    ) -> None:
        """Set what this receiver agreed to. The MID goes along until the receiver reports on our SSRC."""
        before = (self._types, self._time_head, self._mid)
        self._payload_types = dict(payload_types)
        self._rtx_types = dict(rtx_types)
        self._time_head = abs_send_time << 28 | 2 << 24 if abs_send_time else 0
        self._mid = mid
        if self.source is not None:
            self._map_types(self.source)
            if before != (self._types, self._time_head, self._mid):
                self._headers_change()

    def _map_types(self, source: Source) -> None:
        self._types = [-1] * 128
        for number, codec in source.codecs.items():
            self._types[number] = self._payload_types.get(codec, -1)

    def take(self, source: Source, sequence: int, timestamp: int, now: float) -> None:
        """Go on with `source`, whose next packet has these numbers, without a seam in ours."""
        if self.source is not None and self.source is not source:
            self.source.detach(self)
        if not self.held:
            self._remember()
        self.held = False
        elapsed = int((now - self._last_at) * source.clock_rate) if self._last_at else 1
        self.source = source
        self._map_types(source)
        self._sequence_offset = (self._last_sequence + 1 - sequence) & 0xFFFF
        self._time_offset = (self._last_time + max(elapsed, 1) - timestamp) & 0xFFFFFFFF
        self._first_own = (self._last_sequence + 1) & 0xFFFF
        self._guarded_until = self.packets + GUARDED
        clock = source.last_clock(now)
        if clock is not None:
            self.pass_report(*clock, now)

    @property
    def sent_octets(self) -> int:
        """Octets of payload sent, what was sent again included."""
        return self.octets + self.resent_octets

    def hold(self) -> None:
        """Send nothing until a source takes this stream up again; what was held back will not have been missed."""
        if self.source is not None and not self.held:
            self._remember()
            self.source.detach(self)
            self.held = True

    def _remember(self) -> None:
        """Where the stream that ends here stood, in our numbers."""
        old = self.source
        if old is not None and old.active:
            highest, timestamp, at = old.position()
            self._last_sequence = (highest + self._sequence_offset) & 0xFFFF
            self._last_time = (timestamp + self._time_offset) & 0xFFFFFFFF
            self._last_at = at

    def forward(self, flags: int, marker_type: int, sequence: int, timestamp: int, body: bytes, sent: int) -> None:
        """Send one packet on. `sent` is the abs-send-time of now."""
        payload_type = self._types[marker_type & 0x7F]
        if payload_type < 0:
            self._cannot_play(marker_type & 0x7F)
            return
        if self.packets < self._guarded_until and self._is_from_before(sequence + self._sequence_offset):
            return
        self.packets += 1
        self.octets += len(body)
        way = self.way
        if not self._time_head or self._mid is not None:
            extensions = self._extension_block(sent)
            head = HEADER.pack(
                (0x90 if extensions else 0x80) | (flags & 0x20),
                (marker_type & 0x80) | payload_type,
                (sequence + self._sequence_offset) & 0xFFFF,
                (timestamp + self._time_offset) & 0xFFFFFFFF,
                self.ssrc,
            )
            way.send(head + extensions, body)
            return
        start = way.waiting * SLOT
        TIMED_HEADER.pack_into(
            way.buffer,
            start,
            0x90 | (flags & 0x20),
            (marker_type & 0x80) | payload_type,
            (sequence + self._sequence_offset) & 0xFFFF,
            (timestamp + self._time_offset) & 0xFFFFFFFF,
            self.ssrc,
            ONE_BYTE_PROFILE,
            1,
            self._time_head | sent,
        )
        start += TIMED_HEADER.size
        way.buffer[start : start + len(body)] = body
        way.put(TIMED_HEADER.size + len(body))

    def _is_from_before(self, sequence: int) -> bool:
        """Whether a packet lies before the last seam in our numbers, where its number was another packet's: SRTP must
        never protect two packets under one number."""
        return self.packets < self._guarded_until and rtp.sequence_delta(sequence, self._first_own) < 0

    def _extension_block(self, sent: int) -> bytes:
        elements: list[tuple[int, bytes]] = []
        if self._time_head:
            elements.append((self._time_head >> 28, sent.to_bytes(3, "big")))
        if self._mid is not None:
            elements.append(self._mid)
        return rtp.extension_block(elements) if elements else b""

    def _cannot_play(self, payload_type: int) -> None:
        self.refused += 1
        codec = self.source.codecs.get(payload_type) if self.source else None
        if codec is not None and codec not in self._told:
            self._told.add(codec)
            self._unplayable(codec)

    def resend(self, sequences: Iterable[int], now: float) -> None:
        """Answer a NACK from what the source keeps, by retransmission streams where they were negotiated."""
        source = self.source
        if source is None or self.held:
            return
        self._budget = min(RESEND_BUDGET, self._budget + (now - self._budget_at) * 20 * RESEND_BUDGET)
        self._budget_at = now
        sent = rtp.abs_send_time(now)
        for sequence in sequences:
            if self._is_from_before(sequence):
                continue
            packet = source.cached((sequence - self._sequence_offset) & 0xFFFF)
            if not packet:
                continue
            if self._budget < 1:
                return
            self._budget -= 1
            self.resent_packets += 1
            self.resent_octets += len(packet)
            self._resend_one(packet, sequence, sent)

    def _resend_one(self, packet: bytes, sequence: int, sent: int) -> None:
        flags, marker_type, _, timestamp, _ = HEADER.unpack_from(packet)
        offset = rtp.payload_offset(packet)
        payload_type = self._types[marker_type & 0x7F]
        rtx_type = self._rtx_types.get(payload_type)
        if rtx_type is None:
            self._repeat(flags, marker_type, sequence, timestamp, packet[offset:])
            return
        ours = HEADER.pack(
            0x80 | (flags & 0x20),
            marker_type,
            sequence,
            (timestamp + self._time_offset) & 0xFFFFFFFF,
            self.ssrc,
        )
        self._rtx_sequence = (self._rtx_sequence + 1) & 0xFFFF
        self.way.send(
            rtp.wrap_rtx(
                ours + packet[offset:],
                12,
                rtx_type,
                self._rtx_sequence,
                self.rtx_ssrc,
                self._extension_block(sent),
            ),
            b"",
        )

    def _repeat(self, flags: int, marker_type: int, sequence: int, timestamp: int, body: bytes) -> None:
        """Send a packet again as it was, bit by bit, or not at all: SRTP must never protect two packets under one
        number. A packet with its time of sending is none that can be repeated, nor one from when the MID went along."""
        if self._time_head or self._mid is not None:
            return
        if self.packets < self._plain_until and rtp.sequence_delta(sequence, self._plain_from) < 0:
            return
        self.forward(flags, marker_type, (sequence - self._sequence_offset) & 0xFFFF, timestamp, body, 0)

    def pass_report(self, ntp: int, rtp_time: int, now: float) -> None:
        """Tell the receiver which instant of the publisher's clock our timestamps stand for."""
        self._last_sr = (ntp >> 16) & 0xFFFFFFFF
        self._last_sr_at = now
        self._report(
            rtcp.sender_report(
                rtcp.SenderReport(
                    self.ssrc,
                    ntp,
                    (rtp_time + self._time_offset) & 0xFFFFFFFF,
                    self.packets & 0xFFFFFFFF,
                    self.octets & 0xFFFFFFFF,
                )
            )
            + rtcp.description(self.ssrc, self._cname)
        )

    def on_block(self, block: rtcp.Block, now: float) -> None:
        """The receiver's report on this stream."""
        if self._mid is not None:
            self._leave_mid_out()
        self.fraction_lost = block.fraction_lost / 256
        if block.last_sr and block.last_sr == self._last_sr:
            self.round_trip = max(0.0, now - self._last_sr_at - block.since_last_sr / 65536)

    def _leave_mid_out(self) -> None:
        self._mid = None
        self._headers_change()

    def _headers_change(self) -> None:
        """What was sent up to now had other headers than it would be given now: it cannot be repeated."""
        if self.source is not None:
            self._plain_from = (self.source.position()[0] + self._sequence_offset + 1) & 0xFFFF
            self._plain_until = self.packets + GUARDED
