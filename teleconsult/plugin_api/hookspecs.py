"""The whole contract with plugins: every hook, each named for a place or an event. Stubs only.

A plugin implements any of these with `@hookimpl`, with these very argument names; it may leave arguments out.
`settings` is the plugin's own settings model, filled, or None if it has none. Hooks of one plugin run in a
process of its own, one at a time, each with a deadline; what they raise is shown to the administrator and
counted, and never ends a consult.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pluggy

from teleconsult.plugin_api._events import ConsultEvent
from teleconsult.plugin_api._followup import FollowupProgramme
from teleconsult.plugin_api._panels import PageContext, Panel
from teleconsult.plugin_api._plugin import PluginInfo
from teleconsult.plugin_api._readers import ReaderType
from teleconsult.plugin_api._referral import ReferralRoute

PROJECT = "teleconsult"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec(firstresult=True)
def describe_plugin() -> PluginInfo:
    """Says what the plugin is and which version of the border it is written for. Every plugin has it."""
    raise NotImplementedError


@hookspec
def register_device_readers() -> Sequence[ReaderType]:
    """Returns the sorts of devices that the plugin reads. Called once, when the plugin is loaded."""
    raise NotImplementedError


@hookspec
def register_followup_programmes(settings: Any) -> Sequence[FollowupProgramme]:
    """Returns the follow-up programmes that the plugin offers. Called once, when the plugin is loaded."""
    raise NotImplementedError


@hookspec
def register_referral_routes(settings: Any) -> Sequence[ReferralRoute]:
    """Returns the referral routes that the plugin offers. Called once, when the plugin is loaded."""
    raise NotImplementedError


@hookspec
def consult_event(event: ConsultEvent, settings: Any) -> None:
    """Told after each stored step of a consult, in order. Deadline 10 s. Not told again after a failure."""


@hookspec
def page_panels(context: PageContext, settings: Any) -> Sequence[Panel]:
    """Returns at most eight panels for a person's page. The page waits for at most one second."""
    raise NotImplementedError
