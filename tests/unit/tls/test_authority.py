"""The local authority: what it makes, who may read it, when it makes a new certificate, what it cannot vouch for."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from structlog.testing import capture_logs

from teleconsult.domain.errors import Conflict, InvalidInput, NotFound, Unavailable
from teleconsult.tls import Authority, Contexts, authority, describe, machine
from teleconsult.tls import contexts as contexts_module
from tests.support.certificates import forge


@pytest.fixture
def own(tmp_path: Path) -> Authority:
    made = Authority(tmp_path)
    made.make(["vehicle.local", "192.168.7.7"])
    return made


def move_clock(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    class Moved(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + by

    for module in (authority, contexts_module):
        monkeypatch.setattr(module, "datetime", Moved)


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> None:
    """A real handshake over a pair of sockets; raises what the client makes of the certificate."""
    near, far = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(far, server_side=True).close()
        except OSError:
            far.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        client.wrap_socket(near, server_hostname=name).close()
    finally:
        near.close()
        thread.join(10)


def serving(pem: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def test_only_the_service_can_read_the_keys(own: Authority) -> None:
    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    assert mode(own.folder) == 0o700
    assert mode(own.key_file) == mode(own.server_file) == 0o600
    assert {path.name for path in own.folder.iterdir()} == {"authority.key", "authority.crt", "server.pem", "names"}


def test_the_certificate_has_every_name_and_lives_as_long_as_browsers_allow(own: Authority) -> None:
    certificate = own.server_certificate()
    shown = describe(certificate)
    assert {"localhost", "vehicle.local", "127.0.0.1", "::1", "192.168.7.7"} <= set(shown.names)
    host = socket.gethostname().lower().partition(".")[0]
    assert f"{host}.local" in shown.names
    assert shown.valid_until - shown.valid_from <= timedelta(days=397)
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert len(shown.fingerprint) == 95


@pytest.mark.parametrize("name", ["vehicle.local", "localhost", "127.0.0.1", "::1", "192.168.7.7"])
def test_a_client_that_trusts_the_authority_accepts_it(own: Authority, name: str) -> None:
    shake_hands(ssl.create_default_context(cafile=str(own.file)), serving(own.server_file), name)


def test_a_client_that_does_not_trust_it_or_asks_for_another_name_refuses(own: Authority) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        shake_hands(ssl.create_default_context(), serving(own.server_file), "vehicle.local")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(ssl.create_default_context(cafile=str(own.file)), serving(own.server_file), "other.local")


@pytest.mark.parametrize("names", [["bank.example.com"], ["203.0.113.5"], ["vehicle.local", "bank.example.com"]])
def test_a_stolen_key_cannot_vouch_for_the_rest_of_the_world(own: Authority, tmp_path: Path, names: list[str]) -> None:
    forged = forge(own, tmp_path / "forged.pem", *names)
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        shake_hands(ssl.create_default_context(cafile=str(own.file)), serving(forged), names[0])


def test_the_authority_is_for_servers_alone(own: Authority) -> None:
    root = own.certificate().extensions
    assert list(root.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    permitted = root.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    for kind in (x509.RFC822Name, x509.UniformResourceIdentifier):
        assert [one.value for one in permitted if isinstance(one, kind)] == ["invalid"]


def test_it_is_renewed_in_time_and_keeps_added_names(own: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own.why_renew() is None
    before = own.server_certificate()
    move_clock(monkeypatch, timedelta(days=300))
    assert own.why_renew() is None
    move_clock(monkeypatch, timedelta(days=340))
    assert own.why_renew() == "time"
    own.renew()
    assert own.why_renew() is None
    after = own.server_certificate()
    assert after.not_valid_after_utc > before.not_valid_after_utc
    assert "vehicle.local" in describe(after).names
    assert after.issuer == own.certificate().subject


def test_it_is_renewed_when_the_addresses_change(own: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = {ipaddress.ip_address("10.20.30.40"), ipaddress.ip_address("203.0.113.9")}
    monkeypatch.setattr(machine, "_own_addresses", lambda: moved)
    assert own.why_renew() == "names"
    assert own.renew() == ("203.0.113.9",), "a public address that was not there when the authority was made"
    assert "10.20.30.40" in describe(own.server_certificate()).names
    assert own.why_renew() is None


def test_a_name_beyond_the_authority_needs_another_authority(own: Authority) -> None:
    before = own.server_file.read_bytes()
    with pytest.raises(InvalidInput, match=r"may not vouch for hub\.example\.org"):
        own.renew(["hub.example.org"])
    assert own.server_file.read_bytes() == before
    first = describe(own.certificate()).fingerprint
    own.replace(["hub.example.org"])
    assert describe(own.certificate()).fingerprint != first
    assert {"hub.example.org", "vehicle.local"} <= set(describe(own.server_certificate()).names)
    shake_hands(ssl.create_default_context(cafile=str(own.file)), serving(own.server_file), "hub.example.org")


def test_what_cannot_be_done_is_said(own: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Conflict):
        own.make()
    with pytest.raises(NotFound):
        Authority(tmp_path / "other").renew()
    with pytest.raises(InvalidInput, match="neither"):
        own.renew(["two words"])
    move_clock(monkeypatch, -timedelta(days=20000))
    with pytest.raises(Unavailable, match="clock"):
        Authority(tmp_path / "early").make()
    move_clock(monkeypatch, timedelta(days=4000))
    with pytest.raises(Unavailable, match="expired"):
        own.renew()


@pytest.mark.parametrize(
    ("days", "level", "says"),
    [(3550, None, ""), (3600, "warning", "teleconsult tls next"), (3660, "error", "teleconsult tls renew --authority")],
)
def test_an_authority_that_ends_is_told_once_a_day(
    own: Authority, monkeypatch: pytest.MonkeyPatch, days: int, level: str | None, says: str
) -> None:
    move_clock(monkeypatch, timedelta(days=3400))
    own.renew()
    move_clock(monkeypatch, timedelta(days=days))
    with capture_logs() as said:
        contexts = Contexts.of_authority(own)
        contexts.look()
        told = [one for one in said if one["event"] == "this node's certificate authority"]
        assert [one["log_level"] for one in told] == ([level] if level else [])
        assert all(says in one["advice"] for one in told)
        assert all(f"{own.certificate().not_valid_after_utc:%Y-%m-%d}" in one["problem"] for one in told)
        monkeypatch.setattr(contexts_module, "SAY_AGAIN", 0.0)
        contexts.look()
    assert len([one for one in said if one["event"] == "this node's certificate authority"]) == 2 * len(told)


def test_an_authority_that_has_a_successor_is_told_with_what_is_left_to_do(
    own: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.prepare_next()
    move_clock(monkeypatch, timedelta(days=3600))
    with capture_logs() as said:
        Contexts.of_authority(own)
    assert "When every device trusts the next one: teleconsult tls renew --authority" in [
        one.get("advice") for one in said
    ]


def test_new_connections_get_the_new_certificate(own: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    contexts = Contexts.of_authority(own)
    first = contexts.current
    contexts.look()
    assert contexts.current is first
    move_clock(monkeypatch, timedelta(days=340))
    contexts.look()
    assert contexts.current is not first


def test_a_broken_file_leaves_the_certificate_in_force(own: Authority, tmp_path: Path) -> None:
    given = tmp_path / "given.pem"
    given.write_bytes(own.server_file.read_bytes())
    contexts = Contexts(given)
    first = contexts.current
    given.write_text("half a fi")
    contexts.look()
    assert contexts.current is first
    with pytest.raises(Unavailable, match=r"given.pem"):
        Contexts(given)


@pytest.mark.parametrize("days", [-20000, -400, 4000])
def test_a_node_starts_with_what_is_there_whatever_its_clock_says(
    own: Authority, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    before = own.server_file.read_bytes()
    move_clock(monkeypatch, timedelta(days=days))
    contexts = Contexts.of_authority(own)
    contexts.look()
    assert own.server_file.read_bytes() == before
    shake_hands(ssl.create_default_context(cafile=str(own.file)), contexts.current, "vehicle.local")


def test_a_certificate_that_is_missing_is_made_even_by_a_machine_without_a_clock(
    own: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.server_file.unlink()
    move_clock(monkeypatch, timedelta(days=-20000))
    contexts = Contexts.of_authority(own)
    shake_hands(ssl.create_default_context(cafile=str(own.file)), contexts.current, "vehicle.local")


@pytest.mark.parametrize("broken", ["", "half a fi", "the certificate alone", "another's key"])
def test_a_server_certificate_that_cannot_be_used_is_made_anew(own: Authority, broken: str) -> None:
    pem = own.server_file.read_text()
    key, certificate = pem.partition("-----BEGIN CERT")[::2]
    broken = {
        "the certificate alone": "-----BEGIN CERT" + certificate,
        "another's key": own.key_file.read_text() + "-----BEGIN CERT" + certificate,
    }.get(broken, broken)
    assert key.startswith("-----BEGIN PRIVATE KEY")
    own.server_file.write_text(broken)
    assert own.why_renew() == "missing"
    contexts = Contexts.of_authority(own)
    shake_hands(ssl.create_default_context(cafile=str(own.file)), contexts.current, "vehicle.local")


@pytest.mark.parametrize("lost", ["authority.key", "authority.crt"])
def test_an_authority_that_devices_trust_is_not_replaced_when_a_file_of_it_is_lost(own: Authority, lost: str) -> None:
    root, server = own.file.read_bytes(), own.server_file.read_bytes()
    (own.folder / lost).unlink()
    with capture_logs() as said:
        contexts = Contexts.of_authority(own)
        contexts.look()
    assert own.server_file.read_bytes() == server
    assert not (own.folder / lost).exists()
    trusting = ssl.create_default_context(cadata=root.decode())
    shake_hands(trusting, contexts.current, "vehicle.local")
    errors = [one for one in said if one["log_level"] == "error"]
    assert len(errors) == 1, "said once, not at every look"
    with pytest.raises(Conflict, match="renew --authority"):
        own.make()
    own.replace()
    assert own.why_renew() is None


def test_a_lost_key_is_told_with_the_command_that_mends_it(own: Authority) -> None:
    own.key_file.unlink()
    with capture_logs() as said:
        Contexts.of_authority(own)
    assert "tls renew --authority" in said[0]["reason"]


def test_without_anything_to_serve_a_stopgap_is_served_until_the_clock_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = Authority(tmp_path)
    with monkeypatch.context() as patch:
        move_clock(patch, timedelta(days=-20000))
        contexts = Contexts.of_authority(fresh)
        with pytest.raises(ssl.SSLCertVerificationError, match="self-signed"):
            shake_hands(ssl.create_default_context(), contexts.current, "localhost")
        assert not fresh.folder.exists()
    contexts.look()
    shake_hands(ssl.create_default_context(cafile=str(fresh.file)), contexts.current, "localhost")


def test_a_network_that_is_down_does_not_take_its_address_out_of_the_certificate(
    own: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    lan, other = ipaddress.ip_address("10.20.30.40"), ipaddress.ip_address("10.20.30.41")
    monkeypatch.setattr(machine, "_own_addresses", lambda: {lan})
    own.renew()
    monkeypatch.setattr(machine, "_own_addresses", set)
    assert own.why_renew() is None
    monkeypatch.setattr(machine, "_own_addresses", lambda: {other})
    assert own.why_renew() == "names"
    Contexts.of_authority(own)
    assert {str(lan), str(other)} <= set(describe(own.server_certificate()).names)
    for last in range(50, 50 + 3 * authority.MOST_EARLIER):
        monkeypatch.setattr(machine, "_own_addresses", lambda last=last: {ipaddress.ip_address(f"10.20.30.{last}")})
        Contexts.of_authority(own)
    kept = [name for name in describe(own.server_certificate()).names if name.startswith("10.20.30.")]
    assert len(kept) == 1 + authority.MOST_EARLIER, "only so many, the last ones"
    assert kept[:2] == ["10.20.30.73", "10.20.30.72"]
    own.renew()
    assert str(other) not in describe(own.server_certificate()).names, "a person's command takes the names of now"


def test_the_next_authority_can_be_trusted_before_it_is_in_force(own: Authority, tmp_path: Path) -> None:
    first = own.certificate()
    coming = own.prepare_next(["hub.example.org"])
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(own.bundle())
    assert x509.load_pem_x509_certificates(own.bundle()) == [first, coming]
    trusting = ssl.create_default_context(cafile=str(bundle))
    shake_hands(trusting, serving(own.server_file), "vehicle.local")
    with pytest.raises(InvalidInput, match="next authority"):
        own.replace(["other.example.org"])
    own.replace(["hub.example.org"])
    assert own.certificate() == coming
    assert own.next_certificate() is None
    for name in ("vehicle.local", "hub.example.org"):
        shake_hands(trusting, serving(own.server_file), name)
    assert own.bundle() == own.file.read_bytes()


def test_whatever_goes_wrong_the_watch_goes_on(own: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    contexts = Contexts.of_authority(own)

    def fail(*_: object) -> None:
        raise RuntimeError("a fault nobody thought of")

    monkeypatch.setattr(Authority, "why_renew", fail)
    monkeypatch.setattr(Contexts, "_stamp", fail)
    with capture_logs() as said:
        contexts.look()
        contexts.look()
    assert [one["log_level"] for one in said] == ["error", "error"], "each fault once"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_belongs_to_the_owner_of_the_data_directory(tmp_path: Path) -> None:
    os.chown(tmp_path, 4711, 4712)
    made = Authority(tmp_path)
    made.make()
    made.prepare_next()
    for path in (made.folder, *made.folder.iterdir()):
        assert (path.stat().st_uid, path.stat().st_gid) == (4711, 4712), path


def test_files_that_cannot_be_opened_are_told_with_their_owner(own: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(Unavailable, match=r"belongs to .* run this as that user"):
        own.certificate()
    monkeypatch.setattr(authority, "owner_of", lambda path: "root" if path == own.folder else "teleconsult")
    with pytest.raises(Unavailable, match=r"belongs to root and not to teleconsult.*chown -R teleconsult "):
        own.certificate()
