"""A browser's manners for Flask's test client: fetch the CSRF token, log in, post forms."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from teleconsult.domain.roles import Actor
from teleconsult.services.node import Node
from teleconsult.services.passwords import credential_of
from teleconsult.store.tables import User, UserSession
from tests.support.world import PASSWORD


def csrf(client: FlaskClient) -> str:
    """The CSRF token that this client's pages carry now."""
    answer = client.get("/login.json")
    return str(answer.get_json()["csrf_token"])


def post(client: FlaskClient, url: str, **fields: Any) -> TestResponse:
    """Post a form the way a page does."""
    return client.post(url, data={**fields, "csrf_token": csrf(client)})


def log_in(client: FlaskClient, username: str, password: str = PASSWORD) -> FlaskClient:
    """Log somebody in through the login page; fails if the login is refused."""
    answer = post(client, "/login", username=username, password=password)
    assert answer.status_code == 302, answer.text
    return client


def enter_as(client: FlaskClient, node: Node, actor: Actor) -> FlaskClient:
    """Give the client a session of this person, whichever node it is, without a password."""
    token, now = secrets.token_urlsafe(32), node.clock()
    with node.store.write() as tx:
        user = tx.session.get_one(User, actor.user_id)
        tx.session.add(
            UserSession(
                id=hashlib.sha256(token.encode()).hexdigest(),
                user_id=user.id,
                credential=credential_of(user),
                made_at=now,
                seen_at=now,
                expires_at=now + timedelta(hours=12),
            )
        )
    with client.session_transaction() as cookie:
        cookie["token"], cookie["person"] = token, actor.user_id
    return client
