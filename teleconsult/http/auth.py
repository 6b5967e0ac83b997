"""Logging in and out, the language, one's own password. The login page is the only one that needs no login."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, Response, flash, g, jsonify, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from flask_wtf.csrf import generate_csrf
from werkzeug.wrappers import Response as BaseResponse

from teleconsult.domain.errors import N_, InvalidInput, NotAllowed, TeleconsultError, TooManyTries
from teleconsult.domain.roles import Actor
from teleconsult.http.errors import sentence_of
from teleconsult.http.security import allow, current_actor, current_node, public
from teleconsult.services import accounts

bp = Blueprint("auth", __name__)

LANGUAGES = ("zh", "en")


@bp.get("/login")
@public
def login() -> str | BaseResponse:
    """The login page; somebody who is logged in goes on at once."""
    if g.get("actor") is not None:
        return redirect(safe_next(request.args.get("next")))
    return render_template("login.html", username="", next=request.args.get("next", ""))


@bp.post("/login")
@public
def log_in() -> BaseResponse | tuple[str, int] | tuple[str, int, dict[str, str]]:
    """Check name and password, then go on to the page that was wanted."""
    username, wanted = request.form.get("username", ""), request.form.get("next", "")
    try:
        _enter(username, request.form.get("password", ""))
    except TeleconsultError as error:
        page = render_template("login.html", username=username, next=wanted, fault=sentence_of(error))
        return page, error.status, _retry_after(error)
    return redirect(safe_next(wanted))


@bp.get("/login.json")
@public
def fresh_token() -> Response:
    """A CSRF token, for a page whose session ran out while somebody was writing on it; and who is logged in now."""
    actor = g.get("actor")
    return jsonify(ok=True, csrf_token=generate_csrf(), user_id=actor.user_id if actor else None)


@bp.post("/login.json")
@public
def log_in_again() -> Response:
    """Log in without leaving the page. Takes {username, password}, gives a new CSRF token.

    Only the person whose page it is: what is written there would go out under another name.
    """
    data = request.get_json()
    if not isinstance(data, dict):
        raise InvalidInput(N_("The request could not be read. Nothing was changed."))
    _enter(str(data.get("username", "")), str(data.get("password", "")), only=session.get("person"))
    return jsonify(ok=True, csrf_token=generate_csrf())


@bp.post("/logout")
@public
def logout() -> BaseResponse:
    """End the session. Works also when it has run out already."""
    if g.get("actor") is not None:
        accounts.log_out(current_node(), session.get("token"), g.actor)
    language = session.get("language")
    session.clear()
    if language:
        session["language"] = language
    return redirect(url_for("auth.login"))


@bp.post("/language")
@public
def language() -> BaseResponse:
    """Show everything in Chinese or English from now on."""
    chosen = request.form.get("language", "")
    if chosen not in LANGUAGES:
        raise InvalidInput(N_("There is no such language here."), field="language")
    session["language"] = chosen
    if g.get("actor") is not None:
        accounts.set_language(current_node(), g.actor, chosen)
    return redirect(safe_next(request.form.get("next")))


@bp.get("/password")
@allow()
def password() -> str:
    """The page to change one's own password."""
    return render_template("password.html", faults=[])


@bp.post("/password")
@allow()
def change_password() -> BaseResponse | tuple[str, int] | tuple[str, int, dict[str, str]]:
    """Change one's own password; all other logins of this person end."""
    old, new = request.form.get("old", ""), request.form.get("new", "")
    try:
        if new != request.form.get("again", ""):
            raise InvalidInput(N_("The two new passwords differ. Write the new one twice."), field="again")
        token = accounts.change_password(current_node(), current_actor(), session.get("token"), old, new)
    except TeleconsultError as error:
        field = getattr(error, "field", None)
        faults = [("new" if field == "password" else field, sentence_of(error))]
        return render_template("password.html", faults=faults), error.status, _retry_after(error)
    _begin(token, current_actor())
    flash(_("The password is changed. Other devices have to log in again."), "ok")
    return redirect(url_for("auth.password"))


def safe_next(wanted: str | None) -> str:
    """An address on this node to go on to; anything that could lead elsewhere becomes the first page."""
    home = url_for("shell.home")
    if not wanted or not wanted.startswith("/") or wanted.startswith(("//", "/\\")):
        return home
    if "\\" in wanted or any(ord(character) < 33 for character in wanted):
        return home
    parts = urlsplit(wanted)
    return wanted if not parts.scheme and not parts.netloc else home


def _enter(username: str, password: str, *, only: str | None = None) -> None:
    node = current_node()
    address, agent = request.remote_addr or "", request.headers.get("User-Agent", "")
    token, actor = accounts.log_in(node, username, password, address=address, agent=agent)
    if only and actor.user_id != only:
        accounts.log_out(node, token, actor)
        raise NotAllowed(
            N_("This page belongs to somebody else's work. They log in here; you open the login page first.")
        )
    chosen = accounts.language_of(node, actor)
    _begin(token, actor)
    if chosen:
        session["language"] = chosen
    g.actor = actor


def _begin(token: str, actor: Actor) -> None:
    """A fresh cookie: nothing that was in it before the login stays, but for the language."""
    language = session.get("language")
    session.clear()
    session.permanent = True  # a crashed browser comes back logged in; the node ends sessions, not the cookie
    session["token"], session["person"] = token, actor.user_id
    if language:
        session["language"] = language
    g.pop("csrf_token", None)


def _retry_after(error: TeleconsultError) -> dict[str, str]:
    return {"Retry-After": str(int(error.wait_seconds) + 1)} if isinstance(error, TooManyTries) else {}
