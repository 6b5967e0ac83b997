"""Find a person by name, pinyin, initials, resident ID number (whole, beginning or last four) or village.

Several words narrow the search ("七里 张"). The best matches come first, people of the stop's village before
others, and never more than asked for. Every search is audited, with digits of ID numbers left out.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, String, and_, case, false, func, or_
from sqlmodel import Session, col, select

from teleconsult.domain.roles import Actor, Role
from teleconsult.services.node import Node
from teleconsult.services.patients import PatientSummary, summaries
from teleconsult.services.permissions import require_role
from teleconsult.store.tables import Patient, Village

LIMIT = 20
_AFTER = "\U0010ffff"
_MAX_WORDS = 4

Match = tuple[ColumnElement[bool], int]
"""A condition, and how good a match it is (0 is best)."""


@dataclass(frozen=True)
class SearchResult:
    """What was found. `more` says that there is more than is shown; `exact` that one ID number matched whole."""

    people: tuple[PatientSummary, ...]
    more: bool = False
    exact: bool = False


def search_people(
    node: Node, actor: Actor, query: str, *, near_village_id: str | None = None, limit: int = LIMIT
) -> SearchResult:
    """The people that fit the query, best first. An empty query finds nobody."""
    require_role(actor, Role.VEHICLE_DOCTOR, Role.SPECIALIST, Role.COORDINATOR, Role.ADMINISTRATOR)
    words = _words(query)
    if not words:
        return SearchResult(())
    with node.transaction(actor) as work:
        rows: list[Patient] = []
        for anywhere in (False, True):  # first what an index finds, then names that hold the word inside
            if anywhere and (len(rows) > limit or not any(_is_chinese(word) for word in words)):
                break
            known = {row.record_id for row in rows}
            matches = [_matches(work.session, word, node.store.is_sqlite, anywhere) for word in words]
            found = _find(work.session, matches, near_village_id, limit + 1 + len(rows))
            rows += [row for row in found if row.record_id not in known]
        shown = rows[:limit]
        work.audit("search", "patient", detail=f"{_masked(words)}: {len(shown)}")
        exact = len(shown) == 1 and any(_is_whole_number(word) for word in words)
        return SearchResult(summaries(work.session, shown, work.now), more=len(rows) > limit, exact=exact)


def whole_number(query: str) -> str | None:
    """The query as a whole resident ID number (typed, or sent by a card reader), or None. Not checked."""
    text = "".join(_words(query)).upper()
    return text if _is_whole_number(text) else None


def _words(query: str) -> list[str]:
    text = unicodedata.normalize("NFKC", query).strip()
    if re.fullmatch(r"[0-9 ]{17,}[xX]?", text):
        text = text.replace(" ", "")
    return [word[:60] for word in text.lower().split()][:_MAX_WORDS]


def _is_whole_number(word: str) -> bool:
    return re.fullmatch(r"[0-9]{17}[0-9xX]", word) is not None


def _is_chinese(word: str) -> bool:
    return any(unicodedata.category(character) == "Lo" for character in word)


def _matches(session: Session, word: str, is_sqlite: bool, anywhere: bool) -> list[Match]:
    def begins(column: SQLColumnExpression[Any]) -> ColumnElement[bool]:
        if is_sqlite:  # a range uses the index; LIKE does not
            return and_(column >= word, column < word + _AFTER)
        return column.startswith(word, autoescape=True)

    name, pinyin, initials = col(Patient.name), col(Patient.pinyin), col(Patient.initials)
    number = col(Patient.resident_id)
    if re.fullmatch(r"[0-9]{3,17}|[0-9]{3,17}x", word):
        ending = func.substr(number, 15, 4, type_=String) == word.upper()
        return [(ending, 1), (begins(number), 2)] if len(word) == 4 else [(begins(number), 2)]
    if _is_whole_number(word):
        return [(number == word.upper(), 0)]
    if not _is_chinese(word):
        return [
            (initials == word, 1),
            (begins(initials), 2),
            (begins(pinyin), 3),
            (begins(func.lower(name, type_=String)), 4),
        ]
    in_village = col(Patient.village_id).in_(_villages(session, word))
    matches = [(name == word, 0), (begins(name), 2), (in_village, 5)]
    if anywhere:
        matches.append((name.contains(word, autoescape=True), 4))
    return matches


def _villages(session: Session, word: str) -> list[str]:
    query = select(Village.id).where(col(Village.name).startswith(word, autoescape=True))
    return list(session.exec(query.limit(50)))


def _find(session: Session, matches: list[list[Match]], near_village_id: str | None, limit: int) -> list[Patient]:
    rank = sum(
        (case(*((condition, worth) for condition, worth in word), else_=9) for word in matches[1:]),
        start=case(*((condition, worth) for condition, worth in matches[0]), else_=9),
    )
    near = case((col(Patient.village_id) == near_village_id, 0), else_=1) if near_village_id else None
    query = select(Patient).where(*(or_(false(), *(c for c, _ in word)) for word in matches))
    # "+current": its index would find nearly everybody
    query = query.where(func.coalesce(col(Patient.current), false()))
    order = [rank, *([near] if near is not None else []), col(Patient.name), col(Patient.birth_date)]
    return list(session.exec(query.order_by(*order).limit(limit)))


def _masked(words: list[str]) -> str:
    return " ".join(re.sub(r"[0-9]", "*", word) for word in words)
