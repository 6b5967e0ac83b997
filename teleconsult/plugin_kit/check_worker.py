"""The process in which a plugin is checked: loads it, shows one rule after another. Started by `check_plugin`.

Messages are JSON objects. It is sent `{"check": {plugin, package, skip, broken, stderr}}` and answers `{"failed"}` or
`{"loaded"}`, then for each step `{"begin"}` and `{"lines"}`, at any time `{"stall"}` or `{"hang"}`, and at last
`{"over"}`. A step that never ends is ended from outside; the next process skips it, and what it was shown on. What this
process prints goes to the file `stderr`, so that the last words of one that dies are known.
"""

from __future__ import annotations

import asyncio
import faulthandler
import importlib.metadata
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from teleconsult.domain.errors import N_
from teleconsult.plugin_api import Text
from teleconsult.plugin_api.checking import GROUP, NotSimulated, SimulatedDevice, SimulatedReceiver
from teleconsult.plugin_host._child import confine
from teleconsult.plugin_host._loader import LoadedPlugin, LoadFailure, describe_error, load_plugin
from teleconsult.plugin_kit import _device_suite, _hook_suite
from teleconsult.plugin_kit._load_failures import explain
from teleconsult.plugin_kit._reader_check import ReaderCheck
from teleconsult.plugin_kit._report import ENDED, Line, falls_short, not_shown
from teleconsult.plugin_kit._runs import Shown, SimulationBroke
from teleconsult.plugin_kit._watch import StallWatch, lacks_chinese, texts_in
from teleconsult.process import ChildChannel, open_channel

DEVICE_SECONDS = 60.0
"""A step on a device that takes longer has fallen short."""
HOOK_SECONDS = 70.0
LOADING = _hook_suite.LIMITS.load_deadline + _hook_suite.PATIENCE
ANY = "*"
"""What breaks with whatever else broke."""


@dataclass(frozen=True)
class Step:
    """Some rules that are shown together on one thing."""

    rules: tuple[str, ...]
    subject: str
    seconds: float
    show: Callable[[], list[Line]]
    on: str
    """What breaks with it: nothing else is shown on that once its process had to be ended."""
    check: ReaderCheck | None = None


