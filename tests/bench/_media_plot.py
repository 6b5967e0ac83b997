"""The media figures as a drawing: CPU and delay beside the others, and delay over the number of consults."""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

from tests.bench import Rows

COLOURS = {"worker": "#0b6e4f", "janus": "#c75b12", "relay": "#6b6b6b"}
NAMES = {"worker": "our worker", "janus": "Janus", "relay": "MediaRelay"}
HEIGHT, TOP, BOTTOM, WIDTH, LEFT, GAP = 420, 70, 350, 300, 70, 90


class Panel:
    """One pair of axes. The upright one is logarithmic."""

    def __init__(self, number: int, title: str, across: str, upright: str, low: float, high: float) -> None:
        self.left = LEFT + number * (WIDTH + GAP)
        self.low, self.high = math.log10(low), math.log10(high)
        self.parts = [
            self.text(self.left + WIDTH / 2, 40, title, size=15, anchor="middle", weight="bold"),
            self.text(self.left + WIDTH / 2, BOTTOM + 42, across, anchor="middle"),
            f'<g transform="rotate(-90 {self.left - 48} {(TOP + BOTTOM) / 2})">'
            + self.text(self.left - 48, (TOP + BOTTOM) / 2, upright, anchor="middle")
            + "</g>",
            f'<path d="M{self.left} {TOP}V{BOTTOM}H{self.left + WIDTH}" fill="none" stroke="#222"/>',
        ]
        for power in range(math.ceil(self.low), math.floor(self.high) + 1):
            for step in (1, 2, 5):
                value = step * 10.0**power
                if low <= value <= high:
                    y = self.y(value)
                    self.parts.append(f'<path d="M{self.left} {y:.1f}H{self.left + WIDTH}" stroke="#ddd"/>')
                    self.parts.append(self.text(self.left - 6, y + 4, f"{value:g}", anchor="end"))

    def y(self, value: float) -> float:
        """Where a value lies."""
        share = (math.log10(max(value, 10**self.low)) - self.low) / (self.high - self.low)
        return BOTTOM - min(1.0, share) * (BOTTOM - TOP)

    @staticmethod
    def text(x: float, y: float, words: str, size: int = 12, anchor: str = "start", weight: str = "normal") -> str:
        return (
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}">'
            f"{escape(words)}</text>"
        )

    def bars(self, rows: Rows, figure: str) -> None:
        """A bar for each server at each number of streams."""
        counts = sorted({int(name.split()[1]) for name in rows})
        wide = WIDTH / len(counts)
        for place, count in enumerate(counts):
            middle = self.left + wide * (place + 0.5)
            self.parts.append(self.text(middle, BOTTOM + 18, str(count), anchor="middle"))
            found = [kind for kind in COLOURS if figure in rows.get(f"{kind} {count}", {})]
            for number, kind in enumerate(found):
                value = rows[f"{kind} {count}"][figure]
                x, y = middle + (number - len(found) / 2) * 30, self.y(value)
                self.parts.append(
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="26" height="{BOTTOM - y:.1f}" fill="{COLOURS[kind]}"/>'
                )
                self.parts.append(self.text(x + 13, y - 4, f"{value:.2f}", size=10, anchor="middle"))

    def line(self, points: list[tuple[float, float]], most: float, limit: float) -> None:
        """A line through points, and a limit across."""
        scaled = [(self.left + WIDTH * x / most, self.y(y)) for x, y in points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in scaled)
        self.parts.append(f'<path d="M{path}" fill="none" stroke="{COLOURS["worker"]}" stroke-width="2"/>')
        self.parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{COLOURS["worker"]}"/>' for x, y in scaled]
        for x, _ in points[:: max(1, len(points) // 6)]:
            self.parts.append(self.text(self.left + WIDTH * x / most, BOTTOM + 18, f"{x:g}", anchor="middle"))
        y = self.y(limit)
        self.parts.append(f'<path d="M{self.left} {y:.1f}h{WIDTH}" stroke="#a00" stroke-dasharray="6 4"/>')
        self.parts.append(self.text(self.left + 6, y - 5, f"limit {limit:g} ms"))


def draw(rows: Rows, consults: Rows, limit: float) -> str:
    """The drawing, as SVG."""
    cpu = Panel(0, "CPU of the server", "streams of 720p, 1.5 Mbit/s", "CPU seconds per stream-minute", 0.1, 50)
    cpu.bars(rows, "CPU s per stream-minute")
    delay = Panel(1, "Delay added, 95 of 100 packets", "streams of 720p, 1.5 Mbit/s", "milliseconds", 0.1, 10)
    delay.bars({name: row for name, row in rows.items() if "delay p95 ms" in row}, "delay p95 ms")
    many = Panel(2, "Consults on one worker", "consults of two pictures and two voices", "p95 delay, ms", 0.1, 100)
    points = [(float(name.split()[0]), row["delay p95 ms"]) for name, row in consults.items()]
    many.line(points, 1.05 * max(x for x, _ in points), limit)
    legend = [
        f'<rect x="{LEFT + 130 * number}" y="{HEIGHT - 16}" width="12" height="12" fill="{COLOURS[kind]}"/>'
        + Panel.text(LEFT + 18 + 130 * number, HEIGHT - 5, NAMES[kind])
        for number, kind in enumerate(COLOURS)
    ]
    whole = LEFT + 3 * WIDTH + 2 * GAP + 20
    body = "\n".join([*cpu.parts, *delay.parts, *many.parts, *legend])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {HEIGHT}" font-family="sans-serif" '
        f'role="img" aria-label="CPU and delay of the media worker beside Janus and MediaRelay">\n'
        f'<rect width="{whole}" height="{HEIGHT}" fill="#fff"/>\n{body}\n</svg>\n'
    )
