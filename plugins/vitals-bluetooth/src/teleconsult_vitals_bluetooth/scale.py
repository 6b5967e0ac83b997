"""Reads scales (Weight Scale Service, and Body Composition Service where a scale has nothing else)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import ClassVar

from teleconsult.plugin_api import DeviceState, Text
from teleconsult_vitals_bluetooth import texts, uuids
from teleconsult_vitals_bluetooth.frames import Stamp
from teleconsult_vitals_bluetooth.interpret import Notice, Outcome, Taken
from teleconsult_vitals_bluetooth.reader import BluetoothReader
from teleconsult_vitals_bluetooth.weight import Composition, parse_composition, parse_weight


class Scale(BluetoothReader):
    """One scale. Body fat and the like, and the height in the scale's profile, stay in the raw bytes."""

    services = (uuids.WEIGHT_SCALE_SERVICE, uuids.BODY_COMPOSITION_SERVICE)
    kinds = ("body_weight",)
    title: ClassVar[Text] = Text(en="Scale", zh="体重秤")
    ready = texts.SCALE_READY
    listens = (uuids.BODY_COMPOSITION_MEASUREMENT, uuids.WEIGHT_MEASUREMENT)
    _first: tuple[Composition, bytes] | None = None

    def take(self, uuid: str, data: bytes) -> Iterator[Outcome]:
        """A weighing."""
        if uuid == uuids.WEIGHT_MEASUREMENT:
            weighing = parse_weight(data)
            yield self._weighing(weighing.value, weighing.unit, weighing.stamp, weighing.user, data)
            return
        composition = parse_composition(data)
        if composition.partial and self._first is None:
            self._first = composition, data
            return
        if self._first is not None:
            (first, earlier), self._first = self._first, None
            composition, data = first.joined(composition), earlier + data
        if composition.weight is not None and not self.link.has(uuids.WEIGHT_MEASUREMENT):
            yield self._weighing(composition.weight, composition.unit, composition.stamp, composition.user, data)

    def _weighing(
        self, value: Decimal | None, unit: str, stamp: Stamp | None, user: int | None, data: bytes
    ) -> Outcome:
        if value is None:
            return Notice(DeviceState.FAILED, texts.SCALE_FAILED)
        wanted = self.settings.user_index
        if user is not None and wanted not in (-1, user):
            return Notice(DeviceState.IDLE, texts.other_user(user, wanted))
        dated = self.date(stamp, data, user=user)
        return Taken(
            "body_weight",
            {"body_weight": (value, unit)},
            taken_at=dated.taken_at,
            sequence=dated.sequence,
            flags=dated.flags,
            raw=data,
        )
