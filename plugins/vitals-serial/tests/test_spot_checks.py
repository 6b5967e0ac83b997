"""When a finished measurement was taken, by a clock that was set while the port was open."""

from datetime import UTC, datetime, timedelta

import pytest
from teleconsult_vitals_serial.nonin.values import Contact, Measurement, StoredMeasurement
from teleconsult_vitals_serial.spot_checks import NOT_SET, DeviceClock

from teleconsult.plugin_api import ReadingFlag

SET_AT = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
CORRECTED = ReadingFlag.CLOCK_CORRECTED


class Session:
    def now(self):
        return SET_AT


def taken(ahead, stamp, arrived, *, from_memory=True):
    """When it was, for a clock that was so far ahead when it was set at SET_AT."""
    clock = DeviceClock(Session())
    clock.set((SET_AT + ahead).replace(tzinfo=None), SET_AT)
    measurement = Measurement(Contact.MEASURING, 96, 70, frozenset(), False, b"")
    return clock.correct(StoredMeasurement(measurement, "", stamp.replace(tzinfo=None), from_memory), arrived)


@pytest.mark.parametrize("ahead", [-3 * HOUR, -18 * 365 * 24 * HOUR, HOUR / 4])
def test_what_was_measured_after_the_clock_was_set_is_not_corrected(ahead):
    at = SET_AT + HOUR
    assert taken(ahead, at, SET_AT + 5 * HOUR) == (at, None)


@pytest.mark.parametrize("ahead", [-3 * HOUR, 3 * HOUR])
@pytest.mark.parametrize("arrived", [-0.001, 0.0, 4.0])
def test_what_was_stored_by_the_old_clock_is_corrected(ahead, arrived):
    """Also if it came while the clock was asked."""
    at = SET_AT - 4 * HOUR
    assert taken(ahead, at + ahead, SET_AT + arrived * HOUR) == (at, CORRECTED)


def test_a_time_that_both_clocks_may_have_given_is_not_believed():
    stamp = SET_AT + HOUR
    assert taken(3 * HOUR, stamp, SET_AT + 2 * HOUR) == NOT_SET
    assert taken(3 * HOUR, stamp, SET_AT) == (SET_AT - 2 * HOUR, CORRECTED), "it came before the clock was set"


@pytest.mark.parametrize("stamp", [SET_AT - HOUR, SET_AT + 3 * HOUR, datetime(9999, 12, 31, 23, tzinfo=UTC)])
def test_a_time_of_neither_clock_is_not_believed(stamp):
    assert taken(-3 * HOUR, stamp, SET_AT + 2 * HOUR) == NOT_SET


@pytest.mark.parametrize("ahead", [timedelta(), timedelta(seconds=-4), timedelta(seconds=4)])
def test_a_right_clock_is_believed(ahead):
    for at in (SET_AT - HOUR, SET_AT, SET_AT + HOUR):
        assert taken(ahead, at, SET_AT + HOUR) == (at, None)
    assert taken(ahead, SET_AT + 2 * HOUR, SET_AT + HOUR) == NOT_SET


def test_what_was_just_measured_is_of_now_by_one_of_the_two():
    arrived = SET_AT + HOUR
    assert taken(3 * HOUR, arrived, arrived, from_memory=False) == (arrived, None)
    assert taken(3 * HOUR, arrived + 3 * HOUR, arrived, from_memory=False) == (arrived, CORRECTED)
    assert taken(3 * HOUR, arrived + HOUR, arrived, from_memory=False) == NOT_SET
