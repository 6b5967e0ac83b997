"""A 500 Hz ECG and a plethysmogram from the device's process to the specialist's socket, for a minute.

Hub and vehicle node are processes of their own. The delay of a run is counted from the moment its last sample was
due at the device to its arrival at a page: the device's process, the plugin host, the node, the uplink and the hub
are all in it. The size is that of the message on the uplink as text, without the headers of WebSocket, TLS and TCP.
Fails if a sample was lost, or if fewer were heard than the device takes in that time.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from tests.bench import Rows, table
from tests.integration.test_waveforms import add_ecg
from tests.support.listener import Heard, Listener, lost_samples, waves
from tests.support.served import ENCOUNTER, TwoNodes

SECONDS = 60.0
EDGE = 1.0
"""Seconds of signal that may be on their way when the clock starts and when it stops."""


def processes(root: int) -> dict[str, list[int]]:
    """The node's own process, and its children."""
    children: list[int] = []
    for task in Path(f"/proc/{root}/task").iterdir():
        children += [int(pid) for pid in (task / "children").read_text().split()]
    return {"node": [root], "children": children}


def cpu_seconds(pids: Iterable[int]) -> dict[int, float]:
    """CPU time that these processes have used so far; one that has ended is left out."""
    used = {}
    for pid in pids:
        with suppress(FileNotFoundError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used


def figures(runs: list[Heard], topic: str) -> dict[str, float]:
    """Delay, loss and size of what one page heard of one waveform."""
    delays = []
    for run in runs:
        due = datetime.fromisoformat(run.data["at"]).timestamp() + len(run.data["samples"]) / run.data["rate"]
        delays.append((run.at - due) * 1000)
    cuts = statistics.quantiles(delays, n=100)
    messages = [["live", {"topic": topic, "event": "waveform", "data": run.data}] for run in runs]
    size = sum(len(f"42/uplink,{json.dumps(one, separators=(',', ':'))}") for one in messages)
    length = sum(len(run.data["samples"]) / run.data["rate"] for run in runs)
    return {
        "seconds of signal": length,
        "samples a second": runs[0].data["rate"],
        "samples heard": sum(len(run.data["samples"]) for run in runs),
        "samples lost": lost_samples(runs),
        "delay p50 (ms)": statistics.median(delays),
        "delay p99 (ms)": cuts[98],
        "delay max (ms)": max(delays),
        "uplink (bytes/s)": size / length,
    }


def main() -> Rows:
    """Listen for a minute at both ends, print the tables, give their rows."""
    with tempfile.TemporaryDirectory() as name:
        nodes = TwoNodes(Path(name), add_ecg)
        try:
            rows, load = _measure(nodes)
        finally:
            nodes.stop()
    print(table(f"Two waveforms at once for {SECONDS:.0f} s, from device to page", rows))
    print(table("CPU of the nodes meanwhile (% of a core)", load))
    if wrong := [f"{name}: {why}" for name, row in rows.items() if (why := missing(row))]:
        raise SystemExit("\n".join(wrong))
    return rows | load


def missing(row: dict[str, float]) -> str:
    """What is missing of a minute of a waveform, in words; empty if nothing is."""
    if row["samples lost"]:
        return f"{row['samples lost']:.0f} samples were lost"
    wanted = row["samples a second"] * (SECONDS - EDGE)
    return f"{row['samples heard']:.0f} samples of {wanted:.0f} were heard" if row["samples heard"] < wanted else ""


def _measure(nodes: TwoNodes) -> tuple[Rows, Rows]:
    consult, encounter = f"consult:{nodes.consult_id}", f"encounter:{ENCOUNTER}"
    listeners = {
        "at the hub": Listener(nodes.hub.address, "specialist"),
        "on the vehicle": Listener(nodes.vehicle.address, "doctor"),
    }
    for listener, topic in zip(listeners.values(), (consult, encounter), strict=True):
        listener.watch(topic)
        listener.wait(lambda heard: bool(waves(heard, "ecg") and waves(heard, "plethysmogram")), 60)
    owners = {"hub": processes(nodes.hub.process.pid), "vehicle": processes(nodes.vehicle.process.pid)}
    began = time.monotonic()
    used = {(who, part): cpu_seconds(pids) for who, parts in owners.items() for part, pids in parts.items()}
    starts = {name: len(listener.heard) for name, listener in listeners.items()}
    time.sleep(SECONDS)
    passed = time.monotonic() - began
    rows: Rows = {}
    for where, listener in listeners.items():
        heard = listener.heard[starts[where] :]
        for kind in ("ecg", "plethysmogram"):
            rows[f"{kind} {where}"] = figures(waves(heard, kind), consult)
    load = {}
    for (who, part), before in used.items():
        spent = sum(now - before[pid] for pid, now in cpu_seconds(before).items())
        load[f"{who}, {part}"] = {"CPU (%)": spent / passed * 100}
    for listener in listeners.values():
        listener.close()
    return rows, load


if __name__ == "__main__":
    main()
