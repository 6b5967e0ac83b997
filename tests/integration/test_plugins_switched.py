"""A vehicle's plugin switched by the command line while its node runs: no restart, and its devices follow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.listener import Listener
from tests.support.served import TwoNodes

PLUGIN = "vitals-simulator"
DEVICE = "sim-oximeter-1"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    nodes = TwoNodes(tmp_path_factory.mktemp("nodes"))
    yield nodes
    nodes.stop()


def command(nodes: TwoNodes, *words: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TELECONSULT_")}
    environment |= {f"TELECONSULT_{key.upper()}": str(value) for key, value in nodes.vehicle_settings.items()}
    environment["TELECONSULT_LANGUAGE"] = "en"
    done = subprocess.run(
        [sys.executable, "-m", "teleconsult", "plugins", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def settings(nodes: TwoNodes) -> dict[str, object]:
    [listed] = [view for view in json.loads(command(nodes, "list", "--json")) if view["name"] == PLUGIN]
    told: dict[str, object] = listed["settings"]
    return told


@pytest.mark.timeout(120)
def test_the_running_vehicle_follows_the_command_line(nodes: TwoNodes) -> None:
    doctor = Listener(nodes.vehicle.address, "doctor")
    try:
        doctor.watch("node")

        def follows(states: set[str], *words: str) -> str:
            """Give a command; what it says, once the device is in one of the states."""
            seen = len(doctor.heard)
            said = command(nodes, *words)
            doctor.wait(
                lambda heard: any(
                    one.event == "device" and one.data["device_id"] == DEVICE and one.data["state"] in states
                    for one in heard[seen:]
                ),
                40,
            )
            return said

        assert "Switched off" in follows({"off"}, "disable", PLUGIN)
        assert "Running" in follows({"measuring"}, "enable", PLUGIN)
        follows({"off", "searching", "connected"}, "set", PLUGIN, "speed=3")
        assert settings(nodes)["speed"] == 3
        assert PLUGIN in command(nodes)
    finally:
        doctor.close()
