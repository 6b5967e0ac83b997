"""A browser's manners for Flask's test client: fetch the CSRF token, log in, post forms."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.world import PASSWORD


def csrf(client: FlaskClient) -> str:
    """The CSRF token that this client's pages carry now."""
    answer = client.get("/login.json")
    return str(answer.get_json()["csrf_token"])


def post(client: FlaskClient, url: str, **fields: Any) -> TestResponse:
    """Post a form the way a page does."""
    return client.post(url, data={**fields, "csrf_token": csrf(client)})


def log_in(client: FlaskClient, username: str, password: str = PASSWORD) -> FlaskClient:
    """Log somebody in; fails if the login is refused."""
    answer = post(client, "/login", username=username, password=password)
    assert answer.status_code == 302, answer.text
    return client
