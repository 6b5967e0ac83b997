"""The media addresses between machines: several interfaces, a NAT, a firewall, IPv6 alone, an interface that goes.

Machines are network namespaces. The NAT is a forwarder between two of them, since the kernel may have no netfilter: it
gives every outside address a socket of its own inside, as a port-forwarding router does, and keeps port numbers.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.netns import Machine, Network, needs_namespaces

pytestmark = [needs_namespaces, pytest.mark.timeout(120)]

PORTS = range(45_400, 45_412)

HUB = """
import json, sys
from teleconsult.media import MediaConfig, MediaWorkers, WorkerSignalling, plan
given = json.loads(sys.argv[1])
plan = plan(given["named"])
workers = MediaWorkers(MediaConfig(
    workers=1, addresses=plan.addresses, announced=plan.announced, ports=tuple(given["ports"])), lambda event: None)
workers.start()
signalling = WorkerSignalling(workers, tuple(given["ports"]))
for line in sys.stdin:
    asked = json.loads(line)
    try:
        if asked["do"] == "check":
            from teleconsult.media import check_addresses
            found = check_addresses(signalling, announced=plan.announced, questions=5)
            answer = [[one.address, one.outcome, one.well, one.sentence % one.params] for one in found]
        else:
            answer = getattr(signalling, asked["do"])(*asked["with"])
    except Exception as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
workers.stop()
"""

VEHICLE = """
import json, sys
from teleconsult.media import check_addresses
class Signalling:
    ports = (45400, 45411)
    def _ask(self, do, *words):
        print(json.dumps({"do": do, "with": words}), flush=True)
        return json.loads(sys.stdin.readline())
    def open(self): return self._ask("open")
    def answer(self, name, description): self._ask("answer", name, description)
    def close(self, name): self._ask("close", name)
found = check_addresses(Signalling(), here=False, questions=5)
print(json.dumps({"found": [[one.address, one.outcome, one.well, one.sentence % one.params] for one in found]}))
"""


class Hub:
    """A media worker on a machine, commanded by lines."""

    def __init__(self, machine: Machine, *named: str) -> None:
        given = json.dumps({"named": named, "ports": [PORTS[0], PORTS[-1]]})
        self._process = machine.popen(
            [sys.executable, "-c", HUB, given], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, asked: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(asked.strip() + "\n")
        self._process.stdin.flush()
        return str(self._process.stdout.readline())

    def check(self) -> dict[str, tuple[str, bool | None, str]]:
        """What the hub finds itself, by address."""
        return by_address(json.loads(self.ask('{"do": "check"}')))

    def offered(self) -> list[str]:
        """The hosts in a fresh offer, in their order."""
        name, sdp = json.loads(self.ask('{"do": "open", "with": []}'))
        self.ask(json.dumps({"do": "close", "with": [name]}))
        parts = [line.split(" ") for line in sdp.splitlines() if line.startswith("a=candidate:")]
        assert all(int(one[5]) in PORTS for one in parts), "ports of the range, and no other"
        return list(dict.fromkeys(one[4] for one in parts))

    def stop(self) -> None:
        """End it as a parent does that goes away."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(15)


