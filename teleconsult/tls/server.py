"""The web server of a node with HTTPS: TLS and plain HTTP on one port, with a certificate that may change.

The first byte of a connection tells which it is. Plain HTTP reaches the application marked as such
(`wsgi.url_scheme`), and the application decides what it answers there: the way to HTTPS, and little else.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import gevent
import structlog
from gevent import pywsgi
from gevent import ssl as green
from werkzeug.urls import iri_to_uri
from werkzeug.wsgi import get_current_url

from teleconsult.tls.contexts import Contexts

log = structlog.get_logger(__name__)

HANDSHAKE_SECONDS = 10.0
"""A client that has not finished its handshake by then is let go."""

PUBLIC_CERTIFICATE = "teleconsult.public_certificate"
"""In a request's environment: whether this machine's trust store vouches for the certificate in force."""

TLS_FIRST_BYTE = b"\x16"
"""A TLS record with a handshake message; no HTTP request begins with it."""


class SecureServer(pywsgi.WSGIServer):  # type: ignore[misc]  # gevent has no types
    """pywsgi that wraps each connection by what its client speaks, in the connection's own greenlet."""

    def __init__(self, listener: Any, application: Any, contexts: Contexts, **options: Any) -> None:
        super().__init__(listener, application, handler_class=_Handler, **options)
        self.contexts = contexts

    def handle(self, client: socket.socket, address: Any) -> None:
        """One connection, from its first byte on."""
        spoken: socket.socket
        try:
            with gevent.Timeout(HANDSHAKE_SECONDS):
                if client.recv(1, socket.MSG_PEEK) == TLS_FIRST_BYTE:
                    spoken = self.contexts.current.wrap_socket(client, server_side=True)
                else:
                    spoken = client
        except (OSError, gevent.Timeout) as error:
            # Scanners, browsers that do not trust us yet, links that break: not this node's fault.
            log.debug("a connection was not begun", reason=repr(error))
            client.close()
            return
        try:
            super().handle(spoken, address)
        finally:
            spoken.close()


class _Handler(pywsgi.WSGIHandler):  # type: ignore[misc]
    """Tells the application how this one connection came in."""

    def get_environ(self) -> dict[str, Any]:
        """The request's environment."""
        environ: dict[str, Any] = super().get_environ()
        environ["wsgi.url_scheme"] = "https" if isinstance(self.socket, green.SSLSocket) else "http"
        environ[PUBLIC_CERTIFICATE] = self.server.contexts.is_public
        return environ

    def handle_error(self, kind: Any, error: Any, traceback: Any) -> None:
        """A browser that goes while it is answered is no fault: over TLS gevent does not see that by itself."""
        if isinstance(error, green.SSLError):
            log.debug("a connection broke", reason=repr(error))
            self.close_connection = True
        else:
            super().handle_error(kind, error, traceback)


class OnlyHttps:
    """Answers plain HTTP with the way to the same page over HTTPS, but for the paths that begin with `open_paths`."""

    def __init__(self, application: Callable[..., Any], open_paths: tuple[str, ...]) -> None:
        self._application, self._open = application, open_paths

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """One request."""
        if environ["wsgi.url_scheme"] == "https" or environ["PATH_INFO"].startswith(self._open):
            answer: Iterable[bytes] = self._application(environ, start_response)
            return answer
        headers = [("Content-Length", "0"), ("Cache-Control", "no-store")]
        place = _place_over_https(environ)
        if place is None:
            start_response("400 Bad Request", headers)
        else:
            # Not kept by the browser: the node may be set back to plain HTTP.
            start_response("308 Permanent Redirect", [("Location", place), *headers])
        return [b""]


def _place_over_https(environ: dict[str, Any]) -> str | None:
    """The same page over HTTPS; None for a request whose Host is none."""
    try:
        place = iri_to_uri(get_current_url({**environ, "wsgi.url_scheme": "https"}))
        return place if urlsplit(place).hostname else None
    except ValueError:  # also what the IDNA codec makes of labels that are empty or too long
        return None
