"""The glucose meter: it keeps numbered records and hands them over when asked (Record Access Control Point).

As meters do, it is off the air while a strip is in it: a measurement ends the connection, and afterwards it
advertises and waits to be asked.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from bumble import att
from bumble.core import UUID
from bumble.device import Connection
from bumble.gatt import Service

from teleconsult_vitals_simulator.gatt import frames
from teleconsult_vitals_simulator.gatt.frames import CASUAL, FASTING, MeterStatus
from teleconsult_vitals_simulator.gatt.instrument import (
    CLOCK_OFF,
    EMPTY_BATTERY,
    FLOOD,
    Instrument,
    Outcome,
    Outgoing,
    bend,
)
from teleconsult_vitals_simulator.gatt.peripheral import (
    INDICATE,
    NOTIFY,
    WRITE,
    WRITEABLE,
    Attribute,
    Delegated,
    Peripheral,
    reading_of,
    sending,
    service,
)
from teleconsult_vitals_simulator.gatt.person import Person

REPORT, DELETE, ABORT, COUNT = 1, 2, 3, 4
COUNT_RESPONSE, RESPONSE = 5, 6
ALL, UP_TO, FROM, WITHIN, FIRST, LAST = 1, 2, 3, 4, 5, 6
SUCCESS, NO_SUCH_OP, INVALID_OPERATOR, NO_SUCH_OPERATOR, INVALID_OPERAND, NONE_FOUND = 1, 2, 3, 4, 5, 6
BY_SEQUENCE = 1
_OPERAND_BYTES = {ALL: 0, UP_TO: 3, FROM: 3, WITHIN: 5, FIRST: 0, LAST: 0}

LONGEST = 60
"""Bytes of a frame that is too long; what does not fit the link is cut."""

_IN_PROGRESS = att.ErrorCode(0xFE)
_NOT_CONFIGURED = att.ErrorCode(0xFD)


class _Refusal(Exception):  # noqa: N818 - it becomes a response code
    """Why a request of the control point is answered with something else than success."""

    def __init__(self, code: int) -> None:
        self.code = code


class GlucoseMeter(Instrument):
    """A meter with a memory."""

    kind = "glucose"
    model = "VG-1 glucose meter"
    keys = frozenset({"glucose", "fasting", "in_kilograms", "offset_minutes"})
    impossible = MappingProxyType({"glucose": 71.2})

    def __init__(self, peripheral: Peripheral, person: Person, speed: float) -> None:
        super().__init__(peripheral, person, speed)
        self._records: list[tuple[int, list[Outgoing]]] = []
        self._next = 1
        self._drop_midway = False
        self._job: asyncio.Task[None] | None = None

    def services(self) -> Sequence[Service]:
        """Glucose."""
        self._result = sending(0x2A18, NOTIFY)
        self._context = sending(0x2A34, NOTIFY)
        self._control = Attribute(UUID.from_16_bits(0x2A52), WRITE | INDICATE, WRITEABLE, Delegated(write=self._asked))
        features = reading_of(0x2A51, b"\x2f\x00")  # low battery, sensor faults, sample size, strip errors, time
        return [service(0x1808, self._result, self._context, features, self._control)]

    def frames(self, values: Mapping[str, Any], at: datetime) -> list[Outgoing]:
        """The measurement and its context, with the number of the record that is made next."""
        measured = frames.Glucose(
            self._next,
            at,
            values.get("glucose", round(self.person.glucose(time.time()), 1)),
            values.get("offset_minutes"),
            MeterStatus(0),
            FASTING if values.get("fasting") else CASUAL,
            bool(values.get("in_kilograms")),
        )
        context = measured.encode_context()
        assert context is not None
        return [(self._result, measured.encode()), (self._context, context)]

    def failed(self, at: datetime) -> list[Outgoing]:
        """A record without a number: too little blood."""
        return [(self._result, frames.Glucose(self._next, at, status=MeterStatus.SAMPLE_TOO_SMALL).encode())]

    async def _measure(self, misbehave: str | None, values: dict[str, Any], away: float) -> Outcome:
        """Take the strip, keep a record, and wait on the air for somebody who asks for it."""
        if misbehave == "wrong-clock":
            self.radio.clock.off = CLOCK_OFF
        elif misbehave == "low-battery":
            self.radio.battery = EMPTY_BATTERY
        elif misbehave == "out-of-range":
            values = {**self.impossible, **values}
        self._drop_midway = misbehave == "drop"
        outcome = Outcome(sent_ns=time.monotonic_ns())
        for number in range(FLOOD if misbehave == "flood" else 1):
            at = self.radio.clock.now().replace(microsecond=0) - timedelta(seconds=number)
            record = self.failed(at) if misbehave == "error" else self.frames(values, at)
            self._records.append((self._next, bend(misbehave, record, LONGEST)))
            self._next += 1
            outcome.stored += 1
        outcome.frames = [frame.hex() for _, frame in self._records[-1][1]]
        await self.radio.drop(away)
        return outcome

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
        if not self.radio.listens(self._control):
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
                await self.radio.send(self._control, struct.pack("<BBH", COUNT_RESPONSE, 0, len(chosen)))
                return
            if not chosen:
                raise _Refusal(NONE_FOUND)
            if op == DELETE:
                self._records = [record for record in self._records if record not in chosen]
            elif not await self._report(chosen):
                return
        except _Refusal as refusal:
            await self._respond(op, refusal.code)
        else:
            await self._respond(op, SUCCESS)

    async def _report(self, chosen: Sequence[tuple[int, list[Outgoing]]]) -> bool:
        """Send the records. False if the link was lost, which "drop" sees to after the first one."""
        for _, record in chosen:
            for characteristic, frame in record:
                await self.radio.send(characteristic, frame[: self.radio.mtu()])
            if self._drop_midway:
                self._drop_midway = False
                await self.radio.drop()
                return False
            await asyncio.sleep(0)
        return not self.radio.gone

    def _choose(self, operator: int, operand: bytes) -> list[tuple[int, list[Outgoing]]]:
        if operator not in _OPERAND_BYTES:
            raise _Refusal(INVALID_OPERATOR if operator == 0 else NO_SUCH_OPERATOR)
        if len(operand) != _OPERAND_BYTES[operator] or (operand and operand[0] != BY_SEQUENCE):
            raise _Refusal(INVALID_OPERAND)
        if operator in (FIRST, LAST):
            return self._records[:1] if operator == FIRST else self._records[-1:]
        low, high = 0, 0xFFFF
        if operator == UP_TO:
            (high,) = struct.unpack_from("<H", operand, 1)
        elif operator == FROM:
            (low,) = struct.unpack_from("<H", operand, 1)
        elif operator == WITHIN:
            low, high = struct.unpack_from("<HH", operand, 1)
            if low > high:
                raise _Refusal(INVALID_OPERAND)
        return [record for record in self._records if low <= record[0] <= high]

    async def _respond(self, op: int, code: int) -> None:
        await self.radio.send(self._control, bytes([RESPONSE, 0, op, code]))
