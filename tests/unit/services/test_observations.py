"""Readings go to the right person, in doubt to nobody; their values are never altered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import select

from teleconsult.domain.errors import Conflict, InvalidInput, NotAllowed
from teleconsult.plugin_api import Reading, ReadingFlag, make_reading
from teleconsult.services import encounters, observations, tray
from teleconsult.services.manual_entry import typed_components
from teleconsult.services.node import Node
from teleconsult.services.observations import Begun, take_reading
from teleconsult.store import versions
from teleconsult.store.tables import AuditEntry, Consult, Observation, OutboxEntry
from tests.support.people import another_patient
from tests.support.world import World

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


def pressure(high: float = 128, low: float = 82, *, at: datetime | None = NOW, **more: Any) -> Reading:
    values = {"systolic": (high, "mm[Hg]"), "diastolic": (low, "mm[Hg]")}
    return make_reading("cuff-1", "blood_pressure", values, taken_at=at, **more)


def warmth(value: float = 36.6, *, at: datetime = NOW, **more: Any) -> Reading:
    return make_reading("thermometer-1", "body_temperature", {"body_temperature": (value, "Cel")}, taken_at=at, **more)


@pytest.fixture
def node(vehicle: Node) -> Node:
    """The vehicle node, its clock standing at NOW."""
    vehicle.clock = lambda: NOW
    return vehicle


@pytest.fixture
def encounter(node: Node) -> str:
    """An open encounter of the world's patient that the devices measure for."""
    view = encounters.start_encounter(node, World.doctor, World.patient_id)
    encounters.open_encounter_page(node, World.doctor, view.id)
    return view.id


def listen(node: Node) -> list[tuple[str, str, dict[str, Any]]]:
    found: list[tuple[str, str, dict[str, Any]]] = []
    node.bus.listen(lambda topic, event, data: found.append((topic, event, data)))
    return found


def test_a_reading_goes_to_the_person_measured_and_waits_to_be_accepted(node: Node, encounter: str) -> None:
    events = listen(node)
    shown = take_reading(node, pressure(), device_name="血压计一")
    assert (shown["encounter_id"], shown["patient_id"], shown["status"]) == (
        encounter,
        World.patient_id,
        "preliminary",
    )
    assert shown["patient"] == {"id": World.patient_id, "name": "张秀英", "age": 76, "sex": "female"}
    assert (shown["text"], shown["unit"], shown["device"]) == ("128/82", "mmHg", "血压计一")
    assert [(topic, event) for topic, event, _ in events if event == "reading"] == [
        (f"encounter:{encounter}", "reading")
    ]


def test_it_is_announced_to_the_encounters_open_consults_only(node: Node, encounter: str) -> None:
    with node.store.write() as tx:
        for number, state in (("A", "in_call"), ("B", "closed")):
            consult = Consult(
                id=number, number=number, patient_id=World.patient_id, encounter_id=encounter,
                vehicle_id=World.vehicle_id, requester_id="x", requester_name="x", specialty="general",
                urgency="routine", reason="x", state=state,
            )  # fmt: skip
            tx.session.add(consult)
    events = listen(node)
    take_reading(node, pressure())
    assert {topic for topic, event, _ in events if event == "reading"} == {
        f"encounter:{encounter}",
        "consult:A",
    }


def test_a_repeat_is_kept_once(node: Node, encounter: str) -> None:
    first = take_reading(node, pressure())
    observations.accept(node, World.doctor, first["id"])
    again = take_reading(node, pressure())
    assert (again["id"], again["status"]) == (first["id"], "final")
    with node.store.read() as session:
        assert len(versions(session, Observation, first["id"])) == 2


def test_without_an_encounter_it_waits_in_the_tray(node: Node) -> None:
    events = listen(node)
    shown = take_reading(node, pressure())
    assert (shown["encounter_id"], shown["patient"]) == (None, None)
    assert [mark["mark"] for mark in shown["marks"]] == ["nobody"]
    assert ("node", "unassigned:changed", {"count": 1}) in events


@pytest.mark.parametrize(
    ("begun", "to_the_tray"),
    [(None, False), ("same", False), ("other", True), ("nobody", True)],
)
def test_a_measurement_begun_for_somebody_else_is_nobodys(
    node: Node, encounter: str, begun: str | None, to_the_tray: bool
) -> None:
    started = None if begun is None else Begun({"same": encounter, "other": "x", "nobody": None}[begun])
    shown = take_reading(node, pressure(), begun=started)
    assert (shown["encounter_id"] is None) is to_the_tray
    assert ("person_changed" in [mark["mark"] for mark in shown["marks"]]) is to_the_tray


