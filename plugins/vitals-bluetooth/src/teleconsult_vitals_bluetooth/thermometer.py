"""Reads thermometers (Health Thermometer Service)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from teleconsult.plugin_api import DeviceState, Text
from teleconsult_vitals_bluetooth import texts, uuids
from teleconsult_vitals_bluetooth.interpret import Notice, Outcome, Taken, failed, number
from teleconsult_vitals_bluetooth.reader import BluetoothReader
from teleconsult_vitals_bluetooth.temperature import parse_temperature

_UNITS = {"Cel": "°C", "[degF]": "°F"}


class Thermometer(BluetoothReader):
    """One thermometer. Where on the body it measures stays in the raw bytes."""

    services = (uuids.THERMOMETER_SERVICE,)
    kinds = ("body_temperature",)
    title: ClassVar[Text] = Text(en="Thermometer", zh="体温计")
    ready = texts.THERMOMETER_READY
    streams = (uuids.INTERMEDIATE_TEMPERATURE,)
    listens = (uuids.TEMPERATURE_MEASUREMENT,)

    def take(self, uuid: str, data: bytes) -> Iterator[Outcome]:
        """A measurement, or the temperature while it still rises."""
        value = parse_temperature(data)
        temperature = number(value.value)
        if uuid == uuids.INTERMEDIATE_TEMPERATURE:
            if temperature is not None:
                sentence = texts.temperature_now(f"{temperature} {_UNITS[value.unit]}")
                yield Notice(DeviceState.MEASURING, sentence)
            return
        if temperature is None:
            yield failed(value.value, texts.THERMOMETER_FAILED)
            return
        dated = self.date(value.stamp, data)
        yield Taken(
            "body_temperature",
            {"body_temperature": (temperature, value.unit)},
            taken_at=dated.taken_at,
            sequence=dated.sequence,
            flags=dated.flags,
            raw=data,
        )
