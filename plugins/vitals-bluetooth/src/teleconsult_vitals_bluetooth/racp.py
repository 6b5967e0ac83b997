"""Record Access Control Point (0x2A52): requests for stored records, and the device's answers. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from teleconsult_vitals_bluetooth.frames import Fields, MalformedFrame

REPORT, ABORT, RESPONSE = 1, 3, 6
_NO_OPERATOR, _ALL, _FROM_NUMBER, _LAST = 0, 1, 3, 6
_BY_SEQUENCE = 1


class Outcome(IntEnum):
    """How a request ended."""

    SUCCESS = 1
    NOT_SUPPORTED = 2
    INVALID_OPERATOR = 3
    OPERATOR_NOT_SUPPORTED = 4
    INVALID_OPERAND = 5
    NO_RECORDS = 6
    ABORT_FAILED = 7
    NOT_COMPLETED = 8
    OPERAND_NOT_SUPPORTED = 9


@dataclass(frozen=True)
class Answer:
    """What came back: the outcome of a request."""

    request: int
    outcome: Outcome | None = None
    """None for an outcome that is reserved."""

    @property
    def unsupported(self) -> bool:
        """Whether the device cannot do what was asked, so that another way must be tried."""
        return self.outcome in (
            Outcome.NOT_SUPPORTED,
            Outcome.OPERATOR_NOT_SUPPORTED,
            Outcome.OPERAND_NOT_SUPPORTED,
            Outcome.INVALID_OPERATOR,
            Outcome.INVALID_OPERAND,
        )


def report_all() -> bytes:
    """Asks for every stored record."""
    return bytes((REPORT, _ALL))


def report_last() -> bytes:
    """Asks for the newest stored record."""
    return bytes((REPORT, _LAST))


def report_from(sequence: int) -> bytes:
    """Asks for the records whose sequence number is `sequence` (0 to 65535) or greater."""
    return bytes((REPORT, _FROM_NUMBER, _BY_SEQUENCE)) + sequence.to_bytes(2, "little")


def abort() -> bytes:
    """Asks to stop the transfer that runs."""
    return bytes((ABORT, _NO_OPERATOR))


def parse_answer(data: bytes) -> Answer:
    """Read what the device indicates. Raises MalformedFrame."""
    fields = Fields(data)
    code, operator = fields.unsigned(1), fields.unsigned(1)
    if operator != _NO_OPERATOR:
        raise MalformedFrame("an answer has no operator")
    if code != RESPONSE:
        raise MalformedFrame(f"{code} is no answer to what was asked")
    request, outcome = fields.unsigned(1), fields.unsigned(1)
    fields.end()
    return Answer(request, Outcome(outcome) if 1 <= outcome <= 9 else None)
