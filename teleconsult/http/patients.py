"""People: find, register, correct, and the page of a person."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, jsonify, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from teleconsult.domain.people import site_today
from teleconsult.domain.roles import Role
from teleconsult.http.forms import Faults, submit
from teleconsult.http.reading_tiles import clock, day, vital
from teleconsult.http.security import allow, current_actor, current_node, wants_json
from teleconsult.services import history, patients, rounds, search
from teleconsult.services.node import Node
from teleconsult.services.patients import AlreadyRegistered, PersonInput, PossibleDuplicates
from teleconsult.store.tables import Patient

bp = Blueprint("patients", __name__)

TEXTS = ("resident_id", "address", "phone", "insurance_number", "allergies", "note")


@bp.get("/patients")
@allow(Role.VEHICLE_DOCTOR)
def index() -> str:
    """Everybody of a village: today's, or the one chosen."""
    node, actor = current_node(), current_actor()
    village_id = request.args.get("village") or rounds.stop_village_id(node)
    people = rounds.people_of_village(node, actor, village_id) if village_id else []
    return render_template(
        "vehicle/people.html",
        village_options=_village_options(node),
        village_id=village_id,
        people=people,
        result=None,
        query="",
        day_of=day,
    )


@bp.post("/patients/search")
@allow(Role.VEHICLE_DOCTOR)
def find() -> str | Response:
    """Find people. Posted, so that ID numbers stand in no address and no log.

    A whole ID number (a card reader types it and presses Enter) leads straight to the person.
    """
    node, actor = current_node(), current_actor()
    query = str(_posted().get("q", ""))[:200]
    result = search.search_people(node, actor, query, near_village_id=rounds.stop_village_id(node))
    if wants_json():
        return jsonify(ok=True, people=[_row(person) for person in result.people], more=result.more)
    if result.exact:
        return redirect(url_for(".show", patient_id=result.people[0].id))
    return render_template(
        "vehicle/people.html",
        village_options=_village_options(node),
        village_id=None,
        people=[],
        result=result,
        query=query,
        is_number=search.whole_number(query) is not None,
        day_of=day,
    )


@bp.route("/patients/new", methods=["GET", "POST"])
@allow(Role.VEHICLE_DOCTOR)
def new() -> str | Response | tuple[str, int]:
    """The register form. `begin` of the search page brings what was searched for."""
    node, actor = current_node(), current_actor()
    if request.method == "GET" or request.form.get("begin"):
        village_id = rounds.stop_village_id(node) or ""
        begun = search.whole_number(request.form.get("begin", ""))
        return _form({"village_id": village_id, "resident_id": begun or ""})
    others = request.form.getlist("confirmed")
    return _save(lambda person: patients.register_patient(node, actor, person, confirmed_others=others))


@bp.route("/patients/<patient_id>/edit", methods=["GET", "POST"])
@allow(Role.VEHICLE_DOCTOR)
def edit(patient_id: str) -> str | Response | tuple[str, int]:
    """Correct a record: a new version."""
    node, actor = current_node(), current_actor()
    row = patients.read_patient(node, actor, patient_id)
    if request.method == "GET":
        return _form(_values(row), row)
    version = int(request.form.get("version") or 0)
    return _save(lambda person: patients.correct_patient(node, actor, patient_id, person, version=version), row)


@bp.get("/patients/<patient_id>")
@allow(Role.VEHICLE_DOCTOR)
def show(patient_id: str) -> str:
    """A person: who they are and what was seen before."""
    page = history.look_at_person(current_node(), current_actor(), patient_id)
    return render_template(
        "vehicle/person.html",
        page=page,
        patient=page.summary,
        vitals_of=lambda visit: [vital(view) for view in visit.readings],
        clock=clock,
        day_of=day,
    )


def _save(save: Any, row: Patient | None = None) -> str | Response | tuple[str, int]:
    found: dict[str, Any] = {}

    def work() -> Any:
        try:
            return save(_person())
        except (AlreadyRegistered, PossibleDuplicates) as error:
            found["error"] = error
            raise

    saved, faults = submit(work)
    if saved is None:
        values = {**request.form.to_dict(), "conditions": request.form.getlist("conditions")}
        return _form(values, row, faults, found.get("error")), 409 if "error" in found else 422
    flash(_("Saved: %(name)s.", name=saved.name), "ok")
    return redirect(url_for(".show", patient_id=saved.id))


def _person() -> PersonInput:
    form = request.form
    values: dict[str, Any] = {name: form.get(name, "") for name in TEXTS}
    for name in ("sex", "birth_date", "village_id"):
        values[name] = form.get(name, "").strip() or None
    return PersonInput.model_validate(
        {
            **values,
            "name": form.get("name", ""),
            "pregnant": "pregnant" in form,
            "conditions": tuple(form.getlist("conditions")),
        }
    )


def _form(values: dict[str, Any], row: Patient | None = None, faults: Faults | None = None, error: Any = None) -> str:
    node = current_node()
    duplicates = error.people if isinstance(error, PossibleDuplicates) else ()
    return render_template(
        "vehicle/person_form.html",
        values=values,
        errors=dict(faults or []),
        faults=[fault for fault in faults or [] if not duplicates],
        duplicates=duplicates,
        taken=error.patient if isinstance(error, AlreadyRegistered) else None,
        row=row,
        patient=patients.read_summary(node, current_actor(), row.record_id) if row else None,
        village_options=_village_options(node),
        condition_options=[(code, _(name)) for code, name in patients.CONDITIONS.items()],
        today=site_today(node.clock()),
    )


def _village_options(node: Node) -> list[tuple[str, str]]:
    return [(village.id, f"{village.name} ({village.township})") for village in patients.villages(node)]


def _values(row: Patient) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) or "" for name in (*TEXTS, "name", "sex", "village_id")},
        "birth_date": row.birth_date.isoformat(),
        "pregnant": row.pregnant,
        "conditions": [condition["code"] for condition in row.conditions],
    }


def _row(person: patients.PatientSummary) -> dict[str, Any]:
    return {
        "url": url_for(".show", patient_id=person.id),
        "name": person.name,
        "sex": _(person.sex_name),
        "age": person.age,
        "village": person.village,
        "id_tail": person.id_tail,
        "alerts": [_(alert.label) + (f" {alert.text}" if alert.text else "") for alert in person.alerts],
        "conditions": [_(condition) for condition in person.conditions],
    }


def _posted() -> dict[str, Any]:
    if request.is_json:
        data = request.get_json(silent=True)
        return data if isinstance(data, dict) else {}
    return request.form.to_dict()
