"""How much picture a receiver's link can take, told to those whose picture it receives.

A browser that receives sends its own estimate (REMB) of what the link to it carries. As long as that is more than
we send it says nothing about the link, since an estimate never exceeds the traffic by much; once it falls below,
the link is full, and publishers are held to it until it has recovered. While they send less than they may, the limit
grows by itself: an estimate that follows the traffic would never let it. How much a publisher's own uplink carries
is found by the publisher's browser (`arrivals`).
"""

from __future__ import annotations

from typing import Final

VOICE: Final = 50_000
"""Bits per second set aside for each voice before pictures share the rest."""

FLOOR: Final = 60_000
"""Least bits per second a picture is held to: below, it is no help, and the publisher's browser decides."""

FULL: Final = 0.88
"""Estimate over traffic below which the link counts as full: on overuse a browser falls to 0.85 of what it gets."""

USED: Final = 0.8
"""Traffic over limit from which on the link is in full use, and the receiver's estimate counts."""

GROWTH: Final = 0.15
"""Share by which an unused limit grows in a second."""


class Downlink:
    """The link to one receiver. `limit` is in bit/s, None while the link is not full."""

    def __init__(self) -> None:
        self.limit: int | None = None
        self._octets = 0
        self._at: float | None = None
        self.rate = 0.0
        """Bits per second sent lately."""

    def measure(self, octets: int, ceiling: int, now: float) -> None:
        """Note how many octets have been sent altogether. `ceiling` is the most, in bit/s, there is to send."""
        if self._at is None or now <= self._at:
            self._octets, self._at = octets, now
            return
        elapsed = now - self._at
        self.rate += (8 * (octets - self._octets) / elapsed - self.rate) * min(1.0, elapsed)
        self._octets, self._at = octets, now
        if self.limit is not None and self.rate < USED * self.limit:
            self._set(int(self.limit * (1 + GROWTH * elapsed)) + 1, ceiling)

    def estimate(self, remb: int, ceiling: int) -> None:
        """Take the receiver's estimate, in bit/s."""
        full = remb < FULL * self.rate
        used = self.limit is not None and self.rate >= USED * self.limit
        if full or used:
            self._set(remb, ceiling)

    def _set(self, limit: int, ceiling: int) -> None:
        self.limit = limit if limit < ceiling else None

    def share(self, pictures: int, voices: int) -> int | None:
        """What each picture may take, in bit/s, or None if there is no limit."""
        if self.limit is None or not pictures:
            return None
        return max(FLOOR, (self.limit - VOICE * voices) // pictures)
