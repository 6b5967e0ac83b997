"""The rules that a plugin's files answer, read without running any of its code."""

from __future__ import annotations

import ast
import contextlib
import importlib.metadata
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from teleconsult.domain.errors import N_
from teleconsult.plugin_kit._report import Line, falls_short, holds, not_shown
from teleconsult.plugin_kit._rules import RULES, rules_for
from teleconsult.plugin_kit._target import Target

TESTING = "teleconsult.plugin_api.testing"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
VERSION = re.compile(r"v?(\d+!)?\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9.]+)?")
STATUSES = ("done", "todo", "exempt")
LEAST_README = 200
"""Characters below which a README cannot have said what a plugin is for, needs, and does not do."""


def check_packaging(target: Target) -> Line:
    """`packaged`."""
    rule = "packaged"
    if not target.name:
        return falls_short(rule, "", N_("It has no entry point in the group teleconsult.plugins."))
    if target.others:
        return falls_short(rule, "", N_("It offers several plugins; one distribution holds one plugin."))
    if not NAME.fullmatch(target.name):
        return falls_short(
            rule,
            "",
            N_("The entry point's name %(name)s may have small letters, digits and hyphens only."),
            name=target.name,
        )
    if target.package is None:
        return falls_short(
            rule, "", N_("The entry point names the module %(module)s, which is not there."), module=target.module
        )
    if not target.version_computed and not VERSION.fullmatch(target.version):
        return falls_short(rule, "", N_("Its version is not stated as a number such as 0.1.0."))
    if not any(re.match(r"teleconsult(?![\w.-])", need) for need in target.requires):
        return falls_short(rule, "", N_("It does not name teleconsult among its dependencies."))
    if undeclared := _undeclared(target):
        file, line, name = undeclared
        why = N_("%(file)s line %(line)d imports %(name)s, which is not among its dependencies.")
        return falls_short(rule, "", why, file=file, line=line, name=name)
    return holds(rule)


def _undeclared(target: Target) -> tuple[str, int, str] | None:
    """The first import of a library that its dependencies do not bring: teleconsult's own count as brought."""
    providers = importlib.metadata.packages_distributions()
    brought = _brought(target.requires)
    own = {target.package.stem} if target.package else set()
    for path in target.sources():
        try:
            found = _imports(path)
        except (SyntaxError, ValueError):
            continue  # imports-api-only says so
        for name, line in found:
            top = name.partition(".")[0]
            by = {_canonical(each) for each in providers.get(top, ())}
            if top not in sys.stdlib_module_names and top not in own and by and not by & brought:
                return path.name, line, top
    return None


def _brought(requires: tuple[str, ...]) -> set[str]:
    """What is declared, and what the declared bring."""
    names: set[str] = set()
    waiting = list(requires)
    while waiting:
        match = re.match(r"[A-Za-z0-9][\w.-]*", waiting.pop().strip())
        if match and (name := _canonical(match[0])) not in names:
            names.add(name)
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                waiting += [need for need in importlib.metadata.requires(name) or () if "extra ==" not in need]
    return names


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def check_imports(target: Target) -> Line:
    """`imports-api-only`."""
    rule = "imports-api-only"
    for path in target.sources():
        try:
            found = core_imports(path)
        except (SyntaxError, ValueError) as error:
            return falls_short(rule, "", N_("%(file)s cannot be read: %(reason)s"), file=path.name, reason=str(error))
        for name, line in found:
            if name.startswith(TESTING):
                why = N_("%(file)s line %(line)d imports %(name)s, which needs pytest: it is for tests alone.")
                return falls_short(rule, "", why, file=path.name, line=line, name=name)
            if not re.fullmatch(r"teleconsult\.plugin_api(\..*)?", name) or re.search(r"\._", name):
                return falls_short(
                    rule, "", N_("%(file)s line %(line)d imports %(name)s."), file=path.name, line=line, name=name
                )
    return holds(rule)


