"""People: resident ID numbers, ages, names. What a record of a person must and must not hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from teleconsult.domain.errors import N_, InvalidInput

SITE_ZONE = ZoneInfo("Asia/Shanghai")
"""Dates such as a birth date or a stop are days of the site, not of UTC."""

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
DEMO_REGION = "000000"
OLDEST_YEARS = 130


class Sex(StrEnum):
    """Administrative sex, as FHIR names it."""

    MALE = "male"
    FEMALE = "female"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ResidentId:
    """A checked resident ID number and what it says."""

    number: str
    birth_date: date
    sex: Sex


def site_today(now: datetime) -> date:
    """The day it is at the site at the instant `now`."""
    return now.astimezone(SITE_ZONE).date()


def parse_resident_id(text: str, *, today: date, allow_demo: bool = False) -> ResidentId:
    """Check a resident ID number (GB 11643-1999: ISO 7064 MOD 11-2 check character) and read it.

    Spaces are dropped and a small x is taken for X; nothing else is mended. Numbers of region 000000 belong
    to invented people and pass only with `allow_demo`. Raises InvalidInput with the reason.
    """
    number = re.sub(r"\s", "", text).upper()
    if not re.fullmatch(r"[0-9]{17}[0-9X]", number):
        raise InvalidInput(N_("A resident ID number has 17 digits and a last digit or X."), field="resident_id")
    total = sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False))
    if _CHECK[total % 11] != number[17]:
        raise InvalidInput(
            N_("The check digit of this resident ID number does not fit. Compare it with the card."),
            field="resident_id",
        )
    if number.startswith(DEMO_REGION) and not allow_demo:
        raise InvalidInput(N_("Resident ID numbers of region 000000 are for demonstrations only."), field="resident_id")
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        raise InvalidInput(
            N_("The birth date inside this resident ID number does not exist."), field="resident_id"
        ) from None
    check_birth_date(born, today=today, field="resident_id")
    return ResidentId(number, born, Sex.MALE if int(number[16]) % 2 else Sex.FEMALE)


def check_digit(first_seventeen: str) -> str:
    """The check character for 17 digits (GB 11643-1999)."""
    return _CHECK[sum(int(d) * w for d, w in zip(first_seventeen, _WEIGHTS, strict=True)) % 11]


def check_birth_date(born: date, *, today: date, field: str = "birth_date") -> None:
    """Refuse birth dates in the future or more than 130 years ago."""
    if born > today:
        raise InvalidInput(N_("The birth date lies in the future."), field=field)
    if today.year - born.year > OLDEST_YEARS:
        raise InvalidInput(N_("The birth date is more than 130 years ago."), field=field)


def age_on(born: date, day: date) -> int:
    """Completed years of age on a day (周岁). Born on 29 February: a year older on 1 March of common years."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def clean_name(text: str) -> str:
    """A name with outer and doubled white space dropped. Raises InvalidInput when nothing or too much is left."""
    name = " ".join(text.split())
    if not name:
        raise InvalidInput(N_("Enter the name."), field="name")
    if len(name) > 60:
        raise InvalidInput(N_("A name can have 60 characters at most."), field="name")
    if re.search(r"[<>{}\x00-\x1f]", name):
        raise InvalidInput(N_("The name holds characters that no name has."), field="name")
    return name
