"""The parent's side: start a child, write to it, hear from it, notice its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from teleconsult.process._lines import LimitedLines

log = structlog.get_logger(__name__)

Message = dict[str, Any]

MAX_LINE = 4 * 1024 * 1024
"""Longest line, in bytes, that is taken from a child if nothing else is said. A longer one ends the child."""

_LAST_WORDS = 2.0
"""Seconds after a child's end in which its last words are still read, if something holds its pipes."""
_PRINTED_PER_SECOND = 1024 * 1024
"""Bytes of a child's stderr that are read in a second."""
_PRINTED_AT_ONCE = 64 * 1024


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

    `on_message` and `on_exit` are called on threads of this object, one at a time; `on_exit` once, after the last
    message, with the exit status, also when the child was stopped by `stop()`. A child ends by itself when its stdin
    closes, so none outlives a parent that was killed. Whatever way it ends, what it has started ends with it.

    The child's stderr is this process's own, so its log lines join ours; with a `label` they are passed on, so many
    a second at most, whatever way they were written.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        on_message: Callable[[Message], None],
        on_exit: Callable[[int], None],
        env: Mapping[str, str] | None = None,
        max_line: int = MAX_LINE,
        label: str = "",
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
        self._threads: list[threading.Thread] = []
        self._printed = LimitedLines(_to_log, label) if label else None
        self._lines_read = 0
        self._handling = False
        self._over = False

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
        label: str = "",
    ) -> ChildProcess:
        """A child that runs `python -m module args…` with this interpreter."""
        return cls(name, [sys.executable, "-m", module, *args], on_message, on_exit, env, max_line, label)

    def start(self) -> None:
        """Start the child. Raises OSError if the program cannot be run."""
        self._process = subprocess.Popen(  # noqa: S603 - argv is ours
            self._argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if self._printed else None,
            env={**os.environ, **self._env},
            start_new_session=True,
        )
        work = [self._read, self._pass_on] if self._printed else [self._read]
        readers = [threading.Thread(target=one, name=f"child-{self.name}", daemon=True) for one in work]
        watcher = threading.Thread(target=self._watch, args=[readers], name=f"child-{self.name}-end", daemon=True)
        self._threads = [*readers, watcher]
        for thread in self._threads:
            thread.start()

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
            self.kill()
            process.wait()
        if threading.current_thread() not in self._threads:
            self._threads[-1].join(grace)

    def kill(self) -> None:
        """End the child and what it has started at once, as a fault would. `on_exit` is called as for any other end."""
        if self._process and self.alive:
            _kill_session(self._process)

    @property
    def said_last(self) -> str:
        """What it printed last, in one line; empty without a `label`. Complete when `on_exit` is called."""
        return self._printed.last if self._printed else ""

    def _watch(self, readers: Sequence[threading.Thread]) -> None:
        """Wait for its end. What it has started may hold its pipes open, so that reading alone would not tell."""
        process = self._process
        assert process is not None
        status = process.wait()
        _kill_session(process)
        for thread in readers:
            self._join(thread)
        self._over = True
        if any(thread.is_alive() for thread in readers):
            log.warning("a process that a child left behind holds its pipes", child=self.name)
        for pipe, thread in zip((process.stdout, process.stderr), readers, strict=False):
            if pipe and not thread.is_alive():
                pipe.close()
        with contextlib.suppress(OSError), self._write_lock:
            if process.stdin:
                process.stdin.close()
        try:
            self._on_exit(status)
        except Exception:
            log.exception("handling a child's end failed", child=self.name, status=status)

    def _join(self, reader: threading.Thread) -> None:
        """Wait until all was read and handled, or nothing more comes though the pipe is still open."""
        while reader.is_alive():
            before = self._lines_read
            reader.join(_LAST_WORDS)
            if self._lines_read == before and not self._handling:
                return

    def _pass_on(self) -> None:
        """Pass on what it prints. Much more than is passed on is not even read: then its printing waits."""
        process, printed = self._process, self._printed
        assert process is not None
        assert process.stderr is not None
        assert printed is not None
        since, taken = time.monotonic(), 0
        while data := process.stderr.readline(_PRINTED_AT_ONCE):
            printed.feed(data.decode(errors="replace"))
            taken += len(data)
            if taken > _PRINTED_PER_SECOND:
                time.sleep(max(since + 1.0 - time.monotonic(), 0.0))
            if time.monotonic() >= since + 1.0:
                since, taken = time.monotonic(), 0
        printed.end()

    def _read(self) -> None:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        while (line := process.stdout.readline(self._max_line)) and not self._over:
            self._lines_read += 1
            if len(line) >= self._max_line and not line.endswith(b"\n"):
                log.error("child wrote a line that is too long, killing it", child=self.name, limit=self._max_line)
                self.line_too_long = True
                self.kill()
                break
            try:
                message = json.loads(line)
            except ValueError:
                log.warning("child wrote a line that is not JSON", child=self.name, length=len(line))
                continue
            if not isinstance(message, dict):
                log.warning("child wrote a line that is not an object", child=self.name)
                continue
            self._handling = True
            try:
                self._on_message(message)
            except Exception:
                log.exception("message from child failed", child=self.name)
            finally:
                self._handling = False


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    """End a child and everything that it has started, unless that made a session of its own."""
    with contextlib.suppress(OSError):  # all of it is gone already
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _to_log(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # whoever read our log is gone
        sys.stderr.write(text)
        sys.stderr.flush()
