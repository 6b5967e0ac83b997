"""The simulated circulation: plausible, coherent, and the same for everybody who computes it."""

import itertools
import math

import pytest
from teleconsult_vitals_simulator.body import BASELINES, Body, Profile, beat_of_ecg, pulse_shape

RATE = 75
NOON = 1_795_000_000.0


def peaks(samples: list[float], at_least: float) -> list[int]:
    """Indices of local maxima above a height."""
    return [
        i for i in range(1, len(samples) - 1) if samples[i - 1] < samples[i] >= samples[i + 1] and samples[i] > at_least
    ]


def curve(body: Body, start: float, seconds: float) -> list[float]:
    return [body.plethysmogram(start + i / RATE) for i in range(int(seconds * RATE))]


def test_one_beat_rises_steeply_and_has_a_dicrotic_notch():
    beat = [pulse_shape(i / 200) for i in range(200)]
    first, second = peaks(beat, 0.2)
    notch = min(range(first, second), key=beat.__getitem__)
    assert 0.12 < first / 200 < 0.25, "systolic peak early in the beat"
    assert 0.30 < notch / 200 < 0.45, "notch after it"
    assert beat[notch] < beat[second] - 0.01, "the second wave stands out"
    assert beat[first] > 2 * beat[second]
    assert abs(beat[0] - beat[-1]) < 0.05, "one beat joins the next"


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("seed", [1, 2, 77])
def test_the_pulse_in_the_curve_is_the_rate_that_is_reported(profile, seed):
    body = Body(profile, seed)
    seconds = 30
    beats = peaks(curve(body, NOON - seconds, seconds), 0.6)
    counted = (len(beats) - 1) / ((beats[-1] - beats[0]) / RATE) * 60
    assert counted == pytest.approx(body.pulse_rate(NOON, seconds), abs=1.5)


def test_a_beat_of_the_ecg_has_p_qrs_and_t_in_their_order_and_size():
    length, rate = 0.85, 1000
    beat = [beat_of_ecg((i / (length * rate) + 0.5) % 1.0, length) for i in range(int(length * rate))]
    r = max(range(len(beat)), key=beat.__getitem__)
    p, *_, t = peaks(beat, 0.05)
    q = min(range(p, r), key=beat.__getitem__)
    s = min(range(r, t), key=beat.__getitem__)
    assert p < q < r < s < t
    assert 0.8 < beat[r] < 1.5
    assert beat[q] < -0.03
    assert beat[s] < -0.1
    assert 0.05 < beat[p] < 0.25
    assert 0.2 < beat[t] < 0.5
    assert 0.12 <= (r - p) / rate <= 0.20, "PR"
    assert 0.22 <= (t - r) / rate <= 0.34, "R to the top of T"
    assert beat_of_ecg(0.0, length) == pytest.approx(beat_of_ecg(0.999999, length), abs=1e-3), "one beat joins the next"


@pytest.mark.parametrize("profile", Profile)
def test_the_ecg_beats_with_the_pulse_and_before_it(profile):
    body = Body(profile, 3)
    ecg = [body.ecg(NOON - 20 + i / 500) for i in range(20 * 500)]
    assert all(abs(b - a) < 0.25 for a, b in itertools.pairwise(ecg)), "no step anywhere"
    excited = [NOON - 20 + i / 500 for i in peaks(ecg, 0.7)]
    counted = (len(excited) - 1) / (excited[-1] - excited[0]) * 60
    assert counted == pytest.approx(body.pulse_rate(NOON, 20), abs=1.5)
    pulses = [NOON - 20 + i / RATE for i in peaks(curve(body, NOON - 20, 20), 0.6)]
    for r in excited[1:-2]:
        assert 0.1 < min(pulse - r for pulse in pulses if pulse > r) < 0.5, "the pulse follows the excitation"


def test_beats_are_the_integral_of_the_rate():
    body = Body(Profile.FEVERISH, 5)
    step = 0.01
    summed = sum(body.heart_rate(NOON + (i + 0.5) * step) / 60 * step for i in range(6000))
    assert body.beats(NOON + 60) - body.beats(NOON) == pytest.approx(summed, abs=1e-3)


@pytest.mark.parametrize("profile", Profile)
def test_an_hour_stays_near_the_person_s_resting_values(profile):
    rest = BASELINES[profile]
    for seed in range(20):
        body = Body(profile, seed)
        for minute in range(60):
            t = NOON + 60 * minute
            systolic, diastolic = body.pressure(t)
            assert abs(body.heart_rate(t) - rest.heart_rate) < 12
            assert abs(systolic - rest.systolic) < 15
            assert systolic - diastolic >= 20
            assert abs(body.temperature(t) - rest.temperature) < 0.4
            assert rest.spo2 - 2 < body.spo2(t) <= 100


def test_profiles_differ_where_they_should():
    at = {profile: Body(profile, 1) for profile in Profile}
    assert at[Profile.HYPERTENSIVE].pressure(NOON)[0] >= 150 > at[Profile.NORMAL].pressure(NOON)[0]
    assert at[Profile.HYPOXIC].spo2(NOON) < 90 < at[Profile.NORMAL].spo2(NOON)
    assert at[Profile.FEVERISH].temperature(NOON) > 38 > at[Profile.NORMAL].temperature(NOON)


def test_pressure_follows_the_heart_rate():
    body = Body(Profile.NORMAL, 3)
    times = [NOON + 7 * i for i in range(200)]
    rates = [body.heart_rate(t) for t in times]
    systolic = [body.pressure(t)[0] for t in times]
    mean_r, mean_s = sum(rates) / len(rates), sum(systolic) / len(systolic)
    together = sum((r - mean_r) * (s - mean_s) for r, s in zip(rates, systolic, strict=True))
    spread = math.sqrt(sum((r - mean_r) ** 2 for r in rates) * sum((s - mean_s) ** 2 for s in systolic))
    assert together / spread > 0.9


def test_breathing_shows_in_the_curve():
    body = Body(Profile.NORMAL, 1)
    heights = [curve(body, NOON, 60)[i] for i in peaks(curve(body, NOON, 60), 0.6)]
    assert max(heights) - min(heights) > 0.1
    rises = sum(b > a for a, b in itertools.pairwise(heights))
    assert 10 < rises < len(heights) - 10, "it goes up and down, not one way"


def test_two_processes_with_one_seed_compute_the_same_person():
    assert curve(Body(Profile.NORMAL, 9), NOON, 2) == curve(Body(Profile.NORMAL, 9), NOON, 2)
    assert curve(Body(Profile.NORMAL, 9), NOON, 2) != curve(Body(Profile.NORMAL, 10), NOON, 2)
