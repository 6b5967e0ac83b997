"""What a plugin implements to offer a chronic-disease follow-up programme."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import date
from typing import Any, ClassVar

from pydantic import Field

from teleconsult.domain.people import Sex
from teleconsult.plugin_api._text import Text, Value


class FollowupAssessment(Value):
    """What a programme makes of one visit."""

    classification: str = Field(min_length=1, max_length=20)
    """The form's own class, such as "1"."""
    label: Text
    """The class in words: "satisfactory"."""
    urgent: bool = False
    refer: bool = False
    """Whether the rule advises a referral upwards."""
    reasons: tuple[Text, ...] = Field(default=(), max_length=30)
    """Which facts decided, one sentence each."""
    next_due: date | None = None
    """Latest day of the next visit, a day of the site."""
    check_referral_by: date | None = None


class FollowupVisit(Value):
    """One visit with its answers, as a programme is given it to assess."""

    patient_id: str
    age_years: int = Field(ge=0, le=130)
    sex: Sex = Sex.UNKNOWN
    visited_on: date
    response: dict[str, Any]
    """FHIR R4 QuestionnaireResponse to the programme's own questionnaire."""
    previous: tuple[FollowupAssessment, ...] = ()
    """What the programme made of the earlier visits, the latest first."""


TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"


def translated(field: str, text: Text) -> dict[str, Any]:
    """A field of a FHIR resource in both languages: `{**translated("text", Text(en=…, zh=…)), "type": "integer"}`.

    English stands in the field itself, Chinese in FHIR's translation extension beside it.
    """
    parts = [{"url": "lang", "valueCode": "zh"}, {"url": "content", "valueString": text.zh}]
    return {field: text.en, f"_{field}": {"extension": [{"url": TRANSLATION, "extension": parts}]}}


class FollowupProgramme(ABC):
    """A form with the rule that reads it. Both are called one at a time, never at once."""

    key: ClassVar[str]
    """The plugin's own word; stored with each visit, so never change it."""
    title: ClassVar[Text | str]
    conditions: ClassVar[tuple[str, ...]]
    """ICD-10 codes of the conditions it follows, such as ("I10",)."""
    version: ClassVar[str] = "1"
    """Stored with each visit; change it when questions or rules change."""

    @abstractmethod
    def questionnaire(self) -> dict[str, Any]:
        """The form as a FHIR R4 Questionnaire resource.

        Every item has a `linkId` of its own, a type, and (groups and displays too) a text in both languages: see
        `translated`. Numbers state their bounds by the extensions minValue and maxValue.
        """

    @abstractmethod
    def assess(self, visit: FollowupVisit) -> FollowupAssessment:
        """Apply the programme's rule. A pure function of the visit; its docstring names the source.

        Required items are answered always, others may be missing. Deadline 5 s.
        """
