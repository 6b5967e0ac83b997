"""The check before the call: a tab sends its own picture to a media worker and gets it back through a second peer.

Each tab has a room of its own that nobody else enters and that ends by itself. Nothing is stored.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from teleconsult.domain.errors import N_, Conflict, Unavailable
from teleconsult.media import MediaEvent, PeerState, SignalOut, SignalRefused
from teleconsult.services.call_messages import CHECK
from teleconsult.services.node import Node

ROOM_PREFIX: Final = "check:"

LIMIT: Final = timedelta(seconds=60)
"""A check takes about five seconds."""

MAX_PEERS: Final = 2
MAX_CHECKS: Final = 50


@dataclass(eq=False)
class _Check:
    opened_at: datetime
    peers: set[str] = field(default_factory=set)


class CallChecks:
    """The checks that run now, by channel. Errors: Conflict, Unavailable."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._checks: dict[str, _Check] = {}

    def join(self, channel: str, peer: str) -> None:
        """Open a peer in this channel's room."""
        media = self._node.media
        if media is None:
            raise Unavailable(N_("The hub has no media worker running. Voice and picture come as soon as it has."))
        with self._lock:
            if channel not in self._checks and len(self._checks) >= MAX_CHECKS:
                raise Unavailable(N_("Many people check their devices now. Try again in a minute."))
            check = self._checks.setdefault(channel, _Check(self._node.clock()))
            if len(check.peers | {peer}) > MAX_PEERS:
                raise Conflict(N_("A check is running on this page already."))
            check.peers.add(peer)
        media.join(ROOM_PREFIX + channel, peer, peer)

    def signal(self, channel: str, peer: str, message: dict[str, Any]) -> None:
        """Carry a description or candidate of one of this channel's peers."""
        with self._lock:
            check = self._checks.get(channel)
            known = check is not None and peer in check.peers
        if not known or self._node.media is None:
            raise Conflict(N_("This check has ended. Start it again."))
        self._node.media.signal(ROOM_PREFIX + channel, peer, message)

    def leave(self, channel: str, peer: str) -> None:
        """Close one peer; the room ends with its last."""
        with self._lock:
            check = self._checks.get(channel)
            if check is None or peer not in check.peers:
                return
            check.peers.discard(peer)
            if not check.peers:
                del self._checks[channel]
        if self._node.media is not None:
            self._node.media.leave(ROOM_PREFIX + channel, peer)

    def channel_gone(self, channel: str) -> None:
        """The tab is closed."""
        with self._lock:
            known = self._checks.pop(channel, None) is not None
        if known and self._node.media is not None:
            self._node.media.close_room(ROOM_PREFIX + channel)

    def tick(self, now: datetime) -> None:
        """End checks that were left open."""
        with self._lock:
            old = [channel for channel, check in self._checks.items() if now - check.opened_at >= LIMIT]
        for channel in old:
            self.channel_gone(channel)

    def on_media_event(self, event: MediaEvent) -> None:
        """Pass what the worker says on to the tab."""
        channel = event.room.removeprefix(ROOM_PREFIX)
        topic = f"channel:{channel}"
        match event:
            case SignalOut():
                data = {"consult_id": CHECK, "peer": event.peer, "message": event.message}
                self._node.bus.publish(topic, "call:signal", data)
            case SignalRefused():
                data = {"consult_id": CHECK, "peer": event.peer, "code": event.code, "sentence": event.sentence}
                self._node.bus.publish(topic, "call:refused", data)
            case PeerState() if event.state in ("failed", "closed"):
                self.leave(channel, event.peer)
            case _:
                pass
