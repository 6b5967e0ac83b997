"""The certificate that a node serves with now, and the watch over it: renewed, read again, complained about in time.

A node never stops for a certificate of its own: what cannot be renewed is served as it is, and where there is nothing
to serve, a stopgap vouches for itself until there is. Files that an operator has given have to be usable at the start.
"""

from __future__ import annotations

import ssl
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import structlog
from gevent import ssl as green

from teleconsult.domain.errors import N_, TeleconsultError, Unavailable
from teleconsult.tls import signing
from teleconsult.tls.authority import Authority
from teleconsult.tls.ending import trouble_of_authority
from teleconsult.tls.given import Trouble, is_publicly_trusted, troubles_of
from teleconsult.tls.machine import machine_names

log = structlog.get_logger(__name__)

LOOK_EVERY = 30.0
"""Seconds between looks whether the certificate or the machine's addresses have changed."""

SAY_AGAIN = 24 * 3600.0
"""Seconds until the log is told again of what has not changed."""


class Contexts:
    """The certificate in force: `current` is what the next connection gets.

    With an `authority` its certificate is made when it is missing and made anew before it ends, or when the machine's
    names change. Given files are read again when they change, so that whatever renews them need not restart the node.
    `is_public` says whether it is a certificate that the machine's own trust store vouches for.
    """

    def __init__(self, certificate: Path, key: Path | None = None, authority: Authority | None = None) -> None:
        self._certificate, self._key, self._authority = certificate, key, authority
        self._seen: tuple[int, ...] = ()
        self._said: dict[str, float] = {}
        self.is_public = False
        self._tend()
        try:
            self._take_over()
        except Unavailable as error:
            if authority is None:
                raise
            self.current = _stopgap()
            log.error("served with a certificate that nobody trusts", reason=str(error))
        self._warn()

    @classmethod
    def of_authority(cls, authority: Authority) -> Contexts:
        """A node's own certificate; makes authority and certificate where they are missing or due."""
        return cls(authority.server_file, authority=authority)

    def look(self) -> None:
        """Renew what is due and take over what has changed. A fault leaves the certificate that is in force."""
        self._tend()
        try:
            if self._stamp() != self._seen:
                self._take_over()
                log.info("a new certificate is in force", path=str(self._certificate))
        except Exception as error:  # whatever it is, the next look has to come
            if self._is_news(f"load {error}"):
                log.error("the certificate could not be taken over", reason=str(error) or repr(error))
        self._warn()

    def watch(self, stopping: threading.Event) -> None:
        """Look now and then until `stopping`. Runs in a thread of whoever serves."""
        while not stopping.wait(LOOK_EVERY):
            self.look()

    def _tend(self) -> None:
        """Make or renew what this node's own authority owes it. Nothing that fails here stops the node."""
        if self._authority is None:
            return
        try:
            _make_what_is_due(self._authority)
        except Exception as error:
            if self._is_news(f"renew {error}"):
                known = isinstance(error, TeleconsultError | OSError)
                log.error("the certificate could not be renewed", reason=str(error) or repr(error), exc_info=not known)

    def _warn(self) -> None:
        """Tell what only a person can mend: of the given certificate, or of this node's own authority."""
        try:
            if self._authority is None:
                for trouble in troubles_of(self._certificate, datetime.now(UTC)):
                    self._tell("the given certificate", trouble, self._certificate)
            elif ending := trouble_of_authority(self._authority, datetime.now(UTC)):
                self._tell("this node's certificate authority", ending, self._authority.file)
        except Exception as error:
            if self._authority is not None and isinstance(error, TeleconsultError):
                return  # it cannot be read, which `_tend` has told
            if self._is_news(f"judge {error}"):
                log.error("the certificate could not be looked at", reason=str(error) or repr(error))

    def _tell(self, what: str, trouble: Trouble, path: Path) -> None:
        if self._is_news(trouble.sentence + trouble.advice):
            write = log.error if trouble.is_broken else log.warning
            write(what, problem=str(trouble), advice=trouble.advice, path=str(path))

    def _is_news(self, what: str) -> bool:
        """Whether this was not said within the last day."""
        now = time.monotonic()
        self._said = {one: at for one, at in self._said.items() if now - at < SAY_AGAIN}
        return self._said.setdefault(what, now) == now

    def _take_over(self) -> None:
        seen = self._stamp()
        self.current = load(self._certificate, self._key)
        # Our own authority may have been put into this machine's trust store; it is in no browser's.
        self.is_public = self._authority is None and is_publicly_trusted(self._certificate, self.current)
        self._seen = seen

    def _stamp(self) -> tuple[int, ...]:
        files = [self._certificate, *([self._key] if self._key else [])]
        return tuple(_changed_at(file) for file in files)


def load(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """What serves with these files. Raises Unavailable when they cannot be used."""
    context: ssl.SSLContext = green.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_refuse_password)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Unavailable(
            N_("The certificate %(path)s cannot be used: %(reason)s."), path=certificate, reason=reason
        ) from error
    return context


def _make_what_is_due(authority: Authority) -> None:
    if not authority.exists() and not authority.has_begun():
        authority.make()
        log.info("a local certificate authority was made", path=str(authority.file))
        return
    why = authority.why_renew()
    if why is None:
        return
    left_out = authority.renew(keep_earlier=why == "names")
    log.info("the certificate was renewed", reason=why)
    if left_out:
        log.warning("the authority may not vouch for some names of this machine", names=list(left_out))


def _stopgap() -> ssl.SSLContext:
    with tempfile.TemporaryDirectory() as folder:
        pem = Path(folder) / "stopgap.pem"
        pem.touch(0o600)
        pem.write_bytes(signing.stopgap(machine_names(), datetime.now(UTC)))
        return load(pem, None)


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _refuse_password() -> str:
    """A key that asks for a password would make the node wait at a terminal that nobody watches."""
    raise ValueError("its key is protected by a password")
