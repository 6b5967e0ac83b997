"""Numbered records that a device keeps, and the Record Access Control Point by which it hands them over when asked."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence

from bumble import att
from bumble.core import UUID
from bumble.device import Connection

from teleconsult_vitals_simulator.gatt.peripheral import (
    INDICATE,
    WRITE,
    WRITEABLE,
    Attribute,
    Delegated,
    Peripheral,
)

REPORT, DELETE, ABORT, COUNT = 1, 2, 3, 4
COUNT_RESPONSE, RESPONSE = 5, 6
ALL, UP_TO, FROM, WITHIN, FIRST, LAST = 1, 2, 3, 4, 5, 6
SUCCESS, NO_SUCH_OP, INVALID_OPERATOR, NO_SUCH_OPERATOR, INVALID_OPERAND, NONE_FOUND = 1, 2, 3, 4, 5, 6
BY_SEQUENCE = 1
EVERY_OPERATOR = frozenset({ALL, UP_TO, FROM, WITHIN, FIRST, LAST})
_OPERAND_BYTES = {ALL: 0, UP_TO: 3, FROM: 3, WITHIN: 5, FIRST: 0, LAST: 0}

_IN_PROGRESS = att.ErrorCode(0xFE)
_NOT_CONFIGURED = att.ErrorCode(0xFD)

Record = tuple[int, list[tuple[Attribute, bytes]]]
"""A number, and the frames that are sent for it."""


class _Refusal(Exception):  # noqa: N818 - it becomes a response code
    """Why a request of the control point is answered with something else than success."""

    def __init__(self, code: int) -> None:
        self.code = code


class RecordAccess:
    """The records of one device. `attribute` is the control point, `operators` what it understands."""

    def __init__(self, peripheral: Peripheral, operators: frozenset[int] = EVERY_OPERATOR) -> None:
        self.radio = peripheral
        self.records: list[Record] = []
        self.drop_midway = False
        """Whether the link is lost after the first record of the next report."""
        self.attribute = Attribute(UUID.from_16_bits(0x2A52), WRITE | INDICATE, WRITEABLE, Delegated(write=self._asked))
        self._operators = operators
        self._next = 1
        self._job: asyncio.Task[None] | None = None

    @property
    def next(self) -> int:
        """The number of the record that is made next."""
        return self._next

    def keep(self, frames: list[tuple[Attribute, bytes]]) -> None:
        """Make a record of these frames."""
        self.records.append((self._next, frames))
        self._next += 1

    async def stop(self) -> None:
        """End a report that runs."""
        if self._job is not None:
            self._job.cancel()
            await asyncio.wait({self._job})

    def _asked(self, connection: Connection, value: bytes) -> None:
        """A write to the control point. Raises the ATT errors of GLS 1.0, 3.4.2."""
        del connection
        running = self._job is not None and not self._job.done()
        if value[:1] == bytes([ABORT]) and running:
            assert self._job is not None
            self._job.cancel()
            self._job = asyncio.create_task(self._respond(ABORT, SUCCESS))
            return
        if running:
            raise att.ATT_Error(_IN_PROGRESS)
        if not self.radio.listens(self.attribute):
            raise att.ATT_Error(_NOT_CONFIGURED)
        self._job = asyncio.create_task(self._obey(bytes(value)))

    async def _obey(self, request: bytes) -> None:
        op, operator = (request + b"\0\0")[:2]
        try:
            if op == ABORT:
                raise _Refusal(SUCCESS)
            if op not in (REPORT, DELETE, COUNT):
                raise _Refusal(NO_SUCH_OP)
            chosen = self._choose(operator, request[2:])
            if op == COUNT:
                await self.radio.send(self.attribute, struct.pack("<BBH", COUNT_RESPONSE, 0, len(chosen)))
                return
            if not chosen:
                raise _Refusal(NONE_FOUND)
            if op == DELETE:
                self.records = [record for record in self.records if record not in chosen]
            elif not await self._report(chosen):
                return
        except _Refusal as refusal:
            await self._respond(op, refusal.code)
        else:
            await self._respond(op, SUCCESS)

    async def _report(self, chosen: Sequence[Record]) -> bool:
        """Send the records. False if the link was lost, which "drop" sees to after the first one."""
        for _, record in chosen:
            for characteristic, frame in record:
                await self.radio.send(characteristic, frame[: self.radio.mtu()])
            if self.drop_midway:
                self.drop_midway = False
                await self.radio.drop()
                return False
            await asyncio.sleep(0)
        return not self.radio.gone

    def _choose(self, operator: int, operand: bytes) -> list[Record]:
        if operator not in self._operators:
            raise _Refusal(INVALID_OPERATOR if operator == 0 else NO_SUCH_OPERATOR)
        if len(operand) != _OPERAND_BYTES[operator] or (operand and operand[0] != BY_SEQUENCE):
            raise _Refusal(INVALID_OPERAND)
        if operator in (FIRST, LAST):
            return self.records[:1] if operator == FIRST else self.records[-1:]
        low, high = 0, 0xFFFF
        if operator == UP_TO:
            (high,) = struct.unpack_from("<H", operand, 1)
        elif operator == FROM:
            (low,) = struct.unpack_from("<H", operand, 1)
        elif operator == WITHIN:
            low, high = struct.unpack_from("<HH", operand, 1)
            if low > high:
                raise _Refusal(INVALID_OPERAND)
        return [record for record in self.records if low <= record[0] <= high]

    async def _respond(self, op: int, code: int) -> None:
        await self.radio.send(self.attribute, bytes([RESPONSE, 0, op, code]))
