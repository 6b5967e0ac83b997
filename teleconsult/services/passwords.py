"""Passwords: what makes one fit, and their Argon2id hashes. Stores nothing."""

from __future__ import annotations

import hashlib
import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from teleconsult.domain.errors import N_, InvalidInput
from teleconsult.process import aside
from teleconsult.store.tables import User

SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 200
"""Longer ones would let anybody keep the processor busy."""

_hasher = PasswordHasher()
"""Argon2id with the library's parameters (RFC 9106, low-memory profile: 64 MiB, 3 passes, 4 lanes)."""

_NOBODY = _hasher.hash(secrets.token_urlsafe(32))
"""Checked when no account has the name, so that the answer takes as long."""


def clean_username(text: str) -> str:
    """A login name as it is stored: composed characters, no outer white space, small letters."""
    return unicodedata.normalize("NFKC", text).strip().casefold()[:60]


def check_password(password: str, username: str) -> None:
    """Refuse a password that is too easy to guess or too long. Raises InvalidInput."""
    if len(password) < SHORTEST_PASSWORD:
        raise InvalidInput(
            N_("A password has at least %(count)s characters."), field="password", count=SHORTEST_PASSWORD
        )
    if len(password) > LONGEST_PASSWORD:
        raise InvalidInput(N_("A password has at most %(count)s characters."), field="password", count=LONGEST_PASSWORD)
    if clean_username(password) == clean_username(username) or len(set(password)) < 4:
        raise InvalidInput(N_("This password is too easy to guess. Choose another."), field="password")


def hash_password(password: str) -> str:
    """The Argon2id hash of a password, with its parameters and salt."""
    return aside(_hasher.hash, password)


def credential_of(user: User) -> str:
    """A short name of the password a person has now; says nothing about the password."""
    return hashlib.sha256(user.password_hash.encode()).hexdigest()[:32]


def verify_password(password_hash: str, password: str) -> bool:
    """Whether the password fits. Without a hash (no such account, or a vehicle that is not trusted with it)
    it never does, and the answer takes as long."""
    if not password_hash.startswith("$argon2") or len(password) > LONGEST_PASSWORD:
        password_hash, password = _NOBODY, ""
    try:
        return aside(_hasher.verify, password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
