"""Invented answers to a programme's own form: every question at its bounds, and only what must be answered."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from teleconsult.domain.errors import N_
from teleconsult.plugin_api import FollowupVisit, Sex
from teleconsult.plugin_kit._runs import Shown

TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"
BOUNDS = "http://hl7.org/fhir/StructureDefinition/"
TYPES = {
    "group", "display", "boolean", "decimal", "integer", "date", "dateTime", "time", "string", "text", "choice",
    "open-choice", "quantity",
}  # fmt: skip
DAYS = (date(2021, 3, 1), date(2026, 11, 24), date(2032, 2, 29))
VISITS = 40


def check_form(form: Mapping[str, Any]) -> None:
    """Raises Shown if the form is no Questionnaire that a page can draw in both languages."""
    if form.get("resourceType") != "Questionnaire":
        raise Shown(N_("questionnaire() gives no Questionnaire."))
    items = list(_items(form))
    if not items:
        raise Shown(N_("The form has no questions."))
    seen: set[str] = set()
    for item in items:
        link = str(item.get("linkId") or "")
        if not link or link in seen:
            raise Shown(N_("The linkId “%(link)s” is missing or stands twice."), link=link)
        seen.add(link)
        if item.get("type") not in TYPES:
            raise Shown(N_("%(link)s has the unknown type %(type)s."), link=link, type=str(item.get("type")))
        if not item.get("text") or not _chinese(item, "text"):
            raise Shown(N_("%(link)s has no text in both languages."), link=link)
        if item["type"] == "choice" and not item.get("answerOption"):
            raise Shown(N_("%(link)s has nothing to choose from."), link=link)


def invented_visits(form: Mapping[str, Any]) -> list[FollowupVisit]:
    """Visits of people of all ages, always the same ones for the same form."""
    chance = random.Random(20261124)  # noqa: S311 - invented people, the same every time
    visits = []
    for number in range(VISITS):
        only_required = number % 4 == 3
        answers = [answer for item in form.get("item", ()) if (answer := _answered(item, chance, only_required))]
        visits.append(
            FollowupVisit(
                patient_id=f"invented-{number}",
                age_years=chance.choice((35, 48, 59, 60, 64, 65, 67, 80, 101)),
                sex=chance.choice((Sex.FEMALE, Sex.MALE)),
                visited_on=DAYS[number % len(DAYS)],
                response={"resourceType": "QuestionnaireResponse", "status": "completed", "item": answers},
            )
        )
    return visits


def _items(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for item in node.get("item", ()):
        yield item
        yield from _items(item)


def _chinese(item: Mapping[str, Any], field: str) -> str:
    for extension in (item.get(f"_{field}") or {}).get("extension", ()):
        parts = {part.get("url"): part for part in extension.get("extension", ())}
        if extension.get("url") == TRANSLATION and str(parts.get("lang", {}).get("valueCode", "")).startswith("zh"):
            return str(parts.get("content", {}).get("valueString", ""))
    return ""


def _answered(item: Mapping[str, Any], chance: random.Random, only_required: bool) -> dict[str, Any] | None:
    """The item of a response, or None if it stays without an answer."""
    if item.get("type") == "display":
        return None
    if item.get("type") == "group":
        below = [answer for child in item.get("item", ()) if (answer := _answered(child, chance, only_required))]
        return {"linkId": item["linkId"], "item": below} if below else None
    optional = not item.get("required") and (only_required or bool(item.get("enableWhen")))
    if optional and chance.random() < (1.0 if only_required else 0.5):
        return None
    return {"linkId": item["linkId"], "answer": [_value(item, chance)]}


def _value(item: Mapping[str, Any], chance: random.Random) -> dict[str, Any]:
    kind = item["type"]
    if kind == "boolean":
        return {"valueBoolean": chance.random() < 0.5}
    if kind in ("choice", "open-choice") and item.get("answerOption"):
        option = chance.choice(item["answerOption"])
        return {key: value for key, value in option.items() if key.startswith("value")}
    if kind in ("integer", "decimal", "quantity"):
        low, high = _bound(item, "minValue", 0), _bound(item, "maxValue", 200)
        number = chance.choice((low, high, (low + high) / 2, chance.uniform(low, high)))
        if kind == "integer":
            return {"valueInteger": round(number)}
        return (
            {"valueDecimal": round(number, 2)} if kind == "decimal" else {"valueQuantity": {"value": round(number, 2)}}
        )
    fixed = {
        "date": ("valueDate", "2026-11-01"),
        "dateTime": ("valueDateTime", "2026-11-01T08:00:00+08:00"),
        "time": ("valueTime", "08:00:00"),
    }
    name, value = fixed.get(kind, ("valueString", chance.choice(("", "无", "A longer answer, 一段较长的回答。"))))
    return {name: value}


def _bound(item: Mapping[str, Any], which: str, otherwise: float) -> float:
    for extension in item.get("extension", ()):
        if extension.get("url") == BOUNDS + which:
            return float(extension.get("valueInteger", extension.get("valueDecimal", otherwise)))
    return float(otherwise)
