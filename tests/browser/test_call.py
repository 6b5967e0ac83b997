"""The call page and the check before the call, with a hub, a vehicle node, media workers and real Chromiums.

The doctor's camera is red, the specialist's green, the township doctor's blue. Nobody reloads or clicks to recover.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.media_page import make_camera
from tests.browser.person import DESKTOP, TABLET, Person, launch
from tests.support.served import TwoNodes
from tests.support.trust import home_that_trusts
from tests.support.world import PASSWORD, World

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

WAVE = """() => {
  const canvas = document.querySelector("[data-wave] canvas");
  if (!canvas || !canvas.offsetParent || !canvas.width) return 0;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let inked = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i] > 0) inked += 1;
  return inked;
}"""

MISBEHAVE = """
const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  if (wanted.%s) throw new DOMException("no", "%s");
  return real(wanted);
};
"""

HOLD = """
const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
const send = WebSocket.prototype.send;
window.asked = 0;
window.opened = [];
window.sent = [];
window.heard = [];
window.WebSocket = class extends WebSocket {
  constructor(...words) {
    super(...words);
    this.addEventListener("message", ({ data }) => window.heard.push(String(data)));
  }
};
window.hold = () => { window.gate = new Promise((resolve) => { window.answer = resolve; }); };
window.hold();
navigator.mediaDevices.getUserMedia = async (wanted) => {
  window.asked += 1;
  await window.gate;
  const stream = await real(wanted);
  window.opened.push(...stream.getTracks());
  return stream;
};
WebSocket.prototype.send = function (data) {
  window.sent.push(String(data));
  return send.call(this, data);
};
"""
"""The browser asks for leave to use camera and microphone until the test answers."""


class Scene:
    """Two nodes, a doctor and a specialist in the call of one consult, and a township doctor at the hub."""

    def __init__(self, nodes: TwoNodes, red: Browser, green: Browser, blue: Browser) -> None:
        self.nodes = nodes
        self.path = f"/consults/{nodes.consult_id}/call"
        self.doctor = Person(red, nodes.vehicle_address, "doctor", TABLET, PASSWORD)
        self.specialist = Person(green, nodes.hub_address, "specialist", DESKTOP, PASSWORD)
        self.township = Person(blue, nodes.hub_address, "township", DESKTOP, PASSWORD)

    def media_workers(self) -> list[int]:
        """The processes of the hub's media workers."""
        found = subprocess.run(
            ["pgrep", "-P", str(self.nodes.hub.process.pid), "-f", "teleconsult.media.worker"],
            capture_output=True,
            text=True,
            check=False,
        )
        return [int(pid) for pid in found.stdout.split()]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("call")
    nodes = TwoNodes(folder, https=True)
    try:
        with sync_playwright() as playwright:
            home = home_that_trusts(folder / "home", *nodes.authorities)
            browsers = [
                # A camera small enough for three of them on one machine.
                launch(
                    playwright,
                    folder,
                    colour,
                    hertz,
                    camera=make_camera(folder / f"{colour}.y4m", colour, 640, 360),
                    home=home,
                    names=nodes.NAMES,
                )
                for colour, hertz in (("red", 440), ("green", 660), ("blue", 880))
            ]
            yield Scene(nodes, *browsers)
            for browser in browsers:
                browser.close()
    finally:
        nodes.stop()


@pytest.fixture(scope="module")
def call(scene: Scene) -> Scene:
    """Both are in the call: each opened the page, nothing more."""
    scene.doctor.go(scene.path)
    scene.doctor.page.get_by_text("等待 专家甲 加入").wait_for()
    scene.specialist.go(scene.path)
    scene.doctor.sees_and_hears("green")
    scene.specialist.sees_and_hears("red")
    return scene


def test_the_page_shows_who_how_long_and_how_well(call: Scene) -> None:
    for person in (call.doctor, call.specialist):
        assert "张秀英" in person.find("#patient-bar").inner_text()
        assert "76" in person.find("#patient-bar").inner_text()
        person.until(lambda: person.find("[data-call-quality]").is_visible(), "a word for the quality")  # noqa: B023
        before = person.find("[data-call-timer]").inner_text()
        person.until(lambda: person.find("[data-call-timer]").inner_text() != before, "a running clock")  # noqa: B023
    assert "专家甲" in call.doctor.find(".call-large .call-name").inner_text()
    assert call.doctor.errors == call.specialist.errors == []


def test_a_live_wave_is_drawn_on_both_sides(call: Scene) -> None:
    for person in (call.doctor, call.specialist):
        person.until(lambda: person.page.evaluate(WAVE) > 200, "a pulse wave", 60)  # noqa: B023
        person.until(lambda: person.find("[data-kind=spo2] b").is_visible(), "a live value")  # noqa: B023


