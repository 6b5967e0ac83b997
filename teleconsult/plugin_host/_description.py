"""What a plugin's process tells the node about the plugin once it is loaded."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from teleconsult.plugin_api import Command, ReferralDirection, Text, Value, _deprecation


class ReaderDescription(Value):
    """One sort of device that a plugin reads."""

    key: str
    title: Text
    kinds: tuple[str, ...]
    waveforms: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()


class ProgrammeDescription(Value):
    """One follow-up programme that a plugin offers."""

    key: str
    title: Text
    version: str
    conditions: tuple[str, ...]
    questionnaire: dict[str, Any]


class RouteDescription(Value):
    """One referral route that a plugin offers."""

    key: str
    title: Text
    directions: tuple[ReferralDirection, ...]


class PluginDescription(Value):
    """All that the node needs to know to list a plugin and to call it."""

    title: Text
    summary: Text | None = None
    api_version: str
    settings_schema: dict[str, Any] | None = None
    """JSON schema of the plugin's settings model; None if it has no settings."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """The settings in force, defaults filled in."""
    hooks: tuple[str, ...]
    arguments: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """The arguments that each of the hooks takes."""
    readers: tuple[ReaderDescription, ...] = ()
    programmes: tuple[ProgrammeDescription, ...] = ()
    routes: tuple[RouteDescription, ...] = ()

    @property
    def warnings(self) -> tuple[Text, ...]:
        """What it uses that a coming version of the border no longer has, one warning each."""
        return _deprecation.deprecated_uses(
            {hook: self.arguments.get(hook, ()) for hook in self.hooks}, self.api_version
        )

    @property
    def has_calls(self) -> bool:
        """Whether anything is ever called in the plugin's process after loading."""
        return bool(self.programmes or self.routes or {"consult_event", "page_panels"} & set(self.hooks))
