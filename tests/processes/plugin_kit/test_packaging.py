"""What the check reads from a project's files without running them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from teleconsult.cli import main
from teleconsult.plugin_kit import make_project
from teleconsult.plugin_kit._packaging import check_imports, check_packaging
from teleconsult.plugin_kit._target import Target, find_target

Make = Callable[..., Target]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A new panel's project."""
    return make_project("my-panel", "panel", tmp_path)


@pytest.fixture
def found(project: Path, tmp_path: Path) -> Callable[[], Target]:
    """Read the project."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return lambda: find_target(str(project), scratch)


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_a_version_may_be_worked_out_when_it_is_built(project: Path, found: Callable[[], Target]) -> None:
    edit(project / "pyproject.toml", 'version = "0.1.0"', 'dynamic = ["version"]')
    assert check_packaging(found()).good


@pytest.mark.parametrize(("library", "good"), [("pydantic", True), ("serial", False), ("json", True)])
def test_a_library_is_declared_or_comes_with_teleconsult(
    project: Path, found: Callable[[], Target], library: str, good: bool
) -> None:
    code = project / "src/my_panel/__init__.py"
    code.write_text(f"import {library}\n", encoding="utf-8")
    line = check_packaging(found())
    assert line.good is good
    assert good or line.sentence == f"__init__.py line 1 imports {library}, which is not among its dependencies."


def test_a_declared_library_may_be_imported(project: Path, found: Callable[[], Target]) -> None:
    (project / "src/my_panel/__init__.py").write_text("import serial\n", encoding="utf-8")
    file = project / "pyproject.toml"
    file.write_text(file.read_text().replace('dependencies = ["', 'dependencies = ["pyserial>=3", "'), encoding="utf-8")
    assert check_packaging(found()).good


@pytest.mark.parametrize(
    "code", ["import teleconsult.plugin_api.testing\n", "from teleconsult.plugin_api import testing\n"]
)
def test_the_fixtures_are_for_tests_alone(project: Path, found: Callable[[], Target], code: str) -> None:
    (project / "src/my_panel/__init__.py").write_text(code, encoding="utf-8")
    assert "needs pytest" in check_imports(found()).sentence


@pytest.mark.parametrize(
    "text", ["[project\n", '[project.entry-points]\n"teleconsult.plugins" = "x"\n', "project = 3\n"]
)
def test_a_strange_pyproject_is_one_sentence_also_for_programs(project: Path, text: str) -> None:
    (project / "pyproject.toml").write_text(text, encoding="utf-8")
    told = CliRunner().invoke(main, ["plugin", "check", str(project), "--json"])
    assert told.exit_code == 1
    assert "pyproject.toml" in json.loads(told.stdout)["error"]
    said = CliRunner().invoke(main, ["plugin", "check", str(project)])
    assert (said.exit_code, len(said.stderr.splitlines())) == (1, 1)
