"""Reads analysers that send HL7 v2 results over MLLP, on the network or on a serial port.

What the bytes mean is `hl7`. A message is answered AA only after every result in it that is known here was kept;
an analyser that gets no AA sends again, and a repeat gives the same reading. The patient in a message (PID) decides
nothing: a person at the tray says whose a reading is, and sees the name and number in the message beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from teleconsult.plugin_api import (
    DeviceInfo,
    DeviceReader,
    DeviceSession,
    DeviceState,
    DeviceUnavailable,
    ReadingNotTaken,
    Text,
)
from teleconsult_vitals_serial.hl7.coding import COMPONENTS
from teleconsult_vitals_serial.hl7.message import Header, Rejected, Results, answer, answers, parse, read_header
from teleconsult_vitals_serial.hl7.mllp import Framer, Left, Trouble, frame
from teleconsult_vitals_serial.hl7.readings import Sorted, sort_results
from teleconsult_vitals_serial.ports import SerialPort, discover_ports, find_port
from teleconsult_vitals_serial.settings import SerialSettings, split_address
from teleconsult_vitals_serial.standing import Standing

WAITING = Text(en="Waiting for results.", zh="正在等待检验结果。")
NOTHING_KNOWN = Text(
    en="None of the results is known here. Add its codes in the settings.", zh="没有可识别的结果，请在设置中添加代码。"
)
NOT_KEPT = Text(en="The result could not be kept now. Send it again.", zh="结果暂时无法保存，请重新发送。")
TEST_MESSAGE = Text(en="A message marked as a test is not kept.", zh="标记为测试的消息不予保存。")
TOO_LONG = Text(en="The message is too long.", zh="消息过长。")
NO_END = Text(en="A message ended too soon. Send it again.", zh="消息不完整，请重新发送。")
NOT_ALLOWED = Text(
    en="A device that is not in the list of allowed senders tried to connect.",
    zh="有不在允许名单内的设备尝试连接。",
)

CONNECTIONS = 8
IDLE_BLOCK = 30.0
"""Seconds in which a message that has begun must go on."""
ANSWER_TIME = 10.0
"""Seconds for a sender to take its answer."""
READ_BYTES = 65536
TRAINING = ("T", "D")
"""MSH-11: training and debugging; only P is production."""

Send = Callable[[bytes], Awaitable[None]]
Tell = Callable[[DeviceState, Text], Awaitable[None]]


@dataclass(frozen=True)
class _Block:
    """What came out of a line, and how to answer it."""

    found: bytes | Left
    send: Send


class Analyser(DeviceReader):
    """What analysers on both sorts of lines have in common: messages in, readings and answers out."""

    kinds: ClassVar[tuple[str, ...]] = tuple(COMPONENTS)
    settings: SerialSettings
    session: DeviceSession
    standing: Standing

    def __init__(self, device: DeviceInfo, settings: SerialSettings | None = None) -> None:
        super().__init__(device, settings or SerialSettings())
        self._answers = 0
        self._pace = _Pace()

    async def run(self, session: DeviceSession) -> None:
        """Take messages until cancelled. Raises DeviceUnavailable, with what still stands."""
        self.session, self.standing = session, Standing(session)
        await self.standing.put(())
        try:
            await self.listen()
        except DeviceUnavailable as lost:
            raise DeviceUnavailable(self.standing.before(lost.sentence)) from lost

    async def listen(self) -> None:
        """Open the line, say so, and handle what comes."""
        raise NotImplementedError

    async def tell(self, state: DeviceState, sentence: Text) -> None:
        """Say how the device is, after what still stands."""
        await self.session.status(DeviceState.FAILED if self.standing else state, self.standing.before(sentence))

    async def handle(self, found: bytes | Left, send: Send) -> None:
        """Take one message, or what is left of one, and answer it."""
        if isinstance(found, Left):
            await self._handle_left(found, send)
            return
        try:
            results = await asyncio.to_thread(parse, found)
        except Rejected as rejected:
            await self.tell(DeviceState.FAILED, rejected.sentence)
            if rejected.header:
                await self._answer(send, rejected.header, "AR", rejected.sentence)
            return
        if results.header.processing_id[:1] in TRAINING:
            await self._refuse(send, results.header, TEST_MESSAGE, "AA")
            return
        await self._handle_results(results, send)

    async def _handle_results(self, results: Results, send: Send) -> None:
        settings, now = self.settings, self.session.now()
        found = sort_results(results, settings.coding, settings.zone, now, to_tray=settings.analyser_to_tray)
        # Quality control is nobody's: it is said with its own message and does not stand.
        remarks = [remark.sentence for remark in found.remarks[:3]]
        await self.standing.put(remark for remark in found.remarks if not remark.control)
        for ready in found.ready:
            await self._pace.turn()
            try:
                await self.session.reading(
                    ready.kind,
                    ready.values,
                    taken_at=ready.taken_at,
                    sequence=ready.sequence,
                    flags=ready.flags,
                    note=ready.note,
                    raw=ready.raw,
                )
            except ReadingNotTaken:
                await self._refuse(send, results.header, NOT_KEPT)
                return
        if found.refused:
            code, sentence = "AE", found.refused[0]
        else:
            # Also what is not known here is answered AA: an analyser would send it again for ever.
            known = found.ready or found.cannot_be_had or remarks
            code, sentence = "AA", _summary(found, results.left_out) if known else NOTHING_KNOWN
        good = code == "AA" and sentence is not NOTHING_KNOWN and not remarks
        told = _joined([*remarks, sentence]) if results.control else sentence
        await self.tell(DeviceState.IDLE if good else DeviceState.FAILED, told)
        await self._answer(send, results.header, code, _joined([*remarks, sentence]))

    async def _handle_left(self, left: Left, send: Send) -> None:
        if left.trouble is Trouble.NO_START:
            return  # line noise between messages; nobody waits for an answer to it
        sentence = TOO_LONG if left.trouble is Trouble.TOO_LONG else NO_END
        await self.tell(DeviceState.FAILED, sentence)
        header = read_header(left.head)
        if header and header.control_id:
            await self._answer(send, header, "AR", sentence)

    async def _refuse(self, send: Send, header: Header, sentence: Text, code: str = "AE") -> None:
        """After AE the analyser sends again; AA is for what will never be taken."""
        await self.tell(DeviceState.FAILED, sentence)
        await self._answer(send, header, code, sentence)

    async def _answer(self, send: Send, header: Header, code: str, sentence: Text) -> None:
        for each in answers(header, code):
            self._answers += 1
            now = self.session.now()
            control_id = f"{now:%Y%m%d%H%M%S}{self._answers % 10_000:04d}"
            await send(frame(answer(header, each, sentence, control_id, now)))


class _Pace:
    """Slows a flood of results down: a sender waits for its answers. Never more than 2300 in five minutes."""

    BURST, PER_SECOND = 500.0, 6.0

    def __init__(self) -> None:
        self._left = self.BURST
        self._at: float | None = None

    async def turn(self) -> None:
        """Wait for the turn of one reading."""
        now = asyncio.get_running_loop().time()
        if self._at is not None:
            self._left = min(self.BURST, self._left + (now - self._at) * self.PER_SECOND)
        self._at = now
        self._left -= 1
        if self._left < 0:
            await asyncio.sleep(-self._left / self.PER_SECOND)


def _joined(sentences: Sequence[Text]) -> Text:
    return Text(
        en=" ".join(sentence.en for sentence in sentences)[:500],
        zh="".join(sentence.zh for sentence in sentences)[:500],
    )


def _summary(found: Sorted, left_out: int) -> Text:
    en, zh = [f"Results taken: {len(found.ready)}."], [f"已接收结果：{len(found.ready)} 项。"]
    if found.cannot_be_had:
        names = ", ".join(name[:30] for name in found.cannot_be_had[:5])
        en.append(f"Without a value: {names}.")
        zh.append(f"无结果：{names}。")
    if found.unknown:
        en.append(f"Not known here: {len(found.unknown)}.")
        zh.append(f"无法识别：{len(found.unknown)} 项。")
    if left_out:
        en.append(f"Pictures and texts left out: {left_out}.")
        zh.append(f"图片和文字未接收：{left_out} 项。")
    return Text(en=" ".join(en), zh="".join(zh))


class SerialAnalyser(Analyser):
    """One analyser on a serial port."""

    @classmethod
    async def discover(cls, settings: SerialSettings | None = None) -> AsyncIterator[DeviceInfo]:
        """Every serial port."""
        further = (settings or SerialSettings()).further_ports
        async for device in discover_ports(further, cls.kinds, ()):
            yield device

    async def listen(self) -> None:
        """Open the port and take messages until cancelled."""
        address = await asyncio.to_thread(find_port, self.device)
        async with SerialPort(address, self.settings.analyser_baud) as port:
            await self.tell(DeviceState.IDLE, WAITING)
            framer = Framer()
            async for data in port.chunks():
                for found in framer.feed(data):
                    await self.handle(found, port.write)


class NetworkAnalyser(Analyser):
    """One analyser that connects to a TCP port here."""

    @classmethod
    async def discover(cls, settings: SerialSettings | None = None) -> AsyncIterator[DeviceInfo]:
        """One for each address that is set."""
        for word in (settings or SerialSettings()).analyser_listen.split():
            port = split_address(word)[1]
            yield DeviceInfo(device_id=f"hl7-{port}", name=f"HL7 :{port}", kinds=cls.kinds, address=word)

    async def listen(self) -> None:
        """Listen and take messages until cancelled. Messages of all connections are taken one at a time."""
        blocks: asyncio.Queue[_Block] = asyncio.Queue(maxsize=1)
        door = _Door(self.tell, self.settings, blocks)
        host, port = _address(self.device, self.settings)
        try:
            server = await asyncio.start_server(door.serve, host, port, limit=READ_BYTES)
        except OSError as error:
            raise DeviceUnavailable(
                Text(
                    en=f"Cannot listen at {host}:{port}. Another program has it, or the address is not this machine's.",
                    zh=f"无法监听 {host}:{port}：端口被占用，或地址不属于本机。",
                )
            ) from error
        try:
            await self.tell(DeviceState.IDLE, WAITING)
            while True:
                block = await blocks.get()
                await self.handle(block.found, block.send)
        finally:
            server.close()
            await door.close()


def _address(device: DeviceInfo, settings: SerialSettings) -> tuple[str, int]:
    """The address that is set for the device's port today, else the one it was found with."""
    for word in settings.analyser_listen.split():
        host, port = split_address(word)
        if device.device_id == f"hl7-{port}":
            return host, port
    try:
        return split_address(device.address or settings.analyser_listen.split()[0])
    except (ValueError, IndexError):
        raise DeviceUnavailable(Text(en="Set an address to listen at.", zh="请在设置中填写监听地址。")) from None


