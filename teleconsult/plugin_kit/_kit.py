"""Check a plugin: its files here, its behaviour in a process of its own, and put the lines together."""

from __future__ import annotations

import queue
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from teleconsult.domain.errors import N_
from teleconsult.http.admin.schema import fields_of, values_of
from teleconsult.plugin_api import Text
from teleconsult.plugin_host import PluginStatus
from teleconsult.plugin_host._description import PluginDescription
from teleconsult.plugin_host._worker import plugin_environment
from teleconsult.plugin_kit import _packaging
from teleconsult.plugin_kit._report import Line, Report, Verdict, excused, falls_short, holds, not_shown
from teleconsult.plugin_kit._rules import RULES, Rule, rules_for
from teleconsult.plugin_kit._target import Target, find_target
from teleconsult.process import ChildProcess

LOADING = 30.0
STUCK = 12.0
"""Seconds after which a reader that blocks its loop is ended: on a node it is taken for stuck after ten."""
MAX_LINE = 1024 * 1024
_ENDED = N_("Not tried: an earlier rule had to end its process.")


def check_plugin(given: str) -> Report:
    """Check a project's folder, a wheel or an installed plugin. Raises InvalidInput if there is none."""
    with tempfile.TemporaryDirectory(prefix="teleconsult-check-") as scratch:
        target = find_target(given, Path(scratch))
        packaged = _packaging.check_packaging(target)
        lines = [packaged]
        if target.package is not None:
            lines += [_packaging.check_imports(target), _packaging.check_typed(target)]
        lines.append(_packaging.check_readme(target))
        answers, unreadable = _packaging.read_quality(target)
        seen = _Seen()
        if target.package is not None and target.name:
            seen = _behaviour(target)
        lines += seen.lines
        lines.append(unreadable or _packaging.check_quality(answers, seen.kinds))
        if "device" in seen.kinds:
            lines.append(_packaging.check_tests(target, set(seen.readers) <= set(seen.devices)))
        lines = [_excused(line, answers, seen) for line in _complete(lines, seen)]
        return Report(target.name or given, target.version, seen.kinds, tuple(lines))


@dataclass
class _Seen:
    """What the plugin's process told."""

    kinds: tuple[str, ...] = ()
    readers: list[str] = field(default_factory=list)
    programmes: list[str] = field(default_factory=list)
    routes: list[str] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)
    receivers: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    english_only: list[str] = field(default_factory=list)
    batteries: dict[str, int] = field(default_factory=dict)
    ran: set[str] = field(default_factory=set)
    stalls: dict[str, dict[str, Any]] = field(default_factory=dict)
    loaded: bool = False


class _Process:
    """One process that checks the plugin, until it is over or a step has to be ended."""

    def __init__(self, target: Target, skip: set[int]) -> None:
        self._heard: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._child = ChildProcess.python(
            f"check-{target.name}",
            "teleconsult.plugin_kit.check_worker",
            on_message=self._heard.put,
            on_exit=lambda _status: self._heard.put(None),
            env=plugin_environment(target.paths),
            max_line=MAX_LINE,
        )
        self._child.start()
        self._child.send({"check": {"plugin": target.name, "package": str(target.package), "skip": sorted(skip)}})

    def next(self, due: float) -> dict[str, Any] | None:
        """The next message; None if the process has ended. Raises TimeoutError."""
        try:
            return self._heard.get(timeout=max(due - time.monotonic(), 0.01))
        except queue.Empty:
            raise TimeoutError from None

    def end(self) -> None:
        """End it, whatever it does."""
        self._child.kill()
        self._child.stop(grace=1.0)


def _behaviour(target: Target) -> _Seen:
    """Show all rules of behaviour, with as many processes as it takes."""
    seen, skip, broken = _Seen(), set[int](), set[str]()
    while not _round(target, seen, skip, broken):
        pass
    return seen


def _round(target: Target, seen: _Seen, skip: set[int], broken: set[str]) -> bool:
    """Go on until it is over (True) or a step had to be ended: then another process goes on without it."""
    process = _Process(target, skip)
    step: dict[str, Any] | None = None
    due = time.monotonic() + LOADING
    try:
        while True:
            try:
                message = process.next(due)
                why = N_("Its process ended.") if message is None else ""
            except TimeoutError:
                message, why = None, N_("It did not end.")
            if message is None and step is None:
                if not seen.loaded:
                    seen.lines.append(falls_short("loads", "", why))
                return True
            if message is None and step is not None:
                seen.lines += [falls_short(rule, step["subject"], why) for rule in step["rules"]]
                if step["subject"]:
                    broken.add(step["subject"])
                return False
            assert message is not None
            if "begin" in message:
                step = message["begin"]
                skip.add(step["step"])
                due = time.monotonic() + step["seconds"]
                if step["subject"] in broken:
                    seen.lines += [not_shown(rule, step["subject"], _ENDED) for rule in step["rules"]]
                    return False
            elif "stall" in message:
                stall = message["stall"]
                seen.stalls.setdefault(stall["subject"], stall)
                due = min(due, time.monotonic() + STUCK)
            elif "over" in message:
                seen.english_only = seen.english_only or message["over"]["english_only"]
                return True
            else:
                _take(message, seen)
                if "lines" in message:
                    step, due = None, time.monotonic() + LOADING
                if "failed" in message:
                    return True
    finally:
        process.end()


