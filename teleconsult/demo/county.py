"""The demonstration's county: institutions, villages, vehicles, the plan of the round, who logs in.

Only the county's name is real. Townships, villages, institutions' details and all people are invented; any
likeness is chance. Everything is a pure function of fixed lists (and the plan of the date), so that the hub
and each vehicle make the same rows with the same ids.

Sizes: four vehicles visit 73 villages, each about every two months (the project's own brief).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

_NAMESPACE = uuid.UUID("6f0c8a52-5f0e-5d3b-9a53-73c4e1b64873")

PASSWORD = "demo-jingning-73"  # noqa: S105 - the documented password of invented people
STAY_DAYS = 3
"""A vehicle stays so long in a village: 18 villages, three days each, make a round of two months."""

TOWNSHIPS = (
    "云岭镇", "清溪镇", "石桥镇", "白岩镇", "南坪镇", "竹源乡",
    "松涧乡", "茶坪乡", "鹭洲乡", "古渡乡", "枫林乡", "高坑乡",
)  # fmt: skip
_FIRST = "上下东西南北大小新老"
_MIDDLE = ("石", "松", "竹", "梅", "桃", "杉", "枫", "茶")
_LAST = ("坑", "源", "垟", "岙", "坪", "湾", "岭", "塘")
VILLAGE_COUNT = 73

VEHICLE_CODES = ("JN-01", "JN-02", "JN-03", "JN-04")
_VEHICLE_NAMES = ("智慧流动医院一号车", "智慧流动医院二号车", "智慧流动医院三号车", "智慧流动医院四号车")


@dataclass(frozen=True)
class Place:
    """A village: its township, the vehicle that visits it (index) and its place in that vehicle's round."""

    index: int
    name: str
    township: int
    vehicle: int
    turn: int

    @property
    def id(self) -> str:
        """The village's id."""
        return stable_id("village", self.index)

    @property
    def clinic_id(self) -> str:
        """Its clinic's id."""
        return stable_id("clinic", self.index)


@dataclass(frozen=True)
class Person:
    """Somebody who logs in. `vehicle` and `township` are indexes."""

    username: str
    name: str
    role: str
    title: str
    specialty: str | None = None
    vehicle: int | None = None
    township: int | None = None

    @property
    def id(self) -> str:
        """The account's id."""
        return stable_id("user", self.username)


@dataclass(frozen=True)
class Login:
    """A login that the demonstration prints."""

    username: str
    title: str
    at_vehicle: bool


def stable_id(kind: str, key: object) -> str:
    """The same id for the same thing on every node."""
    return str(uuid.uuid5(_NAMESPACE, f"{kind}/{key}"))


def vehicle_id(code: str) -> str:
    """A demonstration vehicle's id."""
    return stable_id("vehicle", code)


HOSPITAL_ID = stable_id("organization", "hospital")


def branch_id(township: int) -> str:
    """A township health centre's id."""
    return stable_id("branch", township)


def vehicle_name(index: int) -> str:
    """What a vehicle is called."""
    return _VEHICLE_NAMES[index]


