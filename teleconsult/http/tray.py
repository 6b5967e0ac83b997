"""The tray: readings that wait for a person to say whose they are."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from teleconsult.domain.errors import N_, InvalidInput
from teleconsult.domain.roles import Role
from teleconsult.http.reading_tiles import day, tile
from teleconsult.http.security import allow, current_actor, current_node
from teleconsult.services import encounters, tray

bp = Blueprint("tray", __name__)


@bp.get("/unassigned")
@allow(Role.VEHICLE_DOCTOR)
def index() -> str:
    """A page of the tray, those that came last first: `?page=2`."""
    node, actor = current_node(), current_actor()
    page = tray.look(node, actor, request.args.get("page", 1, type=int))
    return render_template(
        "vehicle/unassigned.html",
        page=page,
        tray=[tile(view) for view in page.readings],
        encounters=encounters.being_seen(node, actor),
        day_of=day,
    )


@bp.post("/unassigned/put-away")
@allow(Role.VEHICLE_DOCTOR)
def put_away() -> Response:
    """All that one device had in the tray when the page was drawn is nobody's: fields device_id, name, seen."""
    form = request.form
    try:
        seen = datetime.fromisoformat(form.get("seen", ""))
    except ValueError:
        seen = None
    if seen is None or seen.tzinfo is None:
        raise InvalidInput(N_("Load the page again, then say it once more."), field="seen")
    count = tray.put_away(current_node(), current_actor(), form.get("device_id", ""), seen=seen)
    flash(
        _("%(count)s readings of %(name)s were put away. They are kept.", count=count, name=form.get("name", "")), "ok"
    )
    return redirect(url_for(".index"))
