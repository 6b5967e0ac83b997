"""Which of a machine's addresses are offered, and what an operator's list comes to."""

from __future__ import annotations

import pytest

from teleconsult.media import addresses
from teleconsult.media.addresses import DEPRECATED, MAX_ADDRESSES, TEMPORARY, TENTATIVE, LocalAddress, choose, plan

LAN = LocalAddress("192.168.8.20", "eth0")


def test_addresses_that_lead_nowhere_are_not_offered() -> None:
    found = [
        LocalAddress("127.0.0.1", "lo"),
        LocalAddress("::1", "lo"),
        LocalAddress("169.254.3.4", "eth1"),
        LocalAddress("fe80::1", "eth0"),
        LocalAddress("172.17.0.1", "docker0"),
        LocalAddress("172.18.0.1", "br-0123456789ab"),
        LocalAddress("192.168.122.1", "virbr0"),
        LocalAddress("10.1.1.1", "eth2", is_up=False),
        LAN,
        LocalAddress("10.8.0.1", "br-lan"),
    ]
    assert choose(found) == ["192.168.8.20", "10.8.0.1"]


def test_machine_that_has_only_a_container_bridge_offers_that() -> None:
    assert choose([LocalAddress("172.17.0.2", "docker0"), LocalAddress("127.0.0.1", "lo")]) == ["172.17.0.2"]


def test_ways_without_a_vpn_come_first_and_the_vpn_is_kept() -> None:
    assert choose([LocalAddress("10.9.0.2", "wg0"), LocalAddress("100.64.0.9", "tailscale0"), LAN]) == [
        "192.168.8.20",
        "10.9.0.2",
        "100.64.0.9",
    ]


def test_lasting_ipv6_address_is_offered_and_what_ends_soon_is_not() -> None:
    lasting = LocalAddress("2001:db8::20", "eth0")
    temporary = LocalAddress("2001:db8::9999", "eth0", TEMPORARY)
    old = LocalAddress("2001:db8:1::20", "eth0", DEPRECATED)
    unproven = LocalAddress("2001:db8:2::20", "eth0", TENTATIVE)
    assert choose([temporary, old, unproven, lasting, LAN]) == ["2001:db8::20", "192.168.8.20"]
    assert choose([temporary]) == ["2001:db8::9999"], "better than none"


def test_number_of_addresses_is_bounded() -> None:
    assert len(choose([LocalAddress(f"10.0.0.{n}", f"eth{n}") for n in range(1, 40)])) == MAX_ADDRESSES


def test_operators_list_binds_what_is_this_machines_and_announces_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "machine_addresses", lambda: [LAN, LocalAddress("2001:db8::20", "eth0")])
    assert plan([]) == addresses.Plan()
    assert plan(["203.0.113.7"]) == addresses.Plan((), ("203.0.113.7",), ())
    made = plan(["203.0.113.7", "192.168.8.20", "[2001:DB8:0::20]", "203.0.113.7"])
    assert made == addresses.Plan(("192.168.8.20", "2001:db8::20"), ("203.0.113.7",), ())


def test_an_own_address_stays_bound_while_its_interface_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    there = [LAN, LocalAddress("10.1.1.1", "eth1")]
    monkeypatch.setattr(addresses, "machine_addresses", lambda: there)
    named = ["203.0.113.7", "192.168.8.20"]
    first = plan(named)
    there.remove(LAN)
    down = plan(named).after(first)
    assert down == addresses.Plan(("192.168.8.20",), ("203.0.113.7",), (), ("192.168.8.20",))
    assert plan(named).after(down) == down
    there.append(LAN)
    assert plan(named).after(down) == first


def test_an_own_address_that_comes_after_the_start_is_bound_and_no_longer_announced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = [LocalAddress("10.1.1.1", "eth1")]
    monkeypatch.setattr(addresses, "machine_addresses", lambda: there)
    named = ["192.168.8.20", "no-such-host.invalid"]
    early = plan(named)
    assert early.announced == ("192.168.8.20",), "it may be that of a NAT in a private network"
    there.append(LAN)
    assert plan(named).after(early) == addresses.Plan(("192.168.8.20",), (), ("no-such-host.invalid",))


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("10.1.2.3", True),
        ("172.31.0.1", True),
        ("172.32.0.1", False),
        ("192.168.9.2", True),
        ("fd00::5", True),
        ("fe80::5", True),
        ("203.0.113.7", False),
        ("100.64.0.9", False),
        ("2001:db8::7", False),
    ],
)
def test_private_addresses_are_known(host: str, private: bool) -> None:
    assert addresses.is_private(host) is private


def test_names_are_resolved_and_unknown_ones_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "machine_addresses", lambda: [LAN])
    assert plan(["localhost"]).addresses[0] in ("127.0.0.1", "::1")
    assert plan(["no-such-host.invalid", "203.0.113.7"]) == addresses.Plan(
        (), ("203.0.113.7",), ("no-such-host.invalid",)
    )


def test_machine_with_loopback_alone_offers_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "machine_addresses", lambda: [LocalAddress("127.0.0.1", "lo")])
    assert addresses.host_addresses() == ["127.0.0.1"]
    monkeypatch.setattr(addresses, "machine_addresses", lambda: [LocalAddress("::1", "lo")])
    assert addresses.host_addresses() == ["::1"]


def test_what_the_system_lists_can_be_read_here() -> None:
    assert any(one.host == "127.0.0.1" and one.is_up for one in addresses.machine_addresses())
