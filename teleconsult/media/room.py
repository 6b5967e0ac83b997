"""One consult's call on a worker: who is in it, and whose streams go to whom.

Every participant gets the voice and the picture of every other one. A participant who comes back through a new
peer keeps being seen: the old peer goes on until the new one has taken over. A room has no way to reach a port of
another room: it hands out nothing but its own peers' sources to its own peers' downtracks.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import Any, Final

import structlog

from teleconsult.media.bandwidth import Downlink
from teleconsult.media.beat import on_the_beat
from teleconsult.media.downtrack import Downtrack
from teleconsult.media.messages import (
    REFUSALS,
    MediaConfig,
    PeerQuality,
    PeerState,
    SignalOut,
    SignalRefused,
)
from teleconsult.media.peer import Key, Peer
from teleconsult.media.source import Source

log = structlog.get_logger(__name__)

Emit = Callable[[SignalOut | SignalRefused | PeerState | PeerQuality], None]

TAKEOVER: Final = 1.0
"""Seconds for which a replaced peer goes on after the new one is connected."""

QUALITY_INTERVAL: Final = 2.0
"""Seconds between two words on how each connection does."""

HOLD: Final = 1.0
"""Seconds for which a receiver whose link is choked gets voice alone: until the queue is gone, and less follows."""

LIMIT_INTERVAL: Final = 0.5
"""Seconds between two looks at what receivers' links take; one that seems full is acted on at once."""


