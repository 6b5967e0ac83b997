"""Heavy work under gevent leaves the other greenlets their turn, and gives back results and errors as they are."""

from __future__ import annotations

import subprocess
import sys

import pytest

from teleconsult.process import aside

UNDER_GEVENT = """
from gevent import monkey; monkey.patch_all()
import gevent
from teleconsult.process import aside
from teleconsult.services.passwords import hash_password, verify_password
turns = []
def others():
    while True:
        turns.append(1)
        gevent.sleep(0)
watcher = gevent.spawn(others)
gevent.sleep(0)
before = len(turns)
assert verify_password(hash_password("villages-73-x"), "villages-73-x")
assert len(turns) - before > 10, len(turns) - before
try:
    aside(int, "x")
except ValueError:
    print("done")
"""


def test_others_go_on_while_a_password_is_hashed() -> None:
    run = subprocess.run([sys.executable, "-c", UNDER_GEVENT], capture_output=True, text=True, timeout=60)
    assert (run.stdout.strip(), run.stderr) == ("done", "")


def test_without_gevent_it_is_a_plain_call() -> None:
    assert aside(sorted, [2, 1], reverse=True) == [2, 1]
    with pytest.raises(ValueError, match="invalid literal"):
        aside(int, "x")
