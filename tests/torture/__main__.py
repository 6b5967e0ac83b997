"""`make torture`: hostile input at the media port, round after round, until the minutes are over.

TORTURE_MINUTES (5), TORTURE_DATAGRAMS for one round (100000), TORTURE_SEED (any; printed, so that a run can be
repeated). Exit code 1 with the seed of the first round that did harm.
"""

from __future__ import annotations

import os
import random
import sys
from time import monotonic

from tests.torture.media import run


def main() -> int:
    """Run, print what each round came to."""
    minutes = float(os.environ.get("TORTURE_MINUTES", "5"))
    datagrams = int(os.environ.get("TORTURE_DATAGRAMS", "100000"))
    seed = int(os.environ.get("TORTURE_SEED", str(random.randrange(1 << 30))))
    end = monotonic() + 60 * minutes
    done = 0
    while (left := end - monotonic()) > 5 or not done:
        report = run(seed, datagrams, max(5.0, left))
        done += 1
        print(f"Round {done}", *report.lines(), sep="\n  ", flush=True)
        if report.problems:
            print("\n".join([f"Seed {seed}:", *report.problems]), file=sys.stderr)
            return 1
        seed += 1
    print(f"{done} rounds, nothing was harmed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
