"""A child ends as a whole, is heard to its last word, and cannot fill the log."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from teleconsult.process import ChildProcess, LimitedLines

WAIT = 20.0


class Child(ChildProcess):
    """A child that runs a few lines of Python, and what it told."""

    def __init__(self, script: str, label: str = "") -> None:
        self.heard: queue.Queue[Any] = queue.Queue()
        argv = [sys.executable, "-c", script]
        super().__init__("child", argv, self.heard.put, self.heard.put, label=label)
        self.start()

    def next(self) -> Any:
        return self.heard.get(timeout=WAIT)


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def start(*args: Any) -> Child:
        children.append(Child(*args))
        return children[-1]

    yield start
    for one in children:
        one.kill()
        one.stop()


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def soon(holds: Callable[[], bool]) -> bool:
    pause = threading.Event()
    return any(holds() or pause.wait(0.02) for _ in range(500))


FORKS = """
import json, os, subprocess, sys, time
started = subprocess.Popen(["sleep", "600"]).pid
forked = os.fork()
if not forked:
    {child}
    time.sleep(600)
os.write(1, json.dumps({{"pids": [started, forked]}}).encode() + bytes([10]))
{then}
"""


@pytest.mark.parametrize("how", ["by itself", "stopped", "killed"])
def test_what_a_child_has_started_ends_with_it(child: Callable[..., Child], how: str) -> None:
    one = child(FORKS.format(child="pass", then="sys.exit(4)" if how == "by itself" else "sys.stdin.read()"))
    pids = one.next()["pids"]
    if how == "stopped":
        one.stop()
    elif how == "killed":
        one.kill()
    assert one.next() == {"by itself": 4, "stopped": 0, "killed": -9}[how]
    assert all(soon(lambda pid=pid: gone(pid)) for pid in pids)  # type: ignore[misc]


def test_its_end_is_told_though_a_process_that_left_it_holds_the_pipe(child: Callable[..., Child]) -> None:
    one = child(FORKS.format(child="os.setsid(); os.write(1, bytes([123, 125, 10]))", then="sys.stdin.readline()"))
    told = [one.next(), one.next()]  # the forked process has left when both have spoken
    started, forked = next(message["pids"] for message in told if message)
    try:
        one.send({})
        assert one.next() == 0
        assert soon(lambda: gone(started))
    finally:
        os.kill(forked, 9)


def test_the_end_is_told_after_the_last_message(child: Callable[..., Child]) -> None:
    one = child("for n in range(1000): print('{\"n\": %d}' % n)")
    assert [one.next() for _ in range(1001)] == [*({"n": n} for n in range(1000)), 0]


def test_lines_written_behind_pythons_back_are_limited_too(
    child: Callable[..., Child], capfd: pytest.CaptureFixture[str]
) -> None:
    one = child("import os\nfor _ in range(200): os.write(2, b'again\\n' * 100)\nos.write(2, b'the end')", "reader")
    assert one.next() == 0
    printed = capfd.readouterr().err
    assert 0 < printed.count("[reader] again") <= 150, "fifty a second"
    assert one.said_last.endswith("again the end")


def test_its_pipes_are_closed_when_it_has_ended(child: Callable[..., Child]) -> None:
    one = child("", "reader")
    one.next()
    one.stop()
    process = one._process
    assert process is not None
    assert [pipe.closed for pipe in (process.stdin, process.stdout, process.stderr) if pipe] == [True] * 3


def test_a_label_stands_once_before_each_line() -> None:
    out: list[str] = []
    lines = LimitedLines(out.append, "reader")
    lines.feed("[reader] one\ntw")
    lines.feed("o\nthree")
    assert lines.last == "one two three"
    lines.end()
    assert out == ["[reader] one\n", "[reader] two\n", "[reader] three\n"]
