"""Asking for a consult, a person's own consults, and the page of one consult with the steps that are open to them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, flash, jsonify, redirect, render_template, request, url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.wrappers import Response

from teleconsult.domain.consult import CALLABLE, OVER, WAITING, Action, State, Urgency
from teleconsult.domain.errors import N_, InvalidInput, TeleconsultError
from teleconsult.domain.ids import new_id
from teleconsult.domain.network import SPECIALTIES
from teleconsult.domain.roles import Role
from teleconsult.http import consult_words as words
from teleconsult.http.errors import carried_sentence, sentence_of
from teleconsult.http.forms import Faults, submit
from teleconsult.http.reading_tiles import moment, tile, tile_label, unit, vital
from teleconsult.http.security import allow, current_actor, current_node, wants_json
from teleconsult.services import consults
from teleconsult.services.attachments import KINDS
from teleconsult.services.call_pages import CallView, read_call
from teleconsult.services.consult_views import ConsultView, consult_page, my_consults
from teleconsult.services.consults import GIVERS, WAYS_OF_CONSENT, RequestInput
from teleconsult.services.observation_views import PRELIMINARY, STATUS_NAMES
from teleconsult.services.page_panels import consult_panels
from teleconsult.services.request_page import request_page
from teleconsult.services.trends import targets

bp = Blueprint("consults", __name__)

PAGE_STEPS = frozenset(
    {
        Action.ACCEPT,
        Action.DECLINE,
        Action.ASK_INFORMATION,
        Action.PROVIDE_INFORMATION,
        Action.RETURN,
        Action.WITHDRAW,
        Action.END_CALL,
        Action.ACKNOWLEDGE,
    }
)
"""Steps that a person takes on the consult page; the others belong to the call, the opinion and the board."""

DONE = {
    Action.ACCEPT: N_("You have accepted the consult. The vehicle doctor is told."),
    Action.DECLINE: N_("The consult is declined. The vehicle doctor is told why."),
    Action.ASK_INFORMATION: N_("The question is on its way to the vehicle doctor."),
    Action.PROVIDE_INFORMATION: N_("The answer is given. The request waits for a specialist again."),
    Action.RETURN: N_("The consult is back in the queue."),
    Action.WITHDRAW: N_("The request is withdrawn."),
    Action.END_CALL: N_("The call is over."),
    Action.ACKNOWLEDGE: N_("The opinion is acknowledged. The consult is closed."),
}


class Step(BaseModel):
    """A step as the page sends it."""

    model_config = ConfigDict(extra="forbid")
    action: Action
    text: str = Field(default="", max_length=10_000)


# -- asking -------------------------------------------------------------------------------------------------------


@bp.get("/encounters/<uuid:encounter_id>/consult")
@allow(Role.VEHICLE_DOCTOR)
def ask(encounter_id: UUID) -> str:
    """The form."""
    return _ask_page(str(encounter_id))


@bp.post("/encounters/<uuid:encounter_id>/consult")
@allow(Role.VEHICLE_DOCTOR)
def send(encounter_id: UUID) -> Response | tuple[str, int]:
    """Send the request, or keep it until there is a link."""
    node = current_node()
    typed = _typed()
    consult, faults = submit(
        lambda: consults.request_consult(node, current_actor(), _request(str(encounter_id), typed))
    )
    if consult is None:
        return _ask_page(str(encounter_id), typed, faults), 422
    online = node.is_hub or bool(node.uplink and node.uplink()["online"])
    if online:
        flash(_("The request is sent. You are told here when a specialist accepts it."), "ok")
    else:
        flash(_("The request is kept on this machine and is sent when the link is back."), "info")
    return redirect(url_for(".show", consult_id=consult.id))


def _typed() -> dict[str, Any]:
    form = request.form
    fields = ("id", "specialty", "urgency", "mode", "reason", "given_by", "giver_name", "how")
    return {
        **{name: form.get(name, "").strip() for name in fields},
        "observation_ids": form.getlist("observation_ids"),
        "shared": form.getlist("shared"),
    }


def _request(encounter_id: str, typed: dict[str, Any]) -> RequestInput:
    if typed["urgency"] not in list(Urgency):
        raise InvalidInput(N_("Choose how urgent it is."), field="urgency")
    if typed["given_by"] not in GIVERS or typed["how"] not in WAYS_OF_CONSENT:
        raise InvalidInput(N_("Say who has agreed to the consult, and how."), field="given_by")
    consent = {name: typed[name] for name in ("given_by", "giver_name", "how")}
    return RequestInput.model_validate(
        {
            "id": typed["id"] or new_id(),
            "encounter_id": encounter_id,
            "specialty": typed["specialty"],
            "urgency": typed["urgency"],
            "mode": typed["mode"] or "live",
            "reason": typed["reason"],
            "observation_ids": typed["observation_ids"],
            "notes": "notes" in typed["shared"],
            "history": "history" in typed["shared"],
            "consent": consent,
        }
    )


def _ask_page(encounter_id: str, typed: dict[str, Any] | None = None, faults: Faults | None = None) -> str:
    node = current_node()
    page = request_page(node, current_actor(), encounter_id)
    fresh = {
        "id": new_id(),
        "specialty": "",
        "urgency": "",
        "mode": "live",
        "reason": page.encounter.reason,
        "observation_ids": [reading["id"] for reading in page.readings],
        "shared": ["notes", "history"],
        "given_by": "patient",
        "giver_name": "",
        "how": "oral",
    }
    readings = [
        (r["id"], f"{tile_label(r)} {r['text']} {unit(r['unit'])}", moment(r["taken_at"])) for r in page.readings
    ]
    return render_template(
        "consult/ask.html",
        page=page,
        patient=page.encounter.patient,
        readings=readings,
        typed=typed or fresh,
        faults=faults or [],
        fault=dict(faults or []),
        specialties=[(code, _(name)) for code, name in SPECIALTIES.items()],
        urgencies=[(u, _(words.URGENCY_TEXTS[u])) for u in (Urgency.ROUTINE, Urgency.URGENT, Urgency.EMERGENCY)],
        phrases={code: [_(phrase) for phrase in texts] for code, texts in words.PHRASES.items()},
        givers=[(code, _(name)) for code, name in GIVERS.items()],
        ways=[(code, _(name)) for code, name in WAYS_OF_CONSENT.items()],
        online=node.is_hub or bool(node.uplink and node.uplink()["online"]),
    )


# -- one's own ----------------------------------------------------------------------------------------------------


@bp.get("/consults")
@allow(Role.VEHICLE_DOCTOR, Role.SPECIALIST)
def mine() -> str:
    """The consults of the doctor's vehicle, or of the specialist: those that go on, then those that are over."""
    node = current_node()
    going_on, over = my_consults(node, current_actor())
    now = node.clock()

    def rows(lines: list[Any]) -> list[dict[str, Any]]:
        return [
            {
                **words.queue_row(line, url_for(".show", consult_id=line.consult.id), now, ""),
                "number": line.consult.number,
                "specialty": _(SPECIALTIES.get(line.consult.specialty, line.consult.specialty)),
                "specialist": line.consult.specialist_name or "",
                "at": words.when(line.consult.requested_at),
                "asked": line.asked,
                "pending": line.consult.pending,
            }
            for line in lines
        ]

    return render_template("consult/mine.html", going_on=rows(going_on), over=rows(over), is_hub=node.is_hub)


