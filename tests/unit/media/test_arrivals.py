"""Transport-wide feedback, read back by a decoder written from the draft."""

from __future__ import annotations

from struct import unpack_from

from hypothesis import given
from hypothesis import strategies as st

from teleconsult.media.arrivals import MAX_SPAN, Arrivals


def decode(message: bytes) -> tuple[int, dict[int, int | None]]:
    """Message number, and for each sequence number its arrival in ticks or None."""
    base, count, reference = unpack_from("!HHI", message)
    symbols: list[int] = []
    at = 8
    while len(symbols) < count:
        (chunk,) = unpack_from("!H", message, at)
        at += 2
        if not chunk & 0x8000:
            symbols += [chunk >> 13 & 3] * (chunk & 0x1FFF)
        elif chunk & 0x4000:
            symbols += [chunk >> (12 - 2 * place) & 3 for place in range(7)]
        else:
            symbols += [chunk >> (13 - place) & 1 for place in range(14)]
    ticks = (reference >> 8) * 256
    arrivals: dict[int, int | None] = {}
    for offset, symbol in enumerate(symbols[:count]):
        sequence = (base + offset) & 0xFFFF
        if symbol == 1:
            ticks += message[at]
            at += 1
        elif symbol == 2:
            ticks += unpack_from("!h", message, at)[0]
            at += 2
        arrivals[sequence] = ticks if symbol else None
    assert at == len(message)
    return reference & 0xFF, arrivals


@given(
    st.integers(0, 0xFFFF),
    st.lists(st.tuples(st.integers(0, 3), st.integers(-200, 3000)), min_size=1, max_size=120),
)
def test_every_arrival_is_reported_at_its_time(start: int, steps: list[tuple[int, int]]) -> None:
    arrivals = Arrivals()
    arrivals.times[start] = 1_000_000
    expected: dict[int, int | None] = {start: 1_000_000}
    sequence, ticks = start, 1_000_000
    for lost, delay in steps:
        for _ in range(lost):
            sequence = (sequence + 1) & 0xFFFF
            expected[sequence] = None
        sequence, ticks = (sequence + 1) & 0xFFFF, ticks + delay
        arrivals.times[sequence] = expected[sequence] = ticks
    assert decode(arrivals.message()) == (0, expected)
    assert arrivals.message() == b""


def test_messages_follow_each_other_and_name_what_was_lost_between_them() -> None:
    arrivals = Arrivals()
    arrivals.times.update({65534: 1000, 65535: 1010})
    assert decode(arrivals.message()) == (0, {65534: 1000, 65535: 1010})
    arrivals.times.update({1: 1100})
    assert decode(arrivals.message()) == (1, {0: None, 1: 1100})
    arrivals.times.update({0: 1200, 2: 1201})  # one that came late is told after all
    assert decode(arrivals.message()) == (2, {0: 1200, 1: None, 2: 1201})


def test_a_jump_starts_anew() -> None:
    arrivals = Arrivals()
    arrivals.times.update({10: 1000})
    arrivals.message()
    arrivals.times.update({10 + MAX_SPAN + 5: 2000})
    assert arrivals.message() == b""
    arrivals.times.update({10 + MAX_SPAN + 6: 2010})
    assert decode(arrivals.message()) == (1, {10 + MAX_SPAN + 6: 2010})
