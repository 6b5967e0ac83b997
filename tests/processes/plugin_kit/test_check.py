"""The conformance check: new projects and bundled plugins pass, each broken one fails with the right line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from teleconsult.cli import main
from teleconsult.domain.errors import Conflict, InvalidInput
from teleconsult.plugin_kit import RULES, check_plugin, make_project
from tests.plugins import broken

KINDS = ("device", "followup", "referral", "panel")


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_project_holds_at_once(tmp_path: Path, kind: str) -> None:
    report = check_plugin(str(make_project(f"my-{kind}", kind, tmp_path)))
    assert [(line.rule, line.sentence) for line in report.lines if not line.good] == []
    assert report.kinds == (kind,)


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_project_s_own_tests_pass_without_a_warning(tmp_path: Path, kind: str) -> None:
    project = make_project(f"my-{kind}", kind, tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("plugin", broken.ALL, ids=lambda plugin: plugin.name)
def test_a_broken_plugin_falls_short_in_the_right_line_and_no_other(tmp_path: Path, plugin: broken.Broken) -> None:
    told = CliRunner().invoke(main, ["plugin", "check", str(plugin.make(tmp_path)), "--json"])
    assert told.exit_code == 1, told.output
    lines = json.loads(told.stdout)["lines"]
    short = [(line["rule"], line["why"]) for line in lines if line["verdict"] == "falls_short"]
    assert [rule for rule, _ in short] == [plugin.rule], short
    assert plugin.says in short[0][1]
    assert "%(" not in told.stdout


def test_what_cannot_be_loaded_is_said_and_nothing_is_claimed(tmp_path: Path) -> None:
    project = make_project("my-panel", "panel", tmp_path)
    (project / "src" / "my_panel" / "__init__.py").write_text("raise RuntimeError('no such library')\n")
    lines = {line.rule: line for line in check_plugin(str(project)).lines}
    assert "no such library" in lines["loads"].sentence
    assert lines["texts-in-both-languages"].verdict == "not_shown"


def test_without_a_simulated_device_nothing_is_shown(tmp_path: Path) -> None:
    project = make_project("my-scale", "device", tmp_path)
    file = project / "pyproject.toml"
    file.write_text(file.read_text().replace("teleconsult.plugin_check", "nobody.asks_for_this"))
    report = check_plugin(str(project))
    verdicts = {line.rule: line.verdict for line in report.lines if line.subject == "thermometer"}
    assert set(verdicts.values()) == {"not_shown"}
    assert not report.all_hold


def test_an_exemption_counts_with_its_reason_and_only_where_one_may_be(tmp_path: Path) -> None:
    project = make_project("my-panel", "panel", tmp_path)
    quality = project / "quality.yaml"
    quality.write_text(
        quality.read_text().replace("typed: {status: done}", "typed: {status: exempt, comment: none of mine}")
    )
    lines = {line.rule: line for line in check_plugin(str(project)).lines}
    assert "no plugin is exempt" in lines["quality-answered"].sentence


def test_a_plugin_that_exempts_itself_from_everything_falls_short(tmp_path: Path) -> None:
    project = make_project("my-scale", "device", tmp_path)
    device_rules = [rule.key for rule in RULES.values() if rule.kind == "device"]
    quality = project / "quality.yaml"
    kept = [line for line in quality.read_text().splitlines() if line.split(":")[0].strip() not in device_rules]
    kept += [f"  {rule}: {{status: exempt, comment: no need for that here}}" for rule in device_rules]
    quality.write_text("\n".join(kept))
    project_file = project / "pyproject.toml"
    project_file.write_text(project_file.read_text().replace("teleconsult.plugin_check", "nobody.asks_for_this"))
    report = check_plugin(str(project))
    lines = {line.rule: line for line in report.lines}
    assert "no plugin is exempt" in lines["quality-answered"].sentence
    assert {lines[rule].verdict for rule in device_rules} == {"not_shown"}


def test_the_command_speaks_both_languages_and_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELECONSULT_LANGUAGE", "en")
    made = CliRunner().invoke(main, ["plugin", "new", "my-panel", "--kind", "panel", "--path", str(tmp_path)])
    assert made.exit_code == 0, made.output
    project = str(tmp_path / "my-panel")
    told = CliRunner().invoke(main, ["plugin", "check", project, "--json"])
    data = json.loads(told.stdout)
    assert (told.exit_code, data["all_hold"], data["plugin"]) == (0, True, "my-panel")
    monkeypatch.setenv("TELECONSULT_LANGUAGE", "zh")
    (Path(project) / "README.md").unlink()
    table = CliRunner().invoke(main, ["plugin", "check", project])
    assert table.exit_code == 1
    assert "未达到" in table.stdout


@pytest.mark.parametrize(
    "name",
    [
        "My-Scale",
        "1scale",
        "scale_one",
        "",
        "a" * 41,
        "json",
        "class",
        "pydantic",
        "flask",
        "pytest",
        "vitals-simulator",
    ],
)
def test_a_name_that_cannot_be_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput):
        make_project(name, "device", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "my-scale").mkdir()
    with pytest.raises(Conflict):
        make_project("my-scale", "device", tmp_path)
    assert list((tmp_path / "my-scale").iterdir()) == []


def test_what_is_no_plugin_is_refused(tmp_path: Path) -> None:
    for given in (str(tmp_path), "no-such-plugin"):
        with pytest.raises(InvalidInput):
            check_plugin(given)
