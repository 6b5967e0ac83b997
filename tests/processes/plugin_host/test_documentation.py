"""What docs/plugins says is what the code does: the tutorial runs, the reference is fresh, checklists are true."""

from __future__ import annotations

import ast
import importlib
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from teleconsult.domain.plugin_state import MemoryPluginStateStore
from teleconsult.plugin_api import DeviceStatus, PluginInfo, Reading
from teleconsult.plugin_host import DeviceAssignment, PluginConfig, PluginHost, PluginStatus
from teleconsult.plugin_kit import RULES, check_plugin
from tests.processes.plugin_host.conftest import eventually

ROOT = Path(__file__).resolve().parents[3]
PAGES = ROOT / "docs" / "plugins"
BUNDLED = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))


STEP = re.compile(r"^## (\d)\. ", re.MULTILINE)
FILE = re.compile(r"^\*\*`(\S+)`\*\*(?: \(empty\)$|\n\n```\w+\n(.*?)^```$)", re.MULTILINE | re.DOTALL)
"""A file of the tutorial: its name as a reader sees it, and the block below it."""


def write_tutorial(project: Path, steps: range) -> None:
    """The project of writing.md after these steps, as a reader would have it after copying each block."""
    _, *parts = STEP.split((PAGES / "writing.md").read_text(encoding="utf-8"))
    for number, text in zip(map(int, parts[::2]), parts[1::2], strict=True):
        for name, content in FILE.findall(text) if number in steps else ():
            path = project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")


def install(project: Path, folder: Path) -> Path:
    """Have pip install it into the folder."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", folder, project], check=True, timeout=100)
    return folder


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole project of writing.md."""
    project = tmp_path_factory.mktemp("tutorial") / "village-scale"
    write_tutorial(project, range(1, 8))
    return project


@pytest.fixture(scope="module")
def installed(tutorial: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed it."""
    return install(tutorial, tmp_path_factory.mktemp("installed"))


def test_every_block_that_is_a_file_says_so_where_a_reader_sees_it(tutorial):
    text = (PAGES / "writing.md").read_text(encoding="utf-8")
    assert re.findall(r"^```\w+ \S+$", text, re.MULTILINE) == []
    assert text.count("\n```\n") == len(
        [path for path in tutorial.rglob("*") if path.is_file() and path.stat().st_size]
    )


def test_after_step_5_it_installs_and_its_own_tests_pass(tmp_path):
    project = tmp_path / "village-scale"
    write_tutorial(project, range(1, 6))
    assert not (project / "src/village_scale/simulated.py").exists()
    folder = install(project, tmp_path / "installed")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]
    done = subprocess.run(command, cwd=project, env=_with_path(folder), capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "13 passed" in done.stdout


def test_the_tutorial_s_plugin_keeps_every_rule(tutorial):
    report = check_plugin(str(tutorial))
    assert [(line.rule, line.sentence) for line in report.lines if not line.good] == []
    assert {line.rule for line in report.lines if line.verdict == "exempt"} == {"device-clock-checked", "battery-told"}


def test_the_tutorial_s_plugin_is_read_by_a_node(installed, device_host, heard):
    only = frozenset({"village-scale"})
    plugins = PluginHost(PluginConfig(only=only, paths=(str(installed),)), MemoryPluginStateStore())
    plugins.start()
    try:
        assert plugins.plugin("village-scale").status is PluginStatus.ENABLED
        with socket.create_server(("127.0.0.1", 0)) as server:
            plugins.configure("village-scale", {"address": f"127.0.0.1:{server.getsockname()[1]}"})
            devices = device_host(plugins)
            found = []
            stop = devices.discover("village-scale", "scale", found.append)
            eventually(lambda: found, "the scale is found")
            stop()
            devices.start_device(DeviceAssignment(found[0], "village-scale", "scale"))
            line, _ = server.accept()
            with line:
                line.sendall(b"0007 +070.45 kg\r\n")
                assert heard.next(Reading).raw == b"0007 +070.45 kg\r\n".hex()
        lost = heard.next(DeviceStatus, lambda s: s.state == "searching" and s.sentence)
        assert lost.sentence.zh == "体重秤无应答，请检查连线和电源。"
        devices.close()
    finally:
        plugins.stop()


def test_the_reference_is_fresh():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "plugin_reference.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_links_lead_somewhere():
    for page in PAGES.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+\.md)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} → {target}"


def _with_path(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(folder)}


# quality.yaml


def rules() -> dict[str, str]:
    """Rule → kinds it concerns, from the table in quality.md."""
    text = (PAGES / "quality.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `([\w-]+)` \| (\w+) \|", text, re.MULTILINE))


def check_quality(project: Path) -> dict[str, str]:
    """Rule → status of a plugin; fails on a rule that is unknown, unanswered or without its reason."""
    answers = yaml.safe_load((project / "quality.yaml").read_text(encoding="utf-8"))["rules"]
    assert set(rules()) <= set(answers) <= set(RULES), (
        "every rule of quality.md is answered, and none that is not checked"
    )
    for rule, answer in answers.items():
        assert answer["status"] in ("done", "todo", "exempt"), rule
        assert answer["status"] == "done" or len(answer.get("comment", "")) > 10, f"{rule}: say why"
    return {rule: answer["status"] for rule, answer in answers.items()}


@pytest.fixture(params=[*BUNDLED, "tutorial"], ids=lambda p: p if isinstance(p, str) else p.name)
def project(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue("tutorial") if request.param == "tutorial" else request.param


def test_quality_file(project):
    answers = check_quality(project)
    sources = list((project / "src").rglob("*.py"))
    assert sources
    if answers["imports-api-only"] == "done":
        imported = {name for path in sources for name in core_imports(path)}
        assert {"teleconsult.plugin_api"} <= imported <= {"teleconsult.plugin_api", "teleconsult.plugin_api.checking"}
    if answers["typed"] == "done":
        assert list((project / "src").glob("*/py.typed"))
    if answers["documented"] == "done":
        assert (project / "README.md").exists()


@pytest.mark.parametrize("project", BUNDLED, ids=lambda path: path.name)
def test_settings_have_defaults(project):
    [package] = [path.name for path in (project / "src").iterdir() if (path / "__init__.py").exists()]
    info = importlib.import_module(package).describe_plugin()
    assert isinstance(info, PluginInfo)
    if info.settings is not None:
        assert info.settings()


def core_imports(path: Path) -> set[str]:
    """The modules of teleconsult that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        found |= {name for name in names if name.split(".")[0] == "teleconsult"}
    return found
