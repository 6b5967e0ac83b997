"""What is remembered of plugins between starts, in the database."""

from __future__ import annotations

from teleconsult.domain.plugin_state import PluginRecord
from teleconsult.store.engine import Store
from teleconsult.store.tables import PluginState

_FIELDS = {"name", "enabled", "switched_off", "faults", "last_error", "last_error_at", "settings", "description"}


class DatabasePluginState:
    """A `domain.plugin_state.PluginStateStore` on a node's database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, name: str) -> PluginRecord | None:
        """The record of one plugin, or None if it was never seen."""
        with self._store.read() as session:
            row = session.get(PluginState, name)
        return PluginRecord(**row.model_dump(include=_FIELDS)) if row else None

    def save(self, record: PluginRecord) -> None:
        """Insert or replace the record with this name."""
        values = {field: getattr(record, field) for field in _FIELDS}
        jsons = {"settings": dict(record.settings), "description": dict(record.description)}
        with self._store.write() as tx:
            tx.session.merge(PluginState(**{**values, **jsons}))
