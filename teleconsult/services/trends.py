"""A person's readings over the visits: what the trends page, the consult and the printed sheet draw.

Only accepted readings count. One marked in error is left out, one that waits to be accepted is counted and said;
an implausible or urgent one is shown with its mark. Nothing is averaged or smoothed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlmodel import Session, col, func, select

from teleconsult.domain import measurement
from teleconsult.domain.people import site_today
from teleconsult.domain.roles import Actor, Role
from teleconsult.services.consult_access import check_sight
from teleconsult.services.consult_views import shared_observations
from teleconsult.services.node import Node, Work
from teleconsult.services.observation_views import FINAL, PRELIMINARY, number, short_view
from teleconsult.services.patients import PatientSummary, current_patient, summary
from teleconsult.store.tables import Consult, Observation

KINDS = ("blood_pressure", "glucose", "body_weight", "spo2", "body_temperature")
"""What is drawn, in this order."""


class Span(StrEnum):
    """How far back is looked."""

    QUARTER = "3m"
    YEAR = "12m"
    ALL = "all"

    @property
    def length(self) -> timedelta | None:
        """The time that it holds; None for everything."""
        return {Span.QUARTER: timedelta(days=92), Span.YEAR: timedelta(days=366), Span.ALL: None}[self]


@dataclass(frozen=True)
class Trend:
    """One kind of measurement. `readings` are `short_view`s with `origin`, oldest first."""

    kind: str
    label: str
    readings: tuple[dict[str, Any], ...]
    targets: dict[str, int | float]
    """Component key → the control target: below this number. Empty where there is none."""


@dataclass(frozen=True)
class Visit:
    """A day with readings, for the printed table: kind or component key → the readings of that day."""

    day: date
    readings: dict[str, tuple[dict[str, Any], ...]]


@dataclass(frozen=True)
class TrendsPage:
    """Everything that the page shows."""

    patient: PatientSummary
    span: Span
    since: datetime | None
    until: datetime
    trends: tuple[Trend, ...]
    waiting: int
    """Readings that nobody has accepted yet; they are not drawn."""
    shared: bool = True
    """False where a specialist sees only what one consult shared."""
    consult: Consult | None = None
    visits: tuple[Visit, ...] = field(default=())
    """The latest first."""


def targets(age_years: int | None) -> dict[str, dict[str, int | float]]:
    """The control targets of a person of this age: kind → component key → below this number."""
    found: dict[str, dict[str, int | float]] = {}
    for key in KINDS:
        for component in measurement.kind(key).components:
            below = measurement.target_below(component.code, age_years)
            if below is not None:
                found.setdefault(key, {})[component.key] = number(below)
    return found


def look_at_trends(node: Node, actor: Actor, patient_id: str, span: Span) -> TrendsPage:
    """A person's trends on this machine. Audited as one reading of the record. Raises NotFound."""
    with node.transaction(actor) as work:
        person = summary(work.session, current_patient(work.session, patient_id), work.now)
        work.audit("read", "patient", patient_id, patient_id=patient_id, detail=f"trends {span}")
        return _page(work, person, span, _rows(work.session, patient_id, _since(work, span)))


def look_at_consult_trends(node: Node, actor: Actor, consult_id: str, span: Span) -> TrendsPage:
    """The trends of a consult's patient, for who sees all of the consult.

    A specialist sees what was before only if the vehicle doctor shared it, and the consult's own readings
    otherwise. Audited. Raises NotFound, NotAllowed.
    """
    with node.transaction(actor) as work:
        consult = check_sight(work.session, actor, consult_id)
        person = summary(work.session, current_patient(work.session, consult.patient_id), work.now)
        work.audit("read", "consult", consult_id, patient_id=consult.patient_id, detail=f"trends {span}")
        since = _since(work, span)
        shared = bool(consult.shared.get("history")) or actor.role is Role.VEHICLE_DOCTOR
        if shared:
            rows = _rows(work.session, consult.patient_id, since)
        else:
            rows = [row for row in shared_observations(work.session, consult) if row.status == FINAL]
            rows.sort(key=lambda row: (row.taken_at, row.id))
        return _page(work, person, span, rows, shared=shared, consult=consult)


def _since(work: Work, span: Span) -> datetime | None:
    return work.now - span.length if span.length else None


def _rows(session: Session, patient_id: str, since: datetime | None) -> list[Observation]:
    query = select(Observation).where(
        Observation.patient_id == patient_id,
        Observation.status == FINAL,
        col(Observation.current).is_(True),
        col(Observation.kind).in_(KINDS),
    )
    if since is not None:
        query = query.where(Observation.taken_at >= since)
    return list(session.exec(query.order_by(col(Observation.taken_at), col(Observation.id))))


def _page(
    work: Work,
    person: PatientSummary,
    span: Span,
    rows: Iterable[Observation],
    *,
    shared: bool = True,
    consult: Consult | None = None,
) -> TrendsPage:
    limits = targets(person.age)
    views: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        views.setdefault(row.kind, []).append({**short_view(row), "origin": origin(row)})
    trends = tuple(
        Trend(key, measurement.kind(key).label, tuple(views[key]), limits.get(key, {})) for key in KINDS if key in views
    )
    return TrendsPage(
        patient=person,
        span=span,
        since=_since(work, span),
        until=work.now,
        trends=trends,
        waiting=_waiting(work.session, person.id) if shared else 0,
        shared=shared,
        consult=consult,
        visits=_visits(trends),
    )


def origin(row: Observation) -> dict[str, str]:
    """Where a reading comes from: `source` device or manual, and the device's or the writer's name."""
    return {"source": row.source, "name": row.device_name if row.source == "device" else row.author_name}


def _waiting(session: Session, patient_id: str) -> int:
    query = select(func.count()).where(
        Observation.patient_id == patient_id,
        Observation.status == PRELIMINARY,
        col(Observation.current).is_(True),
        col(Observation.kind).in_(KINDS),
    )
    return session.exec(query).one()


def _visits(trends: Iterable[Trend]) -> tuple[Visit, ...]:
    days: dict[date, dict[str, list[dict[str, Any]]]] = {}
    for trend in trends:
        for view in trend.readings:
            day = site_today(datetime.fromisoformat(view["taken_at"]))
            column = view["components"][0]["key"] if trend.kind == "glucose" else trend.kind
            days.setdefault(day, {}).setdefault(column, []).append(view)
    return tuple(
        Visit(day, {column: tuple(found) for column, found in columns.items()})
        for day, columns in sorted(days.items(), reverse=True)
    )
