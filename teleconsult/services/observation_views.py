"""Readings as pages and live events show them: JSON-ready, with whose they are and what the last visit said.

Labels are the English message ids; a page or browser module translates them. Values are shown as they were
measured: nothing is rounded away.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlmodel import Session, col, select

from teleconsult.domain import measurement
from teleconsult.domain.errors import N_
from teleconsult.services.measuring import patient_words
from teleconsult.services.patients import current_patients, summaries
from teleconsult.store.tables import Observation

_BANDS = {"blood_pressure": (80, 200), "glucose": (2, 20)}
"""From where to where a band with the target is drawn."""

PRELIMINARY, FINAL, CANCELLED, IN_ERROR = "preliminary", "final", "cancelled", "entered-in-error"

STATUS_NAMES = {
    PRELIMINARY: N_("not yet accepted"),
    FINAL: N_("confirmed"),
    CANCELLED: N_("measured again"),
    IN_ERROR: N_("entered in error"),
}

UNITS = {"mm[Hg]": "mmHg", "/min": "/min", "%": "%", "Cel": "°C", "mmol/L": "mmol/L", "kg": "kg", "cm": "cm"}
"""UCUM → the printed symbol. Of these only "/min" is a word in some languages; a page translates that one."""

PER_MINUTE = N_("/min")

CLOCK, BEFORE, PERSON_CHANGED, NOBODY = "clock", "before_encounter", "person_changed", "nobody"
WHOSE_UNKNOWN = "whose_unknown"
WHEN_UNKNOWN, MAY_BE_OF_ANOTHER, MAY_BE_TEST = "when_unknown", "may_be_of_another", "may_be_test"
MARK_LABELS = {
    **{mark.value: label for mark, label in measurement.MARK_LABELS.items()},
    CLOCK: N_("The device's clock was wrong; this is the time of arrival"),
    BEFORE: N_("Taken before this encounter was opened"),
    PERSON_CHANGED: N_("The person was changed while the device measured"),
    MAY_BE_OF_ANOTHER: N_("It may be a reading of the person before: it came just after the change"),
    MAY_BE_TEST: N_("It came during a test of the device: a test, or an older reading"),
    NOBODY: N_("No encounter was open"),
    WHOSE_UNKNOWN: N_("A sample may be of somebody who was here before; say whose it is"),
    WHEN_UNKNOWN: N_("The device does not know when it was measured; it may be an older reading"),
}

FLAG_LABELS = {
    "cuff_too_loose": N_("Cuff too loose"),
    "body_movement": N_("The person moved"),
    "improper_position": N_("Wrong position"),
    "irregular_pulse": N_("Irregular pulse"),
    "pulse_out_of_range": N_("Pulse outside the device's range"),
    "low_signal": N_("Weak signal"),
    "sensor_fault": N_("Sensor fault"),
    "low_battery": N_("Battery low"),
    "estimated": N_("Estimated by the device"),
    "control_solution": N_("Control solution, nobody's blood"),
    "clock_not_set": N_("The device's clock is not set"),
    "clock_corrected": N_("Time corrected: the device's clock was wrong"),
    "whose_unknown": N_("Placed by a person: the device does not know whose it is"),
    "site_armpit": N_("in the armpit"),
    "site_ear": N_("in the ear"),
    "site_mouth": N_("in the mouth"),
    "site_rectum": N_("in the rectum"),
    "site_gut": N_("in the gut"),
    "site_finger": N_("at a finger"),
    "site_toe": N_("at a toe"),
}


def reading_view(session: Session, row: Observation, now: datetime) -> dict[str, Any]:
    """One reading as it is shown."""
    return reading_views(session, [row], now)[0]


def reading_views(session: Session, rows: Iterable[Observation], now: datetime) -> list[dict[str, Any]]:
    """Readings as they are shown, in the given order."""
    found = list(rows)
    ids = {row.patient_id for row in found if row.patient_id}
    people = {p.id: patient_words(p) for p in summaries(session, current_patients(session, ids), now)}
    ages = {patient_id: int(words["age"]) for patient_id, words in people.items()}
    earlier: dict[tuple[str, str, str | None], dict[str, Any] | None] = {}
    views = []
    for row in found:
        previous = None
        if row.patient_id:
            key = (row.patient_id, row.kind, row.encounter_id)
            if key not in earlier:
                before = last_visit(session, row.patient_id, row.kind, besides=row.encounter_id)
                earlier[key] = short_view(before) if before else None
            previous = earlier[key]
        views.append(
            {
                **short_view(row),
                "version": row.version,
                "encounter_id": row.encounter_id,
                "patient_id": row.patient_id,
                "patient": people.get(row.patient_id or ""),
                "received_at": _iso(row.received_at),
                "source": row.source,
                "device_id": row.device_id,
                "device": row.device_name,
                "author": row.author_name,
                "note": row.note,
                "previous": previous,
                "target": _target(row, ages.get(row.patient_id or "")),
            }
        )
    return views


def short_view(row: Observation) -> dict[str, Any]:
    """What was measured, without whose it is: for use beside the person's name only."""
    kind = measurement.kind(row.kind)
    marked = {m["code"]: m["mark"] for m in row.marks if "code" in m}
    components = [_component(kind, item, marked.get(item["code"])) for item in row.components]
    return {
        "id": row.record_id,
        "kind": row.kind,
        "name": kind.label,
        "components": components,
        "text": _text(row.kind, components),
        "unit": components[0]["unit"] if components else "",
        "given": _given(row.kind, components),
        "taken_at": _iso(row.taken_at),
        "status": row.status,
        "status_name": STATUS_NAMES[row.status],
        "marks": [{**m, "label": MARK_LABELS.get(m["mark"], m["mark"]), "level": _level(m["mark"])} for m in row.marks],
        "flags": [{"flag": flag, "label": FLAG_LABELS.get(flag, flag)} for flag in row.flags],
    }


