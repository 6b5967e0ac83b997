"""Every error as one plain sentence: a page for a person, `{ok: false, code, sentence, field}` for a module."""

from __future__ import annotations

from typing import Any

import structlog
from flask import Flask, jsonify, render_template
from flask_babel import gettext
from flask_wtf.csrf import CSRFError
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from teleconsult.domain.errors import N_, TeleconsultError, unpack
from teleconsult.http.security import wants_json
from teleconsult.services.field_names import NAMED, UNNAMED, first_fault

log = structlog.get_logger(__name__)

HTTP_SENTENCES = {
    400: N_("The request could not be read. Nothing was changed."),
    404: N_("There is no such page. It may have moved, or the address is mistyped."),
    405: N_("This address cannot be used in this way."),
    413: N_("The file is too large. Nothing was stored."),
    415: N_("This kind of file is not taken."),
    429: N_("Too many tries. Wait a little and try again."),
}
UNEXPECTED = N_("Something went wrong here. What was stored is safe; the fault was noted for the administrator.")


def sentence_of(error: TeleconsultError) -> str:
    """The error's sentence in the person's language."""
    return str(gettext(error.message, **error.params))


def carried_sentence(carried: str) -> str:
    """What another node said, in this person's language (`TeleconsultError.carry`)."""
    message, params = unpack(carried)
    return str(gettext(message, **params)) if message else ""


def validation_sentence(error: ValidationError) -> tuple[str, str | None]:
    """One sentence for the first thing wrong with a payload, naming the field by its label, and the field's path."""
    path, label = first_fault(error)
    if label is None:
        return gettext(UNNAMED), path
    return gettext(NAMED, field=gettext(label)), path


def init_app(app: Flask) -> None:
    """Register the handlers."""

    @app.errorhandler(TeleconsultError)
    def _own(error: TeleconsultError) -> tuple[Response | str, int]:
        return answer(error.status, error.code, sentence_of(error), getattr(error, "field", None))

    @app.errorhandler(ValidationError)
    def _invalid(error: ValidationError) -> tuple[Response | str, int]:
        sentence, field = validation_sentence(error)
        return answer(422, "invalid", sentence, field)

    @app.errorhandler(CSRFError)
    def _csrf(error: CSRFError) -> tuple[Response | str, int]:
        return answer(400, "csrf", gettext("This page was open for too long. Load it again; nothing was changed."))

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> tuple[Response | str, int]:
        status = error.code or 500
        return answer(status, f"http_{status}", gettext(HTTP_SENTENCES.get(status, UNEXPECTED)))

    @app.errorhandler(Exception)
    def _unexpected(error: Exception) -> tuple[Response | str, int]:
        log.exception("unexpected error", error=type(error).__name__)
        return answer(500, "unexpected", gettext(UNEXPECTED))


def answer(status: int, code: str, sentence: str, field: str | None = None) -> tuple[Response | str, int]:
    """The error in the form the caller reads."""
    if wants_json():
        body: dict[str, Any] = {"ok": False, "code": code, "sentence": sentence}
        if field:
            body["field"] = field
        return jsonify(body), status
    return render_template("error.html", status=status, sentence=sentence), status
