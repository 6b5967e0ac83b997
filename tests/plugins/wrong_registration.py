"""Registers a word where a reader belongs."""

from teleconsult.plugin_api import PluginInfo, hookimpl


@hookimpl
def describe_plugin():
    return PluginInfo(title="Wrong registration", api_version="1.0")


@hookimpl
def register_device_readers():
    return ["cuff"]
