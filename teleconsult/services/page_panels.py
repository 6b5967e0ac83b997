"""What plugins add to the pages of an encounter and a consult: asked with the person's age, sex and readings, never
with a name."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import ValidationError

from teleconsult.plugin_api import Page, PageContext, Quantity, Reading
from teleconsult.plugin_host import OfferedPanel
from teleconsult.services.consult_views import ConsultView
from teleconsult.services.history import EncounterPage
from teleconsult.services.node import Node
from teleconsult.services.observation_views import FINAL
from teleconsult.services.patients import PatientSummary

TYPED_IN = "manual"
"""Stands for the device of a reading that a person typed."""


def encounter_panels(node: Node, page: EncounterPage, language: str) -> list[OfferedPanel]:
    """The plugins' panels for an encounter; none where no plugin offers any or answers in time."""
    encounter = page.encounter
    return _panels(node, Page.ENCOUNTER, encounter.patient, encounter.id, page.readings, language)


def consult_panels(node: Node, view: ConsultView, language: str) -> list[OfferedPanel]:
    """The plugins' panels for a consult, from the readings that its page shows; none for an outline."""
    if not view.full:
        return []
    consult = view.consult
    return _panels(node, Page.CONSULT, view.patient, consult.encounter_id, view.readings, language, consult.id)


def _panels(
    node: Node,
    page: Page,
    patient: PatientSummary,
    encounter_id: str | None,
    views: Iterable[dict[str, Any]],
    language: str,
    consult_id: str | None = None,
) -> list[OfferedPanel]:
    if node.plugins is None:
        return []
    spoken: Literal["zh", "en"] = "en" if language == "en" else "zh"
    readings = [_reading(view) for view in views if view["status"] == FINAL]
    context = PageContext(
        page=page,
        language=spoken,
        patient_id=patient.id,
        age_years=patient.age,
        sex=patient.sex,
        encounter_id=encounter_id,
        consult_id=consult_id,
        readings=tuple(reading for reading in readings if reading is not None)[:200],
    )
    return list(node.plugins.page_panels(context))


def _reading(view: dict[str, Any]) -> Reading | None:
    try:
        return Reading(
            device_id=view["device_id"] or TYPED_IN,
            kind=view["kind"],
            components=tuple(
                Quantity(code=c["code"], value=Decimal(str(c["number"])), unit=c["ucum"]) for c in view["components"]
            ),
            sequence=view["id"],
            taken_at=datetime.fromisoformat(view["taken_at"]),
        )
    except ValidationError:  # kept by an earlier version under other rules: shown on the page, not to plugins
        return None
