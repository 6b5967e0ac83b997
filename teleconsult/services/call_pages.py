"""What the call page shows: whose consult it is, who is expected, and the readings so far. Reads only, audited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from teleconsult.domain.consult import CALLABLE, State
from teleconsult.domain.errors import N_, NotAllowed, NotFound
from teleconsult.domain.roles import Actor, Role
from teleconsult.services.call_access import is_invited, is_party
from teleconsult.services.node import Node, Work
from teleconsult.services.observations import readings_of
from teleconsult.services.patients import PatientSummary, current_patient, summary
from teleconsult.store.tables import Consult


@dataclass(frozen=True)
class CallView:
    """A consult's call as one person sees it.

    `expected` and `main_id` are the one they talk with: the specialist for a vehicle, the requester for everybody
    else. `present` are the people in the call now, as far as this node knows. `readings` are newest first, and only
    what this person may see.
    """

    consult_id: str
    number: str
    state: State
    started_at: datetime | None
    patient: PatientSummary
    expected: str
    main_id: str
    is_party: bool
    present: list[dict[str, Any]]
    readings: list[dict[str, Any]]

    @property
    def is_open(self) -> bool:
        """Whether the call can be entered now."""
        return self.state in CALLABLE

    @property
    def goes_on(self) -> bool:
        """Whether whoever opens the page means to be in the call: it is about to begin, runs, or was cut off."""
        return self.state in (State.ACCEPTED, State.IN_CALL, State.INTERRUPTED)


def read_call(node: Node, actor: Actor, consult_id: str) -> CallView:
    """The call of a consult, for the parties and the invited. Raises NotFound, NotAllowed."""
    with node.transaction(actor) as work:
        consult = work.session.get(Consult, consult_id)
        if consult is None:
            raise NotFound(N_("There is no such consult."))
        party = is_party(consult, actor)
        if not party and not is_invited(work.session, consult_id, actor.user_id):
            raise NotAllowed(N_("Only the doctors of this consult and the people they invited can enter its call."))
        work.audit("read", "consult", consult_id, patient_id=consult.patient_id)
        on_vehicle = actor.role is Role.VEHICLE_DOCTOR
        return CallView(
            consult_id=consult.id,
            number=consult.number,
            state=State(consult.state),
            started_at=consult.call_started_at,
            patient=summary(work.session, current_patient(work.session, consult.patient_id), work.now),
            expected=(consult.specialist_name or "") if on_vehicle else consult.requester_name,
            main_id=(consult.specialist_id or "") if on_vehicle else consult.requester_id,
            is_party=party,
            present=node.calls.participants(consult_id) if node.calls is not None else [],
            readings=_readings(work, consult, everything=on_vehicle and party),
        )


def _readings(work: Work, consult: Consult, *, everything: bool) -> list[dict[str, Any]]:
    """The vehicle sees its encounter; others what was shared with the request and what was taken since."""
    if consult.encounter_id is None:
        return []
    found = readings_of(work, consult.encounter_id)
    if everything:
        return found
    shared = set(consult.shared.get("observation_ids") or ())
    since = consult.requested_at.isoformat()
    return [reading for reading in found if reading["id"] in shared or reading["taken_at"] >= since]
