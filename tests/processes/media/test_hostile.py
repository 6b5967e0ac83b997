"""Hostile datagrams from inside, next door and outside leave two calls alone: the bounded part of `make torture`."""

from __future__ import annotations

import pytest

from tests.torture.hostile import Hostile
from tests.torture.media import Report, run


@pytest.mark.timeout(90)
def test_calls_go_on_under_hostile_datagrams() -> None:
    report = run(seed=7, rounds=12_000, seconds=12)
    assert report.problems == [], "\n".join(report.lines())
    assert report.datagrams > 2_000
    assert report.packets > 300


def test_datagrams_can_be_repeated_and_are_of_every_kind() -> None:
    samples = [bytes((128, 96)) + bytes(40), bytes((20, 254, 253)) + bytes(30)]
    one, other = Hostile(3, samples, "abcd"), Hostile(3, samples, "abcd")
    made = [one.datagram() for _ in range(3000)]
    assert made == [other.datagram() for _ in range(3000)]
    firsts = {data[0] for data in made if data}
    assert {0, 1, 20, 21, 22, 128, 144} <= firsts
    assert min(map(len, made)) == 0
    assert max(map(len, made)) > 2048


def test_report_names_what_must_not_be() -> None:
    good = Report(1, datagrams=100, refused=90, peers=7, rooms=3)
    assert good.problems == []
    bad = Report(1, datagrams=100, refused=3, peers=5, rooms=2, lost=1, strayed=1, worker_deaths=1, states_changed=1)
    bad.sockets_after, bad.memory_after_mb = 3, 100.0
    assert len(bad.problems) == 8
