"""The tray: this vehicle's readings that are nobody's until a person says whose they are, or puts them away.

A meter that hands over what it stored may fill it with many at once: it is shown a page at a time, and the readings of
one device can be put away together. None is deleted. How readings get there, and out of it one by one, is
`services.observations`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import col, func, select

from teleconsult.domain.roles import Actor
from teleconsult.services import observations
from teleconsult.services.node import Node
from teleconsult.services.observation_views import IN_ERROR
from teleconsult.services.permissions import require_vehicle
from teleconsult.store import new_version
from teleconsult.store.tables import Observation

PAGE = 20
"""Readings on one page of the tray."""

BESIDE = 3
"""Readings that the encounter page shows; the others are a tap away."""


@dataclass(frozen=True)
class TrayDevice:
    """How many readings of one device wait, and from when to when they were taken."""

    device_id: str
    name: str
    count: int
    first: datetime
    last: datetime


@dataclass(frozen=True)
class TrayPage:
    """One page of the tray. `seen` is until when readings came that it knows of."""

    readings: tuple[dict[str, Any], ...]
    count: int
    number: int
    pages: int
    devices: tuple[TrayDevice, ...]
    """Those with more than one reading."""
    seen: datetime


def look(node: Node, actor: Actor, number: int = 1, *, most: int = PAGE) -> TrayPage:
    """A page of the tray; a number that is too high or low gives the nearest. Audited."""
    require_vehicle(actor, node.node_id)
    with node.transaction(actor) as work:
        count = observations.tray_count(work.session)
        pages = max(1, -(-count // most))
        number = min(max(number, 1), pages)
        found = observations.tray(work, most=most, after=(number - 1) * most)
        work.audit("list", "observation", detail=f"unassigned: {len(found)} of {count}")
        times = func.min(Observation.taken_at), func.max(Observation.taken_at)
        grouped = (
            select(Observation.device_id, func.max(Observation.device_name), func.count(), *times)  # type: ignore[call-overload]
            .where(*observations.in_tray())
            .group_by(col(Observation.device_id))
            .having(func.count() > 1)
            .order_by(func.count().desc())
        )
        devices = tuple(
            TrayDevice(device_id, name or device_id, several, first, last)
            for device_id, name, several, first, last in work.session.exec(grouped)
            if device_id
        )
        return TrayPage(tuple(found), count, number, pages, devices, work.now)


def put_away(node: Node, actor: Actor, device_id: str, *, seen: datetime) -> int:
    """Mark all of a device's readings that came until `seen` as errors: they are nobody's. Gives how many.

    Each is kept and audited. What has come since the page was drawn stays: nobody has seen it.
    """
    require_vehicle(actor, node.node_id)
    with node.transaction(actor) as work:
        query = select(Observation).where(
            *observations.in_tray(), Observation.device_id == device_id, col(Observation.received_at) <= seen
        )
        rows = list(work.session.exec(query))
        for row in rows:
            values = {"status": IN_ERROR}
            new = new_version(work.session, Observation, values, author=actor, node_id=node.node_id, corrects=row)
            work.audit("update", "observation", new.record_id, detail="put away with others of its device")
            work.share(new, [])
        if rows:
            observations.announce_tray(work)
        return len(rows)
