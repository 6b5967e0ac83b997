"""Today: the stop, a search field that also takes a card reader, who is here to be seen, what is open."""

from __future__ import annotations

from flask import Blueprint, render_template

from teleconsult.domain.roles import Role
from teleconsult.http.reading_tiles import clock, day
from teleconsult.http.security import allow, current_actor, current_node
from teleconsult.services import measuring, observations, rounds

bp = Blueprint("today", __name__)


@bp.get("/today")
@allow(Role.VEHICLE_DOCTOR)
def index() -> str:
    """The day's work."""
    node, actor = current_node(), current_actor()
    target = measuring.target_patient(node)
    return render_template(
        "vehicle/today.html",
        today=rounds.look_at_today(node, actor),
        target=target[1] if target else None,
        unassigned=observations.unassigned_count(node),
        clock=clock,
        day_of=day,
    )
