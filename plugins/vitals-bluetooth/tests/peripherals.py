"""Small GATT servers on a virtual radio: what the readers are tested against. Runs on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from bumble import hci
from bumble.att import ATT_INSUFFICIENT_ENCRYPTION_ERROR, ATT_Error, Attribute
from bumble.controller import Controller
from bumble.core import UUID, AdvertisingData
from bumble.device import Connection, Device
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.host import Host
from bumble.link import LocalLink
from bumble.pairing import PairingConfig
from bumble.transport.common import AsyncPipeSink, StreamPacketSink, StreamPacketSource
from teleconsult_vitals_bluetooth.settings import BluetoothSettings

from teleconsult.plugin_api import DeviceInfo

PROPERTIES = {
    "read": Characteristic.Properties.READ,
    "write": Characteristic.Properties.WRITE,
    "notify": Characteristic.Properties.NOTIFY,
    "indicate": Characteristic.Properties.INDICATE,
}
WAIT = 5.0


def stamp(moment: datetime) -> bytes:
    """Date Time."""
    parts = (moment.month, moment.day, moment.hour, moment.minute, moment.second)
    return moment.year.to_bytes(2, "little") + bytes(parts)


class PatientController(Controller):
    """bumble's virtual controller, with an answer to a cancelled connection."""

    def on_hci_le_create_connection_cancel_command(self, command: Any) -> Any:
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        return super().on_hci_le_create_connection_cancel_command(command)


