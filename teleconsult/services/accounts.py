"""Logging in and staying logged in: Argon2id passwords, sessions that expire, tries that are slowed down.

A session's token is known to the browser alone; the database keeps its SHA-256. Who people are and what they
may do is edited in `services.directory`, not here.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from teleconsult.domain.errors import N_, InvalidInput, NotAllowed, TooManyTries, Unavailable
from teleconsult.domain.roles import SYSTEM, Actor, Role
from teleconsult.services.node import EVERY_VEHICLE, Node
from teleconsult.services.passwords import (
    check_password,
    clean_username,
    credential_of,
    hash_password,
    verify_password,
)
from teleconsult.store.tables import LoginAttempt, User, UserSession

TRIES_PER_ADDRESS = 4
"""One address may fail so many times as often as one name: several people share a tablet or a hospital's proxy."""

SEEN_EVERY = timedelta(minutes=1)
"""How often a session in use is noted. Every request would be a write."""

KEEP_TRIES = timedelta(days=1)

_WRONG = N_("The name or the password is not right. Check both and try again.")


def log_in(node: Node, username: str, password: str, *, address: str, agent: str) -> tuple[str, Actor]:
    """Check a name and password and open a session. Gives the session's token and the person.

    Raises InvalidInput (the same for an unknown name, a wrong password and a closed account), TooManyTries, and
    NotAllowed for a person who logs in at another node.
    """
    name = clean_username(username)
    attempt_id = _begin_attempt(node, name, address)
    with node.store.read() as session:
        user = session.exec(select(User).where(User.username == name)).first()
    matches = verify_password(user.password_hash if user and user.active else "", password)
    if user is None or not user.active or not matches:
        with node.transaction(replace(SYSTEM, address=address)) as work:
            # A name nobody has is not written down: it may be a password in the wrong field.
            work.audit("login_failed", "user", user.id if user else "", detail=user.username if user else "")
        raise InvalidInput(_WRONG, field="password")
    _check_node(node, user)
    token = secrets.token_urlsafe(32)
    actor = actor_of(user, address)
    with node.transaction(actor) as work:
        attempt = work.session.get(LoginAttempt, attempt_id)
        if attempt is not None:
            attempt.succeeded = True
        _forget_old(work.session, user.id, work.now, node.settings.session_idle_minutes)
        work.session.add(_new_session(node, user, token, address, agent))
        work.audit("login", "user", user.id)
    return token, actor


def resume(node: Node, token: str | None, *, address: str, note_use: bool = True) -> Actor | None:
    """The person whose session this is, or None if there is none, it has expired, or the account was closed.

    Runs for every request: one read, and a write at most once a minute. Without `note_use` it only looks: an open
    page that merely listens does not keep a login from expiring.
    """
    if not token:
        return None
    session_id = _session_id(token)
    with node.store.read() as session:
        query = select(UserSession, User).join(User, col(User.id) == col(UserSession.user_id))
        found = session.exec(query.where(UserSession.id == session_id)).first()
    if found is None:
        return None
    login, user = found
    now = node.clock()
    idle_until = login.seen_at + timedelta(minutes=node.settings.session_idle_minutes)
    if now >= login.expires_at or now >= idle_until:
        return None
    if not user.active or login.credential != credential_of(user):
        return None
    if note_use and now - login.seen_at >= SEEN_EVERY:
        _note_seen(node, session_id, now)
    return actor_of(user, address)


def log_out(node: Node, token: str | None, actor: Actor) -> None:
    """End a session. Ending one that is over is no fault."""
    with node.transaction(actor) as work:
        login = work.session.get(UserSession, _session_id(token)) if token else None
        if login is not None:
            work.session.delete(login)
            work.audit("logout", "user", actor.user_id)


def change_password(node: Node, actor: Actor, token: str | None, old: str, new: str) -> str:
    """Set one's own password, at the hub. Ends all sessions of the person and gives the token of a new one.

    Raises InvalidInput for a wrong old or an unfit new password, TooManyTries, NotAllowed on a vehicle.
    """
    if not node.is_hub:
        raise NotAllowed(N_("Passwords are changed at the hub. The vehicle gets the new one with its next link."))
    with node.store.read() as session:
        user = session.get_one(User, actor.user_id)
    attempt_id = _begin_attempt(node, user.username, actor.address)
    if not verify_password(user.password_hash, old):
        raise InvalidInput(N_("The present password is not right."), field="old")
    check_password(new, user.username)
    if old == new:
        raise InvalidInput(N_("The new password is the old one. Choose another."), field="new")
    new_hash = hash_password(new)
    fresh = secrets.token_urlsafe(32)
    with node.transaction(actor) as work:
        user = work.session.get_one(User, actor.user_id)
        present = work.session.get(UserSession, _session_id(token)) if token else None
        agent = present.agent if present else ""
        user.password_hash, user.password_changed_at, user.changed_at = new_hash, work.now, work.now
        work.session.add(user)
        end_sessions(work.session, user.id)
        work.session.add(_new_session(node, user, fresh, actor.address, agent))
        attempt = work.session.get(LoginAttempt, attempt_id)
        if attempt is not None:
            attempt.succeeded = True
        work.audit("password", "user", user.id)
        work.send(user, EVERY_VEHICLE)
    return fresh


