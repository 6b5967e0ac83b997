"""What an analyser's codes and units are called here. Pure tables, and the local codes that are set.

Only codes that mean the same as ours are built in: a plasma glucose is no capillary glucose, so its code is not
among them; an administrator who wants it taken says so in the settings. A unit that is not known, or not sent, is
never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

COMPONENTS: Mapping[str, frozenset[str]] = {
    "blood_pressure": frozenset({"systolic", "diastolic", "mean", "pulse_rate"}),
    "spo2": frozenset({"spo2", "pulse_rate"}),
    "pulse_rate": frozenset({"pulse_rate"}),
    "heart_rate": frozenset({"heart_rate"}),
    "body_temperature": frozenset({"body_temperature"}),
    "glucose": frozenset({"glucose", "fasting_glucose"}),
    "body_weight": frozenset({"body_weight"}),
    "body_height": frozenset({"body_height"}),
    "respiratory_rate": frozenset({"respiratory_rate"}),
}
"""The kinds of readings that an analyser may give, with the numbers of each."""

_PRESSURE, _RATE = ("mm[Hg]", "kPa"), ("/min",)
_FITTING: Mapping[str, tuple[str, ...]] = {
    "systolic": _PRESSURE,
    "diastolic": _PRESSURE,
    "mean": _PRESSURE,
    "pulse_rate": _RATE,
    "heart_rate": _RATE,
    "respiratory_rate": _RATE,
    "spo2": ("%",),
    "body_temperature": ("Cel", "[degF]"),
    "glucose": ("mmol/L", "mg/dL"),
    "fasting_glucose": ("mmol/L", "mg/dL"),
    "body_weight": ("kg", "[lb_av]"),
    "body_height": ("cm", "m", "[in_i]"),
}
"""The UCUM units that each number may come in."""


@dataclass(frozen=True)
class Item:
    """One number of a kind of reading. `unit` is UCUM, for a device that sends none."""

    kind: str
    component: str
    unit: str = ""


# LOINC. 41653-7 is glucose by glucometer in mass units; the value is converted like any other mass.
_LOINC: Mapping[str, Item] = {
    "8480-6": Item("blood_pressure", "systolic"),
    "8462-4": Item("blood_pressure", "diastolic"),
    "8478-0": Item("blood_pressure", "mean"),
    "8867-4": Item("heart_rate", "heart_rate"),
    "8889-8": Item("spo2", "pulse_rate"),
    "59408-5": Item("spo2", "spo2"),
    "8310-5": Item("body_temperature", "body_temperature"),
    "14743-9": Item("glucose", "glucose"),
    "41653-7": Item("glucose", "glucose"),
    "14770-2": Item("glucose", "fasting_glucose"),
    "29463-7": Item("body_weight", "body_weight"),
    "8302-2": Item("body_height", "body_height"),
    "9279-1": Item("respiratory_rate", "respiratory_rate"),
}

_UNITS: Mapping[str, Iterable[str]] = {
    "mmol/L": ("mmol/l", "mmole/l", "毫摩尔/升"),
    "mg/dL": ("mg/dl", "mg%", "毫克/分升"),
    "mm[Hg]": ("mm[hg]", "mmhg", "mm hg", "毫米汞柱"),
    "kPa": ("kpa", "千帕"),
    "%": ("%", "pct"),
    "/min": ("/min", "1/min", "bpm", "{beats}/min", "beats/min", "beat/min", "次/分", "次/分钟", "次/min"),
    "Cel": ("cel", "c", "degc", "deg c", "°c", "℃", "摄氏度"),
    "[degF]": ("[degf]", "f", "degf", "deg f", "°f", "℉", "华氏度"),
    "kg": ("kg", "千克", "公斤"),
    "[lb_av]": ("[lb_av]", "lb", "lbs"),
    "cm": ("cm", "厘米"),
    "m": ("m", "米"),
    "[in_i]": ("[in_i]", "in", "inch"),
}
_UNIT_WORDS = {word.casefold(): unit for unit, words in _UNITS.items() for word in (unit, *words)}
_BY_CASE: Mapping[str, str] = {"mM": "mmol/L"}
"""Words that mean something else in other letters: "mm" is a length."""


def ucum(word: str) -> str | None:
    """The UCUM unit that an analyser's word means; None for a word that is not known."""
    word = word.strip()
    return _BY_CASE.get(word) or _UNIT_WORDS.get(word.casefold())


def fits(component: str, unit: str) -> bool:
    """Whether a number can be given in this UCUM unit."""
    return unit in _FITTING[component]


def parse_codes(text: str) -> dict[str, Item]:
    """Local codes as they are set: "GLU=glucose.glucose SYS=blood_pressure.systolic:mmHg". Raises ValueError."""
    codes = {}
    for word in text.split():
        code, equals, target = word.partition("=")
        target, colon, unit = target.partition(":")
        kind, _, component = target.partition(".")
        if not code or not equals or component not in COMPONENTS.get(kind, ()):
            known = ", ".join(f"{kind}.{name}" for kind, names in COMPONENTS.items() for name in sorted(names))
            raise ValueError(f"{word!r} is not code=kind.component; known: {known}")
        known_unit = ucum(unit) or ""
        if colon and not (known_unit and fits(component, known_unit)):
            raise ValueError(f"{word!r}: {unit!r} is no unit of {component}")
        codes[code] = Item(kind, component, known_unit)
    return codes


class Coding:
    """Looks codes up: the local ones first, then LOINC."""

    def __init__(self, local: Mapping[str, Item]) -> None:
        self._local = local

    def item(self, codes: Iterable[tuple[str, str]]) -> Item | None:
        """What the (code, coding system) pairs of a result mean here; None if it is not known.

        A LOINC code is taken as such only if its system says LN or LOINC, or nothing.
        """
        pairs = [(code.strip(), system.strip().upper()) for code, system in codes]
        for code, _ in pairs:
            if code in self._local:
                return self._local[code]
        for code, system in pairs:
            if code in _LOINC and system in ("LN", "LOINC", ""):
                return _LOINC[code]
        return None
