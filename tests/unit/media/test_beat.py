"""Duties of many are done at few moments."""

from __future__ import annotations

import asyncio

from teleconsult.media.beat import BEAT, on_the_beat


def test_duties_of_many_fall_on_the_same_moments_near_the_time_asked_for() -> None:
    asked = [0.0, 0.01, BEAT, 0.11, 0.12, 0.13, 0.2]

    async def main() -> tuple[float, list[float]]:
        loop = asyncio.get_running_loop()
        start, done = loop.time(), list[float]()
        for seconds in asked:
            on_the_beat(loop, seconds, lambda: done.append(loop.time()))
        async with asyncio.timeout(5):
            while len(done) < len(asked):
                await asyncio.sleep(BEAT)
        return start, done

    start, done = asyncio.run(main())
    assert all(at - start >= max(0.0, seconds - BEAT / 2) - 0.002 for at, seconds in zip(done, asked, strict=True))
    assert all(at > start for at in done)
    moments = {round(at / BEAT) for at in done}
    assert len(moments) <= 5
