"""A person's readings over the visits, as a page and as one sheet to print, in Chinese or English.

On the vehicle by person; for a specialist by consult, with the same rules as the consult's record.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask_babel import force_locale
from flask_babel import gettext as _

from teleconsult.domain.errors import N_
from teleconsult.domain.roles import Role
from teleconsult.http import consult_words as words
from teleconsult.http.auth import LANGUAGES
from teleconsult.http.reading_tiles import clock, day, marks, said, tile_label, unit
from teleconsult.http.security import allow, current_actor, current_node
from teleconsult.services.trends import Span, TrendsPage, look_at_consult_trends, look_at_trends

bp = Blueprint("trends", __name__)
person_bp = Blueprint("person_trends", __name__)
"""On a vehicle only."""

SPAN_NAMES = {Span.QUARTER: N_("3 months"), Span.YEAR: N_("12 months"), Span.ALL: N_("everything")}
COLUMNS = (
    ("blood_pressure", N_("Blood pressure")),
    ("fasting_glucose", N_("Fasting glucose")),
    ("glucose", N_("Glucose, not fasting")),
    ("body_weight", N_("Weight")),
    ("spo2", N_("SpO2")),
    ("body_temperature", N_("Body temperature")),
)
PERSON = ("person_trends.of_person", "person_trends.print_person")
CONSULT = ("trends.of_consult", "trends.print_consult")
"""(page, sheet)"""

PRINTED_DAYS = 14
"""So many days with readings fit on one sheet below the curves."""


@person_bp.get("/patients/<patient_id>/trends")
@allow(Role.VEHICLE_DOCTOR)
def of_person(patient_id: str) -> str:
    """The page on the vehicle. `?encounter=` is where the way back leads."""
    page = look_at_trends(current_node(), current_actor(), patient_id, _span())
    encounter_id = request.args.get("encounter", "")
    if encounter_id:
        back = url_for("encounters.show", encounter_id=encounter_id, step="vitals")
    else:
        back = url_for("patients.show", patient_id=patient_id)
    return _html(page, back, {"patient_id": patient_id, "encounter": encounter_id or None}, PERSON)


@person_bp.get("/patients/<patient_id>/trends/print")
@allow(Role.VEHICLE_DOCTOR)
def print_person(patient_id: str) -> str:
    """The sheet, in the language asked for (`?language=`) or the person's own."""
    page = look_at_trends(current_node(), current_actor(), patient_id, _span())
    return _sheet(page, {"patient_id": patient_id, "encounter": request.args.get("encounter")}, PERSON)


@bp.get("/consults/<uuid:consult_id>/trends")
@allow(Role.VEHICLE_DOCTOR, Role.SPECIALIST)
def of_consult(consult_id: UUID) -> str:
    """The page for those who see all of the consult."""
    page = look_at_consult_trends(current_node(), current_actor(), str(consult_id), _span())
    back = url_for("consults.show", consult_id=consult_id)
    return _html(page, back, {"consult_id": consult_id}, CONSULT)


@bp.get("/consults/<uuid:consult_id>/trends/print")
@allow(Role.VEHICLE_DOCTOR, Role.SPECIALIST)
def print_consult(consult_id: UUID) -> str:
    """The sheet for those who see all of the consult."""
    page = look_at_consult_trends(current_node(), current_actor(), str(consult_id), _span())
    return _sheet(page, {"consult_id": consult_id}, CONSULT)


def _span() -> Span:
    asked = request.args.get("span", "")
    return Span(asked) if asked in list(Span) else Span.YEAR


def _html(page: TrendsPage, back: str, where: dict[str, Any], routes: tuple[str, str]) -> str:
    return render_template(
        "trends/page.html",
        page=page,
        patient=page.patient,
        back=back,
        spans=[
            {"label": _(name), "href": url_for(routes[0], span=span, **where), "active": span is page.span}
            for span, name in SPAN_NAMES.items()
        ],
        print_url=url_for(routes[1], span=page.span, **where),
        **_shared(page),
    )


def _sheet(page: TrendsPage, where: dict[str, Any], routes: tuple[str, str]) -> str:
    def draw(language: str | None) -> str:
        more = {"language": language} if language else {}
        return render_template(
            "trends/print.html",
            page=page,
            patient=page.patient,
            back=url_for(routes[0], span=page.span, **where),
            span_name=_(SPAN_NAMES[page.span]),
            other_language=lambda code: url_for(routes[1], span=page.span, language=code, **where),
            columns=[(key, said(label)) for key, label in COLUMNS if any(key in v.readings for v in page.visits)],
            visits=page.visits[:PRINTED_DAYS],
            more_visits=max(0, len(page.visits) - PRINTED_DAYS),
            years=words.years,
            when=words.when,
            **_shared(page),
            **more,
        )

    language = request.args.get("language", "")
    if language not in LANGUAGES:
        return draw(None)
    with force_locale(language):
        return draw(language)


def _shared(page: TrendsPage) -> dict[str, Any]:
    return {
        "data": {
            "since": page.since.isoformat() if page.since else None,
            "until": page.until.isoformat(),
            "trends": [{"kind": t.kind, "readings": t.readings, "targets": t.targets} for t in page.trends],
        },
        "clock": clock,
        "day_of": day,
        "unit": unit,
        "marks": marks,
        "label_of": tile_label,
        "pulse_of": lambda view: next((c["value"] for c in view["components"] if c["key"] == "pulse_rate"), ""),
    }
