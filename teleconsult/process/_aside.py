"""Work that keeps a processor busy, done aside so that everybody else goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def aside(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call `work` and give its result; under gevent on a real thread.

    A greenlet that hashes a password or decodes an image holds up every other request of the process for that
    long. Both release the interpreter's lock inside their libraries, so a real thread helps. `work` must not use
    anything of gevent's: no locks, no sockets, no database.
    """
    from gevent import get_hub, monkey

    if not monkey.is_module_patched("threading"):
        return work(*args, **kwargs)
    outcome: list[R] = []
    failure: list[Exception] = []

    def run() -> None:
        try:
            outcome.append(work(*args, **kwargs))
        except Exception as error:  # raised again below: gevent's pool would also print it
            failure.append(error)

    get_hub().threadpool.apply(run)
    if failure:
        raise failure[0]
    return outcome[0]
