"""The call page and the check before the call. What happens in a call goes over the socket: teleconsult.live."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from teleconsult.domain.roles import Role
from teleconsult.http.security import allow, current_actor, current_node
from teleconsult.services.call_pages import read_call

bp = Blueprint("calls", __name__)


@bp.get("/consults/<uuid:consult_id>/call")
@allow(Role.VEHICLE_DOCTOR, Role.SPECIALIST)
def show(consult_id: object) -> str:
    """The call: pictures, vitals, chat and images. Opening it enters a call that runs."""
    call = read_call(current_node(), current_actor(), str(consult_id))
    return render_template("call/page.html", call=call, patient=call.patient)


@bp.get("/call-check")
@allow(Role.VEHICLE_DOCTOR, Role.SPECIALIST)
def check() -> str:
    """Camera, microphone, speaker and the way to the hub; then back to where the person came from."""
    back = request.args.get("back", "")
    here = back if back.startswith("/") and not back.startswith(("//", "/\\")) else ""
    return render_template("call/check.html", back=here)
