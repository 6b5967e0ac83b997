"""The errors a caller can do something about, one class for each thing it can do.

A message is one plain English sentence with named places (`%(name)s`). The edge of the program translates it
for the person; `str()` gives the English one for the log.

    TeleconsultError
    ├── InvalidInput      what was entered cannot be taken: say which field and why
    ├── NotAllowed        this person may not do this
    ├── NotFound          there is no such thing (any more)
    ├── Conflict          somebody else was first, or the state does not allow this step
    ├── TooManyTries      wait so many seconds, then try again
    └── Unavailable       something this node needs is not there now: try again later
"""

from __future__ import annotations

import json
from typing import Any


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for "mark for translation, translate later"
    """Mark a sentence for translation where it is written; it is translated where it is shown."""
    return message


class TeleconsultError(Exception):
    """Root of the program's own errors.

    `message` is the untranslated sentence, `params` fills its named places, `code` is a stable word for programs.
    """

    code = "error"
    status = 400

    def __init__(self, message: str, **params: object) -> None:
        super().__init__(message)
        self.message = message
        self.params = params

    def __str__(self) -> str:
        return self.message % self.params if self.params else self.message

    def carry(self) -> str:
        """The sentence as text for another node, which shows it in its own people's language: see `unpack`."""
        if not self.params:
            return self.message
        return json.dumps([self.message, {key: str(value) for key, value in self.params.items()}], ensure_ascii=False)


def unpack(carried: str) -> tuple[str, dict[str, Any]]:
    """The untranslated sentence and what fills its named places, out of `TeleconsultError.carry`."""
    if not carried.startswith('["'):
        return carried, {}
    message, params = json.loads(carried)
    return message, params


class InvalidInput(TeleconsultError):  # noqa: N818 - reads as the field's words
    """What was entered cannot be taken. `field` names the form field or message key, if one is to blame."""

    code = "invalid"
    status = 422

    def __init__(self, message: str, *, field: str | None = None, **params: object) -> None:
        super().__init__(message, **params)
        self.field = field


class NotAllowed(TeleconsultError):  # noqa: N818
    """This person may not do this."""

    code = "not_allowed"
    status = 403


class NotFound(TeleconsultError):  # noqa: N818
    """There is no such thing, or not for this person."""

    code = "not_found"
    status = 404


class Conflict(TeleconsultError):  # noqa: N818
    """The state does not allow this step, or somebody else was first."""

    code = "conflict"
    status = 409


class TooManyTries(TeleconsultError):  # noqa: N818
    """Somebody tried too often. `wait_seconds` says how long until the next try is taken."""

    code = "wait"
    status = 429

    def __init__(self, message: str, *, wait_seconds: float, **params: object) -> None:
        super().__init__(message, **params)
        self.wait_seconds = wait_seconds


class Unavailable(TeleconsultError):  # noqa: N818
    """Something this node needs (the link, the database, a worker) is not there now."""

    code = "unavailable"
    status = 503
