"""Finding people by everything somebody may have at hand."""

from __future__ import annotations

from datetime import date

import pytest
from sqlmodel import select

from teleconsult.services import patients, search
from teleconsult.services.node import Node
from teleconsult.services.patients import PersonInput
from teleconsult.store.tables import AuditEntry, Village
from tests.support.world import World


@pytest.fixture
def village_of_four(vehicle: Node) -> Node:
    with vehicle.store.write() as tx:
        tx.session.add(Village(id="far", name="远山村", township="沙湾镇"))
    for name, village in (("张秀", "far"), ("李秀英", "far"), ("赵小雨", World.village_id)):
        patients.register_patient(
            vehicle,
            World.doctor,
            PersonInput(name=name, sex="female", birth_date=date(1980, 1, 1), village_id=village),
        )
    return vehicle


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("张秀英", ["张秀英"]),
        ("张", ["张秀", "张秀英"]),
        ("秀英", ["张秀英", "李秀英"]),
        ("zxy", ["张秀英", "赵小雨"]),
        ("ZHANGX", ["张秀", "张秀英"]),
        ("0028", ["张秀英"]),
        ("000000195001010028", ["张秀英"]),
        ("000000 19500101 0028", ["张秀英"]),
        ("０００００019500101", ["张秀英"]),
        ("远山", ["张秀", "李秀英"]),
        ("远山 李", ["李秀英"]),
        ("nobody", []),
        ("%", []),
        ("   ", []),
        ("'; DROP TABLE patient;--", []),
    ],
)
def test_people_are_found(village_of_four: Node, query: str, names: list[str]) -> None:
    found = search.search_people(village_of_four, World.doctor, query)
    assert sorted(person.name for person in found.people) == sorted(names)


def test_the_best_match_and_the_own_village_come_first(village_of_four: Node) -> None:
    found = search.search_people(village_of_four, World.doctor, "张秀", near_village_id=World.village_id)
    assert [person.name for person in found.people] == ["张秀", "张秀英"]
    near = search.search_people(village_of_four, World.doctor, "秀英", near_village_id=World.village_id)
    assert [person.name for person in near.people] == ["张秀英", "李秀英"]


def test_a_long_list_is_cut_and_says_so(village_of_four: Node) -> None:
    found = search.search_people(village_of_four, World.doctor, "张", limit=1)
    assert (len(found.people), found.more) == (1, True)


def test_a_whole_number_is_exact(village_of_four: Node) -> None:
    assert search.search_people(village_of_four, World.doctor, "000000195001010028").exact
    assert not search.search_people(village_of_four, World.doctor, "0028").exact
    assert search.whole_number(" 00000019500101002x ") == "00000019500101002X"
    assert search.whole_number("张秀英") is None


def test_only_the_newest_version_is_found(village_of_four: Node) -> None:
    renamed = PersonInput(name="张秀音", sex="female", birth_date=date(1950, 1, 1))
    patients.correct_patient(village_of_four, World.doctor, World.patient_id, renamed, version=1)
    assert not search.search_people(village_of_four, World.doctor, "张秀英").people


def test_a_search_is_audited_without_digits(village_of_four: Node) -> None:
    search.search_people(village_of_four, World.doctor, "000000195001010028")
    with village_of_four.store.read() as session:
        entry = session.exec(select(AuditEntry).where(AuditEntry.action == "search")).one()
    assert entry.detail == "*" * 18 + ": 1"
