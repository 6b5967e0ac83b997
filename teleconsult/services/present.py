"""How a node is now, as the announcements that would say it: for a page that begins to watch.

A page is drawn first and watches later, and a connection is lost and comes back: what was announced in between was
told to nobody. Records are read again by the pages themselves; the rest of a node's state is told anew here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from teleconsult.services import devices, measuring, observations
from teleconsult.services.node import Node

Announcement = tuple[str, dict[str, Any]]


def announcements(node: Node, topic: str) -> Iterator[Announcement]:
    """What a watcher of `topic` would know if it had watched all along. Only "node" has such a state."""
    if topic != "node":
        return
    if node.uplink is not None:
        yield "uplink", node.uplink()
    if node.devices is None:
        return
    yield "measuring", measuring.announced_target(node)
    yield "unassigned:changed", {"count": observations.unassigned_count(node)}
    for card in devices.cards(node):
        yield "device", card.announced()
    for found in devices.found_devices(node):
        yield "device:found", found.announced()