class Room:
    """One room; it ends when its last peer has gone."""

    def __init__(self, name: str, config: MediaConfig, emit: Emit, on_empty: Callable[[Room], None]) -> None:
        self.name = name
        self.peers: dict[str, Peer] = {}
        self.ended: Counter[str] = Counter()
        """What the peers that are gone have counted (`Peer.counts`)."""
        self._config = config
        self._emit = emit
        self._tasks: set[asyncio.Task[None]] = set()
        self._downlinks: dict[str, Downlink] = {}
        self._links: dict[str, Downlink] = {}
        """Each participant's latest: who joins again does so on the same link."""
        self._on_empty = on_empty
        self._quality_at = monotonic()
        self._loop = asyncio.get_running_loop()
        on_the_beat(self._loop, LIMIT_INTERVAL, self._tick)

    # -- commands ----------------------------------------------------------------------------------------

    def join(self, name: str, participant: str) -> None:
        """Offer the participant a connection."""
        if name in self.peers:
            return
        peer = Peer(name, participant, self._config, self)
        self.peers[name] = peer
        link = self._downlinks[name] = self._links.get(participant, Downlink()).renewed()
        self._links[participant] = link
        peer.port.on_estimate = partial(self._on_estimate, peer)
        peer.port.on_report = link.report
        self._tell_state(peer)
        peer.want(self._others(peer))
        self._spawn(peer.run())

    def signal(self, name: str, message: Mapping[str, Any]) -> None:
        """Pass on what a browser said; a peer that is gone is refused."""
        peer = self.peers.get(name)
        if peer is None:
            self._emit(_refusal(self.name, name, "unknown_peer"))
        else:
            peer.signal(message)

    def leave(self, name: str) -> None:
        """Close one peer."""
        peer = self.peers.get(name)
        if peer is not None:
            self._spawn(peer.close())

    def close_soon(self) -> None:
        """Close all peers there are now, without waiting for it."""
        self._spawn(_close(list(self.peers.values())))

    async def close(self) -> None:
        """Close all peers there are now."""
        await _close(list(self.peers.values()))

    # -- what peers tell ---------------------------------------------------------------------------------

    def signal_out(self, peer: Peer, message: Mapping[str, Any]) -> None:
        self._emit(SignalOut(room=self.name, peer=peer.name, message=dict(message)))

    def refused(self, peer: Peer, code: str) -> None:
        self._emit(_refusal(self.name, peer.name, code))

    def state_changed(self, peer: Peer) -> None:
        self._tell_state(peer)
        if peer.state == "connected":
            for old in self._replaced_by(peer):
                old.notify("replaced")
                self._loop.call_later(TAKEOVER, self.leave, old.name)
        elif peer.state in ("failed", "closed"):
            if self.peers.pop(peer.name, None) is not None:
                self.ended += peer.counts
            self._downlinks.pop(peer.name, None)
            self._spawn(peer.close(peer.state))
            self._renegotiate()

    def published(self, peer: Peer) -> None:
        self._renegotiate()
        self._connect()

    def ready(self, peer: Peer) -> None:
        self._connect()

    # -- who gets what -----------------------------------------------------------------------------------

    def _newest(self) -> dict[str, Peer]:
        """The latest peer of every participant."""
        return {peer.participant: peer for peer in self.peers.values()}

    def _replaced_by(self, peer: Peer) -> list[Peer]:
        """Earlier peers of the same participant."""
        earlier: list[Peer] = []
        for one in self.peers.values():
            if one is peer:
                break
            if one.participant == peer.participant:
                earlier.append(one)
        return earlier

    def _streams(self) -> dict[Key, list[Source]]:
        """The sources of each participant's voice and picture, the newest peer's last."""
        streams: dict[Key, list[Source]] = {}
        for peer in self.peers.values():
            for kind, source in peer.published.items():
                streams.setdefault((peer.participant, kind), []).append(source)
        return streams

    def _others(self, peer: Peer) -> set[Key]:
        return {key for key in self._streams() if key[0] != peer.participant}

    def _renegotiate(self) -> None:
        for peer in self.peers.values():
            peer.want(self._others(peer))

    def _connect(self) -> None:
        """Attach every downtrack that is ready to the newest source of its stream."""
        now = monotonic()
        for key, sources in self._streams().items():
            for peer in self.peers.values():
                down = peer.downtrack(key) if peer.participant != key[0] else None
                if down is not None and down.source is not sources[-1]:
                    self._attach(sources[-1], down, now)

    def _attach(self, source: Source, down: Downtrack, now: float) -> None:
        try:
            source.attach(down, now)
        except Exception:  # one stream that cannot be had must not keep the others back
            log.exception("a stream cannot be attached", room=self.name)

    # -- time --------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Limits to publishers, and how it goes. Ends with the last peer."""
        if not self.peers:
            self._on_empty(self)
            return
        now = monotonic()
        try:
            self._measure(now)
            self._limit(now)
            if now - self._quality_at >= QUALITY_INTERVAL:
                seconds, self._quality_at = now - self._quality_at, now
                for peer in self.peers.values():
                    if peer.state in ("connected", "disconnected"):
                        self._emit(self._quality(peer, seconds))
        except Exception:
            log.exception("room's duties failed")
        on_the_beat(self._loop, LIMIT_INTERVAL, self._tick)

    def _on_estimate(self, peer: Peer, bitrate: int) -> None:
        """A receiver's estimate. Most say that all is well."""
        link = self._downlinks.get(peer.name)
        if link is None or not link.estimate(bitrate):
            return
        self._limit(monotonic())
        if link.choked:
            pictures = [down for down in peer.port.downs if down.kind == "video" and not down.held]
            for down in pictures:
                down.hold()
            self._loop.call_later(HOLD, self._go_on, pictures)

    def _go_on(self, pictures: list[Downtrack]) -> None:
        """The queue is gone, publishers have come down: pictures start anew where nothing else has started them."""
        now = monotonic()
        for down in pictures:
            if down.held and down.source is not None:
                down.source.attach(down, now)

    def _measure(self, now: float) -> None:
        for peer in self.peers.values():
            ceiling = self._config.video_bitrate * sum(down.kind == "video" for down in peer.port.downs)
            self._downlinks[peer.name].measure(peer.port.pictures_octets, ceiling, now)

    def _limit(self, now: float) -> None:
        """Hold every publisher to what the fullest link of those who watch it takes."""
        for peer in self.peers.values():
            source = peer.published.get("video")
            if source is not None and peer.port.is_open:
                peer.port.limit(source, self._least_share(source), now)

    def _least_share(self, source: Source) -> int | None:
        shares: list[int] = []
        for peer in self.peers.values():
            if any(down.source is source for down in peer.port.downs):
                pictures = sum(down.kind == "video" and down.source is not None for down in peer.port.downs)
                share = self._downlinks[peer.name].share(pictures)
                if share is not None:
                    shares.append(share)
        return min(shares) if shares else None

    def _quality(self, peer: Peer, seconds: float) -> PeerQuality:
        port = peer.port
        received, sent = port.traffic()
        downs = [down.fraction_lost for down in port.downs]
        round_trip = port.round_trip
        return PeerQuality(
            room=self.name,
            peer=peer.name,
            participant=peer.participant,
            up_kbps=round(8 * received / seconds / 1000, 1),
            down_kbps=round(8 * sent / seconds / 1000, 1),
            up_loss=round(max((source.fraction_lost for source in port.sources), default=0.0), 3),
            down_loss=round(max(downs, default=0.0), 3),
            rtt_s=None if round_trip is None else round(round_trip, 4),
        )

    def _tell_state(self, peer: Peer) -> None:
        self._emit(PeerState(room=self.name, peer=peer.name, participant=peer.participant, state=peer.state))

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _close(peers: list[Peer]) -> None:
    await asyncio.gather(*(peer.close() for peer in peers))


def _refusal(room: str, peer: str, code: str) -> SignalRefused:
    return SignalRefused(room=room, peer=peer, code=code, sentence=REFUSALS[code])
