"""What can be measured: each kind as data (components, LOINC code, UCUM unit) and how a value is marked.

A value is never altered here: it is converted between units of the same quantity, and marked. Which values a
follow-up programme calls controlled or urgent is that programme's own rule; this module only repeats the
limits of the national specification so that a reading can be shown beside them.

Codes: LOINC as the specification's FHIR exchange uses them (heart rate 8867-4 is used for a pulse from a cuff
or an oximeter too; the kind says how it was sensed). Units: UCUM.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from teleconsult.domain.errors import N_, InvalidInput


@dataclass(frozen=True)
class Component:
    """One number of a measurement.

    `low` and `high` bound what devices of this sort can physically report, in `unit`. A value outside is
    marked implausible. They are no clinical limits. `decimals` is how many places are shown.
    """

    key: str
    label: str
    code: str
    unit: str
    low: Decimal
    high: Decimal
    decimals: int = 0


@dataclass(frozen=True)
class Kind:
    """One kind of measurement. Every reading holds all `required` components and any of the `optional` ones.

    `one_of` components exclude each other and one of them is needed. `code` is the LOINC panel code, if any.
    """

    key: str
    label: str
    required: tuple[Component, ...] = ()
    optional: tuple[Component, ...] = ()
    one_of: tuple[Component, ...] = ()
    code: str | None = None

    @property
    def components(self) -> tuple[Component, ...]:
        """All components that may occur, in the order in which they are shown."""
        return (*self.required, *self.one_of, *self.optional)

    def component(self, key_or_code: str) -> Component:
        """The component with this key or LOINC code. Raises InvalidInput."""
        for component in self.components:
            if key_or_code in (component.key, component.code):
                return component
        raise InvalidInput(
            N_("%(kind)s has no value named %(component)s."),
            kind=self.key,
            component=key_or_code,
            field="components",
        )


def _component(key: str, label: str, code: str, unit: str, low: str, high: str, decimals: int = 0) -> Component:
    return Component(key, label, code, unit, Decimal(low), Decimal(high), decimals)


# Ranges: what cuffs, oximeters, thermometers, meters and scales on the market state as their display range.
SYSTOLIC = _component("systolic", N_("Systolic"), "8480-6", "mm[Hg]", "40", "300")
DIASTOLIC = _component("diastolic", N_("Diastolic"), "8462-4", "mm[Hg]", "20", "200")
MEAN = _component("mean", N_("Mean pressure"), "8478-0", "mm[Hg]", "25", "250")
PULSE_RATE = _component("pulse_rate", N_("Pulse rate"), "8867-4", "/min", "20", "300")
HEART_RATE = _component("heart_rate", N_("Heart rate"), "8867-4", "/min", "20", "300")
SPO2 = _component("spo2", N_("SpO2"), "59408-5", "%", "35", "100")
TEMPERATURE = _component("body_temperature", N_("Body temperature"), "8310-5", "Cel", "25", "45", 1)
GLUCOSE = _component("glucose", N_("Glucose"), "14743-9", "mmol/L", "0.6", "33.3", 1)
FASTING_GLUCOSE = _component("fasting_glucose", N_("Fasting glucose"), "14770-2", "mmol/L", "0.6", "33.3", 1)
WEIGHT = _component("body_weight", N_("Weight"), "29463-7", "kg", "1", "300", 1)
HEIGHT = _component("body_height", N_("Height"), "8302-2", "cm", "30", "250", 1)
RESPIRATORY_RATE = _component("respiratory_rate", N_("Respiratory rate"), "9279-1", "/min", "2", "120")

KINDS: Mapping[str, Kind] = {
    kind.key: kind
    for kind in (
        Kind(
            "blood_pressure",
            N_("Blood pressure"),
            required=(SYSTOLIC, DIASTOLIC),
            optional=(MEAN, PULSE_RATE),
            code="85354-9",
        ),
        Kind("spo2", N_("SpO2"), required=(SPO2,), optional=(PULSE_RATE,)),
        Kind("pulse_rate", N_("Pulse rate"), required=(PULSE_RATE,)),
        Kind("heart_rate", N_("Heart rate"), required=(HEART_RATE,)),
        Kind("body_temperature", N_("Body temperature"), required=(TEMPERATURE,)),
        Kind("glucose", N_("Glucose"), one_of=(GLUCOSE, FASTING_GLUCOSE)),
        Kind("body_weight", N_("Weight"), required=(WEIGHT,)),
        Kind("body_height", N_("Height"), required=(HEIGHT,)),
        Kind("respiratory_rate", N_("Respiratory rate"), required=(RESPIRATORY_RATE,)),
    )
}
"""Every kind of measurement, by its code word."""


@dataclass(frozen=True)
class WaveformKind:
    """A curve that a device streams. `unit` is UCUM; a plethysmogram has no absolute unit (UCUM "1").

    `step` is what samples are rounded to on their way to a page, in `unit`: whole numbers of it are a third of the
    bytes of decimal fractions. For the ECG it is 1 µV, where IEC 60601-2-25 asks a recorder to resolve 5 µV.
    """

    key: str
    label: str
    unit: str
    max_rate_hz: int
    step: float = 0.001

    def in_steps(self, samples: Iterable[float]) -> list[int]:
        """Samples as whole numbers of steps."""
        return [round(sample / self.step) for sample in samples]


WAVEFORMS: Mapping[str, WaveformKind] = {
    wave.key: wave
    for wave in (
        WaveformKind("plethysmogram", N_("Plethysmogram"), "1", 500),
        WaveformKind("ecg", N_("ECG"), "mV", 2000),
    )
}
"""Every kind of waveform, by its code word."""


def kind(key: str) -> Kind:
    """The kind with this code word. Raises InvalidInput."""
    try:
        return KINDS[key]
    except KeyError:
        raise InvalidInput(N_("There is no measurement named %(kind)s."), kind=key, field="kind") from None


def check_components(kind_key: str, codes: Iterable[str]) -> None:
    """Whether these LOINC codes make one complete measurement of the kind. Raises InvalidInput if not."""
    found = kind(kind_key)
    given = list(codes)
    for code in given:
        found.component(code)
    if len(set(given)) != len(given):
        raise InvalidInput(N_("%(kind)s holds the same value twice."), kind=kind_key, field="components")
    missing = [component.key for component in found.required if component.code not in given]
    if missing:
        raise InvalidInput(
            N_("%(kind)s lacks %(missing)s."), kind=kind_key, missing=", ".join(missing), field="components"
        )
    if found.one_of and sum(component.code in given for component in found.one_of) != 1:
        choice = " / ".join(component.key for component in found.one_of)
        raise InvalidInput(
            N_("%(kind)s needs exactly one of: %(choice)s."), kind=kind_key, choice=choice, field="components"
        )


# Glucose: molar mass 180.156 g/mol, so 1 mmol/L = 18.0156 mg/dL. Pressure: 1 kPa = 7.50062 mmHg (BIPM).
_TO_CANONICAL: Mapping[tuple[str, str], tuple[Decimal, Decimal]] = {
    ("kPa", "mm[Hg]"): (Decimal("7.50062"), Decimal(0)),
    ("mg/dL", "mmol/L"): (1 / Decimal("18.0156"), Decimal(0)),
    ("kg/L", "mmol/L"): (Decimal(1_000_000) / Decimal("180.156"), Decimal(0)),
    ("mol/L", "mmol/L"): (Decimal(1000), Decimal(0)),
    ("[degF]", "Cel"): (Decimal(5) / Decimal(9), Decimal(-160) / Decimal(9)),
    ("[lb_av]", "kg"): (Decimal("0.45359237"), Decimal(0)),
    ("m", "cm"): (Decimal(100), Decimal(0)),
    ("[in_i]", "cm"): (Decimal("2.54"), Decimal(0)),
}


def convert(value: Decimal, unit: str, component: Component) -> Decimal:
    """The value in the component's own UCUM unit, unrounded. Raises InvalidInput if the unit does not fit."""
    if unit == component.unit:
        return value
    try:
        factor, offset = _TO_CANONICAL[unit, component.unit]
    except KeyError:
        raise InvalidInput(
            N_("%(component)s cannot be given in %(unit)s, only in %(expected)s."),
            component=component.key,
            unit=unit,
            expected=component.unit,
            field="components",
        ) from None
    return value * factor + offset


