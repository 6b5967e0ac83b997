"""Reads thermometers (Health Thermometer Service)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import ClassVar

from teleconsult.plugin_api import DeviceState, ReadingFlag, Text
from teleconsult_vitals_bluetooth import texts, uuids
from teleconsult_vitals_bluetooth.frames import MalformedFrame
from teleconsult_vitals_bluetooth.interpret import Notice, Outcome, Taken, failed, number
from teleconsult_vitals_bluetooth.reader import BluetoothReader
from teleconsult_vitals_bluetooth.temperature import Site, parse_site, parse_temperature

_UNITS = {"Cel": "°C", "[degF]": "°F"}


_SITES: Mapping[Site | None, ReadingFlag] = {
    Site.ARMPIT: ReadingFlag.SITE_ARMPIT,
    Site.EAR: ReadingFlag.SITE_EAR,
    Site.TYMPANUM: ReadingFlag.SITE_EAR,
    Site.MOUTH: ReadingFlag.SITE_MOUTH,
    Site.RECTUM: ReadingFlag.SITE_RECTUM,
    Site.GASTROINTESTINAL: ReadingFlag.SITE_GUT,
    Site.FINGER: ReadingFlag.SITE_FINGER,
    Site.TOE: ReadingFlag.SITE_TOE,
}


class Thermometer(BluetoothReader):
    """One thermometer."""

    services = (uuids.THERMOMETER_SERVICE,)
    kinds = ("body_temperature",)
    title: ClassVar[Text] = Text(en="Thermometer", zh="体温计")
    ready = texts.THERMOMETER_READY
    streams = (uuids.INTERMEDIATE_TEMPERATURE,)
    listens = (uuids.TEMPERATURE_MEASUREMENT,)

    _site: Site | None = None
    """Where it always measures, if it says so."""

    async def begin(self) -> None:
        """Ask where it measures: many do not say it with each measurement."""
        if data := await self.link.read(uuids.TEMPERATURE_TYPE):
            with suppress(MalformedFrame):
                self._site = parse_site(data)

    def take(self, uuid: str, data: bytes) -> Iterator[Outcome]:
        """A measurement, or the temperature while it still rises."""
        value = parse_temperature(data)
        temperature = number(value.value)
        if uuid == uuids.INTERMEDIATE_TEMPERATURE:
            if temperature is not None:
                sentence = texts.temperature_now(f"{temperature} {_UNITS[value.unit]}")
                yield Notice(DeviceState.MEASURING, sentence)
            return
        dated = self.date(value.stamp, data)
        if temperature is None:
            yield self.of_its_time(failed(value.value, texts.THERMOMETER_FAILED), dated.taken_at, dated.flags)
            return
        site = _SITES.get(value.site or self._site)
        yield Taken(
            "body_temperature",
            {"body_temperature": (temperature, value.unit)},
            taken_at=dated.taken_at,
            sequence=dated.sequence,
            flags=(*dated.flags, site) if site else dated.flags,
            raw=data,
        )
