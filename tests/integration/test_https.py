"""HTTPS of a running node: its own authority, given files, plain HTTP beside it, the vehicle's link to a hub."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import socketio

from teleconsult.services.vehicles import make_key
from teleconsult.store import Store, migrate
from teleconsult.store.tables import Vehicle
from teleconsult.tls import Authority, describe
from tests.support.certificates import PublicAuthority
from tests.support.served import Served
from tests.support.world import World

VEHICLE_SETTINGS = {"kind": "vehicle", "port": 0, "tls": "own", "load_plugins": "", "log_level": "debug"}


class Node:
    """A served node and the way to ask it over either protocol."""

    def __init__(self, folder: Path, served: Served, trusted: Path | None = None) -> None:
        self.folder, self.served = folder, served
        self.port = urlsplit(served.address).port or 0
        self.authority = Authority(folder)
        self._trusted = trusted or self.authority.file

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self._trusted))

    def ask(self, path: str, *, https: bool, method: str = "GET") -> http.client.HTTPResponse:
        connection = (
            http.client.HTTPSConnection("localhost", self.port, timeout=20, context=self.trusting())
            if https
            else http.client.HTTPConnection("localhost", self.port, timeout=20)
        )
        connection.request(method, path)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer

    def fingerprint(self) -> bytes:
        with (
            socket.create_connection(("127.0.0.1", self.port), 20) as raw,
            self.trusting().wrap_socket(raw, server_hostname="localhost") as tls,
        ):
            found = tls.getpeercert(binary_form=True)
            assert found is not None
            return found


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("vehicle")
    served = Served(**VEHICLE_SETTINGS, data_dir=folder, vehicle_key=make_key(World.vehicle_id)[0])
    yield Node(folder, served)
    served.stop()


def until(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_a_node_makes_its_authority_and_serves_https_with_it(node: Node) -> None:
    assert node.served.address.startswith("https://")
    answer = node.ask("/login", https=True)
    assert answer.status == 200
    assert answer.getheader("Strict-Transport-Security") is None, "never with an authority of our own"
    cookies = answer.headers.get_all("Set-Cookie") or []
    assert cookies
    assert all("; Secure" in cookie and "; HttpOnly" in cookie for cookie in cookies)


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_plain_http_leads_to_https(node: Node, method: str) -> None:
    answer = node.ask("/login?next=/%E4%BD%A0%20b&x=1", https=False, method=method)
    assert answer.status == 308
    assert answer.getheader("Location") == f"https://localhost:{node.port}/login?next=/%E4%BD%A0%20b&x=1"
    assert answer.getheader("Set-Cookie") is None


def test_sockets_are_not_taken_over_plain_http(node: Node) -> None:
    assert node.ask("/socket.io/?EIO=4&transport=polling", https=False).status == 308
    assert node.ask("/socket.io/?EIO=4&transport=polling", https=True).status == 200


def test_old_tls_is_refused(node: Node) -> None:
    context = node.trusting()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", node.port), 20) as raw, pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(raw, server_hostname="localhost")


def test_clients_that_stall_in_the_handshake_hold_up_nobody(node: Node) -> None:
    stalled = [socket.create_connection(("127.0.0.1", node.port), 20) for _ in range(40)]
    for at, one in enumerate(stalled):
        if at % 2:
            one.sendall(b"\x16\x03\x01\x02\x00\x01\x00")  # the beginning of a hello, and nothing more
    began = time.monotonic()
    assert node.ask("/login", https=True).status == 200
    assert time.monotonic() - began < 5
    stalled[0].settimeout(20)
    stalled[1].settimeout(20)
    assert stalled[0].recv(1) == b"", "let go after the time for a handshake"
    assert stalled[1].recv(1) == b""
    for one in stalled:
        one.close()


def test_a_renewed_certificate_is_served_without_a_restart(node: Node) -> None:
    before = node.fingerprint()
    node.authority.renew(["added.local"])
    until(lambda: node.fingerprint() != before, "the new certificate", 45)
    assert "added.local" in describe(node.authority.server_certificate()).names


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A hub with certificate files that it was given, from no public authority, that knows the world's vehicle."""
    folder = tmp_path_factory.mktemp("hub")
    authority = Authority(folder)
    authority.make()
    store = Store(f"sqlite:///{folder / 'teleconsult.db'}")
    migrate.upgrade(store)
    store.close()
    certificate = folder / "given.pem"
    certificate.write_bytes(authority.server_file.read_bytes())
    served = Served(kind="hub", port=0, data_dir=folder, load_plugins="", media_workers=1, tls_cert=certificate)
    yield Node(folder, served)
    served.stop()