def test_switches_are_shown_to_the_other(call: Scene) -> None:
    doctor, specialist = call.doctor, call.specialist
    specialist.press("[data-call-mute]")
    doctor.until(lambda: doctor.find("[data-muted]").is_visible(), "the muted microphone")
    specialist.press("[data-call-camera]")
    doctor.page.get_by_text("专家甲 已关闭摄像头").wait_for()
    assert specialist.find(".call-own-off").is_visible()
    specialist.press("[data-call-camera]")
    specialist.press("[data-call-mute]")
    doctor.until(lambda: not doctor.find("[data-muted]").is_visible(), "the microphone on again")
    doctor.sees_and_hears("green")


def test_a_line_of_chat_arrives_and_is_counted_while_the_drawer_is_closed(call: Scene) -> None:
    doctor, specialist = call.doctor, call.specialist
    doctor.press("[data-drawer][aria-controls=call-drawer]")
    doctor.page.fill("#call-chat textarea", "请看左小腿的伤口")
    doctor.page.press("#call-chat textarea", "Enter")
    count = specialist.find("[data-drawer][aria-controls=call-drawer] .count")
    specialist.until(lambda: count.inner_text() == "1", "one unread line")
    specialist.press("[data-drawer][aria-controls=call-drawer]")
    specialist.page.get_by_text("请看左小腿的伤口").wait_for()
    assert count.inner_text() == ""


def test_a_still_picture_becomes_an_image_of_the_consult(call: Scene) -> None:
    doctor, specialist = call.doctor, call.specialist
    doctor.press("[data-call-still]")
    specialist.press("#tab-call-images-tab")
    picture = specialist.find("#call-images img")
    specialist.until(lambda: picture.is_visible() and picture.evaluate("i => i.naturalWidth > 0"), "the still", 30)
    colour = picture.evaluate(
        """(image) => {
          const canvas = Object.assign(document.createElement("canvas"), { width: 8, height: 8 });
          canvas.getContext("2d").drawImage(image, 0, 0, 8, 8);
          return [...canvas.getContext("2d").getImageData(4, 6, 1, 1).data];
        }"""
    )
    assert colour[1] > 100 > colour[0], "the picture is the specialist's green, as the doctor saw it"
    for person in (doctor, specialist):
        person.press("[data-drawer-close=call-drawer]")


def test_a_reload_comes_back_by_itself(call: Scene) -> None:
    call.doctor.page.reload()
    call.doctor.sees_and_hears("green")
    call.specialist.sees_and_hears("red")


def test_dead_workers_are_replaced_and_the_call_goes_on(call: Scene) -> None:
    old = call.media_workers()
    assert old
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    call.doctor.until(lambda: set(call.media_workers()) - set(old), "a new worker")
    call.doctor.sees_and_hears("green", timeout=60)
    call.specialist.sees_and_hears("red", timeout=60)


def test_another_window_takes_over_and_gives_back(call: Scene) -> None:
    specialist = call.specialist
    second = specialist.page.context.new_page()
    second.goto(specialist.base + call.path)
    specialist.page.get_by_text("你已在另一个窗口进入本次通话").wait_for()
    call.doctor.sees_and_hears("green")
    specialist.press("[data-call-enter]")
    second.get_by_text("你已在另一个窗口进入本次通话").wait_for()
    specialist.sees_and_hears("red")
    second.close()


def test_a_third_person_is_invited_joins_and_is_sent_away(call: Scene) -> None:
    doctor, specialist, township = call.doctor, call.specialist, call.township
    township.go("/")
    township.page.wait_for_function("document.getElementById('strip-connection')?.hidden !== false")
    doctor.press("[data-drawer][aria-controls=call-invite]")
    row = doctor.page.locator("#invitations li", has_text="镇医生")
    row.get_by_role("button").click()
    township.page.locator("#toasts a", has_text="加入").click()
    township.sees_and_hears("green", "red")
    doctor.sees_and_hears("blue", "green")
    specialist.sees_and_hears("blue", "red")
    assert "专家甲" in doctor.find(".call-large .call-name").inner_text(), "the specialist stays the large one"
    township.press("[data-call-leave]")
    doctor.sees_and_hears("green")
    township.page.get_by_text("已在通话中等待").wait_for()
    assert township.colours() == []
    township.press("[data-call-enter]")
    township.sees_and_hears("green", "red")
    row.get_by_role("button", name="取消邀请").click()
    township.page.get_by_text("你已不在本次通话中").wait_for()
    doctor.sees_and_hears("green")
    specialist.sees_and_hears("red")


def test_ending_tells_everybody_and_the_pages_stay_out(call: Scene) -> None:
    doctor, specialist = call.doctor, call.specialist
    specialist.press(".call-end summary")
    specialist.press("[data-call-end]")
    for person in (doctor, specialist):
        person.page.get_by_text("通话已结束").first.wait_for()
        person.until(lambda: person.find("[data-call-over]").is_visible(), "the way to the consult")  # noqa: B023
        tracks = person.page.evaluate("document.querySelector('[data-call-own] video').srcObject")
        assert tracks is None, "the camera is given back"
    doctor.page.reload()
    doctor.until(lambda: doctor.find("[data-call-enter]").is_visible(), "a button to call again")
    assert doctor.find("[data-call]").get_attribute("data-state") == "idle"


