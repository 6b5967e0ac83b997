"""Announcements inside a process: services publish, the live room, sync and plugins listen.

A topic names a thing that can be watched ("queue", "consult:<id>", "encounter:<id>", "user:<id>", "node"). A listener
that fails is logged and does not keep the others from hearing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

log = structlog.get_logger(__name__)

Listener = Callable[[str, str, dict[str, Any]], None]


class Bus:
    """Delivers (topic, event, data) to every listener, in the publisher's thread."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Hear every announcement from now on."""
        self._listeners.append(listener)

    def publish(self, topic: str, event: str, data: dict[str, Any]) -> None:
        """Deliver an announcement now. `data` must be JSON-ready."""
        for listener in list(self._listeners):
            try:
                listener(topic, event, data)
            except Exception:
                log.exception("a listener failed", topic=topic, happening=event)
