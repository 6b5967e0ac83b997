"""`teleconsult plugins`: which plugins this machine has, how each stands, on and off, settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from teleconsult.cli._program import Refused, node_options, open_node, table
from teleconsult.i18n import gettext as _
from teleconsult.i18n import terminal_language

if TYPE_CHECKING:
    from teleconsult.plugin_host import PluginHost
    from teleconsult.services.node import Node


@click.group(help=_("Plugins of this machine. A running node takes changes over with its next start."))
def plugins() -> None:
    """The group."""


@plugins.command(name="list", help=_("Load every plugin once and show how it stands."))
@node_options
def list_(is_vehicle: bool, data_dir: str | None, database_url: str | None) -> None:
    """Show all plugins."""
    with _running(is_vehicle, data_dir, database_url) as (_node, host):
        views = host.plugins()
    if not views:
        click.echo(_("No plugins are installed"))
    table(
        [(view.name, view.version, _(view.status_label), view.title.in_language(terminal_language())) for view in views]
    )
    for view in views:
        if view.last_error:
            click.echo(f"{view.name}: {view.last_error}")


@plugins.command(help=_("Switch a plugin on, also after faults."))
@click.argument("name")
@node_options
def enable(name: str, is_vehicle: bool, data_dir: str | None, database_url: str | None) -> None:
    """Switch on."""
    _switch(name, True, is_vehicle, data_dir, database_url)


@plugins.command(help=_("Switch a plugin off."))
@click.argument("name")
@node_options
def disable(name: str, is_vehicle: bool, data_dir: str | None, database_url: str | None) -> None:
    """Switch off."""
    _switch(name, False, is_vehicle, data_dir, database_url)


@plugins.command(name="set", help=_("Change settings of a plugin: teleconsult plugins set NAME key=value …"))
@click.argument("name")
@click.argument("settings", nargs=-1, required=True)
@node_options
def set_(
    name: str, settings: tuple[str, ...], is_vehicle: bool, data_dir: str | None, database_url: str | None
) -> None:
    """Change settings."""
    from teleconsult.domain.roles import SYSTEM
    from teleconsult.plugin_host import SettingsRefused
    from teleconsult.services import plugins as switching

    changes = dict(_pair(text) for text in settings)
    with _running(is_vehicle, data_dir, database_url) as (node, host):
        try:
            switching.configure(node, SYSTEM, name, {**host.plugin(name).settings, **changes})
        except SettingsRefused as refused:
            raise Refused("; ".join(f"{field}: {what}" for field, what in refused.errors.items())) from None
    click.echo(_("The settings are saved."))


def _switch(name: str, on: bool, is_vehicle: bool, data_dir: str | None, database_url: str | None) -> None:
    from teleconsult.domain.roles import SYSTEM
    from teleconsult.services import plugins as switching

    with _running(is_vehicle, data_dir, database_url) as (node, _host):
        view = switching.switch(node, SYSTEM, name, on)
    click.echo(f"{view.name}: {_(view.status_label)}")


@contextmanager
def _running(is_vehicle: bool, data_dir: str | None, database_url: str | None) -> Iterator[tuple[Node, PluginHost]]:
    """The node's plugins, loaded in processes of their own for as long as the block runs."""
    from teleconsult.plugin_host import PluginConfig, PluginHost
    from teleconsult.store.plugins import DatabasePluginState

    with open_node(is_vehicle, data_dir, database_url) as node:
        host = PluginHost(PluginConfig(only=node.settings.only_plugins), DatabasePluginState(node.store))
        node.plugins = host
        host.start()
        try:
            yield node, host
        finally:
            host.stop()


def _pair(text: str) -> tuple[str, Any]:
    import json

    key, equals, value = text.partition("=")
    if not equals:
        raise Refused(_("Write settings as key=value: %(text)s", text=text))
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
