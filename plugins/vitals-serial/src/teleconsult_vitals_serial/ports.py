"""Serial ports: found by a lasting name, read without blocking the event loop, let go at once. On pyserial.

pyserial blocks, so each port has one thread of its own, which works on Windows as on Linux.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import serial
from serial.tools import list_ports

from teleconsult.plugin_api import DeviceInfo, DeviceUnavailable, Text

READ_TIMEOUT = 0.25
"""Seconds a read waits for the first byte: so soon a port can be let go."""
READ_BYTES = 4096

NOT_THERE = Text(en="The serial port is not there. Plug the cable in.", zh="未找到串口，请插好数据线。")
IN_USE = Text(
    en="The serial port cannot be opened. Close other programs that use it, or ask for the right to it.",
    zh="无法打开串口。请关闭占用该串口的其他程序，或请管理员开通权限。",
)
LOST = Text(en="The serial port was lost. Check the cable.", zh="串口已断开，请检查数据线。")


@dataclass(frozen=True)
class PortInfo:
    """A serial port of this machine. `lasting` is False if `device_id` may name another device tomorrow."""

    device_id: str
    address: str
    name: str
    manufacturer: str
    serial_number: str
    lasting: bool


def list_serial_ports(comports: Callable[[], Any] = list_ports.comports) -> Iterator[PortInfo]:
    """Every port, named by its USB serial number, else by the USB socket it is in, else by the port."""
    for port in comports():
        number = (port.serial_number or "").strip()
        if port.vid is None:
            device_id = f"port-{port.name}"
        elif number:
            device_id = f"usb-{port.vid:04x}-{port.pid:04x}-{number}"
        else:
            device_id = f"usb-{port.vid:04x}-{port.pid:04x}-at-{port.location or port.name}"
        yield PortInfo(
            device_id=re.sub(r"[^A-Za-z0-9:._-]", "_", device_id)[:64],
            address=port.device,
            name=(port.product or port.description or port.name)[:80],
            manufacturer=(port.manufacturer or "")[:80],
            serial_number=number[:80],
            lasting=port.vid is not None and bool(number),
        )


def further_port(address: str) -> PortInfo:
    """A port that was named by a person because the system does not list it."""
    name = address.removeprefix("/dev/")
    device_id = re.sub(r"[^A-Za-z0-9:._-]", "_", f"port-{name}")[:64]
    return PortInfo(device_id, address, name[:80], manufacturer="", serial_number="", lasting=False)


async def discover_ports(further: str, kinds: tuple[str, ...], waveforms: tuple[str, ...]) -> AsyncIterator[DeviceInfo]:
    """Every serial port as a device: none tells over the line what it is before it is opened and used."""
    for port in [*await asyncio.to_thread(lambda: list(list_serial_ports())), *map(further_port, further.split())]:
        yield DeviceInfo(
            device_id=port.device_id,
            name=port.name,
            kinds=kinds,
            waveforms=waveforms,
            manufacturer=port.manufacturer,
            serial_number=port.serial_number,
            address=port.address,
        )


def find_port(device: DeviceInfo, comports: Callable[[], Any] = list_ports.comports) -> str:
    """Where a device's port is today. Raises DeviceUnavailable if it is not plugged in.

    A USB device is looked for by its id alone: what answers at its old address may be another device.
    """
    for port in list_serial_ports(comports):
        if port.device_id == device.device_id:
            return port.address
    if not device.address or device.device_id.startswith("usb-"):
        raise DeviceUnavailable(NOT_THERE)
    return device.address


class SerialPort:
    """An open port. Use it in an `async with` block."""

    def __init__(self, address: str, baud: int) -> None:
        self.address = address
        self._baud = baud
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="serial")
        self._port: serial.Serial | None = None

    async def __aenter__(self) -> SerialPort:
        """Raises DeviceUnavailable."""
        opening = asyncio.ensure_future(self._in_thread(self._open))
        try:
            await asyncio.shield(opening)
        except (OSError, ValueError) as error:  # SerialException is an OSError
            self._thread.shutdown(wait=False)
            missing = isinstance(error, serial.SerialException) and error.errno == 2
            raise DeviceUnavailable(NOT_THERE if missing else IN_USE) from error
        except BaseException:
            with contextlib.suppress(Exception):
                await opening
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._port is not None:
            with contextlib.suppress(Exception):
                self._port.cancel_read()
            with contextlib.suppress(Exception):
                self._port.cancel_write()
        await asyncio.shield(self._in_thread(self._close))
        self._thread.shutdown(wait=False)

    async def chunks(self) -> AsyncIterator[bytes]:
        """What comes, as it comes; b"" after READ_TIMEOUT of silence. Raises DeviceUnavailable when the port is lost.

        While the caller is busy nothing is read: a device that floods fills the system's buffer and no more.
        """
        while True:
            try:
                yield await self._in_thread(self._read)
            except (OSError, TypeError) as error:  # pyserial raises TypeError for a port closed under it
                raise DeviceUnavailable(LOST) from error

    async def write(self, data: bytes) -> None:
        """Raises DeviceUnavailable when the port is lost."""
        try:
            await self._in_thread(lambda: self._port and self._port.write(data))
        except (OSError, TypeError) as error:
            raise DeviceUnavailable(LOST) from error

    def _in_thread(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> None:
        self._port = serial.Serial(self.address, self._baud, timeout=READ_TIMEOUT, write_timeout=1.0, exclusive=True)

    def _read(self) -> bytes:
        assert self._port is not None
        data = self._port.read(1)
        if data and (waiting := self._port.in_waiting):
            data += self._port.read(min(waiting, READ_BYTES))
        return bytes(data)

    def _close(self) -> None:
        if self._port is not None:
            self._port.close()
