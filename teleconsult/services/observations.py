"""Readings: taken from a device, typed in, accepted, measured again, placed, marked as an error.

A device's reading goes to the person whom the vehicle's devices measured for from its beginning to its arrival
(`services.measuring`); in any doubt it waits in the tray for a person to place it. Values are never altered:
what is odd about them is said in marks. Every step is a new version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlmodel import Session, col, func, select

from teleconsult.domain import measurement
from teleconsult.domain.consult import OVER, State
from teleconsult.domain.errors import N_, Conflict, InvalidInput, NotFound
from teleconsult.domain.people import age_on, site_today
from teleconsult.domain.roles import Actor, Role
from teleconsult.plugin_api import Reading, ReadingFlag
from teleconsult.services import measuring
from teleconsult.services.encounters import current_encounter
from teleconsult.services.manual_entry import typed_components
from teleconsult.services.node import Node, Work
from teleconsult.services.observation_views import (
    BEFORE,
    CANCELLED,
    CLOCK,
    FINAL,
    IN_ERROR,
    MAY_BE_OF_ANOTHER,
    MAY_BE_TEST,
    NOBODY,
    PERSON_CHANGED,
    PRELIMINARY,
    WHEN_UNKNOWN,
    WHOSE_UNKNOWN,
    number,
    reading_view,
    reading_views,
)
from teleconsult.services.patients import current_patient
from teleconsult.services.permissions import require_vehicle
from teleconsult.store import latest, new_version
from teleconsult.store.tables import Consult, Observation

CLOCK_TOLERANCE = timedelta(minutes=2)
"""How far a device's clock may be off before its time is not believed."""

CUFF_TAKES = timedelta(seconds=30)
"""A cuff measures for at least so long and stamps the end: what it measured earlier began before that."""

_STAY_WHEN_PLACED = (CLOCK, WHEN_UNKNOWN, PERSON_CHANGED, MAY_BE_OF_ANOTHER, MAY_BE_TEST)
"""What is odd about a reading whoever it is of. Why it came to the tray otherwise is settled by placing it."""


@dataclass(frozen=True)
class Begun:
    """For which encounter a device began the measurement that a reading comes from (None: for nobody)."""

    encounter_id: str | None


def take_reading(
    node: Node, reading: Reading, *, device_name: str = "", begun: Begun | None = None, may_be_test: bool = False
) -> dict[str, Any]:
    """Keep a device's reading and announce it; a repeat is recognised by `reading_id` and changes nothing.

    It goes to the encounter the devices measure for now. It goes to the tray if there is none, if the device
    `begun` to measure for another one, if it was taken before the devices measured for this one, if it may have begun
    while they measured for the person before, or if nobody saw the device measure and it cannot tell when that was, or
    tells a time that has not come: it may be a stored reading of somebody else. So does what may be a test of the
    device, or an older reading, and the result of a sample.
    """
    actor = Actor(f"device:{reading.device_id}"[:64], device_name or reading.device_id, Role.SYSTEM)
    with node.transaction(actor) as work:
        known = _by_reading_id(work.session, reading.reading_id)
        if known is not None:
            return reading_view(work.session, known, work.now)
        taken_at, marks = _time(reading, work.now)
        target = measuring.target(node, work.session, work.now)
        doubt = _doubt(target, taken_at, begun, reading.kind)
        undated = bool(marks) or ReadingFlag.CLOCK_NOT_SET in reading.flags
        anybodys = ReadingFlag.WHOSE_UNKNOWN in reading.flags
        if doubt is None and undated and (anybodys or begun is None):
            doubt = WHEN_UNKNOWN
        elif doubt is None and anybodys:
            doubt = WHOSE_UNKNOWN
        if may_be_test:
            doubt = MAY_BE_TEST
        if doubt:
            target = None
            marks.append({"mark": doubt})
        values = {
            "reading_id": reading.reading_id,
            "kind": reading.kind,
            "components": components_of(reading),
            "status": PRELIMINARY,
            "source": "device",
            "device_id": reading.device_id,
            "device_name": device_name,
            "taken_at": taken_at,
            "received_at": work.now,
            "flags": [flag.value for flag in reading.flags],
            "patient_id": target.patient_id if target else None,
            "encounter_id": target.encounter_id if target else None,
            "note": reading.note,
        }
        if ReadingFlag.CONTROL_SOLUTION in reading.flags:  # nobody's blood belongs to nobody
            values.update(patient_id=None, encounter_id=None, status=CANCELLED)
        values["marks"] = [*_value_marks(work, values), *marks]
        row = new_version(work.session, Observation, values, author=actor, node_id=node.node_id)
        return _written(work, row, "create")


