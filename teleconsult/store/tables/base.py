"""What every record of the medical history has, and shorthands for columns."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from teleconsult.domain.ids import new_id, utc_now
from teleconsult.store.types import UtcDateTime


def instant(*, index: bool = False) -> Any:
    """A column for an instant (UTC), required."""
    return Field(default_factory=utc_now, sa_type=UtcDateTime, index=index)


def optional_instant(*, index: bool = False) -> Any:
    """A column for an instant (UTC) that may be empty."""
    return Field(default=None, sa_type=UtcDateTime, index=index)


def json_list() -> Any:
    """A column holding a JSON list."""
    return Field(default_factory=list, sa_type=sa.JSON)


def json_dict() -> Any:
    """A column holding a JSON object."""
    return Field(default_factory=dict, sa_type=sa.JSON)


class Record(SQLModel):
    """One version of something in a medical history. Written once, never changed.

    `id` is this version's, `record_id` stays the same over all versions, `previous_id` names the version that
    this one corrects. `current` marks the newest version; it is bookkeeping of this node and is not sent to others.
    """

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    record_id: str = Field(index=True, max_length=36)
    version: int = 1
    previous_id: str | None = Field(default=None, max_length=36)
    current: bool = Field(default=True, index=True)
    node_id: str = Field(max_length=64)
    author_id: str = Field(max_length=64)
    author_name: str = Field(max_length=120)
    written_at: datetime = instant()
