"""The whole product running: a hub and a vehicle node as processes, joined by a link that a test can cut."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from teleconsult.demo.run import Demo
from teleconsult.tls import Authority


class Link:
    """A TCP relay between the vehicle and the hub. Cut, it swallows everything in silence, as a mountain does."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = threading.Event()
        self._open.set()
        self._ending = False
        self._sockets: set[socket.socket] = set()
        self.address = f"{parts.scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """From now on nothing passes; connections stay open and say nothing."""
        self._open.clear()

    def mend(self) -> None:
        """Connections made before the cut are dead; new ones work."""
        self._close_all()
        self._open.set()

    def close(self) -> None:
        """End the relay."""
        self._ending = True
        self._open.set()
        self._listener.close()
        self._close_all()

    def _close_all(self) -> None:
        for one in list(self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._sockets.clear()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.add(near)
            if not self._open.is_set():
                continue
            try:
                far = socket.create_connection(self._target)
            except OSError:
                near.close()
                continue
            self._sockets.add(far)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not self._open.is_set():
                    return  # swallowed; the ends find out by themselves
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


class County:
    """Hub and vehicle node on a fresh, seeded database each.

    With `https` each has an authority of its own and is reached under a name: browsers need `authorities` in their
    store and `NAMES` to find them.
    """

    NAMES: ClassVar = {"hub.local": "127.0.0.1", "vehicle.local": "127.0.0.1"}

    def __init__(self, folder: Path, *, https: bool = False) -> None:
        self._demo = Demo(folder, hub_port=0, vehicle_port=0)
        self.folder = folder
        self.authorities: list[Path] = []
        for kind in ("hub", "vehicle") if https else ():
            authority = Authority(folder / kind)
            authority.make([f"{kind}.local"])
            self.authorities.append(authority.file)

    def __enter__(self) -> County:
        key = self._demo.prepare()
        try:
            hub = self._demo.start_hub()
            self.link = Link(hub)
            vehicle = self._demo.start_vehicle(self.link.address, key)
        except BaseException:
            self._demo.stop()
            raise
        self.hub = hub.replace("https://127.0.0.1", "https://hub.local")
        self.vehicle = vehicle.replace("https://127.0.0.1", "https://vehicle.local")
        return self

    def __exit__(self, *_: object) -> None:
        self._demo.stop()
        self.link.close()

    def media_workers(self) -> list[int]:
        """Process ids of the hub's media workers."""
        return sorted(pid for pid in self._descendants() if b"teleconsult.media.worker" in _command(pid))

    def kill_media_workers(self) -> None:
        """End them as a fault would."""
        for pid in self.media_workers():
            os.kill(pid, signal.SIGKILL)

    def _descendants(self) -> set[int]:
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError, IndexError):
                    parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        found = {os.getpid()}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        return b""