def _take(message: Mapping[str, Any], seen: _Seen) -> None:
    if "lines" in message:
        seen.lines += [Line(**{**line, "verdict": Verdict(line["verdict"])}) for line in message["lines"]]
        seen.english_only = seen.english_only or message["english_only"]
        seen.batteries.update(message["batteries"])
        seen.ran.update(message["ran"])
    elif "failed" in message and not seen.loaded:
        failed = message["failed"]
        rule = {
            PluginStatus.STOPPED_BY_SETTINGS: "settings-have-defaults",
            PluginStatus.STOPPED_BY_API_VERSION: "api-version",
        }.get(failed["status"], "loads")
        seen.lines.append(falls_short(rule, "", N_("%(error)s"), error=failed["error"]))
    elif "loaded" in message and not seen.loaded:
        loaded = message["loaded"]
        seen.loaded = True
        seen.kinds = tuple(loaded["kinds"])
        seen.readers, seen.programmes, seen.routes = loaded["readers"], loaded["programmes"], loaded["routes"]
        seen.devices, seen.receivers = loaded["devices"], loaded["receivers"]
        description = loaded["description"]
        seen.lines += [
            holds("loads"),
            _version_line(description),
            holds("settings-have-defaults"),
            check_form(description["settings_schema"], description["settings"]),
        ]


def _version_line(description: Mapping[str, Any]) -> Line:
    if warnings := PluginDescription.model_validate(description).warnings:
        return falls_short("api-version", "", N_("%(error)s"), error=_joined(warnings))
    return holds("api-version", "", N_("%(version)s"), version=description["api_version"])


def _joined(texts: Sequence[Text]) -> Text:
    return Text(en=" ".join(text.en for text in texts)[:500], zh="".join(text.zh for text in texts)[:500])


def check_form(schema: Mapping[str, Any] | None, settings: Mapping[str, Any]) -> Line:
    """`settings-form`: every field has words in both languages, and comes back from the form as it was."""
    rule = "settings-form"
    if not schema:
        return holds(rule, "", N_("nothing to set"))
    fields = fields_of(schema, settings)
    for item in fields:
        words = f"{item.label} {item.hint}"
        if not any("\u4e00" <= character <= "\u9fff" for character in words):
            return falls_short(rule, "", N_("The setting %(name)s has no Chinese title."), name=item.name)
        if not any("a" <= character <= "z" for character in item.label.lower()):
            return falls_short(rule, "", N_("The setting %(name)s has no English title."), name=item.name)
    posted = {f.name: "1" if f.kind == "tick" else str(f.value) for f in fields if f.value not in (None, False)}
    back = values_of(schema, posted, settings)
    for name, value in back.items():
        if settings.get(name) != value and not (settings.get(name) in (None, "") and value in (None, "")):
            return falls_short(
                rule, "", N_("The setting %(name)s does not come back from the form as it was."), name=name
            )
    return holds(rule, "", N_("%(count)d settings"), count=len(fields))


def _complete(lines: list[Line], seen: _Seen) -> list[Line]:
    """Add what was watched on the way and what nothing showed, and put all into the order of the rules."""
    if seen.loaded:
        why = N_("English only: %(texts)s")
        texts = "; ".join(f"“{text[:60]}”" for text in seen.english_only[:3])
        lines.append(
            falls_short("texts-in-both-languages", "", why, texts=texts) if texts else holds("texts-in-both-languages")
        )
    for reader in seen.readers:
        lines += _watched(reader, seen)
    told = {(line.rule, line.subject) for line in lines}
    lines += [
        not_shown(rule.key, subject, _missing(rule.kind, subject, seen))
        for rule in rules_for(seen.kinds)
        for subject in _subjects(rule, seen)
        if (rule.key, subject) not in told
    ]
    order = {key: number for number, key in enumerate(RULES)}
    return sorted(lines, key=lambda line: (line.subject, order[line.rule]))


def _subjects(rule: Rule, seen: _Seen) -> list[str]:
    """What a rule is shown on: each reader, programme or route, or the plugin as a whole."""
    if rule.key == "tested-against-a-device":
        return [""]
    return {"device": seen.readers, "followup": seen.programmes, "referral": seen.routes}.get(rule.kind, [""])


def _watched(reader: str, seen: _Seen) -> list[Line]:
    if reader not in seen.devices:
        return []
    lines = []
    if stall := seen.stalls.get(reader):
        why = N_("%(place)s held up the event loop for more than %(seconds)g s.")
        lines.append(falls_short("loop-stays-free", reader, why, place=stall["place"], seconds=stall["seconds"]))
    elif reader in seen.ran:
        lines.append(holds("loop-stays-free", reader))
    if reader in seen.batteries:
        lines.append(holds("battery-told", reader, N_("%(percent)d %%"), percent=seen.batteries[reader]))
    else:
        lines.append(not_shown("battery-told", reader, N_("No status told the battery's charge.")))
    return lines


def _missing(kind: str, subject: str, seen: _Seen) -> str:
    if not seen.loaded:
        return N_("Not tried, because it was not loaded.")
    if kind == "device" and subject not in seen.devices:
        return N_("No simulated device is offered for it.")
    if kind == "referral" and subject not in seen.receivers:
        return N_("No simulated receiver is offered for it.")
    return N_("Nothing showed it.")


def _excused(line: Line, answers: Mapping[str, Mapping[str, Any]], seen: _Seen) -> Line:
    rule, answer = RULES[line.rule], answers.get(line.rule, {})
    if rule.kind == "device" and line.subject not in seen.ran:
        return line  # of a reader that nothing was seen of, every exemption could be claimed
    if line.verdict is Verdict.NOT_SHOWN and answer.get("status") == "exempt" and rule.exemptible:
        return excused(line, str(answer.get("comment") or ""))
    return line
