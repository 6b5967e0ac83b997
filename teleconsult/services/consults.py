"""Asking for a consult and the steps of its life, at the hub and on a vehicle.

The hub's row is the truth. A vehicle takes its own doctors' steps at once and marks them as pending; the hub judges
them when they arrive (`apply_remote_event`), and its row comes back (`receive_consult`). What pages show of a consult
is `consult_views`; opinions, chat and images are services of their own.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlmodel import col, func, select

from teleconsult.domain.consult import Action, Mode, State, Urgency, next_state
from teleconsult.domain.errors import N_, Conflict, InvalidInput, TeleconsultError
from teleconsult.domain.ids import new_id
from teleconsult.domain.network import SPECIALTIES
from teleconsult.domain.people import site_today
from teleconsult.domain.roles import SYSTEM, Actor, Role
from teleconsult.services import consult_steps as steps
from teleconsult.services.encounters import current_encounter
from teleconsult.services.measuring import OPEN
from teleconsult.services.node import Node, Work
from teleconsult.services.observation_views import FINAL
from teleconsult.services.permissions import require_vehicle
from teleconsult.store import new_version
from teleconsult.store.tables import Consent, Consult, ConsultEvent, Encounter, Observation, User, Vehicle

log = structlog.get_logger(__name__)

MAX_REASON = 1000
"""Characters of a reason. It is read in one line in the queue: short is kind."""

GIVERS = {"patient": N_("the patient"), "family": N_("a family member"), "guardian": N_("the legal guardian")}
"""Who can consent to a consult."""

WAYS_OF_CONSENT = {"oral": N_("orally"), "written": N_("in writing"), "fingerprint": N_("by fingerprint")}
"""How consent can be given."""

_OWN_SERVICES = frozenset({Action.REQUEST, Action.SIGN_OPINION, Action.CORRECT_OPINION})

Id = Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$")]


class ConsentInput(BaseModel):
    """Who agreed to the consult, and how. The name may be left out when it is the patient."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    given_by: Literal["patient", "family", "guardian"]
    giver_name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=60)] = ""
    how: Literal["oral", "written", "fingerprint"]


class RequestInput(BaseModel):
    """A consult request as the form gives it. `id` is made with the form, so that sending it twice asks once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Id = Field(default_factory=new_id)
    encounter_id: Id
    specialty: str
    urgency: Urgency
    mode: Mode = Mode.LIVE
    reason: Annotated[str, StringConstraints(strip_whitespace=True)]
    observation_ids: tuple[Id, ...] = ()
    notes: bool = False
    """Whether the specialist sees the encounter's notes."""
    history: bool = True
    """Whether the specialist sees earlier consults and readings of this person."""
    consent: ConsentInput


def request_consult(node: Node, actor: Actor, request: RequestInput) -> Consult:
    """Ask for a consult about an open encounter: the consult, its first step and the consent, all or nothing.

    Raises InvalidInput with the field to blame, NotFound, NotAllowed (another vehicle), Conflict (finished).
    """
    with node.transaction(actor) as work:
        known = work.session.get(Consult, request.id)
        if known is not None and known.requester_id == actor.user_id:
            return known
        encounter = current_encounter(work.session, request.encounter_id)
        vehicle_id = require_vehicle(actor, encounter.vehicle_id)
        if encounter.state != OPEN:
            raise Conflict(N_("This encounter is finished. Open it again to go on writing."))
        _check_words(request)
        _check_shared(work, encounter, request)
        consent = _write_consent(work, encounter, request)
        consult = Consult(
            id=request.id,
            number=_next_number(work, vehicle_id),
            patient_id=encounter.patient_id,
            encounter_id=encounter.record_id,
            consent_id=consent.record_id,
            vehicle_id=vehicle_id,
            village_id=encounter.village_id,
            requester_id=actor.user_id,
            requester_name=actor.name,
            specialty=request.specialty,
            urgency=request.urgency,
            mode=request.mode,
            reason=request.reason,
            shared={
                "observation_ids": list(dict.fromkeys(request.observation_ids)),
                "notes": request.notes,
                "history": request.history,
            },
            state=State.REQUESTED,
            state_since=work.now,
            requested_at=work.now,
            revision=1 if node.is_hub else 0,  # a vehicle's consult has no revision before the hub has judged it
            pending=not node.is_hub,
        )
        event = _first_step(work, consult)
        work.session.add(consult)
        work.share(consult, [vehicle_id])
        work.session.add(event)
        work.share(event, [vehicle_id])
        work.audit("create", "consult", consult.id, patient_id=consult.patient_id)
        steps.announce(work, consult, None, Action.REQUEST, actor.name)
        steps.tell_plugins(work, consult, event)
        return consult


