"""A running call as the desk remembers it: the people, their connections, and what the others are told of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(eq=False)
class Stay:
    """A person in a call. `peer` is None while they have to join again; `channel` while their page is away."""

    id: str
    user_id: str
    name: str
    role: str
    organization: str = ""
    peer: str | None = None
    peers: set[str] = field(default_factory=set)
    """All connections of this person that may still live: the latest, and those that it is to replace."""
    channel: str | None = None
    audio: bool = True
    video: bool = True
    connected: bool = False
    word: str | None = None
    away_since: datetime | None = None

    @property
    def is_here(self) -> bool:
        """Whether anything of this person still reaches us."""
        return self.channel is not None or self.connected

    def view(self) -> dict[str, Any]:
        """What the others are told."""
        return {
            "id": self.id,
            "user_id": self.user_id,
            "name": self.name,
            "role": self.role,
            "organization": self.organization,
            "audio": self.audio,
            "video": self.video,
            "connected": self.connected,
            "word": self.word,
        }


@dataclass(eq=False)
class Call:
    """A running call: the people in it by user, and since when nobody is."""

    stays: dict[str, Stay] = field(default_factory=dict)
    empty_since: datetime | None = None

    def by_peer(self, peer: str) -> Stay | None:
        """The person who uses this peer."""
        return next((stay for stay in self.stays.values() if stay.peer == peer), None)
