"""A simulated person's circulation, as pure functions of time. No devices and no clock of its own.

Every process that simulates a device of the same person computes the same pulse at the same instant, because
nothing is accumulated: heart rate is a sum of slow seeded sines, its integral (the beat count) is known in
closed form, and plethysmogram and ECG are functions of the beat's phase.

Sources of the shapes: the photoplethysmogram's systolic and diastolic waves with the dicrotic notch between
them, and its amplitude, baseline and frequency modulation by breathing, as in Charlton et al., "Breathing rate
estimation from the electrocardiogram and photoplethysmogram: a review", IEEE Rev Biomed Eng 2018; the ECG's P, Q,
R, S and T as a Gaussian each, after McSharry et al., "A dynamical model for generating synthetic electrocardiogram
signals", IEEE Trans Biomed Eng 2003, with the T wave's distance following the square root of the beat's length
(Bazett). The numbers are chosen to look right; they are no clinical model.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from enum import StrEnum

TAU = 2 * math.pi

R_PHASE = 0.80
"""Where in a beat the ventricles are excited: some 0.2 s before the pulse rises in the finger."""

QRS = ((-0.115, -0.030, 0.008), (1.15, 0.0, 0.011), (-0.24, 0.030, 0.009))
"""Q, R and S of lead II: height in mV, distance from R and width in s. They keep their length at any rate."""

P_WAVE = (0.13, -0.17, 0.022)
T_WAVE = (0.30, 0.30, 0.050)
"""Like `QRS`, for a beat of one second; the distance goes with the square root of the beat's length."""


class Profile(StrEnum):
    """Who is simulated."""

    NORMAL = "normal"
    HYPERTENSIVE = "hypertensive"
    HYPOXIC = "hypoxic"
    FEVERISH = "feverish"


@dataclass(frozen=True)
class Baseline:
    """A person's resting values."""

    heart_rate: float
    """/min"""
    systolic: float
    """mm[Hg]"""
    diastolic: float
    """mm[Hg]"""
    spo2: float
    """%"""
    temperature: float
    """Cel"""
    breaths: float
    """/min"""


BASELINES: dict[Profile, Baseline] = {
    Profile.NORMAL: Baseline(70, 120, 76, 97.6, 36.5, 15),
    Profile.HYPERTENSIVE: Baseline(76, 168, 98, 96.8, 36.4, 16),
    Profile.HYPOXIC: Baseline(96, 128, 78, 87.5, 36.8, 24),
    Profile.FEVERISH: Baseline(104, 112, 68, 96.2, 38.9, 21),
}


@dataclass(frozen=True)
class _Wave:
    """A sine of amplitude `size`, `period` seconds long."""

    size: float
    period: float
    phase: float

    def at(self, t: float) -> float:
        return self.size * math.sin(TAU * t / self.period + self.phase)

    def integral(self, t: float) -> float:
        """The integral of `at` from some fixed instant to `t`."""
        return -self.size * self.period / TAU * math.cos(TAU * t / self.period + self.phase)


