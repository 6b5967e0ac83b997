"""One deliberately broken plugin: what `plugin new` makes, with one fault."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from teleconsult.plugin_kit import make_project


@dataclass(frozen=True)
class Broken:
    """One fault: in `file` of the package, each `old` text becomes `new`.

    `rule` is the line that falls short, `says` are words of its sentence.
    """

    name: str
    kind: str
    rule: str
    says: str
    file: str
    changes: tuple[tuple[str, str], ...]

    def make(self, folder: Path) -> Path:
        """Make the broken project in `folder`."""
        project = make_project(self.name, self.kind, folder)
        file = project / "src" / self.name.replace("-", "_") / self.file
        text = file.read_text(encoding="utf-8")
        for old, new in self.changes:
            assert text.count(old) == 1, f"{self.name}: the template has changed: {old!r}"
            text = text.replace(old, new)
        file.write_text(text, encoding="utf-8")
        return project
