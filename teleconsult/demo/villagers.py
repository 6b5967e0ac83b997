"""The demonstration's villagers and their earlier visits: all invented, the same on every node.

Each person has a random generator of their own, seeded with a fixed word; ID numbers are valid ones of region
000000, which no real person has, and telephone numbers begin with 100, which no telephone does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from random import Random

from teleconsult.demo.county import PLACES, TOWNSHIPS, Place, past_stays, stable_id
from teleconsult.domain.people import DEMO_REGION, SITE_ZONE, check_digit

BORN_BEFORE = 2026
FEWEST, MOST = 20, 60
VISITS_OF_THE_ILL, VISITS_OF_OTHERS = 6, 2

_FAMILY = "蓝雷钟吴叶陈李刘潘梅王张林徐周季毛柳汤夏"
_FAMILY_WEIGHTS = (18, 16, 10, 9, 8, 8, 7, 6, 5, 5, 5, 5, 4, 4, 4, 3, 3, 3, 2, 2)
_GIVEN_MALE = ("建国", "国强", "志明", "水根", "木生", "金土", "永福", "文斌", "伟", "强", "军", "勇", "大山",
               "长青", "海波", "昌盛", "小龙", "俊杰", "浩", "宇轩", "火旺", "石养", "明德", "祖光")  # fmt: skip
_GIVEN_FEMALE = ("秀英", "桂花", "玉兰", "银花", "春香", "美娇", "彩凤", "冬梅", "丽", "芳", "敏", "娟", "雪珍",
                 "水莲", "凤仙", "爱珠", "小燕", "雅婷", "欣怡", "月娥", "金莲", "云香", "素珍", "菊妹")  # fmt: skip
_ALLERGIES = ("青霉素", "头孢类", "磺胺类", "海鲜", "破伤风抗毒素")
_REASONS = ("血压复查，诉偶有头晕。", "常规随访，无不适。", "血糖复查。", "咳嗽三天。", "膝关节疼痛，上下坡加重。",
            "睡眠差，乏力。", "常规体检。", "胃部不适，饭后反酸。")  # fmt: skip


@dataclass(frozen=True)
class Villager:
    """An invented person. `conditions` are ICD-10 codes."""

    id: str
    name: str
    sex: str
    birth_date: date
    resident_id: str | None
    place: Place
    address: str
    phone: str
    allergies: str
    pregnant: bool
    conditions: tuple[str, ...]


@dataclass(frozen=True)
class Measurement:
    """One earlier reading: (component key, value) in the kind's own unit."""

    kind: str
    values: tuple[tuple[str, float], ...]
    manual: bool = False


@dataclass(frozen=True)
class Visit:
    """An earlier encounter of a villager."""

    id: str
    person: Villager
    started_at: datetime
    reason: str
    doctor: int
    """0 or 1: which of the vehicle's two doctors"""
    measurements: tuple[Measurement, ...]


@lru_cache(maxsize=1)
def everybody() -> tuple[Villager, ...]:
    """All villagers of the county."""
    taken: set[str] = set()
    return tuple(
        _villager(place, number, taken)
        for place in PLACES
        for number in range(Random(f"size/{place.index}").randint(FEWEST, MOST))  # noqa: S311
    )


def visits(person: Villager, today: date) -> Iterator[Visit]:
    """The person's earlier visits, all before the vehicle's present stay."""
    ill = bool(person.conditions)
    most = VISITS_OF_THE_ILL if ill else VISITS_OF_OTHERS
    body = Random(f"body/{person.id}")  # noqa: S311
    age = BORN_BEFORE - person.birth_date.year
    usual = {
        "systolic": body.gauss(146 if "I10" in person.conditions else 112 + age * 0.18, 8),
        "glucose": body.gauss(8.1 if "E11" in person.conditions else 5.2, 0.6),
        "weight": body.gauss(63 if person.sex == "male" else 55, 7) if age > 17 else 12 + age * 2.3,
        "spo2": body.gauss(97, 0.8),
    }
    for first_day in past_stays(person.place, today, most):
        key = f"{person.id}/{first_day.isoformat()}"
        chance = Random(f"visit/{key}")  # noqa: S311
        if chance.random() > (0.8 if ill else 0.25):
            continue
        minutes = chance.randrange(0, 8 * 60)
        day = first_day + timedelta(days=chance.randrange(3))
        started = datetime.combine(day, time(8, 30), SITE_ZONE) + timedelta(minutes=minutes)
        yield Visit(
            id=stable_id("encounter", key),
            person=person,
            started_at=started,
            reason=chance.choice(_REASONS if not ill else _REASONS[:3]),
            doctor=chance.randrange(2),
            measurements=tuple(_measurements(person, usual, chance)),
        )


