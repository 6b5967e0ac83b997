"""The encounter page, its steps and its readings. All readings that are nobody's yet: `http.tray`."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, jsonify, redirect, render_template, request, url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from pydantic import BaseModel, ConfigDict
from werkzeug.wrappers import Response

from teleconsult.domain import measurement
from teleconsult.domain.roles import Role
from teleconsult.http.forms import submit
from teleconsult.http.reading_tiles import clock, day, empty_tile, said, tile, tile_label, unit, vital
from teleconsult.http.security import allow, current_actor, current_node, wants_json
from teleconsult.services import devices, encounters, history, observations, tray
from teleconsult.services.history import EncounterPage
from teleconsult.services.manual_entry import MANUAL_KINDS
from teleconsult.services.observation_views import UNITS
from teleconsult.services.page_panels import encounter_panels

bp = Blueprint("encounters", __name__)

STEPS = ("reason", "vitals", "consult", "finish")
FINE_PLACES = {"body_temperature": "36.5", "glucose": "5.6", "body_weight": "62.0"}


class Notes(BaseModel):
    """What the reason step sends when the writer pauses."""

    model_config = ConfigDict(extra="forbid")
    reason: str | None = None
    notes: str | None = None
    version: int


@bp.post("/patients/<patient_id>/encounters")
@allow(Role.VEHICLE_DOCTOR)
def start(patient_id: str) -> Response:
    """Open an encounter, or go on with the one that is open."""
    view = encounters.start_encounter(current_node(), current_actor(), patient_id)
    return redirect(url_for(".show", encounter_id=view.id))


@bp.get("/encounters/<encounter_id>")
@allow(Role.VEHICLE_DOCTOR)
def show(encounter_id: str) -> str:
    """The encounter page."""
    return _page(encounter_id)


@bp.post("/encounters/<encounter_id>/notes")
@allow(Role.VEHICLE_DOCTOR)
def save_notes(encounter_id: str) -> Response:
    """Keep the texts. From a module: JSON {reason?, notes?, version}; without scripts: the form."""
    given = Notes.model_validate(request.get_json() if request.is_json else _texts())
    view = encounters.save_notes(
        current_node(),
        current_actor(),
        encounter_id,
        reason=given.reason,
        notes=given.notes,
        seen_version=given.version,
    )
    if wants_json():
        return jsonify(ok=True, version=view.version, saved_at=view.saved_at.isoformat())
    return redirect(url_for(".show", encounter_id=encounter_id, step="vitals"))


@bp.get("/encounters/<encounter_id>/notes")
@allow(Role.VEHICLE_DOCTOR)
def read_notes(encounter_id: str) -> Response:
    """The texts as they stand, for comparing after somebody else has changed them."""
    view = encounters.read_encounter(current_node(), current_actor(), encounter_id)
    return jsonify(ok=True, reason=view.reason, notes=view.notes, version=view.version)


@bp.post("/encounters/<encounter_id>/finish")
@allow(Role.VEHICLE_DOCTOR)
def finish(encounter_id: str) -> Response:
    """End the visit."""
    view = encounters.finish_encounter(current_node(), current_actor(), encounter_id)
    flash(_("The encounter of %(name)s is finished.", name=view.patient.name), "ok")
    return redirect(url_for("today.index"))


@bp.post("/encounters/<encounter_id>/reopen")
@allow(Role.VEHICLE_DOCTOR)
def reopen(encounter_id: str) -> Response:
    """Undo finishing."""
    encounters.reopen_encounter(current_node(), current_actor(), encounter_id)
    return redirect(url_for(".show", encounter_id=encounter_id))


@bp.post("/encounters/<encounter_id>/measure-for")
@allow(Role.VEHICLE_DOCTOR)
def measure_for(encounter_id: str) -> Response:
    """Have the devices measure for this person."""
    view = encounters.measure_for(current_node(), current_actor(), encounter_id)
    if wants_json():
        return jsonify(ok=True, name=view.patient.name)
    return redirect(url_for(".show", encounter_id=encounter_id, step="vitals"))


@bp.post("/encounters/<encounter_id>/devices/<assignment_id>/measure")
@allow(Role.VEHICLE_DOCTOR)
def measure(encounter_id: str, assignment_id: str) -> Response:
    """Have a device measure this person now."""
    node, actor = current_node(), current_actor()
    devices.command_device(node, actor, assignment_id, "measure", encounter_id=encounter_id)
    return _done(encounter_id)


@bp.post("/encounters/<encounter_id>/devices/<assignment_id>/cancel")
@allow(Role.VEHICLE_DOCTOR)
def cancel(encounter_id: str, assignment_id: str) -> Response:
    """Stop the measurement that runs."""
    devices.command_device(current_node(), current_actor(), assignment_id, "cancel")
    return _done(encounter_id)


@bp.post("/encounters/<encounter_id>/devices/<assignment_id>/fetch")
@allow(Role.VEHICLE_DOCTOR)
def fetch(encounter_id: str, assignment_id: str) -> Response:
    """Have a device hand over what it stored. Older readings wait in the tray."""
    devices.command_device(current_node(), current_actor(), assignment_id, "fetch")
    return _done(encounter_id)


@bp.get("/encounters/<encounter_id>/readings")
@allow(Role.VEHICLE_DOCTOR)
def readings(encounter_id: str) -> Response:
    """The readings as they stand, for a page that could not hear of them when they came."""
    return jsonify(ok=True, readings=history.read_readings(current_node(), current_actor(), encounter_id))


@bp.post("/encounters/<encounter_id>/readings")
@allow(Role.VEHICLE_DOCTOR)
def enter(encounter_id: str) -> Response | str | tuple[str, int]:
    """Readings typed in. Fields are named "<kind>.<component>"."""
    fields = request.get_json() if request.is_json else request.form.to_dict()
    entries: dict[str, dict[str, str]] = {}
    for name, value in dict(fields).items():
        kind, dot, component = str(name).partition(".")
        if dot and kind in MANUAL_KINDS:
            entries.setdefault(kind, {})[component] = str(value)[:40]
    if wants_json():
        views = observations.enter_manually(current_node(), current_actor(), encounter_id, entries)
        return jsonify(ok=True, readings=views)
    saved, faults = submit(lambda: observations.enter_manually(current_node(), current_actor(), encounter_id, entries))
    if saved is None:
        return _page(encounter_id, typed=dict(fields), faults=faults, step="vitals"), 422
    return _done(encounter_id)


@bp.post("/encounters/<encounter_id>/streamed")
@allow(Role.VEHICLE_DOCTOR)
def take_streamed(encounter_id: str) -> Response:
    """Keep the value that a device streams now: JSON {device_id}."""
    data = request.get_json()
    device_id = str(data.get("device_id", "")) if isinstance(data, dict) else ""
    view = devices.take_streamed(current_node(), current_actor(), encounter_id, device_id)
    return jsonify(ok=True, reading=view)


@bp.post("/encounters/<encounter_id>/put-on")
@allow(Role.VEHICLE_DOCTOR)
def put_on(encounter_id: str) -> Response:
    """Say that a device that streams is on this person now: JSON {device_id}."""
    data = request.get_json()
    device_id = str(data.get("device_id", "")) if isinstance(data, dict) else ""
    devices.put_on(current_node(), current_actor(), encounter_id, device_id)
    return jsonify(ok=True)


@bp.post("/readings/<observation_id>/<any(accept, again, error, place):step>")
@allow(Role.VEHICLE_DOCTOR)
def change(observation_id: str, step: str) -> Response:
    """Accept a reading, take it again, say it is an error, or (JSON or form {encounter_id}) whose it is."""
    node, actor = current_node(), current_actor()
    data = request.get_json(silent=True) if request.is_json else request.form.to_dict()
    encounter_id = str((data or {}).get("encounter_id", ""))
    if step == "accept":
        view = observations.accept(node, actor, observation_id)
    elif step == "again":
        view = observations.measure_again(node, actor, observation_id)
    elif step == "error":
        view = observations.mark_entered_in_error(node, actor, observation_id)
    else:
        view = observations.place_unassigned(node, actor, observation_id, encounter_id)
    if wants_json():
        return jsonify(ok=True, reading=view)
    if encounter_id or view["encounter_id"]:
        return _done(encounter_id or str(view["encounter_id"]))
    return redirect(url_for("tray.index"))


@bp.get("/encounters/<encounter_id>/tray")
@allow(Role.VEHICLE_DOCTOR)
def tray_beside(encounter_id: str) -> Response:
    """The tray's place on the page as it stands, for a page that is open."""
    node, actor = current_node(), current_actor()
    view = encounters.read_encounter(node, actor, encounter_id)
    page = tray.look(node, actor, most=tray.BESIDE)
    html = render_template(
        "vehicle/_tray.html",
        tray=[_waiting_reading(view) for view in page.readings],
        tray_count=page.count,
        encounter=view,
        patient=view.patient,
    )
    return jsonify(ok=True, html=html)