def take_step(node: Node, actor: Actor, consult_id: str, action: Action, text: str = "", **details: Any) -> Consult:
    """Take one step of the lifecycle. Accepting twice is the same as once.

    `specialist_id` says to whom a consult is reassigned. Raises NotFound, NotAllowed, InvalidInput, or Conflict when
    the state does not allow the step or somebody else was first (the sentence says who has the consult).
    """
    if action in _OWN_SERVICES:
        raise InvalidInput(N_("This step needs more than a word: take it on its own page."))
    with node.transaction(actor) as work:
        consult = steps.get_consult(work.session, consult_id)
        again = consult.state == State.ACCEPTED and consult.specialist_id == actor.user_id
        if action is Action.ACCEPT and again:
            return consult
        steps.apply_step(work, consult, action, text=text, details=details)
        return consult


def lapse(node: Node) -> int:
    """Let the hub's clock act: requests that nobody took expire, interrupted calls end. Gives how many did.

    Both limits are the site's (`consult_expiry_hours`, `interrupted_minutes`). The time counts from the last change
    of state, so a question that was answered begins anew.
    """
    if not node.is_hub:
        return 0
    now, settings = node.clock(), node.settings
    due = {
        Action.EXPIRE: (
            (State.REQUESTED, State.REASSIGNED, State.NEEDS_INFORMATION),
            now - timedelta(hours=settings.consult_expiry_hours),
        ),
        Action.END_CALL: ((State.INTERRUPTED,), now - timedelta(minutes=settings.interrupted_minutes)),
    }
    count = 0
    for action, (states, before) in due.items():
        with node.store.read() as session:
            query = select(Consult.id).where(
                col(Consult.state).in_([state.value for state in states]), Consult.state_since < before
            )
            found = list(session.exec(query.where(Consult.revision > 0)))
        for consult_id in found:
            try:
                take_step(node, SYSTEM, consult_id, action)
                count += 1
            except Conflict as error:
                log.info("a lapsed consult had moved on", consult=consult_id, reason=str(error))
    return count


def apply_remote_event(node: Node, event: ConsultEvent) -> tuple[str, str]:
    """Judge a step that a vehicle doctor took on their vehicle. Gives (result, sentence): new, identical or refused.

    Whoever calls has checked that the step comes from that doctor's own vehicle. After a refusal the vehicle gets the
    hub's row again, so that its page shows where the consult really stands.
    """
    with node.transaction(SYSTEM) as work:
        if work.session.get(ConsultEvent, event.id) is not None:
            return "identical", ""
        consult = steps.get_consult(work.session, event.consult_id)
        try:
            _apply(work, consult, event)
        except TeleconsultError as error:
            work.session.refresh(consult)
            work.share(consult, [consult.vehicle_id])
            return "refused", error.carry()
        return "new", ""


def _apply(work: Work, consult: Consult, event: ConsultEvent) -> None:
    try:
        action, role = Action(event.action), Role(event.actor_role)
    except ValueError as error:
        raise InvalidInput(N_("A vehicle cannot take this step.")) from error
    if role is not Role.VEHICLE_DOCTOR or action in _OWN_SERVICES - {Action.REQUEST}:
        raise InvalidInput(N_("A vehicle cannot take this step."))
    user = work.session.get(User, event.actor_id)
    vehicle_id = user.vehicle_id if user else None
    actor = Actor(event.actor_id, event.actor_name, role, vehicle_id=vehicle_id)
    event.at = steps.moment(event.at, work.now)
    if action is Action.REQUEST:
        if consult.revision:
            raise Conflict(N_("This consult was asked for already."))
        _admit(work, consult, event)
        return
    if not consult.revision:
        raise Conflict(N_("This consult was not asked for."))
    target = steps.judge(consult, action, actor, event.text)
    event.from_state, event.to_state = consult.state, target.value
    steps.keep_step(work, consult, event, target)


