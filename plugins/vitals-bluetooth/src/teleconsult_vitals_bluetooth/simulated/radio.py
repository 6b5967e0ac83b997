"""A virtual radio with small GATT servers on it, for tests and for `teleconsult plugin check`. Never on a node.

All of it runs in one event loop. A reader comes through a TCP port where each connection speaks HCI to a fresh virtual
controller, and so uses the very code with which it drives a controller of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from bumble import hci, ll
from bumble.att import ATT_Error, Attribute, ErrorCode
from bumble.controller import Controller
from bumble.core import UUID, AdvertisingData
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.gatt import (
    GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR,
    Characteristic,
    CharacteristicValue,
    Service,
)
from bumble.host import Host
from bumble.link import LocalLink
from bumble.pairing import PairingConfig
from bumble.transport.common import AsyncPipeSink, StreamPacketSink, StreamPacketSource

ADVERTISING_MS = 20.0
WAIT = 5.0
"""Seconds within which a central listens to what is sent."""

_PROPERTIES = {
    "read": (Characteristic.Properties.READ, Attribute.READABLE),
    "write": (Characteristic.Properties.WRITE, Attribute.WRITEABLE),
    "notify": (Characteristic.Properties.NOTIFY, Attribute.Permissions(0)),
    "indicate": (Characteristic.Properties.INDICATE, Attribute.Permissions(0)),
}


class VirtualController(Controller):
    """bumble's virtual controller, which forgets a connection attempt that is cancelled."""

    def on_hci_le_create_connection_cancel_command(
        self, command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Core Specification, Vol 4, Part E, 7.8.13."""
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        return super().on_hci_le_create_connection_cancel_command(command)


class _Door(StreamPacketSource):
    """One reader's way in."""

    def __init__(self, radio: VirtualRadio) -> None:
        super().__init__()
        self._radio = radio

    def connection_made(self, transport: Any) -> None:
        """Plug a controller in."""
        self._transport = transport
        self._radio.guests.add(transport)
        sink = StreamPacketSink(transport)
        self._controller = VirtualController("reader", self, sink, link=self._radio.link)

    def connection_lost(self, error: Exception | None) -> None:
        """Pull it out; its peers see that it is gone."""
        del error
        for connection in list(self._controller.le_connections.values()):
            with suppress(Exception):
                connection.send_ll_control_pdu(ll.TerminateInd(hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR))
        self._radio.link.remove_controller(self._controller)
        self._radio.guests.discard(self._transport)


class VirtualRadio:
    """One radio. `transport` names it for the setting `radio`, once it is open."""

    def __init__(self) -> None:
        self.guests: set[Any] = set()
        self.transport = ""
        self._devices = 0

    async def open(self) -> None:
        """Let readers come."""
        self.link = LocalLink()  # type: ignore[no-untyped-call]
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Door(self), "127.0.0.1", 0)
        self.transport = f"tcp-client:127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Let nobody come any more, and send those away that are here."""
        self._server.close()
        for guest in list(self.guests):
            guest.close()
        await self._server.wait_closed()

    def new_address(self) -> str:
        """An address that no other device here has."""
        self._devices += 1
        return f"C0:00:00:00:00:{self._devices:02X}"


class Value:
    """One characteristic: what is read from it, what was written to it, and whether only a paired peer may."""

    def __init__(self, number: int, properties: str, value: bytes = b"", *, paired: bool = False) -> None:
        self.value = value
        self.paired = paired
        self.late = 0.0
        """Seconds before a read is answered."""
        self.reads = 0
        self.written: list[bytes] = []
        self.on_write: Callable[[bytes], object] | None = None
        """Takes what is written in place of `value`."""
        self.refuse: int | None = None
        """The ATT error with which writing is answered."""
        flags, permissions = Characteristic.Properties(0), Attribute.Permissions(0)
        for word in properties.split():
            flags |= _PROPERTIES[word][0]
            permissions |= _PROPERTIES[word][1]
        self.characteristic: Characteristic[bytes] = Characteristic(
            UUID.from_16_bits(number), flags, permissions, CharacteristicValue(read=self._read, write=self._write)
        )
        self.subscribed = asyncio.Event()
        self.characteristic.on("subscription", self._subscribed)

    @property
    def notifies(self) -> bool:
        """Whether it sends notifications, not indications."""
        return bool(self.characteristic.properties & Characteristic.Properties.NOTIFY)

    def _check(self, connection: Connection | None) -> None:
        if self.paired and not (connection and connection.is_encrypted):
            raise ATT_Error(ErrorCode.INSUFFICIENT_ENCRYPTION)

    async def _read(self, connection: Connection | None) -> bytes:
        self._check(connection)
        self.reads += 1
        if self.late:
            await asyncio.sleep(self.late)
        return self.value

    def _write(self, connection: Connection | None, value: bytes) -> None:
        self._check(connection)
        if self.refuse is not None:
            raise ATT_Error(ErrorCode(self.refuse))
        self.written.append(value)
        if self.on_write:
            self.on_write(value)
        else:
            self.value = value

    def _subscribed(self, _: Connection, notify: bool, indicate: bool) -> None:
        if notify or indicate:
            self.subscribed.set()
        else:
            self.subscribed.clear()


