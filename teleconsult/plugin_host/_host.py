"""The node's plugins: found, loaded, called with deadlines, counted, switched off and on.

No plugin code runs in the node's process: each plugin that is ever called has a process of its own. A plugin
that only registers device readers has none between loading and reading. This module knows nothing of pages,
permissions or tables.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import structlog
from pydantic import TypeAdapter, ValidationError

from teleconsult.domain.errors import N_, NotFound, Unavailable
from teleconsult.domain.plugin_state import PluginStateStore
from teleconsult.plugin_api import (
    ConsultEvent,
    DeliveryReceipt,
    FollowupAssessment,
    FollowupVisit,
    PageContext,
    Panel,
    RankedTarget,
    Referral,
    ReferralRequest,
    ReferralTarget,
    Text,
)
from teleconsult.plugin_host._config import PluginConfig
from teleconsult.plugin_host._description import ProgrammeDescription, ReaderDescription, RouteDescription
from teleconsult.plugin_host._loader import find_plugins
from teleconsult.plugin_host._plugin import HostedPlugin, PluginView
from teleconsult.plugin_host._worker import PluginBusy, PluginFault

log = structlog.get_logger(__name__)

T = TypeVar("T")
_panels = TypeAdapter(tuple[Panel, ...])
_ranking = TypeAdapter(tuple[RankedTarget, ...])


@dataclass(frozen=True)
class OfferedPanel:
    """A panel with the plugin that it came from."""

    plugin: str
    plugin_title: Text
    panel: Panel


@dataclass(frozen=True)
class OfferedReader:
    """A sort of device that can be read here. (`plugin`, `reader.key`) names it."""

    plugin: str
    reader: ReaderDescription


@dataclass(frozen=True)
class OfferedProgramme:
    """A follow-up programme. (`plugin`, `programme.key`) names it."""

    plugin: str
    programme: ProgrammeDescription


@dataclass(frozen=True)
class OfferedRoute:
    """A referral route. (`plugin`, `route.key`) names it."""

    plugin: str
    route: RouteDescription


class PluginHost:
    """All plugins of this node. Every method may be called from any thread; only `start()` takes seconds."""

    def __init__(self, config: PluginConfig, store: PluginStateStore) -> None:
        self.config = config
        self._store = store
        self._plugins: dict[str, HostedPlugin] = {}
        self._listeners: list[Callable[[str], None]] = []
        self._closing = threading.Event()

    def start(self) -> None:
        """Find all plugins and load those that are meant to run. A plugin that fails stops no other."""
        for found in find_plugins(self.config.paths):
            self._plugins[found.name] = HostedPlugin(found, self.config, self._store, self._tell_listeners)
        for name in sorted((self.config.only or frozenset()) - self._plugins.keys()):
            log.warning("a plugin that the settings name is not installed", plugin=name)
        _together([plugin.start for plugin in self._plugins.values()])
        threading.Thread(target=self._follow, name="plugins-follow", daemon=True).start()

    def stop(self) -> None:
        """End all plugin processes."""
        self._closing.set()
        _together([plugin.close for plugin in self._plugins.values()])

    def on_change(self, listener: Callable[[str], None]) -> None:
        """Have `listener(name)` called, on any thread, whenever a plugin's status, settings or faults change."""
        self._listeners.append(listener)

    # For the administrator

    def plugins(self) -> list[PluginView]:
        """All plugins found, by name."""
        return [self._plugins[name].view() for name in sorted(self._plugins)]

    def plugin(self, name: str) -> PluginView:
        """One plugin. Raises NotFound."""
        return self._get(name).view()

    def enable(self, name: str) -> PluginView:
        """Switch on by a person's decision, also after faults. The view's status tells how that went."""
        self._get(name).switch_on()
        return self.plugin(name)

    def disable(self, name: str) -> PluginView:
        """Switch off by a person's decision."""
        self._get(name).switch_off()
        return self.plugin(name)

    def configure(self, name: str, values: Mapping[str, Any]) -> PluginView:
        """Replace the plugin's settings. Raises SettingsRefused with the errors by field, NotFound, Unavailable."""
        try:
            self._get(name).configure(values)
        except (PluginBusy, PluginFault) as error:
            raise Unavailable(N_("The plugin %(name)s does not answer now."), name=name) from error
        return self.plugin(name)

    def record_fault(self, name: str, error: str) -> None:
        """Count a fault that was noticed elsewhere, in a device reader's process for one."""
        if name in self._plugins:
            self._plugins[name].fault(error)

    # For consults and pages

    def announce(self, event: ConsultEvent) -> None:
        """Tell the plugins of a consult's step, after it was committed. Returns at once and never raises."""
        for plugin in self._plugins.values():
            plugin.announce(event)

    def page_panels(self, context: PageContext) -> list[OfferedPanel]:
        """What plugins add to a person's page, by plugin name. Takes at most `panel_deadline`; never raises."""
        asked = self._offering("page_panels")
        answers: dict[str, list[OfferedPanel]] = {}
        arguments = {"context": context.model_dump(mode="json")}

        def ask(plugin: HostedPlugin) -> None:
            assert plugin.description is not None
            title = plugin.description.title
            try:
                waits = self.config.panel_patience
                raw = plugin.call("page_panels", arguments, self.config.panel_deadline, revive=False, patience=waits)
                answers[plugin.name] = [OfferedPanel(plugin.name, title, p) for p in _panels.validate_python(raw)]
            except (PluginBusy, PluginFault):
                pass  # nothing from it this time; a fault is counted and logged already
            except ValidationError as error:
                plugin.fault(f"page_panels: {error}")

        _together([partial(ask, plugin) for plugin in asked], self.config.panel_deadline + 0.2)
        return [panel for name, panels in sorted(answers.copy().items()) for panel in panels]

    # For devices

    def readers(self) -> list[OfferedReader]:
        """The sorts of devices that the running plugins read."""
        return [OfferedReader(p.name, reader) for p in self._running() for reader in p.view().readers]

    # For follow-up

    def followup_programmes(self) -> list[OfferedProgramme]:
        """The follow-up programmes of the running plugins."""
        return [OfferedProgramme(p.name, programme) for p in self._running() for programme in p.view().programmes]

    def assess_followup(self, plugin: str, key: str, visit: FollowupVisit) -> FollowupAssessment:
        """Have a programme assess a visit. Raises NotFound, Unavailable."""
        arguments = {"key": key, "visit": visit.model_dump(mode="json")}
        known = any(p.key == key for p in self._get(plugin).view().programmes)
        answer = self._ask(plugin, known, "assess", arguments, self.config.rule_deadline)
        return self._checked(plugin, "assess", lambda: FollowupAssessment.model_validate(answer))

    # For referral

    def referral_routes(self) -> list[OfferedRoute]:
        """The referral routes of the running plugins."""
        return [OfferedRoute(p.name, route) for p in self._running() for route in p.view().routes]

    def rank_targets(
        self, plugin: str, key: str, request: ReferralRequest, targets: Sequence[ReferralTarget]
    ) -> tuple[RankedTarget, ...]:
        """The targets that fit, the best first. Raises NotFound, Unavailable."""
        arguments = {
            "key": key,
            "request": request.model_dump(mode="json"),
            "targets": [target.model_dump(mode="json") for target in targets],
        }
        answer = self._ask(plugin, self._has_route(plugin, key), "rank", arguments, self.config.rule_deadline)
        return self._checked(plugin, "rank", lambda: _ranking.validate_python(answer))

    def deliver_referral(self, plugin: str, key: str, referral: Referral) -> DeliveryReceipt:
        """Hand a referral to its route. Raises NotFound, Unavailable: then nobody knows whether it arrived."""
        arguments = {"key": key, "referral": referral.model_dump(mode="json")}
        answer = self._ask(plugin, self._has_route(plugin, key), "deliver", arguments, self.config.deliver_deadline)
        return self._checked(plugin, "deliver", lambda: DeliveryReceipt.model_validate(answer))

    # Inside

    def _follow(self) -> None:
        while not self._closing.wait(self.config.follow_every):
            for plugin in self._plugins.values():
                plugin.follow()

    def _get(self, name: str) -> HostedPlugin:
        try:
            return self._plugins[name]
        except KeyError:
            raise NotFound(N_("There is no plugin named %(name)s."), name=name) from None

    def _running(self) -> list[HostedPlugin]:
        return [plugin for _, plugin in sorted(self._plugins.items()) if plugin.enabled]

    def _offering(self, hook: str) -> list[HostedPlugin]:
        return [p for p in self._running() if p.description and hook in p.description.hooks]

    def _has_route(self, plugin: str, key: str) -> bool:
        return any(route.key == key for route in self._get(plugin).view().routes)

    def _ask(self, plugin: str, known: bool, call: str, arguments: Mapping[str, Any], deadline: float) -> Any:
        if not known:
            raise NotFound(N_("The plugin %(name)s does not offer this."), name=plugin)
        try:
            return self._get(plugin).call(call, arguments, deadline)
        except (PluginBusy, PluginFault) as error:
            raise Unavailable(N_("The plugin %(name)s does not answer now."), name=plugin) from error

    def _checked(self, plugin: str, call: str, read: Callable[[], T]) -> T:
        try:
            return read()
        except ValidationError as error:
            self._get(plugin).fault(f"{call}: {error}")
            raise Unavailable(N_("The plugin %(name)s does not answer now."), name=plugin) from error

    def _tell_listeners(self, name: str) -> None:
        for listener in self._listeners:
            try:
                listener(name)
            except Exception:
                log.exception("listening to a plugin's change failed", plugin=name)


def _together(jobs: Sequence[Callable[[], None]], seconds: float | None = None) -> None:
    """Do all jobs at the same time, and wait for them for at most so many seconds."""
    due = None if seconds is None else time.monotonic() + seconds
    threads = [threading.Thread(target=job, name="plugins", daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(None if due is None else max(due - time.monotonic(), 0))
