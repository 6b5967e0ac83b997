"""Check a plugin: its files here, its behaviour in a process of its own, and put the lines together."""

from __future__ import annotations

import queue
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from teleconsult.domain.errors import N_
from teleconsult.http.admin.schema import fields_of, values_of
from teleconsult.plugin_api import Text
from teleconsult.plugin_host._description import PluginDescription
from teleconsult.plugin_host._worker import plugin_environment
from teleconsult.plugin_kit import _packaging
from teleconsult.plugin_kit._report import ENDED, Line, Report, Verdict, excused, falls_short, holds, not_shown
from teleconsult.plugin_kit._rules import RULES, Rule, rules_for
from teleconsult.plugin_kit._target import Target, find_target
from teleconsult.process import ChildProcess

LOADING = 40.0
"""Seconds after which a process is ended that does not even tell that loading takes too long."""
MAX_LINE = 1024 * 1024


def check_plugin(given: str, progress: Callable[[str], None] = lambda _: None) -> Report:
    """Check a project's folder, a wheel or an installed plugin. Raises InvalidInput if there is none.

    `progress` is told each step that begins.
    """
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
            seen = _behaviour(target, progress)
        lines += seen.lines
        lines.append(unreadable or _packaging.check_quality(answers, seen.kinds))
        if "device" in seen.kinds and not any(line.rule == "tested-against-a-device" for line in lines):
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

    def __init__(self, target: Target, skip: set[int], broken: set[str]) -> None:
        self._heard: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._folder = tempfile.TemporaryDirectory(prefix="teleconsult-check-")
        self._stderr = Path(self._folder.name) / "stderr"
        self._package, self._status, self._shown = target.package, 0, 0
        self._child = ChildProcess.python(
            f"check-{target.name}",
            "teleconsult.plugin_kit.check_worker",
            on_message=self._heard.put,
            on_exit=self._exited,
            env=plugin_environment(target.paths),
            max_line=MAX_LINE,
        )
        self._child.start()
        job = {"plugin": target.name, "package": str(target.package), "skip": sorted(skip), "broken": sorted(broken)}
        self._child.send({"check": {**job, "stderr": str(self._stderr)}})

    def next(self, due: float) -> dict[str, Any] | None:
        """The next message; None if the process has ended. Raises TimeoutError."""
        try:
            return self._heard.get(timeout=max(due - time.monotonic(), 0.01))
        except queue.Empty:
            raise TimeoutError from None
        finally:
            self._pass_on()

    def end(self) -> None:
        """End it, whatever it does."""
        self._child.kill()
        self._child.stop(grace=1.0)
        self._pass_on()
        self._folder.cleanup()

    def last_words(self) -> tuple[str, dict[str, Any]]:
        """How it ended, as a sentence and what fills it."""
        said = {"said": last_said(self._printed(), str(self._package))}
        if self._status < 0:
            why = N_("Its process was ended by the signal %(signal)s. The last it said: %(said)s")
            return why, {"signal": signal_name(-self._status), **said}
        why = N_("Its process ended with the exit status %(status)d. The last it said: %(said)s")
        return why, {"status": self._status, **said}

    def _exited(self, status: int) -> None:
        self._status = status
        self._heard.put(None)

    def _printed(self) -> str:
        return self._stderr.read_text(encoding="utf-8", errors="replace") if self._stderr.exists() else ""

    def _pass_on(self) -> None:
        printed = self._printed()
        sys.stderr.write(printed[self._shown :])
        self._shown = len(printed)


def last_said(printed: str, package: str) -> str:
    """The last line that a process wrote; of a crash of the interpreter, what it was and where in the plugin."""
    lines = [line for line in printed.splitlines() if line.strip()]
    for number, line in enumerate(lines):
        if line.startswith("Fatal Python error: "):
            place = re.search(rf'"({re.escape(package)}[^"]*)", line (\d+)', "\n".join(lines[number:]))
            error = line.removeprefix("Fatal Python error: ")
            return f"{error} ({Path(place[1]).name}:{place[2]})" if place else error
    return lines[-1].strip()[:200] if lines else "–"


def signal_name(number: int) -> str:
    """SIGSEGV and the like."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _behaviour(target: Target, progress: Callable[[str], None]) -> _Seen:
    """Show all rules of behaviour, with as many processes as it takes."""
    seen, skip, broken = _Seen(), set[int](), set[str]()
    while not _round(target, seen, skip, broken, progress):
        pass
    return seen


def _round(target: Target, seen: _Seen, skip: set[int], broken: set[str], progress: Callable[[str], None]) -> bool:
    """Go on until it is over (True) or a step had to be ended: then another process goes on without it."""
    process = _Process(target, skip, broken)
    step: dict[str, Any] | None = None
    began = time.monotonic()
    due = began + LOADING
    try:
        while True:
            try:
                message = process.next(due)
                why, params = process.last_words() if message is None else ("", {})
            except TimeoutError:
                message, why = None, N_("It did not end within %(seconds).0f s.")
                params = {"seconds": time.monotonic() - began}
            if message is not None and "hang" in message:
                hang, message = message["hang"], None
                why = N_("%(what)s went on for more than %(seconds)g s; it stands at %(place)s.")
                params = {**hang, "place": hang["place"] or "–"}
            if message is None and step is None:
                if not seen.loaded:
                    seen.lines.append(falls_short("loads", "", why, **params))
                return True
            if message is None and step is not None:
                first, *rest = step["rules"]
                if step["subject"] in seen.stalls and params.keys() & {"place"}:
                    seen.stalls[step["subject"]] = params  # the line of loop-stays-free says it
                    seen.lines.append(not_shown(first, step["subject"], ENDED))
                else:
                    seen.lines.append(falls_short(first, step["subject"], why, **params))
                seen.lines += [not_shown(rule, step["subject"], ENDED) for rule in rest]
                broken.add(step["on"])
                return False
            assert message is not None
            if "begin" in message:
                step, began = message["begin"], time.monotonic()
                skip.add(step["step"])
                due = began + step["seconds"]
                progress(": ".join(filter(None, (step["subject"], ", ".join(step["rules"])))))
            elif "stall" in message:
                stall = message["stall"]
                seen.stalls.setdefault(stall["subject"], stall)
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
        seen.lines.append(falls_short(failed["rule"], "", failed["why"], **failed["params"]))
    elif "loaded" in message and not seen.loaded:
        loaded = message["loaded"]
        seen.loaded = True
        seen.kinds = tuple(loaded["kinds"])
        seen.readers, seen.programmes, seen.routes = loaded["readers"], loaded["programmes"], loaded["routes"]
        seen.devices, seen.receivers = loaded["devices"], loaded["receivers"]
        description = loaded["description"]
        if (broke := loaded["unsimulated"]) and "device" in seen.kinds:
            seen.lines.append(falls_short("tested-against-a-device", "", broke["why"], **broke["params"]))
        elif broke:
            seen.lines += [falls_short("delivery", key, broke["why"], **broke["params"]) for key in seen.routes]
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
    return holds(rule, "", N_("settings: %(count)d"), count=len(fields))


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