_DISPLAYS: Mapping[str, tuple[Decimal, str, int]] = {
    "mol/L": (Decimal(1000), "mmol/L", 1),
    "kg/L": (Decimal(100_000), "mg/dL", 0),
    "[degF]": (Decimal(1), "°F", 1),
    "[lb_av]": (Decimal(1), "lb", 1),
    "[in_i]": (Decimal(1), "in", 1),
}
"""How devices show what they send in a unit that nobody reads: factor, printed unit, least places.

The Glucose profile sends mol/L or kg/L; meters show mmol/L or mg/dL (Glucose Service 1.0, 3.1.1.5).
"""


def as_displayed(given: str) -> tuple[str, str]:
    """The number and the unit that the device shows for what it gave, such as "0.0061 mol/L": ("6.1", "mmol/L")."""
    number, _space, unit = given.partition(" ")
    factor, symbol, least = _DISPLAYS.get(unit, (Decimal(1), unit, 0))
    value = Decimal(number) * factor
    if unit in _DISPLAYS:
        value = value.normalize()
    places = max(least, -int(value.as_tuple().exponent))
    return f"{value:.{places}f}", symbol


class Mark(StrEnum):
    """What is said beside a value. It changes nothing about the value."""

    IMPLAUSIBLE = "implausible"
    URGENT = "urgent"
    ABOVE_TARGET = "above_target"


