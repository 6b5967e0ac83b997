"""Fills an empty node with the invented county of `demo.county` and its villagers.

The hub gets everybody; a vehicle gets the directory and the people of its own villages. Ids are the same on
both, so that nothing is doubled when they exchange records. Filling again keeps what is there and only plans
the round further.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, SQLModel, col, select

from teleconsult.demo import county, villagers
from teleconsult.demo.county import LOGINS, PASSWORD, STAFF, stable_id, vehicle_id
from teleconsult.domain import measurement
from teleconsult.domain.people import site_today
from teleconsult.services.node import Node
from teleconsult.services.observations import value_marks
from teleconsult.services.passwords import hash_password
from teleconsult.services.patients import CONDITIONS
from teleconsult.services.pinyin import romanise
from teleconsult.store.tables import (
    DeviceAssignment,
    Encounter,
    NodeSetting,
    Observation,
    Organization,
    Patient,
    Stop,
    User,
    Vehicle,
    Village,
)

__all__ = ["LOGINS", "PASSWORD", "seed_hub", "seed_vehicle", "vehicle_id"]

_DONE = "demo_seed"
_VERSION = "1"
_SINCE = datetime(2025, 1, 6, 1, 0, tzinfo=UTC)
_PLANNED_DAYS = 62
_PAST_DAYS = 7

_DEVICES = (
    ("cuff", "臂式血压计", ("blood_pressure",), ()),
    ("oximeter", "指夹血氧仪", ("spo2",), ("plethysmogram",)),
    ("thermometer", "耳温计", ("body_temperature",), ()),
    ("ecg", "心电监护仪", ("heart_rate",), ("ecg",)),
)
_DEVICE_OF_KIND = {"blood_pressure": "臂式血压计", "spo2": "指夹血氧仪", "body_temperature": "耳温计"}


def seed_hub(node: Node) -> None:
    """The whole county."""
    with node.store.write() as tx:
        today = site_today(node.clock())
        if _is_new(tx.session):
            hashed = hash_password(PASSWORD)
            _directory(tx.session, lambda _person: hashed)
            _people(tx.session, villagers.everybody(), today)
        for vehicle in range(len(county.VEHICLE_CODES)):
            _stops(tx.session, vehicle, today)


def seed_vehicle(node: Node, code: str) -> None:
    """One vehicle's part of the county, with the simulated devices. `node.node_id` is `vehicle_id(code)`."""
    vehicle = county.VEHICLE_CODES.index(code)
    with node.store.write() as tx:
        today = site_today(node.clock())
        if _is_new(tx.session):
            hashed = hash_password(PASSWORD)
            # as in life: a vehicle is not trusted with the passwords of people who do not log in there
            _directory(tx.session, lambda person: hashed if person.vehicle == vehicle else "")
            own = tuple(person for person in villagers.everybody() if person.place.vehicle == vehicle)
            _people(tx.session, own, today)
            _devices(tx.session, code)
        _stops(tx.session, vehicle, today)


def _is_new(session: Session) -> bool:
    if session.get(NodeSetting, _DONE) is not None:
        return False
    session.add(NodeSetting(key=_DONE, value=_VERSION))
    return True


def _insert(session: Session, table: type[SQLModel], rows: list[dict[str, Any]]) -> None:
    if rows:
        session.flush()
        session.execute(sa.insert(table), rows)


def _directory(session: Session, password_hash: Any) -> None:
    stamp = {"changed_at": _SINCE}
    hospital = {"id": county.HOSPITAL_ID, "code": "JN-H", "name": "景宁县人民医院", "level": "core", "parent_id": None}
    _insert(session, Organization, [{**hospital, "address": "", "phone": "", "active": True, **stamp}])
    branches = [
        {
            "id": county.branch_id(index),
            "code": f"JN-T{index + 1:02d}",
            "name": f"{name}卫生院",
            "level": "branch",
            "parent_id": county.HOSPITAL_ID,
            "address": name,
        }
        for index, name in enumerate(county.TOWNSHIPS)
    ]
    clinics = [
        {
            "id": place.clinic_id,
            "code": f"JN-V{place.index + 1:02d}",
            "name": f"{place.name}卫生室",
            "level": "clinic",
            "parent_id": county.branch_id(place.township),
            "address": county.TOWNSHIPS[place.township] + place.name,
        }
        for place in county.PLACES
    ]
    for level in (branches, clinics):
        _insert(session, Organization, [{**row, "phone": "", "active": True, **stamp} for row in level])
    _insert(
        session,
        Village,
        [
            {
                "id": place.id,
                "name": place.name,
                "township": county.TOWNSHIPS[place.township],
                "organization_id": place.clinic_id,
                **stamp,
            }
            for place in county.PLACES
        ],
    )
    _insert(
        session,
        Vehicle,
        [
            {
                "id": vehicle_id(code),
                "code": code,
                "name": county.vehicle_name(index),
                "plate": f"演示{index + 1:05d}",
                "organization_id": county.HOSPITAL_ID,
                "active": True,
                **stamp,
            }
            for index, code in enumerate(county.VEHICLE_CODES)
        ],
    )
    _insert(session, User, [_account(person, password_hash(person)) for person in STAFF])


