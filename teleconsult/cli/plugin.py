"""`teleconsult plugin`: for people who write one. Make a project; check it against the rules."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from teleconsult.cli._program import table
from teleconsult.i18n import gettext as _
from teleconsult.i18n import terminal_language

if TYPE_CHECKING:
    from teleconsult.plugin_kit import Line, Report

KINDS = ("device", "followup", "referral", "panel")
MARKS = {"holds": "✓", "falls_short": "✗", "not_shown": "?", "exempt": "–"}


@click.group(help=_("For people who write plugins. Start here: teleconsult plugin new my-scale --kind device"))
def plugin() -> None:
    """The group."""


@plugin.command(help=_("Make a project that installs, runs and passes its own tests at once."))
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), required=True, help=_("What the plugin adds."))
@click.option(
    "--path",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help=_("The folder in which the project's folder is made. Default: here."),
)
def new(name: str, kind: str, path: Path) -> None:
    """Make a project."""
    from teleconsult.plugin_kit import make_project

    project = make_project(name, kind, path)
    click.echo(_("Made %(folder)s. What comes next:", folder=project))
    for line in (f"cd {project}", 'pip install --editable ".[test]"', "pytest", "teleconsult plugin check ."):
        click.echo(f"    {line}")


@plugin.command(
    help=_(
        "Check a plugin: a project's folder, a wheel, or the name of an installed one. It is loaded in a process of "
        "its own and tried on what it offers as a simulated device. Exit status 0 only if all rules hold."
    )
)
@click.argument("path")
@click.option("--json", "as_json", is_flag=True, help=_("Print the machine form instead of the table."))
def check(path: str, as_json: bool) -> None:
    """Check a plugin."""
    from teleconsult.domain.errors import InvalidInput
    from teleconsult.plugin_kit import check_plugin

    try:
        report = check_plugin(path, lambda step: click.echo(f"… {step}", err=True))
    except InvalidInput as error:
        if not as_json:
            raise
        click.echo(
            json.dumps({"plugin": path, "all_hold": False, "error": str(error), "lines": []}, ensure_ascii=False)
        )
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(report.as_json(), ensure_ascii=False, indent=1))
    else:
        _print(report)
    sys.exit(0 if report.all_hold else 1)


def _print(report: Report) -> None:
    from teleconsult.plugin_kit import LABELS, RULES, Verdict

    kinds = ", ".join(report.kinds) or "–"
    click.echo(f"{report.plugin} {report.version} · {kinds}\n")
    for subject in dict.fromkeys(line.subject for line in report.lines):
        if subject:
            click.echo(f"\n{subject}")
        table(
            [
                (MARKS[line.verdict], _(LABELS[line.verdict]), _(RULES[line.rule].title), line.rule, _sentence(line))
                for line in report.lines
                if line.subject == subject
            ]
        )
    count = {verdict: sum(line.verdict is verdict for line in report.lines) for verdict in Verdict}
    click.echo("\n" + " · ".join(f"{_(LABELS[verdict])} {number}" for verdict, number in count.items()))
    click.echo(
        _("All rules hold.")
        if report.all_hold
        else _("The plugin falls short. docs/plugins/quality.md explains each rule.")
    )


def _sentence(line: Line) -> str:
    from teleconsult.plugin_api import Text
    from teleconsult.plugin_kit import sentence

    language = terminal_language()
    params = {
        name: value.in_language(language) if isinstance(value, Text) else value for name, value in line.params.items()
    }
    return sentence(line.why, params, _) if line.why else ""
