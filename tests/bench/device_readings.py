"""What a reading costs on its way: from a GATT indication to the stored row, and to the specialist's screen.

    python -m tests.bench.device_readings [DEVICES...]

A hub and a vehicle node run as processes, with one reader process for each device; the devices are virtual scales
on one virtual radio (a real radio adds its own air time). The clock starts just before a device sends its
indication. "Stored" is when the vehicle doctor's page hears of the row after it was committed, "at the hub" when
the specialist's page hears of it: the message has come out of the page's socket; drawing it in a browser comes on top.
Devices measure in turn, so that each figure is the cost of one reading while
all the others are connected, and then all at once.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import socketio

from teleconsult.domain.plugin_state import PluginRecord
from teleconsult.plugin_host.virtual_devices import VirtualRadio
from teleconsult.services.node import Node
from teleconsult.store.plugins import DatabasePluginState
from teleconsult.store.tables import DeviceAssignment
from tests.bench import Rows, table
from tests.bench.servers import percentile
from tests.support.served import ENCOUNTER, TwoNodes
from tests.support.world import PASSWORD

DEVICES = (1, 10, 100)
IN_TURN = {1: 1000, 10: 1000}
"""Readings one after the other: ten of them are beyond p99. For other numbers of devices `IN_TURN_MANY`."""
IN_TURN_MANY = 500
AT_ONCE = {10: 30}
"""Times that all devices measure at the same moment; for other numbers `AT_ONCE_MANY`."""
AT_ONCE_MANY = 5
PACE = 0.1
"""Seconds at least between two readings of one device: one that sends more than 20 a second is made to wait for it."""
START_SECONDS = 240.0
PLUGIN, READER = "vitals-bluetooth", "scale"


class Screen:
    """A logged-in person's page that watches a topic and notes when each weight arrives (monotonic, ns)."""

    def __init__(self, address: str, username: str, topic: str) -> None:
        self.heard: dict[float, int] = {}
        self._changed = threading.Condition()
        session = requests.Session()
        token = session.get(f"{address}/login.json", timeout=30).json()["csrf_token"]
        form = {"username": username, "password": PASSWORD, "csrf_token": token}
        answer = session.post(f"{address}/login", data=form, allow_redirects=False, timeout=30)
        assert answer.status_code == 302, answer.text
        self._socket = socketio.Client(http_session=session)
        self._socket.on("reading", self._hear, namespace="/live")
        self._socket.connect(address, namespaces=["/live"], transports=["websocket"])
        watched = self._socket.call("watch", {"topic": topic}, namespace="/live")
        assert watched["ok"], watched

    def wait(self, weight: float, seconds: float = 60.0) -> int:
        """When this weight arrived."""
        with self._changed:
            if not self._changed.wait_for(lambda: weight in self.heard, seconds):
                raise TimeoutError(f"{weight} kg did not arrive within {seconds} s")
            return self.heard[weight]

    def close(self) -> None:
        """Leave."""
        self._socket.disconnect()

    def _hear(self, data: dict[str, Any]) -> None:
        now = time.monotonic_ns()
        with self._changed:
            self.heard.setdefault(float(data["components"][0]["value"]), now)
            self._changed.notify_all()


@contextmanager
def clinic(folder: Path, count: int) -> Iterator[tuple[VirtualRadio, Screen, Screen, TwoNodes]]:
    """Two nodes with so many scales, all connected, and a page open at each node."""

    def assign(node: Node) -> None:
        if node.is_hub:
            return
        DatabasePluginState(node.store).save(PluginRecord(PLUGIN, settings={"radio": radio.address}))
        with node.store.write() as tx:
            for number, device in enumerate(radio.devices):
                info = {"kinds": ["body_weight"], "address": device.address}
                tx.session.add(
                    DeviceAssignment(
                        plugin=PLUGIN,
                        reader=READER,
                        device_id=f"ble-{device.address}",
                        name=f"秤 {number}",
                        info=info,
                    )
                )

    with VirtualRadio(*["scale"] * count, speed=1000) as radio:
        nodes = TwoNodes(folder, assign, plugins=PLUGIN)
        try:
            doctor = Screen(nodes.vehicle.address, "doctor", f"encounter:{ENCOUNTER}")
            specialist = Screen(nodes.hub.address, "specialist", f"consult:{nodes.consult_id}")
            for device in radio.devices:
                radio.wait("subscribed", device.device, seconds=START_SECONDS)
            yield radio, doctor, specialist, nodes
            doctor.close()
            specialist.close()
        finally:
            nodes.stop()


def measure(count: int) -> dict[str, float]:
    """All figures for so many devices; milliseconds, MB."""
    weights = iter(30 + step / 20 for step in range(4000))  # every reading has a weight of its own
    with tempfile.TemporaryDirectory() as name:
        begun = time.monotonic()
        with clinic(Path(name), count) as (radio, doctor, specialist, nodes):
            row = {"all connected after s": time.monotonic() - begun, "MB, one reader": _reader_memory(nodes)}

            last = dict.fromkeys(range(count), 0.0)

            def one(number: int, weight: float) -> tuple[float, float]:
                device = radio.devices[number % count]
                time.sleep(max(0.0, last[number % count] + PACE - time.monotonic()))
                last[number % count] = time.monotonic()
                sent = radio.measure(device.device, values={"weight": weight})["sent_ns"]
                return (doctor.wait(weight) - sent) / 1e6, (specialist.wait(weight) - sent) / 1e6

            one(0, next(weights))  # the first one warms caches up
            _figures(row, "in turn", [one(number, next(weights)) for number in range(IN_TURN.get(count, IN_TURN_MANY))])
            if count > 1:
                with ThreadPoolExecutor(count) as people:
                    rounds = [
                        list(people.map(one, range(count), [next(weights) for _ in range(count)]))
                        for _ in range(AT_ONCE.get(count, AT_ONCE_MANY))
                    ]
                _figures(row, "all at once", [each for one_round in rounds for each in one_round])
    return row


def _figures(row: dict[str, float], when: str, samples: list[tuple[float, float]]) -> None:
    for place, values in (("stored", [s for s, _ in samples]), ("at the hub", [h for _, h in samples])):
        row[f"{when}, {place}, p50"] = percentile(values, 0.5)
        row[f"{when}, {place}, p99"] = percentile(values, 0.99)


def _reader_memory(nodes: TwoNodes) -> float:
    """Proportional set size of one reader's process, MB, as a mean."""
    pid = nodes.vehicle.process.pid
    sizes = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            if b"device_worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                text = Path(f"/proc/{child}/smaps_rollup").read_text()
                sizes.append(int(text.partition("\nPss:")[2].split()[0]) / 1024)
    return sum(sizes) / len(sizes)


def main(counts: tuple[int, ...] = DEVICES) -> Rows:
    """Measure, print the table, give its rows."""
    rows: Rows = {}
    for count in counts:
        rows[f"{count} device" + "s" * (count > 1)] = measure(count)
    print(table("A device's reading on its way, milliseconds", rows))
    return rows


if __name__ == "__main__":
    main(tuple(int(word) for word in sys.argv[1:]) or DEVICES)
