"""Every route of both nodes with every role: the declared roles are respected, every change needs its CSRF token,
every answer carries the security headers. A route that declares nobody fails here."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from teleconsult.app import create_app
from teleconsult.domain.roles import Actor, Role
from teleconsult.http.security import PUBLIC, allow, declared_roles
from teleconsult.services.node import Node
from tests.support.pages import csrf, enter_as
from tests.support.world import World, build_world

NOBODYS_ID = "00000000-0000-7000-8000-00000000ffff"
PEOPLE = (World.doctor, World.specialist, World.coordinator, World.administrator)
WRONG_ROLE = "This page is for people with another role."


@pytest.fixture(params=["hub", "vehicle"])
def app(request: pytest.FixtureRequest, new_node: Callable[..., Node]) -> Flask:
    node = new_node(kind=request.param, node_id="hub" if request.param == "hub" else World.vehicle_id, language="en")
    build_world(node)
    return create_app(node)


def rules(app: Flask) -> Iterator[tuple[Rule, str]]:
    """Every rule but the static files, with each of its methods."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "static":
            continue
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield rule, method


def address(app: Flask, rule: Rule) -> str:
    """The rule's address with ids that nobody has, and the first of a list of words."""
    words = {}
    for name in rule.arguments:
        choices = getattr(rule._converters.get(name), "items", None)
        words[name] = sorted(choices)[0] if choices else NOBODYS_ID
    built = rule.build(words, append_unknown=False)
    assert built is not None
    return built[1]


def ask(client: FlaskClient, method: str, url: str, token: str | None) -> TestResponse:
    headers = {"Accept": "application/json", "X-Requested-With": "fetch"}
    if method != "GET" and token:
        headers["X-CSRFToken"] = token
    return client.open(url, method=method, headers=headers, data={} if method != "GET" else None)


WITH_A_KEY = "link."
"""Views that a vehicle's computer asks with its key: no browser sends that by itself, so they need no token."""


def as_person(app: Flask, actor: Actor) -> FlaskClient:
    return enter_as(app.test_client(), app.extensions["teleconsult"], actor)


def test_every_view_declares_who_may_use_it(app: Flask) -> None:
    undeclared = [rule.endpoint for rule, _ in rules(app) if declared_roles(app.view_functions[rule.endpoint]) is None]
    assert undeclared == []


def test_no_two_endpoints_share_an_address(app: Flask) -> None:
    seen: dict[tuple[str, str], str] = {}
    for rule, method in rules(app):
        other = seen.setdefault((rule.rule, method), rule.endpoint)
        assert other == rule.endpoint, f"{method} {rule.rule} is {other} and {rule.endpoint}"


@pytest.mark.parametrize("actor", PEOPLE, ids=lambda actor: actor.role)
def test_each_role_reaches_what_is_declared_for_it_and_nothing_else(app: Flask, actor: Actor) -> None:
    client = as_person(app, actor)
    token = csrf(client)
    for rule, method in rules(app):
        roles = declared_roles(app.view_functions[rule.endpoint])
        if roles is PUBLIC:
            continue
        answer = ask(client, method, address(app, rule), token)
        told = (answer.get_json(silent=True) or {}).get("sentence")
        if actor.role in (roles or ()):
            assert told != WRONG_ROLE, f"{actor.role} is kept out of {method} {rule.rule}"
            assert answer.status_code not in (401, 500), f"{method} {rule.rule}: {answer.text[:500]}"
        else:
            assert (answer.status_code, told) == (403, WRONG_ROLE), f"{actor.role} at {method} {rule.rule}"


def test_without_a_login_only_public_pages_answer(app: Flask) -> None:
    client = app.test_client()
    token = csrf(client)
    for rule, method in rules(app):
        answer = ask(client, method, address(app, rule), token)
        token = csrf(client)  # logging out takes a new one
        if declared_roles(app.view_functions[rule.endpoint]) is PUBLIC:
            assert answer.status_code != 401, f"{method} {rule.rule}"
        else:
            assert (answer.status_code, answer.get_json()) == (401, {"ok": False, "code": "login"}), rule.rule


def test_a_person_without_a_login_is_led_to_the_login_page(app: Flask) -> None:
    for rule, method in rules(app):
        if method == "GET" and declared_roles(app.view_functions[rule.endpoint]) is not PUBLIC:
            answer = app.test_client().get(address(app, rule))
            assert (answer.status_code, answer.location.partition("?")[0]) == (302, "/login"), rule.rule


@pytest.mark.parametrize("actor", PEOPLE, ids=lambda actor: actor.role)
def test_no_change_without_its_csrf_token(app: Flask, actor: Actor) -> None:
    client = as_person(app, actor)
    for rule, method in rules(app):
        if method == "GET" or rule.endpoint.startswith(WITH_A_KEY):
            continue
        for token in (None, "forged"):
            answer = ask(client, method, address(app, rule), token)
            assert (answer.status_code, answer.get_json()["code"]) == (400, "csrf"), f"{method} {rule.rule}"


def test_nothing_is_done_for_a_vehicle_without_its_key(app: Flask) -> None:
    clients = [app.test_client(), *(as_person(app, actor) for actor in PEOPLE)]
    for rule, method in rules(app):
        if rule.endpoint.startswith(WITH_A_KEY):
            for client in clients:
                for headers in ({}, {"Authorization": f"Bearer {World.vehicle_id}.wrong"}, {"Authorization": "Bearer"}):
                    answer = client.open(address(app, rule), method=method, json={}, headers=headers)
                    assert answer.status_code == 403, f"{method} {rule.rule}"


def test_every_answer_carries_the_headers(app: Flask) -> None:
    clients = [app.test_client(), *(as_person(app, actor) for actor in PEOPLE)]
    paths = [address(app, rule) for rule, method in rules(app) if method == "GET"]
    for client in clients:
        for path in [*paths, "/no/such/page"]:
            headers = client.get(path).headers
            policy = headers["Content-Security-Policy"]
            assert "default-src 'self'" in policy, path
            assert "unsafe" not in policy, path
            assert headers["X-Content-Type-Options"] == "nosniff", path
            assert headers["X-Frame-Options"] == "DENY", path
            assert headers["Cache-Control"] in ("no-store", "private, no-store"), path


@pytest.mark.parametrize("actor", PEOPLE, ids=lambda actor: actor.role)
def test_pages_hold_no_inline_script_or_style(app: Flask, actor: Actor) -> None:
    """The policy would block them, silently for the person in front of the page."""
    client = as_person(app, actor)
    for rule, method in rules(app):
        if method != "GET":
            continue
        answer = client.get(address(app, rule))
        if answer.mimetype != "text/html":
            continue
        page = answer.text
        assert " style=" not in page, rule.rule
        assert "<style" not in page, rule.rule
        assert " onclick=" not in page, rule.rule
        assert all("src=" in part.partition(">")[0] for part in page.split("<script")[1:]), rule.rule


def test_a_view_that_declares_nobody_is_refused(new_node: Callable[..., Node]) -> None:
    node = new_node(language="en")
    build_world(node)
    app = create_app(node)
    app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
    client = as_person(app, World.administrator)
    answer = client.get("/forgotten")
    assert answer.status_code == 403
    assert "secret" not in answer.text


def test_everybody_means_every_role_of_people() -> None:
    assert declared_roles(allow()(lambda: "")) == {role for role in Role if role is not Role.SYSTEM}