def set_language(node: Node, actor: Actor, language: str) -> None:
    """Remember the language a person reads. On a vehicle only the browser remembers it."""
    if language not in ("zh", "en"):
        raise InvalidInput(N_("There is no such language here."), field="language")
    if not node.is_hub:
        return
    with node.store.write() as tx:
        user = tx.session.get_one(User, actor.user_id)
        user.language = language
        tx.session.add(user)


def language_of(node: Node, actor: Actor) -> str | None:
    """The language a person has chosen, or None."""
    with node.store.read() as session:
        user = session.get(User, actor.user_id)
    return user.language if user else None


def end_sessions(session: Session, user_id: str) -> None:
    """End all sessions of a person, in the caller's transaction."""
    session.execute(sa.delete(UserSession).where(col(UserSession.user_id) == user_id))


def actor_of(user: User, address: str = "") -> Actor:
    """The person as services know them."""
    return Actor(user.id, user.name, Role(user.role), user.organization_id, user.vehicle_id, user.specialty, address)


def _check_node(node: Node, user: User) -> None:
    """On a vehicle only its own doctors log in: it may be stolen, and is often out of the hub's reach."""
    if node.is_hub:
        return
    if user.role != Role.VEHICLE_DOCTOR:
        raise NotAllowed(
            N_("This is a clinic vehicle. Specialists, coordinators and administrators log in at the hub.")
        )
    if user.vehicle_id != node.node_id:
        raise NotAllowed(
            N_("Your account belongs to another clinic vehicle. The administrator can move it to this one.")
        )


def _begin_attempt(node: Node, name: str, address: str) -> str:
    """Count a try before the password is looked at, so that many at once are counted too. Raises TooManyTries."""
    wait = timedelta(minutes=node.settings.login_wait_minutes)
    tries = node.settings.login_tries
    with node.store.write() as tx:
        if not node.store.is_sqlite:
            tx.session.execute(sa.text("SELECT pg_advisory_xact_lock(7305)"))  # one count at a time
        now = node.clock()
        tx.session.execute(sa.delete(LoginAttempt).where(col(LoginAttempt.at) < now - KEEP_TRIES))
        free_at = max(
            _free_at(tx.session, LoginAttempt.username == name, tries, wait, now, forgive=True),
            _free_at(tx.session, LoginAttempt.address == address, tries * TRIES_PER_ADDRESS, wait, now),
        )
        if free_at > now:
            seconds = (free_at - now).total_seconds()
            raise TooManyTries(
                N_("There were too many wrong passwords. Wait %(minutes)s min, then try again."),
                wait_seconds=seconds,
                minutes=math.ceil(seconds / 60),
            )
        attempt = LoginAttempt(username=name, address=address, at=now)
        tx.session.add(attempt)
        return attempt.id


def _free_at(
    session: Session,
    mine: bool,
    tries: int,
    wait: timedelta,
    now: datetime,
    *,
    forgive: bool = False,
) -> datetime:
    """When the next try is taken: once fewer than `tries` failures lie within the last `wait`.

    With `forgive`, failures before the last success do not count. An address is not forgiven: whoever has one
    account could otherwise go on guessing at others.
    """
    since = now - wait
    if forgive:
        query = select(func.max(LoginAttempt.at)).where(mine, col(LoginAttempt.succeeded).is_(True))
        since = max(since, session.exec(query).one() or since)
    failures = select(LoginAttempt.at).where(
        mine, col(LoginAttempt.succeeded).is_(False), LoginAttempt.at > since, LoginAttempt.at <= now
    )
    times = session.exec(failures.order_by(col(LoginAttempt.at).desc()).limit(tries)).all()
    return times[-1] + wait if len(times) == tries else now


def _new_session(node: Node, user: User, token: str, address: str, agent: str) -> UserSession:
    now = node.clock()
    return UserSession(
        id=_session_id(token),
        user_id=user.id,
        credential=credential_of(user),
        made_at=now,
        seen_at=now,
        expires_at=now + timedelta(hours=node.settings.session_hours),
        address=address[:64],
        agent=agent[:200],
    )


def _note_seen(node: Node, session_id: str, now: datetime) -> None:
    try:
        with node.store.write() as tx:
            login = tx.session.get(UserSession, session_id)
            if login is not None:
                login.seen_at = now
                tx.session.add(login)
    except Unavailable:
        return  # a busy database is no reason to refuse a page; the next request notes it


def _forget_old(session: Session, user_id: str, now: datetime, idle_minutes: float) -> None:
    idle = now - timedelta(minutes=idle_minutes)
    over = sa.or_(col(UserSession.expires_at) <= now, col(UserSession.seen_at) <= idle)
    session.execute(sa.delete(UserSession).where(col(UserSession.user_id) == user_id, over))


def _session_id(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
