"""Kinds as data, and the limits of the national specification at, just below and just above."""

from decimal import Decimal

import pytest

from teleconsult.domain import measurement as m
from teleconsult.domain.errors import InvalidInput
from teleconsult.domain.measurement import Mark


def test_every_kind_is_whole():
    for key, kind in m.KINDS.items():
        assert key == kind.key
        assert kind.required or kind.one_of
        codes = [component.code for component in kind.components]
        assert len(set(codes)) == len(codes)
        for component in kind.components:
            assert component.low < component.high
            assert component.unit in {"mm[Hg]", "/min", "%", "Cel", "kg", "cm", "mmol/L"}


@pytest.mark.parametrize(
    ("component", "age", "value", "expected"),
    [
        (m.SYSTOLIC, 50, "139", None),
        (m.SYSTOLIC, 50, "140", Mark.ABOVE_TARGET),
        (m.SYSTOLIC, 64, "149", Mark.ABOVE_TARGET),
        (m.SYSTOLIC, 65, "149", None),
        (m.SYSTOLIC, 65, "150", Mark.ABOVE_TARGET),
        (m.SYSTOLIC, 50, "179", Mark.ABOVE_TARGET),
        (m.SYSTOLIC, 50, "180", Mark.URGENT),
        (m.SYSTOLIC, 50, "300", Mark.URGENT),
        (m.SYSTOLIC, 50, "301", Mark.IMPLAUSIBLE),
        (m.SYSTOLIC, 12, "150", None),
        (m.SYSTOLIC, None, "140", Mark.ABOVE_TARGET),
        (m.DIASTOLIC, 70, "89", None),
        (m.DIASTOLIC, 70, "90", Mark.ABOVE_TARGET),
        (m.DIASTOLIC, 70, "109", Mark.ABOVE_TARGET),
        (m.DIASTOLIC, 70, "110", Mark.URGENT),
        (m.GLUCOSE, 50, "3.9", Mark.URGENT),
        (m.GLUCOSE, 50, "4.0", None),
        (m.GLUCOSE, 50, "12.0", None),
        (m.GLUCOSE, 50, "16.6", None),
        (m.GLUCOSE, 50, "16.7", Mark.URGENT),
        (m.FASTING_GLUCOSE, 50, "6.9", None),
        (m.FASTING_GLUCOSE, 50, "7.0", Mark.ABOVE_TARGET),
        (m.FASTING_GLUCOSE, 50, "16.7", Mark.URGENT),
        (m.SPO2, 50, "80", None),
        (m.SPO2, 50, "101", Mark.IMPLAUSIBLE),
        (m.TEMPERATURE, 50, "24.9", Mark.IMPLAUSIBLE),
        (m.TEMPERATURE, 50, "38.9", None),
        (m.TEMPERATURE, 50, "39.0", None),
        (m.TEMPERATURE, 50, "39.1", Mark.URGENT),
        (m.TEMPERATURE, 12, "39.1", None),
        (m.HEART_RATE, 50, "99", None),
        (m.HEART_RATE, 50, "100", None),
        (m.HEART_RATE, 50, "101", Mark.URGENT),
        (m.PULSE_RATE, 50, "101", Mark.URGENT),
        (m.HEART_RATE, 12, "101", None),
        (m.RESPIRATORY_RATE, 50, "40", None),
    ],
)
def test_marks(component, age, value, expected):
    assert m.mark(component, Decimal(value), age_years=age) is expected


def test_unknown_words_are_refused_with_a_sentence():
    with pytest.raises(InvalidInput, match="no measurement named aura"):
        m.kind("aura")
    with pytest.raises(InvalidInput, match="the same value twice"):
        m.check_components("spo2", ["59408-5", "59408-5"])


def test_every_mark_has_words():
    assert set(m.MARK_LABELS) == set(Mark)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("16.0 kPa", ("16.0", "kPa")),
        ("0.0061 mol/L", ("6.1", "mmol/L")),
        ("0.006 mol/L", ("6.0", "mmol/L")),
        ("0.01125 mol/L", ("11.25", "mmol/L")),
        ("0.00110 kg/L", ("110", "mg/dL")),
        ("98.60 [degF]", ("98.6", "°F")),
        ("110 mg/dL", ("110", "mg/dL")),
    ],
)
def test_what_a_device_gave_is_said_as_it_shows_it(given: str, shown: tuple[str, str]) -> None:
    assert m.as_displayed(given) == shown
