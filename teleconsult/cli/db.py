"""`teleconsult db`: bring the database to this program's schema, and tell where it is."""

from __future__ import annotations

import click

from teleconsult.cli._program import Refused, node_options, node_settings
from teleconsult.i18n import gettext as _


@click.group(help=_("The database: make it, bring it up to date, look at it."))
def db() -> None:
    """The group."""


@db.command(help=_("Make the database, or bring it to this program's schema. Safe to repeat."))
@node_options
def upgrade(is_vehicle: bool, data_dir: str | None, database_url: str | None) -> None:
    """Run the migrations."""
    from teleconsult.store import Store, migrate

    store = Store(node_settings(is_vehicle, data_dir, database_url).url)
    before = migrate.current(store)
    migrate.upgrade(store)
    after = migrate.current(store)
    store.close()
    if before == after:
        click.echo(_("The database was up to date already (%(revision)s).", revision=after))
    else:
        click.echo(_("The database is up to date now (%(revision)s).", revision=after))


@db.command(help=_("Show the schema revision the database is at."))
@node_options
def current(is_vehicle: bool, data_dir: str | None, database_url: str | None) -> None:
    """Print the revision."""
    from teleconsult.store import Store, migrate

    store = Store(node_settings(is_vehicle, data_dir, database_url).url)
    click.echo(migrate.current(store) or _("none"))
    store.close()


@db.command(help=_("Tell whether the database is at this program's schema; exit code 1 if not."))
@node_options
def check(is_vehicle: bool, data_dir: str | None, database_url: str | None) -> None:
    """Compare the revisions."""
    from teleconsult.store import Store, migrate

    store = Store(node_settings(is_vehicle, data_dir, database_url).url)
    found = migrate.current(store)
    store.close()
    if found != migrate.head():
        raise Refused(_("The database is not at this program's schema. Run: teleconsult db upgrade"))
    click.echo(_("The database was up to date already (%(revision)s).", revision=found))
