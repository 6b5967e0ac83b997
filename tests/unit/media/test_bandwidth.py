"""When a receiver's link counts as full, and how the limit on its publishers comes and goes."""

from __future__ import annotations

import pytest

from teleconsult.media.bandwidth import FLOOR, GROWTH, Downlink

CEILING = 4_000_000


class Link:
    """A link to a receiver over which so much is sent."""

    def __init__(self, rate: int) -> None:
        self.downlink = Downlink()
        self._octets = 0.0
        self._now = 0.0
        self.send(rate, 10.0)

    def send(self, rate: float, seconds: float) -> None:
        for _ in range(round(seconds * 5)):
            self._now += 0.2
            self._octets += rate / 8 * 0.2
            self.downlink.measure(int(self._octets), CEILING, self._now)


def test_rate_follows_the_traffic() -> None:
    link = Link(1_500_000)
    assert link.downlink.rate == pytest.approx(1_500_000, rel=0.01)
    link.send(300_000, 5.0)
    assert link.downlink.rate == pytest.approx(300_000, rel=0.05)


def test_estimate_near_the_traffic_limits_nobody() -> None:
    link = Link(1_500_000)
    for estimate in (1_400_000, 1_600_000, 5_000_000):
        link.downlink.estimate(estimate, CEILING)
        assert link.downlink.share(1, 1) is None


def test_full_link_limits_and_is_shared_after_the_voices() -> None:
    link = Link(1_500_000)
    link.downlink.estimate(600_000, CEILING)
    assert link.downlink.share(1, 1) == 550_000
    assert link.downlink.share(2, 2) == 250_000
    assert link.downlink.share(0, 1) is None
    link.downlink.estimate(20_000, CEILING)
    assert link.downlink.share(1, 1) == FLOOR


def test_limit_in_full_use_follows_the_estimate() -> None:
    link = Link(1_500_000)
    link.downlink.estimate(600_000, CEILING)
    link.send(590_000, 10.0)
    assert link.downlink.limit == 600_000
    link.downlink.estimate(640_000, CEILING)
    assert link.downlink.limit == 640_000
    link.downlink.estimate(580_000, CEILING)
    assert link.downlink.limit == 580_000


def test_unused_limit_grows_until_it_is_gone() -> None:
    link = Link(1_500_000)
    link.downlink.estimate(600_000, CEILING)
    link.send(100_000, 3.0)
    start = link.downlink.limit
    assert start is not None
    link.downlink.estimate(150_000, CEILING)  # follows the traffic, and says nothing about the link
    link.send(100_000, 2.0)
    assert link.downlink.limit == pytest.approx(start * (1 + GROWTH) ** 2, rel=0.03)
    link.send(100_000, 20.0)
    assert link.downlink.limit is None


def test_unused_limit_falls_where_even_less_is_carried() -> None:
    link = Link(1_500_000)
    link.downlink.estimate(600_000, CEILING)
    link.send(300_000, 3.0)
    link.downlink.estimate(200_000, CEILING)
    assert link.downlink.limit == 200_000
