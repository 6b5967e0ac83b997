"""The main job with real parts: hub, vehicle node, media workers, and a Chromium for each person.

A vehicle doctor sees a villager, devices measure, a specialist is asked, both talk, the opinion is written, signed,
read and printed. Then the call has to survive a third person, a reload, dead media workers and a cut uplink.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.person import DESKTOP, TABLET, Person, launch, photograph
from tests.support.county import County
from tests.support.trust import home_that_trusts

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

REASON = "血压持续偏高，头晕三天，请指导用药"


class Clinic:
    """The county with a vehicle doctor (red) and a specialist (green) logged in."""

    def __init__(self, county: County, doctor: Person, specialist: Person, township: Person) -> None:
        self.county = county
        self.doctor = doctor
        self.specialist = specialist
        self.township = township
        self.consult = ""
        self.encounter = ""

    def see_somebody(self, number: int = 0) -> None:
        """Begin an encounter with a person of today's list and measure the blood pressure."""
        doctor = self.doctor
        doctor.go("/today")
        doctor.page.locator("[aria-labelledby=to-see] a.list-row").nth(number).click()
        doctor.press(".bottom-bar form button.button-primary")
        doctor.page.wait_for_url("**/encounters/*")
        self.encounter = doctor.page.url.partition("?")[0]
        doctor.page.fill("[name=reason]", "头晕三天")
        doctor.press("[data-bottom=reason] button")
        doctor.press("[data-device=sim-cuff-1] [data-command=measure]")
        accept = doctor.find("#waiting [data-accept]:visible")
        accept.wait_for(timeout=90_000)  # a cuff takes as long as a cuff takes
        accept.click()
        doctor.page.locator("#waiting [data-accept]:visible").wait_for(state="hidden")

    def ask(self) -> None:
        """Ask a cardiologist for a consult."""
        doctor = self.doctor
        doctor.press("[data-bottom=vitals] a.button-primary")
        doctor.page.wait_for_url("**/consult")
        doctor.page.select_option("[name=specialty]", "cardiology")
        doctor.page.check("[name=urgency][value=urgent]", force=True)
        doctor.page.fill("[name=reason]", REASON)
        doctor.page.check("[name=given_by][value=patient]", force=True)
        doctor.press("#send")
        doctor.page.wait_for_url("**/consults/*")
        self.consult = doctor.page.url.rpartition("/")[2]

    def open_request(self) -> None:
        """The specialist finds the request in the queue and opens it."""
        self.specialist.press(f"#queue a[href*='{self.consult}']")
        self.specialist.page.wait_for_url(f"**/consults/{self.consult}")
        self.specialist.find("[data-accept-button]").wait_for()

    def accept(self) -> None:
        """The specialist accepts it."""
        self.open_request()
        self.specialist.press("[data-accept-button]")

    def time_a_reading(self, celsius: float) -> float:
        """Type in a temperature in a second window of the vehicle; seconds until the specialist sees it."""
        window = self.doctor.page.context.new_page()
        window.goto(f"{self.encounter}?step=vitals")
        window.wait_for_selector("html[data-ready]")
        window.fill("[name='body_temperature.body_temperature']", f"{celsius:.1f}")
        shown = self.specialist.find(f"[data-call-vitals] :text('{celsius:.1f}')")
        began = time.monotonic()
        window.press("[name='body_temperature.body_temperature']", "Enter")
        shown.wait_for()
        took = time.monotonic() - began
        window.close()
        return took

    def call(self) -> None:
        """Both enter the call."""
        self.specialist.press("[data-call-enter]")
        self.specialist.find("[data-call-mute]").wait_for()
        self.doctor.press(f"a[href='/consults/{self.consult}/call']")
        self.doctor.sees_and_hears("green")
        self.specialist.sees_and_hears("red")


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    folder = tmp_path_factory.mktemp("county")
    with County(folder / "data", https=True) as county, sync_playwright() as playwright:
        trusted = {"home": home_that_trusts(folder / "home", *county.authorities), "names": county.NAMES}
        red = launch(playwright, folder, "red", 440, **trusted)
        green = launch(playwright, folder, "green", 660, **trusted)
        blue = launch(playwright, folder, "blue", 880, **trusted)
        yield Clinic(
            county,
            Person(red, county.vehicle, "doctor11", TABLET),
            Person(green, county.hub, "cardiology", DESKTOP),
            Person(blue, county.hub, "township1", DESKTOP),
        )
        for browser in (red, green, blue):
            browser.close()


@pytest.fixture(scope="module")
def in_call(clinic: Clinic) -> Clinic:
    """A consult of which both are in the call."""
    clinic.see_somebody()
    clinic.specialist.go("/queue")
    clinic.ask()
    clinic.accept()
    clinic.call()
    return clinic


