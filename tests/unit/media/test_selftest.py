"""What the self-test makes of an offer; and that workers follow addresses that change under them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from teleconsult.media import MediaConfig, MediaWorkers, WorkerSignalling, check_addresses, selftest
from teleconsult.media.messages import Probe, ProbeResult
from teleconsult.media.selftest import offered

OFFER = "v=0\r\na=candidate:1 1 udp 2130706431 10.0.0.5 40000 typ host\r\n"
GOOD = ProbeResult(outcome="ok", asked=20, answered=20, rtt_ms=1.0, worst_ms=2.0, connect_ms=30.0)


class Offering:
    """Offers one IPv4 address."""

    ports = (40_000, 40_999)

    def open(self) -> tuple[str, str]:
        return "one", OFFER

    def answer(self, name: str, description: dict[str, str]) -> None: ...

    def close(self, name: str) -> None: ...


@pytest.mark.parametrize("here", [True, False])
def test_an_announced_address_that_is_not_offered_is_to_be_mended(monkeypatch: pytest.MonkeyPatch, here: bool) -> None:
    def well(signalling: object, name: str, command: Probe) -> ProbeResult:
        return GOOD

    monkeypatch.setattr(selftest, "_try", well)
    found = check_addresses(Offering(), announced=("2001:db8::7", "10.0.0.5"), here=here)
    assert [(one.address, one.outcome, one.well) for one in found] == [
        ("10.0.0.5", "ok", True),
        ("2001:db8::7", "not_offered", False),
    ]
    missing = found[1]
    assert missing.sentence % missing.params == (
        "2001:db8::7 is announced, but calls have no IPv6 address here, so it is not offered."
    )
    assert (missing.advice % missing.params).startswith("Name this machine's own IPv6 address")


@pytest.fixture
def workers() -> Iterator[MediaWorkers]:
    made = MediaWorkers(
        MediaConfig(workers=1, addresses=("127.0.0.1",), announced=("203.0.113.7",)), lambda event: None
    )
    made.start()
    yield made
    made.stop()


def addresses_now(workers: MediaWorkers) -> list[str]:
    signalling = WorkerSignalling(workers)
    name, sdp = signalling.open()
    signalling.close(name)
    return offered(sdp)


def test_new_rooms_get_the_addresses_of_now(workers: MediaWorkers) -> None:
    workers.announce(("127.0.0.1",), ("203.0.113.8",))  # before it is ready
    assert addresses_now(workers) == ["127.0.0.1", "203.0.113.8"]
    workers.announce(("127.0.0.1",), ("203.0.113.9", "203.0.113.10"))
    assert addresses_now(workers) == ["127.0.0.1", "203.0.113.9", "203.0.113.10"]
