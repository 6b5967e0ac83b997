"""`teleconsult tls`: the local authority that lets browsers on the node's network trust it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from teleconsult.cli._program import node_settings, table
from teleconsult.i18n import gettext as _

if TYPE_CHECKING:
    from teleconsult.tls import Authority


@click.group(name="tls", help=_("HTTPS with a certificate authority of this machine's own."))
def tls() -> None:
    """The group."""


def _data_dir(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--data-dir", metavar="FOLDER", help=_("The node's data directory. [TELECONSULT_DATA_DIR; var]")
    )(command)


def _names(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--name",
        "names",
        multiple=True,
        metavar="NAME",
        help=_("Another name or address under which browsers reach this machine; can be given again."),
    )(command)


@tls.command(help=_("Make the authority and this machine's certificate. Trust the authority on each device once."))
@_names
@_data_dir
def init(names: tuple[str, ...], data_dir: str | None) -> None:
    """Make both."""
    authority = _authority(data_dir)
    authority.make(names)
    click.echo(_("The authority is made. Keep the folder %(path)s to yourself.", path=authority.folder))
    _print(authority)


@tls.command(help=_("Show authority and certificate: names, dates, fingerprints, files."))
@_data_dir
def show(data_dir: str | None) -> None:
    """Show both."""
    _print(_authority(data_dir))


@tls.command(
    help=_(
        "Make a new certificate for this machine now; a running node takes it within a minute. It also does so by "
        "itself in time, and when the machine's addresses change."
    )
)
@_names
@click.option("--authority", "whole", is_flag=True, help=_("Replace the authority too: every device has to trust it."))
@click.option("--yes", is_flag=True, help=_("Do not ask."))
@_data_dir
def renew(names: tuple[str, ...], whole: bool, yes: bool, data_dir: str | None) -> None:
    """Renew one or both."""
    authority = _authority(data_dir)
    if whole:
        if not authority.has_begun():
            authority.certificate()  # says that there is none
        if not yes:
            question = (
                _("Devices that do not trust the next authority yet have to do so then. Put it in force?")
                if authority.next_certificate()
                else _("Every device that trusts the authority of today has to trust the new one. Replace it?")
            )
            click.confirm(question, abort=True)
        authority.replace(names)
        click.echo(_("The authority is replaced. Trust the new one on each device."))
    else:
        for name in authority.renew(names):
            click.echo(_("The authority may not vouch for %(name)s, so it is left out.", name=name), err=True)
        click.echo(_("The certificate is renewed."))
    _print(authority)


@tls.command(
    name="next",
    help=_(
        "Make the authority that comes after this one, so that devices and vehicles can trust it before it is in "
        "force. “teleconsult tls renew --authority” then puts it in force."
    ),
)
@_names
@click.option("--yes", is_flag=True, help=_("Do not ask."))
@_data_dir
def coming(names: tuple[str, ...], yes: bool, data_dir: str | None) -> None:
    """Make the next authority."""
    from teleconsult.tls import describe

    authority = _authority(data_dir)
    if authority.next_certificate() and not yes:
        click.confirm(_("There is a next authority, which devices may trust already. Make another?"), abort=True)
    made = describe(authority.prepare_next(names))
    click.echo(_("The next authority is made. Trust it on each device: /trust on this node has it, too."))
    table(
        [
            ("  " + _("file"), str(authority.next_file)),
            ("  " + _("name"), made.subject),
            ("  " + _("valid until"), f"{made.valid_until:%Y-%m-%d}"),
            ("  SHA-256", made.fingerprint),
        ]
    )


def _authority(data_dir: str | None) -> Authority:
    from teleconsult.tls import Authority

    return Authority(node_settings(False, data_dir, None).data_dir)


def _print(authority: Authority) -> None:
    from teleconsult.tls import describe

    whole, server = describe(authority.certificate()), describe(authority.server_certificate())
    click.echo(_("Authority, to be trusted on each device:"))
    table(
        [
            ("  " + _("file"), str(authority.file)),
            ("  " + _("name"), whole.subject),
            ("  " + _("valid until"), f"{whole.valid_until:%Y-%m-%d}"),
            ("  SHA-256", whole.fingerprint),
        ]
    )
    click.echo(_("Certificate of this machine:"))
    table(
        [
            ("  " + _("file"), str(authority.server_file)),
            ("  " + _("valid until"), f"{server.valid_until:%Y-%m-%d}"),
            ("  SHA-256", server.fingerprint),
            *(("  " + (_("names") if not at else ""), name) for at, name in enumerate(server.names)),
        ]
    )
