"""`teleconsult user`: the accounts of people, at the hub."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from teleconsult.cli._program import node_options, open_node, table
from teleconsult.i18n import gettext as _

if TYPE_CHECKING:
    from teleconsult.services.node import Node

ROLES = ("vehicle_doctor", "specialist", "coordinator", "administrator")


@click.group(help=_("Accounts of people (at the hub)."))
def user() -> None:
    """The group."""


@user.command(help=_("Open an account. Without --password-stdin a password is made up and shown once."))
@click.argument("username")
@click.option("--name", required=True, help=_("The person's name."))
@click.option("--role", required=True, type=click.Choice(ROLES), help=_("What the person does."))
@click.option(
    "--institution", metavar="CODE", help=_("Code of the institution; specialists and vehicle doctors need it.")
)
@click.option("--vehicle-code", metavar="CODE", help=_("Code of the vehicle; vehicle doctors need it."))
@click.option("--specialty", help=_("For specialists, such as cardiology."))
@click.option("--title", default="", help=_("Such as attending physician."))
@click.option("--password-stdin", is_flag=True, help=_("Read the password from standard input."))
@node_options
def add(
    username: str,
    name: str,
    role: str,
    institution: str | None,
    vehicle_code: str | None,
    specialty: str | None,
    title: str,
    password_stdin: bool,
    is_vehicle: bool,
    data_dir: str | None,
    database_url: str | None,
) -> None:
    """Open an account."""
    from teleconsult.domain.roles import SYSTEM, Role
    from teleconsult.services import staff

    given = _read_password() if password_stdin else None
    with open_node(is_vehicle, data_dir, database_url) as node:
        form = staff.PersonForm(
            username=username,
            name=name,
            role=Role(role),
            organization_id=_organization_id(node, institution),
            vehicle_id=_vehicle_id(node, vehicle_code),
            specialty=specialty,
            title=title,
        )
        made, password = staff.create_person(node, SYSTEM, form, given)
    click.echo(_("The account %(username)s is open.", username=made.username))
    if given is None:
        click.echo(_("Password, shown this once: %(password)s", password=password))


@user.command(name="list", help=_("List all accounts."))
@node_options
def list_(is_vehicle: bool, data_dir: str | None, database_url: str | None) -> None:
    """List all accounts."""
    from teleconsult.domain.roles import SYSTEM
    from teleconsult.services import staff

    with open_node(is_vehicle, data_dir, database_url) as node:
        members = staff.list_staff(node, SYSTEM)
    if not members:
        click.echo(_("There are no accounts yet. Open the first one with “teleconsult user add”."))
    table(
        [
            (
                m.user.username,
                m.user.name,
                m.user.role,
                m.organization,
                m.vehicle,
                "" if m.user.active else _("closed account"),
            )
            for m in members
        ]
    )


@user.command(help=_("Give somebody a new password and end their logins. Made up unless --password-stdin."))
@click.argument("username")
@click.option("--password-stdin", is_flag=True, help=_("Read the password from standard input."))
@node_options
def password(
    username: str, password_stdin: bool, is_vehicle: bool, data_dir: str | None, database_url: str | None
) -> None:
    """Set a password."""
    from teleconsult.domain.roles import SYSTEM
    from teleconsult.services import staff

    given = _read_password() if password_stdin else None
    with open_node(is_vehicle, data_dir, database_url) as node:
        found = staff.by_username(node, username)
        new = staff.reset_password(node, SYSTEM, found.id, given)
    click.echo(_("%(username)s has a new password; all their logins have ended.", username=found.username))
    if given is None:
        click.echo(_("Password, shown this once: %(password)s", password=new))


@user.command(help=_("Close an account: its logins end at once, what the person wrote stays."))
@click.argument("username")
@node_options
def deactivate(username: str, is_vehicle: bool, data_dir: str | None, database_url: str | None) -> None:
    """Close an account."""
    _set_active(username, False, is_vehicle, data_dir, database_url)
    click.echo(_("The account %(username)s is closed; all its logins have ended.", username=username))


@user.command(help=_("Open a closed account again."))
@click.argument("username")
@node_options
def activate(username: str, is_vehicle: bool, data_dir: str | None, database_url: str | None) -> None:
    """Open an account again."""
    _set_active(username, True, is_vehicle, data_dir, database_url)
    click.echo(_("The account %(username)s is open.", username=username))


def _set_active(username: str, active: bool, is_vehicle: bool, data_dir: str | None, database_url: str | None) -> None:
    from teleconsult.domain.roles import SYSTEM
    from teleconsult.services import staff

    with open_node(is_vehicle, data_dir, database_url) as node:
        staff.set_active(node, SYSTEM, staff.by_username(node, username).id, active)


def _read_password() -> str:
    return sys.stdin.readline().rstrip("\n")


def _organization_id(node: Node, code: str | None) -> str | None:
    from teleconsult.domain.errors import N_, NotFound
    from teleconsult.services import directory

    if code is None:
        return None
    for branch in directory.list_organizations(node):
        if branch.organization.code == code:
            return branch.organization.id
    raise NotFound(N_("No institution has the code %(code)s."), code=code)


def _vehicle_id(node: Node, code: str | None) -> str | None:
    from teleconsult.services import directory

    return directory.vehicle_by_code(node, code).id if code is not None else None
