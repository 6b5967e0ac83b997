"""Which server carries 300 open WebSockets best: the production servers that Flask-SocketIO can run under.

    python -m tests.bench.servers

Each candidate serves the same small application (`tests.bench._server_app`) in a process of its own, to 300
clients in this process. CPU and memory are the server's alone, read from /proc. docs/decisions/server.md draws
the conclusion.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import Rows, table
from tests.support.socketio_client import Client

CLIENTS = 300
IDLE_SECONDS = 15
BROADCASTS = 50
LOAD_SECONDS = 10
LARGE_BYTES = 4_000_000
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Candidate:
    """One way to serve the application; {port}, {database}, {cert} and {key} are filled in."""

    name: str
    command: tuple[str, ...]
    tls: tuple[str, ...]
    environment: dict[str, str]


def _gunicorn(worker: str, *options: str) -> tuple[str, ...]:
    return (
        *(sys.executable, "-m", "gunicorn", "--worker-class", worker, "--workers", "1", *options),
        *("--bind", "127.0.0.1:{port}", "--log-level", "warning", "tests.bench._server_app:make_app()"),
    )


_GEVENT = (sys.executable, "-m", "tests.bench._server_app")
_PYWSGI_TLS = ("{cert}", "{key}")
_GUNICORN_TLS = ("--certfile", "{cert}", "--keyfile", "{key}")
CANDIDATES = [
    Candidate("gevent pywsgi", (*_GEVENT, "gevent", "{port}", "{database}"), _PYWSGI_TLS, {}),
    Candidate("gevent pywsgi, whole sends", (*_GEVENT, "gevent-whole", "{port}", "{database}"), _PYWSGI_TLS, {}),
    Candidate("gunicorn gevent", _gunicorn("gevent"), _GUNICORN_TLS, {"MODE": "gevent"}),
    Candidate(
        "gunicorn gthread, 400 threads",
        _gunicorn("gthread", "--threads", "400"),
        _GUNICORN_TLS,
        {"MODE": "threading"},
    ),
]


class Server:
    """A candidate, running; its CPU and memory are those of all its processes."""

    def __init__(self, candidate: Candidate, folder: Path, tls: bool) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        values = {
            "port": self.port,
            "database": folder / f"{self.port}.db",
            "cert": folder / "cert.pem",
            "key": folder / "key.pem",
        }
        command = candidate.command + (candidate.tls if tls else ())
        self._process = subprocess.Popen(
            [part.format(**values) for part in command],
            cwd=ROOT,
            env={**os.environ, **candidate.environment, "DATABASE": str(values["database"])},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(folder / f"{self.port}.log").open("wb"),
        )

    def wait_until_ready(self, tls: ssl.SSLContext | None) -> None:
        """Raises RuntimeError if the server does not answer within 20 seconds."""
        address = f"http{'s' if tls else ''}://127.0.0.1:{self.port}/"
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                urllib.request.urlopen(address, timeout=5, context=tls).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"{self._process.args} does not answer.")

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        ticks = 0
        for pid in self._pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Proportional set size now."""
        total = 0
        for pid in self._pids():
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(text.partition("\nPss:")[2].split()[0])
        return total / 1024

    def stop(self) -> None:
        """End it and wait for the end."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            for pid in self._pids():
                os.kill(pid, signal.SIGKILL)
            self._process.wait()

    def _pids(self) -> list[int]:
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]


def percentile(values: list[float], share: float) -> float:
    """The value that `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def measure(server: Server) -> dict[str, float]:
    """All figures of one candidate; milliseconds, MB and per cent of one core."""
    row: dict[str, float] = {"memory, no client": server.memory_mb()}
    news: list[float] = []

    def on_event(_name: str, sent: Any, arrived: float) -> None:
        news.append((arrived - sent) * 1000)

    start = time.monotonic()
    clients = await asyncio.gather(*(Client.connect(server.port, on_event) for _ in range(CLIENTS)))
    row["all connected after"] = (time.monotonic() - start) * 1000
    row[f"memory, {CLIENTS} clients"] = server.memory_mb()

    cpu = server.cpu_seconds()
    await asyncio.sleep(IDLE_SECONDS)
    row["CPU idle"] = (server.cpu_seconds() - cpu) / IDLE_SECONDS * 100

    cpu = server.cpu_seconds()
    for _ in range(BROADCASTS):
        clients[0].emit("broadcast", time.monotonic())
        await asyncio.sleep(0.2)
    await _until(lambda: len(news) >= BROADCASTS * CLIENTS)
    row["broadcast p50"], row["broadcast p95"] = percentile(news, 0.5), percentile(news, 0.95)
    row["CPU a broadcast"] = (server.cpu_seconds() - cpu) / BROADCASTS * 1000

    row |= await _load(server, clients)
    for client in clients:
        client.abort()
    await asyncio.gather(*(client.closed for client in clients))
    row["large messages whole"] = await large_messages(server, 5)
    return row


async def _load(server: Server, clients: list[Client]) -> dict[str, float]:
    """Everybody echoes every other second, twenty clients write five times a second, pages are fetched."""
    times: dict[str, list[float]] = {"echo": [], "write": [], "page": []}
    end = time.monotonic() + LOAD_SECONDS

    async def calls(client: Client, event: str, pause: float) -> None:
        await asyncio.sleep(random.uniform(0, pause))
        while time.monotonic() < end:
            start = time.monotonic()
            await client.call(event, "x" * 100)
            times[event].append((time.monotonic() - start) * 1000)
            await asyncio.sleep(pause)

    async def pages() -> None:
        while time.monotonic() < end:
            start = time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            await reader.read()
            writer.close()
            times["page"].append((time.monotonic() - start) * 1000)
            await asyncio.sleep(0.05)

    cpu = server.cpu_seconds()
    await asyncio.gather(
        pages(),
        *(calls(client, "echo", 2) for client in clients),
        *(calls(client, "write", 0.2) for client in clients[:20]),
    )
    row = {"CPU under load": (server.cpu_seconds() - cpu) / LOAD_SECONDS * 100}
    for name, values in times.items():
        row[f"{name} p50"], row[f"{name} p95"] = percentile(values, 0.5), percentile(values, 0.95)
    return row


async def large_messages(server: Server, count: int) -> int:
    """How many of `count` large messages reach a receiver that stalls, as on bad 4G, unharmed."""
    expected = "".join(f"{number:09d}," for number in range(LARGE_BYTES // 10))
    whole = 0
    for _ in range(count):
        client = await Client.connect(server.port)
        answer = asyncio.ensure_future(client.call("large", LARGE_BYTES, seconds=10))
        await asyncio.sleep(0)
        client.pause()
        await asyncio.sleep(0.5)
        client.resume()
        with contextlib.suppress(ConnectionError, TimeoutError):
            whole += await answer == expected
        client.abort()
    return whole


async def _tls_works(port: int, tls: ssl.SSLContext) -> float:
    """1 if 50 clients echo 100 kB each over TLS."""
    text = "y" * 100_000
    clients = await asyncio.gather(*(Client.connect(port, tls=tls) for _ in range(50)))
    try:
        answers = await asyncio.gather(*(client.call("echo", text, seconds=20) for client in clients))
    except (ConnectionError, TimeoutError):
        return 0
    finally:
        for client in clients:
            client.abort()
    return float(all(answer == text for answer in answers))


async def _until(condition: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(0.02)


def _measure(candidate: Candidate, folder: Path) -> dict[str, float]:
    server = Server(candidate, folder, tls=False)
    try:
        server.wait_until_ready(None)
        row = asyncio.run(measure(server))
    finally:
        server.stop()
    context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
    server = Server(candidate, folder, tls=True)
    try:
        server.wait_until_ready(context)
        row["TLS"] = asyncio.run(_tls_works(server.port, context))
    finally:
        server.stop()
    return row


def _make_certificate(folder: Path) -> None:
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=127.0.0.1",
            ),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )


def main() -> Rows:
    """Measure every candidate and print the table; gives figures by candidate."""
    rows: Rows = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make_certificate(folder)
        for candidate in CANDIDATES:
            rows[candidate.name] = _measure(candidate, folder)
    print(table(f"Servers with {CLIENTS} open WebSockets (ms, MB, % of a core)", rows))
    return rows


if __name__ == "__main__":
    main()
