"""`teleconsult check --network`: at the hub, and from a vehicle against a hub that runs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleconsult.tls import Authority
from tests.support.served import Served, TwoNodes

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    running = TwoNodes(tmp_path_factory.mktemp("nodes"))
    yield running
    running.stop()


def check(*words: str, **settings: object) -> tuple[int, str]:
    """Exit code and what was printed, in English."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TELECONSULT_")}
    environment |= {f"TELECONSULT_{key.upper()}": str(value) for key, value in settings.items()}
    environment["TELECONSULT_LANGUAGE"] = "en"
    argv = [sys.executable, "-m", "teleconsult", "check", "--network", *words]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=100)
    return done.returncode, done.stdout + done.stderr


def vehicle_check(nodes: TwoNodes, folder: Path, **changes: object) -> tuple[int, str]:
    settings = {"hub_url": nodes.hub.address, "vehicle_key": nodes.vehicle_settings["vehicle_key"], "data_dir": folder}
    return check("--vehicle", **{**settings, **changes})


def test_vehicle_tries_everything_up_to_a_media_connection(nodes: TwoNodes, tmp_path: Path) -> None:
    code, said = vehicle_check(nodes, tmp_path)
    assert code == 0, said
    for part in (
        "TCP to 127.0.0.1 port",
        "accepts this vehicle's key",
        "clock and the hub's differ by 0",
        "opens a WebSocket",
        "0 % of 20 probes lost",
        "Voice and picture reach the hub from here.",
    ):
        assert part in said, said
    assert "✗" not in said
    assert not any("off line" in line for line in nodes.hub.log), "the running vehicle keeps its link"


def test_wrong_key_is_told(nodes: TwoNodes, tmp_path: Path) -> None:
    code, said = vehicle_check(nodes, tmp_path, vehicle_key=f"{nodes.vehicle_settings['vehicle_key']}x")
    assert code == 1
    assert "✗ The hub does not accept this vehicle's key." in said


def test_hub_that_does_not_run_or_is_unknown_is_told(nodes: TwoNodes, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        code, said = vehicle_check(nodes, tmp_path, hub_url=address)
    assert code == 1
    assert "is refused" in said
    code, said = vehicle_check(nodes, tmp_path, hub_url="https://no-such-hub.invalid")
    assert code == 1
    assert "No name server knows no-such-hub.invalid." in said
    code, said = vehicle_check(nodes, tmp_path, hub_url="hub.example.org")
    assert code == 1
    assert "TELECONSULT_HUB_URL" in said


def test_hub_that_speaks_no_tls_where_https_is_expected_is_told(nodes: TwoNodes, tmp_path: Path) -> None:
    code, said = vehicle_check(nodes, tmp_path, hub_url=nodes.hub.address.replace("http://", "https://"))
    assert code == 1
    assert "HTTPS does not come about" in said or "not trusted" in said


def test_hub_tries_its_own_addresses_and_names_what_it_cannot_resolve(tmp_path: Path) -> None:
    code, said = check(data_dir=tmp_path, media_addresses="127.0.0.1,no-such-name.invalid", media_ports="45200-45240")
    assert code == 1
    assert "✓ Media through 127.0.0.1: connected in" in said
    assert "✗ The media address no-such-name.invalid is no address" in said
    code, said = check(data_dir=tmp_path, media_addresses="127.0.0.1", media_ports="45200-45240")
    assert code == 0, said
    code, said = check(data_dir=tmp_path, media_ports="9-5")
    assert code == 1
    assert "TELECONSULT_MEDIA_PORTS" in said


def test_hub_whose_ports_are_all_taken_says_so(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        code, said = check(data_dir=tmp_path, media_addresses="127.0.0.1", media_ports=f"{port}-{port}")
    assert code == 1
    assert "no free network port" in said


def test_hub_tests_itself_when_it_starts(tmp_path: Path) -> None:
    hub = Served(data_dir=tmp_path, port=0, load_plugins="", media_addresses="127.0.0.1", media_workers=1)
    try:
        deadline = time.monotonic() + 40
        while not any("media self-test" in line and "outcome=ok" in line for line in hub.log):
            assert time.monotonic() < deadline, list(hub.log)
            time.sleep(0.1)
    finally:
        hub.stop()


def test_certificate_of_a_hubs_own_authority_is_checked(nodes: TwoNodes, tmp_path: Path) -> None:
    key = nodes.vehicle_settings["vehicle_key"]
    folder = tmp_path / "hub"
    shutil.copytree(nodes.hub_settings["data_dir"], folder)
    hub = Served(**{**nodes.hub_settings, "data_dir": folder, "tls": "own"})
    try:
        assert hub.address.startswith("https://")
        code, said = check("--vehicle", hub_url=hub.address, vehicle_key=key, data_dir=tmp_path)
        assert code == 1
        assert "✗ The hub's certificate is not trusted" in said
        authority = Authority(folder).file
        code, said = check("--vehicle", hub_url=hub.address, vehicle_key=key, data_dir=tmp_path, hub_ca=authority)
        assert code == 0, said
        assert "The hub's certificate is good for" in said
        assert "opens a WebSocket" in said
        assert "Voice and picture reach the hub from here." in said
    finally:
        hub.stop()
