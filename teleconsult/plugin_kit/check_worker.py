"""The process in which a plugin is checked: loads it, shows one rule after another. Started by `check_plugin`.

Messages are JSON objects. It is sent `{"check": {plugin, package, skip}}` and answers `{"failed"}` or `{"loaded"}`,
then for each step `{"begin"}` and `{"lines"}`, at any time `{"stall"}`, and at last `{"over"}`. A step that never
ends is ended from outside; the next process skips it.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import os
import sys
from collections.abc import Callable, Coroutine
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
from teleconsult.plugin_kit._device_suite import ReaderCheck
from teleconsult.plugin_kit._report import Line, falls_short, not_shown
from teleconsult.plugin_kit._runs import Shown
from teleconsult.plugin_kit._watch import StallWatch, lacks_chinese, texts_in
from teleconsult.process import ChildChannel, open_channel

DEVICE_SECONDS = 60.0
"""A step on a device that takes longer has fallen short."""
HOOK_SECONDS = 70.0


@dataclass(frozen=True)
class Step:
    """Some rules that are shown together on one thing."""

    rules: tuple[str, ...]
    subject: str
    seconds: float
    show: Callable[[], list[Line]]


class Check:
    """The steps of one plugin."""

    def __init__(self, plugin: LoadedPlugin, package: Path, channel: ChildChannel) -> None:
        self._plugin = plugin
        self._package = package
        self._channel = channel
        self.texts: set[Text] = {*texts_in(plugin.describe())}
        self.readers: list[ReaderCheck] = []
        self.devices, self.receivers = _simulated(plugin.name)

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
                steps.append(Step(rules, reader.key, DEVICE_SECONDS + 15, run))
        return steps

    def _followup_steps(self) -> list[Step]:
        steps = []
        for key, programme in self._plugin.programmes.items():
            for rules, show in (
                (("form-valid",), partial(_hook_suite.form, programme)),
                (("assess-valid", "assess-in-time"), partial(_hook_suite.assessing, programme, self.texts)),
                (("assess-repeatable",), partial(_hook_suite.assessing_again, programme)),
            ):
                steps.append(Step(rules, key, HOOK_SECONDS, show))
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
                ),
                Step(("ranking-repeatable",), key, HOOK_SECONDS, partial(_hook_suite.ranking_again, route)),
            ]
            if key in self.receivers:
                steps += [
                    Step(("delivery",), key, 140.0, partial(self._delivering, key, _hook_suite.delivering)),
                    Step(
                        ("delivery-failure",), key, 260.0, partial(self._delivering, key, _hook_suite.delivery_failing)
                    ),
                ]
        return steps

    def _page_steps(self) -> list[Step]:
        steps = []
        if "page_panels" in self._plugin.hooks:
            steps = [
                Step(("panels-in-time",), "", HOOK_SECONDS, partial(_hook_suite.panels_in_time, self._plugin)),
                Step(("panels-valid",), "", HOOK_SECONDS, partial(_hook_suite.panels_valid, self._plugin, self.texts)),
            ]
        if "consult_event" in self._plugin.hooks:
            steps.append(Step(("events-taken",), "", 180.0, partial(_hook_suite.events, self._plugin)))
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
        with StallWatch(loop, self._package, told):
            return loop.run_until_complete(bounded())


def _simulated(
    name: str,
) -> tuple[dict[str, Callable[[], SimulatedDevice]], dict[str, Callable[[], SimulatedReceiver]]]:
    """What the plugin offers to be checked with, by the key of the reader or the route."""
    devices: dict[str, Callable[[], SimulatedDevice]] = {}
    receivers: dict[str, Callable[[], SimulatedReceiver]] = {}
    for entry in importlib.metadata.entry_points(group=GROUP, name=name):
        for make in entry.load()():
            made = make()
            if isinstance(made, SimulatedDevice):
                devices[made.reader] = make
            elif isinstance(made, SimulatedReceiver):
                receivers[made.route] = make
            else:
                raise TypeError(f"{made!r:.80} is neither a SimulatedDevice nor a SimulatedReceiver")
        break
    return devices, receivers


def _show(step: Step) -> list[Line]:
    """The lines of a step; whatever goes wrong is a line too."""
    try:
        return step.show()
    except Shown as shown:
        first, *rest = step.rules
        why = N_("Not tried, because another rule fell short before.")
        return [
            falls_short(first, step.subject, shown.why, **shown.params),
            *(not_shown(r, step.subject, why) for r in rest),
        ]
    except NotSimulated:
        return [not_shown(r, step.subject, N_("The simulated device cannot do this.")) for r in step.rules]
    except BaseException as error:
        why = N_("The check broke off: %(error)s")
        return [falls_short(rule, step.subject, why, error=describe_error(error)) for rule in step.rules]


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
    }


def _work(channel: ChildChannel, job: dict[str, Any]) -> None:
    try:
        plugin = load_plugin(job["plugin"], {})
        check = Check(plugin, Path(job["package"]), channel)
    except LoadFailure as failure:
        channel.send({"failed": {"status": failure.status, "error": failure.error}})
        return
    except BaseException as error:
        channel.send({"failed": {"status": "", "error": describe_error(error)}})
        return
    channel.send({"loaded": _loaded(plugin, check)})
    for number, step in enumerate(check.steps()):
        if number in job["skip"]:
            continue
        channel.send({"begin": {"step": number, "rules": step.rules, "subject": step.subject, "seconds": step.seconds}})
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


async def _first(channel: ChildChannel) -> dict[str, Any]:
    async for message in channel.messages():
        return dict(message["check"])
    return {}


def main() -> None:
    """Check what the parent asks for, then end. Threads that the plugin left behind do not keep the process alive."""
    channel = open_channel()
    job = asyncio.run(_first(channel))
    confine(str(job.get("plugin", "check")))
    logging.getLogger().setLevel(logging.ERROR)
    if job:
        _work(channel, job)
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
