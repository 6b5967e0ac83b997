"""A link between a vehicle and the hub without a network: the same entries, through JSON, when the test says so."""

from __future__ import annotations

import json
from typing import Any

from teleconsult.services.node import Node
from teleconsult.sync import feed, inbox, outbox


def push(vehicle: Node, hub: Node) -> list[dict[str, Any]]:
    """Send all that waits on the vehicle; gives the named results."""
    results: list[dict[str, Any]] = []
    while batch := outbox.next_batch(vehicle):
        answers = inbox.receive(hub, vehicle.node_id, over_the_wire([outbox.wire(entry) for entry in batch]))
        outbox.acknowledge(vehicle, {a["seq"]: (a["result"], a["sentence"]) for a in answers})
        results += answers
    return results


def pull(vehicle: Node, hub: Node) -> int:
    """Fetch all that the hub has for the vehicle; gives how many entries there were."""
    count = 0
    while entries := feed.read(hub, vehicle.node_id, feed.cursor(vehicle), 200):
        feed.apply(vehicle, over_the_wire(entries))
        count += len(entries)
    return count


def exchange(vehicle: Node, hub: Node) -> list[dict[str, Any]]:
    """Push, then pull."""
    results = push(vehicle, hub)
    pull(vehicle, hub)
    return results


def over_the_wire(value: Any) -> Any:
    """What arrives after a trip as JSON."""
    return json.loads(json.dumps(value))