# -- one consult --------------------------------------------------------------------------------------------------


@bp.get("/consults/<uuid:consult_id>")
@allow(Role.VEHICLE_DOCTOR, Role.SPECIALIST, Role.COORDINATOR)
def show(consult_id: UUID) -> str:
    """Everything about one consult, by who looks."""
    return consult_html(str(consult_id))


@bp.post("/consults/<uuid:consult_id>/steps")
@allow(Role.VEHICLE_DOCTOR, Role.SPECIALIST)
def step(consult_id: UUID) -> Response | tuple[str, int]:
    """Take a step. From a module: JSON {action, text}; without scripts: the form."""
    given = Step.model_validate(request.get_json() if request.is_json else _step_form())
    if given.action not in PAGE_STEPS:
        raise InvalidInput(N_("This step needs more than a word: take it on its own page."))
    identity = str(consult_id)
    try:
        row = consults.take_step(current_node(), current_actor(), identity, given.action, given.text)
    except TeleconsultError as error:
        if wants_json():
            raise
        flash(sentence_of(error), "danger")
        return consult_html(identity, typed={given.action.value: given.text}), error.status
    leaves = given.action in (Action.DECLINE, Action.RETURN, Action.ASK_INFORMATION)
    url = url_for("queue.index") if leaves else url_for(".show", consult_id=identity)
    if wants_json():
        return jsonify(ok=True, state=row.state, revision=row.revision, url=url, sentence=_(DONE[given.action]))
    flash(_(DONE[given.action]), "ok")
    return redirect(url)