class Body:
    """One person. `t` is in seconds since any fixed instant, the same one for all devices of the person."""

    def __init__(self, profile: Profile, seed: int) -> None:
        self.rest = BASELINES[profile]
        self._seed = seed
        choose = random.Random(f"{profile}/{seed}")  # noqa: S311 - a simulation
        self._offset = {name: choose.uniform(-1, 1) for name in ("rate", "systolic", "diastolic", "spo2", "warmth")}
        breath = 60 / (self.rest.breaths + choose.uniform(-1, 1))
        self._breath = _Wave(1.0, breath, choose.uniform(0, TAU))
        self._rate = self.rest.heart_rate + 3 * self._offset["rate"]
        # Minutes-long drift, the slow oscillation of blood pressure control (about 10 s), breathing.
        self._rate_waves = (
            _Wave(2.5, 170, choose.uniform(0, TAU)),
            _Wave(1.5, 61, choose.uniform(0, TAU)),
            _Wave(1.0, 10.3, choose.uniform(0, TAU)),
            _Wave(2.0, breath, self._breath.phase),
        )
        self._spo2_waves = (_Wave(0.5, 97, choose.uniform(0, TAU)), _Wave(0.3, 31, choose.uniform(0, TAU)))
        self._warmth_wave = _Wave(0.08, 900, choose.uniform(0, TAU))

    def heart_rate(self, t: float) -> float:
        """The heart's rate at an instant, /min."""
        return self._rate + sum(wave.at(t) for wave in self._rate_waves)

    def beats(self, t: float) -> float:
        """Heart beats counted from some fixed instant to `t`; its fraction is the phase in the running beat."""
        return (self._rate * t + sum(wave.integral(t) for wave in self._rate_waves)) / 60

    def pulse_rate(self, t: float, seconds: float = 8.0) -> float:
        """What an oximeter shows: the mean rate of the last `seconds`, /min."""
        return (self.beats(t) - self.beats(t - seconds)) / seconds * 60

    def pressure(self, t: float) -> tuple[float, float]:
        """Systolic and diastolic pressure at an instant, mm[Hg]. They rise with the heart's rate."""
        effort = self.heart_rate(t) - self.rest.heart_rate
        systolic = self.rest.systolic + 4 * self._offset["systolic"] + 0.6 * effort
        diastolic = self.rest.diastolic + 3 * self._offset["diastolic"] + 0.3 * effort
        return systolic, min(diastolic, systolic - 20)

    def spo2(self, t: float) -> float:
        """Oxygen saturation of the blood, %; never above 100."""
        return min(100.0, self.rest.spo2 + 0.6 * self._offset["spo2"] + sum(wave.at(t) for wave in self._spo2_waves))

    def temperature(self, t: float) -> float:
        """Body temperature, Cel."""
        return self.rest.temperature + 0.15 * self._offset["warmth"] + self._warmth_wave.at(t)

    def plethysmogram(self, t: float) -> float:
        """The curve of blood volume in the finger, about 0 to 1, no unit."""
        phase = self.beats(t) % 1.0
        breath = self._breath.at(t)
        return (0.85 + 0.08 * breath) * pulse_shape(phase) + 0.06 + 0.03 * breath

    def ecg(self, t: float) -> float:
        """The electrocardiogram as lead II, mV. Its baseline follows the breath a little."""
        length = 60 / self.heart_rate(t)
        phase = (self.beats(t) - R_PHASE) % 1.0
        return beat_of_ecg(phase, length) + 0.03 * self._breath.at(t)

    def noise(self, what: str, t: float, size: float) -> float:
        """A deviation of about `size` for one measurement: the same one for the same instant."""
        return random.Random(f"{self._seed}/{what}/{t:.3f}").gauss(0, size)  # noqa: S311 - a simulation


def pulse_shape(phase: float) -> float:
    """One beat of the plethysmogram over its phase 0..1: steep rise, dicrotic notch, second wave, run-out."""
    return sum(
        height * math.exp(-(((phase - centre + shift) / width) ** 2) / 2)
        for height, centre, width in ((0.95, 0.19, 0.075), (0.42, 0.48, 0.10), (0.12, 0.70, 0.14))
        for shift in (-1, 0, 1)  # the tails of the neighbouring beats
    )


def beat_of_ecg(phase: float, length: float) -> float:
    """One beat of the ECG, mV, over its phase 0..1 from R to R in a beat of `length` seconds."""
    stretch = math.sqrt(length)
    waves = (*QRS, *((height, at * stretch, width * stretch) for height, at, width in (P_WAVE, T_WAVE)))
    return sum(
        height * math.exp(-((((phase + shift) * length - at) / width) ** 2) / 2)
        for height, at, width in waves
        for shift in (-1, 0)  # what comes before this R, and before the next one
    )
