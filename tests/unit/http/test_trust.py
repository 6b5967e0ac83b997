"""The page that helps a browser trust the node: the right steps, the right file, a probe for other origins."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography import x509
from flask.testing import FlaskClient

from teleconsult.app import create_app
from teleconsult.http import trust
from teleconsult.services.node import Node
from teleconsult.settings import Settings
from teleconsult.tls import Authority, describe
from tests.support.world import World

AGENTS = {
    "android": "Mozilla/5.0 (Linux; Android 14; TB350XU) AppleWebKit/537.36 Chrome/140.0 Safari/537.36",
    "ios": "Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Safari/604.1",
    "windows": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Edg/140.0",
    "macos": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.1 Safari/605.1.15",
    "linux": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
}


@pytest.fixture
def node(new_node: Callable[..., Node]) -> Node:
    made = new_node(kind="vehicle", node_id=World.vehicle_id, language="en", tls="own", port=8401)
    Authority(made.settings.data_dir).make(["vehicle.local"])
    return made


@pytest.fixture
def client(node: Node) -> FlaskClient:
    return create_app(node).test_client()


def authority(settings: Settings) -> x509.Certificate:
    return Authority(settings.data_dir).certificate()


@pytest.mark.parametrize("platform", AGENTS)
def test_each_device_gets_its_own_steps_and_the_fingerprint(client: FlaskClient, node: Node, platform: str) -> None:
    page = client.get("/trust", headers={"User-Agent": AGENTS[platform]}).text
    assert f'data-platform="{platform}"' in page
    assert describe(authority(node.settings)).fingerprint in page
    assert 'data-probe="https://localhost/trust/probe"' in page
    chosen = client.get(f"/trust?platform={platform}&language=zh").text
    assert f'data-platform="{platform}"' in chosen
    assert 'lang="zh-CN"' in chosen


def test_the_file_is_the_authority_and_never_its_key(client: FlaskClient, node: Node) -> None:
    der, pem = client.get("/trust/authority.crt"), client.get("/trust/authority.pem")
    assert x509.load_der_x509_certificate(der.data) == authority(node.settings)
    assert x509.load_pem_x509_certificate(pem.data) == authority(node.settings)
    assert der.mimetype == "application/x-x509-ca-cert"
    assert ".crt" in der.headers["Content-Disposition"]
    assert b"PRIVATE KEY" not in der.data + pem.data


def test_the_qr_code_is_an_image_of_an_address_that_other_devices_can_open(client: FlaskClient) -> None:
    code = client.get("/trust/qr.svg")
    assert code.mimetype == "image/svg+xml"
    assert code.data.startswith((b"<?xml", b"<svg"))
    page = client.get("/trust", headers={"Host": "vehicle.local:8401"}).text
    assert "http://vehicle.local:8401/trust" in page
    assert "http://localhost" not in client.get("/trust", headers={"Host": "localhost:8401"}).text


def test_other_origins_may_ask_the_probe_and_nothing_else(client: FlaskClient) -> None:
    foreign = {"Origin": "http://vehicle.local:8401"}
    assert client.get("/trust/probe", headers=foreign).headers["Access-Control-Allow-Origin"] == "*"
    for path in ("/trust", "/trust/authority.crt", "/login", "/login.json", "/today"):
        assert "Access-Control-Allow-Origin" not in client.get(path, headers=foreign).headers, path


def test_the_login_page_shows_the_way_only_where_there_is_an_authority(
    client: FlaskClient, new_node: Callable[..., Node]
) -> None:
    # Over HTTPS the page could not find out whether the browser trusts the node: it would not be shown otherwise.
    assert 'href="http://vehicle.local:8401/trust"' in client.get("/login", base_url="https://vehicle.local:8401").text
    plain = create_app(new_node(language="en")).test_client()
    assert '/trust"' not in plain.get("/login").text
    assert plain.get("/trust").status_code == 200
    assert plain.get("/trust/authority.crt").status_code == 404


def test_a_name_that_the_certificate_lacks_is_told_with_the_command_that_adds_it(client: FlaskClient) -> None:
    for host in ("vehicle.local:8401", "localhost", "127.0.0.1:8401", "[::1]:8401", "VEHICLE.local"):
        assert "data-uncovered" not in client.get("/trust", headers={"Host": host}).text, host
    for host, name in (
        ("other.local:8401", "other.local"),
        ("10.99.98.97:8401", "10.99.98.97"),
        ("[fd99::1]", "fd99::1"),
    ):
        page = client.get("/trust", headers={"Host": host}).text
        assert f'data-uncovered="{name}"' in page
        assert f"teleconsult tls renew --name {name}" in page


def test_what_stands_in_the_host_header_is_no_command(client: FlaskClient) -> None:
    page = client.get("/trust", headers={"Host": "a;reboot"})
    assert "tls renew --name" not in page.text


def test_the_qr_code_takes_the_best_address_and_not_the_lowest(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "host_addresses", lambda: ["192.168.8.2", "10.8.0.1"])
    assert "http://192.168.8.2:8401/trust" in client.get("/trust", headers={"Host": "localhost:8401"}).text
    monkeypatch.setattr(trust, "host_addresses", lambda: ["fd00::2"])
    assert "http://[fd00::2]:8401/trust" in client.get("/trust", headers={"Host": "127.0.0.1:8401"}).text
    monkeypatch.setattr(trust, "host_addresses", lambda: ["127.0.0.1"])
    assert "http://localhost:8401/trust" in client.get("/trust", headers={"Host": "localhost:8401"}).text


def test_wechat_is_led_to_the_devices_own_browser(client: FlaskClient) -> None:
    agent = AGENTS["android"] + " MicroMessenger/8.0.50"
    assert "Open in browser" in client.get("/trust", headers={"User-Agent": agent}).text
    assert "Open in browser" not in client.get("/trust", headers={"User-Agent": AGENTS["android"]}).text


def test_the_next_authority_is_offered_beside_the_one_of_today(client: FlaskClient, node: Node) -> None:
    assert client.get("/trust/next.crt").status_code == 404
    assert 'id="next-authority"' not in client.get("/trust").text
    own = Authority(node.settings.data_dir)
    coming = own.prepare_next()
    assert describe(coming).fingerprint in client.get("/trust").text
    assert x509.load_der_x509_certificate(client.get("/trust/next.crt").data) == coming
    both = x509.load_pem_x509_certificates(client.get("/trust/authority.pem").data)
    assert both == [own.certificate(), coming]


def test_an_authority_that_cannot_be_read_is_told(client: FlaskClient, node: Node) -> None:
    Authority(node.settings.data_dir).file.unlink()
    page = client.get("/trust")
    assert page.status_code == 200
    assert "authority of this node cannot be read" in page.text
