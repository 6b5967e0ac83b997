"""One plugin on this node: its status, its process, its faults. The rules of switching off and on live here."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog
from pydantic import ValidationError

from teleconsult.domain.errors import N_, Conflict
from teleconsult.domain.ids import utc_now
from teleconsult.domain.plugin_state import PluginRecord, PluginStateStore
from teleconsult.plugin_api import ConsultEvent, Text
from teleconsult.plugin_host import _faults, _settings
from teleconsult.plugin_host._config import PluginConfig
from teleconsult.plugin_host._description import (
    PluginDescription,
    ProgrammeDescription,
    ReaderDescription,
    RouteDescription,
)
from teleconsult.plugin_host._loader import FoundPlugin, LoadFailure
from teleconsult.plugin_host._problems import SECRETS_LOST, SettingProblem
from teleconsult.plugin_host._status import LABELS, TRANSITIONS, PluginStatus
from teleconsult.plugin_host._worker import PluginBusy, PluginFault, PluginWorker, SettingsRefused
from teleconsult.process import Backoff

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class PluginView:
    """What an administrator is shown about a plugin."""

    name: str
    distribution: str
    version: str
    status: PluginStatus
    title: Text
    summary: Text | None
    kinds: tuple[str, ...]
    """What it offers: device, followup, referral, events, panel."""
    hooks: tuple[str, ...]
    readers: tuple[ReaderDescription, ...]
    programmes: tuple[ProgrammeDescription, ...]
    routes: tuple[RouteDescription, ...]
    settings: Mapping[str, Any]
    settings_schema: Mapping[str, Any] | None
    """JSON schema that the settings form is made from; None if there is nothing to set or it is not known."""
    warnings: tuple[Text, ...]
    """What it uses that a coming version of the border no longer has. It runs all the same."""
    faults: int
    """Faults since a person last switched it on."""
    last_error: str
    last_error_at: datetime | None

    @property
    def status_label(self) -> str:
        """The status in words, to be translated."""
        return LABELS[self.status]


class HostedPlugin:
    """One plugin. Status changes are serialised; `view()` and `call()` wait for none of them."""

    def __init__(
        self,
        found: FoundPlugin,
        config: PluginConfig,
        store: PluginStateStore,
        changed: Callable[[str], None],
    ) -> None:
        self.found = found
        self.status = PluginStatus.FOUND
        self.description: PluginDescription | None = None
        self.record = self._stored = PluginRecord(found.name)
        self._schema: Mapping[str, Any] | None = None
        self._config = config
        self._store = store
        self._changed = changed
        self._change = threading.RLock()
        self._worker: PluginWorker | None = None
        self._recent: deque[float] = deque()
        self._backoff = Backoff(0.2, 30.0)
        self._closing = threading.Event()
        self._events: queue.Queue[ConsultEvent | None] = queue.Queue(config.event_queue)
        self._teller: threading.Thread | None = None
        self._dropped = False
        """Whether an event found no place in the queue."""

    @property
    def name(self) -> str:
        """The entry point's name."""
        return self.found.name

    @property
    def enabled(self) -> bool:
        """Whether it runs now."""
        return self.status is PluginStatus.ENABLED

    def view(self) -> PluginView:
        """What an administrator is shown."""
        loaded, record = self.description, self.record
        known = loaded or self._described()
        return PluginView(
            name=self.name,
            distribution=self.found.distribution,
            version=self.found.version,
            status=self.status,
            title=known.title if known else Text(en=self.name),
            summary=known.summary if known else None,
            kinds=_kinds(known) if known else (),
            hooks=known.hooks if known else (),
            readers=loaded.readers if loaded else (),
            programmes=loaded.programmes if loaded else (),
            routes=loaded.routes if loaded else (),
            settings=loaded.settings if loaded and (self.enabled or not record.settings) else record.settings,
            settings_schema=self._schema or (known.settings_schema if known else None),
            warnings=known.warnings if known else (),
            faults=record.faults,
            last_error=record.last_error,
            last_error_at=record.last_error_at,
        )

    def _described(self) -> PluginDescription | None:
        """What it told of itself when it last loaded, perhaps before the node was started."""
        if not self.record.description:
            return None
        try:
            return PluginDescription.model_validate(self.record.description)
        except ValidationError:  # written by another version of the program
            return None

    # Switching

    def start(self) -> None:
        """Bring it to the status that the record and the node's settings ask for."""
        with self._change:
            self.record = self._stored = self._store.get(self.name) or PluginRecord(self.name)
            if self._config.only is not None and self.name not in self._config.only:
                self._move(PluginStatus.NOT_SELECTED)
            elif self.found.others:
                rivals = ", ".join((self.found.distribution, *self.found.others))
                self._move(PluginStatus.STOPPED_BY_VALIDATION, f"{_faults.SAME_NAME}: {rivals}")
            elif not self.record.enabled:
                self._move(PluginStatus.DISABLED)
            elif self.record.switched_off:
                self._move(PluginStatus.SWITCHED_OFF_AFTER_FAULTS)
            else:
                self._load()
        self._changed(self.name)

    def switch_on(self) -> None:
        """Load it again, with a clean sheet. Raises Conflict if the node's settings leave it out."""
        with self._change:
            if self.status is PluginStatus.NOT_SELECTED:
                raise Conflict(N_("This node's settings leave the plugin %(name)s out."), name=self.name)
            if self.status in (PluginStatus.ENABLED, PluginStatus.LOADING):
                return
            self._recent.clear()
            self._keep(replace(self.record, enabled=True, switched_off=False, faults=0, last_error=""))
            self._load()
        self._changed(self.name)

    def switch_off(self) -> None:
        """End its process and keep it off until a person switches it on."""
        with self._change:
            self._keep(replace(self.record, enabled=False))
            if self.status is not PluginStatus.NOT_SELECTED:
                self._move(PluginStatus.DISABLED)
            self._end_worker()
        self._changed(self.name)

    def configure(self, values: Mapping[str, Any]) -> None:
        """Take new settings and run with them; a secret that comes back hidden stays as it was.

        Raises SettingsRefused with the errors, and changes nothing.
        """
        with self._change:
            values = _settings.restore(values, self.view().settings)
            lost = [name for name, value in values.items() if _settings.still_hidden(value)]
            if lost:
                raise SettingsRefused(dict.fromkeys(lost, SettingProblem(SECRETS_LOST)))
            filled = self._check_settings(values)
            self._keep(replace(self.record, settings=filled))
            if self.status is PluginStatus.ENABLED or self.status is PluginStatus.STOPPED_BY_SETTINGS:
                self._end_worker()
                self._load()
        self._changed(self.name)

    def follow(self) -> None:
        """Do what a person has decided elsewhere (on the command line) since its record was last read."""
        with self._change:
            try:
                kept = self._store.get(self.name)
            except Exception:  # a store that is out of reach must not take the plugins with it
                log.exception("plugin record was not read", plugin=self.name)
                return
            if kept is None or kept.decision == self._stored.decision:
                return
            reload = kept.settings != self.record.settings or not self.enabled
            log.info("a plugin's record was changed elsewhere", plugin=self.name)
            self.record = self._stored = kept
            if self.status is PluginStatus.NOT_SELECTED or self.found.others:
                return
            self._recent.clear()
            if not kept.runs:
                self._move(PluginStatus.SWITCHED_OFF_AFTER_FAULTS if kept.enabled else PluginStatus.DISABLED)
                self._end_worker()
            elif reload:
                self._end_worker()
                self._load()
        self._changed(self.name)

    def close(self) -> None:
        """End its process; the record stays as it is."""
        self._closing.set()
        with self._change:
            self._end_worker()
        if self._teller:
            with contextlib.suppress(queue.Full):  # then it sees `_closing` after the event it is telling
                self._events.put_nowait(None)

    # Calling

    def call(
        self,
        name: str,
        args: Mapping[str, Any],
        deadline: float,
        *,
        revive: bool = True,
        patience: float | None = None,
    ) -> Any:
        """Call into its process. Counts a PluginFault before raising it.

        A process that has ended is started again first if `revive`, else PluginBusy is raised at once; so it is if
        an earlier call has not ended after `patience` seconds (by default `deadline`).
        """
        worker = self._worker
        if worker is None or not worker.alive:
            if not revive:
                raise PluginBusy(self.name)
            with self._change:
                worker = self._revived()
        try:
            return worker.call(name, args, deadline, patience)
        except PluginFault as fault:
            self.fault(str(fault))
            raise

    def announce(self, event: ConsultEvent) -> None:
        """Have it told of the event soon; returns at once."""
        if not (self.enabled and self.description and "consult_event" in self.description.hooks):
            return
        try:
            self._events.put_nowait(event)
        except queue.Full:
            self._dropped = True  # counted by `_tell`: to count is no work for the consult's own thread

    def fault(self, error: str) -> None:
        """Count a fault, and switch the plugin off if it is one of too many."""
        now = time.monotonic()
        with self._change:
            self.follow()  # so that a decision made elsewhere is not written over
            self._recent.append(now)
            while self._recent and self._recent[0] < now - self._config.fault_window:
                self._recent.popleft()
            too_many = len(self._recent) >= self._config.fault_limit and self.enabled
            log.warning("plugin fault", plugin=self.name, error=error, recent=len(self._recent))
            self._keep(
                replace(
                    self.record,
                    faults=self.record.faults + 1,
                    last_error=error[:1000],
                    last_error_at=utc_now(),
                    switched_off=self.record.switched_off or too_many,
                )
            )
            if too_many:
                log.error("plugin switched off after repeated faults", plugin=self.name)
                self._move(PluginStatus.SWITCHED_OFF_AFTER_FAULTS)
                self._end_worker(kill=True)
            elif self.enabled and self._worker and not self._worker.alive:
                self._revive_later()
        self._changed(self.name)

    # Inside

    def _move(self, status: PluginStatus, error: str = "") -> None:
        assert status in TRANSITIONS[self.status] or status is self.status, f"{self.status} → {status}"
        self.status = status
        if error:
            log.error("plugin stopped", plugin=self.name, status=status, error=error)
            self._keep(replace(self.record, last_error=error[:1000], last_error_at=utc_now()))

    def _keep(self, record: PluginRecord) -> None:
        self.record = record
        try:
            self._store.save(record)
            self._stored = record
        except Exception:  # a store that is out of reach must not take the plugins with it
            log.exception("plugin record was not stored", plugin=self.name)

    def _load(self) -> None:
        self._move(PluginStatus.LOADING)
        known = self.description
        worker = PluginWorker(self.name, self._config.paths, self._died)
        try:
            self.description = worker.load(self.record.settings, self._config.load_deadline)
        except LoadFailure as failure:
            self._schema, self.description = failure.schema, None
            self._move(failure.status, failure.error)
            return
        self._schema = None
        described = self.description.model_dump(mode="json", exclude={"settings"})
        if described != self.record.description:
            self._keep(replace(self.record, description=described))
        if not known or known.warnings != self.description.warnings:  # said once, not each time its process starts
            for warning in self.description.warnings:
                log.warning("plugin uses what is deprecated", plugin=self.name, warning=warning.en)
        if self.description.has_calls:
            self._worker = worker
        else:
            worker.stop()
        self._move(PluginStatus.ENABLED)
        if "consult_event" in self.description.hooks and self._teller is None:
            self._teller = threading.Thread(target=self._tell, name=f"events-{self.name}", daemon=True)
            self._teller.start()

    def _check_settings(self, values: Mapping[str, Any]) -> dict[str, Any]:
        worker = self._worker
        if worker is not None and worker.alive:
            return dict(worker.call("check_settings", {"values": dict(values)}, self._config.rule_deadline))
        try:
            spare = PluginWorker(self.name, self._config.paths, lambda _: None)
            return spare.check(values, self._config.load_deadline)
        except LoadFailure as failure:
            raise PluginFault(failure.error) from failure

    def _end_worker(self, *, kill: bool = False) -> None:
        worker, self._worker = self._worker, None
        if worker and kill:
            worker.kill()
        elif worker:
            worker.stop()

    def _revived(self) -> PluginWorker:
        """Its process, started again if it has ended. Raises PluginBusy if the plugin does not run."""
        if self._closing.is_set() or not self.enabled:
            raise PluginBusy(self.name)
        if self._worker is None or not self._worker.alive:
            self._load()
        if self._worker is None:
            raise PluginBusy(self.name)
        return self._worker

    def _revive_later(self) -> None:
        def revive() -> None:
            if self._closing.wait(self._backoff.next()):
                return
            try:
                with self._change:
                    self._revived()
            except PluginBusy:
                return
            self._changed(self.name)

        threading.Thread(target=revive, name=f"revive-{self.name}", daemon=True).start()

    def _died(self, sentence: str) -> None:
        if not self._closing.is_set():
            self.fault(sentence)

    def _tell(self) -> None:
        while (event := self._events.get()) is not None and not self._closing.is_set():
            if self._dropped:
                self._dropped = False
                self.fault("consult_event: it is too slow for the events that come; some were dropped")
            if not self.enabled:
                continue
            try:
                arguments = {"event": event.model_dump(mode="json")}
                self.call("consult_event", arguments, self._config.event_deadline)
            except PluginBusy:
                log.warning("plugin was not told of a consult event", plugin=self.name, event_id=event.event_id)
            except PluginFault:
                pass  # counted and logged by call()


def _kinds(known: PluginDescription) -> tuple[str, ...]:
    offers = {
        "device": bool(known.readers),
        "followup": bool(known.programmes),
        "referral": bool(known.routes),
        "panel": "page_panels" in known.hooks,
        "events": "consult_event" in known.hooks,
    }
    return tuple(word for word, offered in offers.items() if offered)
