"""Translations for what is said outside a page: the command line. Standard library only, so that it is there early."""

from __future__ import annotations

import gettext as _gettext
import os
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

LANGUAGES = ("zh", "en")
TRANSLATIONS = Path(__file__).parent / "translations"


@lru_cache(maxsize=4)
def translator(language: str) -> Callable[[str], str]:
    """The function that turns an English sentence into a language; itself where there is no translation."""
    return _gettext.translation("messages", str(TRANSLATIONS), [language], fallback=True).gettext


def terminal_language() -> str:
    """The language set by TELECONSULT_LANGUAGE, else Chinese; English where the terminal cannot show it."""
    wanted = os.environ.get("TELECONSULT_LANGUAGE", "zh")
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
    return wanted if wanted in LANGUAGES and encoding.startswith("utf") else "en"


def gettext(message: str, **params: object) -> str:
    """A sentence in the terminal's language, its named places filled."""
    text = translator(terminal_language())(message)
    return text % params if params else text