def _places() -> Iterator[Place]:
    turns = [0] * len(VEHICLE_CODES)
    townships_of_vehicle = len(TOWNSHIPS) // len(VEHICLE_CODES)
    for index in range(VILLAGE_COUNT):
        vehicle = index % len(VEHICLE_CODES)
        turn = turns[vehicle]
        turns[vehicle] += 1
        township = vehicle * townships_of_vehicle + turn % townships_of_vehicle
        name = _MIDDLE[index % 8] + _LAST[(index // 8 + index) % 8]
        prefix = _FIRST[index // 64 * 5 + index % 5] if index >= 64 else ""
        yield Place(index, f"{prefix}{name}村", township, vehicle, turn)


PLACES = tuple(_places())


def places_of(vehicle: int) -> tuple[Place, ...]:
    """The villages of one vehicle's round, in order."""
    return tuple(place for place in PLACES if place.vehicle == vehicle)


def place_on(vehicle: int, day: date) -> Place:
    """Where a vehicle is on a day. Depends on nothing but the day, so every node plans the same."""
    places = places_of(vehicle)
    return places[day.toordinal() // STAY_DAYS % len(places)]


def past_stays(place: Place, today: date, most: int) -> list[date]:
    """The first days of the vehicle's earlier stays in a village, all over before today, latest first."""
    places = places_of(place.vehicle)
    stays: list[date] = []
    slot = today.toordinal() // STAY_DAYS - 1
    slot -= (slot - place.turn) % len(places)
    while len(stays) < most:
        stays.append(date.fromordinal(slot * STAY_DAYS))
        slot -= len(places)
    return stays


def plan(vehicle: int, first: date, days: int) -> Iterator[tuple[date, Place]]:
    """The vehicle's stops on `days` days from `first`."""
    for offset in range(days):
        day = first + timedelta(days=offset)
        yield day, place_on(vehicle, day)


_VEHICLE_DOCTORS = (
    ("柳青山", "何雨禾"),
    ("季长河", "汤若溪"),
    ("潘远帆", "夏知秋"),
    ("毛立本", "练秋云"),
)
_SPECIALISTS = (
    ("general", "general", "周怀仁", "副主任医师"),
    ("cardiology", "cardiology", "沈知衡", "主任医师"),
    ("cardiology2", "cardiology", "陆明舟", "副主任医师"),
    ("endocrinology", "endocrinology", "顾清和", "主任医师"),
    ("respiratory", "respiratory", "苏安澜", "副主任医师"),
    ("neurology", "neurology", "程望舒", "副主任医师"),
    ("surgery", "surgery", "秦守一", "主任医师"),
    ("dermatology", "dermatology", "白露", "主治医师"),
    ("ophthalmology", "ophthalmology", "闻景行", "主治医师"),
    ("orthopaedics", "orthopaedics", "石重山", "副主任医师"),
    ("obstetrics", "obstetrics", "安如是", "副主任医师"),
    ("tcm", "tcm", "温半夏", "主任医师"),
)
_TOWNSHIP_DOCTORS = ("叶向晨", "吴可立", "陈小满", "林望", "徐再思", "刘一帆",
                     "梅映雪", "李知行", "王若木", "郑未央", "胡长安", "朱明远")  # fmt: skip


def _staff() -> Iterator[Person]:
    for vehicle, names in enumerate(_VEHICLE_DOCTORS):
        for number, name in enumerate(names, 1):
            yield Person(f"doctor{vehicle + 1}{number}", name, "vehicle_doctor", "主治医师", "general", vehicle=vehicle)
    for username, specialty, name, title in _SPECIALISTS:
        yield Person(username, name, "specialist", title, specialty)
    for township, name in enumerate(_TOWNSHIP_DOCTORS):
        yield Person(f"township{township + 1}", name, "specialist", "全科医师", "general", township=township)
    yield Person("coordinator", "方周全", "coordinator", "会诊中心")
    yield Person("admin", "严守诚", "administrator", "信息科")


STAFF = tuple(_staff())

LOGINS = (
    Login("doctor11", "车载医生 vehicle doctor 柳青山", at_vehicle=True),
    Login("doctor12", "车载医生 vehicle doctor 何雨禾", at_vehicle=True),
    Login("cardiology", "会诊专家 specialist 沈知衡（心内科 cardiology）", at_vehicle=False),
    Login("cardiology2", "会诊专家 specialist 陆明舟（心内科 cardiology）", at_vehicle=False),
    Login("endocrinology", "会诊专家 specialist 顾清和（内分泌科 endocrinology）", at_vehicle=False),
    Login("township1", "乡镇医生 township doctor 叶向晨", at_vehicle=False),
    Login("coordinator", "调度员 coordinator 方周全", at_vehicle=False),
    Login("admin", "管理员 administrator 严守诚", at_vehicle=False),
)
"""Those that are printed; all of `STAFF` can log in with the same password."""
