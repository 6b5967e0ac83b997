"""Was written for another version of the border, and has a hook that only exists there."""

from teleconsult.plugin_api import PluginInfo, hookimpl


@hookimpl
def describe_plugin():
    return PluginInfo(title="From the future", api_version="2.0")


@hookimpl
def hologram(room):
    return []
