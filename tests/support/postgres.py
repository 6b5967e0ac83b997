"""A private PostgreSQL server for tests: made in a temporary folder, gone afterwards.

    python -m tests.support.postgres COMMAND...    runs COMMAND with TELECONSULT_TEST_DATABASE_URL set to it

It never touches a server that runs on the machine, and listens on nothing but a Unix socket in its own
folder. Durability is off: a test's data need not survive a power cut.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 60
VARIABLE = "TELECONSULT_TEST_DATABASE_URL"
FAST = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200"]


@contextmanager
def private_server() -> Iterator[str]:
    """Start a server; gives the SQLAlchemy URL of its database `postgres`, whose user may create databases.

    Raises RuntimeError with the server's log if it does not answer within START_SECONDS.
    """
    folder = Path(tempfile.mkdtemp(prefix="tc-pg-"))
    account = _account(folder)
    data, log = folder / "data", folder / "log"
    try:
        _run_initdb(data, account)
        settings = [*FAST, "listen_addresses=", f"unix_socket_directories={folder}"]
        arguments = [str(_program("postgres")), "-D", str(data)]
        for setting in settings:
            arguments += ["-c", setting]
        with log.open("wb") as output:
            server = subprocess.Popen(
                arguments,
                cwd=folder,
                user=account,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=_end_with_parent(),
            )
        try:
            _wait_until_ready(server, folder, log)
            yield f"postgresql+psycopg://teleconsult@/postgres?host={folder}"
        finally:
            server.send_signal(signal.SIGINT)  # the fast shutdown: ends open sessions
            server.wait(START_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _account(folder: Path) -> str | None:
    """The account the server runs as: PostgreSQL refuses root. The folder is given to it."""
    if os.geteuid() != 0:
        return None
    shutil.chown(folder, "postgres", "postgres")
    return "postgres"


def _program(name: str) -> Path:
    on_path = shutil.which(name)
    if on_path:
        return Path(on_path)
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    if not found:
        raise RuntimeError("The tests need the PostgreSQL server; scripts/system-packages test installs it.")
    return found[-1]


def _run_initdb(data: Path, account: str | None) -> None:
    subprocess.run(
        [
            str(_program("initdb")),
            *("--pgdata", str(data), "--username", "teleconsult", "--auth", "trust"),
            *("--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--no-instructions"),
        ],
        cwd=data.parent,
        user=account,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def _end_with_parent() -> Callable[[], None]:
    """A server must not outlive a test run that was killed: Linux sends it SIGINT then."""
    libc = ctypes.CDLL(None)
    set_parent_death_signal = 1
    return lambda: libc.prctl(set_parent_death_signal, signal.SIGINT)


def _wait_until_ready(server: subprocess.Popen[bytes], folder: Path, log: Path) -> None:
    ready = [str(_program("pg_isready")), "--quiet", "--host", str(folder), "--username", "teleconsult"]
    deadline = time.monotonic() + START_SECONDS
    while subprocess.run(ready, check=False, stdin=subprocess.DEVNULL).returncode != 0:
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


def main() -> int:
    """Run the command of the arguments beside a private server; its exit code is ours."""
    with private_server() as url:
        return subprocess.run(sys.argv[1:], check=False, env={**os.environ, VARIABLE: url}).returncode


if __name__ == "__main__":
    sys.exit(main())
