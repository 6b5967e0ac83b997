"""An analyser as software: it sends HL7 v2 results over TCP or over a pseudo-terminal and reads the answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from teleconsult.plugin_api import DeviceInfo
from teleconsult.plugin_api.checking import Measured, SimulatedDevice
from teleconsult_vitals_serial.simulated.lines import VirtualLine


def result_message(
    control_id: str,
    results: list[str],
    *,
    at: datetime | None = None,
    version: str = "2.5",
    charset: str = "UNICODE UTF-8",
    message_type: str = "ORU^R01",
    processing: str = "P",
    header_end: str = "",
) -> str:
    """A message of one OBR with these OBX segments. It names a patient, as analysers do."""
    stamp = (at or datetime.now(UTC)).strftime("%Y%m%d%H%M%S+0000")
    header = f"MSH|^~\\&|ANALYSER|LAB|||{stamp}||{message_type}|{control_id}|{processing}|{version}"
    lines = [
        f"{header}||||{header_end}||{charset}",
        "PID|1||0000^^^^PN||测试^某某",
        f"OBR|1||{control_id}|PANEL^Panel^L|||{stamp}",
    ]
    return "\r".join([*lines, *results]) + "\r"


def result(
    number: int, code: str, value: object, unit: str, *, status: str = "F", system: str = "LN", sub_id: str = ""
) -> str:
    """One OBX of type NM."""
    return f"OBX|{number}|NM|{code}^Name of {code}^{system}|{sub_id}|{value}|{unit}^{unit}^UCUM|||||{status}"


def block(message: bytes) -> bytes:
    """A message as MLLP sends it."""
    return b"\x0b" + message + b"\x1c\x0d"


class _AnalyserDevice(SimulatedDevice):
    """A meter that sends one glucose result for each sample."""

    bad_frames = ("no number", "cut short", "no HL7", "no unit", "cannot be obtained")

    def __init__(self) -> None:
        self._count = 0
        self._late = 0.0
        self._last = b""
        self._clock_ahead = timedelta()

    async def _transmit(self, data: bytes) -> None:
        raise NotImplementedError

    async def measure(self) -> Measured:
        """One sample."""
        self._count += 1
        value = f"{4 + self._count % 100 / 10:.1f}"
        self._last = self._message(result(1, "14743-9", value, "mmol/L"))
        await asyncio.sleep(self._late)
        await self._transmit(self._last)
        return Measured("glucose", {"glucose": (float(value), "mmol/L")})

    async def measure_with_wrong_clock(self) -> Measured:
        """Its year is wrong."""
        self._clock_ahead = timedelta(days=-4 * 365)
        return await self.measure()

    async def repeat(self) -> None:
        """The same message again, as after a lost answer."""
        await self._transmit(self._last)

    async def send_bad(self, frame: str) -> None:
        """A message that must not become a reading."""
        self._count += 1
        message = {
            "no number": self._message(result(1, "14743-9", "++++", "mmol/L")),
            "no unit": self._message(result(1, "14743-9", "5.5", "")),
            "cannot be obtained": self._message(result(1, "14743-9", "5.5", "mmol/L", status="X")),
            "cut short": block(b"MSH|^~\\&|ANALYSER"),
            "no HL7": block(b"\x00\xff 5.5 mmol/L"),
        }[frame]
        await self._transmit(message)

    def _message(self, segment: str) -> bytes:
        at = datetime.now(UTC) + self._clock_ahead
        return block(result_message(f"S{self._count}", [segment], at=at).encode())


class NetworkAnalyserDevice(_AnalyserDevice):
    """On the network: it connects to the port that is set."""

    reader = "hl7-analyser"

    def __init__(self) -> None:
        super().__init__()
        self._port = 0
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def device(self) -> DeviceInfo:
        """As discovery finds it."""
        return DeviceInfo(device_id=f"hl7-{self._port}", name="Analyser", kinds=("glucose",))

    @property
    def settings(self) -> Mapping[str, Any]:
        """Where it sends to."""
        return {"analyser_listen": f"127.0.0.1:{self._port}"}

    @property
    def in_use(self) -> bool:
        """Whether somebody listens."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    async def switch_on(self, late: float = 0.0) -> None:
        """Choose a free port."""
        self._late = late
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]

    async def switch_off(self) -> None:
        """Hang up."""
        self._hang_up()

    def _hang_up(self) -> None:
        if self._stream:
            self._stream[1].transport.abort()
            self._stream = None

    async def _transmit(self, data: bytes) -> None:
        """Connect for each message and wait for its answer, as simple analysers do."""
        while True:
            try:
                self._stream = await asyncio.open_connection("127.0.0.1", self._port)
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
        reader, writer = self._stream
        writer.write(data)
        try:
            await asyncio.wait_for(reader.readuntil(b"\x1c\x0d"), 5)
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            return  # what is no message is not answered
        finally:
            self._hang_up()


class SerialAnalyserDevice(_AnalyserDevice):
    """On a pseudo-terminal."""

    reader = "hl7-analyser-serial"

    def __init__(self) -> None:
        super().__init__()
        self._line: VirtualLine | None = None

    @property
    def line(self) -> VirtualLine:
        """The line that it is on."""
        assert self._line is not None, "it is not switched on"
        return self._line

    @property
    def device(self) -> DeviceInfo:
        """As discovery finds it through the setting."""
        name = self.line.address.removeprefix("/dev/").replace("/", "_")
        return DeviceInfo(device_id=f"port-{name}", name="Analyser", kinds=("glucose",), address=self.line.address)

    @property
    def settings(self) -> Mapping[str, Any]:
        """A pseudo-terminal is listed nowhere, so it is named."""
        return {"further_ports": self.line.address}

    @property
    def in_use(self) -> bool:
        """Whether a reader has the port open."""
        return self._line is not None and self._line.in_use

    async def switch_on(self, late: float = 0.0) -> None:
        """Be plugged in."""
        self._line, self._late = VirtualLine(), late

    async def switch_off(self) -> None:
        """Be unplugged."""
        if self._line:
            self._line.unplug()

    async def vanish(self) -> None:
        """The cable is pulled."""
        self.line.unplug()

    async def _transmit(self, data: bytes) -> None:
        """Send again until an answer comes, at most three times, as analysers do on a cable."""
        for _ in range(3):
            while not self.in_use:
                await asyncio.sleep(0.02)
            self.line.received()  # earlier answers
            self.line.send(data)
            for _ in range(100):
                await asyncio.sleep(0.01)
                if b"\x0b" in self.line.received():
                    return
            if b"OBX" not in data:
                return  # what is no message is not answered
