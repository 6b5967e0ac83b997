"""`teleconsult check`: is this machine ready? One line for each thing, with what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import click

from teleconsult.cli._program import SettingsCommand, settings_from
from teleconsult.i18n import gettext as _

if TYPE_CHECKING:
    from teleconsult.cli._checks import Finding
    from teleconsult.settings import Settings

MARKS = {True: "✓", False: "✗", None: "–"}


@click.command(
    cls=SettingsCommand,
    kind="any",
    short_help=_("Tell whether this machine is ready."),
    help=_(
        "Tell in plain words whether this machine is ready: ✓ is well, ✗ has to be mended, – is worth knowing. "
        "Exit code 0 only when nothing has to be mended. Run it with the same settings as the node. With --network it "
        "tries the way of a call instead, at the hub or from the vehicle, while the node runs."
    ),
)
@click.option("--vehicle", "is_vehicle", is_flag=True, help=_("This machine is a vehicle. [TELECONSULT_KIND=vehicle]"))
@click.option("--network", "is_network", is_flag=True, help=_("Try the way between vehicle and hub, media included."))
@click.pass_context
def check(context: click.Context, /, is_vehicle: bool, is_network: bool, **options: object) -> None:
    """Print the findings."""
    import os

    from teleconsult.cli import _checks, _network

    kind = "vehicle" if is_vehicle else os.environ.get("TELECONSULT_KIND", "hub")
    settings = settings_from(kind, options)
    click.echo(_("Checking the hub.") if settings.is_hub else _("Checking the vehicle node."))
    failed = 0
    checks = _network.checks_of(settings) if is_network else _checks.checks_of(settings)
    for finding in _findings(settings, checks):
        failed += finding.well is False
        click.echo(f"{MARKS[finding.well]} {finding.sentence}" + (f" {finding.advice}" if finding.advice else ""))
    if failed:
        click.echo(_("Not ready: %(count)s to mend.", count=failed), err=True)
        context.exit(1)
    click.echo(_("Ready."))


def _findings(settings: Settings, checks: Iterable[Callable[[Settings], Iterable[Finding]]]) -> Iterator[Finding]:
    from teleconsult.cli import _checks
    from teleconsult.cli._program import sentence_of

    for look in checks:
        try:
            yield from look(settings)
        except Exception as error:  # one check that fails must not hide the others
            yield _checks.Finding(False, sentence_of(error) or f"{type(error).__name__}: {error}")