def test_readings_reach_the_specialist(in_call: Clinic) -> None:
    """Within a second, says the job; how long it really takes is measured in tests/bench/first_frame.py."""
    doctor, specialist = in_call.doctor, in_call.specialist
    in_call.time_a_reading(37.4)
    before = specialist.page.locator("[data-call-vitals] [data-kind=blood_pressure]").all_inner_texts()
    assert before, "the accepted reading stands beside the picture"
    assert doctor.page.locator(".patient-bar").is_visible()
    assert specialist.page.locator(".patient-bar").is_visible()
    photograph("call")


def test_chat_reaches_both(in_call: Clinic) -> None:
    doctor, specialist = in_call.doctor, in_call.specialist
    specialist.press("#tab-tab-chat")
    specialist.page.fill("#tab-chat textarea, #tab-chat input[type=text]", "请让患者坐下再测一次")
    specialist.page.keyboard.press("Enter")
    doctor.press("[data-drawer=call-drawer], [aria-controls=call-drawer]")
    doctor.page.get_by_text("请让患者坐下再测一次").first.wait_for()


def test_a_third_person_is_brought_in(in_call: Clinic) -> None:
    doctor, specialist, township = in_call.doctor, in_call.specialist, in_call.township
    specialist.press("#invite")
    specialist.press("#invitations li:has-text('云岭镇卫生院') button")
    specialist.find("#invitations li:has-text('云岭镇卫生院') button:has-text('取消邀请')").wait_for()
    township.go(f"/consults/{in_call.consult}/call")
    township.sees_and_hears("green", "red")
    doctor.sees_and_hears("blue", "green")
    specialist.sees_and_hears("blue", "red")
    township.press("[data-call-leave]")
    doctor.sees_and_hears("green")


def test_a_reload_rejoins_by_itself(in_call: Clinic) -> None:
    in_call.doctor.page.reload()
    in_call.doctor.sees_and_hears("green")
    in_call.specialist.sees_and_hears("red")


def test_dead_media_workers_are_replaced_and_the_call_goes_on(in_call: Clinic) -> None:
    killed = in_call.county.media_workers()
    in_call.county.kill_media_workers()

    def replaced() -> bool:
        alive = in_call.county.media_workers()
        return len(alive) == len(killed) and not set(alive) & set(killed)

    in_call.doctor.until(replaced, "new workers")
    in_call.doctor.sees_and_hears("green", timeout=90)
    in_call.specialist.sees_and_hears("red", timeout=90)


def test_a_cut_uplink_is_shown_and_mended_by_itself(in_call: Clinic) -> None:
    doctor = in_call.doctor
    in_call.county.link.cut()
    doctor.page.wait_for_selector("#strip-uplink[data-state=off]", timeout=60_000)
    doctor.page.wait_for_timeout(10_000)  # the issue's own figure: the link is away for ten seconds
    in_call.county.link.mend()
    doctor.page.wait_for_selector("#strip-uplink[data-state=on]", timeout=60_000)
    doctor.sees_and_hears("green")
    in_call.specialist.sees_and_hears("red")


def test_the_opinion_is_kept_as_typed_signed_read_and_printed(in_call: Clinic, tmp_path: Path) -> None:
    doctor, specialist = in_call.doctor, in_call.specialist
    specialist.press("#tab-tab-write")
    specialist.page.fill("[name=impression]", "高血压2级，血压控制不满意")
    specialist.page.fill("[name=advice]", "低盐饮食，两周后复测血压，头痛加重随时联系")
    specialist.page.fill("[name=medicines]", "氨氯地平 5 mg 每日一次")
    specialist.find("#opinion-saved[data-state=saved]").wait_for()
    specialist.page.reload()
    specialist.page.wait_for_selector("html[data-ready]")
    assert specialist.page.input_value("[name=impression]") == "高血压2级，血压控制不满意"
    specialist.press("#sign")
    specialist.page.wait_for_selector("#consult[data-state=opinion_written]")
    doctor.go(f"/consults/{in_call.consult}")
    doctor.page.get_by_text("氨氯地平 5 mg 每日一次").first.wait_for()
    doctor.press("form:has(input[value=acknowledge]) button")
    doctor.page.wait_for_selector("#consult[data-state=closed]")
    specialist.page.wait_for_selector("#consult[data-state=closed]")
    specialist.go(f"/consults/{in_call.consult}/record?language=zh")
    pdf = tmp_path / "record.pdf"
    specialist.page.pdf(path=pdf, prefer_css_page_size=True)
    info = subprocess.run(["pdfinfo", pdf], capture_output=True, text=True, check=True).stdout
    text = subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, text=True, check=True).stdout
    assert "Pages:           1" in info
    assert "(A4)" in info
    for words in ("会诊记录", "氨氯地平", REASON[:8], "知情同意"):
        assert words in text.replace(" ", ""), words


def test_no_page_had_an_error(in_call: Clinic) -> None:
    assert in_call.doctor.errors + in_call.specialist.errors + in_call.township.errors == []
