"""`teleconsult plugins`: which plugins this machine has, how each stands, on and off, settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from teleconsult.cli._program import Refused, node_options, open_node, table
from teleconsult.i18n import gettext as _
from teleconsult.i18n import terminal_language

if TYPE_CHECKING:
    from teleconsult.plugin_host import PluginHost, PluginView, SettingProblem
    from teleconsult.services.node import Node


@click.group(
    invoke_without_command=True,
    help=_("Plugins of this machine: which there are, on and off, settings. A running node follows within seconds."),
)
@node_options
@click.pass_context
def plugins(context: click.Context, is_vehicle: bool, data_dir: str | None, database_url: str | None) -> None:
    """List them, unless a subcommand is named."""
    if context.invoked_subcommand is None:
        _list(is_vehicle, data_dir, database_url, as_json=False)


@plugins.command(name="list", help=_("Load every plugin once and show how it stands."))
@click.option("--json", "as_json", is_flag=True, help=_("Print the machine form instead of the table."))
@node_options
def list_(is_vehicle: bool, data_dir: str | None, database_url: str | None, as_json: bool) -> None:
    """Show all plugins."""
    _list(is_vehicle, data_dir, database_url, as_json=as_json)


def _list(is_vehicle: bool, data_dir: str | None, database_url: str | None, *, as_json: bool) -> None:
    from teleconsult.plugin_host import translate_fault

    with _running(is_vehicle, data_dir, database_url) as (_node, host):
        views = host.plugins()
    if as_json:
        click.echo(json.dumps([_as_json(view) for view in views], ensure_ascii=False, indent=1))
        return
    if not views:
        click.echo(_("No plugins are installed"))
    language = terminal_language()
    table(
        [
            (
                view.name,
                view.version,
                _(view.status_label),
                ", ".join(view.kinds) or "–",
                view.title.in_language(language),
            )
            for view in views
        ]
    )
    for view in views:
        if view.settings:
            click.echo(f"{view.name}: {json.dumps(_shown(view), ensure_ascii=False)}")
        for warning in view.warnings:
            click.echo(f"{view.name}: {_('Needs a newer version of the plugin')}: {warning.in_language(language)}")
        if view.last_error:
            fault = translate_fault(view.last_error, _)
            click.echo(f"{view.name}: {_('Last fault')} ({view.faults}): {fault}")


def _as_json(view: PluginView) -> dict[str, Any]:
    return {
        "name": view.name,
        "version": view.version,
        "distribution": view.distribution,
        "status": view.status,
        "kinds": view.kinds,
        "settings": _shown(view),
        "warnings": [warning.en for warning in view.warnings],
        "faults": view.faults,
        "last_error": view.last_error,
        "last_error_at": view.last_error_at.isoformat() if view.last_error_at else None,
    }


def _shown(view: PluginView) -> dict[str, Any]:
    """The settings in force, secrets hidden."""
    from teleconsult.plugin_host import hide_secrets

    return hide_secrets(view.settings_schema, view.settings)


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
    from teleconsult.http.admin.schema import value_of
    from teleconsult.plugin_host import SettingsRefused
    from teleconsult.services import plugins as switching

    written = dict(_pair(text) for text in settings)
    with _running(is_vehicle, data_dir, database_url) as (node, host):
        view = host.plugin(name)
        _refuse_unknown(view, written)
        changes = {key: value_of(view.settings_schema or {}, key, text) for key, text in written.items()}
        try:
            switching.configure(node, SYSTEM, name, {**view.settings, **changes})
        except SettingsRefused as refused:
            told = (f"{_path(name, one)}: {_(one.sentence, **one.values)}" for name, one in refused.problems.items())
            raise Refused("; ".join(told)) from None
    click.echo(_("The settings are saved. A running node takes them over within seconds."))


def _path(name: str, problem: SettingProblem) -> str:
    return ".".join(part for part in (name, problem.where) if part)


def _refuse_unknown(view: PluginView, changes: Mapping[str, Any]) -> None:
    """Refuse a misspelt name, which the plugin's own model would quietly leave out."""
    if view.settings_schema is None and view.status.value != "enabled":
        return  # it has never been loaded: nobody knows its settings yet
    known = {**(view.settings_schema or {}).get("properties", {}), **view.settings}
    if unknown := sorted(changes.keys() - known.keys()):
        raise Refused(
            _(
                "%(name)s has no setting %(unknown)s. It has: %(known)s.",
                name=view.name,
                unknown=", ".join(unknown),
                known=", ".join(known) or "–",
            )
        )


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


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise Refused(_("Write settings as key=value: %(text)s", text=text))
    return key, value
