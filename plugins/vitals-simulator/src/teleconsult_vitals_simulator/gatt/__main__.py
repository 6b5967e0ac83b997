"""The process of the virtual devices: `python -m teleconsult_vitals_simulator.gatt KIND... [--port P] …`.

Prints one JSON object a line: first `{"ready": …}` or `{"failed": …}`, then answers and events. Takes requests,
one a line, on its input, and ends when that is closed. With `--describe` it says what it offers and ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

from teleconsult_vitals_simulator.body import Profile
from teleconsult_vitals_simulator.gatt import KINDS, MISBEHAVIOURS

if TYPE_CHECKING:
    from teleconsult_vitals_simulator.gatt.control import Control


def say(message: dict[str, Any]) -> None:
    """One line out."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def arguments(words: list[str]) -> dict[str, Any]:
    """What the command line asks for: the fields of a `Plan`."""
    parser = argparse.ArgumentParser(prog="teleconsult_vitals_simulator.gatt")
    parser.add_argument("kinds", nargs="+", choices=list(KINDS), metavar="KIND")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--every", type=float)
    parser.add_argument("--misbehave", action="append", default=[], choices=list(MISBEHAVIOURS))
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--profile", type=Profile, default=Profile.NORMAL, choices=list(Profile))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--zone", default="Asia/Shanghai")
    return vars(parser.parse_args(words))


async def run(what: dict[str, Any]) -> int:
    """Serve until the input ends. Gives the exit status."""
    from teleconsult_vitals_simulator.gatt.control import Control, Plan  # bumble: not needed to describe

    control = Control(Plan(**what), say)
    try:
        await control.start()
    except OSError:
        port = what["port"]
        say({"failed": {"en": f"Port {port} is taken by another program.", "zh": f"端口 {port} 已被其他程序占用。"}})
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
    for job in at_work:
        job.cancel()
    await control.stop()
    return 0


async def _answer(control: Control, line: bytes) -> None:
    try:
        request = json.loads(line)
    except ValueError:
        request = None
    say(await control.obey(request if isinstance(request, dict) else {}))


def describe() -> None:
    """What is offered, for who may not import this package."""
    say(
        {
            "kinds": {word: text.model_dump() for word, text in KINDS.items()},
            "misbehaviours": {word: text.model_dump() for word, text in MISBEHAVIOURS.items()},
        }
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    if sys.argv[1:] == ["--describe"]:
        describe()
    else:
        sys.exit(asyncio.run(run(arguments(sys.argv[1:]))))