class Peripheral:
    """One device: services by number, each with its characteristics by number. The first service is advertised."""

    def __init__(self, radio: VirtualRadio, services: Mapping[int, Mapping[int, Value]], name: str = "Virtual") -> None:
        self.address = radio.new_address()
        self.values = {number: value for group in services.values() for number, value in group.items()}
        self.connections: list[Connection] = []
        self._jobs: set[asyncio.Task[None]] = set()
        self._answered = False
        self._link = radio.link
        self._controller = VirtualController(name, link=radio.link)
        config = DeviceConfiguration(name=name, address=hci.Address(self.address))
        self.device = Device(config=config, host=Host(self._controller, AsyncPipeSink(self._controller)))
        self.device.pairing_config_factory = lambda _: PairingConfig(sc=True, mitm=False, bonding=True)
        for number, group in services.items():
            self.device.add_service(Service(UUID.from_16_bits(number), [v.characteristic for v in group.values()]))
        for value in self.values.values():
            if value.paired:
                self._protect_subscription(value)
        self.device.on(Device.EVENT_CONNECTION, self._connected)
        self._advertised = AdvertisingData(
            [
                (AdvertisingData.COMPLETE_LOCAL_NAME, name.encode()),
                (
                    AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
                    next(iter(services)).to_bytes(2, "little"),
                ),
            ]
        )

    @property
    def in_use(self) -> bool:
        """Whether somebody is connected."""
        return bool(self.device.connections)

    async def switch_on(self) -> None:
        """Be heard."""
        await self.device.power_on()
        await self.device.start_advertising(
            advertising_data=bytes(self._advertised),
            auto_restart=True,
            advertising_interval_min=ADVERTISING_MS,
            advertising_interval_max=ADVERTISING_MS,
        )

    async def switch_off(self) -> None:
        """Be gone, with everything that runs."""
        for job in self._jobs:
            job.cancel()
        with suppress(Exception):
            await self.vanish()
        with suppress(KeyError):
            self._link.remove_controller(self._controller)

    async def send(self, number: int, *frames: bytes) -> None:
        """Wait until a central listens, and send these."""
        value = self.values[number]
        async with asyncio.timeout(WAIT):
            await value.subscribed.wait()
        [connection] = self.device.connections.values()
        for frame in frames:
            send = self.device.notify_subscriber if value.notifies else self.device.indicate_subscriber
            await send(connection, value.characteristic, frame, force=True)

    def send_soon(self, *frames: tuple[int, bytes]) -> None:
        """Send these, each of its characteristic, after what runs now: for answers from within a write."""
        self._answered = True
        job = asyncio.create_task(self._send_each(frames))
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    async def _send_each(self, frames: tuple[tuple[int, bytes], ...]) -> None:
        for number, frame in frames:
            await self.send(number, frame)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until it holds."""
        async with asyncio.timeout(WAIT):
            while not condition():
                await asyncio.sleep(0.005)

    async def sent(self) -> None:
        """Wait until `send_soon` was called and everything is sent."""
        await self.until(lambda: self._answered)
        await asyncio.gather(*self._jobs)

    async def hang_up(self) -> None:
        """End the connection; be heard again."""
        for connection in list(self.device.connections.values()):
            with suppress(Exception):
                await connection.disconnect()

    async def vanish(self) -> None:
        """Be out of reach at once."""
        await self.device.stop_advertising()
        await self.hang_up()
        await self.device.stop_advertising()

    def _protect_subscription(self, value: Value) -> None:
        following = value.characteristic.handle + 1
        for attribute in self.device.gatt_server.attributes:
            if attribute.handle == following and attribute.type == GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR:
                attribute.permissions |= Attribute.WRITE_REQUIRES_ENCRYPTION

    def _connected(self, connection: Connection) -> None:
        self.connections.append(connection)
        connection.on(Connection.EVENT_DISCONNECTION, lambda _: self._nobody_listens())
        self._nobody_listens()

    def _nobody_listens(self) -> None:
        for value in self.values.values():
            value.subscribed.clear()
