"""Implements a hook with an argument that the hook does not have."""

from teleconsult.plugin_api import PluginInfo, hookimpl


@hookimpl
def describe_plugin():
    return PluginInfo(title="Wrong argument", api_version="1.0")


@hookimpl
def page_panels(context, colour):
    return []
