"""Words for people, and the base of all values that cross the plugin border."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator


class Value(BaseModel):
    """A frozen, checked value. Unknown fields are refused, so a misspelt one is found at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="hex", val_json_bytes="hex")


def _to_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


UtcDatetime = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""An instant. A time without a zone is refused; any other zone is turned into UTC."""

Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
"""A plugin's own word for one of its parts: small letters, digits and underscores."""


class Text(Value):
    """A sentence or label in the languages of the site. A plugin owns its strings, so they travel with it.

    Wherever a `Text` is expected, a plain `str` is taken as the English one.
    """

    en: str = Field(min_length=1, max_length=500)
    zh: str = Field(default="", max_length=500)

    @model_validator(mode="before")
    @classmethod
    def _from_str(cls, value: Any) -> Any:
        return {"en": value} if isinstance(value, str) else value

    def in_language(self, language: str) -> str:
        """The words for `language` ("zh", "zh_Hans_CN", "en" …); English where there are no others."""
        return self.zh if self.zh and language.lower().startswith("zh") else self.en

    def __str__(self) -> str:
        return self.en
