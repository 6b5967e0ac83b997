"""The machines that tests make of network namespaces: joined, capped, and gone afterwards."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.support.netns import Network, needs_namespaces

pytestmark = [needs_namespaces, pytest.mark.timeout(30)]


def test_machines_hear_each_other_through_their_cable_and_a_cap_holds() -> None:
    with Network() as network:
        one, other = network.machine("one"), network.machine("other")
        network.cable(one, "lan", other, "lan")
        one.address("lan", "10.77.0.1/24", "fd77::1/64")
        other.address("lan", "10.77.0.2/24", "fd77::2/64")
        for host in ("10.77.0.2", "fd77::2"):
            with other.udp(host) as there, one.udp("::" if ":" in host else "0.0.0.0") as here:
                there.settimeout(5)
                here.sendto(b"here", there.getsockname()[:2])
                assert there.recv(100) == b"here"
        with other.udp("10.77.0.2") as there, one.udp("0.0.0.0") as here:
            there.settimeout(1)
            one.cap("lan", kbit=400)
            begun, octets = time.monotonic(), 0
            for _ in range(60):
                here.sendto(bytes(1000), there.getsockname())
            while time.monotonic() - begun < 1.0:
                try:
                    octets += len(there.recv(2000))
                except TimeoutError:
                    break
            assert 10_000 < octets < 55_000
            one.uncap("lan")
        assert one.run(["ip", "-br", "address"]).stdout.count("10.77.0.1") == 1
    left = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert one.name not in left
    assert other.name not in left
