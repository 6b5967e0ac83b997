"""What the hub asks of whatever carries its calls: our media workers, or another engine behind the same border."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from teleconsult.media.messages import MediaEvent, WorkerStatus


class MediaBackend(Protocol):
    """Rooms of peers. Calls return at once; what comes of them is told by events, on another thread.

    Nothing here raises for what a browser or a dead worker did: that is told by events too.
    """

    def start(self) -> None:
        """Begin to serve."""

    def stop(self) -> None:
        """Close every room and end."""

    def announce(self, addresses: tuple[str, ...], announced: tuple[str, ...]) -> None:
        """Bind these local addresses (none: what is found) and offer the others besides, in rooms that begin."""

    def join(self, room: str, peer: str, participant: str) -> None:
        """Offer a participant a connection.

        `peer` names this one connection and is new at every (re)join; a new peer of the same participant takes
        the old one's place.
        """

    def signal(self, room: str, peer: str, message: Mapping[str, object]) -> None:
        """Carry a browser's description or candidate. A bad one is answered by `SignalRefused`."""

    def leave(self, room: str, peer: str) -> None:
        """Close a peer."""

    def close_room(self, room: str) -> None:
        """Close all peers of a room."""

    def watch(self, room: str, on_event: Callable[[MediaEvent], None] | None) -> None:
        """Tell the events of this room to somebody else from now on; None: as those of any other room."""

    def snapshot(self) -> list[WorkerStatus]:
        """What each worker does, at most a few seconds old; dead ones are not listed."""
