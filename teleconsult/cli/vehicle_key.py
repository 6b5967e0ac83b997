"""`teleconsult vehicle-key`: the keys with which vehicles reach the hub."""

from __future__ import annotations

import click

from teleconsult.cli._program import node_options, open_node, table
from teleconsult.i18n import gettext as _


@click.group(name="vehicle-key", help=_("Keys with which vehicles reach the hub (at the hub)."))
def vehicle_key() -> None:
    """The group."""


@vehicle_key.command(
    help=_("Make a new key for the vehicle with this code and show it once. The old key stops working.")
)
@click.argument("code")
@click.option("--name", help=_("Enter the vehicle into the directory under this name if it is not there yet."))
@node_options
def new(code: str, name: str | None, is_vehicle: bool, data_dir: str | None, database_url: str | None) -> None:
    """Make a key."""
    from teleconsult.domain.errors import NotFound
    from teleconsult.domain.roles import SYSTEM
    from teleconsult.services import directory

    with open_node(is_vehicle, data_dir, database_url) as node:
        try:
            vehicle = directory.vehicle_by_code(node, code)
        except NotFound:
            if name is None:
                raise
            vehicle = directory.save_vehicle(node, SYSTEM, directory.VehicleForm(code=code, name=name))
        key = directory.make_vehicle_key(node, SYSTEM, vehicle.id)
    click.echo(_("Key of %(name)s, shown this once. Set it in the vehicle:", name=vehicle.name), err=True)
    click.echo(f"TELECONSULT_VEHICLE_KEY={key}")


@vehicle_key.command(help=_("Make the vehicle's key worthless: it was stolen, or leaves service."))
@click.argument("code")
@node_options
def revoke(code: str, is_vehicle: bool, data_dir: str | None, database_url: str | None) -> None:
    """Revoke a key."""
    from teleconsult.domain.roles import SYSTEM
    from teleconsult.services import directory

    with open_node(is_vehicle, data_dir, database_url) as node:
        vehicle = directory.vehicle_by_code(node, code)
        directory.revoke_vehicle_key(node, SYSTEM, vehicle.id)
    click.echo(_("The key of %(name)s is revoked.", name=vehicle.name))


@vehicle_key.command(name="list", help=_("List the vehicles, and which of them have a key."))
@node_options
def list_(is_vehicle: bool, data_dir: str | None, database_url: str | None) -> None:
    """List vehicles."""
    from teleconsult.services import directory

    with open_node(is_vehicle, data_dir, database_url) as node:
        vehicles = directory.list_vehicles(node)
    if not vehicles:
        click.echo(_("There are no vehicles yet. Enter one with “teleconsult vehicle-key new CODE --name NAME”."))
    rows = []
    for row in vehicles:
        made = row.key_made_at.strftime("%Y-%m-%d") if row.key_made_at else ""
        rows.append((row.code, row.name, _("has a key") if row.key_hash else _("no key"), made))
    table(rows)
