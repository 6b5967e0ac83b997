"""What may be asked of an oximeter that takes commands (format 13 devices). Others ignore it. Pure bytes."""

from __future__ import annotations

from datetime import datetime

from teleconsult_vitals_serial.nonin.frames import Format

STX, ETX = 0x02, 0x03
GET_TIME = bytes((STX, 0x72, 0x00, ETX))
_TIME_ANSWER = bytes((STX, 0xF2, 0x06))
_ANSWER_BYTES = 10


def select_format(format_: Format) -> bytes:
    """Send this format from now on; the device keeps it, also without batteries."""
    return bytes((STX, 0x70, 0x02, 0x02, format_, ETX))


def set_time(now: datetime) -> bytes:
    """Set the device's clock. It knows no zone and no century: give it UTC, and read it as UTC."""
    return bytes((STX, 0x72, 0x06, now.year % 100, now.month, now.day, now.hour, now.minute, now.second, ETX))


class ClockAnswers:
    """Finds the answer to GET_TIME among other bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> datetime | None:
        """The device's time, naive, if these bytes complete an answer."""
        self._buffer += data
        while (start := self._buffer.find(_TIME_ANSWER)) >= 0 and len(self._buffer) >= start + _ANSWER_BYTES:
            answer = self._buffer[start : start + _ANSWER_BYTES]
            del self._buffer[: start + 1]
            year, month, day, hour, minute, second, end = answer[3:]
            if end == ETX:
                try:
                    return datetime(2000 + year, month, day, hour, minute, second)  # noqa: DTZ001 - no zone
                except ValueError:
                    continue
        del self._buffer[: -_ANSWER_BYTES + 1]
        return None
