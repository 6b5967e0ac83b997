"""What the repository's own files promise: locked and vendored third parties, no text about one machine."""

import ast
import hashlib
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VENDOR = ROOT / "web" / "vendor"
# {1} keeps a pattern from matching its own text.
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:work|root|home|Users)/+\w")
REGISTRY = re.compile(
    r"\b(?:p{1}ypi\.org|p{1}ythonhosted\.org|n{1}pmjs\.(?:org|com)|d{1}eb\.debian\.org|y{1}arnpkg\.com)\b"
)


def _tracked() -> list[Path]:
    """Every file that git keeps here or would keep."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def _pins(lock: str) -> dict[str, str]:
    text = (ROOT / lock).read_text()
    return dict(re.findall(r"^([a-z0-9.-]+)(?:\[[a-z,]+\])?==(\S+)", text, re.MULTILINE))


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports by its full name, and the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=~!; ]", requirement, maxsplit=1)[0].lower()


def test_no_text_names_a_registry_or_a_path_of_one_machine() -> None:
    found = []
    for path in _tracked():
        if path.is_relative_to(VENDOR):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            if MACHINE_PATH.search(line) or REGISTRY.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not found, "\n".join(found)


def test_the_patterns_find_what_they_are_for() -> None:
    assert MACHINE_PATH.search("see /" + "home/ann/x")
    assert not MACHINE_PATH.search("http://hub/" + "home/ann")
    assert REGISTRY.search("https://registry.np" + "mjs.org/x")


def test_the_lock_files_name_every_dependency_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    run = {_name(requirement) for requirement in project["dependencies"]}
    development = {
        _name(requirement)
        for extra in project["optional-dependencies"].values()
        for requirement in extra
        if _name(requirement) != "teleconsult"
    }
    assert run <= _pins("requirements.lock").keys()
    assert run | development <= _pins("requirements-dev.lock").keys()


def test_what_is_tested_is_what_a_node_runs() -> None:
    assert _pins("requirements.lock").items() <= _pins("requirements-dev.lock").items()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_locked_package_has_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text()
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert blocks
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert "http" not in re.sub(r"^[a-z0-9.-]+==.*$", "", text, flags=re.MULTILINE)


def test_the_npm_lock_names_no_address() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert packages
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert [name for name, package in packages.items() if name and "integrity" not in package] == []


def test_vendored_libraries_are_the_published_ones() -> None:
    manifest = json.loads((VENDOR / "manifest.json").read_text())
    wanted = json.loads((ROOT / "package.json").read_text())["devDependencies"]
    listed = set()
    for library in manifest:
        assert wanted[library["name"]] == library["version"], library["name"]
        for name, digest in library["files"].items():
            assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name
            listed.add(name)
        assert any(name.endswith("LICENSE") for name in library["files"]), library["name"]
    own = {"manifest.json", "socket.io/socket.io.esm.min.d.ts"}
    assert {str(path.relative_to(VENDOR)) for path in VENDOR.rglob("*") if path.is_file()} == listed | own


def test_every_make_target_is_described() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    described = re.findall(r"^([a-z]+):.*## \S", makefile, re.MULTILINE)
    assert sorted(described) == sorted(phony[1].split())


def test_every_direct_dependency_is_described() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    wanted = {_name(requirement) for group in groups for requirement in group} - {"teleconsult"}
    wanted |= set(json.loads((ROOT / "package.json").read_text())["devDependencies"])
    described = re.findall(
        r"^\| ([a-z0-9.-]+) \| (\d\S*) \|", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE
    )
    assert {name for name, _version in described} == wanted
    locked = _pins("requirements-dev.lock")
    assert {name: version for name, version in described if locked.get(name, version) != version} == {}


def test_plugins_import_nothing_of_the_core_but_the_plugin_api() -> None:
    sources = [path for path in (ROOT / "plugins").rglob("*.py") if "tests" not in path.relative_to(ROOT).parts]
    assert sources
    for path in sources:
        for name, line in _imports(path):
            allowed = re.match(r"(?!teleconsult(\.|$))|teleconsult\.plugin_api(\.|$)", name)
            assert allowed, f"{path.relative_to(ROOT)}:{line} imports {name}"


@pytest.mark.parametrize(
    ("lock", "folders"),
    [("requirements.lock", ["teleconsult"]), ("requirements-dev.lock", ["plugins", "tests", "scripts"])],
)
def test_every_third_party_import_is_locked(lock: str, folders: list[str]) -> None:
    """A package that only happens to be installed here is missing in a fresh clone."""
    distributions = importlib.metadata.packages_distributions()
    locked = _pins(lock)
    own = {"tests", "scripts", *(path.name for path in ROOT.glob("plugins/*/src/*")), "teleconsult"}
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        if path in (ROOT / "teleconsult/plugin_api/testing.py", ROOT / "teleconsult/plugin_kit/fixtures.py"):
            continue  # loaded by pytest alone
        for name, line in _imports(path):
            top = name.partition(".")[0]
            if top not in sys.stdlib_module_names and top not in own:
                names = {re.sub(r"[-_.]+", "-", found).lower() for found in distributions.get(top, [top])}
                assert names & locked.keys(), f"{path.relative_to(ROOT)}:{line} imports {top}, not in {lock}"
