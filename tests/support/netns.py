"""Network namespaces for tests: machines of their own on this one, joined by cables, capped, cut and taken away.

    with Network() as network:
        hub, vehicle = network.machine("hub"), network.machine("vehicle")
        network.cable(hub, "lan", vehicle, "lan")
        hub.address("lan", "10.77.0.1/24", "fd77::1/64")
        vehicle.address("lan", "10.77.0.2/24", "fd77::2/64")
        process = hub.popen([sys.executable, "-m", "…"])
        hub.cap("lan", kbit=300)

Needs root and the `ip` and `tc` of iproute2: mark tests with `needs_namespaces`, which skips them with the reason where
that is missing. Names carry the test process's id, so that runs side by side do not meet; leaving the block takes
everything away, whatever has happened in it.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, TypeVar

import pytest

T = TypeVar("T")

CLONE_NEWNET: Final = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _missing() -> str:
    """Why there can be no namespaces here; empty if there can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "network namespaces need root"
    if not shutil.which("ip") or not shutil.which("tc"):
        return "network namespaces need ip and tc of iproute2"
    name = f"tc-try-{os.getpid()}"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"network namespaces are not allowed here: {tried.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return ""


_reason = _missing()
needs_namespaces = pytest.mark.skipif(bool(_reason), reason=_reason or "network namespaces can be had")


def _run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=20)
    if done.returncode:
        raise AssertionError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


class Machine:
    """One namespace, with loopback up."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._processes: list[subprocess.Popen[Any]] = []
        _run("ip", "netns", "add", name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *words: str) -> str:
        """Run `ip` here, as in `machine.ip("route", "add", "blackhole", "203.0.113.7")`."""
        return _run("ip", "-n", self.name, *words)

    def address(self, device: str, *addresses: str) -> None:
        """Give a device more addresses, with their prefix lengths. IPv6 can be used at once."""
        for address in addresses:
            nodad = ("nodad",) if ":" in address else ()
            self.ip("address", "add", address, "dev", device, *nodad)

    def dummy(self, device: str, *addresses: str) -> None:
        """A device that leads nowhere, such as a bridge of containers."""
        self.ip("link", "add", device, "type", "veth", "peer", "name", f"{device}-end")
        self.ip("link", "set", device, "up")
        self.ip("link", "set", f"{device}-end", "up")
        self.address(device, *addresses)

    def gateway(self, address: str) -> None:
        """Send by that address what is for no network of this machine."""
        self.ip("route", "add", "default", "via", address)

    def cap(self, device: str, kbit: int, *, latency_ms: int = 400) -> None:
        """Let no more than so many kbit/s out by this device; what waits longer than `latency_ms` is lost."""
        burst = max(3200, kbit * 1000 // 8 // 50)
        words = ("rate", f"{kbit}kbit", "burst", str(burst), "latency", f"{latency_ms}ms")
        _run("tc", "-n", self.name, "qdisc", "replace", "dev", device, "root", "tbf", *words)

    def uncap(self, device: str) -> None:
        """Let everything out again."""
        _run("tc", "-n", self.name, "qdisc", "delete", "dev", device, "root")

    def command(self, argv: Sequence[str]) -> list[str]:
        """The words that run a command here."""
        return ["ip", "netns", "exec", self.name, *argv]

    def run(self, argv: Sequence[str], timeout: float = 60, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command here to its end."""
        return subprocess.run(
            self.command(argv), capture_output=True, text=True, check=False, timeout=timeout, **options
        )

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a command here. It is ended with the network."""
        process = subprocess.Popen(self.command(argv), **options)
        self._processes.append(process)
        return process

    def call(self, work: Callable[[], T]) -> T:
        """Call a function on a thread that is on this machine: sockets and child processes that it makes stay here."""
        result: list[T] = []
        problem: list[BaseException] = []

        def enter() -> None:
            try:
                with open(f"/run/netns/{self.name}", "rb") as place:
                    if _libc.setns(place.fileno(), CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns failed")
                result.append(work())
            except BaseException as exc:
                problem.append(exc)

        thread = threading.Thread(target=enter, name=f"in-{self.name}")
        thread.start()
        thread.join()
        if problem:
            raise problem[0]
        return result[0]

    def udp(self, host: str, port: int = 0) -> socket.socket:
        """A bound UDP socket on this machine; datagrams may then be sent and read from any thread."""

        def bind() -> socket.socket:
            sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((host, port))
            return sock

        return self.call(bind)

    def remove(self) -> None:
        """End what runs here, and the machine."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait(10)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False, timeout=20)


class Network:
    """Machines and the cables between them. Use it in a `with`."""

    def __init__(self) -> None:
        self._mark = f"{os.getpid():x}{secrets.token_hex(1)}"
        self._machines: list[Machine] = []

    def __enter__(self) -> Network:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for machine in reversed(self._machines):
            machine.remove()

    def machine(self, name: str) -> Machine:
        """A new machine. It stands for itself until a cable is put in."""
        machine = Machine(f"tc-{self._mark}-{name}")
        self._machines.append(machine)
        return machine

    def cable(self, left: Machine, left_device: str, right: Machine, right_device: str) -> None:
        """Join two machines by a cable; each sees it as the device of that name. Give addresses by `address`."""
        here, there = f"l{self._mark}"[:15], f"r{self._mark}"[:15]
        _run("ip", "link", "add", here, "type", "veth", "peer", "name", there)
        for machine, raw, device in ((left, here, left_device), (right, there, right_device)):
            _run("ip", "link", "set", raw, "netns", machine.name)
            machine.ip("link", "set", raw, "name", device)
            machine.ip("link", "set", device, "up")
