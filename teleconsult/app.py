"""The application factory: one Flask application for one node, with its blueprints and live namespaces."""

from __future__ import annotations

import json
import secrets
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from babel.messages.mofile import read_mo
from flask import Flask, Response, g, request, session, url_for
from flask_babel import Babel, get_locale
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from teleconsult import __version__
from teleconsult.domain.people import SITE_ZONE
from teleconsult.http import errors, pages, security
from teleconsult.services.node import Node
from teleconsult.settings import TlsSource

PACKAGE = Path(__file__).parent
LANGUAGES = ("zh", "en")
STAMPED_SECONDS = 30 * 24 * 3600
"""How long a browser may keep what has a stamp in its address: the address changes with the content."""


def web_dir() -> Path:
    """Templates, styles and modules: inside the wheel, or beside the package in a checkout."""
    packaged = PACKAGE / "web"
    return packaged if packaged.is_dir() else PACKAGE.parent / "web"


def create_app(node: Node) -> Flask:
    """The web application of a node. Starts no server and no worker."""
    web = web_dir()
    app = Flask(
        "teleconsult",
        static_folder=str(web),
        static_url_path="/static",
        template_folder=str(web / "templates"),
    )
    settings = node.settings
    app.config.update(
        SECRET_KEY=settings.secret_key or _kept_secret(settings.data_dir / "secret_key"),
        SESSION_COOKIE_NAME=f"teleconsult_{settings.kind}_{node.node_id[-8:]}",  # ports share cookies: name each node
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.https or settings.tls_source is not TlsSource.NONE,
        PERMANENT_SESSION_LIFETIME=timedelta(hours=settings.session_hours),
        MAX_CONTENT_LENGTH=int(settings.max_upload_mb * 1024 * 1024) + 64 * 1024,
        WTF_CSRF_TIME_LIMIT=None,  # the token lives as long as the session
        BABEL_TRANSLATION_DIRECTORIES=str(PACKAGE / "translations"),
        BABEL_DEFAULT_TIMEZONE="Asia/Shanghai",
        TEMPLATES_AUTO_RELOAD=False,
    )
    app.extensions["teleconsult"] = node
    app.get_send_file_max_age = _max_age  # type: ignore[method-assign]
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    if settings.trust_proxy:
        hops = settings.trust_proxy
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    Babel(app, locale_selector=lambda: _language(node))
    CSRFProtect(app)
    security.init_app(app)
    errors.init_app(app)
    pages.init_app(app)
    app.add_url_rule("/catalogue/<language>.json", "catalogue", security.public(catalogue))
    app.context_processor(_template_words)
    app.add_template_filter(site_time)
    return app


def _language(node: Node) -> str:
    """The person's choice, else the node's. Never guessed from the browser: vehicles have shared tablets."""
    chosen = session.get("language") if request else None
    return chosen if chosen in LANGUAGES else node.settings.language


def _template_words() -> dict[str, Any]:
    locale = get_locale()
    language = locale.language if locale else "zh"
    return {
        "language": language,
        "static": static_url,
        "t_catalogue_url": url_for("catalogue", language=language, v=_stamp_of(_messages(language))),
        "version": __version__,
        "actor": g.get("actor"),
    }


def site_time(moment: datetime | str) -> str:
    """An instant as 2026-11-24 14:05 in the site's zone, the same in both languages."""
    instant = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return instant.astimezone(SITE_ZONE).strftime("%Y-%m-%d %H:%M")


@lru_cache(maxsize=512)
def _stamp(path: str) -> str:
    return _stamp_of(web_dir() / path)


def _stamp_of(file: Path) -> str:
    return format(file.stat().st_mtime_ns & 0xFFFFFFFF, "x") if file.is_file() else "0"


def static_url(path: str) -> str:
    """The address of a file under web/, changed whenever the file changes."""
    return f"/static/{path}?v={_stamp(path)}"


def catalogue(language: str) -> Response:
    """The translations that browser modules use, as a JSON object of English sentence → translation."""
    response = Response(json.dumps(translations(language), ensure_ascii=False), mimetype="application/json")
    if "v" in request.args:
        response.cache_control.public = True
        response.cache_control.max_age = STAMPED_SECONDS
    return response


def _max_age(filename: str | None) -> int | None:
    """How long a browser keeps a file without asking: a module that another module imports has no stamp in its
    address, so the browser asks for it each time (and is mostly told that it is unchanged)."""
    return STAMPED_SECONDS if "v" in request.args else None


def _messages(language: str) -> Path:
    return PACKAGE / "translations" / language / "LC_MESSAGES" / "messages.mo"


def translations(language: str) -> dict[str, str]:
    """All sentences of a language; empty for English, which is the source."""
    file = _messages(language)
    if language not in LANGUAGES or not file.is_file():
        return {}
    with file.open("rb") as stream:
        return {m.id: m.string for m in read_mo(stream) if isinstance(m.id, str) and m.id and isinstance(m.string, str)}


def _kept_secret(path: Path) -> str:
    """The key that signs cookies: made once, readable by the service alone."""
    if path.is_file():
        return path.read_text().strip()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(secrets.token_urlsafe(48))
    return path.read_text().strip()
