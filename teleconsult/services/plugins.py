"""Switching plugins on and off and setting them, by an administrator and audited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from teleconsult.domain.errors import N_, Unavailable
from teleconsult.domain.roles import Actor, Role
from teleconsult.services.node import Node
from teleconsult.services.permissions import require_role

if TYPE_CHECKING:
    from teleconsult.plugin_host import PluginHost, PluginView


def switch(node: Node, actor: Actor, name: str, on: bool) -> PluginView:
    """Switch a plugin on or off. The view's status tells how that went. Raises NotFound, Unavailable."""
    require_role(actor, Role.ADMINISTRATOR)
    host = _host(node)
    view = host.enable(name) if on else host.disable(name)
    with node.transaction(actor) as work:
        work.audit("enable" if on else "disable", "plugin", name, detail=view.status.value)
    return view


def configure(node: Node, actor: Actor, name: str, values: Mapping[str, Any]) -> PluginView:
    """Replace a plugin's settings. Raises SettingsRefused with the errors by field.

    The audit names the settings that changed and not their values: some are passwords of other systems.
    """
    require_role(actor, Role.ADMINISTRATOR)
    host = _host(node)
    before = dict(host.plugin(name).settings)
    view = host.configure(name, values)
    changed = sorted(key for key, value in view.settings.items() if before.get(key) != value)
    with node.transaction(actor) as work:
        work.audit("configure", "plugin", name, detail=", ".join(changed))
    return view


def _host(node: Node) -> PluginHost:
    if node.plugins is None:
        raise Unavailable(N_("Plugins are not running on this node."))
    return node.plugins
