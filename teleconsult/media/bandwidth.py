"""How much picture a receiver's link can take, told to those whose picture it receives.

A browser that receives sends its own estimate (REMB) of what the link to it carries. It never exceeds the traffic by
much, follows a growing one slowly, and falls on a busy machine too, so one thing counts only: once it falls, and below
the traffic, the link may be full, and publishers are held to it at once. From there the limit grows by itself while
the receiver's reports show neither loss nor a queue: fast, unless they had shown one; then slowly past where the link
was full. How much a publisher's own uplink carries is found by the publisher's browser
(`arrivals`). Voice is never limited, and browsers do not count it in their estimates, since it bears no times of
sending.
"""

from __future__ import annotations

from typing import Final

FLOOR: Final = 60_000
"""Least bits per second a picture is held to: below, it is no help, and the publisher's browser decides."""

FULL: Final = 0.88
"""Estimate over traffic below which the link may be full: on overuse a browser falls to 0.85 of what it gets."""

LOSS: Final = 0.03
"""Share of packets lost from which on a report shows a full link."""

QUEUE: Final = 0.1
"""Seconds by which the way there and back is longer than it ever was from which on a report shows a queue. Browsers of
a busy machine answer some 0.05 s late; the queues of full links are longer."""

SHARP: Final = 0.5
"""Estimate over traffic below which a link is so full that voice is lost in the pictures' queue."""

FAST: Final = 0.4
SLOW: Final = 0.08
IDLE: Final = 0.05
"""Share by which a limit grows in a second: far from where the link was full, near it, and near it while it is not
used, so that nothing is learnt."""

USED: Final = 0.5
"""Traffic over limit from which on a limit is in use."""

NEAR: Final = (0.9, 1.4)
"""Limit over where the link was full: from where on it grows slowly, and where that is forgotten."""


class Downlink:
    """The link to one receiver. `limit` is in bit/s, None while nothing says that the link is full."""

    def __init__(self) -> None:
        self.limit: int | None = None
        self.rate = 0.0
        """Bits per second of pictures sent lately."""
        self._estimate = 0
        self._octets = 0
        self._at: float | None = None
        self._shortest: float | None = None
        self._strained = False
        self._full_at: int | None = None

    def renewed(self) -> Downlink:
        """The same link for a new connection: what was learnt of how much it carries."""
        link = Downlink()
        link.limit, link._full_at = self.limit, self._full_at
        return link

    def measure(self, octets: int, ceiling: int, now: float) -> None:
        """Note how many octets of pictures have been sent altogether. `ceiling` is the most, in bit/s, there is to
        send: a limit beyond it is none; 0: nothing is sent yet, and nothing learnt."""
        if self._at is None or now <= self._at:
            self._octets, self._at = octets, now
            return
        elapsed = now - self._at
        self.rate += (8 * (octets - self._octets) / elapsed - self.rate) * min(1.0, elapsed)
        self._octets, self._at = octets, now
        if self.limit is not None and not self._strained and ceiling:
            self._grow(self.limit, elapsed, ceiling)

    def _grow(self, limit: int, elapsed: float, ceiling: int) -> None:
        near = self._full_at is not None and limit > NEAR[0] * self._full_at
        growth = FAST if not near else SLOW if self.rate >= USED * limit else IDLE
        limit = int(limit * (1 + growth * elapsed)) + 1
        if self._full_at is not None and limit > NEAR[1] * self._full_at:
            self._full_at = None
        self.limit = limit if limit < ceiling else None

    def report(self, loss: float, round_trip: float | None) -> None:
        """Take what the receiver reports: packets lost, 0 to 1, and seconds there and back if known."""
        queue = False
        if round_trip is not None:
            shortest = self._shortest = round_trip if self._shortest is None else min(round_trip, self._shortest)
            queue = round_trip - shortest > QUEUE
        self._strained = queue or loss > LOSS
        if self._strained and self.limit is not None:
            self._full_at = self.limit

    def estimate(self, remb: int) -> bool:
        """Take the receiver's estimate, in bit/s. Returns whether the limit has fallen."""
        fell, self._estimate = remb < self._estimate, remb
        if not (fell or self._strained) or remb >= FULL * self.rate:
            return False
        if self.limit is not None and remb >= self.limit:
            return False
        self.limit = remb
        return True

    @property
    def choked(self) -> bool:
        """Whether what is on its way is far more than the link carries."""
        return self.limit is not None and self.limit < SHARP * self.rate

    def share(self, pictures: int) -> int | None:
        """What each picture may take, in bit/s, or None if there is no limit."""
        if self.limit is None or not pictures:
            return None
        return max(FLOOR, self.limit // pictures)
