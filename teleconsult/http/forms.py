"""Forms of fields: read them into a pydantic model, and say at each field what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import request
from flask_babel import gettext as _
from pydantic import BaseModel, ValidationError

from teleconsult.domain.errors import Conflict, InvalidInput
from teleconsult.http.errors import sentence_of

Form = TypeVar("Form", bound=BaseModel)
Saved = TypeVar("Saved")

Faults = list[tuple[str | None, str]]
"""(field, sentence), in the order of the form."""


def read_form(model: type[Form], *, ticks: tuple[str, ...] = ()) -> Form:
    """The posted fields as a model. Empty fields count as not given; `ticks` are tick boxes, off when absent.

    Raises ValidationError.
    """
    values: dict[str, Any] = {name: value for name, value in request.form.items() if value.strip()}
    for name in ticks:
        values[name] = name in request.form
    return model.model_validate({name: values[name] for name in model.model_fields if name in values})


def submit(save: Callable[[], Saved]) -> tuple[Saved | None, Faults]:
    """Do what the form asks for; what a person can mend in the form comes back as faults."""
    try:
        return save(), []
    except ValidationError as error:
        return None, [_fault(found) for found in error.errors(include_url=False, include_input=False)]
    except (InvalidInput, Conflict) as error:
        return None, [(getattr(error, "field", None), sentence_of(error))]


def _fault(found: Any) -> tuple[str, str]:
    field = str(found["loc"][0]) if found["loc"] else ""
    if found["type"] == "missing":
        return field, _("Fill in this field.")
    if found["type"] == "string_too_long":
        return field, _("At most %(count)s characters.", count=found["ctx"]["max_length"])
    return field, _("This cannot be used here. Check it.")
