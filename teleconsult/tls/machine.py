"""The names and addresses under which browsers may reach this machine. Looks at the machine, asks nobody."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass

import ifaddr

from teleconsult.domain.errors import N_, InvalidInput

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST_NAMES = 60
"""More addresses than this (a machine with many virtual networks) would make a certificate that clients refuse."""

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


@dataclass(frozen=True)
class Names:
    """DNS names, in lower case, and IP addresses; each once, in a fixed order."""

    names: tuple[str, ...]
    addresses: tuple[Address, ...]

    def all(self) -> tuple[str, ...]:
        """Both as text."""
        return (*self.names, *(str(address) for address in self.addresses))


def machine_names(extra: Iterable[str] = ()) -> Names:
    """Everything this machine is called now: its host name, also under `.local`, `localhost`, its addresses but for
    link-local ones (which no browser can open), and what a person added. Raises InvalidInput for a bad addition."""
    names, addresses = ["localhost"], [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]
    host = socket.gethostname().lower().rstrip(".")
    if is_name(host):
        short = host.partition(".")[0]
        names += [host, short, f"{short}.local"]
    for text in extra:
        name, address = parse_name(text)
        names += [name] if name else []
        addresses += [address] if address else []
    addresses += sorted(_own_addresses(), key=lambda address: (address.version, int(address)))
    return Names(tuple(dict.fromkeys(names)), tuple(dict.fromkeys(addresses))[:MOST_NAMES])


def parse_name(text: str) -> tuple[str, Address | None]:
    """A name (and no address) or an address (and no name). Raises InvalidInput for neither."""
    text = text.strip().lower().rstrip(".").removeprefix("[").removesuffix("]")
    try:
        return "", ipaddress.ip_address(text)
    except ValueError:
        if is_name(text):
            return text, None
    raise InvalidInput(N_("“%(name)s” is neither a host name nor an IP address."), name=text)


def is_name(text: str) -> bool:
    """Whether this can stand in a certificate as a DNS name."""
    return 0 < len(text) <= 253 and all(_LABEL.fullmatch(label) for label in text.split("."))


def _own_addresses() -> set[Address]:
    found = set()
    for adapter in ifaddr.get_adapters():
        for one in adapter.ips:
            address = ipaddress.ip_address(one.ip if isinstance(one.ip, str) else one.ip[0])
            if not (address.is_link_local or address.is_loopback or address.is_unspecified or address.is_multicast):
                found.add(address)
    return found
