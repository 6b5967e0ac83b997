"""The parent's side: start a child, write to it, hear from it, notice its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

log = structlog.get_logger(__name__)

Message = dict[str, Any]

MAX_LINE = 4 * 1024 * 1024
"""Longest line, in bytes, that is taken from a child if nothing else is said. A longer one ends the child."""


class Backoff:
    """Delays before restarts of a failing child: 0.1 s doubled up to a limit, back to the start after success.

    `limit` is in seconds.
    """

    def __init__(self, first: float = 0.1, limit: float = 30.0) -> None:
        self._first = first
        self._limit = limit
        self._next = first

    def next(self) -> float:
        """The seconds to wait before the coming restart."""
        delay = self._next
        self._next = min(self._next * 2, self._limit)
        return delay

    def reset(self) -> None:
        """Called when the child has proved to be well."""
        self._next = self._first


class ChildProcess:
    """One child that reads and writes a JSON object a line on its stdin and stdout.

    `on_message` and `on_exit` are called on a thread of this object, one at a time; `on_exit` once, with the
    exit status, also when the child was stopped by `stop()`. The child's stderr is this process's own, so its
    log lines join ours. A child ends by itself when its stdin closes, so none outlives a parent that was killed.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        on_message: Callable[[Message], None],
        on_exit: Callable[[int], None],
        env: Mapping[str, str] | None = None,
        max_line: int = MAX_LINE,
    ) -> None:
        self.name = name
        self._argv = list(argv)
        self._on_message = on_message
        self._on_exit = on_exit
        self._env = dict(env or {})
        self._max_line = max_line
        self.line_too_long = False
        """Whether it was ended because it wrote a line beyond `max_line`."""
        self._process: subprocess.Popen[bytes] | None = None
        self._write_lock = threading.Lock()
        self._reader: threading.Thread | None = None

    @classmethod
    def python(
        cls,
        name: str,
        module: str,
        on_message: Callable[[Message], None],
        on_exit: Callable[[int], None],
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        max_line: int = MAX_LINE,
    ) -> ChildProcess:
        """A child that runs `python -m module args…` with this interpreter."""
        return cls(name, [sys.executable, "-m", module, *args], on_message, on_exit, env, max_line)

    def start(self) -> None:
        """Start the child. Raises OSError if the program cannot be run."""
        self._process = subprocess.Popen(  # noqa: S603 - argv is ours
            self._argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **self._env},
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"child-{self.name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int | None:
        """The child's process id, or None before `start()`."""
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        """Whether the child has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def send(self, message: Message) -> bool:
        """Write one message. False if the child is gone: its end is told by `on_exit`, not here."""
        process = self._process
        if process is None or process.stdin is None:
            return False
        line = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        try:
            with self._write_lock:
                process.stdin.write(line)
                process.stdin.flush()
        except (OSError, ValueError):
            return False
        return True

    def stop(self, grace: float = 3.0) -> None:
        """Close the child's stdin, wait `grace` seconds for its end, then kill it."""
        process = self._process
        if process is None:
            return
        try:
            with self._write_lock:
                if process.stdin:
                    process.stdin.close()
        except OSError:
            pass
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            log.warning("child did not end, killing it", child=self.name, pid=process.pid)
            process.kill()
            process.wait()
        if self._reader and self._reader is not threading.current_thread():
            self._reader.join(grace)

    def kill(self) -> None:
        """End the child at once, as a fault would. `on_exit` is called as for any other end."""
        if self._process:
            self._process.kill()

    def _read(self) -> None:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        while line := process.stdout.readline(self._max_line):
            if len(line) >= self._max_line and not line.endswith(b"\n"):
                log.error("child wrote a line that is too long, killing it", child=self.name, limit=self._max_line)
                self.line_too_long = True
                process.kill()
                break
            try:
                message = json.loads(line)
            except ValueError:
                log.warning("child wrote a line that is not JSON", child=self.name, length=len(line))
                continue
            if not isinstance(message, dict):
                log.warning("child wrote a line that is not an object", child=self.name)
                continue
            try:
                self._on_message(message)
            except Exception:
                log.exception("message from child failed", child=self.name)
        status = process.wait()
        try:
            self._on_exit(status)
        except Exception:
            log.exception("handling a child's end failed", child=self.name, status=status)
