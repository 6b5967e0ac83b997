"""The consultation record as a page to print: A4, in Chinese or English."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, render_template, request
from flask_babel import force_locale
from flask_babel import gettext as _

from teleconsult.domain.network import SPECIALTIES
from teleconsult.domain.roles import Role
from teleconsult.http import consult_words as words
from teleconsult.http.auth import LANGUAGES
from teleconsult.http.reading_tiles import unit, vital
from teleconsult.http.security import allow, current_actor, current_node
from teleconsult.services.consults import GIVERS, WAYS_OF_CONSENT
from teleconsult.services.patients import SEX_NAMES
from teleconsult.services.record import consult_record

bp = Blueprint("record", __name__)


@bp.get("/consults/<uuid:consult_id>/record")
@allow(Role.VEHICLE_DOCTOR, Role.SPECIALIST)
def show(consult_id: UUID) -> str:
    """The record, in the language asked for (`?language=`) or the person's own."""
    record = consult_record(current_node(), current_actor(), str(consult_id))
    language = request.args.get("language", "")
    if language not in LANGUAGES:
        return _page(record, None)
    with force_locale(language):
        return _page(record, language)


def _page(record: object, language: str | None) -> str:
    more = {"language": language} if language else {}
    return render_template(
        "consult/record.html",
        record=record,
        specialties=SPECIALTIES,
        sexes=SEX_NAMES,
        givers=GIVERS,
        ways=WAYS_OF_CONSENT,
        vital=vital,
        unit=unit,
        when=words.when,
        clock=words.clock,
        day=words.day,
        years=words.years,
        minutes=lambda length: _("%(count)s min", count=max(1, round(length.total_seconds() / 60))),
        **more,
    )
