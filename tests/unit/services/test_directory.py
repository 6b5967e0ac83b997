"""The directory and the accounts: what an administrator may enter, who is told, whose logins end."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlmodel import select

from teleconsult.domain.errors import Conflict, InvalidInput, NotAllowed, NotFound
from teleconsult.domain.roles import SYSTEM, Actor, Role
from teleconsult.services import accounts, audit, directory, staff, vehicles
from teleconsult.services.directory import OrganizationForm, StopForm, VehicleForm, VillageForm
from teleconsult.services.node import Node
from teleconsult.services.staff import PersonForm
from teleconsult.store.tables import AuditEntry, OutboxEntry, User
from tests.support.clock import Clock
from tests.support.world import PASSWORD, World

ADMIN = World.administrator


def specialist(**changes: object) -> PersonForm:
    values = {
        "username": "li.xin",
        "name": "李欣",
        "role": "specialist",
        "organization_id": World.hospital_id,
        "specialty": "neurology",
    }
    return PersonForm.model_validate({**values, **changes})


def sent(node: Node) -> list[tuple[str, str]]:
    with node.store.read() as session:
        return list(session.exec(select(OutboxEntry.target, OutboxEntry.kind).order_by(OutboxEntry.seq)))


def test_a_new_account_can_log_in_is_audited_and_goes_to_all_vehicles(hub: Node) -> None:
    user, password = staff.create_person(hub, ADMIN, specialist(username=" Li.Xin "))
    assert user.username == "li.xin"
    _token, actor = accounts.log_in(hub, "li.xin", password, address="", agent="")
    assert (actor.role, actor.specialty, actor.vehicle_id) == (Role.SPECIALIST, "neurology", None)
    assert sent(hub) == [("*", "user_account")]
    with hub.store.read() as session:
        entry = session.exec(select(AuditEntry).where(AuditEntry.action == "create")).one()
    assert (entry.actor_id, entry.entity, entry.entity_id) == (ADMIN.user_id, "user", user.id)
    assert "argon2" not in entry.detail
    assert password not in entry.detail


def test_made_up_passwords_are_good_and_differ() -> None:
    made = {staff.make_password() for _ in range(50)}
    assert len(made) == 50
    assert all(len(password) == 19 for password in made)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"username": "specialist"}, "username"),
        ({"username": "SPECIALIST"}, "username"),
        ({"username": "a b"}, "username"),
        ({"username": "x"}, "username"),
        ({"name": "  "}, "name"),
        ({"role": "system"}, "role"),
        ({"organization_id": None}, "organization_id"),
        ({"specialty": None}, "specialty"),
        ({"specialty": "astrology"}, "specialty"),
        ({"role": "vehicle_doctor"}, "vehicle_id"),
    ],
)
def test_an_account_that_lacks_something_is_refused_at_its_field(
    hub: Node, changes: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        staff.create_person(hub, ADMIN, specialist(**changes))
    assert caught.value.field == field
    assert sent(hub) == []


def test_the_wrong_people_do_not_edit_the_directory(hub: Node, vehicle: Node) -> None:
    for actor in (World.doctor, World.specialist, World.coordinator):
        with pytest.raises(NotAllowed):
            staff.create_person(hub, actor, specialist())
    with pytest.raises(NotAllowed, match="at the hub"):
        staff.create_person(vehicle, ADMIN, specialist())


def test_another_role_ends_the_logins_another_phone_does_not(hub: Node) -> None:
    ended: list[str] = []
    hub.bus.listen(lambda topic, event, data: ended.append(topic) if event == "session:ended" else None)
    user, password = staff.create_person(hub, ADMIN, specialist())
    token, _actor = accounts.log_in(hub, "li.xin", password, address="", agent="")
    staff.edit_person(hub, ADMIN, user.id, specialist(phone="0578-1", title="主治医师"))
    assert accounts.resume(hub, token, address="") is not None
    staff.edit_person(hub, ADMIN, user.id, specialist(role="coordinator"))
    assert accounts.resume(hub, token, address="") is None
    assert ended == [f"user:{user.id}"]
    with hub.store.read() as session:
        row = session.get_one(User, user.id)
        [detail] = session.exec(select(AuditEntry.detail).where(AuditEntry.detail.contains("role: specialist →")))  # type: ignore[attr-defined]
    assert (row.role, row.specialty) == ("coordinator", None)
    assert "role: specialist → coordinator" in detail


def test_closing_an_account_ends_its_logins_at_once_and_opening_it_does_not_bring_them_back(hub: Node) -> None:
    token, actor = accounts.log_in(hub, "specialist", PASSWORD, address="", agent="")
    staff.set_active(hub, ADMIN, actor.user_id, False)
    assert accounts.resume(hub, token, address="") is None
    staff.set_active(hub, ADMIN, actor.user_id, True)
    assert accounts.resume(hub, token, address="") is None
    accounts.log_in(hub, "specialist", PASSWORD, address="", agent="")


def test_a_new_password_replaces_the_old_one(hub: Node) -> None:
    token, actor = accounts.log_in(hub, "specialist", PASSWORD, address="", agent="")
    new = staff.reset_password(hub, ADMIN, actor.user_id)
    assert accounts.resume(hub, token, address="") is None
    with pytest.raises(InvalidInput):
        accounts.log_in(hub, "specialist", PASSWORD, address="", agent="")
    accounts.log_in(hub, "specialist", new, address="", agent="")


def test_there_is_always_an_administrator(hub: Node) -> None:
    with pytest.raises(InvalidInput, match="own account"):
        staff.set_active(hub, ADMIN, ADMIN.user_id, False)
    for refused in (
        lambda: staff.set_active(hub, SYSTEM, ADMIN.user_id, False),
        lambda: staff.edit_person(hub, ADMIN, ADMIN.user_id, specialist(username="admin")),
    ):
        with pytest.raises(InvalidInput, match="last administrator"):
            refused()
    staff.create_person(hub, ADMIN, specialist(role="administrator"))
    staff.edit_person(hub, ADMIN, ADMIN.user_id, specialist(username="admin"))


def organization(level: str, parent: str | None, code: str = "X1", **changes: object) -> OrganizationForm:
    return OrganizationForm.model_validate(
        {"code": code, "name": "某机构", "level": level, "parent_id": parent, **changes}
    )


@pytest.mark.parametrize(
    ("level", "parent"),
    [
        ("core", None),
        ("core", World.hospital_id),
        ("branch", None),
        ("branch", World.branch_id),
        ("branch", World.clinic_id),
        ("clinic", None),
        ("clinic", World.hospital_id),
        ("clinic", World.clinic_id),
        ("clinic", "no-such-place"),
    ],
)
def test_institutions_stand_only_where_the_network_has_them(hub: Node, level: str, parent: str | None) -> None:
    with pytest.raises(InvalidInput):
        directory.save_organization(hub, ADMIN, organization(level, parent))


def test_the_tree_shows_each_institution_under_its_parent(hub: Node) -> None:
    directory.save_organization(hub, ADMIN, organization("branch", World.hospital_id, "T2"))
    directory.save_organization(hub, ADMIN, organization("clinic", World.branch_id, "V2"))
    tree = [(b.organization.code, b.depth, b.people) for b in directory.list_organizations(hub)]
    assert tree == [("H1", 0, 6), ("T1", 1, 1), ("V1", 2, 0), ("V2", 2, 0), ("T2", 1, 0)]
    assert sent(hub) == [("*", "organization")] * 2


def test_an_institution_with_others_below_it_stays(hub: Node) -> None:
    form = organization("branch", World.hospital_id, "T1", active=False)
    with pytest.raises(InvalidInput, match="Move them first"):
        directory.save_organization(hub, ADMIN, form, World.branch_id)
    closed = organization("clinic", World.branch_id, "V1", active=False)
    directory.save_organization(hub, ADMIN, closed, World.clinic_id)
    directory.save_organization(hub, ADMIN, form, World.branch_id)


def test_codes_are_taken_once(hub: Node) -> None:
    with pytest.raises(InvalidInput, match="taken already"):
        directory.save_organization(hub, ADMIN, organization("branch", World.hospital_id, "T1"))
    with pytest.raises(InvalidInput, match="taken already"):
        directory.save_vehicle(hub, ADMIN, VehicleForm(code="JN-01", name="三号车"))
    with pytest.raises(InvalidInput, match="this name already"):
        directory.save_village(hub, ADMIN, VillageForm(name="七里村", township="沙湾镇"))


def test_saving_without_a_change_says_nothing_to_anybody(hub: Node) -> None:
    form = VehicleForm(code="JN-01", name="一号车", plate="浙K00001", organization_id=World.hospital_id)
    directory.save_vehicle(hub, ADMIN, form, World.vehicle_id)
    assert sent(hub) == []


def test_a_vehicle_key_opens_only_until_the_next_one(hub: Node) -> None:
    cut: list[str] = []
    hub.bus.listen(lambda topic, event, data: cut.append(topic) if event == "vehicle:refused" else None)
    first = directory.make_vehicle_key(hub, ADMIN, World.vehicle_id)
    vehicles.check_key(hub, World.vehicle_id, first)
    with pytest.raises(NotAllowed):
        vehicles.check_key(hub, World.other_vehicle_id, first)
    second = directory.make_vehicle_key(hub, ADMIN, World.vehicle_id)
    with pytest.raises(NotAllowed):
        vehicles.check_key(hub, World.vehicle_id, first)
    directory.revoke_vehicle_key(hub, ADMIN, World.vehicle_id)
    with pytest.raises(NotAllowed):
        vehicles.check_key(hub, World.vehicle_id, second)
    with pytest.raises(Conflict):
        directory.revoke_vehicle_key(hub, ADMIN, World.vehicle_id)
    assert cut == [f"vehicle:{World.vehicle_id}"] * 3
    with hub.store.read() as session:
        everything = " ".join(row.model_dump_json() for row in session.exec(select(AuditEntry)))
        stored = directory.get(hub, directory.Vehicle, World.vehicle_id).model_dump_json()
    assert second.partition(".")[2] not in everything + stored


def test_a_vehicle_out_of_service_gets_no_key_and_no_doctor(hub: Node) -> None:
    directory.save_vehicle(hub, ADMIN, VehicleForm(code="JN-02", name="二号车", active=False), World.other_vehicle_id)
    with pytest.raises(Conflict):
        directory.make_vehicle_key(hub, ADMIN, World.other_vehicle_id)
    with pytest.raises(InvalidInput):
        staff.create_person(hub, ADMIN, specialist(role="vehicle_doctor", vehicle_id=World.other_vehicle_id))


def test_stops_are_planned_once_for_days_to_come_and_can_be_taken_out(hub: Node) -> None:
    hub.clock = Clock()
    today = date(2026, 11, 24)
    form = StopForm(vehicle_id=World.vehicle_id, village_id=World.village_id, day=today + timedelta(days=1))
    stop = directory.save_stop(hub, ADMIN, form)
    with pytest.raises(InvalidInput, match="planned already"):
        directory.save_stop(hub, ADMIN, form)
    with pytest.raises(InvalidInput, match="over"):
        directory.save_stop(hub, ADMIN, form.model_copy(update={"day": today - timedelta(days=1)}))
    with pytest.raises(NotFound):
        directory.save_stop(hub, ADMIN, form.model_copy(update={"village_id": "nowhere"}))
    planned = [(p.stop.day, p.vehicle, p.village) for p in directory.list_stops(hub, today)]
    assert planned == [(today, "一号车", "七里村"), (today + timedelta(days=1), "一号车", "七里村")]
    directory.cancel_stop(hub, ADMIN, stop.id)
    assert len(directory.list_stops(hub, today)) == 1
    directory.save_stop(hub, ADMIN, form)
    assert len(directory.list_stops(hub, today)) == 2


def test_the_audit_is_found_by_person_patient_and_day_page_by_page(hub: Node) -> None:
    hub.clock = clock = Clock()

    def note(actor: Actor, count: int, patient_id: str | None = None) -> None:
        for _ in range(count):
            clock.move(seconds=1)
            with hub.transaction(actor) as work:
                work.audit("read", "patient", patient_id or "", patient_id=patient_id)

    note(World.doctor, 60, World.patient_id)
    clock.move(days=1)
    note(World.specialist, 3)

    def ask(**question: object) -> audit.AuditPage:
        return audit.read_audit(hub, ADMIN, audit.AuditQuestion(**question))  # type: ignore[arg-type]

    first = ask(day=date(2026, 11, 24))
    assert (len(first.entries), first.entries[0].at > first.entries[-1].at) == (50, True)
    second = ask(day=date(2026, 11, 24), before=first.next)
    assert (len(second.entries), second.next) == (10, "")
    assert len({entry.id for entry in (*first.entries, *second.entries)}) == 60
    assert len(ask(person="专家").entries) == 3
    assert first.patients == {World.patient_id: "张秀英"}
    assert len(ask(patient="张秀英", person="车医生").entries) == 50
    assert len(ask(patient="000000195001010028").entries) == 50
    assert ask(patient="没有此人").entries == ()
    looked = ask(person="管理员")
    assert {(entry.action, entry.patient_id) for entry in looked.entries} == {("read", World.patient_id)}
    with pytest.raises(NotAllowed):
        audit.read_audit(hub, World.coordinator, audit.AuditQuestion())
