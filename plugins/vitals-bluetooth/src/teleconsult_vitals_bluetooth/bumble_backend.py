"""bleak on bumble: Bluetooth through an HCI transport instead of the operating system.

Used where there is no Bluetooth stack to talk to: a USB dongle without BlueZ (`usb:0`), a serial controller, and
virtual devices behind TCP. What a reader needs is here: scan, connect, services, read, write, notify, pair. Keys of
paired devices are handed to whoever opened the host, which keeps them.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

from bleak.args import SizedBuffer
from bleak.assigned_numbers import CharacteristicPropertyName
from bleak.backends.characteristic import BleakGATTCharacteristic, GattCharacteristicsFlags
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError
from bleak.uuids import normalize_uuid_str
from bumble.att import ATT_Error
from bumble.core import AdvertisingData, BaseBumbleError
from bumble.device import Advertisement, Connection, Device, DeviceConfiguration, Peer
from bumble.hci import Address, HCI_LE_Create_Connection_Cancel_Command
from bumble.host import Host
from bumble.keys import KeyStore, PairingKeys
from bumble.pairing import PairingConfig
from bumble.transport import open_transport

from teleconsult_vitals_bluetooth.link import Keep

OPENING = 5.0
"""Seconds for a controller to answer."""
PAIRING = 20.0
LETTING_GO = 1.0
"""Seconds for a disconnection or the end of a scan."""
MTU = 247
_SERVICE_LISTS = (
    AdvertisingData.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
    AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
    AdvertisingData.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
    AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
)
_NAMES = (AdvertisingData.COMPLETE_LOCAL_NAME, AdvertisingData.SHORTENED_LOCAL_NAME)


class Bonds(KeyStore):
    """Our own identity, and the keys of the devices we are paired with."""

    def __init__(self, kept: Mapping[str, Any], keep: Keep) -> None:
        self._keep = keep
        self.address = str(kept.get("address") or Address.generate_static_address().to_string(False))
        self.irk = str(kept.get("irk") or secrets.token_hex(16))
        self._keys: dict[str, Any] = dict(kept.get("keys", {}))

    async def get(self, name: str) -> PairingKeys | None:
        """The keys of one device."""
        return PairingKeys.from_dict(self._keys[name]) if name in self._keys else None

    async def get_all(self) -> list[tuple[str, PairingKeys]]:
        """The keys of all devices."""
        return [(name, PairingKeys.from_dict(keys)) for name, keys in self._keys.items()]

    async def update(self, name: str, keys: PairingKeys) -> None:
        """Keep the keys of a device."""
        self._keys[name] = keys.to_dict()
        await self._save()

    async def delete(self, name: str) -> None:
        """Forget a device."""
        if self._keys.pop(name, None) is not None:
            await self._save()

    async def _save(self) -> None:
        await self._keep({"address": self.address, "irk": self.irk, "keys": self._keys})


@asynccontextmanager
async def open_host(transport_name: str, bonds: Bonds) -> AsyncIterator[Device]:
    """A Bluetooth host on the controller behind `transport_name`. Raises BleakError if there is none."""
    try:
        async with asyncio.timeout(OPENING):
            transport = await open_transport(transport_name)
    except (OSError, TimeoutError, BaseBumbleError) as error:
        raise BleakError(f"no controller at {transport_name}: {error}") from error
    try:
        config = DeviceConfiguration(name="teleconsult", address=Address(bonds.address), irk=bytes.fromhex(bonds.irk))
        device = Device(config=config, host=Host(transport.source, transport.sink))
        device.keystore = bonds
        # Most health devices have neither keys nor a display; one that insists on a passkey refuses this.
        device.pairing_config_factory = lambda _: PairingConfig(sc=True, mitm=False, bonding=True)
        try:
            async with asyncio.timeout(OPENING):
                await device.power_on()
        except (TimeoutError, BaseBumbleError) as error:
            raise BleakError(f"the controller at {transport_name} does not answer") from error
        yield device
    finally:
        await transport.close()


class BumbleScanner(BaseBleakScanner):
    """Scans with the host given as `host`."""

    def __init__(
        self, detection_callback: Any, service_uuids: list[str] | None, scanning_mode: str, *, host: Device, **_: Any
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._host = host

    async def start(self) -> None:
        """Begin to listen."""
        self.seen_devices = {}
        self._host.on(Device.EVENT_ADVERTISEMENT, self._heard)
        await _translated(self._host.start_scanning(filter_duplicates=False))

    async def stop(self) -> None:
        """Stop listening."""
        self._host.remove_listener(Device.EVENT_ADVERTISEMENT, self._heard)
        with suppress(BleakError, TimeoutError):
            async with asyncio.timeout(LETTING_GO):
                await _translated(self._host.stop_scanning())

    def _heard(self, heard: Advertisement) -> None:
        address = heard.address.to_string(with_type_qualifier=False)
        uuids = [
            normalize_uuid_str(uuid.to_hex_str("-").lower())
            for kind in _SERVICE_LISTS
            for listed in heard.data.get_all(kind)
            for uuid in cast("list[Any]", listed)
        ]
        name = next((str(name) for kind in _NAMES if (name := heard.data.get(kind))), None)
        if not self.is_allowed_uuid(uuids):
            return
        data = AdvertisementData(name, {}, {}, uuids, None, heard.rssi, (heard,))
        device = self.create_or_update_device(address, address, name, heard.address, data)
        self.call_detection_callbacks(device, data)


class BumbleClient(BaseBleakClient):
    """One connection of the host given as `host`, to a device that a `BumbleScanner` found."""

    def __init__(self, address_or_ble_device: BLEDevice | str, *, host: Device, **kwargs: Any) -> None:
        super().__init__(address_or_ble_device, **kwargs)
        if not isinstance(address_or_ble_device, BLEDevice):
            raise BleakDeviceNotFoundError(address_or_ble_device, "a device must be scanned for first")
        self._peer_address: Address = address_or_ble_device.details
        self._name = address_or_ble_device.name
        self._host = host
        self._connection: Connection | None = None
        self._callbacks: dict[int, NotifyCallback] = {}
        self._requests: set[asyncio.Future[Any]] = set()
        self._handlers: dict[int, Callable[[bytes], None]] = {}

    @property
    def name(self) -> str:
        """What it advertises itself as."""
        return self._name or self.address

    @property
    def mtu_size(self) -> int:
        """The negotiated MTU, in bytes."""
        return self._connection.att_mtu if self._connection else 23

    @property
    def is_connected(self) -> bool:
        """Whether the connection stands."""
        return self._connection is not None

    async def connect(self, pair: bool, **_: Any) -> None:
        """Connect, take up an old bond if there is one, and learn the services."""
        try:
            async with asyncio.timeout(self._timeout):
                # Without bumble's own timeout: its clean-up waits for an answer that some controllers never give.
                connection = await _translated(self._host.connect(self._peer_address, timeout=None))
        except BaseException:
            with suppress(Exception):
                async with asyncio.timeout(LETTING_GO):
                    await self._host.send_sync_command(HCI_LE_Create_Connection_Cancel_Command())
            raise
        self._connection = connection
        connection.on(Connection.EVENT_DISCONNECTION, self._lost)
        try:
            async with asyncio.timeout(self._timeout):
                if pair or await self._bonded():
                    await self.pair()
                await self._learn(Peer(connection))
        except BaseException:
            await self.disconnect()
            raise

    async def disconnect(self) -> None:
        """Let go of the device."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.remove_listener(Connection.EVENT_DISCONNECTION, self._lost)
        with suppress(BleakError, TimeoutError):
            async with asyncio.timeout(LETTING_GO):
                await _translated(connection.disconnect())
        for request in tuple(self._requests):  # those that the end of the connection did not end
            request.cancel()

    async def pair(self, *_: Any, **__: Any) -> None:
        """Encrypt with the keys of an old pairing; without any, or where the device forgot them, pair anew."""
        connection = self._standing()
        if connection.is_encrypted:
            return
        if await self._bonded():
            try:
                async with asyncio.timeout(PAIRING):
                    await _translated(connection.encrypt())
                return
            except (BleakError, TimeoutError):
                await self._keys().delete(str(connection.peer_address))
        async with asyncio.timeout(PAIRING):
            await _translated(connection.pair())

    async def unpair(self) -> None:
        """Forget the device's keys."""
        await self._keys().delete(str(self._peer_address))

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **_: Any
    ) -> bytearray:
        """Read a value."""
        self._standing()
        return bytearray(await self._request(characteristic.obj.read_value()))

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **_: Any
    ) -> bytearray:
        """Read a descriptor's value."""
        self._standing()
        return bytearray(await self._request(descriptor.obj.read_value()))

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:
        """Write a value."""
        self._standing()
        await self._request(characteristic.obj.write_value(bytes(data), with_response=response))

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        """Write a descriptor's value."""
        self._standing()
        await self._request(descriptor.obj.write_value(bytes(data), with_response=True))

    async def start_notify(self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_: Any) -> None:
        """Have each notification or indication handed to `callback`."""
        self._standing()
        handle = characteristic.handle
        self._callbacks[handle] = callback
        # The same function each time: bumble keeps the one of a subscription that the device refused.
        hand_over = self._handlers.setdefault(handle, lambda value: self._callbacks[handle](bytearray(value)))
        await self._request(characteristic.obj.subscribe(hand_over))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Want no more of them."""
        self._standing()
        await self._request(characteristic.obj.unsubscribe(self._handlers.pop(characteristic.handle, None)))

    async def _request(self, work: Awaitable[Any]) -> Any:
        """One request to the device. It goes on if we stop waiting: bumble takes a late answer for an error."""
        request = asyncio.ensure_future(_translated(work))
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)
        return await asyncio.shield(request)

    def _standing(self) -> Connection:
        if self._connection is None:
            raise BleakError("not connected")
        return self._connection

    def _keys(self) -> KeyStore:
        keys = self._host.keystore
        assert keys is not None
        return keys

    async def _bonded(self) -> bool:
        return await self._keys().get(str(self._standing().peer_address)) is not None

    def _lost(self, _reason: int) -> None:
        self._connection = None
        if self._disconnected_callback:
            self._disconnected_callback()

    async def _learn(self, peer: Peer) -> None:
        await self._request(peer.request_mtu(MTU))
        await self._request(peer.discover_services())
        services = BleakGATTServiceCollection()
        for found in peer.services:
            service = BleakGATTService(found, found.handle, _uuid(found.uuid))
            services.add_service(service)
            await self._request(found.discover_characteristics())
            for characteristic in found.characteristics:
                names = [
                    cast("CharacteristicPropertyName", flag.name.replace("_", "-"))
                    for flag in GattCharacteristicsFlags
                    if characteristic.properties & flag.value
                ]
                services.add_characteristic(
                    BleakGATTCharacteristic(
                        characteristic,
                        characteristic.handle,
                        _uuid(characteristic.uuid),
                        names,
                        lambda: self.mtu_size - 3,
                        service,
                    )
                )
        self.services = services


def _uuid(uuid: Any) -> str:
    return normalize_uuid_str(uuid.to_hex_str("-").lower())


async def _translated(work: Awaitable[Any]) -> Any:
    """Await bumble's work; what it raises comes out as bleak's errors."""
    try:
        return await work
    except ATT_Error as error:
        raise BleakGATTProtocolError(error.error_code) from error
    except (BaseBumbleError, TimeoutError) as error:
        raise BleakError(f"{type(error).__name__}: {error}") from error
    except asyncio.CancelledError:
        # bumble cancels its own futures when a connection ends. That is no cancellation of ours.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise BleakError("the connection ended") from None
