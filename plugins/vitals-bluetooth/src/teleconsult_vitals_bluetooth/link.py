"""One connection to one device: found, connected, paired where the device asks for it, read and written.

Whatever the radio or the device does wrong comes out as DeviceUnavailable, so that the node tries again. Meaning is
not known here; bytes go in and out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from enum import Enum
from typing import Any, Self

from bleak import BleakClient, BleakScanner
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakDBusError, BleakError, BleakGATTProtocolError

from teleconsult.plugin_api import DeviceUnavailable
from teleconsult_vitals_bluetooth import texts

log = logging.getLogger(__name__)

CONNECTING = 20.0
"""Seconds for connecting and learning the services."""
ANSWERING = 10.0
"""Seconds for the answer to one request. (A device that never answers is cut off by its stack after 30 s.)"""
PAIRING = 30.0
LETTING_GO = 2.0
_SECURITY = {0x05, 0x08, 0x0C, 0x0F}
"""ATT: insufficient authentication, authorization, key size, encryption."""
_IN_PROGRESS = 0xFE
"""ATT: a procedure is in progress already."""
_RADIO_ERRORS = (BleakError, OSError, EOFError, TimeoutError)

Keep = Callable[[dict[str, Any]], Awaitable[None]]
"""Keeps our identity and the keys of paired devices, as JSON values."""


class Reply(Enum):
    """What became of a write."""

    DONE = 1
    BUSY = 2
    """The device is at something else, and may be asked again."""
    REFUSED = 3


Found = tuple[BLEDevice, AdvertisementData]


def heed_cancellation() -> None:
    """Raise CancelledError if this task was cancelled and somebody swallowed it.

    `asyncio.wait_for` of Python 3.11 does so if the answer comes at that very moment, and the Bluetooth stacks use it.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Radio:
    """The Bluetooth that scans and connects: the operating system's, or a bumble host on a transport."""

    def __init__(self, backend: Mapping[str, Any], client_backend: Mapping[str, Any]) -> None:
        self._scanner = dict(backend)
        self._client = dict(client_backend)

    @classmethod
    @asynccontextmanager
    async def open(cls, name: str, kept: Mapping[str, Any], keep: Keep) -> AsyncIterator[Self]:
        """The radio of this name; "" is the operating system's, which keeps the keys of paired devices by itself.

        Raises DeviceUnavailable if there is none.
        """
        async with AsyncExitStack() as stack:
            if not name:
                yield cls({}, {})
                return
            # Only here: bumble is a whole Bluetooth stack, and most readers need none of it.
            from teleconsult_vitals_bluetooth.bumble_backend import Bonds, BumbleClient, BumbleScanner, open_host

            try:
                host = await stack.enter_async_context(open_host(name, Bonds(kept, keep)))
            except BleakError as error:
                log.warning("no radio: %s", error)
                raise DeviceUnavailable(texts.NO_RADIO) from error
            yield cls({"backend": BumbleScanner, "host": host}, {"backend": BumbleClient, "host": host})

    @asynccontextmanager
    async def scan(self, services: list[str] | None = None) -> AsyncIterator[AsyncIterator[Found]]:
        """What is heard, again and again, while the block lasts. Raises DeviceUnavailable if nothing can be heard."""
        scanner = BleakScanner(service_uuids=services, **self._scanner)
        try:
            await scanner.start()
        except _RADIO_ERRORS as error:
            log.warning("no scan: %s", error)
            raise DeviceUnavailable(texts.NO_RADIO) from error
        try:
            yield scanner.advertisement_data()
        finally:
            with suppress(*_RADIO_ERRORS):
                async with asyncio.timeout(LETTING_GO):
                    await scanner.stop()

    async def find(self, address: str, seconds: float) -> BLEDevice:
        """Wait until the device with this address is heard. Raises DeviceUnavailable after `seconds`."""
        try:
            async with asyncio.timeout(seconds), self.scan() as heard:
                async for device, _ in heard:
                    if device.address.lower() == address.lower():
                        return device
        except TimeoutError:
            pass
        raise DeviceUnavailable(texts.NOT_FOUND)

    def client(self, device: BLEDevice, on_lost: Callable[[BleakClient], None]) -> BleakClient:
        """A client for a device that was found."""
        return BleakClient(device, on_lost, timeout=CONNECTING, **self._client)