def _villager(place: Place, number: int, taken: set[str]) -> Villager:
    chance = Random(f"villager/{place.index}/{number}")  # noqa: S311
    sex = chance.choice(("male", "female"))
    age = min(96, max(0, round(chance.gauss(58, 19))))
    born = date(BORN_BEFORE - age - 1, 1, 1) + timedelta(days=chance.randrange(365))
    given = chance.choice(_GIVEN_MALE if sex == "male" else _GIVEN_FEMALE)
    name = chance.choices(_FAMILY, _FAMILY_WEIGHTS)[0] + given
    conditions = []
    if chance.random() < (0.46 if age >= 60 else 0.16 if age >= 40 else 0.01):
        conditions.append("I10")
    if chance.random() < (0.17 if age >= 60 else 0.06 if age >= 40 else 0.003):
        conditions.append("E11")
    return Villager(
        id=stable_id("patient", f"{place.index}/{number}"),
        name=name,
        sex=sex,
        birth_date=born,
        resident_id=_number(born, sex, chance, taken) if chance.random() > 0.03 else None,
        place=place,
        address=f"{TOWNSHIPS[place.township]}{place.name}{chance.randrange(1, 120)}号",
        phone=f"100{chance.randrange(10**8):08d}" if age > 12 and chance.random() < 0.8 else "",
        allergies=chance.choice(_ALLERGIES) if chance.random() < 0.07 else "",
        pregnant=sex == "female" and 21 <= age <= 36 and chance.random() < 0.12,
        conditions=tuple(conditions),
    )


def _number(born: date, sex: str, chance: Random, taken: set[str]) -> str:
    while True:
        sequence = chance.randrange(0, 1000, 2) + (sex == "male")
        digits = f"{DEMO_REGION}{born:%Y%m%d}{sequence:03d}"
        if digits not in taken:
            taken.add(digits)
            return digits + check_digit(digits)


def _measurements(person: Villager, usual: dict[str, float], chance: Random) -> Iterator[Measurement]:
    systolic = round(min(205, max(88, usual["systolic"] + chance.gauss(0, 7))))
    diastolic = round(min(118, max(48, systolic * 0.58 + chance.gauss(0, 4))))
    pulse = round(min(118, max(52, chance.gauss(76, 8))))
    yield Measurement("blood_pressure", (("systolic", systolic), ("diastolic", diastolic), ("pulse_rate", pulse)))
    if chance.random() < 0.6:
        saturation = round(min(100, max(89, usual["spo2"] + chance.gauss(0, 0.7))))
        yield Measurement("spo2", (("spo2", saturation), ("pulse_rate", pulse)))
    if chance.random() < 0.4:
        yield Measurement("body_temperature", (("body_temperature", round(chance.gauss(36.5, 0.25), 1)),))
    if "E11" in person.conditions or chance.random() < 0.1:
        glucose = round(max(3.6, usual["glucose"] + chance.gauss(0, 0.8)), 1)
        yield Measurement("glucose", (("fasting_glucose", glucose),), manual=True)
    if person.conditions and chance.random() < 0.5:
        weight = round(usual["weight"] + chance.gauss(0, 0.8), 1)
        yield Measurement("body_weight", (("body_weight", weight),), manual=True)
