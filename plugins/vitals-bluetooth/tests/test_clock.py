"""A device's clock that is right, wrong, set by us, set back, or not there."""
# ruff: noqa: DTZ001 - a device's clock names no zone

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from teleconsult_vitals_bluetooth.clock import CLOSE, DeviceClock

from teleconsult.plugin_api import ReadingFlag

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 24, 0, 0, tzinfo=UTC)
LOCAL = datetime(2026, 11, 24, 8, 0)
CORRECTED, NOT_SET = (ReadingFlag.CLOCK_CORRECTED,), (ReadingFlag.CLOCK_NOT_SET,)


def clock(**known):
    return DeviceClock(ZONE, timedelta(days=30), **known)


def test_a_clock_that_agrees_is_believed():
    taken = clock(ahead=timedelta(seconds=-40)).taken(LOCAL - timedelta(days=200), NOW)
    assert taken == (NOW - timedelta(days=200), ())


@pytest.mark.parametrize(
    "ahead", [timedelta(days=-2520), timedelta(days=365), timedelta(hours=-1), timedelta(minutes=3)]
)
def test_a_wrong_clock_is_corrected_by_what_it_was_off(ahead):
    taken_at, flags = clock(ahead=ahead).taken(LOCAL + ahead - timedelta(days=1), NOW)
    assert (taken_at, flags) == (NOW - timedelta(days=1), CORRECTED)


def test_what_was_measured_after_the_clock_was_set_is_not_corrected():
    known = clock(ahead=timedelta(days=-2520), set_at=NOW)
    assert known.taken(LOCAL + timedelta(minutes=5), NOW + timedelta(minutes=5)) == (NOW + timedelta(minutes=5), ())
    before = known.taken(LOCAL - timedelta(days=2520, hours=1), NOW + timedelta(minutes=5))
    assert before == (NOW - timedelta(hours=1), CORRECTED)


@pytest.mark.parametrize("minutes", [-1, 0, 1])
def test_what_comes_right_after_a_fast_clock_was_set_may_be_of_the_old_one(minutes):
    """Five minutes ahead, set at 8:00: a frame that says 8:00 was taken now, or stored at 7:55 by the old clock."""
    known = clock(ahead=timedelta(minutes=5), set_at=NOW, settled=False)
    shown = LOCAL + timedelta(minutes=minutes)
    assert known.taken(shown, NOW + timedelta(seconds=2)) == (None, NOT_SET)
    assert replace(known, settled=True).taken(shown, NOW + timedelta(minutes=2)) == (
        NOW + timedelta(minutes=minutes),
        (),
    )
    assert known.taken(LOCAL + timedelta(minutes=4), NOW + timedelta(seconds=2)) == (
        NOW - timedelta(minutes=1),
        CORRECTED,
    )


@pytest.mark.parametrize("ahead", [timedelta(minutes=-5), timedelta(days=-2520), timedelta(days=9000)])
def test_the_old_time_of_a_slow_or_absurd_clock_is_never_near_now(ahead):
    known = clock(ahead=ahead, set_at=NOW, settled=False)
    assert known.taken(LOCAL, NOW + timedelta(seconds=2)) == (NOW, ())


def test_a_reading_from_before_the_clock_fell_back_has_no_time():
    """Taken in March by a right clock; the battery was changed and the clock began again at 2020."""
    assert clock(ahead=timedelta(days=-2520)).taken(datetime(2026, 3, 1, 8, 0), NOW) == (None, NOT_SET)


@pytest.mark.parametrize("days", [-1, 0.5, 29])
def test_an_unknown_clock_is_believed_for_a_likely_time_alone(days):
    expected = (NOW - timedelta(days=days), ()) if days > 0 else (None, NOT_SET)
    assert clock().taken(LOCAL - timedelta(days=days), NOW) == expected


@pytest.mark.parametrize(
    ("known", "shown"),
    [
        (clock(), None),
        (clock(), LOCAL - timedelta(days=365)),
        (clock(ahead=timedelta(days=-9000)), LOCAL - timedelta(days=9000)),
        (clock(ahead=timedelta(0)), LOCAL + timedelta(minutes=10)),
        (clock(ahead=timedelta(days=1)), datetime(1, 1, 1)),
        (clock(ahead=timedelta(days=-1)), datetime(9999, 12, 31, 23, 59)),
    ],
)
def test_what_cannot_be_used_is_not_used(known, shown):
    taken_at, flags = known.taken(shown, NOW)
    assert flags == NOT_SET or taken_at < NOW
    assert taken_at is None or flags == CORRECTED


@given(
    st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)),
    st.none() | st.timedeltas(timedelta(days=-20000), timedelta(days=20000)),
    st.none() | st.timedeltas(timedelta(0), timedelta(hours=1)),
    st.booleans(),
)
def test_never_in_the_future_and_never_silently_wrong(shown, ahead, since, settled):
    known = clock(ahead=ahead, set_at=None if since is None else NOW - since, settled=settled)
    taken_at, flags = known.taken(shown, NOW)
    if taken_at is None:
        assert flags == NOT_SET
        return
    assert taken_at <= NOW + CLOSE
    right = shown.replace(tzinfo=ZONE).astimezone(UTC)
    assert flags == CORRECTED or taken_at == right
