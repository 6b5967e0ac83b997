"""The way from plain HTTP to HTTPS, also for requests whose Host is none."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import create_environ, run_wsgi_app

from teleconsult.tls import OnlyHttps


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"page"]


def ask(host: str, path: str = "/login") -> tuple[str, str | None]:
    environ = create_environ(path, "http://vehicle.local:8401")
    environ["HTTP_HOST"] = host
    _, status, headers = run_wsgi_app(OnlyHttps(application, ("/trust",)), environ)
    return status, headers.get("Location")


def test_a_page_is_found_again_over_https() -> None:
    assert ask("vehicle.local:8401", "/a?b=c") == ("308 Permanent Redirect", "https://vehicle.local:8401/a?b=c")
    assert ask("[fd77::1]:8401")[1] == "https://[fd77::1]:8401/login"
    assert ask("vehicle.local:8401", "/trust") == ("200 OK", None)


@pytest.mark.parametrize(
    "host",
    ["..", "a" * 300, "a..b", "", "/", "[::1", "two words", "x/y", "a\tb", "@", "user@host", "\xfc" * 80, ":8401"],
)
def test_what_is_no_host_is_a_bad_request(host: str) -> None:
    assert ask(host) == ("400 Bad Request", None)
