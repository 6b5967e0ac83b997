"""Find plugins, and load one. Loading happens only inside a plugin's own process, never in the node's.

Every way in which loading can fail ends in a `LoadFailure` with a status and a sentence that names the culprit.
"""

from __future__ import annotations

import importlib.metadata
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pluggy
from pydantic import BaseModel, ValidationError

from teleconsult.plugin_api import (
    API_VERSION,
    FollowupProgramme,
    PluginInfo,
    ReaderType,
    ReferralRoute,
    Text,
    hookspecs,
    supports,
)
from teleconsult.plugin_host import _faults, _problems, _settings
from teleconsult.plugin_host._description import (
    PluginDescription,
    ProgrammeDescription,
    ReaderDescription,
    RouteDescription,
)
from teleconsult.plugin_host._status import PluginStatus

GROUP = "teleconsult.plugins"


@dataclass(frozen=True)
class FoundPlugin:
    """A plugin as its distribution's metadata tells it, before any of its code has run."""

    name: str
    distribution: str
    version: str
    target: str
    """What the entry point names: a module."""
    others: tuple[str, ...] = ()
    """Further distributions that claim the same name."""


def find_plugins(paths: Sequence[str] = ()) -> list[FoundPlugin]:
    """All installed plugins by name. `paths` are folders that are searched besides the installed packages."""
    found: dict[str, FoundPlugin] = {}
    seen: set[tuple[str, str]] = set()
    for distribution in _distributions(paths):
        name = distribution.metadata["Name"] or "?"
        for entry in distribution.entry_points.select(group=GROUP):
            if (name, entry.name) in seen:  # the same distribution, met again on another path entry
                continue
            seen.add((name, entry.name))
            if entry.name in found:
                first = found[entry.name]
                found[entry.name] = FoundPlugin(
                    first.name, first.distribution, first.version, first.target, (*first.others, name)
                )
            else:
                found[entry.name] = FoundPlugin(entry.name, name, distribution.version, entry.value)
    return sorted(found.values(), key=lambda plugin: plugin.name)


def _distributions(paths: Sequence[str]) -> Iterable[importlib.metadata.Distribution]:
    if paths:
        yield from importlib.metadata.distributions(path=list(paths))
    yield from importlib.metadata.distributions()


class LoadFailure(Exception):  # noqa: N818 - it is a result, told to the node
    """Why a plugin was not loaded."""

    def __init__(self, status: PluginStatus, error: str, schema: Mapping[str, Any] | None = None) -> None:
        """`schema` is the settings' JSON schema where only the settings are wrong, so that they can be mended."""
        super().__init__(error)
        self.status = status
        self.error = error
        self.schema = schema


@dataclass(frozen=True)
class LoadedPlugin:
    """A plugin ready to be called, in its own process."""

    name: str
    manager: pluggy.PluginManager
    info: PluginInfo
    settings: BaseModel | None
    arguments: Mapping[str, tuple[str, ...]]
    """The hooks that it implements, each with the arguments that it takes."""
    readers: Mapping[str, ReaderType]
    programmes: Mapping[str, FollowupProgramme]
    routes: Mapping[str, ReferralRoute]

    @property
    def hooks(self) -> tuple[str, ...]:
        """The hooks that it implements."""
        return tuple(self.arguments)

    def describe(self) -> PluginDescription:
        """What the node is told. Raises LoadFailure if a programme's form is no Questionnaire."""
        return PluginDescription(
            title=self.info.title,
            summary=self.info.summary,
            api_version=self.info.api_version,
            settings_schema=_settings.schema_of(self.info.settings) if self.info.settings else None,
            settings=_settings.dump(self.settings) if self.settings else {},
            hooks=self.hooks,
            arguments=dict(self.arguments),
            readers=tuple(
                ReaderDescription(key=r.key, title=r.title, kinds=r.kinds, waveforms=r.waveforms, commands=r.commands)
                for r in self.readers.values()
            ),
            programmes=tuple(_describe_programme(p) for p in self.programmes.values()),
            routes=tuple(
                RouteDescription(key=r.key, title=_text(r.title), directions=r.directions) for r in self.routes.values()
            ),
        )


def load_plugin(name: str, settings: Mapping[str, Any]) -> LoadedPlugin:
    """Import a plugin and check it whole. Raises LoadFailure."""
    plugin, info = _import_and_describe(name)
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise LoadFailure(PluginStatus.STOPPED_BY_VALIDATION, str(error)) from error
    try:
        filled = info.settings.model_validate(dict(settings)) if info.settings else None
    except ValidationError as error:
        schema = _settings.schema_of(info.settings) if info.settings else None
        raise LoadFailure(PluginStatus.STOPPED_BY_SETTINGS, _problems.in_english(error), schema) from error
    callers = sorted(manager.get_hookcallers(plugin) or (), key=lambda caller: caller.name)
    arguments = {c.name: tuple(name for impl in c.get_hookimpls() for name in impl.argnames) for c in callers}
    readers = _register(manager.hook.register_device_readers, ReaderType)
    programmes = _register(manager.hook.register_followup_programmes, FollowupProgramme, settings=filled)
    routes = _register(manager.hook.register_referral_routes, ReferralRoute, settings=filled)
    return LoadedPlugin(name, manager, info, filled, arguments, readers, programmes, routes)


