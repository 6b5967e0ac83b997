"""The web server of a node with HTTPS: TLS and plain HTTP on one port, with a certificate that may change.

The first byte of a connection tells which it is. Plain HTTP reaches the application marked as such
(`wsgi.url_scheme`), and the application decides what it answers there: the way to HTTPS, and little else.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gevent
import structlog
from gevent import pywsgi
from gevent import ssl as green
from werkzeug.urls import iri_to_uri
from werkzeug.wsgi import get_current_url

from teleconsult.domain.errors import N_, TeleconsultError, Unavailable
from teleconsult.tls.authority import Authority

log = structlog.get_logger(__name__)

HANDSHAKE_SECONDS = 10.0
"""A client that has not finished its handshake by then is let go."""

LOOK_EVERY = 30.0
"""Seconds between looks whether the certificate or the machine's addresses have changed."""

TLS_FIRST_BYTE = b"\x16"
"""A TLS record with a handshake message; no HTTP request begins with it."""


class Contexts:
    """The certificate in force: `current` is what the next connection gets.

    With an `authority` its certificate is made when it is missing and made anew before it ends, or when the machine's
    names change. Given files are read again when they change, so that whatever renews them need not restart the node.
    """

    def __init__(self, certificate: Path, key: Path | None = None, authority: Authority | None = None) -> None:
        self._certificate, self._key, self._authority = certificate, key, authority
        self._seen: tuple[int, ...] = ()
        self.current = self._load()

    @classmethod
    def of_authority(cls, authority: Authority) -> Contexts:
        """A node's own certificate; makes authority and certificate where they are missing or due."""
        if not authority.exists():
            authority.make()
            log.info("a local certificate authority was made", path=str(authority.file))
        _renew_if_due(authority)
        return cls(authority.server_file, authority=authority)

    def look(self) -> None:
        """Renew what is due and take over what has changed. A fault leaves the certificate that is in force."""
        try:
            if self._authority is not None:
                _renew_if_due(self._authority)
            if self._stamp() != self._seen:
                self.current = self._load()
                log.info("a new certificate is in force", path=str(self._certificate))
        except (TeleconsultError, OSError, ValueError) as error:
            log.warning("the certificate could not be renewed", reason=str(error))

    def watch(self, stopping: threading.Event) -> None:
        """Look now and then until `stopping`. Runs in a thread of whoever serves."""
        while not stopping.wait(LOOK_EVERY):
            self.look()

    def _load(self) -> ssl.SSLContext:
        context: ssl.SSLContext = green.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        seen = self._stamp()
        try:
            context.load_cert_chain(self._certificate, self._key, password=_refuse_password)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise Unavailable(
                N_("The certificate %(path)s cannot be used: %(reason)s."), path=self._certificate, reason=reason
            ) from error
        self._seen = seen
        return context

    def _stamp(self) -> tuple[int, ...]:
        files = [self._certificate, *([self._key] if self._key else [])]
        return tuple(file.stat().st_mtime_ns if file.is_file() else 0 for file in files)


def _renew_if_due(authority: Authority) -> None:
    why = authority.why_renew()
    if why is None:
        return
    left_out = authority.renew()
    log.info("the certificate was renewed", reason=why)
    if left_out:
        log.warning("the authority may not vouch for some names of this machine", names=list(left_out))


def _refuse_password() -> str:
    """A key that asks for a password would make the node wait at a terminal that nobody watches."""
    raise ValueError("its key is protected by a password")


class SecureServer(pywsgi.WSGIServer):  # type: ignore[misc]  # gevent has no types
    """pywsgi that wraps each connection by what its client speaks, in the connection's own greenlet."""

    def __init__(self, listener: Any, application: Any, contexts: Contexts, **options: Any) -> None:
        super().__init__(listener, application, handler_class=_Handler, **options)
        self._contexts = contexts

    def handle(self, client: socket.socket, address: Any) -> None:
        """One connection, from its first byte on."""
        spoken: socket.socket
        try:
            with gevent.Timeout(HANDSHAKE_SECONDS):
                if client.recv(1, socket.MSG_PEEK) == TLS_FIRST_BYTE:
                    spoken = self._contexts.current.wrap_socket(client, server_side=True)
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
        return environ


class OnlyHttps:
    """Answers plain HTTP with the way to the same page over HTTPS, but for the paths that begin with `open_paths`."""

    def __init__(self, application: Callable[..., Any], open_paths: tuple[str, ...]) -> None:
        self._application, self._open = application, open_paths

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """One request."""
        if environ["wsgi.url_scheme"] == "https" or environ["PATH_INFO"].startswith(self._open):
            answer: Iterable[bytes] = self._application(environ, start_response)
            return answer
        place = get_current_url({**environ, "wsgi.url_scheme": "https"})
        # Not kept by the browser: the node may be set back to plain HTTP.
        headers = [("Location", iri_to_uri(place)), ("Content-Length", "0"), ("Cache-Control", "no-store")]
        start_response("308 Permanent Redirect", headers)
        return [b""]
