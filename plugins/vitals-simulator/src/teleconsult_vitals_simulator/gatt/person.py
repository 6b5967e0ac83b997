"""The simulated person as a body scale and a glucose meter see them. Circulation and warmth are `body`'s."""

from __future__ import annotations

import random
from dataclasses import dataclass

from teleconsult_vitals_simulator.body import Body, Profile

_AT_REST = {  # kg, % of fat, mmol/L
    Profile.NORMAL: (62.0, 24.0, 5.4),
    Profile.HYPERTENSIVE: (78.0, 33.0, 6.8),
    Profile.HYPOXIC: (54.0, 21.0, 5.9),
    Profile.FEVERISH: (58.0, 22.0, 6.2),
}


@dataclass(frozen=True)
class Person:
    """One person. The same profile and seed give the same person in every process."""

    profile: Profile
    seed: int
    body: Body

    @classmethod
    def make(cls, profile: Profile, seed: int) -> Person:
        """The person with this profile and seed."""
        return cls(profile, seed, Body(profile, seed))

    def weight(self, t: float) -> float:
        """Body weight, kg."""
        return _AT_REST[self.profile][0] + self._own("weight", 6.0) + self.body.noise("weight", t, 0.05)

    def fat(self, t: float) -> float:
        """Body fat, %."""
        return _AT_REST[self.profile][1] + self._own("fat", 3.0) + self.body.noise("fat", t, 0.1)

    def glucose(self, t: float) -> float:
        """Blood glucose, mmol/L."""
        return _AT_REST[self.profile][2] + self._own("glucose", 0.5) + self.body.noise("glucose", t, 0.1)

    def _own(self, what: str, size: float) -> float:
        """What sets this person apart from others of the profile."""
        return random.Random(f"{self.profile}/{self.seed}/{what}").uniform(-size, size)  # noqa: S311 - a simulation