def _page(
    encounter_id: str,
    *,
    typed: dict[str, str] | None = None,
    faults: list[tuple[str | None, str]] | None = None,
    step: str = "",
) -> str:
    node, actor = current_node(), current_actor()
    page = history.look_at_encounter(node, actor, encounter_id)
    asked = step or request.args.get("step", "")
    locale = get_locale()
    return render_template(
        "vehicle/encounter.html",
        page=page,
        encounter=page.encounter,
        patient=page.encounter.patient,
        step=asked if asked in STEPS else _first_step(page),
        tiles=[_tile(view) for view in page.readings if view["status"] != "cancelled"],
        cancelled=[vital(view) for view in page.readings if view["status"] == "cancelled"],
        empty_tiles=[empty_tile(view) for view in page.previous.values()],
        waiting=sum(view["status"] == "preliminary" for view in page.readings),
        tray=[_waiting_reading(view) for view in page.unassigned],
        tray_count=page.unassigned_count,
        cards=devices.cards(node),
        entry=_entry_fields(),
        typed=typed or {},
        faults=faults or [],
        errors=dict(faults or []),
        panels=encounter_panels(node, page, locale.language if locale else "zh"),
        vitals_of=lambda visit: [vital(view) for view in visit.readings],
        clock=clock,
        day_of=day,
        tile_label=tile_label,
    )


