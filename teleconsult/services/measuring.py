"""For whom this vehicle's devices measure just now.

Several browsers may have several encounters open on one vehicle, so which of them readings go to is never
guessed: it is one stored fact of the node, changed by a person, shown on every page. It ends with the encounter
and with the day at the site. A reading without it waits to be placed by a person.

Whom they measured for shortly before is remembered too: what arrives just after the person was changed may still be
the one's before.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta
from typing import Any

from sqlmodel import Session

from teleconsult.domain.people import SITE_ZONE, site_today
from teleconsult.services.node import Node, Work
from teleconsult.services.patients import PatientSummary, current_patient, summary
from teleconsult.store import latest
from teleconsult.store.tables import Encounter, NodeSetting

OPEN = "open"
_KEY = "measuring_for"
_REMEMBERED = timedelta(minutes=10)


@dataclass(frozen=True)
class MeasuredBefore:
    """Whom the devices measured for before, and until when."""

    encounter_id: str
    patient_id: str
    until: datetime


@dataclass(frozen=True)
class MeasuringFor:
    """The encounter that readings go to, since when, who chose it, and whom they measured for shortly before."""

    encounter_id: str
    patient_id: str
    actor_id: str
    since: datetime
    before: tuple[MeasuredBefore, ...] = ()

    def somebody_else_after(self, moment: datetime) -> bool:
        """Whether the devices still measured for another person at some time after `moment`."""
        return any(one.patient_id != self.patient_id and one.until > moment for one in self.before)


def target(node: Node, session: Session, now: datetime) -> MeasuringFor | None:
    """The encounter the devices measure for at `now`, or None."""
    chosen, _before = _stored(session)
    if chosen is None:
        return None
    if site_today(chosen.since) != site_today(now):
        return None
    row = latest(session, Encounter, chosen.encounter_id)
    if row is None or row.state != OPEN or row.vehicle_id != node.node_id:
        return None
    return chosen


def target_patient(node: Node) -> tuple[MeasuringFor, PatientSummary] | None:
    """Whom the devices measure for, to be shown on every page of the vehicle."""
    with node.store.read() as session:
        now = node.clock()
        chosen = target(node, session, now)
        if chosen is None:
            return None
        return chosen, summary(session, current_patient(session, chosen.patient_id), now)


def announced_target(node: Node) -> dict[str, Any]:
    """What `measuring` says now: the encounter and the person, or nulls."""
    found = target_patient(node)
    if found is None:
        return {"encounter_id": None, "patient": None}
    return {"encounter_id": found[0].encounter_id, "patient": patient_words(found[1])}


def choose(work: Work, encounter: Encounter) -> None:
    """From now on the devices measure for this encounter. For one they measure for already, nothing is new."""
    active = target(work.node, work.session, work.now)
    since, before = work.now, _before(work)
    if active is not None and active.encounter_id == encounter.record_id:
        since, before = active.since, active.before
    _store(
        work,
        {
            "encounter_id": encounter.record_id,
            "patient_id": encounter.patient_id,
            "actor_id": work.actor.user_id,
            "since": since.isoformat(),
        },
        before,
    )
    person = summary(work.session, current_patient(work.session, encounter.patient_id), work.now)
    _announce(work, {"encounter_id": encounter.record_id, "patient": patient_words(person)})


def release(work: Work, encounter_id: str) -> None:
    """The devices measure for nobody, if it was this encounter they measured for."""
    chosen, _earlier = _stored(work.session)
    if chosen is not None and chosen.encounter_id == encounter_id:
        _store(work, {}, _before(work))
        _announce(work, {"encounter_id": None, "patient": None})


def patient_words(person: PatientSummary) -> dict[str, Any]:
    """What has to stand beside a reading: who it is of."""
    return {"id": person.id, "name": person.name, "age": person.age, "sex": person.sex.value}


def _announce(work: Work, data: dict[str, Any]) -> None:
    work.announce("node", "measuring", data)


def _stored(session: Session) -> tuple[MeasuringFor | None, tuple[MeasuredBefore, ...]]:
    """What was chosen last, valid or not, and whom they measured for before that."""
    setting = session.get(NodeSetting, _KEY)
    values = json.loads(setting.value) if setting is not None and setting.value else {}
    before = tuple(
        MeasuredBefore(**{**one, "until": datetime.fromisoformat(one["until"])}) for one in values.pop("before", ())
    )
    if not values:
        return None, before
    return MeasuringFor(**{**values, "since": datetime.fromisoformat(values["since"]), "before": before}), before


def _store(work: Work, values: dict[str, str], before: tuple[MeasuredBefore, ...]) -> None:
    kept = [{**asdict(one), "until": one.until.isoformat()} for one in before]
    work.session.merge(NodeSetting(key=_KEY, value=json.dumps({**values, "before": kept})))


def _before(work: Work) -> tuple[MeasuredBefore, ...]:
    """Whom the devices measured for until now, or until the end of their day, and shortly before that."""
    chosen, before = _stored(work.session)
    if chosen is not None:
        midnight = datetime.combine(site_today(chosen.since) + timedelta(days=1), time(), SITE_ZONE)
        until = min(work.now, midnight)
        before = (*before, MeasuredBefore(chosen.encounter_id, chosen.patient_id, until))
    return tuple(one for one in before if one.until > work.now - _REMEMBERED)
