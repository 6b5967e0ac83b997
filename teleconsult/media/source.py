"""One stream as it comes from its publisher: what is missing, what is kept, when a keyframe is due. No decoding.

A source gives every packet to the downtracks (`downtrack`) of those who receive it. Nothing here knows of sockets,
encryption or negotiation: a `Port` does (`port`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal

from teleconsult.media import rtcp, rtp
from teleconsult.media.rtp import HEADER

if TYPE_CHECKING:
    from teleconsult.media.downtrack import Downtrack

Kind = Literal["audio", "video"]

CACHE: Final = {"audio": 128, "video": 512}
"""Packets kept to answer NACKs; a power of two. About 2.5 s of voice, 3 s of a 1.5 Mbit/s picture."""

MAX_GAP: Final = 200
"""Packets missing at once beyond which a stream is taken to have started anew, not to have lost them."""

NACK_TRIES: Final = 8
NACK_AGE: Final = 1.5
"""Seconds after which a packet that never came is given up."""

KEYFRAME_INTERVAL: Final = 0.5
"""Seconds between keyframe requests to a publisher: a keyframe costs it ten times a usual frame."""


class Source:
    """One RTP stream as it comes from its publisher.

    `codecs` maps payload types to codec names; `report` sends RTCP back to the publisher; `sender_ssrc` is what we
    call ourselves there.
    """

    __slots__ = (
        "_at",
        "_base",
        "_cache",
        "_cycles",
        "_downs",
        "_highest",
        "_jitter",
        "_keyframe_asked",
        "_keyframe_due",
        "_last_report",
        "_last_report_at",
        "_mask",
        "_missing",
        "_nack",
        "_report",
        "_reported",
        "_sender_ssrc",
        "_timestamp",
        "_transit",
        "_waiting",
        "active",
        "clock_rate",
        "codecs",
        "fraction_lost",
        "kind",
        "octets",
        "packets",
        "round_trip",
        "ssrc",
    )

    def __init__(
        self,
        kind: Kind,
        ssrc: int,
        clock_rate: int,
        codecs: Mapping[int, str],
        sender_ssrc: int,
        report: Callable[[bytes], None],
        nack: bool,
    ) -> None:
        self.kind: Kind = kind
        self.ssrc = ssrc
        self.clock_rate = clock_rate
        self.codecs = dict(codecs)
        self.packets = 0
        self.octets = 0
        self.active = False
        self.round_trip = 0.1
        self.fraction_lost = 0.0
        self._sender_ssrc = sender_ssrc
        self._report = report
        self._nack = nack
        self._downs: list[Downtrack] = []
        self._waiting: list[Downtrack] = []
        self._mask = CACHE[kind] - 1
        self._cache: list[bytes] = [b""] * CACHE[kind]
        self._highest = 0
        self._timestamp = 0
        self._at = 0.0
        self._cycles = 0
        self._base = 0
        self._missing: dict[int, tuple[float, float, int]] = {}
        self._transit = 0.0
        self._jitter = 0.0
        self._reported = (0, 0)
        self._last_report: rtcp.SenderReport | None = None
        self._last_report_at = 0.0
        self._keyframe_asked = -KEYFRAME_INTERVAL
        self._keyframe_due = False

    def receive(self, packet: bytes, offset: int, now: float) -> None:
        """Take one packet whose payload starts at `offset`: keep it, and send it to every receiver."""
        flags, marker_type, sequence, timestamp, _ = HEADER.unpack_from(packet)
        late = False
        if not self.active:
            self._start(sequence, timestamp, now)
        else:
            step = (sequence - self._highest) & 0xFFFF
            if step == 1:
                self._highest = sequence
                if not sequence:
                    self._cycles += 0x10000
            elif step < 0x8000:
                if not step:
                    return
                self._skip(sequence, step, now)
            elif self._missing.pop(sequence, None) is None and (self._kept(sequence) or 0x10000 - step > self._mask):
                return  # twice, or too late to be of use
            else:
                late = True
        self.packets += 1
        self.octets += len(packet) - offset
        self._cache[sequence & self._mask] = packet
        if not late:
            self._at = now
            if timestamp != self._timestamp:
                self._timestamp = timestamp
                transit = now * self.clock_rate - timestamp
                moved = abs(transit - self._transit)
                self._transit = transit
                if moved < self.clock_rate:
                    self._jitter += (moved - self._jitter) / 16
        if self._waiting or self._keyframe_due:
            self._admit(marker_type & 0x7F, sequence, timestamp, packet, offset, now)
        body = packet[offset:]
        sent = int(now * 262144.0) & 0xFFFFFF
        for down in self._downs:
            try:
                down.forward(flags, marker_type, sequence, timestamp, body, sent)
            except Exception:
                down.refused += 1

    def _start(self, sequence: int, timestamp: int, now: float) -> None:
        self.active = True
        self._highest = self._base = sequence
        self._transit = now * self.clock_rate - timestamp

    def _skip(self, sequence: int, step: int, now: float) -> None:
        """`step` - 1 packets before `sequence` have not come: ask for them at once."""
        if sequence < self._highest:
            self._cycles += 0x10000
        highest, self._highest = self._highest, sequence
        if step > MAX_GAP:
            self._missing.clear()
            self.request_keyframe(now)
        elif self._nack:
            lost = [(highest + number) & 0xFFFF for number in range(1, step)]
            for one in lost:
                self._missing[one] = (now, now, 1)
            self._feedback(rtcp.nack(self._sender_ssrc, self.ssrc, lost))

    def _kept(self, sequence: int) -> bool:
        packet = self._cache[sequence & self._mask]
        return bool(packet) and packet[2] << 8 | packet[3] == sequence

    def _feedback(self, packet: bytes) -> None:
        self._report(rtcp.receiver_report(self._sender_ssrc) + packet)

    def _admit(self, payload_type: int, sequence: int, timestamp: int, packet: bytes, offset: int, now: float) -> None:
        """Hand this stream to receivers that wait for it: voice at once, a picture from a keyframe on."""
        codec = self.codecs.get(payload_type, "")
        if self.kind == "video" and not rtp.starts_keyframe(codec.partition("/")[0], packet, offset):
            self.request_keyframe(now)
            return
        self._keyframe_due = False
        for down in self._waiting:
            down.take(self, sequence, timestamp, now)
        self._downs = self._downs + self._waiting
        self._waiting = []

    def attach(self, down: Downtrack, now: float) -> None:
        """Feed `down` from here as soon as a receiver can start: a keyframe is asked for now."""
        if down not in self._downs and down not in self._waiting:
            self._waiting = [*self._waiting, down]
            self.request_keyframe(now)

    def detach(self, down: Downtrack) -> None:
        """Feed `down` no more."""
        self._downs = [one for one in self._downs if one is not down]
        self._waiting = [one for one in self._waiting if one is not down]

    def position(self) -> tuple[int, int, float]:
        """Highest sequence number, latest timestamp, and when it came."""
        return self._highest, self._timestamp, self._at

    @property
    def downs(self) -> tuple[Downtrack, ...]:
        """The receivers that get this stream now."""
        return tuple(self._downs)

    def request_keyframe(self, now: float) -> None:
        """Ask the publisher for a keyframe, now or as soon as the last request is old enough."""
        if self.kind != "video":
            return
        if now - self._keyframe_asked < KEYFRAME_INTERVAL:
            self._keyframe_due = True
            return
        self._keyframe_asked = now
        self._keyframe_due = False
        self._feedback(rtcp.keyframe_request(self._sender_ssrc, self.ssrc))

    def cached(self, sequence: int) -> bytes:
        """The packet with that sequence number, or nothing if it is too old or never came."""
        return self._cache[sequence & self._mask] if self._kept(sequence) else b""

    def on_sender_report(self, report: rtcp.SenderReport, now: float) -> None:
        """Carry the publisher's clock to every receiver, so that sound and picture stay in step."""
        self._last_report = report
        self._last_report_at = now
        for down in self._downs:
            down.pass_report(report.ntp, report.rtp_time, now)

    def last_clock(self, now: float) -> tuple[int, int] | None:
        """The publisher's last (NTP, RTP) pair carried on to `now`, for a receiver that has just come."""
        if self._last_report is None:
            return None
        elapsed = now - self._last_report_at
        ntp = self._last_report.ntp + int(elapsed * (1 << 32))
        return ntp & 0xFFFFFFFFFFFFFFFF, (self._last_report.rtp_time + int(elapsed * self.clock_rate)) & 0xFFFFFFFF

    @property
    def wanting(self) -> bool:
        """Whether something is to be asked for again: then `tick` is due soon."""
        return self._keyframe_due or bool(self._missing)

    def tick(self, now: float) -> None:
        """Ask again for what is missing, and for a keyframe that was put off."""
        if self._keyframe_due:
            self.request_keyframe(now)
        if self._missing:
            self._ask_again(now)

    def _ask_again(self, now: float) -> None:
        wait = max(0.04, min(1.2 * self.round_trip, 0.4))
        again: list[int] = []
        for sequence, (since, asked, tries) in list(self._missing.items()):
            if now - since > NACK_AGE or tries >= NACK_TRIES:
                del self._missing[sequence]
            elif now - asked >= wait:
                self._missing[sequence] = (since, now, tries + 1)
                again.append(sequence)
        if again:
            self._feedback(rtcp.nack(self._sender_ssrc, self.ssrc, again[:200]))

    def block(self, now: float) -> rtcp.Block:
        """What we got of this stream since the last call, as a reception report."""
        highest = self._cycles + self._highest
        expected = highest - self._base + 1
        last_expected, last_packets = self._reported
        self._reported = (expected, self.packets)
        interval = expected - last_expected
        missed = interval - (self.packets - last_packets)
        self.fraction_lost = missed / interval if interval > 0 and missed > 0 else 0.0
        since = 0
        if self._last_report is not None:
            since = min(int((now - self._last_report_at) * 65536), 0xFFFFFFFF)
        return rtcp.Block(
            ssrc=self.ssrc,
            fraction_lost=min(255, int(self.fraction_lost * 256)),
            lost=expected - self.packets,
            highest=highest & 0xFFFFFFFF,
            jitter=int(self._jitter),
            last_sr=(self._last_report.ntp >> 16) & 0xFFFFFFFF if self._last_report else 0,
            since_last_sr=since,
        )
