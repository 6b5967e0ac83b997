"""What the program keeps for itself: audit, outbox and inbox, settings of a node, devices, plugins."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from teleconsult.domain.ids import new_id
from teleconsult.store.tables.base import instant, json_dict, optional_instant

BigId = sa.BigInteger().with_variant(sa.Integer, "sqlite")


class AuditEntry(SQLModel, table=True):
    """Who read or wrote what, when. Append-only: the database itself refuses changes and deletions."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    at: datetime = instant(index=True)
    node_id: str = Field(max_length=64)
    actor_id: str = Field(max_length=64, index=True)
    actor_name: str = Field(max_length=120)
    actor_role: str = Field(max_length=20)
    action: str = Field(max_length=40)
    """read, create, update, login, login_failed, export … a short verb"""
    entity: str = Field(max_length=40)
    entity_id: str = Field(default="", max_length=64)
    patient_id: str | None = Field(default=None, index=True, max_length=36)
    detail: str = ""
    address: str = Field(default="", max_length=64)


class OutboxEntry(SQLModel, table=True):
    """Something another node must get, written in the transaction that made it.

    `target` is "hub", a vehicle's id, or "*" for every vehicle. `seq` is the order and the cursor.
    """

    seq: int | None = Field(default=None, sa_column=sa.Column(BigId, primary_key=True, autoincrement=True))
    target: str = Field(max_length=36, index=True)
    kind: str = Field(max_length=40)
    record_id: str = Field(max_length=80)
    payload: dict[str, Any] = json_dict()
    made_at: datetime = instant()
    acked_at: datetime | None = optional_instant(index=True)
    attempts: int = 0
    error: str = ""


class InboxEntry(SQLModel, table=True):
    """What was taken in from another node, so that a second delivery is recognised."""

    source: str = Field(primary_key=True, max_length=64)
    record_id: str = Field(primary_key=True, max_length=80)
    kind: str = Field(primary_key=True, max_length=40)
    result: str = Field(max_length=20)
    detail: str = ""
    at: datetime = instant()


class Cursor(SQLModel, table=True):
    """How far this node has read another node's outbox."""

    name: str = Field(primary_key=True, max_length=80)
    value: int = Field(default=0, sa_type=sa.BigInteger)
    changed_at: datetime = instant()


class NodeSetting(SQLModel, table=True):
    """A fact about this node that outlives a restart (its id, its demo seed…)."""

    key: str = Field(primary_key=True, max_length=80)
    value: str


class DeviceAssignment(SQLModel, table=True):
    """A device that belongs to this vehicle and the plugin that reads it."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    plugin: str = Field(max_length=80)
    reader: str = Field(max_length=80)
    """Name of the reader inside the plugin"""
    device_id: str = Field(unique=True, max_length=120)
    name: str = Field(max_length=120)
    info: dict[str, Any] = json_dict()
    """What the plugin told about it (`plugin_api.DeviceInfo`)"""
    memory: dict[str, Any] = json_dict()
    """What its reader wants to remember between starts"""
    made_at: datetime = instant()


class PluginState(SQLModel, table=True):
    """What is remembered of a plugin between starts."""

    name: str = Field(primary_key=True, max_length=80)
    enabled: bool = True
    switched_off: bool = False
    faults: int = 0
    last_error: str = ""
    last_error_at: datetime | None = optional_instant()
    settings: dict[str, Any] = json_dict()
    description: dict[str, Any] = json_dict()
    """What it told of itself when it last loaded (`plugin_host.PluginDescription`)"""
    changed_at: datetime = instant()