class _Door:
    """Lets senders in and takes their bytes apart. Its tasks end with `close`."""

    def __init__(self, tell: Tell, settings: SerialSettings, blocks: asyncio.Queue[_Block]) -> None:
        self._tell = tell
        self._settings = settings
        self._blocks = blocks
        self._heard: dict[asyncio.Task[None], float] = {}
        """Each connection, and when it last said something."""
        self._told_at: float | None = None
        self._closed = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its beginning to its end."""
        task = asyncio.current_task()
        assert task is not None
        if self._closed:  # it was accepted just before the listening ended
            writer.transport.abort()
            return
        self._make_room()
        self._heard[task] = asyncio.get_running_loop().time()
        try:
            if not self._settings.allows(str(writer.get_extra_info("peername")[0])):
                await self._tell_stranger()
            else:
                await self._take(task, reader, writer)
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass  # it connects again, or the reader is being stopped
        finally:
            self._heard.pop(task, None)
            writer.transport.abort()

    def _make_room(self) -> None:
        """Hang up on the one that was silent longest: an analyser that lost its power never said goodbye."""
        if len(self._heard) >= CONNECTIONS:
            silent = min(self._heard, key=self._heard.__getitem__)
            del self._heard[silent]
            silent.cancel()

    async def _tell_stranger(self) -> None:
        """Once a minute: a stranger that tries on and on must not fill the device's line."""
        now = asyncio.get_running_loop().time()
        if self._told_at is None or now - self._told_at >= 60:
            self._told_at = now
            await self._tell(DeviceState.FAILED, NOT_ALLOWED)

    async def _take(self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def send(data: bytes) -> None:
            """A sender that is gone or takes nothing will send its message again: nothing is lost."""
            with contextlib.suppress(OSError, TimeoutError):
                writer.write(data)
                # Not wait_for(): in Python 3.11 it may swallow a cancellation that comes as it ends.
                async with asyncio.timeout(ANSWER_TIME):
                    await writer.drain()

        framer = Framer()
        while True:
            async with asyncio.timeout(IDLE_BLOCK if framer.inside else None):
                data = await reader.read(READ_BYTES)
            self._heard[task] = asyncio.get_running_loop().time()
            for found in framer.feed(data):
                await self._blocks.put(_Block(found, send))
            if not data:
                return

    async def close(self) -> None:
        """End every connection, and those that are still on their way in."""
        self._closed = True
        tasks = set(self._heard)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
