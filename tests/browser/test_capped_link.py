"""The picture is full on a free link, falls where a link is capped, and rises again; voice goes on all the while.

Worker and browsers are machines of their own, joined by cables of which one is capped for twenty seconds. The browser
behind that cable is a Chromium, and again a Firefox.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Playwright, sync_playwright

from teleconsult.media import MediaConfig
from tests.browser.firefox import needs_firefox
from tests.browser.media_page import Hub, Participant, call_of
from tests.support.netns import Machine, Network, needs_namespaces

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300), needs_namespaces]

CAP = 300
"""kbit/s."""

CAPPED_FOR = 20.0
JOIN = 30.0
"""Seconds that a busy machine has until the picture is full; how soon it is: `python -m tests.bench full_picture`."""

SETTLE = 6.0
"""Seconds after which what is sent fits the capped link."""

RETURN = 80.0
"""Seconds that a busy machine has until there is 1 Mbit/s again."""

CONCEALED = 0.1
"""Most of the voice that a receiver has to make up while the link is capped: about a second when the cap falls, while
nobody knows of it, and one more."""

PICTURES = 5
"""Pictures a second that are shown on a capped link, at least."""


class Moment(NamedTuple):
    """What a browser had received, and when."""

    at: float
    octets: float
    pictures: int
    height: int
    samples: float
    concealed: float


class Call:
    """A call of two, and how to cap the link of one."""

    def __init__(self, people: list[Participant], hub: Machine, machines: dict[str, Machine]) -> None:
        self.people = people
        self._hub = hub
        self._machines = machines

    def cap(self, name: str, direction: str) -> None:
        """Cap what goes to that participant ("down") or comes from there ("up")."""
        machine, device = (self._hub, name) if direction == "down" else (self._machines[name], "lan")
        machine.cap(device, CAP, latency_ms=300)

    def free(self, name: str, direction: str) -> None:
        machine, device = (self._hub, name) if direction == "down" else (self._machines[name], "lan")
        machine.uncap(device)

    def watch(self, one: Participant, seconds: float) -> tuple[Moment, Moment]:
        """Carry messages for so long; what `one` had got before and after."""
        before = self._moment(one)
        while time.monotonic() - before.at < seconds:
            for each in self.people:
                each.pump()
                each.page.wait_for_timeout(20)
        return before, self._moment(one)

    @staticmethod
    def _moment(one: Participant) -> Moment:
        stats: dict[str, Any] = one.stats()
        now = time.monotonic()
        return Moment(now, *(stats[name] for name in ("received", "frames", "height", "samples", "concealed")))

    def until_rich(self, names: tuple[str, ...], rate: float, seconds: float) -> None:
        """Until these get pictures of 1280x720 and so many bit/s over two seconds."""
        found: dict[str, list[str]] = {name: [] for name in names}
        missing, deadline = set(names), time.monotonic() + seconds
        last = {one.name: self._moment(one) for one in self.people}
        while missing and time.monotonic() < deadline:
            self.watch(self.people[0], 2.0)
            for one in self.people:
                now, before = self._moment(one), last[one.name]
                last[one.name] = now
                if one.name in names:
                    found[one.name].append(f"{bits(before, now) / 1000:.0f} kbit/s at {now.height}")
                    if bits(before, now) >= rate and now.height == 720:
                        missing.discard(one.name)
        assert not missing, f"not within {seconds} s: {found}"


def bits(before: Moment, after: Moment) -> float:
    """Bits of pictures a second."""
    return 8 * (after.octets - before.octets) / (after.at - before.at)


def made_up(before: Moment, after: Moment) -> float:
    """The share of the voice that was not there when it had to be played."""
    return (after.concealed - before.concealed) / max(1.0, after.samples - before.samples)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(params=["chromium", pytest.param("firefox", marks=needs_firefox)])
def call(request: pytest.FixtureRequest, playwright: Playwright, tmp_path: Path) -> Iterator[Call]:
    firefoxes = ["red"] if request.param == "firefox" else []
    with Network() as network:
        hub_machine = network.machine("hub")
        machines: dict[str, Machine] = {}
        for number, name in enumerate(("red", "blue"), start=1):
            machine = machines[name] = network.machine(name)
            network.cable(hub_machine, name, machine, "lan")
            hub_machine.address(name, f"10.77.{number}.1/24")
            machine.address("lan", f"10.77.{number}.2/24")
            machine.gateway(f"10.77.{number}.1")
        hub = Hub(MediaConfig(workers=1, addresses=("10.77.1.1",)))
        hub_machine.call(hub.workers.start)
        try:
            with call_of(playwright, hub, tmp_path, ["red", "blue"], machines, firefoxes) as people:
                for one in people:
                    one.start()
                yield Call(people, hub_machine, machines)
        finally:
            hub.workers.stop()


@pytest.mark.parametrize("direction", ["down", "up"])
def test_picture_gives_way_to_voice_and_comes_back(call: Call, direction: str) -> None:
    call.until_rich(("red", "blue"), 1_200_000, JOIN)
    red, blue = call.people
    watcher = red if direction == "down" else blue
    call.cap("red", direction)
    start, settled = call.watch(watcher, SETTLE)
    _, end = call.watch(watcher, CAPPED_FOR - SETTLE)
    call.free("red", direction)
    assert 5_000 < bits(settled, end) < 1000 * CAP, "the picture fits the link"
    assert end.pictures - settled.pictures > PICTURES * (end.at - settled.at), "and goes on"
    assert made_up(start, end) < CONCEALED, "voice is not starved when the link is capped"
    call.until_rich((watcher.name,), 1_000_000, RETURN)
