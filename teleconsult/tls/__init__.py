"""HTTPS for a node: a local certificate authority, and a web server that speaks TLS and plain HTTP on one port.

Browsers give camera and microphone only to pages from a secure context. A clinic vehicle has no public name, so no
public authority can vouch for it: the node makes an authority of its own, which people trust once on each device.
"""

from __future__ import annotations

from teleconsult.tls.authority import Authority, owner_of
from teleconsult.tls.contexts import Contexts
from teleconsult.tls.ending import trouble_of_authority
from teleconsult.tls.given import Trouble, covers, names_of, troubles_of
from teleconsult.tls.machine import Names, machine_names, parse_name
from teleconsult.tls.server import PUBLIC_CERTIFICATE, OnlyHttps, SecureServer
from teleconsult.tls.signing import Certificate, describe, names_in

__all__ = [
    "PUBLIC_CERTIFICATE",
    "Authority",
    "Certificate",
    "Contexts",
    "Names",
    "OnlyHttps",
    "SecureServer",
    "Trouble",
    "covers",
    "describe",
    "machine_names",
    "names_in",
    "names_of",
    "owner_of",
    "parse_name",
    "trouble_of_authority",
    "troubles_of",
]
