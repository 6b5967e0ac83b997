"""Logging in, out and again; what the cookie and the addresses after it may be."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlmodel import select

from teleconsult.app import create_app
from teleconsult.http.auth import safe_next
from teleconsult.services.node import Node
from teleconsult.store.tables import UserSession
from tests.support.clock import Clock
from tests.support.pages import csrf, log_in, post
from tests.support.world import PASSWORD, World


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


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        None,
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil",
        "/a\\b",
        "evil",
        "/a b",
        "/\n/x",
    ],
)
def test_an_address_that_leads_elsewhere_becomes_the_first_page(app: Flask, wanted: str | None) -> None:
    with app.test_request_context():
        assert safe_next(wanted) == "/"


@pytest.mark.parametrize("wanted", ["/consults/1?a=1&b=2", "/queue", "/patients/x#readings"])
def test_an_address_on_this_node_is_followed(app: Flask, wanted: str) -> None:
    with app.test_request_context():
        assert safe_next(wanted) == wanted


def test_a_wrong_password_leaves_the_name_and_says_so(client: FlaskClient) -> None:
    answer = post(client, "/login", username="specialist", password="not-the-password", next="/password")
    assert answer.status_code == 422
    assert "用户名或密码不正确" in answer.text
    assert 'value="specialist"' in answer.text
    assert 'name="next" value="/password"' in answer.text
    assert "not-the-password" not in answer.text


def test_too_many_tries_say_when_to_come_back(client: FlaskClient) -> None:
    for _ in range(5):
        post(client, "/login", username="specialist", password="not-the-password")
    answer = post(client, "/login", username="specialist", password=PASSWORD)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 601
    assert "10 分钟" in answer.text


def test_the_login_page_says_which_node_this_is(client: FlaskClient, vehicle: Node) -> None:
    assert "景宁县人民医院" in client.get("/login").text
    assert "一号车" in create_app(vehicle).test_client().get("/login").text


def test_the_cookie_is_http_only_and_same_site_and_secure_with_https(new_node: object, hub: Node) -> None:
    cookie = create_app(hub).test_client().get("/login").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    safe = new_node(https=True)  # type: ignore[operator]
    assert "Secure" in create_app(safe).test_client().get("/login").headers["Set-Cookie"]


def test_logging_out_ends_the_session_also_for_a_stolen_cookie(app: Flask, client: FlaskClient) -> None:
    log_in(client, "specialist")
    thief = app.test_client()
    with client.session_transaction() as mine, thief.session_transaction() as stolen:
        stolen.update(mine)
    assert thief.get("/password").status_code == 200
    assert post(client, "/logout").location == "/login"
    assert client.get("/password").status_code == 302
    assert thief.get("/password").status_code == 302


def test_a_session_that_ran_out_is_renewed_without_leaving_the_page(app: Flask, hub: Node) -> None:
    hub.clock = Clock()
    client = log_in(app.test_client(), "specialist")
    hub.clock.move(hours=13)
    asked = client.post("/password", json={}, headers={"X-CSRFToken": csrf(client)})
    assert (asked.status_code, asked.get_json()) == (401, {"ok": False, "code": "login"})
    headers = {"X-CSRFToken": csrf(client)}
    answer = client.post("/login.json", json={"username": "specialist", "password": PASSWORD}, headers=headers)
    assert answer.get_json()["ok"] is True
    renewed = answer.get_json()["csrf_token"]
    assert client.post("/language", data={"language": "en"}, headers={"X-CSRFToken": renewed}).status_code == 302
    assert client.get("/password").status_code == 200


def test_somebody_else_does_not_go_on_with_the_page(app: Flask, hub: Node) -> None:
    hub.clock = Clock()
    client = log_in(app.test_client(), "specialist")
    hub.clock.move(hours=13)
    headers = {"X-CSRFToken": csrf(client)}
    answer = client.post("/login.json", json={"username": "colleague", "password": PASSWORD}, headers=headers)
    assert (answer.status_code, answer.get_json()["code"]) == (403, "not_allowed")
    assert client.get("/password").status_code == 302
    with hub.store.read() as session:
        assert session.exec(select(UserSession).where(UserSession.user_id == World.colleague.user_id)).all() == []


@pytest.mark.parametrize("payload", ["[]", "null", "{", '{"username": 1}'])
def test_a_malformed_login_is_answered_with_a_sentence(client: FlaskClient, payload: str) -> None:
    headers = {"X-CSRFToken": csrf(client), "Content-Type": "application/json"}
    answer = client.post("/login.json", data=payload, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.get_json()["sentence"]


def test_the_language_is_kept_for_the_person(app: Flask, client: FlaskClient) -> None:
    log_in(client, "specialist")
    post(client, "/language", language="en", next="/password")
    assert "Change the password" in client.get("/password").text
    elsewhere = log_in(app.test_client(), "specialist")
    assert "Change the password" in elsewhere.get("/password").text
    assert post(client, "/language", language="xx").status_code == 422


def test_changing_the_password_keeps_this_page_logged_in(app: Flask, client: FlaskClient) -> None:
    log_in(client, "specialist")
    other = log_in(app.test_client(), "specialist")
    new = "mountain road 73"
    differs = post(client, "/password", old=PASSWORD, new=new, again=new + "x")
    assert differs.status_code == 422
    assert post(client, "/password", old=PASSWORD, new=new, again=new).status_code == 302
    assert client.get("/password").status_code == 200
    assert other.get("/password").status_code == 302
    log_in(app.test_client(), "specialist", new)
