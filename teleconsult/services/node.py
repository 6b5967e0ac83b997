"""What a use case works with: this node's store, clock, bus and the transaction it writes in.

`Node.transaction(actor)` gives a `Work`: rows written through it are committed together with their audit
entries and the outbox entries for other nodes; announcements go out after the commit and only then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlmodel import Session, SQLModel

from teleconsult.domain.ids import utc_now
from teleconsult.domain.roles import Actor
from teleconsult.services.bus import Bus
from teleconsult.services.links import VehicleLinks
from teleconsult.services.presence import Presence
from teleconsult.settings import Settings
from teleconsult.store import Store
from teleconsult.store.files import FileStore
from teleconsult.store.tables import AuditEntry, OutboxEntry

if TYPE_CHECKING:
    from teleconsult.media import MediaBackend
    from teleconsult.plugin_host import DeviceHost, PluginHost
    from teleconsult.services.calls import CallDesk
    from teleconsult.services.device_desk import DeviceDesk
    from teleconsult.services.media_health import MediaHealth

Relay = Callable[[str, Actor, str, dict[str, Any]], dict[str, Any]]
"""(channel, actor, event, data) → the hub's answer"""

HUB = "hub"
"""Outbox target: the hub."""

EVERY_VEHICLE = "*"
"""Outbox target: all vehicles."""


@dataclass
class Node:
    """One running node (hub or vehicle). `node_id` is "hub" or the vehicle's id.

    The hub has `media`, `media_health` and `calls`, a vehicle has `devices` and `desk`, `relay` (hands a browser's call
    message to the hub and gives the answer; raises Unavailable off line) and `uplink` (online, since, waiting,
    last_success).
    """

    settings: Settings
    store: Store
    node_id: str
    bus: Bus = field(default_factory=Bus)
    clock: Callable[[], datetime] = utc_now
    media: MediaBackend | None = None
    media_health: MediaHealth | None = None
    plugins: PluginHost | None = None
    devices: DeviceHost | None = None
    desk: DeviceDesk | None = None
    calls: CallDesk | None = None
    relay: Relay | None = None
    uplink: Callable[[], dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        self.files = FileStore(self.settings.files_dir)
        self.links = VehicleLinks()
        self.presence = Presence(lambda user_id: self.bus.publish("board", "board:changed", {}))

    @property
    def is_hub(self) -> bool:
        """Whether this node is the hub."""
        return self.settings.is_hub

    @contextmanager
    def transaction(self, actor: Actor) -> Iterator[Work]:
        """Write on behalf of `actor`. Everything or nothing; don't wait for anything else inside."""
        with self.store.write() as tx:
            work = Work(self, actor, tx.session)
            tx.after_commit.append(work.publish)
            yield work


class Work:
    """An open transaction of a node on behalf of an actor."""

    def __init__(self, node: Node, actor: Actor, session: Session) -> None:
        self.node = node
        self.actor = actor
        self.session = session
        self.now = node.clock()
        self._announcements: list[tuple[str, str, dict[str, Any]]] = []
        self._afterwards: list[Callable[[], None]] = []
        self._outbox_touched = False

    def audit(
        self,
        action: str,
        entity: str,
        entity_id: str = "",
        *,
        patient_id: str | None = None,
        detail: str = "",
    ) -> None:
        """Note who did or read what. Every read and write of a patient's record is noted."""
        entry = AuditEntry(
            at=self.now,
            node_id=self.node.node_id,
            actor_id=self.actor.user_id,
            actor_name=self.actor.name,
            actor_role=self.actor.role,
            action=action,
            entity=entity,
            entity_id=entity_id,
            patient_id=patient_id,
            detail=detail,
            address=self.actor.address,
        )
        self.session.add(entry)
        if not self.node.is_hub:
            self.send(entry, HUB)

    def share(self, row: SQLModel, vehicle_ids: Iterable[str] = ()) -> None:
        """Let the other side have this row: from a vehicle the hub, from the hub the vehicles named."""
        if not self.node.is_hub:
            self.send(row, HUB)
            return
        for vehicle_id in dict.fromkeys(vehicle_ids):
            self.send(row, vehicle_id)

    def send(self, row: SQLModel, target: str) -> None:
        """Put a row into the outbox for one target, in this transaction."""
        self.session.flush()
        table = str(row.__tablename__)
        payload = row.model_dump(mode="json")
        record_id = str(payload.get("id") or payload.get("seq"))
        self._queue(target, table, record_id, payload)
        if table == "attachment" and target == HUB:
            self._queue(target, "blob", payload["sha256"], {"size": payload["size"]})

    def _queue(self, target: str, kind: str, record_id: str, payload: dict[str, Any]) -> None:
        if not self._outbox_touched and not self.node.store.is_sqlite:
            # Sequence numbers must become visible in their order, or a reader's cursor would step over some.
            self.session.execute(sa.text("SELECT pg_advisory_xact_lock(7304)"))
        self._outbox_touched = True
        entry = OutboxEntry(target=target, kind=kind, record_id=record_id, payload=payload, made_at=self.now)
        self.session.add(entry)
        self.session.flush()

    def announce(self, topic: str, event: str, data: dict[str, Any]) -> None:
        """Tell whoever watches `topic`, after the commit. Topics and events: docs/live.md."""
        self._announcements.append((topic, event, data))

    def afterwards(self, action: Callable[[], None]) -> None:
        """Do this after the commit, before the announcements. It must not raise."""
        self._afterwards.append(action)

    def publish(self) -> None:
        """Called once after the commit."""
        for action in self._afterwards:
            action()
        for topic, event, data in self._announcements:
            self.node.bus.publish(topic, event, data)
        if self._outbox_touched:
            self.node.bus.publish("outbox", "outbox:changed", {})
