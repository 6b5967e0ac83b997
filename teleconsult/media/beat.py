"""When duties are done that wait for no packet: at few moments for all, so that a worker seldom wakes up for them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Final

BEAT: Final = 0.05
"""Seconds between those moments: the duties of some at each, so that no packet waits for the duties of all."""


def on_the_beat(loop: asyncio.AbstractEventLoop, seconds: float, act: Callable[[], None]) -> None:
    """Call `act` at the beat nearest to so many seconds from now, and not before the next."""
    now = loop.time()
    loop.call_at(BEAT * max(math.floor(now / BEAT) + 1, round((now + seconds) / BEAT)), act)
