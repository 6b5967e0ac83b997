"""Find the plugin that is to be checked: a project's folder, a wheel, or the name of an installed one.

Gives where its files are and how a process of its own can import it. Runs none of its code.
"""

from __future__ import annotations

import configparser
import importlib.metadata
import json
import re
import tomllib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from teleconsult.domain.errors import N_, InvalidInput
from teleconsult.plugin_api.checking import GROUP as CHECK_GROUP

PLUGIN_GROUP = "teleconsult.plugins"


@dataclass(frozen=True)
class Target:
    """A plugin to be checked."""

    name: str
    """The entry point's name; empty if it offers none."""
    module: str
    """What the entry point names."""
    distribution: str
    version: str
    requires: tuple[str, ...]
    readme: str
    paths: tuple[str, ...]
    """Folders from which its process imports it, besides what is installed."""
    package: Path | None
    """The folder of its top package, or its only module."""
    project: Path | None
    """Its project's folder, where there is one."""
    others: tuple[str, ...] = ()
    """Further plugins that the same distribution offers."""
    version_computed: bool = False
    """Whether the version is worked out when the project is built, so that the project does not state it."""

    @property
    def quality_file(self) -> Path | None:
        """Where its quality.yaml is: in the project, or packed into the package."""
        places = [self.project, self.package if self.package and self.package.is_dir() else None]
        return next((place / "quality.yaml" for place in places if place and (place / "quality.yaml").exists()), None)

    def sources(self) -> list[Path]:
        """Its Python files, tests left out."""
        if self.package is None:
            return []
        return sorted(self.package.rglob("*.py")) if self.package.is_dir() else [self.package]


def find_target(given: str, scratch: Path) -> Target:
    """The plugin that `given` names. `scratch` is an empty folder for what has to be unpacked.

    Raises InvalidInput with a sentence if there is no plugin.
    """
    path = Path(given).expanduser()
    if path.is_dir():
        return _from_project(path.resolve(), scratch)
    if path.suffix == ".whl" and path.is_file():
        return _from_wheel(path, scratch)
    return _from_installed(given, scratch)


def _from_project(folder: Path, scratch: Path) -> Target:
    file = folder / "pyproject.toml"
    if not file.exists():
        raise InvalidInput(N_("There is no pyproject.toml in %(folder)s."), folder=str(folder))
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(N_("%(file)s cannot be read: %(reason)s"), file=str(file), reason=str(error)) from error
    project: dict[str, Any] = data.get("project", {})
    if not isinstance(project, dict):
        raise InvalidInput(N_("%(file)s: [project] is no table."), file=str(file))
    entries = _entry_points(file, project)
    plugins = entries.get(PLUGIN_GROUP, {})
    name, module = next(iter(plugins.items()), ("", ""))
    top = module.partition(":")[0].partition(".")[0]
    source = next((place for place in (folder / "src", folder) if top and _module_at(place, top)), None)
    dynamic = project.get("dynamic")
    distribution, version = str(project.get("name", "")), str(project.get("version", ""))
    computed = isinstance(dynamic, list) and "version" in dynamic
    _write_metadata(scratch, distribution or "unnamed", version or "0", entries)
    return Target(
        name=name,
        module=module,
        distribution=distribution,
        version=version,
        requires=tuple(map(str, dependencies)) if isinstance(dependencies := project.get("dependencies"), list) else (),
        readme=_readme(folder, project.get("readme")),
        paths=(str(scratch), *([str(source)] if source else [])),
        package=_module_at(source, top) if source else None,
        project=folder,
        others=tuple(plugins)[1:],
        version_computed=computed,
    )


def _entry_points(file: Path, project: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The entry points by group. Raises InvalidInput if they are no tables."""
    groups = project.get("entry-points", {})
    for group, points in groups.items() if isinstance(groups, dict) else [("entry-points", groups)]:
        if not isinstance(points, dict) or not all(isinstance(value, str) for value in points.values()):
            why = N_('%(file)s: %(group)s is a table of names and modules: [project.entry-points."%(group)s"]')
            raise InvalidInput(why, file=str(file), group=group)
    return dict(groups)


def _from_wheel(wheel: Path, scratch: Path) -> Target:
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(scratch)
    except (zipfile.BadZipFile, OSError) as error:
        raise InvalidInput(N_("%(file)s cannot be read: %(reason)s"), file=str(wheel), reason=str(error)) from error
    found = list(importlib.metadata.distributions(path=[str(scratch)]))
    if not found:
        raise InvalidInput(N_("%(file)s is no wheel."), file=str(wheel))
    return _from_distribution(found[0], scratch, (str(scratch),))


def _from_installed(name: str, scratch: Path) -> Target:
    for distribution in importlib.metadata.distributions():
        names = {entry.name for entry in distribution.entry_points.select(group=PLUGIN_GROUP)}
        if name in names or (names and name == distribution.metadata["Name"]):
            if folder := _editable(distribution):
                return _from_project(folder, scratch)
            return _from_distribution(distribution, Path(str(distribution.locate_file(""))), ())
    raise InvalidInput(
        N_("%(name)s is no project folder, no wheel, and no plugin of that name is installed."), name=name
    )


def _from_distribution(distribution: importlib.metadata.Distribution, folder: Path, paths: tuple[str, ...]) -> Target:
    plugins = list(distribution.entry_points.select(group=PLUGIN_GROUP))
    first = plugins[0] if plugins else None
    top = first.module.partition(".")[0] if first else ""
    metadata = distribution.metadata
    return Target(
        name=first.name if first else "",
        module=first.value if first else "",
        distribution=metadata["Name"] or "",
        version=distribution.version,
        requires=tuple(distribution.requires or ()),
        readme=str(metadata.get_payload() or metadata.get("Description") or ""),  # type: ignore[attr-defined]
        paths=paths,
        package=_module_at(folder, top) if top else None,
        project=None,
        others=tuple(entry.name for entry in plugins[1:]),
    )


def _editable(distribution: importlib.metadata.Distribution) -> Path | None:
    """The project's folder of a distribution that was installed for working on it."""
    text = distribution.read_text("direct_url.json")
    origin = json.loads(text) if text else {}
    if not origin.get("dir_info", {}).get("editable"):
        return None
    folder = Path(unquote(urlsplit(origin["url"]).path))
    return folder if (folder / "pyproject.toml").exists() else None


def _module_at(folder: Path, top: str) -> Path | None:
    if (folder / top / "__init__.py").exists():
        return folder / top
    return folder / f"{top}.py" if (folder / f"{top}.py").exists() else None


def _readme(folder: Path, stated: Any) -> str:
    name = stated if isinstance(stated, str) else stated.get("file", "") if isinstance(stated, dict) else ""
    for candidate in (name, "README.md", "README.rst", "README.txt"):
        file = folder / candidate
        if candidate and file.is_file():
            return file.read_text(encoding="utf-8", errors="replace")
    return ""


def _write_metadata(folder: Path, name: str, version: str, entries: Mapping[str, Mapping[str, str]]) -> None:
    """The metadata that an installer would write, so that the project need not be installed."""
    info = folder / f"{re.sub(r'[^A-Za-z0-9]+', '_', name)}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    points = configparser.ConfigParser(delimiters=("=",))
    points.optionxform = str  # type: ignore[assignment, method-assign]
    for group in (PLUGIN_GROUP, CHECK_GROUP):
        if group in entries:
            points[group] = dict(entries[group])
    with (info / "entry_points.txt").open("w", encoding="utf-8") as file:
        points.write(file)
