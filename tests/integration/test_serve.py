"""Nodes as real processes: a taken port, an old database, a clean end, a second start of the demonstration."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from teleconsult.demo.run import Demo
from teleconsult.settings import NodeKind, Settings
from teleconsult.store import Store
from teleconsult.store.tables import NodeSetting

HUB = [sys.executable, "-m", "teleconsult", "hub"]


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TELECONSULT_")}
    return {**kept, "TELECONSULT_DATA_DIR": str(folder), "TELECONSULT_LANGUAGE": "en"}


def test_a_taken_port_is_said_in_one_sentence_and_nothing_is_left_running(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = subprocess.run(
            [*HUB, "--port", str(port)], env=environment(tmp_path), capture_output=True, text=True, timeout=60
        )
    assert run.returncode == 1
    assert run.stdout == ""
    sentence = f"Port {port} is taken by another program. Stop that program or choose another port with --port."
    assert run.stderr.strip().splitlines()[-1] == sentence
    assert "Traceback" not in run.stderr


def test_a_hub_answers_and_ends_cleanly(tmp_path: Path) -> None:
    process = subprocess.Popen([*HUB, "--port", "0"], env=environment(tmp_path), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    with urlopen(address + "/login", timeout=20) as answer:
        assert answer.status == 200
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


@pytest.mark.timeout(60)
def test_a_second_start_of_the_demonstration_keeps_the_data(tmp_path: Path) -> None:
    demo = Demo(tmp_path, hub_port=0, vehicle_port=0)
    key = demo.prepare()
    settings = Settings(kind=NodeKind.VEHICLE, data_dir=tmp_path / "vehicle")
    store = Store(settings.url)
    with store.write() as tx:
        tx.session.add(NodeSetting(key="mine", value="kept"))
    assert demo.prepare() == key
    with store.read() as session:
        kept = session.get(NodeSetting, "mine")
    store.close()
    assert kept is not None
    assert kept.value == "kept"
