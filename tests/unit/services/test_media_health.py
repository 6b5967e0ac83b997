"""The hub's media test follows names, and tells the log what is wrong and how to mend it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from teleconsult import media
from teleconsult.domain.errors import Unavailable
from teleconsult.media import AddressResult, MediaConfig, MediaWorkers, addresses
from teleconsult.media.addresses import LocalAddress
from teleconsult.media.messages import ProbeResult
from teleconsult.services.media_health import MediaHealth
from teleconsult.services.node import Node

SILENT = ProbeResult(outcome="no_answer", asked=20, answered=0)
GOOD = ProbeResult(outcome="ok", asked=20, answered=20, rtt_ms=1.0, worst_ms=2.0, connect_ms=30.0)


class Workers(MediaWorkers):
    """Workers that are never started and remember what they were told."""

    def __init__(self) -> None:
        super().__init__(MediaConfig(workers=1), lambda event: None)
        self.told: list[tuple[str, ...]] = []

    def announce(self, addresses: tuple[str, ...], announced: tuple[str, ...]) -> None:
        self.told.append(announced)


@pytest.fixture
def hub(new_node: Callable[..., Node]) -> Node:
    node = new_node(media_addresses="media.example.org,203.0.113.1")
    node.media = Workers()
    return node


def told(hub: Node) -> list[tuple[str, ...]]:
    assert isinstance(hub.media, Workers)
    return hub.media.told


def test_a_name_that_leads_elsewhere_is_followed(hub: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"media.example.org": ["203.0.113.7"]}
    monkeypatch.setattr(addresses, "resolve", lambda name: answers.get(name, [] if "example" in name else [name]))
    health = MediaHealth(hub, media.plan(hub.settings.media_addresses))
    assert not health.follow_names()
    answers["media.example.org"] = ["203.0.113.8"]
    assert health.follow_names()
    assert told(hub) == [("203.0.113.8", "203.0.113.1")]
    del answers["media.example.org"]
    for _ in range(2):
        assert not health.follow_names(), "what nobody knows now keeps what it led to last"
    answers["media.example.org"] = ["203.0.113.9"]
    assert health.follow_names()
    assert told(hub)[1:] == [("203.0.113.9", "203.0.113.1")]


def test_an_own_address_that_goes_stays_bound_and_is_told(
    new_node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = new_node(media_addresses="192.168.9.2")
    hub.media = Workers()
    there = [LocalAddress("192.168.9.2", "eth0"), LocalAddress("10.1.1.1", "eth1")]
    monkeypatch.setattr(addresses, "machine_addresses", lambda: there)
    monkeypatch.setattr(media, "check_addresses", lambda *words, **named: [])
    health = MediaHealth(hub, media.plan(hub.settings.media_addresses))
    gone = there.pop(0)
    assert health.follow_names(), "worth another test"
    with capture_logs() as said:
        report = health.run()
    assert told(hub) == [], "no other address takes its place"
    assert report.away == ("192.168.9.2",)
    assert not report.well
    assert [line["problem"] for line in said if line["log_level"] == "error"] == [
        "The media address 192.168.9.2 is not on this machine now, and no call can use it. "
        "Look at its cable, its interface and DHCP."
    ]
    assert not health.follow_names()
    there.append(gone)
    assert health.follow_names()
    assert health.run().well


def test_each_test_resolves_names_anew_and_tests_what_they_lead_to(hub: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "resolve", lambda name: ["203.0.113.7"])
    health = MediaHealth(hub, media.Plan(announced=("203.0.113.6",)))
    asked: list[object] = []

    def check(signalling: object, *, announced: tuple[str, ...]) -> list[AddressResult]:
        asked.append(announced)
        return []

    monkeypatch.setattr(media, "check_addresses", check)
    health.run()
    assert asked == told(hub) == [("203.0.113.7",)]


def test_what_is_wrong_and_how_to_mend_it_reach_the_log(hub: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "resolve", lambda name: [] if "example" in name else [name])
    bad = AddressResult("10.0.0.5", (40_000, 40_999), False, SILENT, True)
    good = AddressResult("10.0.0.6", (40_000, 40_999), False, GOOD, True)
    monkeypatch.setattr(media, "check_addresses", lambda *words, **named: [bad, good])
    with capture_logs() as said:
        MediaHealth(hub, media.Plan(announced=("203.0.113.1",))).run()
    errors = [line for line in said if line["log_level"] == "error"]
    assert [line.get("problem") or line.get("found") or line.get("advice") for line in errors] == [
        "The media address media.example.org is no address, and no name server knows it.",
        "UDP 40000–40999 to 10.0.0.5 is not answered.",
        "Open UDP 40000–40999 in this machine's firewall.",
    ]
    assert [line["address"] for line in said if line["log_level"] == "info"] == ["10.0.0.6"]


def test_that_nothing_could_be_tried_reaches_the_log(hub: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "resolve", lambda name: ["203.0.113.7"])

    def fail(*words: object, **named: object) -> None:
        raise Unavailable("The media worker ended the try before it began.")

    monkeypatch.setattr(media, "check_addresses", fail)
    with capture_logs() as said:
        MediaHealth(hub, media.Plan(announced=("203.0.113.7",))).run()
    assert [(line["log_level"], line["problem"]) for line in said] == [
        ("error", "The media worker ended the try before it began.")
    ]
