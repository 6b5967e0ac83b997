"""Reads scales (Weight Scale Service, and Body Composition Service where a scale has nothing else)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from teleconsult.plugin_api import DeviceState, Text
from teleconsult_vitals_bluetooth import texts, uuids
from teleconsult_vitals_bluetooth.frames import Stamp
from teleconsult_vitals_bluetooth.interpret import Notice, Outcome, Taken
from teleconsult_vitals_bluetooth.reader import BluetoothReader
from teleconsult_vitals_bluetooth.weight import Composition, parse_composition, parse_weight

SECOND_PACKET = 3.0
"""Seconds within which the second packet of a measurement follows the first."""
_LACKING = Notice(DeviceState.FAILED, texts.SCALE_LACKING)


@dataclass(frozen=True)
class _Packet:
    """A body composition, or one of two packets of one."""

    value: Composition
    data: bytes
    at: float

    def goes_on_with(self, second: _Packet) -> bool:
        """Whether `second` may be the rest of the same person's measurement. Time and user may be given once."""
        value, rest = self.value, second.value
        return (
            rest.partial
            and second.at - self.at <= SECOND_PACKET
            and value.unit == rest.unit
            and (value.user is None or rest.user in (None, value.user))
            and (value.stamp is None or rest.stamp in (None, value.stamp))
        )

    def joined(self, second: _Packet) -> _Packet:
        """Both as one."""
        return _Packet(self.value.joined(second.value), self.data + second.data, self.at)


class Scale(BluetoothReader):
    """One scale. Body fat and the like, and the height in the scale's profile, stay in the raw bytes."""

    services = (uuids.WEIGHT_SCALE_SERVICE, uuids.BODY_COMPOSITION_SERVICE)
    kinds = ("body_weight",)
    title: ClassVar[Text] = Text(en="Scale", zh="体重秤")
    ready = texts.SCALE_READY
    listens = (uuids.BODY_COMPOSITION_MEASUREMENT, uuids.WEIGHT_MEASUREMENT)
    _first: _Packet | None = None
    """The first of two packets, which had no weight in it."""
    _rest_until = float("-inf")
    """Until then a second packet may come of a measurement whose weight was in the first one."""

    def take(self, uuid: str, data: bytes) -> Iterator[Outcome]:
        """A weighing."""
        if uuid == uuids.WEIGHT_MEASUREMENT:
            weighing = parse_weight(data)
            yield self._weighing(weighing.value, weighing.unit, weighing.stamp, weighing.user, data)
            return
        now = asyncio.get_running_loop().time()
        first, self._first = self._first, None
        rest_until, self._rest_until = self._rest_until, float("-inf")
        packet = _Packet(parse_composition(data), data, now)  # if it is none, what was begun before it is over too
        if self.link.has(uuids.WEIGHT_MEASUREMENT):
            return
        if first is not None and not first.goes_on_with(packet):
            yield _LACKING
            first = None
        if first is not None:
            packet = first.joined(packet)
        elif packet.value.partial and not packet.value.has_weight:
            self._first = packet if now > rest_until else None
            return
        elif packet.value.partial:
            self._rest_until = now + SECOND_PACKET
        if packet.value.has_weight:
            value = packet.value
            yield self._weighing(value.weight, value.unit, value.stamp, value.user, packet.data)
        elif first is not None:
            yield _LACKING

    def pause(self) -> float | None:
        """A second packet may be waited for."""
        return None if self._first is None else SECOND_PACKET

    def paused(self) -> Iterator[Outcome]:
        """It does not come. What comes later is somebody else's."""
        if self._first is not None:
            self._first = None
            yield _LACKING

    def _weighing(
        self, value: Decimal | None, unit: str, stamp: Stamp | None, user: int | None, data: bytes
    ) -> Outcome:
        if value is None:
            return Notice(DeviceState.FAILED, texts.SCALE_FAILED)
        if (other := self.passed_over(user)) is not None:
            return other
        dated = self.date(stamp, data, user=user)
        return Taken(
            "body_weight",
            {"body_weight": (value, unit)},
            taken_at=dated.taken_at,
            sequence=dated.sequence,
            flags=dated.flags,
            raw=data,
        )
