"""What a node remembers about a plugin between two starts. Neither how it is run nor where it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True)
class PluginRecord:
    """One plugin's row: what a person decided about it and what last went wrong.

    `enabled` is a person's decision. `switched_off` is the program's, after repeated faults, until a person
    switches the plugin on again. `settings` has passed the plugin's own settings model. `description` is what the
    plugin told of itself when it last loaded: one that is off is still listed by its name, and can be set.
    """

    name: str
    enabled: bool = True
    switched_off: bool = False
    faults: int = 0
    last_error: str = ""
    last_error_at: datetime | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    description: Mapping[str, Any] = field(default_factory=dict)

    @property
    def runs(self) -> bool:
        """Whether the plugin is meant to run."""
        return self.enabled and not self.switched_off

    @property
    def decision(self) -> tuple[bool, Mapping[str, Any]]:
        """What of the record says how the plugin is to run; the rest is history."""
        return self.runs, self.settings


class PluginStateStore(Protocol):
    """Where plugin records are kept. Both methods may be called from any thread."""

    def get(self, name: str) -> PluginRecord | None:
        """The record of one plugin, or None if it was never seen."""

    def save(self, record: PluginRecord) -> None:
        """Insert or replace the record with this name."""


class MemoryPluginStateStore:
    """Records that live as long as the process: for tests and for commands without a database."""

    def __init__(self) -> None:
        self._records: dict[str, PluginRecord] = {}

    def get(self, name: str) -> PluginRecord | None:
        """The record of one plugin, or None."""
        return self._records.get(name)

    def save(self, record: PluginRecord) -> None:
        """Insert or replace."""
        self._records[record.name] = record
