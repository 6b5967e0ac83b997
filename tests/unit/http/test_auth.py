"""Logging in, out and again; what the cookie and the addresses after it may be."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from teleconsult.app import create_app
from teleconsult.services.node import Node
from tests.support.pages import csrf, log_in, post
from tests.support.world import PASSWORD


@pytest.fixture
def app(hub: Node) -> Flask:
    return create_app(hub)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def test_log_in_goes_on_to_the_page_that_was_wanted(client: FlaskClient) -> None:
    refused = client.get("/password?a=1")
    assert refused.location == "/login?next=/password?a%3D1"
    entered = post(client, "/login", username="Specialist ", password=PASSWORD, next="/password?a=1")
    assert entered.location == "/password?a=1"
    assert client.get("/password").status_code == 200


def test_the_cookie_of_before_the_login_is_worth_nothing_after_it(client: FlaskClient) -> None:
    token = csrf(client)
    log_in(client, "specialist")
    assert client.post("/language", data={"language": "en", "csrf_token": token}).status_code == 400
