"""Consults: where each stands, every step ever taken, and what was said, shown and concluded."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlmodel import Field, SQLModel

from teleconsult.domain.ids import new_id
from teleconsult.store.tables.base import Record, instant, json_dict, optional_instant


class Consult(SQLModel, table=True):
    """Where a consult stands: the sum of its `ConsultEvent`s, kept for reading.

    The hub's row is the truth. A vehicle's row runs ahead with its own steps (`pending`) until the hub's
    row with a higher `revision` arrives.
    """

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    number: str = Field(max_length=40, index=True)
    patient_id: str = Field(index=True, max_length=36)
    encounter_id: str | None = Field(default=None, max_length=36)
    consent_id: str | None = Field(default=None, max_length=36)
    vehicle_id: str = Field(index=True, max_length=36)
    village_id: str | None = Field(default=None, max_length=36)
    requester_id: str = Field(max_length=36)
    requester_name: str = Field(max_length=60)
    specialty: str = Field(max_length=40)
    urgency: str = Field(max_length=12)
    mode: str = Field(default="live", max_length=10)
    reason: str
    shared: dict[str, Any] = json_dict()
    """What the specialist is shown: {"observation_ids": [...], "notes": bool, "history": bool}."""
    state: str = Field(max_length=20, index=True)
    state_since: datetime = instant()
    specialist_id: str | None = Field(default=None, index=True, max_length=36)
    specialist_name: str | None = Field(default=None, max_length=60)
    requested_at: datetime = instant(index=True)
    accepted_at: datetime | None = optional_instant()
    call_started_at: datetime | None = optional_instant()
    call_ended_at: datetime | None = optional_instant()
    signed_at: datetime | None = optional_instant()
    closed_at: datetime | None = optional_instant()
    revision: int = 1
    pending: bool = False


class ConsultEvent(SQLModel, table=True):
    """A step that was taken, by whom, when and with which words. Written once."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    consult_id: str = Field(index=True, max_length=36)
    action: str = Field(max_length=24)
    from_state: str | None = Field(default=None, max_length=20)
    to_state: str = Field(max_length=20)
    actor_id: str = Field(max_length=64)
    actor_name: str = Field(max_length=120)
    actor_role: str = Field(max_length=20)
    node_id: str = Field(max_length=64)
    at: datetime = instant(index=True)
    text: str = ""
    details: dict[str, Any] = json_dict()


class OpinionDraft(SQLModel, table=True):
    """An opinion as it is being typed. Not a record: signing makes the record."""

    consult_id: str = Field(primary_key=True, max_length=36)
    author_id: str = Field(primary_key=True, max_length=36)
    fields: dict[str, Any] = json_dict()
    revision: int = 1
    saved_at: datetime = instant()


class Opinion(Record, table=True):
    """A signed opinion; a correction is a new version."""

    consult_id: str = Field(index=True, max_length=36)
    patient_id: str = Field(index=True, max_length=36)
    impression: str
    advice: str
    medicines: str = ""
    refer: bool = False
    refer_to: str = ""
    review_on: date | None = None
    organization_name: str = ""
    signed_at: datetime = instant()


class ChatMessage(Record, table=True):
    """A line of text in a consult's conversation."""

    consult_id: str = Field(index=True, max_length=36)
    author_role: str = Field(max_length=20)
    text: str


class Attachment(Record, table=True):
    """An image attached to a consult. The bytes lie beside the database under their SHA-256."""

    consult_id: str | None = Field(default=None, index=True, max_length=36)
    encounter_id: str | None = Field(default=None, max_length=36)
    patient_id: str = Field(index=True, max_length=36)
    kind: str = Field(default="other", max_length=20)
    """wound, ecg, report, still (a picture taken out of the call) or other"""
    filename: str = Field(default="", max_length=120)
    media_type: str = Field(max_length=40)
    size: int
    """bytes"""
    width: int
    height: int
    sha256: str = Field(index=True, max_length=64)
    caption: str = ""


class Participation(SQLModel, table=True):
    """A person's stay in a call, from joining to leaving."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    consult_id: str = Field(index=True, max_length=36)
    user_id: str = Field(max_length=36)
    name: str = Field(max_length=60)
    role: str = Field(max_length=20)
    organization_name: str = ""
    joined_at: datetime = instant()
    left_at: datetime | None = optional_instant()


class Invitation(SQLModel, table=True):
    """A third person asked into a call."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    consult_id: str = Field(index=True, max_length=36)
    user_id: str = Field(index=True, max_length=36)
    invited_by: str = Field(max_length=36)
    invited_by_name: str = Field(max_length=60)
    at: datetime = instant()
    withdrawn_at: datetime | None = optional_instant()
