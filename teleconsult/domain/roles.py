"""Who a person is to the program."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a person does here. `SYSTEM` is the program itself: clocks, lost links, migrations."""

    VEHICLE_DOCTOR = "vehicle_doctor"
    SPECIALIST = "specialist"
    COORDINATOR = "coordinator"
    ADMINISTRATOR = "administrator"
    SYSTEM = "system"


PEOPLE_ROLES = (Role.VEHICLE_DOCTOR, Role.SPECIALIST, Role.COORDINATOR, Role.ADMINISTRATOR)
"""The roles a person can be given."""


@dataclass(frozen=True)
class Actor:
    """The person (or the program) on whose behalf something is done, as authorship and audit keep it."""

    user_id: str
    name: str
    role: Role
    organization_id: str | None = None
    vehicle_id: str | None = None
    specialty: str | None = None
    address: str = ""

    @property
    def is_system(self) -> bool:
        """Whether the program itself acts."""
        return self.role is Role.SYSTEM


SYSTEM = Actor(user_id="system", name="teleconsult", role=Role.SYSTEM)
