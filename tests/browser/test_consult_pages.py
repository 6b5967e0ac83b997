"""The queue and the opinion in real Chromiums: nothing jumps, nothing written is lost, two windows, a lost login."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from teleconsult.domain.ids import new_id
from teleconsult.services.node import Node
from teleconsult.settings import NodeKind, Settings
from teleconsult.store import Store, migrate
from teleconsult.tls import Authority
from tests.browser.person import DESKTOP, PEOPLE, Person, launch
from tests.support.consults import accepted, add_reading, ask, open_encounter
from tests.support.served import Served
from tests.support.trust import home_that_trusts
from tests.support.world import PASSWORD, World, build_world

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


class Hub:
    """A served hub with an open encounter, and its people at their browsers."""

    def __init__(self, folder: Path, browser: Browser) -> None:
        config = Settings(kind=NodeKind.HUB, data_dir=folder, allow_demo_data=True)
        node = Node(config, Store(config.url), "hub")
        migrate.upgrade(node.store)
        build_world(node)
        self.encounter_id = open_encounter(node)
        self.reading_id = add_reading(node, self.encounter_id)
        self.fill(node)
        node.store.close()
        self.browser = browser
        self.served = served = Served(
            kind="hub", data_dir=folder, port=0, tls="own", allow_demo_data=True, load_plugins="", media_workers=1
        )
        self.address = served.address.replace("127.0.0.1", "hub.local")

    def fill(self, node: Node) -> None:
        """What waits and what is in hand from the beginning."""
        self.waiting = [
            ask(node, encounter_id=self.encounter_id, urgency="routine", reason=f"等待 {n}").id for n in range(12)
        ]
        self.opinions = [accepted(node, encounter_id=self.encounter_id).id for _ in range(3)]

    def person(self, username: str) -> Person:
        """Somebody logged in in a browser of their own."""
        return Person(self.browser, self.address, username, DESKTOP, PASSWORD)

    def ask(self, doctor: Person, urgency: str, reason: str) -> str:
        """Ask for a consult the way the form does; gives its id."""
        key = new_id()
        form = {
            "id": key,
            "specialty": "cardiology",
            "urgency": urgency,
            "mode": "live",
            "reason": reason,
            "observation_ids": self.reading_id,
            "given_by": "patient",
            "how": "oral",
        }
        assert doctor.send(f"/encounters/{self.encounter_id}/consult", form)
        return key


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    authority = Authority(folder / "data")
    authority.make(["hub.local"])
    home = home_that_trusts(folder / "home", authority.file)
    with sync_playwright() as playwright:
        browser = launch(playwright, folder, "green", 660, home=home, names={"hub.local": "127.0.0.1"})
        found = Hub(folder / "data", browser)
        try:
            yield found
        finally:
            browser.close()
            found.served.stop()


@pytest.fixture
def come(hub: Hub) -> Iterator[Callable[[str], Person]]:
    """People who come for one test; none of their pages may have had an error."""
    here: list[Person] = []

    def make(username: str) -> Person:
        here.append(hub.person(username))
        return here[-1]

    yield make
    for person in here:
        PEOPLE.remove(person)
        person.page.context.close()
    assert not [error for person in here for error in person.errors]


def top_of(page: Page, consult_id: str) -> float:
    """Where a row of the queue is in the window."""
    found: float = page.evaluate(
        "id => document.querySelector(`li[data-consult='${id}']`).getBoundingClientRect().top", consult_id
    )
    return found


def ready(page: Page) -> None:
    """Every module of the page has run."""
    page.wait_for_selector("html[data-ready]", state="attached")


# -- queue --------------------------------------------------------------------------------------------------------


def test_a_new_request_sounds_and_nothing_jumps(hub: Hub, come: Callable[[str], Person]) -> None:
    doctor, specialist = come("doctor"), come("specialist")
    page = specialist.page
    page.add_init_script(
        "window.tones = 0; const start = OscillatorNode.prototype.start;"
        "OscillatorNode.prototype.start = function (...rest) { window.tones += 1; return start.apply(this, rest); };"
    )
    specialist.go("/queue")
    ready(page)
    looked_at = hub.waiting[8]
    page.locator(f"li[data-consult='{looked_at}'] a").focus()
    page.locator("#queue").click(position={"x": 2, "y": 2}, trial=True)
    before = top_of(page, looked_at)
    new = hub.ask(doctor, "emergency", "意识不清")
    page.wait_for_selector(f"li[data-consult='{new}']")
    assert page.locator("#queue > li").first.get_attribute("data-consult") == new, "the emergency is on top"
    assert abs(top_of(page, looked_at) - before) < 2, "the row that is looked at stays where it is"
    assert page.evaluate("document.activeElement.closest('li').dataset.consult") == looked_at
    specialist.until(lambda: page.evaluate("window.tones") >= 3, "three notes for an emergency")
    expect(page.locator("#queue-count")).to_contain_text("13")


def test_the_queue_is_worked_with_the_keyboard_and_who_is_late_is_told(hub: Hub, come: Callable[[str], Person]) -> None:
    doctor, specialist, colleague = come("doctor"), come("specialist"), come("colleague")
    first = hub.ask(doctor, "emergency", "键盘接诊")
    for person in (specialist, colleague):
        person.go("/queue")
        ready(person.page)
    page = specialist.page
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.locator(f"li[data-consult='{first}'] a").focus()
    # The colleague's page is held at the state before, as on a slow link.
    colleague.page.route("**/queue/rows*", lambda route: route.abort())
    colleague.page.locator(f"li[data-consult='{first}'] a").focus()
    page.keyboard.press("a")
    page.wait_for_url(re.compile(first))
    expect(page.locator("#opinion")).to_be_visible()
    colleague.page.keyboard.press("a")
    expect(colleague.page.locator("#toasts")).to_contain_text(f"{World.specialist.name}已接诊")


def test_enter_opens_the_row_that_has_the_focus(hub: Hub, come: Callable[[str], Person]) -> None:
    specialist = come("specialist")
    specialist.go("/queue")
    ready(specialist.page)
    specialist.page.locator(f"li[data-consult='{hub.waiting[3]}'] a").focus()
    specialist.page.keyboard.press("Enter")
    specialist.page.wait_for_url(re.compile(hub.waiting[3]))
    expect(specialist.page.locator("main")).to_contain_text("等待 3")


# -- steps --------------------------------------------------------------------------------------------------------


def test_a_step_that_comes_too_late_keeps_its_words(hub: Hub, come: Callable[[str], Person]) -> None:
    specialist, colleague = come("specialist"), come("colleague")
    consult_id = hub.waiting[5]
    specialist.go(f"/consults/{consult_id}")
    ready(specialist.page)
    specialist.press("[data-worded=decline] summary")
    specialist.page.fill("[data-step=decline] textarea", "请转皮肤科")
    # The page is told at once; it must not throw away what is being written.
    assert colleague.send(f"/consults/{consult_id}/steps", {"action": "ask_information", "text": "测血氧"})
    expect(specialist.page.locator("#toasts")).to_contain_text("所写内容已保留")
    specialist.press("[data-step=decline] [type=submit]")
    expect(specialist.page.locator("#toasts")).to_contain_text("此操作不能再进行")
    assert specialist.page.input_value("[data-step=decline] textarea") == "请转皮肤科"


# -- opinion ------------------------------------------------------------------------------------------------------


def saved(page: Page) -> None:
    expect(page.locator("#opinion-saved[data-state=saved]")).to_contain_text("已保存")


def test_the_text_survives_a_lost_login_and_a_reload(hub: Hub, come: Callable[[str], Person]) -> None:
    specialist = come("specialist")
    page = specialist.page
    specialist.go(f"/consults/{hub.opinions[0]}")
    ready(page)
    page.fill("[name=impression]", "写到一半")
    saved(page)
    page.context.clear_cookies()
    page.fill("[name=advice]", "登录过期时写的建议")
    expect(page.locator("#login-again")).to_be_visible()
    assert page.input_value("[name=advice]") == "登录过期时写的建议"
    page.fill("#login-again [name=username]", "specialist")
    page.fill("#login-again [name=password]", PASSWORD)
    page.press("#login-again [name=password]", "Enter")
    expect(page.locator("#login-again")).to_be_hidden()
    saved(page)
    page.reload()
    assert page.input_value("[name=impression]") == "写到一半"
    assert page.input_value("[name=advice]") == "登录过期时写的建议"


def test_signing_before_the_page_s_module_runs_leaves_everything_as_it_is(
    hub: Hub, come: Callable[[str], Person]
) -> None:
    specialist = come("specialist")
    page = specialist.page
    held: list[Route] = []
    page.route("**/js/consult/specialist.js*", lambda route: held.append(route))
    path = f"/consults/{hub.opinions[1]}"
    page.goto(hub.address + path, wait_until="commit")
    page.fill("[name=impression]", "脚本还没有运行")
    page.click("#sign")
    held[0].continue_()
    ready(page)
    assert page.url.endswith(path)
    expect(page.locator("[name=impression]")).to_have_value("脚本还没有运行")
    saved(page)
    page.unroute("**/js/consult/specialist.js*")
    page.reload()
    expect(page.locator("[name=impression]")).to_have_value("脚本还没有运行")


def test_what_the_node_never_got_comes_back_after_a_crash(hub: Hub, come: Callable[[str], Person]) -> None:
    specialist = come("specialist")
    page = specialist.page
    specialist.go(f"/consults/{hub.opinions[1]}")
    ready(page)
    page.route("**/opinion/draft", lambda route: route.abort())
    page.fill("[name=impression]", "没有送到的文字")
    expect(page.locator("#opinion-saved")).to_have_attribute("data-state", "failed")
    page.unroute("**/opinion/draft")
    page.goto("about:blank")
    specialist.go(f"/consults/{hub.opinions[1]}")
    expect(page.locator("[name=impression]")).to_have_value("没有送到的文字")
    saved(page)


def test_two_windows_show_both_texts_and_the_writer_chooses(hub: Hub, come: Callable[[str], Person]) -> None:
    specialist = come("specialist")
    url = f"{specialist.base}/consults/{hub.opinions[2]}"
    one = specialist.page
    two = one.context.new_page()
    for page in (one, two):
        page.goto(url)
        ready(page)
    one.fill("[name=impression]", "第一个窗口")
    saved(one)
    two.fill("[name=impression]", "第二个窗口")
    conflict = two.locator("#opinion-conflict")
    expect(conflict).to_contain_text("第一个窗口")
    assert two.input_value("[name=impression]") == "第二个窗口"
    conflict.get_by_role("button", name="改用另一窗口的文字").click()
    expect(two.locator("[name=impression]")).to_have_value("第一个窗口")
    expect(conflict).to_be_empty()
    two.fill("[name=impression]", "第二个窗口再改")
    saved(two)
    one.fill("[name=impression]", "第一个窗口再改")
    expect(one.locator("#opinion-conflict")).to_contain_text("第二个窗口再改")
    one.locator("#opinion-conflict").get_by_role("button", name="继续用本窗口的文字").click()
    saved(one)
    one.reload()
    assert one.input_value("[name=impression]") == "第一个窗口再改"


def test_what_is_missing_is_said_at_its_field_and_signing_ends_the_writing(
    hub: Hub, come: Callable[[str], Person]
) -> None:
    specialist = come("specialist")
    page = specialist.page
    specialist.go(f"/consults/{hub.opinions[0]}")
    ready(page)
    page.fill("[name=impression]", "诊断")
    page.fill("[name=advice]", "建议")
    page.check("[name=refer]")
    page.click("#tab-tab-readings")
    page.click("#sign")
    expect(page.locator("[data-field=refer_to] .field-error")).to_be_visible()
    assert page.evaluate("document.activeElement.name") == "refer_to"
    page.fill("[name=refer_to]", "县人民医院")
    page.click("#sign")
    expect(page.locator(".opinion-signed").first).to_contain_text("县人民医院")
    kept: list[Any] = page.evaluate("Object.keys(localStorage).filter((key) => key.includes('opinion'))")
    assert kept == []
