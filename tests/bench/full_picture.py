"""How soon the picture is full on a free link, by who sends to whom: 1280x720 and 1.2 Mbit/s, seconds after joining.

Two browsers hold a call through one media worker. The clock runs from the second one's wish to join; a picture is full
when it is of 1280x720 and a second of it had 1.2 Mbit. Rates are of twenty seconds after the first ten.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Playwright, sync_playwright

from teleconsult.media import MediaConfig
from tests.bench import Rows, table
from tests.browser.firefox import PROGRAM
from tests.browser.media_page import Hub, Participant, call_of

ROUNDS = 3
PAIRS = (
    {"red": "Chromium", "blue": "Chromium"},
    {"red": "Firefox", "blue": "Chromium"},
    {"red": "Firefox", "blue": "Firefox"},
)
RATE = 1_200_000
SETTLED, END = 10.0, 30.0
"""Seconds after joining between which rates are taken."""


class Receiver:
    """What one browser gets of the other."""

    def __init__(self, one: Participant) -> None:
        self.one = one
        self.full: float | None = None
        self.settled: tuple[float, float, float] | None = None
        self.last: tuple[float, float, float] = (0, 0, 0)

    def look(self, since_join: float) -> None:
        """Once a second."""
        stats = self.one.stats()
        at, octets, _ = self.last
        bits = 8 * (stats["received"] - octets) / max(0.001, since_join - at)
        if self.full is None and bits >= RATE and (stats["width"], stats["height"]) == (1280, 720):
            self.full = since_join
        self.last = (since_join, stats["received"], stats["frames"])
        if self.settled is None and since_join >= SETTLED:
            self.settled = self.last

    def rates(self) -> tuple[float, float]:
        """kbit/s and pictures a second."""
        assert self.settled is not None
        seconds, octets, frames = (now - then for now, then in zip(self.last, self.settled, strict=True))
        return 8 * octets / seconds / 1000, frames / seconds


def one_call(playwright: Playwright, firefoxes: list[str]) -> dict[str, Receiver]:
    """One call of two; what each gets."""
    hub = Hub(MediaConfig(workers=1))
    hub.workers.start()
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            call_of(playwright, hub, Path(folder), ["red", "blue"], firefoxes=firefoxes) as people,
        ):
            people[0].start()
            people[0].pump()
            joined = time.monotonic()
            people[1].start()
            receivers = {one.name: Receiver(one) for one in people}
            due = 1.0
            while (now := time.monotonic() - joined) < END:
                for one in people:
                    one.pump()
                    one.page.wait_for_timeout(20)
                if now >= due:
                    due = now + 1
                    for receiver in receivers.values():
                        receiver.look(time.monotonic() - joined)
            return receivers
    finally:
        hub.workers.stop()


def main() -> Rows:
    """Run the rounds, print the table, give its rows."""
    found: dict[str, list[Receiver]] = {}
    with sync_playwright() as playwright:
        for pair in PAIRS:
            firefoxes = [name for name, browser in pair.items() if browser == "Firefox"]
            if firefoxes and not PROGRAM:
                continue
            for _ in range(ROUNDS):
                receivers = one_call(playwright, firefoxes)
                for sender, receiver in (("red", "blue"), ("blue", "red")):
                    found.setdefault(f"{pair[sender]} to {pair[receiver]}", []).append(receivers[receiver])
    rows: Rows = {}
    for name, got in found.items():
        full = [one.full or END for one in got]
        kbits, pictures = zip(*(one.rates() for one in got), strict=True)
        rows[name] = {
            "measured": len(got),
            "full after s, median": statistics.median(full),
            "full after s, worst": max(full),
            "kbit/s, median": statistics.median(kbits),
            "pictures/s, median": statistics.median(pictures),
        }
    print(table("A full picture on a free link", rows))
    return rows


if __name__ == "__main__":
    main()