def enter_manually(
    node: Node,
    actor: Actor,
    encounter_id: str,
    entries: Mapping[str, Mapping[str, str]],
    *,
    note: str = "",
) -> list[dict[str, Any]]:
    """Keep numbers that a person read off and typed, in each kind's own units: all of them or none.

    `entries` maps kinds to component keys to what was typed; a kind with nothing typed is left out. Raises
    InvalidInput with "<kind>.<component>" as field when a number is missing, not a number, or outside what can
    be measured, or when nothing was typed.
    """
    checked = {kind: numbers for kind, typed in entries.items() if (numbers := typed_components(kind, typed))}
    if not checked:
        raise InvalidInput(N_("Enter at least one reading."), field="blood_pressure.systolic")
    with node.transaction(actor) as work:
        encounter = current_encounter(work.session, encounter_id)
        require_vehicle(actor, encounter.vehicle_id)
        if encounter.state != measuring.OPEN:
            raise Conflict(N_("This encounter is finished. Open it again to go on writing."))
        shown = []
        for kind, components in checked.items():
            values: dict[str, Any] = {
                "kind": kind,
                "components": components,
                "status": FINAL,
                "source": "manual",
                "taken_at": work.now,
                "received_at": work.now,
                "patient_id": encounter.patient_id,
                "encounter_id": encounter_id,
                "note": note.strip()[:500],
            }
            values["marks"] = _value_marks(work, values)
            row = new_version(work.session, Observation, values, author=actor, node_id=node.node_id)
            shown.append(_written(work, row, "create"))
        return shown


def keep_continuous(
    node: Node, actor: Actor, encounter_id: str, reading: Reading, *, device_name: str = ""
) -> dict[str, Any]:
    """Keep one value out of a stream because a person took it: it is accepted at once."""
    with node.transaction(actor) as work:
        known = _by_reading_id(work.session, reading.reading_id)
        if known is not None:
            return reading_view(work.session, known, work.now)
        encounter = current_encounter(work.session, encounter_id)
        require_vehicle(actor, encounter.vehicle_id)
        taken_at, marks = _time(reading, work.now)
        target = measuring.target(node, work.session, work.now)
        if target is None or target.encounter_id != encounter_id or _doubt(target, taken_at):
            raise Conflict(N_("The devices do not measure for this person now. Nothing was kept."))
        values: dict[str, Any] = {
            "reading_id": reading.reading_id,
            "kind": reading.kind,
            "components": components_of(reading),
            "status": FINAL,
            "source": "device",
            "device_id": reading.device_id,
            "device_name": device_name,
            "taken_at": taken_at,
            "received_at": work.now,
            "flags": [flag.value for flag in reading.flags],
            "patient_id": encounter.patient_id,
            "encounter_id": encounter_id,
        }
        values["marks"] = [*_value_marks(work, values), *marks]
        row = new_version(work.session, Observation, values, author=actor, node_id=node.node_id)
        return _written(work, row, "create")


def accept(node: Node, actor: Actor, observation_id: str) -> dict[str, Any]:
    """A person says that the reading counts. Accepting twice is the same as once."""
    return _change(node, actor, observation_id, FINAL, {PRELIMINARY})


def measure_again(node: Node, actor: Actor, observation_id: str) -> dict[str, Any]:
    """A person says that the reading does not count because it is taken again. It is kept, as cancelled."""
    return _change(node, actor, observation_id, CANCELLED, {PRELIMINARY})


