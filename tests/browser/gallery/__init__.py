"""The design system on show: sample pages of invented people, drawn with the product's own templates and styles.

`create_gallery()` makes a small Flask application with the product's headers and catalogue, for screenshots and for
tests/browser/test_shell.py. `python -m tests.browser.gallery FOLDER` writes the screenshots.
"""

from __future__ import annotations

from typing import Any

import jinja2
from flask import Flask, Response, jsonify, render_template, request, url_for
from flask_babel import Babel
from flask_socketio import SocketIO, join_room, leave_room
from flask_wtf import CSRFProtect
from flask_wtf.csrf import generate_csrf

from teleconsult.app import catalogue, static_url, web_dir
from teleconsult.http.security import CONTENT_SECURITY_POLICY
from tests.browser.gallery import samples

PASSWORD = "gallery"


def create_gallery() -> Flask:
    """Pages at /<kind>/<sample>, kind "vehicle" or "hub"; `?language=en` for English.

    `app.extensions["socketio"]` answers `watch` in the namespace /live with a room of the topic's name.
    """
    web = web_dir()
    app = Flask("gallery", static_folder=str(web), static_url_path="/static", template_folder=str(web / "templates"))
    app.config.update(
        SECRET_KEY="gallery",
        BABEL_TRANSLATION_DIRECTORIES=str(web.parent / "teleconsult" / "translations"),
        BABEL_DEFAULT_TIMEZONE="Asia/Shanghai",
        TEMPLATES_AUTO_RELOAD=True,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_loader = jinja2.ChoiceLoader(
        [jinja2.FileSystemLoader(str(web / "templates")), jinja2.PackageLoader("tests.browser.gallery", "pages")]
    )
    Babel(app, locale_selector=_language)
    CSRFProtect(app)
    sessions = {"user_id": samples.PERSON_ID}

    @app.context_processor
    def _words() -> dict[str, Any]:
        language = _language()
        return {"language": language, "static": static_url, "t_catalogue_url": url_for("_catalogue", language=language)}

    @app.get("/catalogue/<language>.json")
    def _catalogue(language: str) -> Response:
        return catalogue(language)

    @app.get("/<kind>/<sample>")
    def page(kind: str, sample: str) -> str:
        return render_template(f"{sample}.html", **samples.context(kind, sample))

    @app.get("/login.json")
    def fresh_token() -> Response:
        return jsonify(ok=True, csrf_token=generate_csrf())

    @app.post("/login.json")
    def log_in_again() -> tuple[Response, int]:
        if request.get_json().get("password") != PASSWORD:
            return jsonify(ok=False, code="wrong", sentence="用户名或密码不对。"), 403
        sessions["user_id"] = samples.PERSON_ID
        return jsonify(ok=True, csrf_token=generate_csrf()), 200

    @app.post("/save")
    def save() -> tuple[Response, int]:
        if sessions["user_id"] is None:
            return jsonify(ok=False, code="login"), 401
        return jsonify(ok=True, text=request.get_json()["text"]), 200

    @app.post("/end-login")
    def end_login() -> Response:
        sessions["user_id"] = None
        return jsonify(ok=True)

    socketio = SocketIO(app, async_mode="threading")

    @socketio.on("connect", namespace="/live")
    def _connect() -> None:
        socketio.emit("hello", {"channel": "c1", "user": {"id": sessions["user_id"]}}, namespace="/live")

    @socketio.on("watch", namespace="/live")
    def _watch(data: dict[str, str]) -> dict[str, Any]:
        if data["topic"] == "consult:secret":
            return {"ok": False, "code": "not_allowed", "sentence": "这次会诊由别人负责。"}
        join_room(data["topic"])
        return {"ok": True}

    @socketio.on("unwatch", namespace="/live")
    def _unwatch(data: dict[str, str]) -> dict[str, Any]:
        leave_room(data["topic"])
        return {"ok": True}

    @app.after_request
    def _headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response

    return app


def _language() -> str:
    return "en" if request and request.args.get("language") == "en" else "zh"
