"""Run every measurement, or those named: `python -m tests.bench [NAME...]`; results go to build/bench.json."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import platform
import sys
from pathlib import Path

import tests.bench

RESULTS = Path(__file__).resolve().parents[2] / "build" / "bench.json"


def main() -> int:
    """Results of measurements that do not run this time are kept."""
    known = [module.name for module in pkgutil.iter_modules(tests.bench.__path__) if module.name[0] != "_"]
    chosen = sys.argv[1:] or known
    unknown = sorted(set(chosen) - set(known))
    if unknown:
        print(f"There is no measurement named {', '.join(unknown)}; there are: {', '.join(known)}.", file=sys.stderr)
        return 2
    RESULTS.parent.mkdir(exist_ok=True)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in chosen:
        rows = importlib.import_module(f"tests.bench.{name}").main()
        results[name] = {"cores": os.cpu_count(), "python": platform.python_version(), "rows": rows}
        RESULTS.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