MARK_LABELS: Mapping[Mark, str] = {
    Mark.IMPLAUSIBLE: N_("Implausible: measure again"),
    Mark.URGENT: N_("In the urgent range"),
    Mark.ABOVE_TARGET: N_("Above the control target"),
}

_URGENT_FROM = {
    "8480-6": Decimal(180),
    "8462-4": Decimal(110),
    "14743-9": Decimal("16.7"),
    "14770-2": Decimal("16.7"),
}
_URGENT_ABOVE = {TEMPERATURE.code: Decimal(39), HEART_RATE.code: Decimal(100)}
_URGENT_TO = {"14743-9": Decimal("3.9"), "14770-2": Decimal("3.9")}
_ELDERLY_YEARS = 65


def target_below(code: str, age_years: int | None) -> Decimal | None:
    """The adult control target: a value is at target when it is *below* the number returned.

    Source: 国家基本公共卫生服务规范（第三版）, hypertension (SBP < 140, 65 and over < 150, DBP < 90
    mmHg) and type-2 diabetes (fasting glucose < 7.0 mmol/L, never a random one). None where the specification
    gives none, and for people under 18.
    """
    if age_years is not None and age_years < 18:
        return None
    if code == SYSTOLIC.code:
        return Decimal(150) if age_years is not None and age_years >= _ELDERLY_YEARS else Decimal(140)
    return {DIASTOLIC.code: Decimal(90), FASTING_GLUCOSE.code: Decimal("7.0")}.get(code)


def mark(component: Component, value: Decimal, *, age_years: int | None = None) -> Mark | None:
    """What is to be said beside a value in the component's unit, the most serious first; None for nothing.

    Urgent in an adult: SBP ≥ 180, DBP ≥ 110 mmHg, any glucose ≥ 16.7 or ≤ 3.9 mmol/L, temperature > 39 °C, heart or
    pulse rate > 100 /min (same source as `target_below`; the last two from the urgent signs of type-2 diabetes,
    where the rate is one that *stays* above 100, so a single value says that it is to be looked at). The source
    gives no limit for SpO2, respiratory rate or weight, so none is marked. Without an age the person is taken for an
    adult under 65.
    """
    if not component.low <= value <= component.high:
        return Mark.IMPLAUSIBLE
    if age_years is not None and age_years < 18:
        return None
    upper, lower = _URGENT_FROM.get(component.code), _URGENT_TO.get(component.code)
    above = _URGENT_ABOVE.get(component.code)
    if (
        (upper is not None and value >= upper)
        or (above is not None and value > above)
        or (lower is not None and value <= lower)
    ):
        return Mark.URGENT
    target = target_below(component.code, age_years)
    return Mark.ABOVE_TARGET if target is not None and value >= target else None