class Radio:
    """A radio: virtual devices on it, and a TCP port where each connection speaks HCI to a fresh controller."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="radio", daemon=True)
        self.thread.start()
        self.count = 0
        self.port = self.do(self._listen())

    @property
    def settings(self) -> BluetoothSettings:
        return BluetoothSettings(radio=f"tcp-client:127.0.0.1:{self.port}", search_seconds=WAIT)

    def do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WAIT)

    def close(self) -> None:
        self.do(self._close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(WAIT)
        self.loop.close()

    async def _listen(self) -> int:
        self.link = LocalLink()
        self.hosts: set[Any] = set()
        radio = self

        class Hci(StreamPacketSource):
            def connection_made(self, transport: Any) -> None:
                radio.count += 1
                radio.hosts.add(transport)
                self.transport = transport
                self.controller = PatientController(
                    f"central {radio.count}", self, StreamPacketSink(transport), link=radio.link
                )

            def connection_lost(self, error: Exception | None) -> None:
                for connection in list(self.controller.le_connections.values()):
                    connection.send_ll_control_pdu(radio.goodbye())
                radio.link.remove_controller(self.controller)
                radio.hosts.discard(self.transport)

        self.server = await self.loop.create_server(Hci, "127.0.0.1", 0)
        return int(self.server.sockets[0].getsockname()[1])

    @staticmethod
    def goodbye() -> Any:
        from bumble import ll

        return ll.TerminateInd(hci.HCI_REMOTE_USER_TERMINATED_CONNECTION_ERROR)

    async def _close(self) -> None:
        self.server.close()
        for transport in self.hosts:
            transport.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Value:
    """One characteristic: what is read from it, what is written to it, and whether only a paired peer may."""

    def __init__(self, number: int, properties: str, value: bytes = b"", *, paired: bool = False) -> None:
        self.value = value
        self.paired = paired
        self.written: list[bytes] = []
        self.on_write: Callable[[bytes], bytes | None] | None = None
        self.refuse: int | None = None
        flags = Characteristic.Properties(0)
        permissions = Attribute.Permissions(0)
        for word in properties.split():
            flags |= PROPERTIES[word]
            permissions |= {"read": Attribute.READABLE, "write": Attribute.WRITEABLE}.get(
                word, Attribute.Permissions(0)
            )
        self.characteristic = Characteristic(
            UUID.from_16_bits(number), flags, permissions, CharacteristicValue(read=self._read, write=self._write)
        )
        self.subscribed = asyncio.Event()
        self.characteristic.on("subscription", self._subscribed)

    def _check(self, connection: Connection | None) -> None:
        if self.paired and not (connection and connection.is_encrypted):
            raise ATT_Error(ATT_INSUFFICIENT_ENCRYPTION_ERROR)

    def _read(self, connection: Connection | None) -> bytes:
        self._check(connection)
        return self.value

    def _write(self, connection: Connection | None, value: bytes) -> None:
        self._check(connection)
        if self.refuse is not None:
            raise ATT_Error(self.refuse)
        self.written.append(value)
        if self.on_write:
            self.on_write(value)
        else:
            self.value = value

    def _subscribed(self, _: Any, notify: bool, indicate: bool) -> None:
        self.subscribed.set() if notify or indicate else self.subscribed.clear()


class Peripheral:
    """One virtual device with one advertised service."""

    def __init__(self, radio: Radio, service: int, values: dict[int, Value], **more: dict[int, Value]) -> None:
        self.radio = radio
        self.service = service
        self.values = values
        self.more = more
        self._task: asyncio.Task[None] | None = None
        radio.do(self._start())

    async def _start(self) -> None:
        self.radio.count += 1
        self.address = f"C0:00:00:00:00:{self.radio.count:02X}"
        controller = PatientController(f"peripheral {self.radio.count}", link=self.radio.link)
        self.device = Device(
            name="Virtual", address=hci.Address(self.address), host=Host(controller, AsyncPipeSink(controller))
        )
        self.device.pairing_config_factory = lambda _: PairingConfig(sc=True, mitm=False, bonding=True)
        characteristics = [value.characteristic for value in self.values.values()]
        self.device.add_service(Service(UUID.from_16_bits(self.service), characteristics))
        for name, values in self.more.items():
            number = int(name.removeprefix("service_"), 16)
            self.device.add_service(
                Service(UUID.from_16_bits(number), [value.characteristic for value in values.values()])
            )
        self.all = {**self.values, **{n: value for group in self.more.values() for n, value in group.items()}}
        self.connections: list[Connection] = []
        self.device.on("connection", self._connected)
        await self.device.power_on()
        await self._advertise()

    def _connected(self, connection: Connection) -> None:
        self.connections.append(connection)
        for value in self.all.values():
            value.subscribed.clear()

    async def _advertise(self) -> None:
        data = AdvertisingData(
            [
                (AdvertisingData.COMPLETE_LOCAL_NAME, b"Virtual"),
                (AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, self.service.to_bytes(2, "little")),
            ]
        )
        await self.device.start_advertising(
            advertising_data=bytes(data),
            auto_restart=True,
            advertising_interval_min=20,
            advertising_interval_max=20,
        )

    def send(self, number: int, *frames: bytes) -> None:
        """Wait until a reader listens, and send these."""
        self.radio.do(self._send(number, frames))

    async def _send(self, number: int, frames: tuple[bytes, ...]) -> None:
        value = self.all[number]
        await value.subscribed.wait()
        [connection] = self.device.connections.values()
        notify = value.characteristic.properties & Characteristic.Properties.NOTIFY
        for frame in frames:
            send = self.device.notify_subscriber if notify else self.device.indicate_subscriber
            await send(connection, value.characteristic, frame, force=True)

    def soon(self, *work: tuple[int, bytes]) -> None:
        """Send these after what runs now, from within a write."""
        self._task = self.radio.loop.create_task(self._soon(work))

    async def _soon(self, work: tuple[tuple[int, bytes], ...]) -> None:
        for number, frame in work:
            await self._send(number, (frame,))

    def hang_up(self) -> None:
        self.radio.do(self._hang_up())

    async def _hang_up(self) -> None:
        for connection in list(self.device.connections.values()):
            await connection.disconnect()
        for value in self.all.values():
            value.subscribed.clear()

    def vanish(self) -> None:
        """Out of reach: no longer connected and no longer heard."""

        async def leave() -> None:
            await self.device.stop_advertising()
            await self._hang_up()
            await self.device.stop_advertising()

        self.radio.do(leave())

    async def alone(self) -> None:
        """Wait until nobody is connected."""
        async with asyncio.timeout(WAIT):
            while self.device.connections:
                await asyncio.sleep(0.01)


def device(peripheral: Peripheral) -> DeviceInfo:
    """The device as a person would have chosen it."""
    return DeviceInfo(device_id=f"ble-{peripheral.address}", name="virtual", address=peripheral.address)
