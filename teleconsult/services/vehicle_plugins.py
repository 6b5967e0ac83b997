"""How a vehicle's plugins stand, told to the hub: nobody administers on a vehicle, and a device may be off for days.

The hub remembers what each vehicle told last, in memory: it is told again at each connection and at each change.
It decides nothing on it.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from teleconsult.plugin_host import PluginStatus
from teleconsult.services.node import Node

MOST = 64
"""So many plugins of one vehicle are told."""
_FAULT_LENGTH = 300


class ToldPlugin(BaseModel):
    """One plugin of a vehicle. Neither its settings nor anything of a patient."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    name: str = Field(max_length=80)
    version: str = Field(max_length=40)
    title_en: str = Field(max_length=200)
    title_zh: str = Field(max_length=200)
    status: str = Field(max_length=40)
    """A `PluginStatus`; a newer vehicle may have one that this hub does not know."""
    faults: int = Field(ge=0)
    last_error: str = Field(max_length=_FAULT_LENGTH)
    last_error_at: datetime | None = None

    @property
    def known_status(self) -> PluginStatus | None:
        """The status, if this hub knows it."""
        return next((status for status in PluginStatus if status == self.status), None)

    @property
    def needs_a_person(self) -> bool:
        """Whether somebody has to look at it."""
        known = self.known_status
        return known is not None and known.needs_a_person


class Told(BaseModel):
    """All of them, as they go over the uplink."""

    plugins: tuple[ToldPlugin, ...] = Field(max_length=MOST)


def here(node: Node) -> Told:
    """What this node has to tell of its plugins; those that its settings leave out are left out."""
    views = node.plugins.plugins() if node.plugins else []
    told = [
        ToldPlugin(
            name=view.name[:80],
            version=view.version[:40],
            title_en=view.title.in_language("en")[:200],
            title_zh=view.title.in_language("zh")[:200],
            status=view.status.value,
            faults=view.faults,
            last_error=view.last_error[:_FAULT_LENGTH],
            last_error_at=view.last_error_at,
        )
        for view in views
        if view.status is not PluginStatus.NOT_SELECTED
    ]
    return Told(plugins=tuple(told[:MOST]))


def remember(node: Node, vehicle_id: str, told: Told) -> None:
    """Keep what a vehicle told."""
    node.links.plugins[vehicle_id] = told.plugins
    node.bus.publish("board", "board:changed", {})


def of_vehicle(node: Node, vehicle_id: str) -> tuple[ToldPlugin, ...]:
    """What a vehicle told last since this hub was started."""
    return node.links.plugins.get(vehicle_id, ())
