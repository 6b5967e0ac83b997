"""When a receiver's link counts as full, and how the limit on its publishers comes and goes."""

from __future__ import annotations

import pytest

from teleconsult.media.bandwidth import FAST, FLOOR, IDLE, QUEUE, SLOW, Downlink

CEILING = 4_000_000


class Link:
    """A link to a receiver over which so much is sent; its browser's estimate was `estimate`."""

    def __init__(self, rate: int, estimate: int = 3_000_000) -> None:
        self.downlink = Downlink()
        self._octets = 0.0
        self._now = 0.0
        self.send(rate, 10.0)
        self.downlink.report(0.0, 0.02)
        assert self.downlink.estimate(estimate) is False

    @property
    def limit(self) -> int | None:
        return self.downlink.limit

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
    for estimate in (1_400_000, 1_350_000, 5_000_000):
        assert link.downlink.estimate(estimate) is False
        assert link.downlink.share(1) is None


def test_estimate_that_follows_growing_traffic_limits_nobody() -> None:
    link = Link(300_000, 450_000)
    link.send(1_500_000, 3.0)
    for estimate in (480_000, 520_000, 520_000):
        assert link.downlink.estimate(estimate) is False
    assert link.limit is None


def test_estimate_that_falls_below_the_traffic_limits_and_is_shared() -> None:
    link = Link(1_500_000)
    assert link.downlink.estimate(600_000) is True
    assert link.downlink.share(1) == 600_000
    assert link.downlink.share(2) == 300_000
    assert link.downlink.share(0) is None
    assert link.downlink.estimate(650_000) is False
    assert link.limit == 600_000
    assert link.downlink.estimate(20_000) is True
    assert link.downlink.share(1) == FLOOR


def test_low_estimate_counts_without_a_fall_where_reports_show_a_full_link() -> None:
    link = Link(300_000, 450_000)
    link.send(1_500_000, 3.0)
    link.downlink.report(0.2, 0.02)
    assert link.downlink.estimate(460_000) is True
    assert link.limit == 460_000


def test_link_is_choked_where_far_more_is_on_its_way_than_it_carries() -> None:
    link = Link(1_500_000)
    assert not link.downlink.choked
    link.downlink.estimate(1_200_000)
    assert not link.downlink.choked
    link.downlink.estimate(250_000)
    assert link.downlink.choked
    link.send(250_000, 5.0)
    assert not link.downlink.choked


def test_limit_nothing_confirms_is_soon_gone() -> None:
    """A busy machine's estimates fall, too."""
    link = Link(1_500_000)
    link.downlink.estimate(600_000)
    link.send(600_000, 1.0)
    assert link.limit == pytest.approx(600_000 * (1 + FAST / 5) ** 5, rel=0.03)
    link.send(600_000, 6.0)
    assert link.limit is None


@pytest.mark.parametrize("report", [(0.2, 0.02), (0.0, 0.02 + 1.5 * QUEUE)], ids=["loss", "queue"])
def test_limit_stands_while_reports_show_a_full_link_and_then_grows_slowly_past_it(report: tuple[float, float]) -> None:
    link = Link(1_500_000)
    link.downlink.estimate(300_000)
    link.downlink.report(*report)
    link.send(290_000, 5.0)
    assert link.limit == 300_000
    link.downlink.report(0.0, 0.02)
    link.send(290_000, 2.0)
    assert link.limit == pytest.approx(300_000 * (1 + SLOW / 5) ** 10, rel=0.03)
    link.send(400_000, 4.0)
    link.send(600_000, 3.0)
    assert link.limit is not None
    assert link.limit > 700_000, "fast again, once the link has shown that it carries more"


def test_limit_that_is_not_used_passes_where_the_link_was_full_more_slowly_and_never_stands_still() -> None:
    link = Link(1_500_000)
    link.downlink.estimate(300_000)
    link.downlink.report(0.2, 0.02)
    link.send(30_000, 8.0)
    link.downlink.report(0.0, 0.02)
    link.send(30_000, 5.0)
    assert link.limit == pytest.approx(300_000 * (1 + IDLE / 5) ** 25, rel=0.03)
    link.send(30_000, 20.0)
    assert link.limit is None


def test_a_new_connection_begins_with_what_the_link_carried() -> None:
    link = Link(1_500_000)
    assert link.downlink.estimate(400_000)
    again = link.downlink.renewed()
    for now in (1.0, 2.0, 3.0):
        again.measure(0, 0, now)  # nothing is sent yet
    assert again.share(1) == 400_000
    again.measure(0, CEILING, 4.0)
    again.measure(50_000, CEILING, 5.0)
    assert again.limit is not None
    assert again.limit > 400_000


def test_queue_of_a_busy_browser_is_none() -> None:
    link = Link(1_500_000)
    link.downlink.estimate(600_000)
    link.downlink.report(0.0, 0.02 + 0.5 * QUEUE)
    link.send(600_000, 1.0)
    assert link.limit == pytest.approx(600_000 * (1 + FAST / 5) ** 5, rel=0.03)
