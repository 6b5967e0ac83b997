"""What is wrong with a setting, as a sentence that can be translated: pydantic's own are English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from teleconsult.domain.errors import N_

_NUMBER = N_("A number is needed here.")
_WHOLE = N_("A whole number is needed here.")
_TEXT = N_("Text is needed here.")
_LIST = N_("A list is needed here.")
_OBJECT = N_("An object in JSON is needed here.")
_CHOICE = N_("Choose one of these: %(expected)s.")
_DATE = N_("A date is needed here, as 2026-11-24.")
_TIME = N_("A time is needed here, as 14:05.")
_ADDRESS = N_("An address is needed here, such as https://example.org.")

SENTENCES = {
    "missing": N_("This has to be filled in."),
    "string_type": _TEXT,
    "string_too_short": N_("At least this many characters: %(min_length)s."),
    "string_too_long": N_("At most this many characters: %(max_length)s."),
    "string_pattern_mismatch": N_("This has to look like %(pattern)s."),
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "decimal_type": _NUMBER,
    "decimal_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "greater_than": N_("It has to be more than %(gt)s."),
    "greater_than_equal": N_("It has to be %(ge)s or more."),
    "less_than": N_("It has to be less than %(lt)s."),
    "less_than_equal": N_("It has to be %(le)s or less."),
    "multiple_of": N_("It has to be a multiple of %(multiple_of)s."),
    "bool_type": N_("Yes or no is needed here."),
    "bool_parsing": N_("Yes or no is needed here."),
    "literal_error": _CHOICE,
    "enum": _CHOICE,
    "list_type": _LIST,
    "set_type": _LIST,
    "tuple_type": _LIST,
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "too_short": N_("At least this many entries: %(min_length)s."),
    "too_long": N_("At most this many entries: %(max_length)s."),
    "extra_forbidden": N_("There is no such setting."),
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "time_type": _TIME,
    "time_parsing": _TIME,
    "url_type": _ADDRESS,
    "url_parsing": _ADDRESS,
    "url_scheme": N_("The address has to begin with one of these: %(expected_schemes)s."),
    "ip_any_address": N_("An IP address is needed here, such as 192.168.1.20."),
    "ip_v4_address": N_("An IP address is needed here, such as 192.168.1.20."),
}
"""pydantic's type of an error → a sentence with what of its context it names."""

SECRETS_LOST = N_("The list has changed, so its hidden secrets cannot be told apart. Write all of them anew.")


@dataclass(frozen=True)
class SettingProblem:
    """What is wrong with one setting: `sentence`, to be translated, with `values` for its named places."""

    sentence: str
    values: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""
    """The place inside the setting, if it is a list or an object: "2.password"."""

    @property
    def english(self) -> str:
        """The sentence as it stands here."""
        return self.sentence % self.values if self.values else self.sentence


def told(error: ValidationError) -> dict[str, dict[str, Any]]:
    """By setting, what the plugin's process tells the node of it: the first error of each."""
    problems: dict[str, dict[str, Any]] = {}
    for one in error.errors(include_url=False, include_input=False):
        name, *rest = (str(part) for part in one["loc"] or ("",))
        context = {key: value for key, value in one.get("ctx", {}).items() if isinstance(value, str | int | float)}
        problem = {"type": one["type"], "message": one["msg"], "context": context, "where": ".".join(rest)}
        problems.setdefault(name, problem)
    return problems


def in_english(error: ValidationError) -> str:
    """The first three, in one line: "address: This has to be filled in.; port: …"."""
    problems = list(problems_of(told(error)).items())[:3]
    return "; ".join(f"{'.'.join(filter(None, (name, one.where)))}: {one.english}" for name, one in problems)


def problems_of(said: Mapping[str, Mapping[str, Any]]) -> dict[str, SettingProblem]:
    """What the plugin's process told, as sentences. One that is not known stays as pydantic or the plugin wrote it."""
    return {name: _problem(one) for name, one in said.items()}


def _problem(said: Mapping[str, Any]) -> SettingProblem:
    where, context = str(said.get("where", "")), dict(said.get("context", {}))
    sentence = SENTENCES.get(str(said.get("type")))
    if sentence is not None:
        for choice in context.keys() & {"expected", "expected_schemes"}:
            context[choice] = str(context[choice]).replace(" or ", ", ")
        try:
            problem = SettingProblem(sentence, context if "%(" in sentence else {}, where)
            _ = problem.english
        except KeyError:  # another version of pydantic tells it otherwise
            pass
        else:
            return problem
    return SettingProblem(str(said.get("message", "")).removeprefix("Value error, "), {}, where)