class Check:
    """The steps of one plugin."""

    def __init__(self, plugin: LoadedPlugin, package: Path, channel: ChildChannel) -> None:
        self._plugin = plugin
        self._package = package
        self._channel = channel
        self.texts: set[Text] = {*texts_in(plugin.describe())}
        self.readers: list[ReaderCheck] = []
        self.devices: dict[str, Callable[[], SimulatedDevice]] = {}
        self.receivers: dict[str, Callable[[], SimulatedReceiver]] = {}
        self.unsimulated: Shown | None = None
        """Why it offers nothing to be checked with, if it tries to."""
        try:
            self.devices, self.receivers = _simulated(plugin)
        except Shown as shown:
            self.unsimulated = shown

    def steps(self) -> list[Step]:
        """All steps, in the order in which they are shown."""
        return [*self._device_steps(), *self._followup_steps(), *self._referral_steps(), *self._page_steps()]

    def _device_steps(self) -> list[Step]:
        steps = []
        for reader in self._plugin.readers.values():
            make = self.devices.get(reader.key)
            if make is None:
                continue
            check = ReaderCheck(reader, make, self._fill, self.texts)
            self.readers.append(check)
            for rules, show in _device_suite.STEPS:
                run = partial(self._in_loop, reader.key, partial(show, check))
                steps.append(Step(rules, reader.key, DEVICE_SECONDS + 15, run, reader.key, check))
        return steps

    def _followup_steps(self) -> list[Step]:
        steps = []
        for key, programme in self._plugin.programmes.items():
            for rules, show in (
                (("form-valid",), partial(_hook_suite.form, programme)),
                (("assess-valid", "assess-in-time"), partial(_hook_suite.assessing, programme, self.texts)),
                (("assess-repeatable",), partial(_hook_suite.assessing_again, programme)),
            ):
                steps.append(Step(rules, key, HOOK_SECONDS, show, key))
        return steps

    def _referral_steps(self) -> list[Step]:
        steps = []
        for key, route in self._plugin.routes.items():
            steps += [
                Step(
                    ("ranking-valid", "ranking-in-time"),
                    key,
                    HOOK_SECONDS,
                    partial(_hook_suite.ranking, route, self.texts),
                    key,
                ),
                Step(("ranking-repeatable",), key, HOOK_SECONDS, partial(_hook_suite.ranking_again, route), key),
            ]
            if key in self.receivers:
                steps += [
                    Step(("delivery",), key, 140.0, partial(self._delivering, key, _hook_suite.delivering), key),
                    Step(
                        ("delivery-failure",),
                        key,
                        260.0,
                        partial(self._delivering, key, _hook_suite.delivery_failing),
                        key,
                    ),
                ]
        return steps

    def _page_steps(self) -> list[Step]:
        steps = []
        if "page_panels" in self._plugin.hooks:
            hook = "page_panels"
            valid = partial(_hook_suite.panels_valid, self._plugin, self.texts)
            steps = [
                Step(("panels-in-time",), "", HOOK_SECONDS, partial(_hook_suite.panels_in_time, self._plugin), hook),
                Step(("panels-valid",), "", HOOK_SECONDS, valid, hook),
            ]
        if "consult_event" in self._plugin.hooks:
            events = partial(_hook_suite.events, self._plugin)
            steps.append(Step(("events-taken",), "", 180.0, events, "consult_event"))
        if steps or self._plugin.programmes or self._plugin.routes:
            leaks = partial(_hook_suite.leaks, self._plugin)
            steps.append(Step(("hooks-leak-nothing",), "", HOOK_SECONDS, leaks, ANY))
        return steps

    def _fill(self, values: Any) -> Any:
        """The plugin's settings model, with what the simulated device needs."""
        model = self._plugin.info.settings
        return model.model_validate(dict(values)) if model else None

    def _delivering(self, key: str, show: Callable[..., list[Line]]) -> list[Line]:
        receiver = self.receivers[key]()
        receiver.switch_on()
        try:
            route = load_plugin(self._plugin.name, receiver.settings).routes[key]
            return show(route, receiver, self.texts)
        finally:
            receiver.switch_off()

    def _in_loop(self, reader: str, show: Callable[[], Coroutine[Any, Any, list[Line]]]) -> list[Line]:
        """Show it in an event loop of its own. The loop is left behind: a reader may have stuck in it."""
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda _loop, _context: None)  # broken plugins are why we are here

        def told(seconds: float, place: str) -> None:
            self._channel.send({"stall": {"subject": reader, "seconds": round(seconds, 1), "place": place}})

        async def bounded() -> list[Line]:
            task = asyncio.ensure_future(show())
            done, _ = await asyncio.wait({task}, timeout=DEVICE_SECONDS)
            if not done:
                task.cancel()
                raise Shown(N_("It took longer than %(seconds)g s."), seconds=DEVICE_SECONDS)
            return task.result()

        asyncio.set_event_loop(loop)
        stuck = partial(_hanging, self._channel, f"{reader}.run()")
        with StallWatch(loop, self._package, told, stuck):
            return loop.run_until_complete(bounded())


def _simulated(
    plugin: LoadedPlugin,
) -> tuple[dict[str, Callable[[], SimulatedDevice]], dict[str, Callable[[], SimulatedReceiver]]]:
    """What the plugin offers to be checked with, by the key of the reader or the route. Raises Shown if it breaks."""
    devices: dict[str, Callable[[], SimulatedDevice]] = {}
    receivers: dict[str, Callable[[], SimulatedReceiver]] = {}
    for entry in importlib.metadata.entry_points(group=GROUP, name=plugin.name):
        try:
            with _hook_suite.WATCH.limited(f"{entry.attr}()", LOADING):
                made = [(make, make()) for make in entry.load()()]
        except BaseException as error:
            why = N_("What the plugin offers to be checked with cannot be made: %(error)s")
            raise Shown(why, error=describe_error(error)) from error
        for make, thing in made:
            if isinstance(thing, SimulatedDevice):
                devices[_known(thing, "reader", plugin.readers)] = make
            elif isinstance(thing, SimulatedReceiver):
                receivers[_known(thing, "route", plugin.routes)] = make
            else:
                raise Shown(N_("%(what)s is neither a SimulatedDevice nor a SimulatedReceiver."), what=repr(thing)[:80])
        break
    return devices, receivers


def _known(made: object, field: str, known: Iterable[str]) -> str:
    """The reader or route that a simulated thing is for."""
    key = getattr(made, field, None)
    if isinstance(key, str) and key in known:
        return key
    why = N_("%(name)s has the %(field)s %(key)s, which the plugin does not register: %(known)s.")
    raise Shown(why, name=type(made).__name__, field=field, key=repr(key)[:60], known=", ".join(known) or "–")


