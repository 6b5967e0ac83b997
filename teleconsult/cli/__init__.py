"""The command line. Says what it did, or in one sentence why it did not (exit code 1).

Modules of this room import click and the standard library at their top and everything else inside the commands:
`hub` and `vehicle` must patch the standard library for gevent before most of the program is imported, and
`--help` must be quick.
"""

from __future__ import annotations

from pathlib import Path

import click

from teleconsult.cli._program import Program, SettingsCommand, settings_from
from teleconsult.cli.check import check
from teleconsult.cli.db import db
from teleconsult.cli.devices import devices
from teleconsult.cli.plugin import plugin
from teleconsult.cli.plugins import plugins
from teleconsult.cli.tls import tls
from teleconsult.cli.user import user
from teleconsult.cli.vehicle_key import vehicle_key
from teleconsult.i18n import gettext as _


@click.group(
    cls=Program,
    help=_(
        "Video consults between clinic vehicles and a county hospital.\n\n"
        "A first start: “teleconsult demo” shows everything with invented people. For real work: "
        "“db upgrade”, “user add”, “check”, then “hub” at the hospital and “vehicle” in each vehicle.\n\n"
        "Every setting is an option or an environment variable TELECONSULT_…; TELECONSULT_LANGUAGE=en speaks English."
    ),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="teleconsult", prog_name="teleconsult", help=_("Show the version."))
def main() -> None:
    """Entry point; the commands do the work."""


@main.command(
    cls=SettingsCommand,
    kind="hub",
    short_help=_("Run the hub (at the county hospital)."),
    help=_("Run the hub: the county hospital's node, with its media workers. Ctrl-C stops it."),
)
@click.pass_context
def hub(context: click.Context, /, **options: object) -> None:
    """Serve the hub."""
    _serve(context, options)


@main.command(
    cls=SettingsCommand,
    kind="vehicle",
    short_help=_("Run a vehicle's node (in the vehicle)."),
    help=_("Run a clinic vehicle's node, with its devices and its uplink. Ctrl-C stops it."),
)
@click.pass_context
def vehicle(context: click.Context, /, **options: object) -> None:
    """Serve a vehicle."""
    _serve(context, options)


def _serve(context: click.Context, options: dict[str, object]) -> None:
    from teleconsult import serve

    serve.run(settings_from(str(context.info_name), options))


@main.command(
    short_help=_("Show everything with invented people."),
    help=_(
        "Show everything on this machine: a hub and one vehicle with invented people. Prints addresses and logins. "
        "Ctrl-C stops all of it; a second start keeps the data."
    ),
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var/demo"),
    show_default=True,
    help=_("Where the demonstration keeps its data. Delete the folder to begin anew."),
)
@click.option("--hub-port", type=int, default=8400, show_default=True, help=_("Port of the hub."))
@click.option("--vehicle-port", type=int, default=8401, show_default=True, help=_("Port of the vehicle."))
def demo(data_dir: Path, hub_port: int, vehicle_port: int) -> None:
    """Run the demonstration."""
    from teleconsult.demo import run

    run.run(data_dir, hub_port=hub_port, vehicle_port=vehicle_port)


for _group in (db, user, vehicle_key, tls, plugins, plugin, devices, check):
    main.add_command(_group)
