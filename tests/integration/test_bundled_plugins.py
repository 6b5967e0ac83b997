"""The plugins that come with teleconsult keep every rule that a plugin has to keep."""

from __future__ import annotations

from pathlib import Path

import pytest

from teleconsult.plugin_kit import check_plugin

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))


def test_there_are_bundled_plugins() -> None:
    assert {"vitals-bluetooth", "vitals-serial", "vitals-simulator"} <= {project.name for project in BUNDLED}


@pytest.mark.timeout(480)  # each rule waits for what a device does, for each of six devices where there are six
@pytest.mark.parametrize("project", BUNDLED, ids=lambda path: path.name)
def test_it_keeps_every_rule(project: Path) -> None:
    report = check_plugin(str(project))
    assert [(line.rule, line.subject, line.sentence) for line in report.lines if not line.good] == []
    assert report.plugin == project.name
    assert report.kinds
