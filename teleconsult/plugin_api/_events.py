"""What a plugin is told about consults."""

from __future__ import annotations

from teleconsult.domain.consult import Action, Mode, State, Urgency
from teleconsult.domain.roles import Role
from teleconsult.plugin_api._text import UtcDatetime, Value


class ConsultEvent(Value):
    """One step of a consult, told after it was stored. It carries no name and no medical text."""

    event_id: str
    """The same if the step is ever told again."""
    consult_id: str
    action: Action
    state: State
    """Where the consult stands after the step."""
    at: UtcDatetime
    urgency: Urgency
    mode: Mode = Mode.LIVE
    specialty: str = ""
    actor_role: Role
    patient_id: str | None = None
    encounter_id: str | None = None
    organization_id: str | None = None
    vehicle_id: str | None = None
