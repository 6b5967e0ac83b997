"""Record ids and time: UUIDv7 made where the record is made, UTC everywhere."""

from __future__ import annotations

from datetime import UTC, datetime

import uuid_utils


def new_id() -> str:
    """A UUIDv7 as text: unique without asking anybody, and sorted by the time it was made (RFC 9562)."""
    return str(uuid_utils.uuid7())


def utc_now() -> datetime:
    """Now, with its zone."""
    return datetime.now(UTC)