def _admit(work: Work, consult: Consult, event: ConsultEvent) -> None:
    """A request has arrived: from now on specialists see it, and its time to expire begins."""
    try:
        Urgency(consult.urgency), Mode(consult.mode)
    except ValueError as error:
        raise InvalidInput(N_("The record does not have the form it should have.")) from error
    consult.revision, consult.pending, consult.state_since = 1, False, work.now
    event.from_state, event.to_state = None, State.REQUESTED.value
    work.session.add(consult)
    work.session.add(event)
    work.share(event, [consult.vehicle_id])
    work.share(consult, [consult.vehicle_id])
    steps.announce(work, consult, None, Action.REQUEST, event.actor_name)
    steps.tell_plugins(work, consult, event)


def receive_consult(work: Work, row: Consult) -> None:
    """Take the hub's row on a vehicle. Own steps that the hub has not answered yet are laid over it again."""
    known = work.session.get(Consult, row.id)
    if known is not None and row.revision < known.revision:
        return
    before = State(known.state) if known is not None else None
    was_pending = known is not None and known.pending
    row.pending = False
    last = ""
    for event in steps.unjudged(work.session, row.id):
        try:
            row.state = next_state(State(row.state), Action(event.action), Role(event.actor_role)).value
        except TeleconsultError:
            continue  # judged already, or about to be refused with a sentence
        row.state_since, row.pending, last = event.at, True, event.actor_name
    kept = work.session.merge(row)
    work.session.flush()
    if before != kept.state or was_pending != kept.pending:
        steps.announce(work, kept, before, "", last or kept.specialist_name or "")


def _first_step(work: Work, consult: Consult) -> ConsultEvent:
    return ConsultEvent(
        consult_id=consult.id,
        action=Action.REQUEST,
        from_state=None,
        to_state=State.REQUESTED,
        actor_id=work.actor.user_id,
        actor_name=work.actor.name,
        actor_role=work.actor.role,
        node_id=work.node.node_id,
        at=work.now,
        text="",
    )


def _check_words(request: RequestInput) -> None:
    if request.specialty not in SPECIALTIES:
        raise InvalidInput(N_("Choose the specialty."), field="specialty")
    if not request.reason:
        raise InvalidInput(N_("Write what the specialist is asked, in a sentence."), field="reason")
    if len(request.reason) > MAX_REASON:
        raise InvalidInput(
            N_("This text is longer than %(most)s characters. Shorten it; nothing was lost."),
            field="reason",
            most=MAX_REASON,
        )
    if request.consent.given_by != "patient" and not request.consent.giver_name:
        raise InvalidInput(N_("Enter the name of the person who agreed for the patient."), field="giver_name")


def _check_shared(work: Work, encounter: Encounter, request: RequestInput) -> None:
    """Only accepted readings of this very person may be shared: a wrong person's reading is the worst fault here."""
    wanted = set(request.observation_ids)
    if not wanted:
        return
    query = select(Observation.record_id).where(
        col(Observation.record_id).in_(wanted),
        col(Observation.current).is_(True),
        Observation.patient_id == encounter.patient_id,
        Observation.status == FINAL,
    )
    known = set(work.session.exec(query))
    if wanted - known:
        raise InvalidInput(
            N_("One of the ticked readings is not an accepted reading of this person. Look at the list again."),
            field="observation_ids",
        )


def _write_consent(work: Work, encounter: Encounter, request: RequestInput) -> Consent:
    values = {
        "patient_id": encounter.patient_id,
        "encounter_id": encounter.record_id,
        "consult_id": request.id,
        "kind": "consult",
        "given_by": request.consent.given_by,
        "giver_name": request.consent.giver_name,
        "how": request.consent.how,
        "given_at": work.now,
    }
    consent = new_version(work.session, Consent, values, author=work.actor, node_id=work.node.node_id)
    work.audit("create", "consent", consent.record_id, patient_id=encounter.patient_id)
    work.share(consent, [encounter.vehicle_id] if encounter.vehicle_id else [])
    return consent


def _next_number(work: Work, vehicle_id: str) -> str:
    """Such as JN-01-20261124-003: the vehicle, the day at the site, the how-manieth of that day."""
    vehicle = work.session.get(Vehicle, vehicle_id)
    prefix = f"{vehicle.code if vehicle else vehicle_id[-4:]}-{site_today(work.now):%Y%m%d}-"
    query = select(func.max(Consult.number)).where(col(Consult.number).startswith(prefix, autoescape=True))
    last = work.session.exec(query).one()
    return f"{prefix}{int(last.removeprefix(prefix)) + 1 if last else 1:03d}"
