"""What an acceptance run found: each step with its time and pictures, as JSON and as one page for a person."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from tests.browser.person import Person

RECORD = "record.pdf"

STYLE = """
body { font: 16px/1.5 system-ui, "Noto Sans CJK SC", sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #ccc; }
.passed { color: #0a5c2b; } .failed { color: #a00; font-weight: 600; }
img { max-width: 48%; border: 1px solid #ccc; } pre { white-space: pre-wrap; }
"""


@dataclass
class Step:
    """One step that was tried: `result` is passed or failed."""

    name: str
    result: str = "failed"
    seconds: float = 0.0
    trouble: str = ""
    pictures: list[str] = field(default_factory=list)


class Failed(Exception):  # noqa: N818 - reads as what it says
    """A step did not succeed; the ones after it are not tried."""


class NotAReport(Exception):  # noqa: N818 - reads as what it says
    """The folder holds other things than a report of an earlier run."""


class Report:
    """Collects steps; `write` leaves report.json, report.html and the pictures in the folder. An earlier report is
    taken away; raises NotAReport for a folder that holds anything else."""

    def __init__(self, folder: Path, hub: str, vehicle: str) -> None:
        _take_away(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.hub, self.vehicle = folder, hub, vehicle
        self.began = datetime.now(UTC)
        self.steps: list[Step] = []
        self.people: list[Person] = []
        self.remarks: list[str] = []

    @property
    def passed(self) -> bool:
        """Whether every step was tried and held."""
        return bool(self.steps) and all(step.result == "passed" for step in self.steps)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step and take a picture of every page after it. Raises Failed if it did not succeed."""
        step = Step(name)
        self.steps.append(step)
        print(f"{name} … ", end="", flush=True)
        began = time.monotonic()
        try:
            yield
            step.result = "passed"
        except Exception as error:
            step.result, step.trouble = "failed", str(error).strip() or type(error).__name__
            raise Failed(f"{name}: {step.trouble}") from error
        finally:
            step.seconds = round(time.monotonic() - began, 2)
            step.pictures = self._photograph(len(self.steps))
            print(f"{step.result}, {step.seconds:.1f} s", flush=True)

    def _photograph(self, number: int) -> list[str]:
        names = []
        for person in self.people:
            name = f"{number:02d}-{person.username}.png"
            try:
                person.page.screenshot(path=self.folder / name, timeout=10_000)
            except Exception as error:
                print(f"(no picture of {person.username}: {type(error).__name__}) ", end="")
                continue
            names.append(name)
        return names

    def write(self) -> Path:
        """Write the report; gives the page's path."""
        (self.folder / "report.json").write_text(
            json.dumps(
                {
                    "hub": self.hub,
                    "vehicle": self.vehicle,
                    "began": self.began.isoformat(),
                    "passed": self.passed,
                    "remarks": self.remarks,
                    "steps": [asdict(step) for step in self.steps],
                },
                ensure_ascii=False,
                indent=2,
            )
        )
        page = self.folder / "report.html"
        page.write_text(self._page())
        return page

    def _page(self) -> str:
        rows = "".join(
            f"<tr><td><a href='#step-{number}'>{escape(step.name)}</a></td><td class='{step.result}'>{step.result}</td>"
            f"<td>{step.seconds:.1f} s</td><td><pre>{escape(step.trouble)}</pre></td></tr>"
            for number, step in enumerate(self.steps, 1)
        )
        pictures = "".join(
            f"<h2 id='step-{number}'>{escape(step.name)}</h2>"
            + "".join(f"<img src='{escape(name)}' alt='{escape(step.name)}'> " for name in step.pictures)
            for number, step in enumerate(self.steps, 1)
        )
        remarks = "".join(f"<p>{escape(remark)}</p>" for remark in self.remarks)
        result = "passed 通过" if self.passed else "failed 未通过"
        return (
            f"<!doctype html><html lang='en'><meta charset='utf-8'><title>Acceptance: {result}</title>"
            f"<style>{STYLE}</style><h1>Acceptance 验收: {result}</h1>"
            f"<p>{escape(self.hub)} · {escape(self.vehicle)} · {self.began:%Y-%m-%d %H:%M} UTC</p>"
            f"<table><tr><th>Step</th><th>Result</th><th>Time</th><th>Trouble</th></tr>{rows}</table>"
            f"{remarks}{pictures}</html>"
        )


def _take_away(folder: Path) -> None:
    """Remove the files of an earlier report, and nothing else."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        found = json.loads((folder / "report.json").read_text())
        pictures = [str(name) for step in found["steps"] for name in step["pictures"]]
        _ = found["hub"], found["vehicle"]
    except (OSError, ValueError, KeyError, TypeError):
        raise NotAReport(f"{folder} holds other things than a report. Choose another folder with --report.") from None
    for name in ("report.json", "report.html", RECORD, *pictures):
        if Path(name).name == name:
            (folder / name).unlink(missing_ok=True)
