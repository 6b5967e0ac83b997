"""What people install: teleconsult's wheel and a plugin's wheel, in an environment that has no source of either."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))
UV = Path(sys.executable).with_name("uv")
INSIDE = (
    "teleconsult/web/templates/base.html",
    "teleconsult/web/js/lib/i18n.js",
    "teleconsult/translations/zh/LC_MESSAGES/messages.mo",
    "teleconsult/plugin_kit/templates/common/pyproject.toml.tmpl",
    "teleconsult/plugin_kit/templates/device/src/PACKAGE/reader.py.tmpl",
    "teleconsult/plugin_kit/templates/followup/quality.yaml.tmpl",
    "teleconsult/store/migrations/env.py",
)


def run(*words: str | Path, cwd: Path, status: int = 0) -> str:
    """Run a command without this machine's settings; what it prints."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("TELECONSULT_", "PYTHONPATH", "VIRTUAL"))
    }
    environment |= {"TELECONSULT_LANGUAGE": "en", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def build(project: Path, into: Path) -> Path:
    """The project's wheel."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", into, cwd=project)
    [wheel] = into.glob("*.whl")
    return wheel


@dataclass(frozen=True)
class Installed:
    """A clean environment with both wheels. `elsewhere` is an empty folder to run its commands in."""

    core: Path
    plugin: Path
    environment: Path
    elsewhere: Path

    def teleconsult(self, *words: str | Path, status: int = 0) -> str:
        """Run its `teleconsult`."""
        return run(self.environment / "bin" / "teleconsult", *words, cwd=self.elsewhere, status=status)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheels")
    environment, elsewhere = folder / "environment", folder / "elsewhere"
    elsewhere.mkdir()
    run(UV, "venv", "--offline", "--no-project", "--python", sys.executable, environment, cwd=folder)
    python = environment / "bin" / "python"
    # The locked dependencies. A line of a .pth file comes last on the path and runs no .pth file that lies there, so
    # the sources of teleconsult and of the bundled plugins stay out of reach.
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    places = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (Path(site) / "dependencies.pth").write_text("\n".join(places) + "\n", encoding="utf-8")

    def install(wheel: Path) -> Path:
        run(UV, "pip", "install", "--offline", "--no-deps", "--python", python, wheel, cwd=folder)
        return wheel

    core = install(build(ROOT, folder / "core"))
    run(
        environment / "bin" / "teleconsult",
        "plugin",
        "new",
        "my-scale",
        "--kind",
        "device",
        "--path",
        folder,
        cwd=folder,
    )
    return Installed(core, install(build(folder / "my-scale", folder / "plugin")), environment, elsewhere)


@pytest.mark.timeout(180)
def test_both_come_from_their_wheels(installed: Installed) -> None:
    program = "import teleconsult, my_scale; print(teleconsult.__file__); print(my_scale.__file__)"
    files = run(installed.environment / "bin" / "python", "-c", program, cwd=installed.elsewhere).split()
    assert len(files) == 2
    assert all(Path(file).is_relative_to(installed.environment) for file in files), files


@pytest.mark.timeout(180)
def test_the_wheels_carry_what_is_needed(installed: Installed) -> None:
    with zipfile.ZipFile(installed.core) as wheel:
        inside = set(wheel.namelist())
    kept = {f"teleconsult/{path.relative_to(ROOT)}" for path in (ROOT / "web" / "templates").rglob("*.html")}
    assert sorted(({*INSIDE} | kept) - inside) == []
    with zipfile.ZipFile(installed.plugin) as wheel:
        assert {"my_scale/__init__.py", "my_scale/py.typed", "my_scale/quality.yaml"} <= set(wheel.namelist())


@pytest.mark.timeout(180)
def test_a_node_finds_and_loads_the_plugin(installed: Installed, tmp_path: Path) -> None:
    node = ("--vehicle", "--data-dir", tmp_path / "node")
    installed.teleconsult("db", "upgrade", *node)
    views = json.loads(installed.teleconsult("plugins", "list", "--json", *node))
    [view] = [view for view in views if view["name"] == "my-scale"]
    assert (view["status"], view["kinds"], view["last_error"]) == ("enabled", ["device"], "")
    assert (view["distribution"], view["version"]) == ("teleconsult-my-scale", "0.1.0")


@pytest.mark.timeout(180)
def test_the_installed_plugin_is_checked_by_its_name(installed: Installed) -> None:
    told = json.loads(installed.teleconsult("plugin", "check", "my-scale", "--json"))
    assert [line for line in told["lines"] if line["verdict"] not in ("holds", "exempt")] == []
    assert (told["plugin"], told["kinds"], told["all_hold"]) == ("my-scale", ["device"], True)


@pytest.mark.timeout(180)
def test_a_wheel_is_checked_where_it_is_not_installed(installed: Installed) -> None:
    told = run(sys.executable, "-m", "teleconsult", "plugin", "check", installed.plugin, cwd=installed.elsewhere)
    assert "All rules hold." in told


@pytest.mark.parametrize("project", BUNDLED, ids=lambda path: path.name)
def test_a_bundled_plugin_s_wheel_carries_its_answers(project: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(build(project, tmp_path)) as wheel:
        inside = wheel.namelist()
    package = f"teleconsult_{project.name.replace('-', '_')}"
    assert {f"{package}/__init__.py", f"{package}/py.typed", f"{package}/quality.yaml"} <= set(inside)
    assert len(inside) == len(set(inside))
