"""The page that helps a browser trust the node: the right steps, the right file, a probe for other origins."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography import x509
from flask.testing import FlaskClient

from teleconsult.app import create_app
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
    assert 'href="/trust"' in client.get("/login").text
    plain = create_app(new_node(language="en")).test_client()
    assert 'href="/trust"' not in plain.get("/login").text
    assert plain.get("/trust").status_code == 200
    assert plain.get("/trust/authority.crt").status_code == 404
