"""The process of the virtual devices: `python -m teleconsult_vitals_simulator.gatt KIND... [--port P] …`.

Prints one JSON object a line: first `{"ready": …}` or `{"failed": …}`, then answers and events. Takes requests,
one a line, on its input, and ends when that is closed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from typing import Any

from teleconsult_vitals_simulator.body import Profile
from teleconsult_vitals_simulator.gatt import KINDS, MISBEHAVIOURS
from teleconsult_vitals_simulator.gatt.control import Control, Plan


def say(message: dict[str, Any]) -> None:
    """One line out."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def plan(arguments: list[str]) -> Plan:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="teleconsult_vitals_simulator.gatt")
    parser.add_argument("kinds", nargs="+", choices=list(KINDS), metavar="KIND")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--every", type=float)
    parser.add_argument("--misbehave", action="append", default=[], choices=list(MISBEHAVIOURS))
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--profile", type=Profile, default=Profile.NORMAL, choices=list(Profile))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--zone", default="Asia/Shanghai")
    return Plan(**vars(parser.parse_args(arguments)))


async def run(what: Plan) -> int:
    """Serve until the input ends. Gives the exit status."""
    control = Control(what, say)
    try:
        await control.start()
    except OSError:
        say({"failed": f"Port {what.port} is taken by another program."})
        return 1
    say({"ready": {"port": control.radio.port, "devices": control.describe()}})
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    at_work: set[asyncio.Task[None]] = set()
    async for line in lines:
        job = asyncio.create_task(_answer(control, line))
        at_work.add(job)
        job.add_done_callback(at_work.discard)
    control.radio.close()
    return 0


async def _answer(control: Control, line: bytes) -> None:
    try:
        request = json.loads(line)
    except ValueError:
        request = None
    if isinstance(request, dict):
        say(await control.obey(request))
    else:
        say({"ok": False, "sentence": "A request is one JSON object on one line."})


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    sys.exit(asyncio.run(run(plan(sys.argv[1:]))))
