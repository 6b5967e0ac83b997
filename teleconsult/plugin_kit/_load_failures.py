"""Why a plugin was not loaded, in a sentence that says what to change, and the rule under which it stands."""

from __future__ import annotations

import difflib
import inspect
from typing import Any

import pluggy

from teleconsult.domain.errors import N_
from teleconsult.plugin_api import hookspecs
from teleconsult.plugin_host import PluginStatus
from teleconsult.plugin_host._loader import LoadFailure
from teleconsult.plugin_kit._runs import Shown

_RULES = {
    PluginStatus.STOPPED_BY_SETTINGS: "settings-have-defaults",
    PluginStatus.STOPPED_BY_API_VERSION: "api-version",
}


def explain(failure: LoadFailure) -> tuple[str, Shown]:
    """The rule that falls short, and the sentence."""
    cause = failure.__cause__
    if isinstance(cause, pluggy.PluginValidationError) and (wrong := _wrong_hook(cause.plugin)):
        return "loads", wrong
    rule = _RULES.get(failure.status, "loads")
    if isinstance(cause, ValueError) and str(cause).startswith("api_version "):  # PluginInfo's own sentence
        rule = "api-version"
    return rule, Shown(N_("%(error)s"), error=failure.error)


def _wrong_hook(plugin: object) -> Shown | None:
    """The first hook that there is not, or that takes what there is not."""
    known = {name: hook for name, hook in vars(hookspecs).items() if hasattr(hook, f"{hookspecs.PROJECT}_spec")}
    for name in dir(plugin):
        hook: Any = getattr(plugin, name, None)
        if not hasattr(hook, f"{hookspecs.PROJECT}_impl"):
            continue
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or sorted(known)
            why = N_("There is no hook %(name)s(); there is %(near)s.")
            return Shown(why, name=name, near=", ".join(f"{each}()" for each in near))
        taken = list(inspect.signature(known[name]).parameters)
        if wrong := [argument for argument in inspect.signature(hook).parameters if argument not in taken]:
            why = N_("%(name)s() has the argument %(wrong)s; what it may take: %(taken)s.")
            return Shown(why, name=name, wrong=", ".join(wrong), taken=", ".join(taken) or "–")
    return None
