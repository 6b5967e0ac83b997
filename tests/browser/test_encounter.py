"""The encounter page with two people being seen on one vehicle: whose reading is it?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest
from playwright.sync_api import Browser, sync_playwright

from teleconsult.domain.ids import utc_now
from teleconsult.plugin_api import make_reading
from teleconsult.services import encounters, observations
from teleconsult.services.node import Node
from tests.browser.media_page import FLAGS
from tests.browser.person import DESKTOP, TABLET, Person
from tests.support.people import another_patient
from tests.support.served import ENCOUNTER, TwoNodes
from tests.support.world import PASSWORD, World

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SECOND: list[str] = []

DRAW = """async () => {
  const { drawChart } = await import("/static/js/trends/chart.js");
  const component = (key, value, level) => ({ key, value: String(value), label: key, unit: "mmHg", level });
  const at = "2026-11-24T02:00:00Z";
  const reading = {
    id: "1", kind: "blood_pressure", name: "Blood pressure", text: "135/98", unit: "mmHg", taken_at: at,
    marks: [], flags: [],
    components: [component("systolic", 135, null), component("diastolic", 98, "warning")],
  };
  const targets = { systolic: 140, diastolic: 90 };
  const options = { width: 400, height: 300, since: Date.parse(at) - 1000, until: Date.parse(at) + 1000 };
  const svg = drawChart({ kind: "blood_pressure", readings: [reading], targets }, options);
  const number = (selector, name) => Number(svg.querySelector(selector).getAttribute(name));
  const caps = [...svg.querySelectorAll(".trend-cap")].map((cap) => Number(cap.getAttribute("y1")));
  return {
    top: number(".trend-bar", "y1"), foot: number(".trend-bar", "y2"), caps,
    diastolic: number(".trend-limit-diastolic", "y1"), systolic: number(".trend-limit-systolic", "y1"),
    plain: number(".trend-target", "y"), hatched: number("rect[fill^=url]", "y"),
    hatchedTo: number("rect[fill^=url]", "y") + number("rect[fill^=url]", "height"),
  };
}"""

DRAW_TILE = """async () => {
  const { makeTile } = await import("/static/js/lib/tile.js");
  const { toTile } = await import("/static/js/vehicle/reading.js");
  const view = {
    id: "1", kind: "glucose", name: "Glucose", text: "7.8", unit: "mmol/L", taken_at: "2026-11-24T02:00:00Z",
    status: "preliminary", note: "张三", marks: [], flags: [], components: [],
  };
  const tile = makeTile(toTile(view));
  const nameless = makeTile(toTile({ ...view, note: "" }));
  return [tile, nameless].map((one) => {
    const { hidden, textContent } = one.querySelector("[data-part=note]");
    return [hidden, textContent];
  });
}"""


def see_another(node: Node) -> None:
    """On the vehicle a second person's encounter is open, and the first has an analyser's result that names a third."""
    if not node.is_hub:
        other = another_patient(node, "李大山", date(1990, 5, 1))
        SECOND[:] = [encounters.start_encounter(node, World.doctor, other).id]
        value = {"glucose": (7.8, "mmol/L")}
        result = make_reading("lis", "glucose", value, taken_at=utc_now(), note="张三 332529196001010015")
        observations.take_reading(node, result, device_name="生化仪")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    served = TwoNodes(tmp_path_factory.mktemp("encounter"), see_another)
    yield served
    served.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def doctor(nodes: TwoNodes, browser: Browser) -> Person:
    return Person(browser, nodes.vehicle.address, "doctor", TABLET, PASSWORD)


def test_a_stream_stands_beside_what_was_kept_and_goes_when_it_is_silent(
    nodes: TwoNodes, doctor: Person, browser: Browser
) -> None:
    doctor.go(f"/encounters/{ENCOUNTER}?step=vitals")
    doctor.page.locator("#streams").get_by_role("button", name="采纳").click()
    doctor.page.locator("#tiles .tile-final[data-kind=spo2]").wait_for()
    specialist = Person(browser, nodes.hub.address, "specialist", DESKTOP, PASSWORD)
    specialist.go(f"/consults/{nodes.consult_id}")
    live = specialist.page.locator("#call-vitals .call-vital-live[data-kind=spo2]")
    kept = specialist.page.locator("#call-vitals .call-vital:not(.call-vital-live)[data-kind=spo2]")
    live.wait_for()
    kept.wait_for()
    assert "实时" in live.inner_text()
    assert "血氧仪" in live.inner_text()
    doctor.go(f"/encounters/{SECOND[0]}?step=vitals")
    specialist.until(lambda: live.count() == 0, "no stale value called live", 20)
    assert kept.is_visible()
    assert specialist.errors == []


def test_the_name_that_came_with_a_result_stands_beside_its_buttons(doctor: Person) -> None:
    doctor.go(f"/encounters/{ENCOUNTER}?step=vitals")
    tile = doctor.page.locator("#waiting .tile", has_text="7.8")
    tile.get_by_role("button", name="采纳").wait_for()
    assert tile.locator("[data-part=note]").inner_text() == "随附信息：张三 332529196001010015"
    assert "张秀英" in tile.locator("[data-part=sentence]").inner_text()
    assert doctor.page.evaluate(DRAW_TILE) == [[False, "随附信息：张三"], [True, ""]]


def test_a_foot_above_the_diastolic_target_is_seen_under_a_good_top(doctor: Person) -> None:
    doctor.go("/today")
    drawn = doctor.page.evaluate(DRAW)
    assert drawn["systolic"] < drawn["top"] < drawn["foot"] < drawn["diastolic"], "y grows downwards"
    assert drawn["plain"] == drawn["diastolic"], "the foot does not stand on the plain ground"
    assert (drawn["hatched"], drawn["hatchedTo"]) == pytest.approx((drawn["systolic"], drawn["diastolic"]))
    assert drawn["caps"] == [drawn["foot"]], "the end that misses is crossed, and it alone"


def test_an_oximeter_left_on_the_finger_gives_the_next_person_no_value(doctor: Person) -> None:
    page = doctor.page
    doctor.go(f"/encounters/{ENCOUNTER}?step=vitals")
    page.locator("#streams .tile").wait_for()
    doctor.go(f"/encounters/{SECOND[0]}?step=vitals")
    held = page.locator("#streams [data-held]")
    held.wait_for()
    assert "血氧仪仍戴在张秀英（76岁）身上" in held.inner_text()
    assert page.locator("#streams .tile").count() == 0
    held.get_by_role("button", name="已戴在李大山身上").click()
    tile = page.locator("#streams .tile")
    tile.wait_for()
    assert held.count() == 0
    tile.get_by_role("button", name="采纳").click()
    page.locator("#tiles .tile-final[data-kind=spo2]").wait_for()
    assert doctor.errors == []
