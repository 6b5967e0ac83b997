"""Devices as the vehicle doctor meets them: found, named, tested, measuring somebody, seen by the specialist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from teleconsult.services.node import Node
from teleconsult.store.tables import PluginState
from tests.browser.person import DESKTOP, TABLET, Person, launch
from tests.support.served import ENCOUNTER, TwoNodes
from tests.support.trust import home_that_trusts
from tests.support.world import PASSWORD, World

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

INKED = """(kind) => {
  const canvas = document.querySelector(`[data-wave=${kind}] canvas`);
  if (!canvas || !canvas.offsetParent || !canvas.width) return 0;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const [red, green, blue] = getComputedStyle(canvas).color.match(/\\d+/g).map(Number);
  let inked = 0;
  for (let i = 0; i < data.length; i += 4) {
    const far = Math.abs(data[i] - red) + Math.abs(data[i + 1] - green) + Math.abs(data[i + 2] - blue);
    if (data[i + 3] > 200 && far < 40) inked += 1;
  }
  return inked;
}"""

NOTE_ARRIVAL = """() => {
  window.arrived = 0;
  const seen = new MutationObserver(() => { window.arrived ||= Date.now(); });
  seen.observe(document.getElementById("waiting"), { childList: true });
}"""

PACE = """async () => {
  const { Pacer } = await import("/static/js/lib/waves.js");
  const delays = {};
  const run = (name, seconds, arrival) => {
    const pacer = new Pacer(500);
    let waits = 0;
    pacer.begin(0, 0);
    let next = 0;
    for (let now = 0; now < seconds * 1000; now += 16) {
      for (; arrival(next) <= now; next += 1) pacer.arrived(next * 100, next * 100 + 100, now);
      const due = pacer.due(now);
      if (due > next * 100) waits += 1;
    }
    delays[name] = { waits, lag: (seconds * 500 - pacer.due(seconds * 1000)) / 500 };
  };
  run("even", 30, (n) => n * 200);
  run("uneven", 30, (n) => n * 200 + (n % 3) * 90);
  run("stalled", 30, (n) => Math.max(n * 200, n >= 50 && n < 60 ? 12000 : 0));
  run("later", 30, (n) => n * 200 + (n > 50 ? 700 : 0));
  return delays;
}"""


def speed_up(node: Node) -> None:
    """Cuff and thermometer of the vehicle measure six times as fast as real ones."""
    if not node.is_hub:
        with node.store.write() as tx:
            tx.session.add(PluginState(name="vitals-simulator", settings={"speed": 6.0}))


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    served = TwoNodes(tmp_path_factory.mktemp("devices"), speed_up, https=True)
    yield served
    served.stop()


@pytest.fixture(scope="module")
def browser(nodes: TwoNodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("browser")
    home = home_that_trusts(folder / "home", *nodes.authorities)
    with sync_playwright() as playwright:
        chromium = launch(playwright, folder, "red", 440, home=home, names=nodes.NAMES)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def doctor(nodes: TwoNodes, browser: Browser) -> Person:
    return Person(browser, nodes.vehicle_address, "doctor", TABLET, PASSWORD)


def card(doctor: Person, device_id: str) -> Any:
    return doctor.page.locator(f"[data-device={device_id}]")


def add(doctor: Person, reader: str) -> None:
    doctor.go("/devices")
    doctor.page.select_option("#f-reader", f"vitals-simulator/{reader}")
    doctor.page.get_by_role("button", name="搜索设备").click()
    doctor.page.locator("#found li", has_text=f"sim-{reader}-1").get_by_role("button", name="添加").click()
    card(doctor, f"sim-{reader}-1").wait_for()


def test_devices_are_found_added_named_and_tested(doctor: Person) -> None:
    add(doctor, "cuff")
    add(doctor, "ecg")
    cuff = card(doctor, "sim-cuff-1")
    cuff.get_by_text("可以测量。").wait_for()
    assert "90 %" in cuff.inner_text()
    card(doctor, "sim-ecg-1").get_by_text("测量中").wait_for()
    cuff.get_by_text("改名").click()
    cuff.locator("[name=name]").fill("一号血压计")
    cuff.get_by_role("button", name="保存").click()
    card(doctor, "sim-cuff-1").get_by_role("heading", name="一号血压计").wait_for()
    card(doctor, "sim-cuff-1").get_by_role("button", name="测试").click()
    tested = card(doctor, "sim-cuff-1").locator("[data-part=tested]")
    doctor.until(tested.is_visible, "the value of the test", 30)
    assert re.search(r"\d+/\d+", tested.inner_text())


def test_a_reading_appears_at_once_is_accepted_by_one_tap_and_stands_in_the_trends(doctor: Person) -> None:
    page = doctor.page
    doctor.go(f"/encounters/{ENCOUNTER}?step=vitals")
    page.wait_for_selector("html[data-ready]")
    page.evaluate(NOTE_ARRIVAL)
    card(doctor, "sim-cuff-1").locator("[data-command=measure]").click()
    tile = page.locator("#waiting .tile-preliminary")
    tile.wait_for()
    words = tile.inner_text()
    assert "一号血压计" in words
    assert "张秀英" in words
    assert "mmHg" in words
    assert re.search(r"\d\d:\d\d", words)
    assert tile.evaluate("e => e.getBoundingClientRect().bottom <= innerHeight"), "in sight on the tablet"
    answer = page.evaluate(f"fetch('/encounters/{ENCOUNTER}/readings').then((a) => a.json())")
    received = datetime.fromisoformat(answer["readings"][0]["received_at"]).timestamp() * 1000
    assert page.evaluate("window.arrived") - received < 1000, "within a second"
    value = tile.locator("[data-slot=value]").inner_text()
    tile.get_by_role("button", name="采纳").click()
    page.locator("#tiles .tile-final", has_text=value).wait_for()
    assert page.locator("#waiting .tile").count() == 0
    page.get_by_role("link", name="趋势").click()
    page.wait_for_selector("html[data-trends=drawn]")
    row = page.locator("[data-trend=blood_pressure] tbody tr").first
    assert value in row.inner_text()
    assert "一号血压计" in row.inner_text()
    assert page.locator("[data-trend=blood_pressure] svg .trend-bar").count() >= 1
    assert "张秀英" in doctor.find("#patient-bar").inner_text()
    page.get_by_role("link", name="打印").click()
    page.wait_for_selector("html[data-trends=drawn]")
    pdf = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page[^s]", pdf)) == 1, "one sheet"
    assert doctor.errors == []


def test_ecg_and_pulse_wave_are_drawn_on_both_sides(nodes: TwoNodes, doctor: Person, browser: Browser) -> None:
    specialist = Person(browser, nodes.hub_address, "specialist", DESKTOP, PASSWORD)
    doctor.go(f"/encounters/{ENCOUNTER}?step=vitals")
    specialist.go(f"/consults/{nodes.consult_id}")
    for person in (doctor, specialist):
        for kind in ("ecg", "plethysmogram"):
            person.until(lambda: person.page.evaluate(INKED, kind) > 300, f"a drawn {kind}", 60)  # noqa: B023
        assert "10 mm/mV" in person.page.locator("[data-wave=ecg] figcaption").inner_text()
        assert "心电" in person.page.locator("[data-wave=ecg] figcaption").inner_text()
        assert person.errors == []


def test_the_pen_neither_waits_nor_falls_behind(doctor: Person) -> None:
    paces = doctor.page.evaluate(PACE)
    assert paces["even"]["waits"] == 0
    assert paces["uneven"]["waits"] <= 5
    assert paces["later"]["waits"] <= 60, "it waits once, for as long as the packets have become later"
    assert paces["stalled"]["waits"] <= 130, "it waits once, for the two seconds of the stall"
    for pace in paces.values():
        assert 0 <= pace["lag"] < 1.6, "the delay is cut again"


def test_a_reading_after_the_encounter_waits_in_the_tray_for_a_person(doctor: Person) -> None:
    page = doctor.page
    doctor.go(f"/encounters/{ENCOUNTER}?step=vitals")
    card(doctor, "sim-cuff-1").locator("[data-command=measure]").click()
    card(doctor, "sim-cuff-1").locator("[data-command=cancel]").wait_for()
    page.locator("a.step", has_text="结束").click()
    page.get_by_role("button", name="结束就诊").click()
    page.wait_for_url("**/today")
    doctor.go("/unassigned")
    doctor.until(lambda: page.locator("[data-tray]").count() == 1 or not page.reload(), "a reading in the tray", 40)
    assert "一号血压计" in page.locator("[data-tray]").inner_text()
    doctor.go(f"/encounters/{ENCOUNTER}")
    page.get_by_role("button", name="重新打开").click()
    doctor.go("/unassigned")
    page.locator("[data-tray]").get_by_role("button", name="张秀英").click()
    page.locator("#waiting .tile-preliminary").wait_for()
    assert doctor.find("#encounter").get_attribute("data-patient-id") == World.patient_id


def test_a_device_is_forgotten_and_its_readings_stay(doctor: Person) -> None:
    doctor.go("/devices")
    cuff = card(doctor, "sim-cuff-1")
    cuff.locator("summary", has_text="移除").click()
    cuff.get_by_role("button", name="移除").click()
    doctor.until(lambda: card(doctor, "sim-cuff-1").count() == 0, "the card gone")
    doctor.go(f"/patients/{World.patient_id}/trends")
    assert "一号血压计" in doctor.page.locator("[data-trend=blood_pressure]").inner_text()
