"""What is to be said of certificate files that an operator has given: their dates, their names, who vouches for them.

Judges and reads; the certificate that is served is `contexts`' matter.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from teleconsult.domain.errors import N_
from teleconsult.tls.signing import is_made_by_a_node, names_in

ENDS_SOON = timedelta(days=14)


@dataclass(frozen=True)
class Trouble:
    """Something to be said of a certificate. `is_broken`: browsers refuse it now. `params` fills the sentence."""

    is_broken: bool
    sentence: str
    advice: str
    params: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.sentence % self.params


def troubles_of(certificate: Path, now: datetime) -> list[Trouble]:
    """What browsers would find wrong with the first certificate of a file (PEM), now or within two weeks. Raises
    OSError and ValueError when it cannot be read."""
    leaf = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    renew = N_("Renew it: the node takes the new files over by itself.")
    found = []
    ends = leaf.not_valid_after_utc
    date = {"date": f"{ends:%Y-%m-%d}"}
    if ends <= now:
        found.append(Trouble(True, N_("The certificate has expired on %(date)s."), renew, date))
    elif ends < now + ENDS_SOON:
        found.append(Trouble(False, N_("The certificate ends on %(date)s."), renew, date))
    if leaf.not_valid_before_utc > now:
        date = {"date": f"{leaf.not_valid_before_utc:%Y-%m-%d}"}
        clock = N_("Look whether this machine's clock is right.")
        found.append(Trouble(True, N_("The certificate is valid from %(date)s only."), clock, date))
    if not names_in(leaf):
        advice = N_("Have one made with the node's name as a subject alternative name.")
        found.append(Trouble(True, N_("The certificate names no address, so every browser refuses it."), advice))
    return found


def names_of(certificate: Path) -> tuple[str, ...]:
    """The names that a certificate file is for. Raises OSError and ValueError."""
    return names_in(x509.load_pem_x509_certificates(certificate.read_bytes())[0])


def covers(names: tuple[str, ...], host: str) -> bool:
    """Whether a certificate with these names is good for this host: as it is, or by `*.` for its first label."""
    host = host.lower().rstrip(".")
    _, _, parent = host.partition(".")
    return any(name.lower() in (host, f"*.{parent}" if parent else host) for name in names)


def is_publicly_trusted(certificate: Path, server: ssl.SSLContext) -> bool:
    """Whether a public authority vouches for what `server` serves with, as far as this machine's trust store tells: a
    handshake in memory asks it. Never for what vouches for itself or comes from an authority that a node has made:
    somebody may have put those into the store of this machine, and browsers elsewhere know nothing of it."""
    try:
        leaf = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    except (OSError, ValueError):
        return False
    names = names_in(leaf)
    if not names or leaf.issuer == leaf.subject or is_made_by_a_node(leaf):
        return False
    name = names[0].replace("*", "any", 1)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(to_client, to_server, server_hostname=name)
    serving = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):  # a handshake takes two rounds
        done = True
        for end in (client, serving):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                done = False
            except ssl.SSLError:
                return False
        if done:
            return True
    return False
