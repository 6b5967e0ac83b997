"""The directory: institutions, villages, vehicles, the people who log in, their sessions, and the round's stops.

Directory rows are edited at the hub, audited, and copied down to the vehicles.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlmodel import Field, SQLModel

from teleconsult.domain.ids import new_id
from teleconsult.store.tables.base import instant, optional_instant


class Organization(SQLModel, table=True):
    """An institution of the "1+X+N" network. `level` is a `domain.network.Level`."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    code: str = Field(unique=True, max_length=40)
    name: str = Field(max_length=120)
    level: str = Field(max_length=16)
    parent_id: str | None = Field(default=None, foreign_key="organization.id", max_length=36)
    address: str = ""
    phone: str = ""
    active: bool = True
    changed_at: datetime = instant()


class Village(SQLModel, table=True):
    """A village on a round, and the clinic nearest to it."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    name: str = Field(max_length=80, index=True)
    township: str = Field(max_length=80)
    organization_id: str | None = Field(default=None, foreign_key="organization.id", max_length=36)
    changed_at: datetime = instant()


class Vehicle(SQLModel, table=True):
    """A clinic vehicle. `key_hash` is the SHA-256 of the key its node presents to the hub."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    code: str = Field(unique=True, max_length=40)
    name: str = Field(max_length=80)
    plate: str = Field(default="", max_length=20)
    organization_id: str | None = Field(default=None, foreign_key="organization.id", max_length=36)
    active: bool = True
    key_hash: str | None = Field(default=None, max_length=64)
    key_made_at: datetime | None = optional_instant()
    last_seen_at: datetime | None = optional_instant()
    changed_at: datetime = instant()


class User(SQLModel, table=True):
    """Somebody who logs in. `role` is a `domain.roles.Role`; a vehicle doctor has a `vehicle_id`."""

    __tablename__ = "user_account"

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    username: str = Field(unique=True, max_length=60)
    name: str = Field(max_length=60)
    role: str = Field(max_length=20, index=True)
    organization_id: str | None = Field(default=None, foreign_key="organization.id", max_length=36)
    vehicle_id: str | None = Field(default=None, foreign_key="vehicle.id", max_length=36)
    specialty: str | None = Field(default=None, max_length=40)
    title: str = Field(default="", max_length=40)
    phone: str = Field(default="", max_length=30)
    password_hash: str = Field(max_length=200)
    password_changed_at: datetime = instant()
    language: str | None = Field(default=None, max_length=5)
    active: bool = True
    changed_at: datetime = instant()


class UserSession(SQLModel, table=True):
    """A login. `id` is the SHA-256 of the token in the browser's cookie.

    `credential` names the password it was made with: a login ends when the password changes, on every node.
    """

    id: str = Field(primary_key=True, max_length=64)
    user_id: str = Field(foreign_key="user_account.id", index=True, max_length=36)
    credential: str = Field(max_length=32)
    made_at: datetime = instant()
    seen_at: datetime = instant()
    expires_at: datetime = instant()
    address: str = Field(default="", max_length=64)
    agent: str = Field(default="", max_length=200)


class LoginAttempt(SQLModel, table=True):
    """One try to log in, kept so that guessing can be slowed down."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    username: str = Field(index=True, max_length=60)
    address: str = Field(default="", max_length=64, index=True)
    at: datetime = instant(index=True)
    succeeded: bool = False


class Stop(SQLModel, table=True):
    """A vehicle in a village on a day of the site. Not `active`: taken out of the plan."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    vehicle_id: str = Field(foreign_key="vehicle.id", index=True, max_length=36)
    village_id: str = Field(foreign_key="village.id", index=True, max_length=36)
    day: date = Field(index=True)
    note: str = ""
    active: bool = True
    changed_at: datetime = instant()
