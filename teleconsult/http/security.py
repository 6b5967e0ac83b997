"""Who may use which page, and the headers that every answer carries.

A view without a declaration is refused for everybody: forgetting to declare is noticed at once. A test walks
all routes with every role.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, Response, current_app, g, redirect, request, session, url_for
from werkzeug.wrappers import Response as BaseResponse

from teleconsult.domain.errors import N_, NotAllowed
from teleconsult.domain.roles import PEOPLE_ROLES, Actor, Role
from teleconsult.services import accounts
from teleconsult.services.node import Node
from teleconsult.tls import PUBLIC_CERTIFICATE

View = TypeVar("View", bound=Callable[..., Any])

PUBLIC: frozenset[Role] = frozenset()
"""Declared roles of a page that needs no login."""

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob: mediastream:; connect-src 'self' ws: wss:; "
    "style-src 'self'; script-src 'self'; font-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)


def allow(*roles: Role) -> Callable[[View], View]:
    """Declare which roles may use a view; without arguments every logged-in person."""

    def declare(view: View) -> View:
        view.allowed_roles = frozenset(roles or PEOPLE_ROLES)  # type: ignore[attr-defined]
        return view

    return declare


def public(view: View) -> View:
    """Declare that a view needs no login."""
    view.allowed_roles = PUBLIC  # type: ignore[attr-defined]
    return view


def declared_roles(view: Callable[..., Any]) -> frozenset[Role] | None:
    """The roles a view declares, PUBLIC for everybody, None if it declares nothing."""
    return getattr(view, "allowed_roles", None)


def current_node() -> Node:
    """The node this request is served by."""
    node = current_app.extensions["teleconsult"]
    assert isinstance(node, Node)
    return node


def current_actor() -> Actor:
    """The logged-in person. Only for views that are not public."""
    actor = g.get("actor")
    if actor is None:
        raise NotAllowed(N_("Log in first."))
    assert isinstance(actor, Actor)
    return actor


def wants_json() -> bool:
    """Whether the caller is one of our modules and not a person's address bar."""
    return (
        request.is_json or request.accept_mimetypes.best == "application/json" or "X-Requested-With" in request.headers
    )


def init_app(app: Flask) -> None:
    """Check every request's declaration and login, and add the headers."""
    app.before_request(_check_request)
    app.after_request(_add_headers)


def _check_request() -> BaseResponse | None:
    if request.endpoint is None:
        return None  # the 404 comes from Flask
    if request.endpoint == "static":
        return None
    g.actor = accounts.resume(current_node(), session.get("token"), address=request.remote_addr or "")
    roles = declared_roles(current_app.view_functions[request.endpoint])
    if roles is None:
        current_app.logger.error("the view %s declares nobody", request.endpoint)
        raise NotAllowed(N_("This page is not open to anybody."))
    if roles is PUBLIC:
        return None
    if g.actor is None:
        if wants_json():
            return BaseResponse('{"ok":false,"code":"login"}', status=401, mimetype="application/json")
        return redirect(url_for("auth.login", next=request.full_path.rstrip("?") if request.method == "GET" else None))
    if g.actor.role not in roles:
        raise NotAllowed(N_("This page is for people with another role."))
    return None


def _add_headers(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("X-Frame-Options", "DENY")
    response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    response.headers.setdefault("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self)")
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    if request.is_secure and request.environ.get(PUBLIC_CERTIFICATE):
        # Only with a real certificate: a browser that does not trust another one yet could not reach the page that
        # helps, and would not let a person go on.
        response.headers.setdefault("Strict-Transport-Security", "max-age=15552000")
    return response
