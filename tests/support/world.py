"""A small county with fixed ids: enough people and places for any test of a service or a page."""

from __future__ import annotations

from datetime import date

from argon2 import PasswordHasher

from teleconsult.domain.roles import Actor, Role
from teleconsult.services.node import Node
from teleconsult.store import new_version
from teleconsult.store.tables import Organization, Patient, Stop, User, Vehicle, Village

PASSWORD = "villages-73"
_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


class World:
    """The ids of what `build_world` puts into a node."""

    hospital_id = "00000000-0000-7000-8000-000000000001"
    branch_id = "00000000-0000-7000-8000-000000000002"
    clinic_id = "00000000-0000-7000-8000-000000000003"
    village_id = "00000000-0000-7000-8000-000000000011"
    vehicle_id = "00000000-0000-7000-8000-000000000021"
    other_vehicle_id = "00000000-0000-7000-8000-000000000022"
    stop_id = "00000000-0000-7000-8000-000000000031"
    patient_id = "00000000-0000-7000-8000-000000000041"

    doctor = Actor("00000000-0000-7000-8000-000000000051", "车医生", Role.VEHICLE_DOCTOR, hospital_id, vehicle_id)
    other_doctor = Actor(
        "00000000-0000-7000-8000-000000000052", "路医生", Role.VEHICLE_DOCTOR, hospital_id, other_vehicle_id
    )
    specialist = Actor(
        "00000000-0000-7000-8000-000000000053", "专家甲", Role.SPECIALIST, hospital_id, specialty="cardiology"
    )
    colleague = Actor(
        "00000000-0000-7000-8000-000000000054", "专家乙", Role.SPECIALIST, hospital_id, specialty="cardiology"
    )
    township_doctor = Actor(
        "00000000-0000-7000-8000-000000000055", "镇医生", Role.SPECIALIST, branch_id, specialty="general"
    )
    coordinator = Actor("00000000-0000-7000-8000-000000000056", "调度员", Role.COORDINATOR, hospital_id)
    administrator = Actor("00000000-0000-7000-8000-000000000057", "管理员", Role.ADMINISTRATOR, hospital_id)


USERNAMES = {
    "doctor": World.doctor,
    "other-doctor": World.other_doctor,
    "specialist": World.specialist,
    "colleague": World.colleague,
    "township": World.township_doctor,
    "coordinator": World.coordinator,
    "admin": World.administrator,
}


def build_world(node: Node) -> None:
    """Fill an empty node. Everybody's password is PASSWORD."""
    w = World
    with node.store.write() as tx:
        add = tx.session.add
        add(Organization(id=w.hospital_id, code="H1", name="景宁县人民医院", level="core"))
        tx.session.flush()
        add(Organization(id=w.branch_id, code="T1", name="沙湾镇卫生院", level="branch", parent_id=w.hospital_id))
        tx.session.flush()
        add(Organization(id=w.clinic_id, code="V1", name="七里村卫生室", level="clinic", parent_id=w.branch_id))
        tx.session.flush()
        add(Village(id=w.village_id, name="七里村", township="沙湾镇", organization_id=w.clinic_id))
        add(Vehicle(id=w.vehicle_id, code="JN-01", name="一号车", plate="浙K00001", organization_id=w.hospital_id))
        add(Vehicle(id=w.other_vehicle_id, code="JN-02", name="二号车", organization_id=w.hospital_id))
        tx.session.flush()
        add(Stop(id=w.stop_id, vehicle_id=w.vehicle_id, village_id=w.village_id, day=date(2026, 11, 24)))
        for username, actor in USERNAMES.items():
            add(
                User(
                    id=actor.user_id,
                    username=username,
                    name=actor.name,
                    role=actor.role,
                    organization_id=actor.organization_id,
                    vehicle_id=actor.vehicle_id,
                    specialty=actor.specialty,
                    password_hash=_HASH,
                )
            )
        patient = {
            "name": "张秀英",
            "pinyin": "zhangxiuying",
            "initials": "zxy",
            "sex": "female",
            "birth_date": date(1950, 1, 1),
            "resident_id": "000000195001010028",
            "village_id": w.village_id,
            "allergies": "青霉素",
        }
        new_version(tx.session, Patient, patient, author=w.administrator, node_id=node.node_id, record_id=w.patient_id)
