"""The base of our Socket.IO namespaces for people: who may say what, in which form, and one way of answering.

A namespace lists its events with `@event(name, Payload, roles…)`. Every message is answered: `{ok: true, …}` or
`{ok: false, code, sentence, field?}` in the person's language. Nothing that a browser says ends its socket, except
that its login is over. What the events do is the namespaces' own matter.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import structlog
from flask import request, session
from flask_babel import gettext
from flask_socketio import ConnectionRefusedError, Namespace
from pydantic import BaseModel, ValidationError

from teleconsult.domain.errors import N_, InvalidInput, NotAllowed, TeleconsultError
from teleconsult.domain.ids import new_id
from teleconsult.domain.roles import PEOPLE_ROLES, Actor, Role
from teleconsult.services import accounts
from teleconsult.services.field_names import NAMED, UNNAMED, first_fault
from teleconsult.services.node import Node

log = structlog.get_logger(__name__)

Answer = dict[str, Any]
Method = TypeVar("Method", bound=Callable[..., Any])

CHECK_SECONDS = 20.0
"""How old the last look at a login may be when a message comes."""

UNKNOWN_EVENT = N_("The program does not know this message. Load the page again; nothing was changed.")
UNREADABLE = N_("The message could not be read. Nothing was changed.")
UNEXPECTED = N_("Something went wrong here. What was stored is safe; the fault was noted for the administrator.")
LOGIN_OVER = N_("Your login has ended. What you wrote stays on this page; log in again to go on.")


class LoginOver(TeleconsultError):  # noqa: N818 - reads as the state it names
    """The login behind a socket has expired or was ended."""

    code = "login"
    status = 401


@dataclass(eq=False)
class Caller:
    """A browser tab that is connected, and who sits there."""

    sid: str
    actor: Actor
    token: str
    checked_at: float
    channel: str = field(default_factory=new_id)
    topics: set[str] = field(default_factory=set)
    calls: bool = False
    """Whether anything about a call was said on this channel."""


@dataclass(frozen=True)
class EventSpec:
    """What is declared of an event."""

    name: str
    payload: type[BaseModel]
    roles: frozenset[Role]
    method: Callable[..., Answer | None]


def event(name: str, payload: type[BaseModel], *roles: Role) -> Callable[[Method], Method]:
    """Declare a method `(self, caller, payload) -> answer | None` as an event; without roles for everybody."""

    def declare(method: Method) -> Method:
        spec = EventSpec(name, payload, frozenset(roles or PEOPLE_ROLES), method)
        method.live_event = spec  # type: ignore[attr-defined]
        return method

    return declare


def sentence_of(error: TeleconsultError) -> str:
    """The error's sentence in the person's language."""
    return str(gettext(error.message, **error.params))


class PeopleNamespace(Namespace):  # type: ignore[misc]  # the library has no types
    """A namespace whose sockets belong to logged-in people."""

    events: ClassVar[dict[str, EventSpec]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.events = {**cls.events, **{spec.name: spec for spec in _declared(cls)}}

    def __init__(self, name: str, node: Node) -> None:
        super().__init__(name)
        self.node = node
        self._callers: dict[str, Caller] = {}
        self._lock = threading.Lock()

    # -- what a namespace may refine -------------------------------------------------------------------------

    def welcome(self, caller: Caller) -> None:
        """A tab has connected."""

    def farewell(self, caller: Caller, *, ended: bool) -> None:
        """A tab has gone; with `ended` because its login is over."""

    # -- connection ------------------------------------------------------------------------------------------

    def on_connect(self, _auth: object = None) -> None:
        """Let a tab in whose cookie is a living login."""
        sid = str(request.sid)  # type: ignore[attr-defined]
        if sid in self._callers:
            return  # an event that somebody named "connect"
        token = session.get("token")
        actor = accounts.resume(self.node, token, address=request.remote_addr or "")
        if actor is None or token is None:
            raise ConnectionRefusedError("login")
        caller = Caller(sid, actor, token, self._now())
        with self._lock:
            self._callers[sid] = caller
        self.welcome(caller)

    def on_disconnect(self, *_reason: object) -> None:
        """Forget a tab."""
        self._forget(str(request.sid), ended=False)  # type: ignore[attr-defined]

    def _forget(self, sid: str, *, ended: bool) -> None:
        with self._lock:
            caller = self._callers.pop(sid, None)
        if caller is not None:
            self.farewell(caller, ended=ended)

    def callers(self) -> list[Caller]:
        """Everybody who is connected here."""
        with self._lock:
            return list(self._callers.values())

    # -- logins ----------------------------------------------------------------------------------------------

    def check_logins(self, user_id: str | None = None) -> None:
        """Close the sockets (of one person) whose login has ended. Called now and then by whoever serves."""
        for caller in self.callers():
            if user_id in (None, caller.actor.user_id) and not self._is_logged_in(caller):
                self.end(caller)

    def end(self, caller: Caller) -> None:
        """Tell a tab that its login is over, and close its socket."""
        log.info("a login ended under a socket", user=caller.actor.user_id)
        self.emit("session:ended", {"user_id": caller.actor.user_id}, room=caller.sid)
        self._forget(caller.sid, ended=True)
        self.disconnect(caller.sid)

    def _is_logged_in(self, caller: Caller) -> bool:
        """One read. A socket that only listens is no use of the login, one in a call is."""
        actor = accounts.resume(self.node, caller.token, address=caller.actor.address, note_use=caller.calls)
        caller.checked_at = self._now()
        if actor is None or (actor.role, actor.vehicle_id) != (caller.actor.role, caller.actor.vehicle_id):
            return False
        caller.actor = actor
        return True

    # -- messages --------------------------------------------------------------------------------------------

    def trigger_event(self, event: str, *args: Any) -> Any:
        """Every event that is not declared goes to `on_unknown`."""
        if event in ("connect", "disconnect"):
            return super().trigger_event(event, *args)
        name = f"event:{event}" if event in self.events else "unknown"
        return super().trigger_event(name, *args)

    def __getattr__(self, name: str) -> Any:
        """`on_event:NAME` for a declared event."""
        spec = type(self).events.get(name.removeprefix("on_event:"))
        if spec is None or not name.startswith("on_event:"):
            raise AttributeError(name)
        return lambda *payload: self._answer(spec, payload)

    def on_unknown(self, *_payload: object) -> Answer:
        """Answer what nobody has declared."""
        return _refusal("unknown_event", gettext(UNKNOWN_EVENT))

    def _answer(self, spec: EventSpec, payload: tuple[Any, ...]) -> Answer:
        try:
            caller = self._caller()
            if caller.actor.role not in spec.roles:
                raise NotAllowed(N_("This step is for somebody with another role."))
            if len(payload) > 1 or (payload and not isinstance(payload[0], dict)):
                raise InvalidInput(UNREADABLE)
            message = spec.payload.model_validate(payload[0] if payload else {})
            return {"ok": True, **(spec.method(self, caller, message) or {})}
        except ValidationError as error:
            where, label = first_fault(error)
            sentence = gettext(NAMED, field=gettext(label)) if label else gettext(UNNAMED)
            return _refusal("invalid", sentence, where)
        except TeleconsultError as error:
            return _refusal(error.code, sentence_of(error), getattr(error, "field", None))
        except Exception:
            log.exception("a live event failed", happening=spec.name)
            return _refusal("unexpected", gettext(UNEXPECTED))

    def _caller(self) -> Caller:
        caller = self._callers.get(str(request.sid))  # type: ignore[attr-defined]
        if caller is None:
            raise LoginOver(LOGIN_OVER)
        if self._now() - caller.checked_at > CHECK_SECONDS and not self._is_logged_in(caller):
            self.end(caller)
            raise LoginOver(LOGIN_OVER)
        return caller

    def _now(self) -> float:
        return self.node.clock().timestamp()


def _declared(cls: type) -> Iterator[EventSpec]:
    for value in vars(cls).values():
        spec = getattr(value, "live_event", None)
        if isinstance(spec, EventSpec):
            yield spec


def _refusal(code: str, sentence: str, where: str | None = None) -> Answer:
    answer = {"ok": False, "code": code, "sentence": sentence}
    return {**answer, "field": where} if where else answer
