"""Clinic vehicles, their keys, and the stops of their rounds."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from teleconsult.domain.people import site_today
from teleconsult.http.admin import administrators, bp
from teleconsult.http.admin.places import organization_options
from teleconsult.http.forms import Faults, read_form, submit
from teleconsult.http.security import current_actor, current_node
from teleconsult.plugin_host import translate_fault
from teleconsult.services import directory, vehicle_plugins
from teleconsult.store.tables import Vehicle

DAYS = 14
"""Days of the round plan on one page."""


@bp.get("/vehicles")
@administrators
def vehicles() -> str:
    """All vehicles, with link and key."""
    node = current_node()
    names = {branch.organization.id: branch.organization.name for branch in directory.list_organizations(node)}
    rows = directory.list_vehicles(node)
    online = {row.id: node.links.online_since(row.id) for row in rows}
    attention = {row.id for row in rows if any(p.needs_a_person for p in vehicle_plugins.of_vehicle(node, row.id))}
    return render_template("admin/vehicles.html", vehicles=rows, names=names, online=online, attention=attention)


@bp.get("/vehicles/new")
@administrators
def new_vehicle() -> str:
    """The form for a new vehicle."""
    return _vehicle({"active": True}, [])


@bp.get("/vehicles/<vehicle_id>")
@administrators
def vehicle(vehicle_id: str) -> str:
    """One vehicle."""
    row = directory.get(current_node(), Vehicle, vehicle_id)
    return _vehicle(row.model_dump(), [], row)


@bp.post("/vehicles/new", defaults={"vehicle_id": None})
@bp.post("/vehicles/<vehicle_id>")
@administrators
def save_vehicle(vehicle_id: str | None) -> Response | tuple[str, int]:
    """Create or change a vehicle."""
    node, actor = current_node(), current_actor()
    saved, faults = submit(
        lambda: directory.save_vehicle(node, actor, read_form(directory.VehicleForm, ticks=("active",)), vehicle_id)
    )
    if saved is None:
        row = directory.get(node, Vehicle, vehicle_id) if vehicle_id else None
        return _vehicle(request.form.to_dict(), faults, row), 422
    flash(_("%(name)s is saved.", name=saved.name), "ok")
    return redirect(url_for("admin.vehicle", vehicle_id=saved.id))


@bp.post("/vehicles/<vehicle_id>/key")
@administrators
def make_key(vehicle_id: str) -> str:
    """Make a new key and show it, this once."""
    node = current_node()
    key = directory.make_vehicle_key(node, current_actor(), vehicle_id)
    row = directory.get(node, Vehicle, vehicle_id)
    return render_template(
        "admin/secret.html",
        title=_("Key of %(name)s", name=row.name),
        what=_(
            "Set it on the vehicle's computer as TELECONSULT_VEHICLE_KEY, then start the vehicle node. "
            "An older key no longer works."
        ),
        secret=key,
        back=url_for("admin.vehicle", vehicle_id=vehicle_id),
    )


@bp.post("/vehicles/<vehicle_id>/key/revoke")
@administrators
def revoke_key(vehicle_id: str) -> Response:
    """Make the key worthless: the vehicle was stolen or leaves service."""
    directory.revoke_vehicle_key(current_node(), current_actor(), vehicle_id)
    flash(_("The key is revoked. The vehicle is off line until it gets a new one."), "ok")
    return redirect(url_for("admin.vehicle", vehicle_id=vehicle_id))


@bp.get("/rounds")
@administrators
def rounds() -> str:
    """Two weeks of the round plan."""
    return _rounds({}, [])


@bp.post("/rounds")
@administrators
def add_stop() -> Response | tuple[str, int]:
    """Plan a stop. The form keeps vehicle and day: a round is several villages in a row."""
    saved, faults = submit(lambda: directory.save_stop(current_node(), current_actor(), read_form(directory.StopForm)))
    if saved is None:
        return _rounds(request.form.to_dict(), faults), 422
    flash(_("The stop is planned."), "ok")
    first = request.form.get("first")
    return redirect(url_for("admin.rounds", vehicle_id=saved.vehicle_id, day=saved.day.isoformat(), first=first))


@bp.post("/rounds/<stop_id>/cancel")
@administrators
def cancel_stop(stop_id: str) -> Response:
    """Take a stop out of the plan."""
    stop = directory.cancel_stop(current_node(), current_actor(), stop_id)
    flash(_("The stop is taken out of the plan."), "ok")
    return redirect(url_for("admin.rounds", first=request.form.get("first") or stop.day.isoformat()))


def _vehicle(values: dict[str, Any], faults: Faults, row: Vehicle | None = None) -> str:
    node = current_node()
    return render_template(
        "admin/vehicle.html",
        values=values,
        faults=faults,
        row=row,
        organization_options=organization_options(),
        online=node.links.online_since(row.id) if row else None,
        plugins=[_plugin(one) for one in vehicle_plugins.of_vehicle(node, row.id)] if row else [],
    )


def _plugin(told: vehicle_plugins.ToldPlugin) -> dict[str, Any]:
    """A vehicle's plugin in words."""
    status = told.known_status
    locale = get_locale()
    return {
        "title": (told.title_en if locale and locale.language == "en" else told.title_zh) or told.name,
        "told": told,
        "level": "danger" if told.needs_a_person else ("ok" if told.status == "enabled" else "off"),
        "status": _(status.label) if status else told.status,
        "fault": translate_fault(told.last_error, _),
    }


def _rounds(values: dict[str, Any], faults: Faults) -> str:
    node = current_node()
    today = site_today(node.clock())
    first = _day(request.values.get("first")) or today
    defaults = {"vehicle_id": request.args.get("vehicle_id", ""), "day": request.args.get("day", today.isoformat())}
    return render_template(
        "admin/rounds.html",
        values={**defaults, **values},
        faults=faults,
        stops=directory.list_stops(node, first, DAYS),
        first=first,
        last=first + timedelta(days=DAYS - 1),
        earlier=first - timedelta(days=DAYS),
        later=first + timedelta(days=DAYS),
        today=today,
        vehicle_options=[(row.id, row.name) for row in directory.list_vehicles(node) if row.active],
        village_options=[(row.id, f"{row.township} {row.name}") for row in directory.list_villages(node)],
    )


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None
