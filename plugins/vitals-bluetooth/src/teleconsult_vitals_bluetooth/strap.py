"""Reads heart rate straps (Heart Rate Service)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import ClassVar

from teleconsult.plugin_api import DeviceState, Text
from teleconsult_vitals_bluetooth import texts, uuids
from teleconsult_vitals_bluetooth.heart_rate import parse_heart_rate
from teleconsult_vitals_bluetooth.interpret import Notice, Outcome, Taken
from teleconsult_vitals_bluetooth.reader import BluetoothReader


class Strap(BluetoothReader):
    """One strap: a stream of heart rates. Times between beats and energy stay in the raw bytes."""

    services = (uuids.HEART_RATE_SERVICE,)
    kinds = ("heart_rate",)
    title: ClassVar[Text] = Text(en="Heart rate strap", zh="心率带")
    ready = texts.STRAP_READY
    measuring = texts.STRAP_MEASURING
    streams = (uuids.HEART_RATE_MEASUREMENT,)
    listens = ()

    def take(self, uuid: str, data: bytes) -> Iterator[Outcome]:
        """The heart rate of this moment. The profile has no time stamp: a strap stores nothing."""
        value = parse_heart_rate(data)
        if value.contact is False or value.rate == 0:
            yield Notice(DeviceState.FAILED, texts.NO_CONTACT)
            return
        yield Taken(
            "heart_rate",
            {"heart_rate": (Decimal(value.rate), "/min")},
            taken_at=self.session.now(),
            continuous=True,
            raw=data[:32],
        )
