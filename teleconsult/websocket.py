"""WebSocket connections that send whole messages and take only messages of a bounded size.

The library that Flask-SocketIO takes WebSockets from (simple-websocket 1.1) calls `socket.send()` once for a
message. On a socket that does not block, as under gevent, that call may send only a part when the receiver's
network stalls: the rest is lost and the connection is ruined, on bad 4G first. It also gathers a message of any
size before anybody can refuse it. `install()` mends both; what Socket.IO does above is unchanged.
"""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import simple_websocket


def install(max_message_bytes: int) -> None:
    """Let every WebSocket accepted from now on be a `Server`; one larger message closes its connection."""
    Server.max_message_bytes = max_message_bytes
    simple_websocket.Server = Server


class Server(simple_websocket.Server):  # type: ignore[misc]  # the library has no types
    """The server's end of one WebSocket."""

    max_message_bytes: ClassVar[int]

    def __init__(self, environ: dict[str, Any], **options: Any) -> None:
        super().__init__(environ, **{"max_message_size": self.max_message_bytes, **options})

    def handshake(self) -> None:
        """Called by the library once it has found the socket, before anything is sent."""
        self.sock: Any = _WholeSends(self.sock)
        super().handshake()


class _WholeSends:
    """A socket whose `send` sends everything, one caller after the other."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._lock = threading.Lock()

    def send(self, data: bytes) -> int:
        if data:  # the library may send nothing at the end, which TLS takes for a fault
            with self._lock:
                self._sock.sendall(data)
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)