def _waiting_reading(view: dict[str, Any]) -> dict[str, Any]:
    """A reading of the tray; `why` says why it went there."""
    why = [said(mark["label"]) for mark in view["marks"] if "code" not in mark]
    return tile(view) | {"why": "; ".join(why), "received_at": view["received_at"]}


def _tile(view: dict[str, Any]) -> dict[str, Any]:
    """A tile; one that asks to be accepted says whose value it is taken for."""
    person = view["patient"]
    if view["status"] != "preliminary" or not person:
        return tile(view)
    return tile(view) | {"sentence": _("For %(name)s, %(age)s", name=person["name"], age=person["age"])}


def _first_step(page: EncounterPage) -> str:
    if not page.encounter.is_open:
        return "finish"
    return "vitals" if page.encounter.reason else "reason"


def _entry_fields() -> list[dict[str, Any]]:
    """The manual form: a group for each kind with its fields."""
    groups = []
    for key in MANUAL_KINDS:
        kind = measurement.KINDS[key]
        groups.append(
            {
                "kind": key,
                "label": _(kind.label),
                "fields": [
                    {
                        "name": f"{key}.{component.key}",
                        "label": _(component.label),
                        "unit": unit(UNITS[component.unit]),
                        "decimals": component.decimals,
                    }
                    for component in kind.components
                    if component.key != "mean" and not (key == "spo2" and component.key == "pulse_rate")
                ],
            }
        )
    return groups


def _texts() -> dict[str, Any]:
    names = ("reason", "notes", "version")
    return {name: request.form[name] for name in names if name in request.form}


def _done(encounter_id: str) -> Response:
    if wants_json():
        return jsonify(ok=True)
    return redirect(url_for(".show", encounter_id=encounter_id, step="vitals"))