def _account(person: county.Person, password_hash: str) -> dict[str, Any]:
    at_branch = person.township is not None
    return {
        "id": person.id,
        "username": person.username,
        "name": person.name,
        "role": person.role,
        "organization_id": county.branch_id(person.township or 0) if at_branch else county.HOSPITAL_ID,
        "vehicle_id": None if person.vehicle is None else vehicle_id(county.VEHICLE_CODES[person.vehicle]),
        "specialty": person.specialty,
        "title": person.title,
        "phone": "",
        "password_hash": password_hash,
        "password_changed_at": _SINCE,
        "active": True,
        "changed_at": _SINCE,
    }


def _stops(session: Session, vehicle: int, today: date) -> None:
    code = county.VEHICLE_CODES[vehicle]
    rows = [
        {
            "id": stable_id("stop", f"{code}/{day.isoformat()}"),
            "vehicle_id": vehicle_id(code),
            "village_id": place.id,
            "day": day,
            "note": "",
            "changed_at": _SINCE,
        }
        for day, place in county.plan(vehicle, today - timedelta(days=_PAST_DAYS), _PAST_DAYS + _PLANNED_DAYS)
    ]
    planned = set(session.exec(select(col(Stop.day)).where(Stop.vehicle_id == vehicle_id(code))))
    _insert(session, Stop, [row for row in rows if row["day"] not in planned])


def _people(session: Session, people: tuple[villagers.Villager, ...], today: date) -> None:
    names = {name: romanise(name) for name in {person.name for person in people}}
    _insert(session, Patient, [_patient(person, names[person.name]) for person in people])
    encounters: list[dict[str, Any]] = []
    observations: list[dict[str, Any]] = []
    for person in people:
        for visit in villagers.visits(person, today):
            encounters.append(_encounter(visit))
            observations.extend(_observations(visit))
    _insert(session, Encounter, encounters)
    _insert(session, Observation, observations)


def _version(record_id: str, node_id: str, author: county.Person, at: datetime) -> dict[str, Any]:
    return {
        "id": stable_id("version", record_id),
        "record_id": record_id,
        "version": 1,
        "previous_id": None,
        "current": True,
        "node_id": node_id,
        "author_id": author.id,
        "author_name": author.name,
        "written_at": at,
    }


def _patient(person: villagers.Villager, latin: tuple[str, str]) -> dict[str, Any]:
    return {
        **_version(person.id, "hub", STAFF[-1], _SINCE),
        "name": person.name,
        "pinyin": latin[0],
        "initials": latin[1],
        "sex": person.sex,
        "birth_date": person.birth_date,
        "resident_id": person.resident_id,
        "village_id": person.place.id,
        "address": person.address,
        "phone": person.phone,
        "insurance_number": "",
        "allergies": person.allergies,
        "pregnant": person.pregnant,
        "conditions": [{"code": code, "name": CONDITIONS[code]} for code in person.conditions],
        "note": "",
    }


def _doctor(visit: villagers.Visit) -> county.Person:
    return STAFF[visit.person.place.vehicle * 2 + visit.doctor]


def _encounter(visit: villagers.Visit) -> dict[str, Any]:
    doctor, place = _doctor(visit), visit.person.place
    vehicle = vehicle_id(county.VEHICLE_CODES[place.vehicle])
    finished = visit.started_at + timedelta(minutes=14)
    return {
        **_version(visit.id, vehicle, doctor, finished),
        "patient_id": visit.person.id,
        "vehicle_id": vehicle,
        "village_id": place.id,
        "doctor_id": doctor.id,
        "doctor_name": doctor.name,
        "state": "finished",
        "reason": visit.reason,
        "notes": "",
        "started_at": visit.started_at,
        "finished_at": finished,
    }


def _observations(visit: villagers.Visit) -> list[dict[str, Any]]:
    vehicle = vehicle_id(county.VEHICLE_CODES[visit.person.place.vehicle])
    born = visit.person.birth_date
    rows = []
    for number, measured in enumerate(visit.measurements):
        kind = measurement.kind(measured.kind)
        at = visit.started_at + timedelta(minutes=3 + 2 * number)
        components = [
            {"code": kind.component(key).code, "value": value, "unit": kind.component(key).unit}
            for key, value in measured.values
        ]
        age = at.year - born.year - ((at.month, at.day) < (born.month, born.day))
        rows.append(
            {
                **_version(stable_id("observation", f"{visit.id}/{number}"), vehicle, _doctor(visit), at),
                "patient_id": visit.person.id,
                "encounter_id": visit.id,
                "kind": measured.kind,
                "components": components,
                "status": "final",
                "source": "manual" if measured.manual else "device",
                "device_name": "" if measured.manual else _DEVICE_OF_KIND[measured.kind],
                "taken_at": at,
                "received_at": at,
                "flags": [],
                "marks": value_marks(measured.kind, components, age),
                "note": "",
            }
        )
    return rows


def _devices(session: Session, code: str) -> None:
    _insert(
        session,
        DeviceAssignment,
        [
            {
                "id": stable_id("device", f"{code}/{reader}"),
                "plugin": "vitals-simulator",
                "reader": reader,
                "device_id": f"sim-{reader}-1",
                "name": name,
                "info": {"kinds": kinds, "waveforms": waveforms, "model": reader, "serial_number": "1"},
                "memory": {},
                "made_at": _SINCE + timedelta(minutes=number),
            }
            for number, (reader, name, kinds, waveforms) in enumerate(_DEVICES)
        ],
    )
