"""A Socket.IO client of a few microseconds a message, so that 300 of them do not hide what the server costs.

Speaks Engine.IO 4 and Socket.IO 5 over a WebSocket from the first request. Knows what the benches need and no
more: no binary events, no namespaces, no reconnection.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import time
from collections.abc import Callable
from typing import Any

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Client(asyncio.Protocol):
    """One connection. `on_event` is called with (name, argument, time.monotonic() of arrival)."""

    def __init__(self, on_event: Callable[[str, Any, float], None] | None = None) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._on_event = on_event
        self._acks: dict[int, asyncio.Future[Any]] = {}
        self._buffer = bytearray()
        self._parts: list[bytes] = []
        self._upgraded = False
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def connect(
        cls,
        port: int,
        on_event: Callable[[str, Any, float], None] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> Client:
        """Open a connection to 127.0.0.1 and wait until the server has accepted the namespace."""
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(lambda: cls(on_event), "127.0.0.1", port, ssl=tls)
        await client.ready
        return client

    async def call(self, event: str, value: Any, seconds: float = 60) -> Any:
        """Emit an event and wait for its acknowledgement; gives the handler's return value."""
        number = len(self._acks)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._acks[number] = future
        self._send(f"42{number}{json.dumps([event, value])}")
        return await asyncio.wait_for(future, seconds)

    def emit(self, event: str, value: Any) -> None:
        """Emit an event."""
        self._send(f"42{json.dumps([event, value])}")

    def pause(self) -> None:
        """Read nothing from now on, as a receiver on a stalled network does."""
        assert self._transport
        self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        assert self._transport
        self._transport.resume_reading()

    def abort(self) -> None:
        """Cut the connection."""
        assert self._transport
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def connection_lost(self, error: Exception | None) -> None:
        """Everything that still waits fails."""
        reason = error or ConnectionError("The server closed the connection.")
        for future in [self.ready, *self._acks.values()]:
            if not future.done():
                future.set_exception(reason)
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Take whole frames out of what has arrived."""
        now = time.monotonic()
        self._buffer += data
        if not self._upgraded:
            head, found, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.ready.set_exception(ConnectionError(head.decode(errors="replace")))
                self.abort()
                return
            self._upgraded = True
            self._buffer = bytearray(rest)
        while self._take_frame(now):
            pass

    def _take_frame(self, now: float) -> bool:
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        size, start = buffer[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(buffer) < start:
                return False
            size = int.from_bytes(buffer[2:start], "big")
        if len(buffer) < start + size:
            return False
        first, payload = buffer[0], bytes(buffer[start : start + size])
        del buffer[: start + size]
        kind = first & 0x0F
        if first & 0x70 or kind not in (0, TEXT, CLOSE, PING, PONG):
            self.abort()  # what arrives is no WebSocket frame: the stream is damaged
            return False
        if kind in (0, TEXT):
            self._parts.append(payload)
            if first & 0x80:
                text = b"".join(self._parts).decode()
                self._parts = []
                self._take_packet(text, now)
        elif kind == PING:
            self._write(PONG, payload)
        elif kind == CLOSE:
            self.abort()
        return True

    def _take_packet(self, text: str, now: float) -> None:
        if text == "2":
            self._send("3")
        elif text.startswith("0"):
            self._send("40")
        elif text.startswith("40"):
            self.ready.set_result(None)
        elif text.startswith("43"):
            start = text.index("[")
            values = json.loads(text[start:])
            future = self._acks[int(text[2:start])]
            if not future.done():
                future.set_result(values[0] if values else None)
        elif text.startswith("42") and self._on_event:
            name, value = json.loads(text[2:])
            self._on_event(name, value, now)

    def _send(self, text: str) -> None:
        self._write(TEXT, text.encode())

    def _write(self, kind: int, payload: bytes) -> None:
        size = len(payload)
        if size < 126:
            head = bytes([0x80 | kind, 0x80 | size])
        elif size < 65536:
            head = bytes([0x80 | kind, 0xFE]) + size.to_bytes(2, "big")
        else:
            head = bytes([0x80 | kind, 0xFF]) + size.to_bytes(8, "big")
        assert self._transport
        self._transport.write(head + b"\0\0\0\0" + payload)  # a mask of zeros is a mask, and costs nothing