def leave(page: Page) -> None:
    """As somebody without whom the call would not be."""
    page.locator(".call-end summary").click()
    page.locator("[data-call-leave]").first.click()
    page.locator("[data-call][data-state=idle]").wait_for()


def test_leaving_before_the_devices_are_allowed_is_leaving(call: Scene) -> None:
    doctor, specialist = call.doctor, call.specialist
    page = doctor.page.context.new_page()
    page.set_default_timeout(20_000)
    page.add_init_script(HOLD)

    def until(condition: str) -> None:
        # Not by wait_for_function: the page's policy allows no eval.
        doctor.until(lambda: page.evaluate(condition), condition, 20)

    def all_are_given_back(count: int) -> None:
        until(f"opened.length === {count} && opened.every((track) => track.readyState === 'ended')")

    page.goto(doctor.base + call.path)
    page.locator("[data-call-enter]").first.click()
    until("asked === 1")
    specialist.go(call.path)
    specialist.press("[data-call-enter]")
    there = f"one.includes('call:participants') && one.includes('{World.specialist.user_id}')"
    until(f"heard.some((one) => {there})")
    assert page.locator("[data-call-enter]").first.is_hidden(), "still being entered, whoever comes meanwhile"
    leave(page)
    page.evaluate("answer()")
    all_are_given_back(2)
    assert page.evaluate("sent.filter((one) => one.includes('call:join'))") == []
    assert page.evaluate("localStorage.getItem('teleconsult.call.inside')") is None
    assert page.locator("[data-call]").get_attribute("data-state") == "idle"
    assert specialist.page.locator("[data-participant]").count() == 0

    page.locator("[data-call-enter]").first.click()
    page.locator("[data-call][data-state=live]").wait_for()
    page.evaluate("hold()")
    page.locator("select[data-device-kind=videoinput]").first.dispatch_event("change")
    until("asked === 3")
    leave(page)
    page.evaluate("answer()")
    all_are_given_back(5)
    page.close()
    leave(specialist.page)


# -- the check before the call -----------------------------------------------------------------------------


def verdict(person: Person, what: str, level: str, timeout: float = 40.0) -> str:
    """Wait for a verdict of the check; gives its sentence."""
    line = person.find(f"#{what}-verdict")
    person.until(lambda: line.get_attribute("data-level") == level, f"{what} {level}", timeout)
    return line.inner_text()


def test_the_check_finds_everything_in_order(scene: Scene) -> None:
    doctor = scene.doctor
    doctor.go("/call-check?back=/today")
    assert "640 × 360" in verdict(doctor, "camera", "ok")
    verdict(doctor, "microphone", "ok")
    assert "良好" in verdict(doctor, "way", "ok")
    assert "毫秒" in doctor.find("#check-rtt").inner_text()
    doctor.press("#check-sound")
    doctor.press("#check-heard-yes")
    verdict(doctor, "speaker", "ok")
    assert doctor.find("#check-summary").inner_text() == "一切就绪，可以通话。"
    assert doctor.page.locator(".bottom-bar a.button-primary").get_attribute("href") == "/today"
    microphone = doctor.page.locator("#check-microphone")
    microphone.select_option(index=1)
    chosen = microphone.input_value()
    verdict(doctor, "microphone", "ok")
    doctor.page.reload()
    verdict(doctor, "microphone", "ok")
    assert doctor.page.locator("#check-microphone").input_value() == chosen


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("video", "NotAllowedError", "未允许使用摄像头"),
        ("video", "NotFoundError", "没有找到摄像头"),
        ("video", "NotReadableError", "被其他程序占用"),
        ("audio", "NotAllowedError", "未允许使用麦克风"),
        ("audio", "NotFoundError", "没有找到麦克风"),
        ("audio", "NotReadableError", "被其他程序占用"),
    ],
)
def test_every_way_of_not_getting_a_device_has_its_sentence(scene: Scene, kind: str, error: str, words: str) -> None:
    page = scene.doctor.page.context.new_page()
    page.add_init_script(MISBEHAVE % (kind, error))
    page.goto(scene.doctor.base + "/call-check")
    what = "camera" if kind == "video" else "microphone"
    page.locator(f"#{what}-verdict[data-level=danger]").get_by_text(words).wait_for()
    page.close()


def test_an_unsafe_address_is_explained(scene: Scene) -> None:
    page = scene.doctor.page.context.new_page()
    page.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false });")
    page.goto(scene.doctor.base + "/call-check")
    page.locator("#camera-verdict[data-level=danger]").get_by_text("https").wait_for()
    page.close()


def test_without_a_hub_the_way_says_so(scene: Scene) -> None:
    scene.nodes.hub.stop()
    scene.doctor.go("/call-check")
    assert "网络已断开" in verdict(scene.doctor, "way", "danger", 60)