def _show(step: Step) -> list[Line]:
    """The lines of a step; whatever goes wrong is a line too."""
    if step.check is not None and step.check.spoilt:
        return [not_shown(rule, step.subject, step.check.spoilt) for rule in step.rules]
    try:
        return step.show()
    except SimulationBroke as shown:
        _spoil(step, N_("Not tried, because the simulated device does not work."))
        return [
            falls_short("tested-against-a-device", "", shown.why, **shown.params),
            *(not_shown(rule, step.subject, N_("The simulated device does not work.")) for rule in step.rules),
        ]
    except Shown as shown:
        if shown.spoils:
            _spoil(step, N_("Not tried, because it floods."))
        elif step.check is not None and "good-readings" in step.rules and not step.check.ran:
            _spoil(step, N_("Not tried, because no measurement became a reading."))
        short = shown.of if shown.of in step.rules else step.rules[0]
        why = N_("Not tried, because another rule fell short before.")
        return [
            falls_short(rule, step.subject, shown.why, **shown.params)
            if rule == short
            else not_shown(rule, step.subject, why)
            for rule in step.rules
        ]
    except NotSimulated:
        return [not_shown(r, step.subject, N_("The simulated device cannot do this.")) for r in step.rules]
    except BaseException as error:
        why = N_("The check broke off: %(error)s")
        return [falls_short(rule, step.subject, why, error=describe_error(error)) for rule in step.rules]


def _spoil(step: Step, why: str) -> None:
    if step.check is not None:
        step.check.spoilt = why


def _loaded(plugin: LoadedPlugin, check: Check) -> dict[str, Any]:
    kinds = {
        "device": bool(plugin.readers),
        "followup": bool(plugin.programmes),
        "referral": bool(plugin.routes),
        "panel": "page_panels" in plugin.hooks,
        "events": "consult_event" in plugin.hooks,
    }
    return {
        "kinds": [kind for kind, offered in kinds.items() if offered],
        "description": plugin.describe().model_dump(mode="json"),
        "readers": list(plugin.readers),
        "programmes": list(plugin.programmes),
        "routes": list(plugin.routes),
        "devices": list(check.devices),
        "receivers": list(check.receivers),
        "unsimulated": check.unsimulated and {"why": check.unsimulated.why, "params": check.unsimulated.params},
    }


def _work(channel: ChildChannel, job: dict[str, Any]) -> None:
    try:
        with _hook_suite.WATCH.limited("import", LOADING):
            plugin = load_plugin(job["plugin"], {})
        check = Check(plugin, Path(job["package"]), channel)
    except LoadFailure as failure:
        rule, said = explain(failure)
        channel.send({"failed": {"rule": rule, "why": said.why, "params": said.params}})
        return
    except BaseException as error:
        params = {"error": describe_error(error)}
        channel.send({"failed": {"rule": "loads", "why": N_("%(error)s"), "params": params}})
        return
    channel.send({"loaded": _loaded(plugin, check)})
    for number, step in enumerate(check.steps()):
        if number in job["skip"]:
            continue
        begin = {"step": number, "rules": step.rules, "subject": step.subject, "on": step.on, "seconds": step.seconds}
        channel.send({"begin": begin})
        if step.on in job["broken"] or (step.on == ANY and job["broken"]):
            lines = [not_shown(rule, step.subject, ENDED) for rule in step.rules]
        else:
            lines = _show(step)
        channel.send(
            {
                "lines": [
                    {"rule": x.rule, "subject": x.subject, "verdict": x.verdict, "why": x.why, "params": x.params}
                    for x in lines
                ],
                "english_only": [text.en for text in check.texts if lacks_chinese(text)][:5],
                "batteries": {r.key: r.battery for r in check.readers if r.battery is not None},
                "ran": [r.key for r in check.readers if r.ran],
            }
        )
    channel.send({"over": {"english_only": [text.en for text in check.texts if lacks_chinese(text)][:5]}})


def _hanging(channel: ChildChannel, what: str, seconds: float, place: str) -> None:
    channel.send({"hang": {"what": what, "seconds": seconds, "place": place}})


async def _first(channel: ChildChannel) -> dict[str, Any]:
    async for message in channel.messages():
        return dict(message["check"])
    return {}


def main() -> None:
    """Check what the parent asks for, then end. Threads that the plugin left behind do not keep the process alive."""
    channel = open_channel()
    job = asyncio.run(_first(channel))
    if job:
        printed = os.open(job["stderr"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(printed, 2)
        os.dup2(printed, 1)
        os.close(printed)
    faulthandler.enable(2)
    confine(str(job.get("plugin", "check")))
    logging.getLogger().setLevel(logging.ERROR)
    if job:
        _hook_suite.WATCH.start(Path(job["package"]), partial(_hanging, channel))
        _work(channel, job)
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
