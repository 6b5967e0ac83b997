"""Numbers that a person read off an instrument and typed: what is taken, what is refused and with which words."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from teleconsult.domain import measurement
from teleconsult.domain.errors import N_, InvalidInput
from teleconsult.services.observation_views import UNITS, number

MANUAL_KINDS = (
    "blood_pressure",
    "spo2",
    "body_temperature",
    "glucose",
    "body_weight",
    "body_height",
    "respiratory_rate",
)
"""What can be typed in, in the order of the form."""


def typed_components(kind: str, typed: Mapping[str, str]) -> list[dict[str, Any]]:
    """The kind's components from what was typed, [] if nothing was. Units are the kind's own, never converted.

    Raises InvalidInput, with "<kind>.<component>" as field, when a number is missing, no number, or outside what
    devices of this sort can measure.
    """
    if kind not in MANUAL_KINDS:
        raise InvalidInput(N_("This kind of reading cannot be typed in."), field="kind")
    found = measurement.kind(kind)
    texts = {key: unicodedata.normalize("NFKC", text).strip() for key, text in typed.items()}
    if not any(texts.values()):
        return []
    numbers: dict[str, Decimal] = {}
    for component in found.components:
        text = texts.get(component.key, "")
        if text:
            numbers[component.key] = _number(component, text, f"{kind}.{component.key}")
        elif component in found.required:
            raise InvalidInput(
                N_("Enter a number in %(unit)s."), field=f"{kind}.{component.key}", unit=UNITS[component.unit]
            )
    components = [
        {"code": c.code, "value": number(numbers[c.key]), "unit": c.unit} for c in found.components if c.key in numbers
    ]
    measurement.check_components(kind, [str(c["code"]) for c in components])
    if kind == "blood_pressure" and numbers["systolic"] <= numbers["diastolic"]:
        raise InvalidInput(
            N_("Systolic pressure must be higher than diastolic. Look at the two numbers again."),
            field="blood_pressure.systolic",
        )
    return components


def _number(component: measurement.Component, text: str, field: str) -> Decimal:
    unit = UNITS[component.unit]
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise InvalidInput(N_("Enter a number in %(unit)s."), field=field, unit=unit)
    if not component.low <= value <= component.high:
        raise InvalidInput(
            N_("%(value)s %(unit)s cannot be: it has to lie between %(low)s and %(high)s."),
            field=field,
            value=text,
            unit=unit,
            low=component.low,
            high=component.high,
        )
    if -int(value.normalize().as_tuple().exponent) > component.decimals:
        raise InvalidInput(N_("Enter at most %(places)s decimal places."), field=field, places=component.decimals)
    return value