class Link:
    """A standing connection. Use `Link.open`."""

    def __init__(self, on_lost: Callable[[], None]) -> None:
        self._on_lost = on_lost
        self.lost = False
        """Whether the connection has ended, whoever ended it."""
        self.paired = False
        """Whether the device asked for pairing in this connection, and got it."""
        self._client: BleakClient

    @classmethod
    @asynccontextmanager
    async def open(cls, radio: Radio, device: BLEDevice, on_lost: Callable[[], None]) -> AsyncIterator[Self]:
        """Connect, and let go at the end within `LETTING_GO` seconds. Raises DeviceUnavailable.

        `on_lost` is called when the device ends the connection.
        """
        link = cls(on_lost)
        link._client = radio.client(device, link._end)
        try:
            try:
                async with asyncio.timeout(CONNECTING + 5):
                    await link._client.connect()
            except _RADIO_ERRORS as error:
                log.info("%s was not connected: %s", device.address, error)
                raise DeviceUnavailable(texts.NOT_CONNECTED) from error
            heed_cancellation()
            yield link
        finally:
            with suppress(*_RADIO_ERRORS):
                async with asyncio.timeout(LETTING_GO):
                    await link._client.disconnect()

    def _end(self, _: BleakClient) -> None:
        self.lost = True
        self._on_lost()

    def has(self, uuid: str, *properties: str) -> bool:
        """Whether there is such a characteristic with one of these properties (with any, if none is named)."""
        found = self._characteristic(uuid)
        return found is not None and (not properties or any(name in found.properties for name in properties))

    async def read(self, uuid: str) -> bytes | None:
        """The value, or None if there is none, or the device does not give it. Raises DeviceUnavailable."""
        found = self._characteristic(uuid)
        if found is None or "read" not in found.properties:
            return None
        try:
            return bytes(await self._ask(lambda: self._client.read_gatt_char(found)))
        except BleakGATTProtocolError as error:
            log.info("%s cannot be read: %s", uuid, error)
            return None

    async def write(self, uuid: str, data: bytes) -> Reply:
        """Write a value. Raises DeviceUnavailable."""
        found = self._characteristic(uuid)
        if found is None or not {"write", "write-without-response"} & set(found.properties):
            return Reply.REFUSED
        response = "write" in found.properties
        try:
            await self._ask(lambda: self._client.write_gatt_char(found, data, response))
        except BleakGATTProtocolError as error:
            log.info("%s refuses %s: %s", uuid, data.hex(), error)
            return Reply.BUSY if int(error.code) == _IN_PROGRESS else Reply.REFUSED
        return Reply.DONE

    async def subscribe(self, uuid: str, take: Callable[[bytes], None]) -> bool:
        """Have notifications or indications handed to `take`, which must not block. False if the device has none."""
        found = self._characteristic(uuid)
        if found is None or not {"notify", "indicate"} & set(found.properties):
            return False
        try:
            await self._ask(lambda: self._client.start_notify(found, lambda _, data: take(bytes(data))))
        except BleakGATTProtocolError as error:
            raise DeviceUnavailable(texts.NOT_PAIRED if _wants_pairing(error) else texts.LOST) from error
        return True

    def _characteristic(self, uuid: str) -> BleakGATTCharacteristic | None:
        try:
            characteristics = self._client.services.characteristics.values()
        except BleakError:  # the connection ended
            return None
        return next((found for found in characteristics if found.uuid == uuid), None)

    async def _ask(self, request: Callable[[], Any]) -> Any:
        """Do one request; if the device wants a pairing first, pair and do it again."""
        heed_cancellation()
        try:
            try:
                async with asyncio.timeout(ANSWERING):
                    return await request()
            except (BleakGATTProtocolError, BleakDBusError) as error:
                if self.paired or not _wants_pairing(error):
                    raise
            await self._pair()
            async with asyncio.timeout(ANSWERING):
                return await request()
        except BleakGATTProtocolError:
            raise
        except _RADIO_ERRORS as error:
            log.info("a request failed: %s: %s", type(error).__name__, error)
            raise DeviceUnavailable(texts.LOST) from error

    async def _pair(self) -> None:
        try:
            async with asyncio.timeout(PAIRING):
                await self._client.pair()
        except NotImplementedError:
            pass  # macOS pairs by itself, and asks the person
        except _RADIO_ERRORS as error:
            log.warning("pairing failed: %s", error)
            raise DeviceUnavailable(texts.NOT_PAIRED) from error
        self.paired = True


def _wants_pairing(error: BleakError) -> bool:
    if isinstance(error, BleakGATTProtocolError):
        return int(error.code) in _SECURITY
    return isinstance(error, BleakDBusError) and error.dbus_error.endswith((".NotPermitted", ".NotAuthorized"))