def test_no_hsts_with_a_given_certificate_that_no_public_authority_vouches_for(given: Node) -> None:
    assert given.ask("/login", https=True).getheader("Strict-Transport-Security") is None
    assert given.ask("/login", https=False).status == 308


def test_hsts_with_a_real_certificate_and_over_https_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public = PublicAuthority(tmp_path / "public")
    monkeypatch.setenv("SSL_CERT_FILE", str(public.file))
    settings = {"kind": "hub", "port": 0, "load_plugins": "", "media_workers": 1, "data_dir": tmp_path / "hub"}
    (tmp_path / "hub").mkdir()
    served = Served(**settings, tls_cert=public.sign("localhost"))
    try:
        node = Node(tmp_path, served, public.file)
        assert node.ask("/login", https=True).getheader("Strict-Transport-Security") == "max-age=15552000"
        assert node.ask("/trust", https=False).getheader("Strict-Transport-Security") is None
    finally:
        served.stop()


def test_a_node_whose_authority_has_lost_its_key_starts_and_says_what_to_do(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.make()
    authority.key_file.unlink()
    served = Served(**VEHICLE_SETTINGS, data_dir=tmp_path, vehicle_key=make_key(World.vehicle_id)[0])
    try:
        assert Node(tmp_path, served).ask("/login", https=True).status == 200
        until(lambda: any("tls renew --authority" in line for line in served.log), "the advice")
    finally:
        served.stop()
    assert not authority.key_file.exists()


@pytest.mark.parametrize("host", ["..", "x" * 300])
def test_a_host_that_is_none_is_a_bad_request(node: Node, host: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=20)
    connection.request("GET", "/login", headers={"Host": host})
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Location")) == (400, None)
    connection.close()


def test_a_websocket_over_tls(given: Node) -> None:
    client = socketio.Client(reconnection=False, websocket_extra_options={"sslopt": {"context": given.trusting()}})
    said: list[str] = []
    client.on("connect_error", lambda reason: said.append(str(reason)), namespace="/uplink")
    with pytest.raises(socketio.exceptions.ConnectionError):
        client.connect(
            f"https://localhost:{given.port}",
            auth={"vehicle_id": World.vehicle_id, "key": "wrong"},
            namespaces=["/uplink"],
            transports=["websocket"],
        )
    assert any("key" in reason for reason in said), "the socket was opened and the namespace answered"


def _join_hub(given: Node, tmp_path: Path, **settings: object) -> tuple[Served, str]:
    key, key_hash = make_key(World.vehicle_id)
    store = Store(f"sqlite:///{given.folder / 'teleconsult.db'}")
    with store.write() as tx:
        vehicle = tx.session.get(Vehicle, World.vehicle_id) or Vehicle(id=World.vehicle_id, code="T-01", name="一号车")
        vehicle.key_hash = key_hash
        tx.session.add(vehicle)
    store.close()
    address = f"https://localhost:{given.port}"
    chosen = {"kind": "vehicle", "port": 0, "load_plugins": "", "log_level": "info", "data_dir": tmp_path}
    return Served(**chosen, vehicle_key=key, hub_url=address, **settings), address


def test_a_vehicle_reaches_a_hub_whose_authority_it_was_given(given: Node, tmp_path: Path) -> None:
    served, _ = _join_hub(given, tmp_path, hub_ca=given.authority.file)
    try:
        until(lambda: any("a vehicle is on line" in line for line in given.served.log), "the link")
    finally:
        served.stop()


def test_a_vehicle_that_does_not_trust_the_hub_says_so(given: Node, node: Node, tmp_path: Path) -> None:
    served, _ = _join_hub(given, tmp_path, hub_ca=node.authority.file)
    try:
        said = "the hub's certificate is not from an authority that this vehicle trusts; set TELECONSULT_HUB_CA"
        until(lambda: any(said in line for line in served.log), "the sentence")
    finally:
        served.stop()
    assert not any("Traceback" in line for line in served.log), os.linesep.join(served.log)
