"""Numbers the samples of a plethysmogram and tells when they were taken. Pure: arrival times are handed in.

Three packets of 25 samples come a second. How many packets were lost between two is told by the device's own
timer; a device that leaves it out (its frames are reserved in some models) is judged by the arrival times.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from teleconsult_vitals_serial.nonin.frames import FRAMES_PER_SECOND, PACKET_FRAMES, Packet
from teleconsult_vitals_serial.nonin.values import packet_timer

PACKETS_PER_SECOND = FRAMES_PER_SECOND // PACKET_FRAMES
_TIMER_SIZE = 1 << 14
_LONGEST_GAP = 5 * 60 * PACKETS_PER_SECOND
"""Beyond this many packets the timer was set back rather than the line silent."""
_LATE = timedelta(seconds=0.5)
_FOLLOW = 0.02
"""How fast the computed times follow the arrival times: the device's clock and ours differ a little."""


class Pacer:
    """The index and time of each packet's first sample."""

    def __init__(self) -> None:
        self._packets = 0
        self._timer: int | None = None
        self._last: datetime | None = None
        self._origin: datetime | None = None

    def place(self, packets: Sequence[Packet], arrived: datetime) -> list[tuple[Packet, int, datetime]]:
        """Packets that arrived together, each with the index of its place 0 and the time it was taken."""
        silent = self._missing_by_time(len(packets), arrived)
        placed = []
        for number, packet in enumerate(packets):
            missing = self._missing_by_timer(packet_timer(packet))
            if missing is None:
                missing = silent if number == 0 else 0
            self._packets += missing
            placed.append((packet, self._packets * PACKET_FRAMES))
            self._packets += 1
        self._follow(arrived)
        assert self._origin is not None
        return [
            (packet, index, self._origin + timedelta(seconds=index / FRAMES_PER_SECOND)) for packet, index in placed
        ]

    def _missing_by_timer(self, timer: int | None) -> int | None:
        previous, self._timer = self._timer, timer
        if timer is None:
            self._timer = None if previous is None else (previous + 1) % _TIMER_SIZE
            return None
        if previous is None:
            return None
        step = (timer - previous) % _TIMER_SIZE
        if step == 0:
            return None  # a timer that stands still says nothing
        if step > _LONGEST_GAP:
            return None
        return step - 1

    def _missing_by_time(self, count: int, arrived: datetime) -> int:
        previous, self._last = self._last, arrived
        if previous is None or arrived - previous < 2 * _LATE:
            return 0
        return max(0, round((arrived - previous).total_seconds() * PACKETS_PER_SECOND) - count)

    def _follow(self, arrived: datetime) -> None:
        """Keep the end of the last packet at its arrival, without the jitter of single arrivals."""
        origin = arrived - timedelta(seconds=self._packets / PACKETS_PER_SECOND)
        if self._origin is None or abs(origin - self._origin) > _LATE:
            self._origin = origin
        else:
            self._origin += (origin - self._origin) * _FOLLOW
