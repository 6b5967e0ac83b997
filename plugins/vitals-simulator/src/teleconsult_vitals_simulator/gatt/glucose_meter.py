"""The glucose meter: it keeps numbered records and hands them over when asked (Record Access Control Point).

As meters do, it is off the air while a strip is in it: a measurement ends the connection, and afterwards it
advertises and waits to be asked.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

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
    NOTIFY,
    Peripheral,
    reading_of,
    sending,
    service,
)
from teleconsult_vitals_simulator.gatt.person import Person
from teleconsult_vitals_simulator.gatt.record_access import RecordAccess

LONGEST = 60
"""Bytes of a frame that is too long; what does not fit the link is cut."""


class GlucoseMeter(Instrument):
    """A meter with a memory."""

    kind = "glucose"
    model = "VG-1 glucose meter"
    keys = frozenset({"glucose", "fasting", "in_kilograms", "offset_minutes"})
    impossible = MappingProxyType({"glucose": 71.2})

    def __init__(self, peripheral: Peripheral, person: Person, speed: float) -> None:
        super().__init__(peripheral, person, speed)
        self._memory = RecordAccess(peripheral)

    def services(self) -> Sequence[Service]:
        """Glucose."""
        self._result = sending(0x2A18, NOTIFY)
        self._context = sending(0x2A34, NOTIFY)
        features = reading_of(0x2A51, b"\x2f\x00")  # low battery, sensor faults, sample size, strip errors, time
        return [service(0x1808, self._result, self._context, features, self._memory.attribute)]

    def frames(self, values: Mapping[str, Any], at: datetime) -> list[Outgoing]:
        """The measurement and its context, with the number of the record that is made next."""
        measured = frames.Glucose(
            self._memory.next,
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
        return [(self._result, frames.Glucose(self._memory.next, at, status=MeterStatus.SAMPLE_TOO_SMALL).encode())]

    async def _measure(self, misbehave: str | None, values: dict[str, Any], away: float) -> Outcome:
        """Take the strip, keep a record, and wait on the air for somebody who asks for it."""
        if misbehave == "wrong-clock":
            self.radio.clock.off = CLOCK_OFF
        elif misbehave == "low-battery":
            self.radio.battery = EMPTY_BATTERY
        elif misbehave == "out-of-range":
            values = {**self.impossible, **values}
        self._memory.drop_midway = misbehave == "drop"
        outcome = Outcome(sent_ns=time.monotonic_ns())
        for number in range(FLOOD if misbehave == "flood" else 1):
            at = self.radio.clock.now().replace(microsecond=0) - timedelta(seconds=number)
            record = self.failed(at) if misbehave == "error" else self.frames(values, at)
            self._memory.keep(bend(misbehave, record, LONGEST))
            outcome.stored += 1
        outcome.frames = [frame.hex() for _, frame in self._memory.records[-1][1]]
        await self.radio.drop(away)
        return outcome

    async def stop(self) -> None:
        """End a report too."""
        await self._memory.stop()
        await super().stop()
