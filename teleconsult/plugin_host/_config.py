"""The numbers that bound plugins. The application fills them from its settings; tests make them small."""

from __future__ import annotations

from dataclasses import dataclass, field

from teleconsult.plugin_api import Limits


@dataclass(frozen=True)
class PluginConfig:
    """How plugins are found, waited for and switched off. Times in seconds."""

    only: frozenset[str] | None = None
    """Load these plugins and no others; None loads all (`TELECONSULT_LOAD_PLUGINS`)."""
    paths: tuple[str, ...] = ()
    """Folders searched for plugin distributions besides the installed packages."""
    load_deadline: float = 30.0
    panel_deadline: float = 1.0
    panel_patience: float = 0.25
    """How long a page waits for another call to the same plugin to end; then it does without its panels."""
    event_deadline: float = 10.0
    rule_deadline: float = 5.0
    """For assessing a follow-up visit and ranking referral targets."""
    deliver_deadline: float = 60.0
    fault_limit: int = 5
    """So many faults within `fault_window` switch a plugin off."""
    fault_window: float = 600.0
    follow_every: float = 2.0
    """How often the records are looked at for what a person decided on the command line."""
    event_queue: int = 1000
    """Consult events that wait for a slow plugin; beyond it the newest are dropped, which is a fault."""


@dataclass(frozen=True)
class DeviceConfig:
    """How device readers are watched and started again. Times in seconds."""

    restart_first: float = 0.5
    restart_limit: float = 60.0
    retry_limit: float = 5.0
    """A device that is merely away is looked for again after so long at most: somebody waits beside it."""
    beat: float = 1.0
    """How often a reader's process says that it is alive."""
    load_deadline: float = 30.0
    """So long until its first word: a plugin is being imported."""
    silent: float = 10.0
    """After that, so long without a word and it is taken for stuck and ended."""
    busy_window: float = 30.0
    busy_share: float = 0.9
    """More than this share of one core over `busy_window` seconds is a fault: no device needs it."""
    starting: int = 4
    """So many readers' processes load at the same time; the others wait for their turn."""
    well_after: float = 60.0
    """So long without a fault and the pauses between restarts start short again."""
    messages_per_second: float = 300.0
    """More than this on average over five seconds ends the process, whatever limits it ignored."""
    found_per_second: float = 20.0
    """So many devices are found by a search in a second; a faster one is made to wait."""
    found_limit: int = 200
    """A search that finds more is ended, and that is a fault."""
    limits: Limits = field(default_factory=Limits)
