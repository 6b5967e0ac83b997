"""The invented county: its size, that its people cannot be real, that every node makes the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from sqlmodel import Session, col, select

from teleconsult.demo import county, seed, villagers
from teleconsult.domain.people import Sex, parse_resident_id
from teleconsult.services import search
from teleconsult.services.node import Node
from teleconsult.services.passwords import verify_password
from teleconsult.services.rounds import look_at_today
from teleconsult.store.tables import (
    DeviceAssignment,
    Encounter,
    Observation,
    Organization,
    OutboxEntry,
    Patient,
    Stop,
    User,
    Vehicle,
    Village,
)
from tests.support.world import World

DAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


def ids(session: Session, table: type[Patient | Encounter | Observation | Stop]) -> set[str]:
    return set(session.exec(select(col(table.id))))


def test_the_county_has_its_size_and_every_villager_is_invented() -> None:
    assert (len(county.VEHICLE_CODES), len(county.PLACES)) == (4, 73)
    assert len({place.name for place in county.PLACES}) == 73
    people = villagers.everybody()
    sizes = Counter(person.place.index for person in people)
    assert min(sizes.values()) >= 20
    assert max(sizes.values()) <= 60
    numbers = [person.resident_id for person in people if person.resident_id]
    assert len(set(numbers)) == len(numbers)
    for person in people:
        assert set(person.conditions) <= {"I10", "E11"}
        assert not person.phone or person.phone.startswith("100")
        if person.resident_id:
            parsed = parse_resident_id(person.resident_id, today=DAY, allow_demo=True)
            assert (parsed.birth_date, parsed.sex) == (person.birth_date, Sex(person.sex))
            assert person.resident_id.startswith("000000")


def test_each_village_is_visited_about_every_two_months() -> None:
    for vehicle in range(4):
        stays = [place.index for _, place in county.plan(vehicle, DAY, 366)]
        assert set(stays) == {place.index for place in county.places_of(vehicle)}
        assert 50 <= len(county.places_of(vehicle)) * county.STAY_DAYS <= 62


def test_earlier_visits_lie_on_days_the_vehicle_was_there() -> None:
    for person in villagers.everybody()[::97]:
        for visit in villagers.visits(person, DAY):
            assert visit.started_at.date() < DAY
            assert county.place_on(person.place.vehicle, visit.started_at.date()) == person.place


def test_hub_and_vehicle_agree_and_a_second_start_keeps_everything(new_node: Callable[..., Node]) -> None:
    hub = new_node()
    vehicle = new_node(kind="vehicle", node_id=seed.vehicle_id("JN-02"))
    for node in (hub, vehicle):
        node.clock = lambda: NOW
    seed.seed_hub(hub)
    seed.seed_vehicle(vehicle, "JN-02")
    with hub.store.read() as at_hub, vehicle.store.read() as at_vehicle:
        for table in (Patient, Encounter, Observation, Stop):
            own, all_of_them = ids(at_vehicle, table), ids(at_hub, table)
            assert own
            assert own < all_of_them, "the vehicle's part has the hub's ids"
        for table in (Organization, Village, Vehicle):
            assert (
                at_hub.exec(select(table).order_by(table.id)).all()
                == at_vehicle.exec(select(table).order_by(table.id)).all()
            )
        first = at_vehicle.exec(select(Patient).order_by(Patient.id)).first()
        assert first is not None
        assert first.model_dump() == at_hub.get_one(Patient, first.id).model_dump()
        assert at_vehicle.exec(select(OutboxEntry)).first() is None, "nothing seeded is sent"
        assert len(at_vehicle.exec(select(DeviceAssignment)).all()) == 4
        before = ids(at_hub, Patient), ids(at_hub, Stop)
    hub.clock = lambda: NOW + timedelta(days=10)
    seed.seed_hub(hub)
    with hub.store.read() as session:
        assert ids(session, Patient) == before[0]
        assert ids(session, Stop) > before[1], "the round is planned further"


def test_everybody_printed_can_log_in_where_it_says(new_node: Callable[..., Node]) -> None:
    hub = new_node()
    vehicle = new_node(kind="vehicle", node_id=seed.vehicle_id("JN-01"))
    seed.seed_hub(hub)
    seed.seed_vehicle(vehicle, "JN-01")
    with hub.store.read() as at_hub, vehicle.store.read() as at_vehicle:
        for login in seed.LOGINS:
            session = at_vehicle if login.at_vehicle else at_hub
            user = session.exec(select(User).where(User.username == login.username)).one()
            assert verify_password(user.password_hash, seed.PASSWORD)
        stranger = at_vehicle.exec(select(User).where(User.username == "cardiology")).one()
        assert stranger.password_hash == "", "a vehicle holds the passwords of its own doctors only"


def test_a_doctor_of_the_demo_has_a_stop_and_people_today(new_node: Callable[..., Node]) -> None:
    node = new_node(kind="vehicle", node_id=seed.vehicle_id("JN-01"))
    seed.seed_vehicle(node, "JN-01")
    with node.store.read() as session:
        user = session.exec(select(User).where(User.username == "doctor11")).one()
    doctor = World.doctor.__class__(user.id, user.name, World.doctor.role, None, user.vehicle_id)
    page = look_at_today(node, doctor)
    assert len(page.stops) == 1
    assert page.stops[0].people >= 20
    assert page.villagers
    assert search.search_people(node, doctor, page.stops[0].village).people
