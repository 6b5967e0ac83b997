"""Given certificate files: what is said of them, and when they count as real ones."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from teleconsult.tls import Authority, Contexts, covers, troubles_of
from teleconsult.tls import contexts as contexts_module
from tests.support.certificates import PublicAuthority


@pytest.fixture
def public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PublicAuthority:
    """An authority that this machine's trust store knows."""
    made = PublicAuthority(tmp_path / "public")
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made


@pytest.mark.parametrize(
    ("names", "dates", "says"),
    [
        (["hub.example.org"], {}, []),
        (["hub.example.org"], {"days": 13.5}, ["The certificate ends on "]),
        (["hub.example.org"], {"days": -0.5, "from_days": -9}, ["The certificate has expired on "]),
        (["hub.example.org"], {"from_days": 2}, ["The certificate is valid from "]),
        ([], {}, ["The certificate names no address"]),
    ],
)
def test_dates_and_names_are_looked_at(
    public: PublicAuthority, names: list[str], dates: dict[str, float], says: list[str]
) -> None:
    found = troubles_of(public.sign(*names, **dates), datetime.now(UTC))  # type: ignore[arg-type]
    assert len(found) == len(says)
    for one, begins in zip(found, says, strict=True):
        assert str(one).startswith(begins)
        assert one.is_broken is ("ends on" not in begins)


def test_a_node_tells_its_log_once_a_day_and_serves(public: PublicAuthority, monkeypatch: pytest.MonkeyPatch) -> None:
    with capture_logs() as said:
        contexts = Contexts(public.sign("hub.example.org", days=5))
        contexts.look()
        assert [one["log_level"] for one in said] == ["warning"]
        monkeypatch.setattr(contexts_module, "SAY_AGAIN", 0.0)
        contexts.look()
    assert len(said) == 2
    with capture_logs() as said:
        Contexts(public.sign("hub.example.org", days=-0.5, from_days=-9))
    assert [one["log_level"] for one in said] == ["error"]


@pytest.mark.parametrize("names", [["hub.example.org"], ["*.example.org"], ["203.0.113.5"]])
def test_what_the_trust_store_vouches_for_is_public(public: PublicAuthority, names: list[str]) -> None:
    assert Contexts(public.sign(*names)).is_public


def test_what_it_does_not_vouch_for_is_not(public: PublicAuthority, tmp_path: Path) -> None:
    other = PublicAuthority(tmp_path / "other")
    assert not Contexts(other.sign("hub.example.org")).is_public
    assert not Contexts(public.sign("hub.example.org", days=-0.5, from_days=-9)).is_public, "expired"
    assert not Contexts(public.sign()).is_public, "no name"


def test_neither_a_self_signed_one_nor_a_nodes_own_is_public_though_it_be_in_the_store(
    public: PublicAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = public.sign("hub.example.org", own=True)
    authority = Authority(tmp_path)
    authority.make()
    store = tmp_path / "store.pem"
    store.write_bytes(alone.read_bytes() + authority.file.read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(store))
    assert len(ssl.create_default_context().get_ca_certs()) >= 1
    assert not Contexts(alone).is_public
    assert not Contexts(authority.server_file).is_public
    assert not Contexts.of_authority(authority).is_public


def test_a_renewed_file_is_judged_anew(public: PublicAuthority) -> None:
    given = public.sign("hub.example.org", own=True)
    contexts = Contexts(given)
    assert not contexts.is_public
    given.write_bytes(public.sign("hub.example.org").read_bytes())
    contexts.look()
    assert contexts.is_public


def test_which_hosts_a_name_covers() -> None:
    assert covers(("hub.example.org",), "HUB.example.org.")
    assert covers(("*.example.org",), "hub.example.org")
    assert not covers(("*.example.org",), "a.hub.example.org")
    assert not covers(("*.example.org",), "example.org")
    assert not covers(("*.org", "hub"), "org")
    assert covers(("10.0.0.5",), "10.0.0.5")