def test_a_stored_reading_from_before_the_encounter_is_nobodys(node: Node, encounter: str) -> None:
    assert take_reading(node, pressure(at=NOW - timedelta(minutes=1)))["encounter_id"] == encounter
    old = take_reading(node, pressure(at=NOW - timedelta(hours=9)))
    assert (old["encounter_id"], [mark["mark"] for mark in old["marks"]]) == (None, ["before_encounter"])


class TestThePersonWasJustChanged:
    """The devices measured for one person until NOW, and from NOW on for another."""

    @pytest.fixture
    def second(self, node: Node, encounter: str) -> str:
        return self.change(node)

    def change(self, node: Node, *, pause: timedelta = timedelta(0)) -> str:
        node.clock = lambda: NOW + pause
        view = encounters.start_encounter(node, World.doctor, another_patient(node))
        encounters.open_encounter_page(node, World.doctor, view.id)
        node.clock = lambda: NOW + pause + timedelta(minutes=5)
        return view.id

    @pytest.mark.parametrize(("seconds", "to_the_tray"), [(-119, True), (-1, True), (0, False), (1, False)])
    def test_what_was_taken_before_is_not_the_next_ones(
        self, node: Node, second: str, seconds: int, to_the_tray: bool
    ) -> None:
        taken = warmth(at=NOW + timedelta(seconds=seconds))
        shown = take_reading(node, taken)
        assert (shown["encounter_id"], [mark["mark"] for mark in shown["marks"]]) == (
            (None, ["may_be_of_another"]) if to_the_tray else (second, [])
        )

    @pytest.mark.parametrize(
        ("seconds", "seen", "to_the_tray"), [(0, False, True), (29, False, True), (30, False, False), (0, True, False)]
    )
    def test_a_cuff_that_nobody_saw_measuring_began_earlier_than_its_time(
        self, node: Node, second: str, seconds: int, seen: bool, to_the_tray: bool
    ) -> None:
        begun = Begun(second) if seen else None
        shown = take_reading(node, pressure(at=NOW + timedelta(seconds=seconds)), begun=begun)
        assert shown["encounter_id"] == (None if to_the_tray else second)

    @pytest.mark.parametrize(("minutes", "to_the_tray"), [(1, True), (3, False)])
    def test_a_pause_between_the_two_counts(self, node: Node, encounter: str, minutes: int, to_the_tray: bool) -> None:
        encounters.finish_encounter(node, World.doctor, encounter)
        pause = timedelta(minutes=minutes)
        second = self.change(node, pause=pause)
        shown = take_reading(node, warmth(at=NOW + pause - timedelta(seconds=20)))
        assert shown["encounter_id"] == (None if to_the_tray else second)

    def test_back_to_the_first_one_is_a_change_too(self, node: Node, encounter: str, second: str) -> None:
        node.clock = lambda: NOW + timedelta(seconds=40)
        encounters.measure_for(node, World.doctor, encounter)
        node.clock = lambda: NOW + timedelta(minutes=5)
        assert take_reading(node, warmth(at=NOW + timedelta(seconds=20)))["encounter_id"] is None
        assert take_reading(node, warmth(at=NOW + timedelta(seconds=50)))["encounter_id"] == encounter

    def test_asking_for_the_same_person_again_is_no_change(self, node: Node, second: str) -> None:
        node.clock = lambda: NOW + timedelta(minutes=4)
        encounters.measure_for(node, World.doctor, second)
        node.clock = lambda: NOW + timedelta(minutes=5)
        assert take_reading(node, pressure(at=NOW + timedelta(minutes=3)))["encounter_id"] == second

    def test_a_second_encounter_of_the_same_person_is_no_other_person(self, node: Node, encounter: str) -> None:
        encounters.finish_encounter(node, World.doctor, encounter)
        view = encounters.start_encounter(node, World.doctor, World.patient_id)
        encounters.open_encounter_page(node, World.doctor, view.id)
        assert take_reading(node, pressure(at=NOW))["encounter_id"] == view.id

    def test_an_encounter_left_open_yesterday_ended_with_its_day(self, node: Node, encounter: str) -> None:
        second = self.change(node, pause=timedelta(days=1))
        taken = warmth(at=NOW + timedelta(days=1) - timedelta(seconds=20))
        assert take_reading(node, taken)["encounter_id"] == second


