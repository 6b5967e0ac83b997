"""Registering and correcting people: what is taken, what is refused, what is asked about."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

from teleconsult.domain.errors import Conflict, InvalidInput, NotAllowed, NotFound
from teleconsult.domain.people import Sex, check_digit
from teleconsult.services import patients
from teleconsult.services.node import Node
from teleconsult.services.patients import AlreadyRegistered, PersonInput, PossibleDuplicates
from teleconsult.services.pinyin import romanise
from teleconsult.store import versions
from teleconsult.store.tables import AuditEntry, OutboxEntry, Patient
from tests.support.world import World

OF_WORLD = "000000195001010028"


def number(born: str, sequence: int) -> str:
    digits = f"000000{born}{sequence:03d}"
    return digits + check_digit(digits)


def person(**values: Any) -> PersonInput:
    return PersonInput(**{"name": "李大山", "sex": "male", "birth_date": date(1960, 5, 1), **values})


def test_a_number_fills_birth_date_and_sex(vehicle: Node) -> None:
    shown = patients.register_patient(
        vehicle, World.doctor, PersonInput(name=" 李 大山 ", resident_id=number("19600501", 13))
    )
    assert (shown.name, shown.birth_date, shown.sex) == ("李 大山", date(1960, 5, 1), Sex.MALE)
    assert shown.id_tail == number("19600501", 13)[-4:]


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"resident_id": "110105194912310021"}, "resident_id", "check digit"),
        ({"resident_id": "123"}, "resident_id", "17 digits"),
        ({"resident_id": number("19600502", 13)}, "birth_date", "differs"),
        ({"resident_id": number("19600501", 14)}, "sex", "differs"),
        ({"birth_date": date(2999, 1, 1)}, "birth_date", "future"),
        ({"resident_id": number("29990101", 13), "birth_date": None}, "resident_id", "future"),
        ({"birth_date": None}, "birth_date", "Enter the birth date"),
        ({"sex": None}, "sex", "Choose the sex"),
        ({"name": "  "}, "name", "Enter the name"),
        ({"pregnant": True}, "pregnant", "man"),
        ({"village_id": "nowhere"}, "village_id", "village"),
        ({"conditions": ("X99",)}, "conditions", "conditions"),
    ],
)
def test_what_is_refused_names_its_field(vehicle: Node, values: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        patients.register_patient(vehicle, World.doctor, person(**values))
    assert refused.value.field == field
    with vehicle.store.read() as session:
        assert len(session.exec(select(Patient)).all()) == 1, "nothing is stored"


def test_numbers_of_invented_people_pass_only_in_a_demo(new_node: Any) -> None:
    from tests.support.world import build_world

    node = new_node(allow_demo_data=False)
    build_world(node)
    with pytest.raises(InvalidInput, match="demonstrations"):
        patients.register_patient(node, World.administrator, person(resident_id=number("19600501", 13)))


def test_the_same_number_leads_to_the_person_who_has_it(vehicle: Node) -> None:
    with pytest.raises(AlreadyRegistered) as refused:
        patients.register_patient(vehicle, World.doctor, PersonInput(name="别人", resident_id=OF_WORLD))
    assert refused.value.patient.id == World.patient_id
    assert "张秀英" in str(refused.value)


@pytest.mark.parametrize(
    "values",
    [
        {"name": "张秀英", "sex": "female", "birth_date": date(1950, 1, 1)},
        {"name": "张秀英", "sex": "female", "birth_date": date(1971, 1, 1), "village_id": World.village_id},
    ],
)
def test_a_likely_double_is_shown_and_asked_about(vehicle: Node, values: dict[str, Any]) -> None:
    with pytest.raises(PossibleDuplicates) as asked:
        patients.register_patient(vehicle, World.doctor, PersonInput(**values))
    assert [other.id for other in asked.value.people] == [World.patient_id]
    other = patients.register_patient(vehicle, World.doctor, PersonInput(**values), confirmed_others=[World.patient_id])
    assert other.id != World.patient_id


def test_a_namesake_elsewhere_of_another_age_is_no_double(vehicle: Node) -> None:
    values = {"name": "张秀英", "sex": "female", "birth_date": date(1971, 1, 1)}
    assert patients.register_patient(vehicle, World.doctor, PersonInput(**values)).name == "张秀英"


def test_a_confirmation_holds_for_those_shown_only(vehicle: Node) -> None:
    values = {"name": "张秀英", "sex": "female", "birth_date": date(1950, 1, 1)}
    patients.register_patient(vehicle, World.doctor, PersonInput(**values), confirmed_others=[World.patient_id])
    with pytest.raises(PossibleDuplicates) as asked:
        patients.register_patient(vehicle, World.doctor, PersonInput(**values), confirmed_others=[World.patient_id])
    assert len(asked.value.people) == 2


def test_a_record_without_a_number_is_completed_later(vehicle: Node) -> None:
    shown = patients.register_patient(vehicle, World.doctor, person())
    assert shown.id_tail == ""
    full = patients.correct_patient(
        vehicle, World.doctor, shown.id, person(resident_id=number("19600501", 13)), version=1
    )
    assert full.id_tail
    with vehicle.store.read() as session:
        first, second = versions(session, Patient, shown.id)
    assert (first.resident_id, second.resident_id) == (None, number("19600501", 13))
    assert second.previous_id == first.id


def test_a_correction_cannot_take_somebody_elses_number(vehicle: Node) -> None:
    shown = patients.register_patient(
        vehicle, World.doctor, PersonInput(name="王一", sex="female", birth_date=date(1950, 1, 1))
    )
    with pytest.raises(AlreadyRegistered):
        patients.correct_patient(
            vehicle, World.doctor, shown.id, PersonInput(name="王一", resident_id=OF_WORLD), version=1
        )


def test_two_people_correcting_at_once_are_told(vehicle: Node) -> None:
    shown = patients.register_patient(vehicle, World.doctor, person())
    patients.correct_patient(vehicle, World.doctor, shown.id, person(phone="1"), version=1)
    with pytest.raises(Conflict, match="Somebody has changed"):
        patients.correct_patient(vehicle, World.doctor, shown.id, person(phone="2"), version=1)


def test_correcting_nothing_makes_no_version(vehicle: Node) -> None:
    shown = patients.register_patient(vehicle, World.doctor, person())
    assert patients.correct_patient(vehicle, World.doctor, shown.id, person(), version=1).version == 1


def test_every_read_and_write_is_audited_and_sent(vehicle: Node) -> None:
    shown = patients.register_patient(vehicle, World.doctor, person())
    patients.read_patient(vehicle, World.doctor, shown.id)
    with vehicle.store.read() as session:
        entries = session.exec(select(AuditEntry).where(AuditEntry.patient_id == shown.id)).all()
        sent = session.exec(select(OutboxEntry).where(OutboxEntry.kind == "patient")).all()
    assert [(entry.action, entry.actor_id) for entry in entries] == [
        ("create", World.doctor.user_id),
        ("read", World.doctor.user_id),
    ]
    assert [entry.payload["name"] for entry in sent] == ["李大山"]


def test_the_hub_sends_a_person_to_the_vehicles_that_visit_the_village(hub: Node) -> None:
    patients.register_patient(hub, World.administrator, person(village_id=World.village_id))
    with hub.store.read() as session:
        assert [entry.target for entry in session.exec(select(OutboxEntry))] == [World.vehicle_id]


def test_a_specialist_registers_nobody(hub: Node) -> None:
    with pytest.raises(NotAllowed):
        patients.register_patient(hub, World.specialist, person())


def test_who_is_not_there_is_not_found(vehicle: Node) -> None:
    with pytest.raises(NotFound):
        patients.read_summary(vehicle, World.doctor, "nobody")


def test_alerts_stand_in_the_summary(vehicle: Node) -> None:
    shown = patients.register_patient(
        vehicle,
        World.doctor,
        person(sex="female", pregnant=True, allergies="青霉素", conditions=("I10",)),
    )
    assert [(alert.code, alert.text) for alert in shown.alerts] == [("allergy", "青霉素"), ("pregnant", "")]
    assert shown.conditions == ("hypertension",)


@pytest.mark.parametrize(
    ("name", "latin"),
    [
        ("张秀英", ("zhangxiuying", "zxy")),
        ("单小明", ("shanxiaoming", "sxm")),
        ("吕布", ("lvbu", "lb")),
        ("尉迟恭", ("yuchigong", "ycg")),
        ("Anna Müller", ("annamuller", "am")),
    ],
)
def test_names_in_latin_letters(name: str, latin: tuple[str, str]) -> None:
    assert romanise(name) == latin


@given(st.text(max_size=80))
def test_any_name_can_be_romanised(name: str) -> None:
    pinyin, initials = romanise(name)
    assert len(pinyin) <= 200
    assert len(initials) <= 60
    assert (pinyin + initials).isascii()
