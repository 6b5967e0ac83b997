"""How a plugin stands: one named status for each road its loading and running can take."""

from __future__ import annotations

from enum import StrEnum

from teleconsult.domain.errors import N_


class PluginStatus(StrEnum):
    """Where a plugin stands. `TRANSITIONS` says which follows which."""

    FOUND = "found"
    LOADING = "loading"
    ENABLED = "enabled"
    DISABLED = "disabled"
    NOT_SELECTED = "not_selected"
    STOPPED_BY_LOAD_ERROR = "stopped_by_load_error"
    STOPPED_BY_API_VERSION = "stopped_by_api_version"
    STOPPED_BY_VALIDATION = "stopped_by_validation"
    STOPPED_BY_SETTINGS = "stopped_by_settings"
    SWITCHED_OFF_AFTER_FAULTS = "switched_off_after_faults"

    @property
    def label(self) -> str:
        """In words, to be translated."""
        return LABELS[self]

    @property
    def needs_a_person(self) -> bool:
        """Whether somebody has to look at it: it was meant to run and does not."""
        return self.value.startswith("stopped_") or self is PluginStatus.SWITCHED_OFF_AFTER_FAULTS


LABELS: dict[PluginStatus, str] = {
    PluginStatus.FOUND: N_("Found"),
    PluginStatus.LOADING: N_("Starting"),
    PluginStatus.ENABLED: N_("Running"),
    PluginStatus.DISABLED: N_("Switched off by a person"),
    PluginStatus.NOT_SELECTED: N_("Not selected in this node's settings"),
    PluginStatus.STOPPED_BY_LOAD_ERROR: N_("Stopped: it could not be loaded"),
    PluginStatus.STOPPED_BY_API_VERSION: N_("Stopped: it was written for another version of teleconsult"),
    PluginStatus.STOPPED_BY_VALIDATION: N_("Stopped: it does not keep to the plugin rules"),
    PluginStatus.STOPPED_BY_SETTINGS: N_("Stopped: its settings are not valid"),
    PluginStatus.SWITCHED_OFF_AFTER_FAULTS: N_("Switched off after repeated faults"),
}

_S = PluginStatus
_STOPS = {_S.STOPPED_BY_LOAD_ERROR, _S.STOPPED_BY_API_VERSION, _S.STOPPED_BY_VALIDATION, _S.STOPPED_BY_SETTINGS}

TRANSITIONS: dict[PluginStatus, set[PluginStatus]] = {
    _S.FOUND: {_S.LOADING, _S.DISABLED, _S.NOT_SELECTED, _S.SWITCHED_OFF_AFTER_FAULTS, _S.STOPPED_BY_VALIDATION},
    _S.LOADING: {_S.ENABLED, _S.DISABLED, *_STOPS},
    _S.ENABLED: {_S.DISABLED, _S.SWITCHED_OFF_AFTER_FAULTS, _S.LOADING, *_STOPS},
    _S.DISABLED: {_S.LOADING},
    _S.NOT_SELECTED: set(),
    _S.SWITCHED_OFF_AFTER_FAULTS: {_S.LOADING, _S.DISABLED},
    **{stop: {_S.LOADING, _S.DISABLED} for stop in _STOPS},
}
"""Status → statuses that may follow it."""
