"""Whether calls can come about at this hub: the self-test of its media addresses, and tries that a vehicle asks for.

The hub tries itself when it starts, when somebody asks, and when a name in its media addresses leads elsewhere than
before: what it leads to is then offered in new calls. The last result is kept in memory. A vehicle has a
connection offered over HTTPS, tries it from where it stands, and tells nobody.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from teleconsult import media
from teleconsult.domain.errors import N_, Conflict, NotFound, TeleconsultError, Unavailable
from teleconsult.media import AddressResult, Plan, WorkerSignalling
from teleconsult.services.node import Node

log = structlog.get_logger(__name__)

START_DELAY: Final = 2.0
"""Seconds after the start: the workers are up by then, and the node serves already."""

RESOLVE_EVERY: Final = 300.0
"""Seconds between looks where the names in the media addresses lead."""

MAX_TRIES: Final = 20
"""Tries of vehicles that may be open at a time."""

TRY_LIMIT: Final = timedelta(seconds=60)


@dataclass(frozen=True)
class MediaReport:
    """One self-test. `problem` is set where nothing could be tried, `problem_params` fill it."""

    at: datetime
    addresses: tuple[AddressResult, ...] = ()
    unknown_names: tuple[str, ...] = ()
    away: tuple[str, ...] = ()
    problem: str = ""
    problem_params: dict[str, object] = field(default_factory=dict)

    @property
    def well(self) -> bool:
        """Whether nothing is to be mended."""
        mended = not self.problem and not self.unknown_names and not self.away
        return mended and all(one.well is not False for one in self.addresses)


class MediaHealth:
    """The self-test of a hub's media, and vehicles' tries. Safe to use from any thread or greenlet."""

    def __init__(self, node: Node, plan: Plan | None = None) -> None:
        self._node = node
        self._plan = plan or Plan()
        self._lock = threading.Lock()
        self._testing = False
        self._report: MediaReport | None = None
        self._tries: dict[str, tuple[str, datetime]] = {}
        self._stopping = threading.Event()

    def start(self) -> None:
        """Test soon, without waiting for it, and follow the names from then on."""
        self._start(START_DELAY)
        threading.Thread(target=self._follow_names, name="media-names", daemon=True).start()

    def run_soon(self) -> None:
        """Test now, without waiting for it. Raises Conflict while a test runs."""
        if self._testing:
            raise Conflict(N_("The media test is running already. Look again in a few seconds."))
        self._start(0)

    def _start(self, delay: float) -> None:
        threading.Thread(target=self._run_after, args=(delay,), name="media-self-test", daemon=True).start()

    def stop(self) -> None:
        """No first test any more, and no look at names."""
        self._stopping.set()

    def _run_after(self, delay: float) -> None:
        if not self._stopping.wait(delay):
            try:
                self.run()
            except Conflict:
                pass  # somebody has asked already
            except Exception:
                log.exception("the media self-test failed")

    def _follow_names(self) -> None:
        while not self._stopping.wait(RESOLVE_EVERY):
            if self.follow_names():
                self._run_after(0)

    def follow_names(self) -> bool:
        """Resolve the names in the media addresses anew, and offer what they lead to in new calls; whether that, or
        what this machine has of it, is anything else than before. What is gone for the moment is kept: see
        `Plan.after`."""
        before = self._plan
        found = media.plan(self._node.settings.media_addresses).after(before)
        if _addresses(found) == _addresses(before):  # name servers give them in any order
            self._plan = replace(before, unknown=found.unknown, away=found.away)
            return set(found.away) != set(before.away)
        self._plan = found
        backend = self._node.media
        if backend is None:
            return False
        backend.announce(found.addresses, found.announced)
        log.info("media addresses have changed", bound=found.addresses, announced=found.announced)
        return True

    @property
    def report(self) -> MediaReport | None:
        """The last result; None before the first."""
        return self._report

    @property
    def is_testing(self) -> bool:
        """Whether a test runs now."""
        return self._testing

    def run(self) -> MediaReport:
        """Test now; takes seconds. Raises Conflict while another test runs."""
        with self._lock:
            if self._testing:
                raise Conflict(N_("The media test is running already. Look again in a few seconds."))
            self._testing = True
        try:
            report = self._test()
            if not self._stopping.is_set():
                self._report = report
                _write_log(report)
            return report
        finally:
            self._testing = False

    def _test(self) -> MediaReport:
        self.follow_names()
        settings, backend, now = self._node.settings, self._node.media, self._node.clock()
        try:
            if backend is None:
                raise Unavailable(N_("The hub has no media worker running. Voice and picture come as soon as it has."))
            results = media.check_addresses(
                WorkerSignalling(backend, settings.media_port_range), announced=self._plan.announced
            )
        except TeleconsultError as error:
            return MediaReport(now, (), self._plan.unknown, self._plan.away, error.message, error.params)
        return MediaReport(now, tuple(results), self._plan.unknown, self._plan.away)

    # -- vehicles --------------------------------------------------------------------------------------------

    def open_try(self, vehicle_id: str) -> tuple[str, str]:
        """Offer a vehicle a connection: the try's name, and the description. Raises Unavailable."""
        now = self._node.clock()
        with self._lock:
            old = [name for name, (_, opened_at) in self._tries.items() if now - opened_at >= TRY_LIMIT]
            for name in old:
                del self._tries[name]
            full = len(self._tries) >= MAX_TRIES
        for name in old:
            self._signalling().close(name)
        if full:
            raise Unavailable(N_("Many vehicles test their link now. Try again in a minute."))
        name, sdp = self._signalling().open()
        with self._lock:
            self._tries[name] = (vehicle_id, now)
        return name, sdp

    def answer_try(self, vehicle_id: str, name: str, description: dict[str, str]) -> None:
        """Carry the vehicle's answer. Raises NotFound for a try that is not this vehicle's, or has ended."""
        self._check_try(vehicle_id, name)
        self._signalling().answer(name, description)

    def close_try(self, vehicle_id: str, name: str) -> None:
        """End a try. Raises NotFound."""
        self._check_try(vehicle_id, name)
        with self._lock:
            self._tries.pop(name, None)
        self._signalling().close(name)

    def _check_try(self, vehicle_id: str, name: str) -> None:
        with self._lock:
            known = self._tries.get(name)
        if known is None or known[0] != vehicle_id:
            raise NotFound(N_("This test has ended. Start it again."))

    def _signalling(self) -> WorkerSignalling:
        if self._node.media is None:
            raise Unavailable(N_("The hub has no media worker running. Voice and picture come as soon as it has."))
        return WorkerSignalling(self._node.media)


def _addresses(plan: Plan) -> tuple[set[str], set[str]]:
    return set(plan.addresses), set(plan.announced)


def _write_log(report: MediaReport) -> None:
    if report.problem:
        log.error("media self-test", problem=report.problem % report.problem_params)
    for name in report.unknown_names:
        log.error("media self-test", problem=media.UNKNOWN_NAME % {"name": name})
    for host in report.away:
        log.error("media self-test", problem=media.AWAY % {"address": host})
    for one in report.addresses:
        write = log.info if one.well else log.warning if one.well is None else log.error
        write("media self-test", address=one.address, outcome=one.outcome, found=one.sentence % one.params)
        if one.advice:
            write("media self-test", address=one.address, advice=one.advice % one.params)
