"""Carrying 720p: CPU, added delay and memory of our worker beside Janus's video room and aiortc's own MediaRelay.

One stream is a real VP8 clip of 1280x720, 30 pictures a second, 1.5 Mbit/s, from one WebRTC peer to another through
the server. CPU is the server process's own, from /proc; the load runs in this process and does not count. Rounds
are interleaved, so that whatever else the machine does hits all servers, and medians are printed.

    python -m tests.bench.media [--json FILE] [--streams 1,10,40] [--seconds 15] [--rounds 3] [--consults]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import uvloop

from teleconsult.media import _aiortc
from tests.bench import Rows, table
from tests.bench._media_load import Clip, Load, cpu_seconds, memory_mb
from tests.bench._media_servers import ADDRESS, Janus, OurWorker, Relay, Server

SERVERS: dict[str, type[OurWorker | Janus | Relay]] = {"worker": OurWorker, "janus": Janus, "relay": Relay}

RELAY_LIMIT = 1
"""Streams beyond which MediaRelay is out of CPU on the machines this was made on."""

WARM_UP = 3.0
DELAY_LIMIT = 0.020


async def measure(server: Server, streams: int, clip: Clip, seconds: float) -> dict[str, float]:
    """One round of one server with so many streams."""
    load = Load()
    await server.start()
    try:
        for _ in range(streams):
            await server.add_pair(load, clip)
        load.start()
        await asyncio.sleep(WARM_UP)
        return await window(server, load, seconds, streams)
    finally:
        await load.stop()
        await server.stop()


async def window(server: Server, load: Load, seconds: float, streams: int) -> dict[str, float]:
    """What happens in so many seconds of a running load."""
    for receiver in load.receivers:
        receiver.delays.clear()
    load.late.clear()
    sent = sum(publisher.packets for publisher in load.publishers)
    gc.collect()
    cpu, at = cpu_seconds(server.pid), perf_counter()
    await asyncio.sleep(seconds)
    cpu, elapsed = cpu_seconds(server.pid) - cpu, perf_counter() - at
    delays = np.concatenate([np.array(receiver.delays) for receiver in load.receivers]) / 1e6
    sent = sum(publisher.packets for publisher in load.publishers) - sent
    p50, p95, p99 = np.percentile(delays, (50, 95, 99)) if len(delays) else (0, 0, 0)
    return {
        "CPU s per stream-minute": cpu / streams * 60 / elapsed,
        "delay p50 ms": float(p50),
        "delay p95 ms": float(p95),
        "delay p99 ms": float(p99),
        "memory MB": memory_mb(server.pid),
        "load late p95 ms": 1000 * float(np.percentile(load.late, 95)) if load.late else 0.0,
        "packets arrived %": 100 * len(delays) / max(1, sent),
    }


async def compare(streams: list[int], seconds: float, rounds: int) -> Rows:
    """All servers at all sizes, round by round."""
    clip = Clip()
    found: dict[str, list[dict[str, float]]] = {}
    for number in range(rounds):
        for count in streams:
            for name, kind in list(SERVERS.items())[:: 1 if number % 2 == 0 else -1]:
                if name == "relay" and count > RELAY_LIMIT:
                    continue
                row = await measure(kind(), count, clip, seconds)
                found.setdefault(f"{name} {count}", []).append(row)
    rows = {name: {key: median(one[key] for one in many) for key in many[0]} for name, many in found.items()}
    return {name: rows[name] for name in sorted(rows, key=lambda name: (int(name.split()[1]), name))}


def ratios(rows: Rows) -> Rows:
    """Our CPU and delay as shares of the others' in the same run; relay's CPU counts per stream."""
    out: Rows = {}
    relay = rows.get(f"relay {RELAY_LIMIT}")
    for name, row in rows.items():
        kind, count = name.split()
        janus = rows.get(f"janus {count}")
        if kind != "worker":
            continue
        entry: dict[str, float] = {}
        if janus:
            entry["CPU of Janus's"] = row["CPU s per stream-minute"] / janus["CPU s per stream-minute"]
            entry["p95 delay of Janus's"] = row["delay p95 ms"] / max(0.001, janus["delay p95 ms"])
        if relay:
            entry["times cheaper than MediaRelay"] = relay["CPU s per stream-minute"] / row["CPU s per stream-minute"]
        out[f"{count} streams"] = entry
    return out


async def consults(seconds: float) -> Rows:
    """How many two-party consults (two pictures, two voices) one worker holds before the 95th percentile of the
    added delay passes 20 ms."""
    clip, server, load = Clip(), OurWorker(), Load()
    rows: Rows = {}
    await server.start()
    try:
        while True:
            for _ in range(4):
                await server.add_consult(load, clip)
            running = Load()
            running.publishers, running.receivers = load.publishers, load.receivers
            running.start()
            await asyncio.sleep(WARM_UP)
            count = len(load.publishers) // 2
            row = await window(server, running, seconds, len(load.publishers))
            if running._task is not None:
                running._task.cancel()
            rows[f"{count} consults"] = row
            if row["delay p95 ms"] > 1000 * DELAY_LIMIT or row["packets arrived %"] < 99:
                return rows
    finally:
        await load.stop()
        await server.stop()


def prepare() -> None:
    """Make aiortc of this process the load's."""
    _aiortc.install()
    _aiortc.MediaConnection.addresses = (ADDRESS,)


def main(streams: tuple[int, ...] = (1, 10, 40), seconds: float = 15, rounds: int = 3) -> Rows:
    """Measure, print, and return the rows."""
    prepare()
    rows = uvloop.run(compare(list(streams), seconds, rounds))
    print(table("Carrying 720p VP8 at 1.5 Mbit/s, medians", rows))
    print(table("Our worker beside the others", ratios(rows)))
    return {**rows, **{f"ratio {name}": row for name, row in ratios(rows).items()}}


def command() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Measure the media worker beside Janus and aiortc's MediaRelay.")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--streams", default="1,10,40")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--consults", action="store_true", help="instead: how many consults one worker holds")
    options = parser.parse_args()
    if options.consults:
        prepare()
        rows = uvloop.run(consults(options.seconds))
        print(table("Two-party consults on one worker", rows))
    else:
        rows = main(tuple(map(int, options.streams.split(","))), options.seconds, options.rounds)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    command()
