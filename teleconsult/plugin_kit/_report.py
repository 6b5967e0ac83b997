"""What a check found: a line for each rule and each thing it was tried on, and whether all hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from teleconsult.domain.errors import N_


class Verdict(StrEnum):
    """How a plugin stands to a rule."""

    HOLDS = "holds"
    FALLS_SHORT = "falls_short"
    NOT_SHOWN = "not_shown"
    """Nothing showed it, so nobody knows: counts as falling short."""
    EXEMPT = "exempt"
    """Nothing showed it, and quality.yaml says why it does not concern this plugin."""


LABELS: dict[Verdict, str] = {
    Verdict.HOLDS: N_("holds"),
    Verdict.FALLS_SHORT: N_("falls short"),
    Verdict.NOT_SHOWN: N_("not shown"),
    Verdict.EXEMPT: N_("exempt"),
}


ENDED = N_("Not tried: an earlier rule had to end its process.")


@dataclass(frozen=True)
class Line:
    """One rule on one thing. `why` is an English sentence with %(…)s places, to be translated; `params` fill it."""

    rule: str
    subject: str
    """The reader, programme or route that it was tried on; empty for the plugin as a whole."""
    verdict: Verdict
    why: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    """A `Text` among them is shown in the reader's language, a `{why, params}` is another sentence."""

    @property
    def good(self) -> bool:
        """Whether nothing is left to do here."""
        return self.verdict in (Verdict.HOLDS, Verdict.EXEMPT)

    @property
    def sentence(self) -> str:
        """`why` in English."""
        return sentence(self.why, self.params)


def sentence(why: str, params: Mapping[str, Any], word: Callable[[str], str] = str) -> str:
    """The sentence that `why` and `params` make; `word` translates. A `{why, params}` among them is one as well."""
    filled = {
        name: sentence(value["why"], value["params"], word) if isinstance(value, dict) else value
        for name, value in params.items()
    }
    return word(why) % filled if filled else word(why)


def holds(rule: str, subject: str = "", why: str = "", /, **params: Any) -> Line:
    """A line that holds. `why` may add what was seen."""
    return Line(rule, subject, Verdict.HOLDS, why, params)


def falls_short(rule: str, subject: str, why: str, /, **params: Any) -> Line:
    """A line that falls short, with the reason."""
    return Line(rule, subject, Verdict.FALLS_SHORT, why, params)


def not_shown(rule: str, subject: str, why: str, /, **params: Any) -> Line:
    """A line that nothing showed, with the reason."""
    return Line(rule, subject, Verdict.NOT_SHOWN, why, params)


@dataclass(frozen=True)
class Report:
    """All lines of one check."""

    plugin: str
    version: str
    kinds: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def all_hold(self) -> bool:
        """Whether every line holds or is exempt with its reason."""
        return all(line.good for line in self.lines)

    def as_json(self) -> dict[str, Any]:
        """The machine form. Its words are English and stay the same in every minor version."""
        return {
            "plugin": self.plugin,
            "version": self.version,
            "kinds": list(self.kinds),
            "all_hold": self.all_hold,
            "lines": [
                {"rule": line.rule, "subject": line.subject, "verdict": line.verdict.value, "why": line.sentence}
                for line in self.lines
            ],
        }


def excused(line: Line, reason: str) -> Line:
    """The line of a rule that quality.yaml exempts, where nothing was shown."""
    return replace(line, verdict=Verdict.EXEMPT, why=reason, params={})
