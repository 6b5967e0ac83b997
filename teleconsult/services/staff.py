"""The people who log in: accounts, roles, where they work, their passwords as an administrator sets them."""

from __future__ import annotations

import re
import secrets
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, Field
from sqlmodel import Session, col, func, select

from teleconsult.domain.errors import N_, InvalidInput, NotFound
from teleconsult.domain.network import SPECIALTIES
from teleconsult.domain.people import clean_name
from teleconsult.domain.roles import PEOPLE_ROLES, Actor, Role
from teleconsult.services.accounts import end_sessions
from teleconsult.services.directory import find, refuse_taken, require_directory, save
from teleconsult.services.node import EVERY_VEHICLE, Node, Work
from teleconsult.services.passwords import check_password, clean_username, hash_password
from teleconsult.store.tables import Organization, User, UserSession, Vehicle

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Of a password that is read from a screen: nothing that looks like something else."""


class PersonForm(BaseModel):
    """An account as an administrator enters it."""

    username: str = Field(max_length=60)
    name: str = Field(max_length=60)
    role: Role
    organization_id: str | None = None
    vehicle_id: str | None = None
    specialty: str | None = None
    title: str = Field(default="", max_length=40)
    phone: str = Field(default="", max_length=30)


@dataclass(frozen=True)
class StaffMember:
    """An account with the names of where its person works. `seen_at`: last use of a login that still stands."""

    user: User
    organization: str
    vehicle: str
    seen_at: datetime | None


def list_staff(node: Node, actor: Actor) -> list[StaffMember]:
    """All accounts, the active ones first, by role and name."""
    require_directory(node, actor)
    with node.store.read() as session:
        query = (
            select(User, Organization.name, Vehicle.name)
            .join(Organization, col(Organization.id) == col(User.organization_id), isouter=True)
            .join(Vehicle, col(Vehicle.id) == col(User.vehicle_id), isouter=True)
        )
        found = session.exec(query.order_by(col(User.active).desc(), User.role, User.name)).all()
        seen = dict(
            session.exec(
                select(UserSession.user_id, func.max(UserSession.seen_at)).group_by(col(UserSession.user_id))
            ).all()
        )
    return [StaffMember(user, place or "", vehicle or "", seen.get(user.id)) for user, place, vehicle in found]


def person(node: Node, actor: Actor, user_id: str) -> User:
    """One account. Raises NotFound."""
    require_directory(node, actor)
    with node.store.read() as session:
        return find(session, User, user_id)


def create_person(node: Node, actor: Actor, form: PersonForm, password: str | None = None) -> tuple[User, str]:
    """Open an account. Gives it and its first password, which is made up unless given, and never shown again."""
    require_directory(node, actor)
    password = password or make_password()
    username = _check_username(form.username)
    check_password(password, username)
    password_hash = hash_password(password)
    with node.transaction(actor) as work:
        values = _check_form(work.session, form, username, None)
        user = save(work, User, values, None, "user", silent={"password_hash": password_hash})
        work.announce("board", "board:changed", {})
    return user, password


def edit_person(node: Node, actor: Actor, user_id: str, form: PersonForm) -> User:
    """Change an account. Another role, vehicle or name to log in with ends the person's logins."""
    require_directory(node, actor)
    with node.transaction(actor) as work:
        known = find(work.session, User, user_id)
        before = (known.username, known.role, known.vehicle_id)
        values = _check_form(work.session, form, _check_username(form.username), user_id)
        if known.role == Role.ADMINISTRATOR and form.role is not Role.ADMINISTRATOR:
            _check_administrators(work.session, user_id)
        user = save(work, User, values, user_id, "user")
        if before != (user.username, user.role, user.vehicle_id):
            _end_logins(work, user_id)
        work.announce("board", "board:changed", {})
        return user