def _step_form() -> dict[str, str]:
    return {"action": request.form.get("action", ""), "text": request.form.get("text", "")}


def consult_html(consult_id: str, *, typed: dict[str, str] | None = None) -> str:
    """The page of a consult. `typed` are words of a step that was not taken, by action."""
    node, actor = current_node(), current_actor()
    view = consult_page(node, actor, consult_id)
    if not view.full:
        name = "consult/outline.html"
    elif actor.role is Role.VEHICLE_DOCTOR:
        name = "consult/doctor.html"
    else:
        name = "consult/specialist.html"
    now = node.clock()
    locale = get_locale()
    return render_template(
        name,
        view=view,
        consult=view.consult,
        patient=view.patient,
        call=_call(view) if view.full else None,
        layout=_layout(view),
        panels=consult_panels(node, view, locale.language if locale else "zh"),
        typed=typed or {},
        specialty=_(SPECIALTIES.get(view.consult.specialty, view.consult.specialty)),
        tiles=[_tile(reading) for reading in _newest(view)],
        vitals=[vital(reading) for reading in _newest(view)],
        live={
            "readings": list(view.readings),
            "trends": {k: list(v) for k, v in view.trends.items()},
            "targets": targets(view.patient.age),
        },
        course=[_course_entry(view, event) for event in view.events],
        next_text=_(words.NEXT_FOR_DOCTOR[view.state], name=view.consult.specialist_name or _("A specialist")),
        next_level=words.STATE_LEVELS.get(view.state, "info"),
        waited=words.waited((now - view.consult.requested_at).total_seconds()),
        givers=GIVERS,
        ways=WAYS_OF_CONSENT,
        kinds=[(code, _(label)) for code, label in KINDS.items()],
        when=words.when,
        clock=words.clock,
        day=words.day,
        years=words.years,
        may_write=State(view.consult.state) not in OVER,
        waiting=view.state in WAITING,
        callable=view.state in CALLABLE,
    )


def _call(view: ConsultView) -> CallView | None:
    """The call panel is for those who may enter the call now."""
    actor = current_actor()
    invited = actor.user_id in {user_id for user_id, _name in view.invited}
    if view.state not in CALLABLE or not (view.mine or invited):
        return None
    return read_call(current_node(), actor, view.consult.id)


def _layout(view: ConsultView) -> str:
    """What the page is built like: a module loads it again when this changes, and only fills in new text otherwise."""
    state = view.state
    if state in CALLABLE and current_actor().role is Role.SPECIALIST:
        return f"work-{view.mine}"
    return f"{state.value}-{view.consult.pending}"


def _tile(reading: dict[str, Any]) -> dict[str, Any]:
    """A tile that says in words that the vehicle doctor has not accepted the value yet."""
    waits = reading["status"] == PRELIMINARY
    return tile(reading) | ({"sentence": _(STATUS_NAMES[PRELIMINARY])} if waits else {})


def _newest(view: ConsultView) -> list[dict[str, Any]]:
    """The newest reading of each kind, in the order in which kinds were measured last."""
    found: dict[str, dict[str, Any]] = {}
    for reading in view.readings:
        found.setdefault(reading["kind"], reading)
    return list(found.values())


def _course_entry(view: ConsultView, event: Any) -> dict[str, Any]:
    action = Action(event.action)
    name = _(words.STEP_NAMES[action])
    own = action in (Action.EXPIRE, Action.INTERRUPT) or event.actor_role == Role.SYSTEM
    return {
        "date": words.day(event.at),
        "time": words.clock(event.at),
        "iso": event.at.isoformat(),
        "title": name if own else f"{event.actor_name} {name}",
        "text": event.text,
        "refused": carried_sentence(view.refused.get(event.id, "")),
    }
