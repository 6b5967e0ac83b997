"""One virtual Bluetooth device as the radio sees it: advertising, services that every device has, sending.

What it measures and says is `instrument`'s. It serves one central at a time, pairs with whoever asks ("just
works"), and advertises whenever nobody is connected.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bumble import att, hci
from bumble.core import UUID, AdvertisingData
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink

from teleconsult_vitals_simulator.gatt import frames
from teleconsult_vitals_simulator.gatt.radio import Adapter, Air

log = logging.getLogger(__name__)

ADVERTISING_MS = 40.0
READ = Characteristic.Properties.READ
WRITE = Characteristic.Properties.WRITE
NOTIFY = Characteristic.Properties.NOTIFY
INDICATE = Characteristic.Properties.INDICATE
READABLE = Characteristic.Permissions.READABLE
WRITEABLE = Characteristic.Permissions.WRITEABLE

Attribute = Characteristic[bytes]
Delegated = CharacteristicValue[bytes]
Properties = Characteristic.Properties


def reading_of(uuid: int, value: bytes | Delegated) -> Attribute:
    """A characteristic that can be read."""
    return Attribute(UUID.from_16_bits(uuid), READ, READABLE, value)


def sending(uuid: int, how: Properties) -> Attribute:
    """A characteristic that is only notified or indicated."""
    return Attribute(UUID.from_16_bits(uuid), how, Characteristic.Permissions(0), b"")


def service(uuid: int, *characteristics: Attribute) -> Service:
    """A primary service."""
    return Service(UUID.from_16_bits(uuid), list(characteristics))


class Clock:
    """A device's own clock: local time without a zone, which can be wrong and can be set."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self.off = timedelta()
        """How far it is ahead of the true local time."""

    def now(self) -> datetime:
        """What the device believes the local time to be."""
        return datetime.now(self._zone).replace(tzinfo=None) + self.off

    def set(self, value: bytes) -> None:
        """Set it from Current Time or Date Time. Raises the ATT error for a time that does not exist."""
        try:
            year, month, day, hour, minute, second = struct.unpack_from("<HBBBBB", value)
            told = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - devices know no zone
        except (struct.error, ValueError):
            raise att.ATT_Error(att.ErrorCode.VALUE_NOT_ALLOWED) from None
        self.off = told - datetime.now(self._zone).replace(tzinfo=None)


