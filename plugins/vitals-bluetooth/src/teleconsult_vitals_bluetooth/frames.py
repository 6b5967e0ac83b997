"""What all characteristics share: reading fields out of bytes, and the date and time types. No I/O.

Bluetooth SIG, GATT Specification Supplement. All numbers are little-endian.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from teleconsult_vitals_bluetooth.ieee11073 import Number, decode_float, decode_sfloat

LONGEST = 512
"""No attribute value is longer (Core Specification, Vol 3, Part F, 3.2.9)."""
UNKNOWN_USER = 0xFF


class MalformedFrame(ValueError):  # noqa: N818 - reads as the field's words
    """The bytes are no value of their characteristic: too short, too long, or with a field that cannot be."""


class Fields:
    """The fields of one value, read from front to back."""

    def __init__(self, data: bytes) -> None:
        """Raises MalformedFrame for a value that is longer than any."""
        if len(data) > LONGEST:
            raise MalformedFrame(f"{len(data)} bytes are more than any value has")
        self._data = bytes(data)
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next bytes. Raises MalformedFrame if there are too few."""
        part = self._data[self._at : self._at + count]
        if len(part) < count:
            raise MalformedFrame(f"{len(self._data)} bytes are too few")
        self._at += count
        return part

    def unsigned(self, size: int) -> int:
        """An unsigned number of `size` bytes."""
        return int.from_bytes(self.take(size), "little")

    def signed(self, size: int) -> int:
        """A signed number of `size` bytes."""
        return int.from_bytes(self.take(size), "little", signed=True)

    def sfloat(self) -> Number:
        """An IEEE 11073 SFLOAT."""
        return decode_sfloat(self.take(2))

    def float(self) -> Number:
        """An IEEE 11073 FLOAT."""
        return decode_float(self.take(4))

    def stamp(self) -> Stamp:
        """A Date Time."""
        return _stamp(self)

    def user(self) -> int | None:
        """A User ID; None where the device does not know who it was."""
        user = self.unsigned(1)
        return None if user == UNKNOWN_USER else user

    @property
    def left(self) -> int:
        """How many bytes are not read yet."""
        return len(self._data) - self._at

    def end(self, reserved_flags: int = 0) -> None:
        """All fields are read. Raises MalformedFrame if bytes are left over.

        A later version of a profile may add fields, and says so by a flag that is reserved today. So what follows is
        passed over where such a flag (`reserved_flags`) is set, and refused where none is.
        """
        if self.left and not reserved_flags:
            raise MalformedFrame(f"{self.left} bytes are left over")


@dataclass(frozen=True)
class Stamp:
    """Date Time (0x2A08): what a device's clock showed. It names no zone. A part that is 0 is not known."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int

    def moment(self) -> datetime | None:
        """As a time without zone; None if the year, month or day is not known or there is no such day."""
        try:
            return datetime(self.year, self.month, self.day, self.hour, self.minute, self.second)  # noqa: DTZ001
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}-{self.day:02}T{self.hour:02}:{self.minute:02}:{self.second:02}"

    def encode(self) -> bytes:
        """As Date Time's seven bytes."""
        rest = (self.month, self.day, self.hour, self.minute, self.second)
        return self.year.to_bytes(2, "little") + bytes(rest)

    @classmethod
    def of(cls, moment: datetime) -> Stamp:
        """The stamp that a clock shows at `moment`, in the zone that `moment` is given in."""
        return cls(moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second)


def _stamp(fields: Fields) -> Stamp:
    stamp = Stamp(fields.unsigned(2), *fields.take(5))
    if stamp.month > 12 or stamp.day > 31 or stamp.hour > 23 or stamp.minute > 59 or stamp.second > 59:
        raise MalformedFrame(f"there is no time {stamp}")
    return stamp


def parse_date_time(data: bytes) -> Stamp:
    """Date Time, 0x2A08. Raises MalformedFrame."""
    fields = Fields(data)
    stamp = fields.stamp()
    fields.end()
    return stamp


def parse_current_time(data: bytes) -> Stamp:
    """Current Time, 0x2A2B: date, time, day of the week, 1/256 s, reason of the last change. Raises MalformedFrame."""
    fields = Fields(data)
    stamp = fields.stamp()
    if fields.unsigned(1) > 7:
        raise MalformedFrame("a week has seven days")
    fields.take(2)
    fields.end()
    return stamp


def encode_current_time(moment: datetime) -> bytes:
    """Current Time for writing: `moment` in the zone it is given in, set by an external reference."""
    fraction = moment.microsecond * 256 // 1_000_000
    return Stamp.of(moment).encode() + bytes((moment.isoweekday(), fraction, 0b10))


def parse_battery_level(data: bytes) -> int | None:
    """Battery Level, 0x2A19, in percent; None for a level above 100, which means that it is unknown."""
    fields = Fields(data)
    level = fields.unsigned(1)
    fields.end()
    return level if level <= 100 else None


def parse_words(data: bytes) -> str:
    """A string of Device Information (0x2A24 to 0x2A29), without what cannot be printed."""
    text = bytes(data[:LONGEST]).decode("utf-8", "replace").split("\0")[0]
    return "".join(letter for letter in text if letter.isprintable()).strip()