@pytest.mark.parametrize("seen", [True, False])
def test_a_time_that_has_not_come_is_replaced_and_said(node: Node, encounter: str, seen: bool) -> None:
    """When it was taken is then as unknown as if the device told nothing."""
    reading = pressure(at=NOW + timedelta(days=400))
    shown = take_reading(node, reading, begun=Begun(encounter) if seen else None)
    assert shown["taken_at"] == "2026-11-24T02:00:00Z"
    assert [mark["mark"] for mark in shown["marks"]] == (["clock"] if seen else ["clock", "when_unknown"])
    assert shown["encounter_id"] == (encounter if seen else None)


@pytest.mark.parametrize("seen", [True, False])
def test_a_device_that_cannot_tell_when_it_measured_is_believed_only_if_it_was_seen_measuring(
    node: Node, encounter: str, seen: bool
) -> None:
    values = {"systolic": (151, "mm[Hg]"), "diastolic": (92, "mm[Hg]")}
    undated = make_reading("cuff-1", "blood_pressure", values, sequence="7", flags=(ReadingFlag.CLOCK_NOT_SET,))
    shown = take_reading(node, undated, begun=Begun(encounter) if seen else None)
    assert shown["encounter_id"] == (encounter if seen else None)
    assert ("when_unknown" in [mark["mark"] for mark in shown["marks"]]) is not seen


def test_a_stored_reading_without_a_time_is_nobodys_though_the_device_is_seen_measuring(
    node: Node, encounter: str
) -> None:
    """An oximeter that streams one person's value hands over another's of yesterday."""
    flags = (ReadingFlag.CLOCK_NOT_SET, ReadingFlag.WHOSE_UNKNOWN)
    stored = make_reading("oximeter-1", "spo2", {"spo2": (97, "%")}, sequence="7", flags=flags)
    shown = take_reading(node, stored, begun=Begun(encounter))
    assert shown["encounter_id"] is None
    assert "when_unknown" in [mark["mark"] for mark in shown["marks"]]


def test_the_result_of_a_sample_is_placed_by_a_person(node: Node, encounter: str) -> None:
    """Whatever its time says: it may have been handed in by somebody before."""
    result = make_reading(
        "hl7-2575",
        "glucose",
        {"glucose": (6.1, "mmol/L")},
        taken_at=NOW,
        sequence="7",
        flags=(ReadingFlag.WHOSE_UNKNOWN,),
        note="张 秀英, 0017",
    )
    shown = take_reading(node, result)
    assert (shown["encounter_id"], shown["note"]) == (None, "张 秀英, 0017")
    assert [mark["mark"] for mark in shown["marks"]] == ["whose_unknown"]
    placed = observations.place_unassigned(node, World.doctor, shown["id"], encounter)
    assert (placed["encounter_id"], placed["note"], placed["marks"]) == (encounter, "张 秀英, 0017", [])


def test_control_solution_is_nobodys_blood(node: Node, encounter: str) -> None:
    test_liquid = make_reading(
        "meter", "glucose", {"glucose": (6.1, "mmol/L")}, taken_at=NOW, flags=(ReadingFlag.CONTROL_SOLUTION,)
    )
    shown = take_reading(node, test_liquid)
    assert (shown["encounter_id"], shown["status"]) == (None, "cancelled")
    assert observations.unassigned_count(node) == 0


@pytest.mark.parametrize(
    ("high", "low", "marks"),
    [
        (149, 89, []),
        (150, 89, [("8480-6", "above_target")]),
        (149, 90, [("8462-4", "above_target")]),
        (180, 80, [("8480-6", "urgent")]),
        (2047, 80, [("8480-6", "implausible")]),
    ],
)
def test_odd_values_are_marked_and_kept_as_they_are(
    node: Node, encounter: str, high: int, low: int, marks: list[tuple[str, str]]
) -> None:
    shown = take_reading(node, pressure(high, low))
    assert [(mark["code"], mark["mark"]) for mark in shown["marks"]] == marks
    assert [component["number"] for component in shown["components"]] == [high, low]