def mark_entered_in_error(node: Node, actor: Actor, observation_id: str, why: str = "") -> dict[str, Any]:
    """A person says that this is no reading of this person (or of anybody). It is kept, and shown as struck."""
    return _change(node, actor, observation_id, IN_ERROR, {PRELIMINARY, FINAL, CANCELLED}, note=why.strip()[:500])


def place_unassigned(node: Node, actor: Actor, observation_id: str, encounter_id: str) -> dict[str, Any]:
    """A person says whose reading it is. It still waits to be accepted there."""
    with node.transaction(actor) as work:
        encounter = current_encounter(work.session, encounter_id)
        require_vehicle(actor, encounter.vehicle_id)
        row = _current(work.session, observation_id)
        if row.encounter_id == encounter_id:
            return reading_view(work.session, row, work.now)
        if row.encounter_id is not None or row.status != PRELIMINARY:
            raise Conflict(N_("Somebody has already dealt with this reading."))
        values: dict[str, Any] = {"patient_id": encounter.patient_id, "encounter_id": encounter_id}
        kept = [m for m in row.marks if "code" not in m and m["mark"] in _STAY_WHEN_PLACED]
        if row.taken_at < encounter.started_at:
            kept.append({"mark": BEFORE})
        measured = {"kind": row.kind, "components": row.components, **values}
        values["marks"] = [*_value_marks(work, measured), *kept]
        new = new_version(work.session, Observation, values, author=actor, node_id=node.node_id, corrects=row)
        result = _written(work, new, "update")
        announce_tray(work)
        return result


def readings_of(work: Work, encounter_id: str) -> list[dict[str, Any]]:
    """The current readings of an encounter, newest first, those in error left out. The caller audits the page."""
    query = select(Observation).where(
        Observation.encounter_id == encounter_id,
        col(Observation.current).is_(True),
        Observation.status != IN_ERROR,
    )
    rows = work.session.exec(query.order_by(col(Observation.taken_at).desc(), col(Observation.id).desc()))
    return reading_views(work.session, rows, work.now)


def tray(work: Work, *, most: int | None = None, after: int = 0) -> list[dict[str, Any]]:
    """The readings of the tray, those that came last first. The caller audits the page."""
    newest_first = (col(Observation.received_at).desc(), col(Observation.taken_at).desc(), col(Observation.id).desc())
    query = select(Observation).where(*in_tray()).order_by(*newest_first).offset(after).limit(most)
    return reading_views(work.session, work.session.exec(query), work.now)


def unassigned_count(node: Node) -> int:
    """How many readings wait to be placed."""
    with node.store.read() as session:
        return tray_count(session)


def components_of(reading: Reading) -> list[dict[str, Any]]:
    """The reading's numbers as they are kept."""
    return [
        {"code": q.code, "value": number(q.value), "unit": q.unit} | ({"as_given": q.as_given} if q.as_given else {})
        for q in reading.components
    ]


def value_marks(kind: str, components: list[dict[str, Any]], age_years: int | None) -> list[dict[str, str]]:
    """What is odd about the numbers themselves, as {"code": LOINC, "mark": word}."""
    marks = []
    for item in components:
        component = measurement.kind(kind).component(item["code"])
        mark = measurement.mark(component, Decimal(str(item["value"])), age_years=age_years)
        if mark is not None:
            marks.append({"code": component.code, "mark": mark.value})
    return marks


def open_consults(session: Session, encounter_id: str) -> dict[str, State]:
    """Ids of the consults of an encounter that are not over, with their states: they see its readings live."""
    over = [state.value for state in OVER]
    query = select(Consult.id, Consult.state).where(
        Consult.encounter_id == encounter_id, col(Consult.state).not_in(over)
    )
    return {identity: State(state) for identity, state in session.exec(query)}


