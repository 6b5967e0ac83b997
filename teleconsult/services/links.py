"""Which vehicles are on line at the hub now. Memory of the hub process; a restart begins with none."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from teleconsult.services.vehicle_plugins import ToldPlugin

SEEN_EVERY = timedelta(minutes=1)
"""How often a vehicle's last sign of life is written down."""


class VehicleLinks:
    """The vehicles with a link, and what is remembered about them to answer quickly."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._online: dict[str, datetime] = {}
        self._written: dict[str, datetime] = {}
        self.vehicle_of_consult: dict[str, str] = {}
        self.plugins: dict[str, tuple[ToldPlugin, ...]] = {}
        """vehicle id → its plugins, as it told them last"""

    def set(self, vehicle_id: str, since: datetime | None) -> None:
        """On line since an instant, or off line (None)."""
        with self._lock:
            if since is None:
                self._online.pop(vehicle_id, None)
            else:
                self._online[vehicle_id] = since

    def online_since(self, vehicle_id: str) -> datetime | None:
        """Since when a vehicle is on line; None if it is not."""
        with self._lock:
            return self._online.get(vehicle_id)

    def due(self, vehicle_id: str, now: datetime) -> bool:
        """Whether a sign of life should be written down now."""
        with self._lock:
            last = self._written.get(vehicle_id)
            if last is not None and now - last < SEEN_EVERY:
                return False
            self._written[vehicle_id] = now
            return True
