"""HTTPS for a node: a local certificate authority, and a web server that speaks TLS and plain HTTP on one port.

Browsers give camera and microphone only to pages from a secure context. A clinic vehicle has no public name, so no
public authority can vouch for it: the node makes an authority of its own, which people trust once on each device.
"""

from __future__ import annotations

from teleconsult.tls.authority import Authority, Certificate, describe
from teleconsult.tls.machine import Names, machine_names
from teleconsult.tls.server import Contexts, OnlyHttps, SecureServer

__all__ = ["Authority", "Certificate", "Contexts", "Names", "OnlyHttps", "SecureServer", "describe", "machine_names"]
