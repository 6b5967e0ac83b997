"""Names in Latin letters, so that 张秀英 is found by "zhangxiuying" and "zxy"."""

from __future__ import annotations

import re
import unicodedata

from pypinyin import Style, lazy_pinyin

# Characters that are read differently as a family name; a general dictionary gives the everyday reading.
_FAMILY_NAMES = {
    "单": "shan", "仇": "qiu", "解": "xie", "曾": "zeng", "区": "ou", "查": "zha", "朴": "piao", "任": "ren",
    "华": "hua", "盖": "ge", "召": "shao", "乐": "yue", "尉": "wei", "洗": "xian", "冼": "xian", "覃": "qin",
    "翟": "zhai", "缪": "miao", "秘": "bi", "种": "chong", "重": "chong", "黑": "he", "折": "she", "员": "yun",
    "宿": "su", "适": "kuo", "句": "gou", "繁": "po", "钭": "tou", "隗": "wei",
}  # fmt: skip
_COMPOUND = {"尉迟": ("yu", "chi"), "万俟": ("mo", "qi"), "长孙": ("zhang", "sun"), "单于": ("chan", "yu")}


def romanise(name: str) -> tuple[str, str]:
    """The name's pinyin without tones or spaces (ü as v), and its initials: ("zhangxiuying", "zxy").

    Latin letters of a name stay as they are, in lower case and without accents.
    """
    syllables = _syllables(name)
    return "".join(syllables)[:200], "".join(syllable[0] for syllable in syllables)[:60]


def _syllables(name: str) -> list[str]:
    head: list[str] = []
    rest = name.strip()
    if rest[:2] in _COMPOUND:
        head, rest = list(_COMPOUND[rest[:2]]), rest[2:]
    elif rest[:1] in _FAMILY_NAMES:
        head, rest = [_FAMILY_NAMES[rest[0]]], rest[1:]
    parts = lazy_pinyin(rest, style=Style.NORMAL, v_to_u=False)
    words = [word for part in parts for word in re.findall(r"[a-z0-9]+", _plain(part))]
    return [*head, *words]


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.lower())
    return "".join(character for character in decomposed if not unicodedata.combining(character))
