"""The vehicle's devices: cards, a search for new ones, names, tests."""

from __future__ import annotations

from flask import Blueprint, flash, jsonify, redirect, render_template, request, url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from teleconsult.domain.roles import Role
from teleconsult.http.reading_tiles import clock, day
from teleconsult.http.security import allow, current_actor, current_node, wants_json
from teleconsult.services import devices, measuring

bp = Blueprint("devices", __name__)


@bp.get("/devices")
@allow(Role.VEHICLE_DOCTOR)
def index() -> str:
    """All devices of the vehicle, and those found by the last search."""
    node = current_node()
    locale = get_locale()
    target = measuring.target_patient(node)
    return render_template(
        "vehicle/devices.html",
        cards=devices.cards(node),
        found=devices.found_devices(node),
        readers=devices.offered_readers(node),
        target=target[1] if target else None,
        spoken=locale.language if locale else "zh",
        seconds=int(devices.SEARCH_SECONDS),
        clock=clock,
        day_of=day,
    )


@bp.post("/devices/search")
@allow(Role.VEHICLE_DOCTOR)
def search() -> Response:
    """Look for devices of one sort: field `reader` is "<plugin>/<reader>"."""
    plugin, _slash, reader = request.form.get("reader", "").rpartition("/")
    devices.search_devices(current_node(), current_actor(), plugin, reader)
    return _answer()


@bp.post("/devices")
@allow(Role.VEHICLE_DOCTOR)
def add() -> Response:
    """Make a found device the vehicle's own."""
    form = request.form
    card = devices.add_device(
        current_node(),
        current_actor(),
        form.get("plugin", ""),
        form.get("reader", ""),
        form.get("device_id", ""),
        name=form.get("name", ""),
    )
    flash(_("%(name)s belongs to this vehicle now.", name=card.name), "ok")
    return _answer()


@bp.post("/devices/<assignment_id>/name")
@allow(Role.VEHICLE_DOCTOR)
def rename(assignment_id: str) -> Response:
    """Call it something else."""
    devices.rename_device(current_node(), current_actor(), assignment_id, request.form.get("name", ""))
    return _answer()


@bp.post("/devices/<assignment_id>/forget")
@allow(Role.VEHICLE_DOCTOR)
def forget(assignment_id: str) -> Response:
    """It no longer belongs to the vehicle."""
    name = devices.forget_device(current_node(), current_actor(), assignment_id)
    flash(_("%(name)s no longer belongs to this vehicle. Its readings are kept.", name=name), "ok")
    return _answer()


@bp.post("/devices/<assignment_id>/test")
@allow(Role.VEHICLE_DOCTOR)
def test(assignment_id: str) -> Response:
    """Its next value is a test and belongs to nobody."""
    devices.test_device(current_node(), current_actor(), assignment_id)
    return _answer()


@bp.post("/devices/<assignment_id>/end-test")
@allow(Role.VEHICLE_DOCTOR)
def end_test(assignment_id: str) -> Response:
    """What it measures counts again."""
    devices.end_test(current_node(), current_actor(), assignment_id)
    return _answer()


@bp.post("/devices/<assignment_id>/fetch")
@allow(Role.VEHICLE_DOCTOR)
def fetch(assignment_id: str) -> Response:
    """Have it hand over what it stored."""
    devices.command_device(current_node(), current_actor(), assignment_id, "fetch")
    return _answer()


def _answer() -> Response:
    return jsonify(ok=True) if wants_json() else redirect(url_for(".index"))
