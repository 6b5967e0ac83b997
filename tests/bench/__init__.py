"""Measurements: each public module here is one, and runs alone as `python -m tests.bench.NAME`.

A module has `main() -> dict[str, dict[str, float]]`: it measures, prints `table(...)` and returns the same rows.
`python -m tests.bench` runs them all and writes build/bench.json.
"""

from __future__ import annotations

Rows = dict[str, dict[str, float]]


def table(title: str, rows: Rows) -> str:
    """Rows as text, one figure a line and one column for each row, so that wide names still fit a terminal."""
    figures = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [["", *rows]]
    lines += [[name, *(_figure(row.get(name)) for row in rows.values())] for name in figures]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = [
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    ]
    return "\n".join([f"\n{title}", *text])


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"