def test_a_converted_value_shows_all_its_places_and_what_the_device_said(node: Node, encounter: str) -> None:
    values = {"systolic": (16.0, "kPa"), "diastolic": (10.6, "kPa")}
    shown = take_reading(node, make_reading("cuff-1", "blood_pressure", values, taken_at=NOW))
    assert shown["components"][1]["value"] == "79.5"
    assert shown["components"][0]["as_given"] == "16.0 kPa"
    assert shown["given"] == "16.0/10.6 kPa"


@pytest.mark.parametrize(("value", "unit", "given"), [(0.0061, "mol/L", ""), (0.0011, "kg/L", "110 mg/dL")])
def test_a_number_is_said_twice_only_if_the_device_shows_another_one(
    node: Node, encounter: str, value: float, unit: str, given: str
) -> None:
    shown = take_reading(node, make_reading("meter", "glucose", {"glucose": (value, unit)}, taken_at=NOW))
    assert (shown["text"], shown["given"]) == ("6.1" if not given else "6.11", given)


def test_accept_again_and_error_are_versions_by_the_person(node: Node, encounter: str) -> None:
    one, two = take_reading(node, pressure()), take_reading(node, pressure(130))
    assert observations.accept(node, World.doctor, one["id"])["status"] == "final"
    assert observations.accept(node, World.doctor, one["id"])["version"] == 2, "twice is once"
    assert observations.measure_again(node, World.doctor, two["id"])["status"] == "cancelled"
    with pytest.raises(Conflict):
        observations.accept(node, World.doctor, two["id"])
    with pytest.raises(Conflict):
        observations.measure_again(node, World.doctor, one["id"])
    wrong = observations.mark_entered_in_error(node, World.doctor, one["id"], "袖带在别人手臂上")
    assert (wrong["status"], wrong["note"]) == ("entered-in-error", "袖带在别人手臂上")
    with node.store.read() as session:
        history = versions(session, Observation, one["id"])
    assert [row.author_name for row in history] == ["cuff-1", "车医生", "车医生"]
    assert [row.status for row in history] == ["preliminary", "final", "entered-in-error"]


def test_another_vehicles_doctor_changes_nothing(node: Node, encounter: str) -> None:
    shown = take_reading(node, pressure())
    for step in (observations.accept, observations.measure_again, observations.mark_entered_in_error):
        with pytest.raises(NotAllowed):
            step(node, World.other_doctor, shown["id"])


class TestTray:
    def test_a_person_places_it_and_it_is_marked_for_that_person(self, node: Node) -> None:
        child = another_patient(node, "小明", datetime(2015, 1, 1).date())  # noqa: DTZ001
        shown = take_reading(node, pressure(145, 80))
        with pytest.raises(Conflict):
            observations.accept(node, World.doctor, shown["id"])
        view = encounters.start_encounter(node, World.doctor, child)
        events = listen(node)
        placed = observations.place_unassigned(node, World.doctor, shown["id"], view.id)
        assert (placed["patient"]["name"], placed["status"], placed["marks"]) == ("小明", "preliminary", [])
        assert ("node", "unassigned:changed", {"count": 0}) in events
        assert tray.look(node, World.doctor).readings == ()

    @pytest.mark.parametrize(
        ("before", "marks"),
        [(timedelta(days=21), ["before_encounter"]), (timedelta(seconds=1), ["before_encounter"]), (timedelta(0), [])],
    )
    def test_placed_it_says_whether_it_is_older_than_the_encounter(
        self, node: Node, before: timedelta, marks: list[str]
    ) -> None:
        shown = take_reading(node, pressure(at=NOW - before))
        view = encounters.start_encounter(node, World.doctor, World.patient_id)
        placed = observations.place_unassigned(node, World.doctor, shown["id"], view.id)
        assert [mark["mark"] for mark in placed["marks"]] == marks

    def test_placed_it_still_says_what_was_odd_about_it(self, node: Node, encounter: str) -> None:
        undated = pressure(at=None, sequence=1, flags=(ReadingFlag.CLOCK_NOT_SET,))
        for reading, begun, mark in (
            (undated, None, "when_unknown"),
            (pressure(130), Begun("somebody"), "person_changed"),
        ):
            shown = take_reading(node, reading, begun=begun)
            placed = observations.place_unassigned(node, World.doctor, shown["id"], encounter)
            assert [found["mark"] for found in placed["marks"]] == [mark]

    def test_two_people_placing_it_are_told(self, node: Node) -> None:
        shown = take_reading(node, pressure())
        one = encounters.start_encounter(node, World.doctor, World.patient_id)
        two = encounters.start_encounter(node, World.doctor, another_patient(node))
        observations.place_unassigned(node, World.doctor, shown["id"], one.id)
        with pytest.raises(Conflict):
            observations.place_unassigned(node, World.doctor, shown["id"], two.id)

    def test_it_can_be_nobodys(self, node: Node) -> None:
        shown = take_reading(node, pressure())
        observations.mark_entered_in_error(node, World.doctor, shown["id"])
        assert observations.unassigned_count(node) == 0


