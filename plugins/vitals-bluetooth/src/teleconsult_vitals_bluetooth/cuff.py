"""Reads blood pressure cuffs (Blood Pressure Service)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from teleconsult.plugin_api import DeviceState, ReadingFlag, Text
from teleconsult_vitals_bluetooth import texts, uuids
from teleconsult_vitals_bluetooth.blood_pressure import (
    BloodPressure,
    PressureStatus,
    PulseRange,
    parse_blood_pressure,
)
from teleconsult_vitals_bluetooth.ieee11073 import Special
from teleconsult_vitals_bluetooth.interpret import Notice, Outcome, Taken, failed, number
from teleconsult_vitals_bluetooth.reader import BluetoothReader

_FLAGS = {
    PressureStatus.BODY_MOVEMENT: ReadingFlag.BODY_MOVEMENT,
    PressureStatus.CUFF_TOO_LOOSE: ReadingFlag.CUFF_TOO_LOOSE,
    PressureStatus.IRREGULAR_PULSE: ReadingFlag.IRREGULAR_PULSE,
    PressureStatus.IMPROPER_POSITION: ReadingFlag.IMPROPER_POSITION,
}
_UNITS = {"mm[Hg]": "mmHg", "kPa": "kPa"}


def quality_flags(value: BloodPressure) -> tuple[ReadingFlag, ...]:
    """What the cuff said about the quality of its measurement."""
    flags = [flag for bit, flag in _FLAGS.items() if bit & value.status]
    if value.pulse_range in (PulseRange.ABOVE, PulseRange.BELOW):
        flags.append(ReadingFlag.PULSE_OUT_OF_RANGE)
    return tuple(flags)


class Cuff(BluetoothReader):
    """One cuff. It measures when its own button is pressed; the profile has no command for it."""

    services = (uuids.BLOOD_PRESSURE_SERVICE,)
    kinds = ("blood_pressure",)
    title: ClassVar[Text] = Text(en="Blood pressure cuff", zh="血压计")
    ready = texts.CUFF_READY
    streams = (uuids.INTERMEDIATE_CUFF_PRESSURE,)
    listens = (uuids.BLOOD_PRESSURE_MEASUREMENT,)

    def take(self, uuid: str, data: bytes) -> Iterator[Outcome]:
        """A measurement, or the pressure in the cuff on the way to one."""
        value = parse_blood_pressure(data)
        if uuid == uuids.INTERMEDIATE_CUFF_PRESSURE:
            if (pressure := number(value.systolic)) is not None:
                yield Notice(DeviceState.MEASURING, texts.cuff_pressure(f"{pressure} {_UNITS[value.unit]}"))
            return
        yield self.passed_over(value.user) or self._measurement(value, data)

    def _measurement(self, value: BloodPressure, data: bytes) -> Outcome:
        dated = self.date(value.stamp, data, user=value.user)
        for pressure in (value.systolic, value.diastolic):
            if isinstance(pressure, Special):
                return self.of_its_time(failed(pressure, texts.CUFF_FAILED), dated.taken_at, dated.flags)
        given = {
            "systolic": (number(value.systolic), value.unit),
            "diastolic": (number(value.diastolic), value.unit),
            "mean": (number(value.mean), value.unit),
            "pulse_rate": (None if value.pulse_rate is None else number(value.pulse_rate), "/min"),
        }
        return Taken(
            "blood_pressure",
            {key: (pressure, unit) for key, (pressure, unit) in given.items() if pressure is not None},
            taken_at=dated.taken_at,
            sequence=dated.sequence,
            flags=(*quality_flags(value), *dated.flags),
            raw=data,
        )