def set_active(node: Node, actor: Actor, user_id: str, active: bool) -> User:
    """Close an account, which ends its logins at once, or open it again. What the person wrote stays."""
    require_directory(node, actor)
    with node.transaction(actor) as work:
        known = find(work.session, User, user_id)
        if not active and user_id == actor.user_id:
            raise InvalidInput(N_("You cannot close your own account. Another administrator can."))
        if not active and known.role == Role.ADMINISTRATOR:
            _check_administrators(work.session, user_id)
        user = save(work, User, {"active": active}, user_id, "user")
        if not active:
            _end_logins(work, user_id)
        work.announce("board", "board:changed", {})
        return user


def reset_password(node: Node, actor: Actor, user_id: str, password: str | None = None) -> str:
    """Give a person a new password, made up unless given, and end their logins. Shown once."""
    require_directory(node, actor)
    password = password or make_password()
    with node.store.read() as session:
        check_password(password, find(session, User, user_id).username)
    password_hash = hash_password(password)
    with node.transaction(actor) as work:
        user = find(work.session, User, user_id)
        user.password_hash, user.password_changed_at, user.changed_at = password_hash, work.now, work.now
        work.session.add(user)
        work.audit("password", "user", user_id)
        work.send(user, EVERY_VEHICLE)
        _end_logins(work, user_id)
    return password


def by_username(node: Node, username: str) -> User:
    """The account of this name. Raises NotFound."""
    with node.store.read() as session:
        user = session.exec(select(User).where(User.username == clean_username(username))).first()
    if user is None:
        raise NotFound(N_("Nobody has the user name %(name)s."), name=username)
    return user


def make_password() -> str:
    """A password to be read from a screen once: 16 characters in four groups, 79 random bits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))


def count_by_role(session: Session) -> Counter[str]:
    """How many active accounts each role has."""
    return Counter(session.exec(select(User.role).where(col(User.active).is_(True))).all())


def _check_username(text: str) -> str:
    username = clean_username(text)
    if not re.fullmatch(r"\w[\w.-]{1,59}", username):
        raise InvalidInput(
            N_("A user name has 2 to 60 letters, digits, dots, hyphens or underscores, and no spaces."),
            field="username",
        )
    return username


def _check_form(session: Session, form: PersonForm, username: str, user_id: str | None) -> dict[str, object]:
    refuse_taken(session, User, "username", username, user_id)
    if form.role not in PEOPLE_ROLES:
        raise InvalidInput(N_("Choose a role."), field="role")
    doctor, specialist = form.role is Role.VEHICLE_DOCTOR, form.role is Role.SPECIALIST
    if (doctor or specialist) and not form.organization_id:
        raise InvalidInput(N_("Choose the institution: it stands on the consultation record."), field="organization_id")
    if form.organization_id and not find(session, Organization, form.organization_id).active:
        raise InvalidInput(N_("This institution is closed. Choose another."), field="organization_id")
    if doctor and not form.vehicle_id:
        raise InvalidInput(N_("Choose the clinic vehicle this doctor works on."), field="vehicle_id")
    if doctor and form.vehicle_id and not find(session, Vehicle, form.vehicle_id).active:
        raise InvalidInput(N_("This vehicle is out of service."), field="vehicle_id")
    if specialist and form.specialty not in SPECIALTIES:
        raise InvalidInput(N_("Choose the specialty this specialist is asked for."), field="specialty")
    return {
        "username": username,
        "name": clean_name(form.name),
        "role": form.role.value,
        "organization_id": form.organization_id or None,
        "vehicle_id": form.vehicle_id if doctor else None,
        "specialty": form.specialty if specialist else None,
        "title": form.title.strip(),
        "phone": form.phone.strip(),
    }


def _check_administrators(session: Session, user_id: str) -> None:
    query = select(User.id).where(User.role == Role.ADMINISTRATOR, col(User.active).is_(True), User.id != user_id)
    if session.exec(query).first() is None:
        raise InvalidInput(
            N_("This is the last administrator. Make somebody else an administrator first."), field="role"
        )


def _end_logins(work: Work, user_id: str) -> None:
    end_sessions(work.session, user_id)
    work.announce(f"user:{user_id}", "session:ended", {"user_id": user_id})