def _change(
    node: Node, actor: Actor, observation_id: str, status: str, allowed: set[str], note: str | None = None
) -> dict[str, Any]:
    with node.transaction(actor) as work:
        row = _current(work.session, observation_id)
        if row.encounter_id is None:
            require_vehicle(actor, node.node_id)
            if status == FINAL:
                raise Conflict(N_("Say first whose reading this is."))
        else:
            require_vehicle(actor, current_encounter(work.session, row.encounter_id).vehicle_id)
        if row.status == status:
            return reading_view(work.session, row, work.now)
        if row.status not in allowed:
            raise Conflict(N_("Somebody has already dealt with this reading."))
        values: dict[str, Any] = {"status": status} | ({"note": note} if note else {})
        new = new_version(work.session, Observation, values, author=actor, node_id=node.node_id, corrects=row)
        return _written(work, new, "update")


def _time(reading: Reading, now: datetime) -> tuple[datetime, list[dict[str, str]]]:
    """When it was measured. A time that has not come yet cannot be: the time of arrival is taken, and said."""
    if reading.taken_at is None:
        return now, []
    if reading.taken_at > now + CLOCK_TOLERANCE:
        return now, [{"mark": CLOCK}]
    return reading.taken_at, []


def _doubt(
    target: measuring.MeasuringFor | None, taken_at: datetime, begun: Begun | None = None, kind: str = ""
) -> str | None:
    """Why it is not certain that this is a reading of the target's person; None if it is."""
    if target is None:
        return NOBODY
    if begun is not None and begun.encounter_id != target.encounter_id:
        return PERSON_CHANGED
    tolerated = target.since - CLOCK_TOLERANCE
    if taken_at < tolerated:
        return BEFORE
    # A clock that is a little off is tolerated only where there is nobody else whose reading it may be.
    unseen = begun is None and kind == "blood_pressure"
    certain = target.since + CUFF_TAKES if unseen else target.since
    if taken_at < certain and target.somebody_else_after(tolerated):
        return MAY_BE_OF_ANOTHER
    return None


def _value_marks(work: Work, values: Mapping[str, Any]) -> list[dict[str, str]]:
    age = None
    if values.get("patient_id"):
        born = current_patient(work.session, values["patient_id"]).birth_date
        age = age_on(born, site_today(work.now))
    return value_marks(values["kind"], values["components"], age)


def _by_reading_id(session: Session, reading_id: str) -> Observation | None:
    first = session.exec(select(Observation).where(Observation.reading_id == reading_id).limit(1)).first()
    return latest(session, Observation, first.record_id) if first else None


def _current(session: Session, observation_id: str) -> Observation:
    row = latest(session, Observation, observation_id)
    if row is None:
        raise NotFound(N_("There is no such reading on this machine."))
    return row


def in_tray() -> tuple[Any, ...]:
    """What tells the readings of the tray from all others."""
    return (
        col(Observation.encounter_id).is_(None),
        col(Observation.current).is_(True),
        Observation.status == PRELIMINARY,
    )


def tray_count(session: Session) -> int:
    """How many readings the tray holds."""
    return session.exec(select(func.count()).select_from(Observation).where(*in_tray())).one()


def announce_tray(work: Work) -> None:
    """Tell everybody that the tray has changed."""
    work.session.flush()
    work.announce("node", "unassigned:changed", {"count": tray_count(work.session)})


def _written(work: Work, row: Observation, action: str) -> dict[str, Any]:
    work.audit(action, "observation", row.record_id, patient_id=row.patient_id)
    vehicle = current_encounter(work.session, row.encounter_id).vehicle_id if row.encounter_id else None
    work.share(row, [vehicle] if vehicle else [])
    return announce_reading(work, row)


def announce_reading(work: Work, row: Observation) -> dict[str, Any]:
    """Tell who watches its encounter and open consults of a reading written here or arrived from elsewhere."""
    shown = reading_view(work.session, row, work.now)
    if row.encounter_id is None:
        announce_tray(work)
        return shown
    for consult_id in open_consults(work.session, row.encounter_id):
        work.announce(f"consult:{consult_id}", "reading", shown)
    work.announce(f"encounter:{row.encounter_id}", "reading", shown)
    return shown