def by_address(rows: list[list[Any]]) -> dict[str, tuple[str, bool | None, str]]:
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def check_from(vehicle: Machine, hub: Hub) -> dict[str, tuple[str, bool | None, str]]:
    """What a vehicle on that machine finds; its questions to the hub go by a pipe, whatever the network does."""
    process = vehicle.popen([sys.executable, "-c", VEHICLE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    for line in process.stdout:
        if "found" in json.loads(line):
            process.wait(10)
            return by_address(json.loads(line)["found"])
        process.stdin.write(hub.ask(line))
        process.stdin.flush()
    raise AssertionError("the vehicle's check ended without a result")


@pytest.fixture
def network() -> Iterator[Network]:
    with Network() as one:
        yield one


def join(network: Network, ipv4: bool = True, ipv6: bool = True) -> tuple[Machine, Machine]:
    """A hub and a vehicle on one cable."""
    hub, vehicle = network.machine("hub"), network.machine("vehicle")
    network.cable(hub, "lan", vehicle, "lan")
    for machine, number in ((hub, 1), (vehicle, 2)):
        if ipv4:
            machine.address("lan", f"10.77.0.{number}/24")
        if ipv6:
            machine.address("lan", f"fd77::{number}/64")
    return hub, vehicle


def test_hub_with_bridges_offers_its_lan_on_both_protocols_and_drops_what_goes_away(network: Network) -> None:
    machine, vehicle = join(network)
    machine.dummy("docker0", "172.17.0.1/16")
    machine.dummy("wg0", "10.99.0.1/24")
    hub = Hub(machine)
    assert set(hub.offered()) == {"10.77.0.1", "fd77::1", "10.99.0.1"}
    assert hub.offered()[-1] == "10.99.0.1", "the VPN comes last"
    found = check_from(vehicle, hub)
    assert found["10.77.0.1"][:2] == found["fd77::1"][:2] == ("ok", True)
    assert found["10.99.0.1"][:2] == ("no_route", False)
    assert found["10.99.0.1"][2] == "There is no way from here to 10.99.0.1."
    machine.ip("link", "delete", "wg0")
    machine.address("lan", "10.77.0.9/24")
    assert set(hub.offered()) == {"10.77.0.1", "10.77.0.9", "fd77::1"}, "new calls get the addresses of now"
    hub.stop()


def test_hub_with_ipv6_alone_carries_calls(network: Network) -> None:
    machine, vehicle = join(network, ipv4=False)
    hub = Hub(machine)
    assert {host: one[0] for host, one in check_from(vehicle, hub).items()} == {"fd77::1": "ok"}
    assert {host: one[0] for host, one in hub.check().items()} == {"fd77::1": "ok"}
    hub.stop()


def test_machine_without_any_cable_tests_itself_on_loopback(network: Network) -> None:
    hub = Hub(network.machine("alone"))
    assert {host: one[0] for host, one in hub.check().items()} == {"127.0.0.1": "ok"}
    hub.stop()


def test_blocked_ports_are_told_in_one_sentence(network: Network) -> None:
    machine, vehicle = join(network, ipv6=False)
    hub = Hub(machine)
    machine.ip("route", "add", "blackhole", "10.77.0.2/32")
    found = check_from(vehicle, hub)
    assert found == {"10.77.0.1": ("no_answer", False, "UDP 45400–45411 to 10.77.0.1 is not answered.")}
    assert hub.check()["10.77.0.1"][0] == "ok", "from the hub itself all is well: the vehicle's result counts"
    hub.stop()


def test_wrong_announced_address_is_told_by_the_vehicle_and_not_known_to_the_hub(network: Network) -> None:
    machine, vehicle = join(network, ipv6=False)
    hub = Hub(machine, "10.77.0.2")  # the vehicle's own address: somebody is there, and nobody listens
    found = check_from(vehicle, hub)
    assert found["10.77.0.2"][:2] == ("refused", False)
    assert "nobody listens there" in found["10.77.0.2"][2]
    assert found["10.77.0.1"][0] == "ok"
    outcome, well, sentence = hub.check()["10.77.0.2"]
    assert (outcome, well) == ("refused", None)
    assert "could not be checked from here" in sentence
    hub.stop()


class Nat:
    """Port forwarding from an outside address to a machine inside, port numbers kept, until `stop`."""

    def __init__(self, router: Machine, outside: str, inside: str, target: str) -> None:
        self._router, self._inside, self._target = router, inside, target
        self._doors = {router.udp(outside, port): port for port in PORTS}
        self._ways: dict[socket.socket, tuple[socket.socket, tuple[str, int]]] = {}
        self._known: dict[tuple[int, Any], socket.socket] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ending.is_set():
            for sock in select.select([*self._doors, *self._ways], [], [], 0.05)[0]:
                try:
                    data, sender = sock.recvfrom(4096)
                except OSError:
                    continue  # the other side has closed
                if sock in self._ways:
                    door, client = self._ways[sock]
                    door.sendto(data, client)
                    continue
                port = self._doors[sock]
                way = self._known.get((port, sender))
                if way is None:
                    way = self._known[port, sender] = self._router.udp(self._inside)
                    self._ways[way] = (sock, sender)
                way.sendto(data, (self._target, port))

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()
        for sock in (*self._doors, *self._ways):
            sock.close()


def test_hub_behind_a_nat_is_reached_by_its_public_address(network: Network) -> None:
    machine, router, vehicle = network.machine("hub"), network.machine("router"), network.machine("vehicle")
    network.cable(machine, "lan", router, "inside")
    network.cable(router, "outside", vehicle, "lan")
    machine.address("lan", "192.168.9.2/24")
    router.address("inside", "192.168.9.1/24")
    router.address("outside", "203.0.113.7/24")
    vehicle.address("lan", "203.0.113.50/24")
    machine.gateway("192.168.9.1")
    hub = Hub(machine, "203.0.113.7")
    assert hub.offered() == ["192.168.9.2", "203.0.113.7"]
    nat = Nat(router, "203.0.113.7", "192.168.9.1", "192.168.9.2")
    try:
        found = check_from(vehicle, hub)
        assert found["203.0.113.7"][:2] == ("ok", True)
        assert found["192.168.9.2"][0] == "no_route"
    finally:
        nat.stop()
    found = check_from(vehicle, hub)
    assert found["203.0.113.7"][0] == "refused", "the forwarding has been switched off"
    hub.stop()