def last_visit(session: Session, patient_id: str, kind: str, *, besides: str | None) -> Observation | None:
    """The person's latest accepted reading of a kind from another encounter than `besides`."""
    query = select(Observation).where(
        Observation.patient_id == patient_id,
        Observation.kind == kind,
        Observation.status == FINAL,
        col(Observation.current).is_(True),
    )
    if besides is not None:
        query = query.where(Observation.encounter_id != besides)
    return session.exec(query.order_by(col(Observation.taken_at).desc()).limit(1)).first()


def number(value: Decimal) -> int | float:
    """A number for JSON."""
    return int(value) if value == value.to_integral_value() else float(value)


def _component(kind: measurement.Kind, item: dict[str, Any], mark: str | None) -> dict[str, Any]:
    component = kind.component(item["code"])
    value = Decimal(str(item["value"]))
    places = max(component.decimals, -int(value.normalize().as_tuple().exponent))
    return {
        "key": component.key,
        "code": component.code,
        "label": component.label,
        "value": f"{value:.{places}f}",
        "number": item["value"],
        "unit": UNITS[component.unit],
        "ucum": component.unit,
        "as_given": item.get("as_given", ""),
        "mark": mark,
        "level": _level(mark) if mark else None,
    }


def _target(row: Observation, age: int | None) -> dict[str, Any] | None:
    """The control target that the value stands against, drawn as a band; None where there is none."""
    if age is None or not row.components:
        return None
    kind = measurement.kind(row.kind)
    first = row.components[0]
    below = measurement.target_below(first["code"], age)
    if below is None or row.kind not in _BANDS:
        return None
    low, high = _BANDS[row.kind]
    limits = [measurement.target_below(kind.component(c["code"]).code, age) for c in row.components]
    text = "< " + "/".join(str(number(limit)) for limit in limits if limit is not None)
    value = first["value"]
    return {"low": None, "high": number(below), "value": value, "from": low, "to": high, "text": text}


def _text(kind: str, components: list[dict[str, Any]]) -> str:
    """The value in one word: "128/82" for blood pressure, the first number otherwise."""
    shown = {component["key"]: component["value"] for component in components}
    if kind == "blood_pressure":
        return f"{shown['systolic']}/{shown['diastolic']}"
    return str(components[0]["value"]) if components else ""


def _given(kind: str, components: list[dict[str, Any]]) -> str:
    """What the device itself shows, if it measures in another unit: "16.0/10.6 kPa"; "" if it shows the same."""
    main = ("systolic", "diastolic") if kind == "blood_pressure" else (components[0]["key"],) if components else ()
    found = [component for component in components if component["key"] in main]
    if not found or not all(component["as_given"] for component in found):
        return ""
    shown = [measurement.as_displayed(component["as_given"]) for component in found]
    if all((number, unit) == (c["value"], c["unit"]) for (number, unit), c in zip(shown, found, strict=True)):
        return ""
    return "/".join(number for number, _unit in shown) + f" {shown[0][1]}"


def _level(mark: str) -> str:
    return "danger" if mark in ("urgent", "implausible") else "warning"


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
