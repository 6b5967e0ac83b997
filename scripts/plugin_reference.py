"""Write docs/plugins/reference.md from the docstrings of `teleconsult.plugin_api`; `--check` says if it is stale."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from teleconsult import plugin_api
from teleconsult.domain import measurement
from teleconsult.plugin_api import _deprecation, checking, hookspecs, testing
from teleconsult.plugin_kit import fixtures as node_fixtures

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "plugins" / "reference.md"
HEAD = f"""# Reference of the plugin border, version {plugin_api.API_VERSION}

Made from the docstrings by `scripts/plugin_reference.py`; do not edit. Each section says where its
things are imported from.
"""


def main() -> int:
    text = "\n".join(sections()).rstrip() + "\n"
    if "--check" in sys.argv:
        fresh = TARGET.exists() and TARGET.read_text(encoding="utf-8") == text
        sys.stderr.write("" if fresh else "docs/plugins/reference.md is stale: run scripts/plugin_reference.py\n")
        return 0 if fresh else 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


def sections() -> Iterator[str]:
    yield HEAD
    yield "## Hooks\n"
    yield "A hook is a function of the plugin's module under `@hookimpl`, imported from `teleconsult.plugin_api`.\n"
    yield "Each example is a whole module; the tests run it. [Versions](README.md) tells how long a hook stays.\n"
    for name, hook in vars(hookspecs).items():
        if hasattr(hook, "teleconsult_spec"):
            yield f"### `{name}({', '.join(inspect.signature(hook).parameters)})`\n"
            yield f"`{signature(hook)}`\n"
            text, _, example = doc(hook).partition("Example:\n")
            yield f"{text.strip()}\n"
            yield from (f"{warning}\n" for warning in deprecations(name))
            yield f"```python\n{textwrap.dedent(example).strip()}\n```\n"
    yield "## Values, readers, programmes, routes\n"
    yield "Imported from `teleconsult.plugin_api`.\n"
    yield from describe_all(plugin_api)
    yield "## Kinds of readings\n"
    yield "| kind | component | LOINC | UCUM unit | needed |\n| --- | --- | --- | --- | --- |"
    for kind in measurement.KINDS.values():
        for component in kind.components:
            need = "yes" if component in kind.required else "one of them" if component in kind.one_of else "no"
            yield f"| `{kind.key}` | `{component.key}` | {component.code} | `{component.unit}` | {need} |"
    yield "\n## Kinds of waveforms\n"
    yield "| waveform | UCUM unit | at most |\n| --- | --- | --- |"
    for wave in measurement.WAVEFORMS.values():
        yield f"| `{wave.key}` | `{wave.unit}` | {wave.max_rate_hz} samples a second |"
    yield "\n## Simulated devices and receivers\n"
    yield "Imported from `teleconsult.plugin_api.checking`.\n"
    yield doc(checking)
    yield from describe_all(checking)
    yield "## Fixtures for tests\n"
    yield "pytest finds them by name. `DeviceBench` is imported from `teleconsult.plugin_api.testing`.\n"
    for module in (testing, node_fixtures):
        yield doc(module)
        for name, text in fixtures(module):
            yield f"- `{name}`: {' '.join(text.split())}"
        yield ""
    yield from describe_class("DeviceBench", testing.DeviceBench)


def describe_all(module: ModuleType) -> Iterator[str]:
    """The classes and functions that a module offers."""
    for name in sorted(module.__all__, key=str.lower):
        thing = getattr(module, name)
        if inspect.isclass(thing):
            yield from describe_class(name, thing)
        elif inspect.isfunction(thing):
            yield f"### `{name}`\n"
            yield f"`{signature(thing)}`\n"
            yield doc(thing)


def describe_class(name: str, thing: type) -> Iterator[str]:
    yield f"### `{name}`\n"
    yield doc(thing)
    lines = list(members(thing))
    if lines:
        yield "\n".join(lines) + "\n"


def members(thing: type) -> Iterator[str]:
    """Public fields with the string below each, and public methods with their docstring's first paragraph."""
    body = ast.parse(inspect.getsource(thing)).body[0]
    assert isinstance(body, ast.ClassDef)
    for node, following in zip(body.body, [*body.body[1:], None], strict=True):
        doc = ""
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            doc = ": " + " ".join(str(following.value.value).split())
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and public(node.target.id):
            default = f" = {ast.unparse(node.value)}" if node.value else ""
            yield f"- `{node.target.id}: {ast.unparse(node.annotation)}{default}`{doc}"
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper():
            yield f"- `{ast.unparse(node)}`{doc}"
        elif isinstance(node, ast.FunctionDef) and node.name == "__init__" and ast.get_docstring(node):
            text = " ".join((ast.get_docstring(node) or "").split())
            yield f"- `{thing.__name__}({ast.unparse(node.args).removeprefix('self, ').removeprefix('self')})`: {text}"
        elif isinstance(node, ast.FunctionDef) and "property" in map(ast.unparse, node.decorator_list):
            text = " ".join((ast.get_docstring(node) or "").split())
            yield f"- `{node.name}: {ast.unparse(node.returns) if node.returns else 'Any'}` (property): {text}"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and public(node.name):
            kind = "await " if isinstance(node, ast.AsyncFunctionDef) else ""
            text = " ".join((ast.get_docstring(node) or "").split())
            yield f"- `{kind}{node.name}({ast.unparse(node.args).removeprefix('self, ').removeprefix('self')})`: {text}"


def fixtures(module: ModuleType) -> Iterator[tuple[str, str]]:
    tree = ast.parse(inspect.getsource(module))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and any(ast.unparse(d) == "pytest.fixture" for d in node.decorator_list):
            yield node.name, ast.get_docstring(node) or ""


def deprecations(hook: str) -> Iterator[str]:
    for entry in _deprecation.DEPRECATED:
        if entry.hook == hook:
            yield f"**`{entry.thing}`: deprecated since {entry.since}, gone in {entry.gone}.** {entry.use_instead.en}"


def doc(thing: object) -> str:
    return (inspect.getdoc(thing) or "") + "\n"


def signature(function: object) -> str:
    source = ast.parse(inspect.getsource(function).lstrip()).body[0]  # type: ignore[arg-type]
    assert isinstance(source, ast.FunctionDef)
    returns = f" -> {ast.unparse(source.returns)}" if source.returns else ""
    return f"{source.name}({ast.unparse(source.args)}){returns}"


def public(name: str) -> bool:
    return not name.startswith("_") and name != "model_config"


if __name__ == "__main__":
    sys.exit(main())
