"""The sentences by which the node itself tells of a plugin's fault, and how to find and translate them again.

A fault is kept as one English line with whatever the plugin added: it is for whoever mends the plugin. What the
node knows of it is told in the language of the administrator.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from teleconsult.domain.errors import N_
from teleconsult.plugin_host import _problems

NOT_HEARD = N_("it was not heard for %(seconds)s s")
LOADING_TOO_LONG = N_("loading took longer than %(seconds)s s")
BUSY = N_("it kept a core busy for %(seconds)s s")
TOO_MANY_MESSAGES = N_("it sent far more messages than it can mean")
TOO_MUCH = N_("it sent far more than a device can mean")
LINE_TOO_LONG = N_("it sent a message that is too long")
NONSENSE = N_("it sent nonsense")
ENDED_BY_ITSELF = N_("its process ended by itself with status %(status)s")
ENDED_LOADING = N_("its process ended while loading")
ENDED_IN_CALL = N_("its process ended during the call")
HAS_ENDED = N_("its process has ended")
NOT_STARTED = N_("its process did not start")
SAID_LAST = N_("it said last")
LATE = N_("did not answer within %(seconds)s s; its process was ended")
FOUND_TOO_MANY = N_("it found more than %(count)s devices")
FOUND_NONSENSE = N_("it found nonsense")
OTHER_VERSION = N_("it was written for version %(theirs)s of the plugin border; this node offers %(ours)s")
SAME_NAME = N_("several distributions claim its name")
IMPORT_FAILED = N_("importing it failed")
OF_DEVICE = N_("device %(device)s")
OF_DISCOVERY = N_("discovery by %(reader)s")

_SENTENCES = (
    NOT_HEARD,
    LOADING_TOO_LONG,
    BUSY,
    TOO_MANY_MESSAGES,
    TOO_MUCH,
    LINE_TOO_LONG,
    NONSENSE,
    ENDED_BY_ITSELF,
    ENDED_LOADING,
    ENDED_IN_CALL,
    HAS_ENDED,
    NOT_STARTED,
    SAID_LAST,
    LATE,
    FOUND_TOO_MANY,
    FOUND_NONSENSE,
    OTHER_VERSION,
    SAME_NAME,
    IMPORT_FAILED,
)
_SUBJECTS = (OF_DEVICE, OF_DISCOVERY)


def _pattern(sentence: str, value: str = r"\S+") -> str:
    return re.sub(r"%\\\((\w+)\\\)s", lambda place: f"(?P<{place[1]}>{value})", re.escape(sentence))


_PATTERNS = [
    *((sentence, re.compile(_pattern(sentence))) for sentence in _SENTENCES),
    *((sentence, re.compile(f"^{_pattern(sentence)}(?=: )")) for sentence in _SUBJECTS),
    *(
        (one, re.compile(f"(?<=: ){_pattern(one, '.+?')}(?=; |$)"))
        for one in dict.fromkeys(_problems.SENTENCES.values())
    ),
]


def last_words(said: str) -> str:
    """What a process said last, to stand after a sentence about its end."""
    return f"; {SAID_LAST}: {said}" if said else ""


def translate_fault(fault: str, translate: Callable[[str], str]) -> str:
    """The fault with the node's own sentences translated; what a plugin or Python said stays as it is."""
    own, mark, said = fault.partition(f"; {SAID_LAST}")  # nothing is looked for in a plugin's own words
    for sentence, pattern in _PATTERNS:
        own = pattern.sub(lambda found, of=sentence: translate(of) % found.groupdict(), own)  # type: ignore[misc]
    return own + (f"; {translate(SAID_LAST)}{said}" if mark else "")