class Peripheral:
    """One device on the air."""

    def __init__(self, air: Air, name: str, address: str, model: str, serial: str, zone: ZoneInfo) -> None:
        self.name = name
        self.address = address
        self.clock = Clock(zone)
        self.battery = 87
        self.on_subscription: Callable[[Attribute], Coroutine[Any, Any, None]] | None = None
        self.on_change: Callable[[str], None] = lambda _what: None
        """Told "connected", "gone" and "subscribed"."""
        self.connection: Connection | None = None
        self._hidden = self._stopped = False
        self._gone = asyncio.Event()
        self._jobs: set[asyncio.Future[None]] = set()
        self._changing = asyncio.Lock()
        """Advertising begins and ends one step at a time: bumble does not bear two at once."""
        self._adapter = Adapter(name, link=air)
        config = DeviceConfiguration(
            name=name, address=hci.Address(address), advertising_interval_min=ADVERTISING_MS, keystore=None
        )
        config.advertising_interval_max = ADVERTISING_MS
        self._device = Device(config=config, host=Host(self._adapter, AsyncPipeSink(self._adapter)))
        self._battery = Attribute(
            UUID.from_16_bits(0x2A19), READ | NOTIFY, READABLE, Delegated(lambda _: bytes([self.battery]))
        )
        self._time = Attribute(
            UUID.from_16_bits(0x2A2B),
            READ | WRITE | NOTIFY,
            READABLE | WRITEABLE,
            Delegated(lambda _: frames.current_time(self.clock.now()), lambda _, value: self.clock.set(value)),
        )
        texts = ((0x2A29, "teleconsult (virtual)"), (0x2A24, model), (0x2A25, serial), (0x2A26, "1.0"))
        self._common = [
            service(0x180A, *(reading_of(uuid, text.encode()) for uuid, text in texts)),
            service(0x180F, self._battery),
            service(0x1805, self._time),
        ]

    async def start(self, services: Sequence[Service]) -> None:
        """Come on the air with these services beside the common ones; the first ones are advertised."""
        self._device.add_services([*services, *self._common])
        for each in services:
            for characteristic in each.characteristics:
                characteristic.on(Characteristic.EVENT_SUBSCRIPTION, self._on_subscription(characteristic))
        self._device.on(Device.EVENT_CONNECTION, self._on_connection)
        uuids = b"".join(each.uuid.to_bytes() for each in services)
        self._device.advertising_data = bytes(
            AdvertisingData(
                [
                    (AdvertisingData.FLAGS, bytes([0x06])),
                    (AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, uuids),
                    (AdvertisingData.COMPLETE_LOCAL_NAME, self.name.encode()[:18]),
                ]
            )
        )
        await self._device.power_on()
        await self._advertise()

    @property
    def gone(self) -> bool:
        """Whether nobody is connected."""
        return self.connection is None

    def mtu(self) -> int:
        """The longest value that can be sent now, bytes."""
        return self.connection.att_mtu - 3 if self.connection else 20

    def listens(self, characteristic: Attribute) -> bool:
        """Whether somebody connected has subscribed to it."""
        if self.connection is None:
            return False
        return any(self._device.gatt_server.read_cccd(self.connection, characteristic))

    async def send(self, characteristic: Attribute, frame: bytes) -> bool:
        """Notify or indicate a frame. False if nobody listens or the link was lost before it was confirmed."""
        if not self.listens(characteristic):
            return False
        server = self._device.gatt_server
        assert self.connection is not None
        if not characteristic.properties & INDICATE:
            await server.notify_subscriber(self.connection, characteristic, frame)
            return True
        sent = asyncio.ensure_future(server.indicate_subscriber(self.connection, characteristic, frame))
        lost = asyncio.ensure_future(self._gone.wait())
        await asyncio.wait({sent, lost}, return_when=asyncio.FIRST_COMPLETED)
        lost.cancel()
        if not sent.done():
            sent.cancel()
            return False
        return not sent.cancelled() and sent.exception() is None

    async def pour(self, characteristic: Attribute, frame: bytes) -> bool:
        """Send without waiting for what the other side says, as a device gone mad does."""
        if self.connection is None or not self.listens(characteristic):
            return False
        kind = (
            att.ATT_Handle_Value_Indication
            if characteristic.properties & INDICATE
            else att.ATT_Handle_Value_Notification
        )
        pdu = kind(attribute_handle=characteristic.handle, attribute_value=frame[: self.mtu()])
        self._device.gatt_server.send_gatt_pdu(self.connection, bytes(pdu))
        return True

    async def drop(self, away: float = 0.0) -> None:
        """Lose the link as by a radio out of reach, and stay away for so many seconds."""
        self._hidden = True
        try:
            if self.connection is not None:
                with contextlib.suppress(Exception):  # the other side may hang up at the same moment
                    await self.connection.disconnect(hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
            async with self._changing:
                await self._device.stop_advertising()
            await asyncio.sleep(away)
        finally:
            self._hidden = self._stopped
        await self._advertise()

    async def set_battery(self, percent: int) -> None:
        """Have so much charge left, and say so."""
        self.battery = percent
        await self.send(self._battery, bytes([percent]))

    async def stop(self) -> None:
        """End what runs by itself. The device stays on the air until its radio is closed."""
        self._stopped = self._hidden = True
        jobs = list(self._jobs)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

    async def _advertise(self) -> None:
        async with self._changing:
            if self.connection is None and not self._hidden:
                await self._device.start_advertising(
                    own_address_type=hci.OwnAddressType.RANDOM,
                    advertising_interval_min=ADVERTISING_MS,
                    advertising_interval_max=ADVERTISING_MS,
                )

    def _on_connection(self, connection: Connection) -> None:
        self.connection = connection
        self._gone.clear()
        connection.on(Connection.EVENT_DISCONNECTION, self._on_disconnection)
        self.on_change("connected")

    def _on_disconnection(self, _reason: int) -> None:
        self.connection = None
        self._gone.set()
        self.on_change("gone")
        self._do(self._advertise())

    def _on_subscription(self, characteristic: Attribute) -> Callable[[Connection, bool, bool], None]:
        def told(_connection: Connection, notify: bool, indicate: bool) -> None:
            if notify or indicate:
                self.on_change("subscribed")
                if self.on_subscription:
                    self._do(self.on_subscription(characteristic))

        return told

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        if self._stopped:
            work.close()
            return
        job = asyncio.ensure_future(work)
        self._jobs.add(job)
        job.add_done_callback(self._done)

    def _done(self, job: asyncio.Future[None]) -> None:
        self._jobs.discard(job)
        if not job.cancelled() and (error := job.exception()):
            log.error("%s: %s: %s", self.name, type(error).__name__, error)