def core_imports(path: Path) -> list[tuple[str, int]]:
    """The modules of teleconsult that a file imports, each with its line."""
    return [(name, line) for name, line in _imports(path) if name.split(".")[0] == "teleconsult"]


def _imports(path: Path) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # `from teleconsult import services` names a room too.
            packages = ("teleconsult", "teleconsult.plugin_api")
            names = [f"{node.module}.{alias.name}" for alias in node.names] if node.module in packages else []
            found += [(name, node.lineno) for name in names or [node.module]]
    return found


def check_typed(target: Target) -> Line:
    """`typed`."""
    rule = "typed"
    if target.package is None or target.package.is_file() or not (target.package / "py.typed").exists():
        return falls_short(rule, "", N_("There is no py.typed in its package."))
    for path in target.sources():
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError) as error:
            return falls_short(rule, "", N_("%(file)s cannot be read: %(reason)s"), file=path.name, reason=str(error))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not _annotated(node):
                return falls_short(
                    rule,
                    "",
                    N_("%(name)s() in %(file)s line %(line)d lacks annotations."),
                    name=node.name,
                    file=path.name,
                    line=node.lineno,
                )
    return holds(rule)


def _annotated(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    if arguments and arguments[0].arg in ("self", "cls"):
        arguments = arguments[1:]
    return all(argument.annotation for argument in arguments) and (node.returns is not None or node.name == "__init__")


def check_readme(target: Target) -> Line:
    """`documented`."""
    rule = "documented"
    if not target.readme.strip():
        return falls_short(rule, "", N_("There is no README."))
    if len(target.readme) < LEAST_README:
        return falls_short(
            rule, "", N_("The README does not yet say what it is for, what it needs and what it does not do.")
        )
    return holds(rule)


def check_tests(target: Target, simulated: bool) -> Line:
    """`tested-against-a-device`."""
    rule = "tested-against-a-device"
    if not simulated:
        return not_shown(rule, "", N_("It offers no simulated device in the group teleconsult.plugin_check."))
    if target.project is not None and not list((target.project / "tests").rglob("test_*.py")):
        return falls_short(rule, "", N_("There are no tests in its folder tests."))
    return holds(rule)


def read_quality(target: Target) -> tuple[dict[str, dict[str, Any]], Line | None]:
    """The answers of quality.yaml, and a line if the file cannot be used."""
    rule, file = "quality-answered", target.quality_file
    if file is None:
        return {}, falls_short(rule, "", N_("There is no quality.yaml."))
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
        answers = {str(key): dict(answer) for key, answer in data["rules"].items()}
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError, ValueError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        return {}, falls_short(rule, "", N_("%(file)s cannot be read: %(reason)s"), file="quality.yaml", reason=reason)
    return answers, None


def check_quality(answers: dict[str, dict[str, Any]], kinds: tuple[str, ...]) -> Line:
    """`quality-answered`."""
    rule = "quality-answered"
    wanted = {item.key for item in rules_for(kinds) if item.answered}
    if missing := sorted(wanted - answers.keys()):
        return falls_short(rule, "", N_("It does not answer: %(rules)s."), rules=", ".join(missing))
    if strange := sorted(answers.keys() - RULES.keys()):
        return falls_short(rule, "", N_("It answers rules that do not exist: %(rules)s."), rules=", ".join(strange))
    for key, answer in answers.items():
        status, comment = answer.get("status"), str(answer.get("comment") or "")
        if status not in STATUSES:
            return falls_short(rule, "", N_("%(rule)s: the status is done, todo or exempt."), rule=key)
        if status != "done" and len(comment) <= 10:
            return falls_short(rule, "", N_("%(rule)s: a comment has to say why."), rule=key)
        if status == "exempt" and not RULES[key].exemptible:
            return falls_short(rule, "", N_("%(rule)s: no plugin is exempt from this rule."), rule=key)
        if status == "todo":
            return falls_short(rule, "", N_("%(rule)s is still to do: %(comment)s"), rule=key, comment=comment)
    return holds(rule)
