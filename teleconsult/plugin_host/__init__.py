"""Runs what strangers wrote: finds plugins, loads and calls them in processes of their own, reads devices.

The web process imports no plugin. It talks to plugin and device processes in plain threads.
"""

from teleconsult.plugin_host._config import DeviceConfig, PluginConfig
from teleconsult.plugin_host._description import ProgrammeDescription, ReaderDescription, RouteDescription
from teleconsult.plugin_host._device import DeviceAssignment, DeviceView
from teleconsult.plugin_host._devices import DeviceHost
from teleconsult.plugin_host._faults import translate_fault
from teleconsult.plugin_host._host import OfferedPanel, OfferedProgramme, OfferedReader, OfferedRoute, PluginHost
from teleconsult.plugin_host._loader import FoundPlugin, find_plugins
from teleconsult.plugin_host._plugin import PluginView
from teleconsult.plugin_host._problems import SettingProblem
from teleconsult.plugin_host._settings import HIDDEN as HIDDEN_SECRET
from teleconsult.plugin_host._settings import hide as hide_secrets
from teleconsult.plugin_host._settings import restore as restore_secrets
from teleconsult.plugin_host._status import PluginStatus
from teleconsult.plugin_host._worker import SettingsRefused

__all__ = [
    "HIDDEN_SECRET",
    "DeviceAssignment",
    "DeviceConfig",
    "DeviceHost",
    "DeviceView",
    "FoundPlugin",
    "OfferedPanel",
    "OfferedProgramme",
    "OfferedReader",
    "OfferedRoute",
    "PluginConfig",
    "PluginHost",
    "PluginStatus",
    "PluginView",
    "ProgrammeDescription",
    "ReaderDescription",
    "RouteDescription",
    "SettingProblem",
    "SettingsRefused",
    "find_plugins",
    "hide_secrets",
    "restore_secrets",
    "translate_fault",
]
