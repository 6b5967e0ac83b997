"""Implements a hook that does not exist."""

from teleconsult.plugin_api import PluginInfo, hookimpl


@hookimpl
def describe_plugin():
    return PluginInfo(title="Misspelt", api_version="1.0")


@hookimpl
def page_panel(context):
    return []