def find_info(name: str) -> PluginInfo:
    """Import a plugin and have it describe itself; none of its other hooks is called. Raises LoadFailure."""
    return _import_and_describe(name)[1]


def _import_and_describe(name: str) -> tuple[Any, PluginInfo]:
    plugin = _guarded("importing it", lambda: _import(name))
    info = _describe(plugin)
    if not supports(info.api_version):
        raise LoadFailure(
            PluginStatus.STOPPED_BY_API_VERSION,
            _faults.OTHER_VERSION % {"theirs": info.api_version, "ours": API_VERSION},
        )
    return plugin, info


def _import(name: str) -> Any:
    entries = importlib.metadata.entry_points(group=GROUP, name=name)
    if not entries:
        raise LoadFailure(PluginStatus.STOPPED_BY_LOAD_ERROR, f"no installed distribution offers a plugin {name!r}")
    return next(iter(entries)).load()


def _describe(plugin: Any) -> PluginInfo:
    # Asked before the hooks are checked: a plugin for another version may rightly have other hooks.
    describe = getattr(plugin, "describe_plugin", None)
    if describe is None or not hasattr(describe, f"{hookspecs.PROJECT}_impl"):
        raise LoadFailure(PluginStatus.STOPPED_BY_VALIDATION, "it does not implement describe_plugin() with @hookimpl")
    info = _guarded("describe_plugin()", describe)
    if not isinstance(info, PluginInfo):
        raise LoadFailure(
            PluginStatus.STOPPED_BY_VALIDATION, f"describe_plugin() must return a PluginInfo, not {_short(info)}"
        )
    return info


def _register(caller: Any, wanted: type[Any], **arguments: Any) -> dict[str, Any]:
    """Call a `register_…` hook and check each thing it returns."""
    results: list[Any] = _guarded(f"{caller.name}()", lambda: caller(**arguments))
    registered: dict[str, Any] = {}
    for result in results:
        if not isinstance(result, list | tuple):
            raise LoadFailure(
                PluginStatus.STOPPED_BY_VALIDATION,
                f"{caller.name}() must return a list of {wanted.__name__}, not {_short(result)}",
            )
        for item in result:
            if not isinstance(item, wanted):
                raise LoadFailure(
                    PluginStatus.STOPPED_BY_VALIDATION,
                    f"{caller.name}() must return {wanted.__name__} objects, not {_short(item)}",
                )
            key = getattr(item, "key", None)
            if not isinstance(key, str) or not key:
                raise LoadFailure(PluginStatus.STOPPED_BY_VALIDATION, f"{caller.name}(): {_short(item)} has no key")
            if key in registered:
                raise LoadFailure(PluginStatus.STOPPED_BY_VALIDATION, f"{caller.name}() returns the key {key!r} twice")
            registered[key] = item
    return registered


def _describe_programme(programme: FollowupProgramme) -> ProgrammeDescription:
    form = _guarded(f"questionnaire() of {programme.key!r}", programme.questionnaire)
    if not isinstance(form, dict) or form.get("resourceType") != "Questionnaire":
        raise LoadFailure(
            PluginStatus.STOPPED_BY_VALIDATION,
            f"questionnaire() of {programme.key!r} must return a FHIR Questionnaire, not {_short(form)}",
        )
    return ProgrammeDescription(
        key=programme.key,
        title=_text(programme.title),
        version=programme.version,
        conditions=tuple(programme.conditions),
        questionnaire=form,
    )


def _guarded(doing: str, work: Callable[[], Any]) -> Any:
    """Do it, and turn whatever a stranger's code raises (`sys.exit` too) into a failure that says where."""
    try:
        return work()
    except LoadFailure:
        raise
    except BaseException as error:
        raise LoadFailure(PluginStatus.STOPPED_BY_LOAD_ERROR, f"{doing} failed: {describe_error(error)}") from error


def describe_error(error: BaseException) -> str:
    """The exception in one line, with the last place in the plugin's code on the way to where it was raised."""
    places = [
        (frame.f_globals.get("__name__", "").partition(".")[0], frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    if places:
        tops = {entry.module.partition(".")[0] for entry in importlib.metadata.entry_points(group=GROUP)}
        places = [place for place in places if place[0] in tops] or places[-1:]
    where = f" ({places[-1][1].rsplit('/', 1)[-1]}:{places[-1][2]})" if places and "<" not in places[-1][1] else ""
    text = _first_errors(error) if isinstance(error, ValidationError) else str(error)
    return f"{type(error).__name__}: {text}"[:500] + where


def _first_errors(error: ValidationError) -> str:
    parts = [f"{'.'.join(map(str, e['loc'])) or 'value'}: {e['msg']}" for e in error.errors()[:3]]
    return "; ".join(parts)


def _text(value: Text | str) -> Text:
    return Text.model_validate(value)


def _short(value: object) -> str:
    return repr(value)[:80]
