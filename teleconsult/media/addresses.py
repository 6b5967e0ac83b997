"""Which addresses a media worker binds and offers: those of this machine that a browser can reach, and public ones.

Interfaces of containers and virtual machines lead to this machine only, link-local addresses need a zone that no
browser knows, and temporary IPv6 addresses end under a call that lasts: none is offered. What the operator names
counts before what is found. Decides; binds nothing.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import ifaddr

from teleconsult.domain.errors import N_

MAX_ADDRESSES: Final = 8
"""Addresses offered; a browser tries every pair of its own and ours."""

INTERNAL: Final = re.compile(
    r"(docker|br-[0-9a-f]{12}$|veth|virbr|vmnet|vboxnet|lxcbr|lxdbr|lxc|cni|flannel|cali|podman|kube|vEthernet)"
)
"""Interfaces of containers and virtual machines on this machine."""

TUNNEL: Final = re.compile(r"(tun|tap|wg|tailscale|zt|ppp|ipsec|utun)")
"""Interfaces of VPNs: offered after the others, since a way without one is shorter."""

TEMPORARY, TENTATIVE, DEPRECATED, REFUSED = 0x01, 0x40, 0x20, 0x08
"""Flags of an IPv6 address in /proc/net/if_inet6 (Linux, include/uapi/linux/if_addr.h)."""


@dataclass(frozen=True, slots=True)
class LocalAddress:
    """An address of this machine, and the interface it is on. `flags` as Linux has them for IPv6, else 0."""

    host: str
    interface: str
    flags: int = 0
    is_up: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """What to bind (empty: what is found at each call), what to announce besides, the names nobody knows, and those of
    `addresses` that this machine had before and has not now."""

    addresses: tuple[str, ...] = ()
    announced: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    away: tuple[str, ...] = ()

    def after(self, before: Plan) -> Plan:
        """This one, found anew: what was bound stays bound while its interface is down, and what a name led to last is
        kept while no name server knows it."""
        away = tuple(host for host in self.announced if host in before.addresses)
        bound, announced = [*self.addresses, *away], list(self.announced)
        if self.unknown:
            bound += before.addresses
            announced += before.announced
        beside = (host for host in dict.fromkeys(announced) if host not in bound)
        return Plan(tuple(dict.fromkeys(bound)), tuple(beside), self.unknown, away)


UNKNOWN_NAME: Final = N_("The media address %(name)s is no address, and no name server knows it.")
"""For each of `Plan.unknown`."""

AWAY: Final = N_(
    "The media address %(address)s is not on this machine now, and no call can use it. Look at its cable, its "
    "interface and DHCP."
)
"""For each of `Plan.away`."""

PRIVATE: Final = tuple(
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
)
"""Networks without a way through the internet (RFC 1918, RFC 4193, link-local)."""


def plan(named: Iterable[str]) -> Plan:
    """What the addresses and host names that an operator has named come to.

    An address of this machine is bound, and then no other is; any other is announced beside those bound, with the same
    port numbers: a NAT before this machine must keep them. Also a private address that is not on this machine: whether
    it is of a NAT in a county's own network or of an interface that is down cannot be seen. Names are resolved now.
    """
    local = {one.host for one in machine_addresses()}
    bound: list[str] = []
    announced: list[str] = []
    unknown: list[str] = []
    for name in named:
        hosts = resolve(name)
        if not hosts:
            unknown.append(name)
        for host in hosts:
            place = bound if host in local or ipaddress.ip_address(host).is_loopback else announced
            if host not in place:
                place.append(host)
    return Plan(tuple(bound), tuple(announced), tuple(unknown))


def resolve(name: str) -> list[str]:
    """The addresses of a host name, or the address itself, in its usual form; empty if nobody knows it."""
    try:
        return [str(ipaddress.ip_address(name.strip("[]")))]
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def is_private(host: str) -> bool:
    """Whether an address is of a network without a way through the internet."""
    address = ipaddress.ip_address(host)
    return any(address in network for network in PRIVATE)


def host_addresses() -> list[str]:
    """This machine's addresses that a browser could reach, the best first; loopback if there is no other."""
    return choose(machine_addresses()) or _loopback()


def choose(found: Sequence[LocalAddress]) -> list[str]:
    """Those of the addresses found that are worth offering, the best first."""
    good = [one for one in found if _can_be_offered(one)]
    if all(INTERNAL.match(one.interface) for one in good):
        chosen = good  # a machine that has nothing else is reached by what it has
    else:
        chosen = [one for one in good if not INTERNAL.match(one.interface)]
    lasting = {one.interface for one in chosen if ":" in one.host and not one.flags & TEMPORARY}
    chosen = [one for one in chosen if not (one.flags & TEMPORARY and one.interface in lasting)]
    chosen.sort(key=lambda one: bool(TUNNEL.match(one.interface)))
    return list(dict.fromkeys(one.host for one in chosen))[:MAX_ADDRESSES]


def _can_be_offered(one: LocalAddress) -> bool:
    address = ipaddress.ip_address(one.host)
    useless = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
    return one.is_up and not useless and not one.flags & (TENTATIVE | DEPRECATED | REFUSED)


def machine_addresses() -> list[LocalAddress]:
    """Every address of this machine, as the system lists them."""
    flags = _flags()
    found: list[LocalAddress] = []
    for adapter in ifaddr.get_adapters():
        name = adapter.nice_name
        for ip in adapter.ips:
            host = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            host = str(ipaddress.ip_address(host.partition("%")[0]))
            found.append(LocalAddress(host, name, flags.get(host, 0), _is_up(name)))
    return found


def _flags() -> dict[str, int]:
    """Linux's flags of this machine's IPv6 addresses; empty elsewhere."""
    try:
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        return {}
    rows = [line.split() for line in lines]
    return {str(ipaddress.IPv6Address(int(row[0], 16))): int(row[4], 16) for row in rows if len(row) >= 6}


def _is_up(interface: str) -> bool:
    """Whether something is at the other end; yes where the system does not say."""
    try:
        return Path(f"/sys/class/net/{interface}/operstate").read_text().strip() not in ("down", "lowerlayerdown")
    except OSError:
        return True


def _loopback() -> list[str]:
    """Of loopback's two addresses the one that is there, IPv4 before IPv6."""
    hosts = {one.host for one in machine_addresses()}
    return ["::1"] if "::1" in hosts and "127.0.0.1" not in hosts else ["127.0.0.1"]
