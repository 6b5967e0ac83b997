"""The coordinator's board, and giving a consult to a named specialist."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from teleconsult.domain.consult import Action
from teleconsult.domain.network import SPECIALTIES
from teleconsult.domain.roles import Role
from teleconsult.http.consult_words import waited, years
from teleconsult.http.forms import Faults, submit
from teleconsult.http.security import allow, current_actor, current_node
from teleconsult.services import consults
from teleconsult.services.board import look_at_board, look_at_consult

bp = Blueprint("board", __name__, url_prefix="/board")


@bp.get("")
@allow(Role.COORDINATOR)
def index() -> str:
    """The whole board; web/js/board.js fetches it again when something changes."""
    return render_template("board/index.html", board=look_at_board(current_node(), current_actor()), **_words())


@bp.get("/consults/<uuid:consult_id>")
@allow(Role.COORDINATOR)
def consult(consult_id: UUID) -> str:
    """One consult and who could take it."""
    return _page(str(consult_id), {}, [])


@bp.post("/consults/<uuid:consult_id>/reassign")
@allow(Role.COORDINATOR)
def reassign(consult_id: UUID) -> Response | tuple[str, int]:
    """Give the consult to a named specialist, with a reason."""
    chosen, text = request.form.get("specialist_id", ""), request.form.get("text", "")
    saved, faults = submit(
        lambda: consults.take_step(
            current_node(), current_actor(), str(consult_id), Action.REASSIGN, text, specialist_id=chosen
        )
    )
    if saved is None:
        return _page(str(consult_id), {"specialist_id": chosen, "text": text}, faults), 422
    flash(_("%(number)s is given to %(name)s.", number=saved.number, name=saved.specialist_name), "ok")
    return redirect(url_for("board.index"))


def _page(consult_id: str, values: dict[str, str], faults: Faults) -> str:
    line, people = look_at_consult(current_node(), current_actor(), consult_id)
    return render_template(
        "board/consult.html",
        line=line,
        people=people,
        values=values,
        faults=faults,
        now=current_node().clock(),
        patient={
            "name": line.patient.name,
            "sex_name": _(line.patient.sex_name),
            "age": years(line.patient.age),
            "village": line.patient.village,
            "id_tail": line.patient.id_tail,
        },
        **_words(),
    )


def _words() -> dict[str, Any]:
    specialties = {code: _(name) for code, name in SPECIALTIES.items()}
    return {"specialties": specialties, "waited": waited, "years": years}