class TestManualEntry:
    def test_typed_numbers_count_at_once(self, node: Node, encounter: str) -> None:
        typed = {
            "blood_pressure": {"systolic": "152", "diastolic": "９５", "pulse_rate": ""},
            "body_temperature": {"body_temperature": " 36.6 "},
            "spo2": {"spo2": ""},
        }
        shown = observations.enter_manually(node, World.doctor, encounter, typed)
        assert [(v["text"], v["status"], v["source"]) for v in shown] == [
            ("152/95", "final", "manual"),
            ("36.6", "final", "manual"),
        ]
        assert shown[0]["target"]["text"] == "< 150/90"

    @pytest.mark.parametrize(
        ("kind", "values", "field"),
        [
            ("blood_pressure", {"systolic": "120"}, "blood_pressure.diastolic"),
            ("blood_pressure", {"systolic": "80", "diastolic": "120"}, "blood_pressure.systolic"),
            ("blood_pressure", {"systolic": "1520", "diastolic": "95"}, "blood_pressure.systolic"),
            ("body_temperature", {"body_temperature": "98.6"}, "body_temperature.body_temperature"),
            ("body_temperature", {"body_temperature": "36,6"}, "body_temperature.body_temperature"),
            ("body_temperature", {"body_temperature": "36.66"}, "body_temperature.body_temperature"),
            ("spo2", {"spo2": "NaN"}, "spo2.spo2"),
            ("spo2", {"spo2": "1e999999999"}, "spo2.spo2"),
            ("ecg", {"ecg": "1"}, "kind"),
        ],
    )
    def test_what_cannot_be_is_refused_at_its_field(self, kind: str, values: dict[str, str], field: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            typed_components(kind, values)
        assert refused.value.field == field

    def test_one_bad_number_keeps_all_of_them_back(self, node: Node, encounter: str) -> None:
        typed = {"spo2": {"spo2": "97"}, "body_temperature": {"body_temperature": "366"}}
        with pytest.raises(InvalidInput):
            observations.enter_manually(node, World.doctor, encounter, typed)
        with node.store.read() as session:
            assert session.exec(select(Observation)).all() == []

    def test_nothing_typed_is_said(self, node: Node, encounter: str) -> None:
        with pytest.raises(InvalidInput):
            observations.enter_manually(node, World.doctor, encounter, {"spo2": {"spo2": " "}})

    @given(st.text(max_size=12))
    @settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
    def test_any_text_is_a_number_in_range_or_refused(self, text: str) -> None:
        try:
            components = typed_components("body_weight", {"body_weight": text})
        except InvalidInput:
            return
        assert components == [] or 1 <= components[0]["value"] <= 300


def test_the_last_visits_value_stands_beside(node: Node, encounter: str) -> None:
    observations.enter_manually(
        node, World.doctor, encounter, {"blood_pressure": {"systolic": "160", "diastolic": "99"}}
    )
    observations.accept(node, World.doctor, take_reading(node, pressure(158, 97))["id"])
    encounters.finish_encounter(node, World.doctor, encounter)
    view = encounters.start_encounter(node, World.doctor, World.patient_id)
    encounters.open_encounter_page(node, World.doctor, view.id)
    shown = take_reading(node, pressure(140, 88, sequence=9))
    assert shown["encounter_id"] == view.id
    assert shown["previous"]["text"] in ("160/99", "158/97")


def test_readings_are_audited_and_sent(node: Node, encounter: str) -> None:
    shown = take_reading(node, pressure(), device_name="血压计一")
    with node.store.read() as session:
        entry = session.exec(select(AuditEntry).where(AuditEntry.entity == "observation")).one()
        sent = session.exec(select(OutboxEntry).where(OutboxEntry.kind == "observation")).one()
    assert (entry.actor_name, entry.patient_id, entry.entity_id) == ("血压计一", World.patient_id, shown["id"])
    assert sent.payload["record_id"] == shown["id"]
