"""The specialist's queue: what waits, by urgency and then by waiting time, and what is in hand."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask_babel import gettext as _

from teleconsult.domain.network import SPECIALTIES
from teleconsult.domain.roles import Role
from teleconsult.http import consult_words as words
from teleconsult.http.security import allow, current_actor, current_node
from teleconsult.services.consult_views import ConsultLine, specialist_queue

bp = Blueprint("queue", __name__)


@bp.get("/queue")
@allow(Role.SPECIALIST)
def index() -> str:
    """The queue."""
    actor = current_actor()
    waiting, hand = _lists()
    own = actor.specialty or ""
    return render_template(
        "consult/queue.html",
        rows=waiting,
        hand=hand,
        specialty=_specialty(),
        own=own,
        own_name=_(SPECIALTIES[own]) if own in SPECIALTIES else "",
    )


@bp.get("/queue/rows")
@allow(Role.SPECIALIST)
def rows() -> str:
    """The two lists alone, for a page that keeps itself true."""
    waiting, hand = _lists()
    return render_template("consult/_queue_rows.html", rows=waiting, hand=hand)


def _lists() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    waiting, hand = specialist_queue(current_node(), current_actor(), specialty=_specialty())
    return _rows(waiting), _rows(hand)


def _specialty() -> str:
    chosen = request.args.get("specialty", "")
    return chosen if chosen in SPECIALTIES else ""


def _rows(lines: list[ConsultLine]) -> list[dict[str, Any]]:
    now = current_node().clock()
    return [
        words.queue_row(
            line,
            url_for("consults.show", consult_id=line.consult.id),
            now,
            _(SPECIALTIES.get(line.consult.specialty, line.consult.specialty)),
        )
        for line in lines
    ]
