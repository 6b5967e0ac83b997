"""What the form for a consult request starts from: the encounter, what can be shared, what is asked already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlmodel import col, func, select

from teleconsult.domain.consult import State
from teleconsult.domain.roles import Actor
from teleconsult.services import encounters
from teleconsult.services.consult_views import consults_of_encounter
from teleconsult.services.encounters import EncounterView, current_encounter
from teleconsult.services.node import Node
from teleconsult.services.observation_views import FINAL, PRELIMINARY
from teleconsult.services.observations import readings_of
from teleconsult.services.permissions import require_vehicle
from teleconsult.store.tables import Consult


@dataclass(frozen=True)
class RequestPage:
    """`readings` are accepted and can be shared; `unaccepted` counts those that cannot yet."""

    encounter: EncounterView
    readings: tuple[dict[str, Any], ...]
    unaccepted: int
    earlier: int
    """Finished consults of this person that would be shown."""
    asked: tuple[Consult, ...]
    """Consults of this encounter, newest first."""


def request_page(node: Node, actor: Actor, encounter_id: str) -> RequestPage:
    """For the doctor of the encounter's vehicle. Audited. Raises NotFound, NotAllowed."""
    with node.transaction(actor) as work:
        row = current_encounter(work.session, encounter_id)
        require_vehicle(actor, row.vehicle_id)
        work.audit("read", "encounter", encounter_id, patient_id=row.patient_id)
        found = readings_of(work, encounter_id)
        closed = (
            select(func.count())
            .select_from(Consult)
            .where(
                Consult.patient_id == row.patient_id,
                col(Consult.state).in_([State.CLOSED.value, State.OPINION_WRITTEN.value]),
            )
        )
        return RequestPage(
            encounter=encounters.view(work, row),
            readings=tuple(reading for reading in found if reading["status"] == FINAL),
            unaccepted=sum(1 for reading in found if reading["status"] == PRELIMINARY),
            earlier=work.session.exec(closed).one(),
            asked=tuple(consults_of_encounter(work, encounter_id)),
        )
