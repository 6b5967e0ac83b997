"""Encounters, their notes, and for whom the devices measure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from teleconsult.domain.errors import Conflict, InvalidInput, NotAllowed, NotFound
from teleconsult.domain.roles import Actor, Role
from teleconsult.services import encounters, measuring, rounds
from teleconsult.services.node import Node
from teleconsult.store import versions
from teleconsult.store.tables import Encounter
from tests.support.people import another_patient
from tests.support.world import World

SECOND = Actor("second-doctor", "副医生", Role.VEHICLE_DOCTOR, World.hospital_id, World.vehicle_id)


@pytest.fixture
def today(vehicle: Node) -> Node:
    """The vehicle node on the day of the world's stop, 10:00 at the site."""
    vehicle.clock = lambda: datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
    return vehicle


def heard(node: Node) -> list[tuple[str, str, dict[str, Any]]]:
    found: list[tuple[str, str, dict[str, Any]]] = []
    node.bus.listen(lambda topic, event, data: found.append((topic, event, data)))
    return found


def test_one_open_encounter_for_each_person_and_vehicle(today: Node) -> None:
    first = encounters.start_encounter(today, World.doctor, World.patient_id, reason="头晕")
    again = encounters.start_encounter(today, SECOND, World.patient_id)
    assert again.id == first.id
    assert (first.village_id, first.doctor_name, first.patient.name) == (World.village_id, "车医生", "张秀英")
    encounters.finish_encounter(today, World.doctor, first.id)
    assert encounters.start_encounter(today, World.doctor, World.patient_id).id != first.id


def test_nobody_without_a_vehicle_begins_one(hub: Node) -> None:
    for actor in (World.specialist, World.administrator):
        with pytest.raises(NotAllowed):
            encounters.start_encounter(hub, actor, World.patient_id)


def test_another_vehicles_encounter_is_not_touched(today: Node) -> None:
    view = encounters.start_encounter(today, World.doctor, World.patient_id)
    with pytest.raises(NotAllowed, match="another clinic vehicle"):
        encounters.finish_encounter(today, World.other_doctor, view.id)
    with pytest.raises(NotAllowed):
        encounters.save_notes(today, World.other_doctor, view.id, notes="x", seen_version=1)


def test_notes_are_versions_and_unchanged_text_is_none(today: Node) -> None:
    view = encounters.start_encounter(today, World.doctor, World.patient_id)
    one = encounters.save_notes(today, World.doctor, view.id, reason="头晕", notes="", seen_version=1)
    same = encounters.save_notes(today, World.doctor, view.id, reason="头晕 ", notes="", seen_version=1)
    assert (one.version, same.version) == (2, 2)
    with today.store.read() as session:
        assert [row.reason for row in versions(session, Encounter, view.id)] == ["", "头晕"]


def test_two_writers_of_the_same_text_are_told_and_of_different_texts_are_not(today: Node) -> None:
    view = encounters.start_encounter(today, World.doctor, World.patient_id)
    encounters.save_notes(today, World.doctor, view.id, reason="头晕", seen_version=1)
    merged = encounters.save_notes(today, SECOND, view.id, notes="心肺无异常", seen_version=1)
    assert (merged.reason, merged.notes) == ("头晕", "心肺无异常")
    with pytest.raises(Conflict, match="车医生"):
        encounters.save_notes(today, SECOND, view.id, reason="头痛", seen_version=1)


def test_a_finished_encounter_takes_no_text_until_it_is_opened_again(today: Node) -> None:
    view = encounters.start_encounter(today, World.doctor, World.patient_id)
    encounters.finish_encounter(today, World.doctor, view.id)
    with pytest.raises(Conflict, match="finished"):
        encounters.save_notes(today, World.doctor, view.id, notes="x", seen_version=2)
    opened = encounters.reopen_encounter(today, World.doctor, view.id)
    assert (opened.is_open, opened.finished_at) == (True, None)


