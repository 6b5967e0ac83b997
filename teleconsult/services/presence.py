"""Who has a page of this node open now. Memory of the process; a restart begins with nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from teleconsult.domain.roles import Actor, Role


@dataclass(frozen=True)
class Present:
    """A person with at least one open page, and since when without a gap."""

    actor: Actor
    since: datetime


class Presence:
    """The open pages by channel. `on_change` is told the id of a person who has come or gone."""

    def __init__(self, on_change: Callable[[str], None]) -> None:
        self._on_change = on_change
        self._lock = threading.Lock()
        self._channels: dict[str, Actor] = {}
        self._since: dict[str, datetime] = {}

    def arrived(self, actor: Actor, channel: str, now: datetime) -> None:
        """A page has opened."""
        with self._lock:
            self._channels[channel] = actor
            is_new = actor.user_id not in self._since
            self._since.setdefault(actor.user_id, now)
        if is_new:
            self._on_change(actor.user_id)

    def gone(self, channel: str) -> None:
        """A page has closed."""
        with self._lock:
            actor = self._channels.pop(channel, None)
            if actor is None or any(a.user_id == actor.user_id for a in self._channels.values()):
                return
            del self._since[actor.user_id]
        self._on_change(actor.user_id)

    def online_since(self, user_id: str) -> datetime | None:
        """Since when this person has a page open; None if none."""
        with self._lock:
            return self._since.get(user_id)

    def people(self, role: Role | None = None) -> list[Present]:
        """Everybody who is here, longest first."""
        with self._lock:
            by_user = {actor.user_id: actor for actor in self._channels.values()}
            found = [Present(actor, self._since[user_id]) for user_id, actor in by_user.items()]
        return sorted((p for p in found if role is None or p.actor.role is role), key=lambda p: p.since)
