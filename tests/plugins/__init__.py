"""Demonstration plugins for tests: one that uses every hook, and broken ones. `install()` makes them findable."""

from __future__ import annotations

import shutil
from pathlib import Path

HERE = Path(__file__).parent


def install(folder: Path, *names: str, distribution: str | None = None) -> str:
    """Put plugin modules into `folder` with the metadata that an installer would write. Returns the folder."""
    for name in names:
        shutil.copy(HERE / f"{name}.py", folder)
        project = distribution or f"demo-{name.replace('_', '-')}"
        info = folder / f"{project.replace('-', '_')}-1.2.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.2.3\n")
        (info / "entry_points.txt").write_text(f"[teleconsult.plugins]\n{name} = {name}\n")
    return str(folder)