def test_opening_again_is_refused_while_another_is_open(today: Node) -> None:
    first = encounters.start_encounter(today, World.doctor, World.patient_id)
    encounters.finish_encounter(today, World.doctor, first.id)
    encounters.start_encounter(today, World.doctor, World.patient_id)
    with pytest.raises(Conflict):
        encounters.reopen_encounter(today, World.doctor, first.id)


def test_a_text_has_an_end(today: Node) -> None:
    view = encounters.start_encounter(today, World.doctor, World.patient_id)
    with pytest.raises(InvalidInput) as refused:
        encounters.save_notes(today, World.doctor, view.id, notes="长" * 10_001, seen_version=1)
    assert refused.value.field == "notes"


def test_unknown_ones_are_not_found(today: Node) -> None:
    with pytest.raises(NotFound):
        encounters.open_encounter_page(today, World.doctor, "nothing")


class TestMeasuring:
    def test_opening_the_page_makes_the_devices_measure_for_it(self, today: Node) -> None:
        view = encounters.start_encounter(today, World.doctor, World.patient_id)
        assert not view.measuring
        events = heard(today)
        assert encounters.open_encounter_page(today, World.doctor, view.id).measuring
        person = {"id": World.patient_id, "name": "张秀英", "age": 76, "sex": "female"}
        assert ("node", "measuring", {"encounter_id": view.id, "patient": person}) in events

    def test_the_same_doctor_goes_on_to_the_next_person(self, today: Node) -> None:
        one = encounters.start_encounter(today, World.doctor, World.patient_id)
        two = encounters.start_encounter(today, World.doctor, another_patient(today))
        encounters.open_encounter_page(today, World.doctor, one.id)
        assert encounters.open_encounter_page(today, World.doctor, two.id).measuring

    def test_another_doctors_page_takes_no_readings_away(self, today: Node) -> None:
        one = encounters.start_encounter(today, World.doctor, World.patient_id)
        two = encounters.start_encounter(today, SECOND, another_patient(today))
        encounters.open_encounter_page(today, World.doctor, one.id)
        assert not encounters.open_encounter_page(today, SECOND, two.id).measuring
        assert encounters.measure_for(today, SECOND, two.id).measuring
        assert not encounters.read_encounter(today, World.doctor, one.id).measuring

    def test_it_ends_with_the_encounter_and_with_the_day(self, today: Node) -> None:
        view = encounters.start_encounter(today, World.doctor, World.patient_id)
        encounters.open_encounter_page(today, World.doctor, view.id)
        assert measuring.target_patient(today) is not None
        morning = today.clock()
        today.clock = lambda: morning + timedelta(days=1)
        assert measuring.target_patient(today) is None
        today.clock = lambda: morning
        encounters.finish_encounter(today, World.doctor, view.id)
        assert measuring.target_patient(today) is None

    def test_a_finished_encounter_is_never_measured_for(self, today: Node) -> None:
        view = encounters.start_encounter(today, World.doctor, World.patient_id)
        encounters.finish_encounter(today, World.doctor, view.id)
        assert not encounters.open_encounter_page(today, World.doctor, view.id).measuring
        with pytest.raises(Conflict):
            encounters.measure_for(today, World.doctor, view.id)


def test_today_shows_stop_people_and_what_is_open(today: Node) -> None:
    page = rounds.look_at_today(today, World.doctor)
    assert [(stop.village, stop.people) for stop in page.stops] == [("七里村", 1)]
    assert (page.being_seen, page.seen, page.consults) == ((), (), ())
    view = encounters.start_encounter(today, World.doctor, World.patient_id)
    assert [e.id for e in rounds.look_at_today(today, World.doctor).being_seen] == [view.id]
    encounters.finish_encounter(today, World.doctor, view.id)
    assert [e.id for e in rounds.look_at_today(today, World.doctor).seen] == [view.id]
    villager = rounds.people_of_village(today, World.doctor, World.village_id)[0]
    assert (villager.seen, villager.last_seen) == (True, page.day)
