"""What a plugin adds to a page: rows, sentences, a table, drawn by the core. A plugin writes no HTML."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from teleconsult.domain.people import Sex
from teleconsult.plugin_api._devices import Reading
from teleconsult.plugin_api._text import Key, Text, Value


class Page(StrEnum):
    """The pages that draw panels."""

    ENCOUNTER = "encounter"
    CONSULT = "consult"


class PageContext(Value):
    """Whose page it is and what is known there. No name: a panel stands on a page that shows it."""

    page: Page
    language: Literal["zh", "en"] = "zh"
    patient_id: str
    age_years: int | None = Field(default=None, ge=0, le=130)
    sex: Sex = Sex.UNKNOWN
    encounter_id: str | None = None
    consult_id: str | None = None
    readings: tuple[Reading, ...] = Field(default=(), max_length=200)
    """The encounter's kept readings, the latest first."""


class Tone(StrEnum):
    """How a row is set off. Pages show it by a word or sign too, never by colour alone."""

    PLAIN = "plain"
    GOOD = "good"
    ATTENTION = "attention"
    URGENT = "urgent"


class PanelRow(Value):
    """A label with its value."""

    label: Text
    value: Text
    tone: Tone = Tone.PLAIN


class PanelTable(Value):
    """A small table. Every line has as many cells as there are columns."""

    columns: tuple[Text, ...] = Field(min_length=1, max_length=8)
    lines: tuple[tuple[Text, ...], ...] = Field(default=(), max_length=50)

    @model_validator(mode="after")
    def _even(self) -> Self:
        if any(len(line) != len(self.columns) for line in self.lines):
            raise ValueError("every line of a panel's table needs as many cells as there are columns")
        return self


class Panel(Value):
    """One box on a page, under its title and the plugin's name: rows, then sentences, then the table."""

    key: Key
    title: Text
    place: Literal["side", "below"] = "side"
    rows: tuple[PanelRow, ...] = Field(default=(), max_length=50)
    sentences: tuple[Text, ...] = Field(default=(), max_length=20)
    table: PanelTable | None = None
