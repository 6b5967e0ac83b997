"""A serial line without a cable: a pseudo-terminal whose one end is a device. Linux only."""

from __future__ import annotations

import contextlib
import os
import tty
from pathlib import Path


class VirtualLine:
    """A line whose other end is opened by its `address`, as a serial port is."""

    def __init__(self) -> None:
        self._device, self._port = os.openpty()
        tty.setraw(self._port)  # else what is sent before a reader comes is echoed and changed
        self.address = os.ttyname(self._port)

    def send(self, data: bytes) -> None:
        """Send all of it; waits while the reader is behind."""
        while data:
            data = data[os.write(self._device, data) :]

    def received(self) -> bytes:
        """What came from the reader since the last time."""
        os.set_blocking(self._device, False)
        try:
            return os.read(self._device, 65536)
        except BlockingIOError:
            return b""
        finally:
            os.set_blocking(self._device, True)

    @property
    def in_use(self) -> bool:
        """Whether a reader holds the port: it locks it while it does. (To try the lock would lock a reader out.)"""
        if self._port < 0:
            return False
        found = os.fstat(self._port)
        where = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
        return any(line.split()[-3] == where for line in Path("/proc/locks").read_text().splitlines())

    def unplug(self) -> None:
        """The device's end is gone, as when a cable is pulled. May be called twice."""
        for end in (self._device, self._port):
            if end >= 0:
                with contextlib.suppress(OSError):
                    os.close(end)
        self._device = self._port = -1
