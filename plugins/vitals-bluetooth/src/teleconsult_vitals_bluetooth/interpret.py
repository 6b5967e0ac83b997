"""What a parsed frame comes to: a reading to hand over, a sentence for the person at the device, or nothing.

Pure. The readers decide what to do with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from teleconsult.plugin_api import DeviceState, ReadingFlag, Text
from teleconsult_vitals_bluetooth import texts
from teleconsult_vitals_bluetooth.frames import MalformedFrame
from teleconsult_vitals_bluetooth.ieee11073 import Number, Special

_PLACES, _LARGEST = 8, Decimal(1_000_000)


@dataclass(frozen=True)
class Notice:
    """Something to say."""

    state: DeviceState
    sentence: Text
    stays: bool = False
    """Whether it is as good as a reading: it stands on the device's card until there is one."""
    at: datetime | None = None
    """What it is of: this is said with it."""

    def received(self, at: datetime) -> Notice:
        """The same, of a frame that came at `at`: that is its time if it stands and has no other."""
        return replace(self, at=at) if self.stays and self.at is None else self


@dataclass(frozen=True)
class Mark:
    """A place in a device's storage: the number of a record, and the time it is of by the device's inner clock."""

    number: int
    base: str


@dataclass(frozen=True)
class Taken:
    """A reading to hand over. The arguments of `DeviceSession.reading`, and what the device is like after it."""

    kind: str
    values: dict[str, tuple[Decimal, str]]
    taken_at: datetime | None = None
    sequence: str | None = None
    flags: tuple[ReadingFlag, ...] = ()
    continuous: bool = False
    raw: bytes = b""
    received_at: datetime | None = field(default=None, compare=False)
    """When its frame came."""
    again: bool = field(default=False, compare=False)
    """Whether the device still has it and hands it over again."""
    mark: Mark | None = field(default=None, compare=False)
    """Where the bookmark moves when the node has it."""

    @property
    def must_be_remembered(self) -> bool:
        """Whether it is lost if the node cannot keep it now: it is no passing value, and the device has it no more."""
        return not self.continuous and not self.again

    def received(self, at: datetime) -> Taken:
        """The same, of a frame that came at `at`: that is its time if the device has no clock at all.

        It is fixed here and not left to the node, which may be able to keep it only when somebody else is measured.
        """
        dated = self.taken_at is not None or ReadingFlag.CLOCK_NOT_SET in self.flags
        return replace(self, received_at=at, taken_at=self.taken_at if dated else at)

    def keep(self) -> list[object]:
        """As JSON, until the node has it. Without a time of its own it is of the time when it came."""
        values = {key: [str(number), unit] for key, (number, unit) in self.values.items()}
        at = self.taken_at or self.received_at
        flags = [str(flag) for flag in self.flags]
        return [self.kind, values, at.isoformat() if at else None, self.sequence, flags, self.raw.hex()]

    @classmethod
    def kept(cls, saved: list[object]) -> Taken:
        """The inverse of `keep`. Raises what a spoilt memory raises: TypeError, ValueError, AttributeError."""
        kind, values, at, sequence, flags, raw = saved
        if not (isinstance(values, dict) and isinstance(flags, list)):
            raise TypeError("no kept reading")
        found = [ReadingFlag(str(flag)) for flag in flags]
        if not at and ReadingFlag.CLOCK_NOT_SET not in found:
            found.append(ReadingFlag.CLOCK_NOT_SET)  # kept by an earlier version of this plugin; it is not of now
        return cls(
            str(kind),
            {str(key): (Decimal(str(number)), str(unit)) for key, (number, unit) in values.items()},
            datetime.fromisoformat(str(at)) if at else None,
            str(sequence) if sequence else None,
            tuple(found),
            raw=bytes.fromhex(str(raw)),
        )


Outcome = Taken | Notice | None


def number(value: Number) -> Decimal | None:
    """The number in plain digits; None for a special value. Raises MalformedFrame for one that nothing measures."""
    if isinstance(value, Special):
        return None
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -_PLACES or abs(value) >= _LARGEST:
        raise MalformedFrame(f"{value} is nothing that is measured")
    return Decimal(format(value, "f"))


def failed(value: Number, sentence: Text = texts.NO_NUMBER) -> Notice:
    """What to say for a measurement whose number is a special value."""
    if value is Special.POSITIVE_INFINITY:
        return out_of_range(texts.ABOVE)
    if value is Special.NEGATIVE_INFINITY:
        return out_of_range(texts.BELOW)
    return Notice(DeviceState.FAILED, sentence)


def out_of_range(sentence: Text) -> Notice:
    """What to say for a result that is beyond what the device can measure: a grave one, and no number."""
    return Notice(DeviceState.FAILED, sentence, stays=True)
