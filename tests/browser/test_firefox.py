"""The product's pages in Firefox: the vehicle doctor has one, the specialist a Chromium.

`test_media_peer.py` and `test_capped_link.py` hold the same calls with a Firefox as without.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.firefox import UNASKED, Firefox, needs_firefox
from tests.browser.media_page import make_camera
from tests.browser.person import DESKTOP, TABLET, FirefoxPerson, Person, launch
from tests.support.served import TwoNodes
from tests.support.trust import home_that_trusts
from tests.support.world import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300), needs_firefox]

SCREEN = """[...document.querySelectorAll("[data-call-tiles] video")].map(({ paused, muted }) => ({ paused, muted }))"""


@dataclass
class Scene:
    """Two nodes with a consult, the doctor at the vehicle's pages, the specialist (green) at the hub's."""

    nodes: TwoNodes
    doctor: FirefoxPerson
    specialist: Person

    @property
    def path(self) -> str:
        return f"/consults/{self.nodes.consult_id}/call"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("call")
    nodes = TwoNodes(folder, https=True)
    try:
        firefox = Firefox(authorities=nodes.authorities, names=nodes.NAMES)
        try:
            with sync_playwright() as playwright:
                home = home_that_trusts(folder / "home", *nodes.authorities)
                camera = make_camera(folder / "green.y4m", "green", 640, 360)
                green = launch(playwright, folder, "green", 660, home=home, names=nodes.NAMES, camera=camera)
                yield Scene(
                    nodes,
                    FirefoxPerson(firefox, nodes.vehicle_address, "doctor", TABLET, PASSWORD),
                    Person(green, nodes.hub_address, "specialist", DESKTOP, PASSWORD),
                )
                green.close()
        finally:
            firefox.stop()
    finally:
        nodes.stop()


@pytest.fixture(scope="module")
def call(scene: Scene) -> Scene:
    """Both are in the call: each opened the page, nothing more."""
    scene.doctor.go(scene.path)
    scene.doctor.until(lambda: "等待 专家甲 加入" in scene.doctor.text("[data-call-sentence]"), "waiting")
    scene.specialist.go(scene.path)
    return scene


def test_both_see_and_hear_each_other(call: Scene) -> None:
    doctor, specialist = call.doctor, call.specialist
    doctor.sees_and_hears("green")
    specialist.until(lambda: specialist.received()["width"] == 1280, "the doctor's picture")
    specialist.is_alive()
    assert "车医生" in specialist.find(".call-large .call-name").inner_text()
    assert "专家甲" in doctor.text(".call-large .call-name")
    doctor.until(lambda: doctor.text("[data-call-quality]"), "a word for the quality")
    assert doctor.text("[data-call-unblock]") == "", "the page may sound"
    assert doctor.errors == specialist.errors == []


def test_switches_chat_and_still_picture_reach_the_other(call: Scene) -> None:
    doctor, specialist = call.doctor, call.specialist
    doctor.page.click("[data-call-mute]")
    specialist.until(lambda: specialist.find("[data-muted]").is_visible(), "the muted microphone")
    doctor.page.click("[data-call-mute]")
    doctor.page.click("[data-call-camera]")
    specialist.page.get_by_text("车医生 已关闭摄像头").wait_for()
    doctor.page.click("[data-call-camera]")
    specialist.is_alive()
    doctor.page.click("[data-drawer][aria-controls=call-drawer]")
    doctor.page.fill("#call-chat textarea", "请看左小腿的伤口\n")
    specialist.press("[data-drawer][aria-controls=call-drawer]")
    specialist.page.get_by_text("请看左小腿的伤口").wait_for()
    doctor.page.click("[data-drawer-close=call-drawer]")
    doctor.page.click("[data-call-still]")
    specialist.press("#tab-call-images-tab")
    picture = specialist.find("#call-images img")
    specialist.until(lambda: picture.is_visible() and picture.evaluate("i => i.naturalWidth > 0"), "the still", 30)


def test_the_camera_is_opened_again_when_it_is_chosen(call: Scene) -> None:
    camera = "document.querySelector('select[data-device-kind=videoinput]')"
    call.doctor.until(lambda: call.doctor.page.evaluate(f"{camera}.options.length") == 1, "the one camera there is")
    call.doctor.page.evaluate(f"{camera}.dispatchEvent(new Event('change'))")
    call.specialist.is_alive()
    assert call.doctor.text("[data-call-problems]") == ""


def test_a_reload_comes_back_by_itself(call: Scene) -> None:
    call.doctor.page.reload()
    call.doctor.sees_and_hears("green")
    call.specialist.is_alive()


def test_where_sound_needs_a_touch_the_picture_moves_before(call: Scene) -> None:
    firefox = Firefox(authorities=call.nodes.authorities, names=call.nodes.NAMES, preferences=UNASKED)
    try:
        doctor = FirefoxPerson(firefox, call.nodes.vehicle_address, "doctor", TABLET, PASSWORD)
        doctor.go(call.path)
        doctor.sees_and_hears("green")
        assert doctor.page.evaluate(SCREEN) == [{"paused": False, "muted": True}]
        doctor.page.click("[data-call-unblock]")
        doctor.until(lambda: doctor.page.evaluate(SCREEN) == [{"paused": False, "muted": False}], "sound as well")
        assert doctor.text("[data-call-unblock]") == ""
        assert "另一个窗口" in call.doctor.text("[data-call-sentence]")
    finally:
        firefox.stop()


def test_the_check_before_the_call(scene: Scene) -> None:
    doctor = scene.doctor
    doctor.go("/call-check?back=/today")
    for what in ("camera", "way"):
        verdict = f"#{what}-verdict"
        doctor.page.wait_for_function(f"document.querySelector('{verdict}').dataset.level === 'ok'")
    assert "1280 × 720" in doctor.text("#camera-verdict")
    # Firefox listens only on a machine with a loudspeaker.
    level = "document.querySelector('#microphone-verdict').dataset.level"
    doctor.page.wait_for_function(f"['ok', 'warning'].includes({level})")
    heard = "麦克风能听到你的声音" if doctor.page.evaluate(level) == "ok" else "请先接上"
    assert heard in doctor.text("#microphone-verdict")
    assert doctor.errors == []
