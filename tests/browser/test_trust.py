"""HTTPS as browsers see it: trusted or not, camera or none, and the page that leads from one to the other.

No certificate error is ignored: the trusting browser has the authority in its certificate store.
"""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from teleconsult.services.vehicles import make_key
from teleconsult.tls import Authority, describe
from tests.browser.media_page import make_camera
from tests.browser.person import TABLET, launch
from tests.support.certificates import forge
from tests.support.served import Served
from tests.support.trust import home_that_trusts
from tests.support.world import World

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

CAMERA = "navigator.mediaDevices.getUserMedia({ video: true, audio: true }).then((s) => s.getTracks().length)"


@dataclass
class Vehicle:
    """A vehicle node under its name, and two browsers: one has its authority, the other does not."""

    authority: Authority
    secure: str
    trusting: Browser
    strange: Browser

    @property
    def plain(self) -> str:
        return self.secure.replace("https://", "http://")


@pytest.fixture(scope="module")
def vehicle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vehicle]:
    folder = tmp_path_factory.mktemp("vehicle")
    authority = Authority(folder / "data")
    authority.make(["vehicle.local"])
    key, _ = make_key(World.vehicle_id)
    served = Served(kind="vehicle", port=0, data_dir=folder / "data", vehicle_key=key, load_plugins="")
    names = dict.fromkeys(("vehicle.local", "other.local", "bank.example.com"), "127.0.0.1")
    camera = make_camera(folder / "camera.y4m", "red", 320, 180)
    homes = home_that_trusts(folder / "trusting", authority.file), home_that_trusts(folder / "strange")
    try:
        with sync_playwright() as playwright:
            trusting, strange = (
                launch(playwright, folder, "red", 440, home=home, names=names, camera=camera) for home in homes
            )
            yield Vehicle(authority, served.address.replace("127.0.0.1", "vehicle.local"), trusting, strange)
            trusting.close()
            strange.close()
    finally:
        served.stop()


def open_page(browser: Browser) -> Page:
    page = browser.new_context(viewport=TABLET, locale="zh-CN", permissions=["camera", "microphone"]).new_page()
    page.set_default_timeout(30_000)
    return page


def test_a_trusting_browser_is_led_to_https_and_gets_camera_and_microphone(vehicle: Vehicle) -> None:
    page = open_page(vehicle.trusting)
    answer = page.goto(vehicle.plain + "/login")
    assert answer is not None
    assert page.url == vehicle.secure + "/login"
    assert "strict-transport-security" not in answer.headers
    assert page.evaluate("isSecureContext")
    assert page.evaluate(CAMERA) == 2
    cookies = page.context.cookies()
    assert cookies
    assert all(cookie["secure"] and cookie["httpOnly"] for cookie in cookies)


def test_a_browser_that_does_not_trust_the_node_refuses_its_pages(vehicle: Vehicle) -> None:
    page = open_page(vehicle.strange)
    with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
        page.goto(vehicle.secure + "/login")


def test_plain_http_gives_no_camera(vehicle: Vehicle) -> None:
    page = open_page(vehicle.trusting)
    page.goto(vehicle.plain + "/trust")
    assert not page.evaluate("isSecureContext")
    assert page.evaluate("navigator.mediaDevices === undefined")


def test_the_page_says_whether_this_browser_trusts_the_node(vehicle: Vehicle) -> None:
    for browser, trusted, words in (
        (vehicle.strange, "false", "还不信任本节点"),
        (vehicle.trusting, "true", "已信任本节点"),
    ):
        page = open_page(browser)
        page.goto(vehicle.plain + "/trust?platform=android")
        page.wait_for_selector(f"#trust-state[data-trusted={trusted}]")
        page.get_by_text(words).wait_for()
        assert page.locator("#trust-next").is_visible() is (trusted == "true")
        assert page.locator("#fingerprint").inner_text() == describe(vehicle.authority.certificate()).fingerprint
        assert page.locator(".trust-qr img").evaluate("image => image.naturalWidth") > 0


def test_the_way_on_leads_to_the_login_over_https(vehicle: Vehicle) -> None:
    page = open_page(vehicle.trusting)
    page.goto(vehicle.plain + "/trust")
    page.locator("#trust-next").click()
    page.wait_for_url(vehicle.secure + "/login**")


def test_the_downloaded_file_is_the_authority(vehicle: Vehicle, tmp_path: Path) -> None:
    page = open_page(vehicle.strange)
    page.goto(vehicle.plain + "/trust?platform=linux")
    with page.expect_download() as download:
        page.locator("#steps a.button").click()
    download.value.save_as(tmp_path / "authority.pem")
    assert (tmp_path / "authority.pem").read_bytes() == vehicle.authority.file.read_bytes()


def test_a_name_that_the_certificate_lacks_is_told_and_not_asked_about_for_ever(vehicle: Vehicle) -> None:
    page = open_page(vehicle.trusting)
    page.goto(vehicle.plain.replace("vehicle.local", "other.local") + "/trust?platform=linux")
    page.get_by_text("teleconsult tls renew --name other.local").wait_for()
    page.locator("#trust-again").click()
    assert page.locator("#trust-state").get_attribute("data-trusted") is None
    assert page.locator("#trust-next").is_hidden()


def test_the_login_page_leads_back_to_where_trust_can_be_found_out(vehicle: Vehicle) -> None:
    page = open_page(vehicle.trusting)
    page.goto(vehicle.secure + "/login")
    assert page.locator("a[href$='/trust']").get_attribute("href") == vehicle.plain + "/trust"


def test_a_trusting_browser_refuses_what_a_thief_of_the_key_signs_for_others(vehicle: Vehicle, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(forge(vehicle.authority, tmp_path / "forged.pem", "bank.example.com"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        page = open_page(vehicle.trusting)
        with pytest.raises(Error, match="ERR_CERT_"):
            page.goto(f"https://bank.example.com:{server.server_port}/")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
