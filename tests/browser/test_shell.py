"""The frame of every page and its components, in a real Chromium, over a real Socket.IO connection."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect, sync_playwright
from werkzeug.serving import make_server

from tests.browser.gallery import PASSWORD, create_gallery
from tests.browser.gallery.samples import CONSULT_ID, PERSON_ID

pytestmark = pytest.mark.browser

FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SAMPLES = [
    ("vehicle", "today"), ("vehicle", "encounter"), ("vehicle", "request"), ("vehicle", "states"),
    ("vehicle", "components"), ("vehicle", "call"), ("hub", "queue"), ("hub", "components"),
]  # fmt: skip
TOUCH = 48
LIVE = {"namespace": "/live"}


@dataclass
class Gallery:
    """The gallery's server and the browser that looks at it."""

    app: Flask
    url: str
    browser: Browser
    complaints: list[str] = field(default_factory=list)

    def open(
        self, kind: str, sample: str, *, width: int = 1024, height: int = 768, query: str = "", **more: Any
    ) -> Page:
        """A page in a window of its own. What the browser complains about is kept."""
        page = self.browser.new_context(viewport={"width": width, "height": height}, locale="zh-CN", **more).new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.goto(f"{self.url}/{kind}/{sample}{query}", wait_until="load")
        page.wait_for_selector("html[data-ready]")
        return page

    def emit(self, event: str, data: dict[str, Any], topic: str) -> None:
        self.app.extensions["socketio"].emit(event, data, to=topic, **LIVE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def gallery(browser: Browser) -> Iterator[Gallery]:
    app = create_gallery()
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Gallery(app, f"http://127.0.0.1:{server.port}", browser)
    for context in browser.contexts:
        context.close()
    server.shutdown()
    thread.join()


def wait_for_topics(page: Page, *topics: str) -> None:
    """Until the node has put this tab into the topics' rooms."""
    page.evaluate(
        """async (topics) => {
            const { request } = await import("/static/js/lib/socket.js");
            for (const topic of topics) await request("watch", { topic });
        }""",
        list(topics),
    )


@pytest.mark.parametrize(
    ("language", "kind", "sample"),
    [("zh", *sample) for sample in SAMPLES] + [("en", "vehicle", "encounter"), ("en", "hub", "queue")],
)
def test_a_sample_page_is_sound(gallery: Gallery, language: str, kind: str, sample: str) -> None:
    page = gallery.open(kind, sample, width=1024 if kind == "vehicle" else 1366, query=f"?language={language}")
    assert gallery.complaints == []  # nothing broke, nothing was refused by the Content-Security-Policy
    source = page.request.get(page.url).text()
    bare = re.sub(r'"[^"]*"', '""', source)
    assert re.findall(r'.{0,60}""[a-z].{0,20}', bare) == []  # no two attributes glued together
    assert "style=" not in source
    assert page.evaluate("getComputedStyle(document.documentElement).fontSize") == (
        "18px" if kind == "vehicle" else "16px"
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than its window"
    identifiers = page.locator("[id]").evaluate_all("all => all.map(e => e.id)")
    assert len(identifiers) == len(set(identifiers))
    bottom = page.locator(".bottom-bar")
    if bottom.count():
        assert bottom.locator(".button-primary").count() <= 1
    small = page.evaluate(
        """(least) => [...document.querySelectorAll("a, button, summary, input, select, textarea, label.check")]
            .filter((e) => e.checkVisibility())
            // The label is the target of its box; a link within a sentence is exempt (WCAG 2.2, 2.5.8).
            .filter((e) => !e.matches(".skip-link, label.check input, .form-errors a"))
            .map((e) => [e, e.getBoundingClientRect()])
            .filter(([, box]) => Math.round(box.height) < least || Math.round(box.width) < least)
            .map(([e, box]) => `${e.outerHTML.slice(0, 90)}: ${box.width}x${box.height}`)""",
        TOUCH,
    )
    assert small == []
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("a, button, summary")]
            .filter((e) => e.checkVisibility() && !e.textContent.trim() && !e.ariaLabel).map((e) => e.outerHTML)"""
    )
    assert nameless == []


def test_chinese_comes_from_the_catalogue_before_any_module_runs(gallery: Gallery) -> None:
    page = gallery.open("vehicle", "today")
    said = page.evaluate(
        "import('/static/js/lib/i18n.js').then(({ t }) => t('%(count)s waiting to be sent', { count: 3 }))"
    )
    assert said == "3 条待上传"
    english = gallery.open("vehicle", "today", query="?language=en")
    assert english.evaluate("import('/static/js/lib/i18n.js').then(({ t }) => t('Undo'))") == "Undo"


def test_times_are_those_of_the_site_wherever_the_browser_is(gallery: Gallery) -> None:
    page = gallery.open("hub", "queue", timezone_id="America/New_York")
    shown = page.evaluate(
        """async () => {
            const i18n = await import("/static/js/lib/i18n.js");
            const when = "2026-11-23T16:05:00Z";
            return [i18n.formatTime(when), i18n.formatDate(when), i18n.ago(when, new Date("2026-11-23T16:50:00Z")),
                    i18n.duration(59), i18n.duration(7200), i18n.stopwatch(3847)];
        }"""
    )
    assert shown == ["00:05", "2026-11-24", "45 分钟前", "0 分钟", "2 小时", "1:04:07"]


def test_the_strip_follows_the_node(gallery: Gallery) -> None:
    page = gallery.open("vehicle", "today")
    wait_for_topics(page, "node", f"user:{PERSON_ID}")
    expect(page.locator("#strip-uplink-word")).to_have_text("在线")

    gallery.emit("uplink", {"online": False, "waiting": 7, "since": None, "last_success": None}, "node")
    expect(page.locator("#strip-uplink-word")).to_have_text("离线")
    expect(page.locator("#strip-waiting")).to_have_text("7 条待上传")
    expect(page.locator("#strip-uplink use")).to_have_attribute("href", re.compile("#signal-off$"))
    expect(page.locator('[data-count="outbox"]')).to_have_text("7")
    expect(page.locator("#announce-polite")).to_contain_text("保存在本机")
    gallery.emit("uplink", {"online": True, "waiting": 0, "since": None, "last_success": None}, "node")
    expect(page.locator("#strip-uplink-word")).to_have_text("在线")
    expect(page.locator('[data-count="outbox"]')).to_be_hidden()

    expect(page.locator("#strip-devices")).to_have_attribute("data-state", "warning")
    for device, state in (("d2", "idle"), ("d3", "idle")):
        gallery.emit("device", {"assignment_id": device, "state": state, "battery": 90}, "node")
    expect(page.locator("#strip-devices-count")).to_have_text("3/3")
    expect(page.locator("#strip-devices")).to_have_attribute("data-state", "ok")
    gallery.emit("measuring", {"patient": {"name": "蓝秀英", "age": 58}}, "node")
    expect(page.locator("#strip-measuring")).to_have_text("测量对象：蓝秀英 58 岁")
    gallery.emit("measuring", {"patient": None}, "node")
    expect(page.locator("#strip-measuring")).to_be_empty()


def test_a_running_call_is_one_tap_away(gallery: Gallery) -> None:
    page = gallery.open("vehicle", "today")
    topic = f"user:{PERSON_ID}"
    wait_for_topics(page, topic)
    call = page.locator("#strip-call")
    expect(call).to_be_hidden()
    gallery.emit("consult:changed", {"consult_id": CONSULT_ID, "state": "in_call"}, topic)
    expect(call).to_be_visible()
    expect(call).to_have_attribute("href", f"/consults/{CONSULT_ID}/call")
    gallery.emit("consult:changed", {"consult_id": "another", "state": "closed"}, topic)
    gallery.emit("call:invited", {"consult_id": CONSULT_ID, "number": 1, "by": "周文静"}, topic)
    expect(page.locator(".toast")).to_contain_text("周文静 邀请加入会诊")
    expect(call).to_be_visible()
    gallery.emit("consult:changed", {"consult_id": CONSULT_ID, "state": "opinion_due"}, topic)
    expect(call).to_be_hidden()


def test_a_lost_connection_is_shown_and_watched_topics_are_joined_again(gallery: Gallery) -> None:
    page = gallery.open("vehicle", "today")
    wait_for_topics(page, "node")
    page.evaluate(
        """async () => {
            const { watch, onConnection } = await import("/static/js/lib/socket.js");
            const told = [];
            const tell = (word) => { document.body.dataset.told = told.push(word) && told.join(" "); };
            onConnection(tell);
            watch("consult:7", {
                joined: () => tell("joined"),
                "chat:message": (data) => tell(data.text),
                "consult:changed": (data) => tell(data.consult_id),
            });
        }"""
    )
    wait_for_topics(page, "consult:7")
    gallery.emit("consult:changed", {"consult_id": "8", "state": "closed"}, "consult:7")  # not ours
    gallery.emit("chat:message", {"text": "before"}, "consult:7")
    expect(page.locator("body")).to_have_attribute("data-told", "online joined before")
    engine = gallery.app.extensions["socketio"].server
    for sid, _ in list(engine.manager.get_participants("/live", "consult:7")):
        engine.disconnect(sid, namespace="/live")
    expect(page.locator("#strip-connection")).to_be_visible()
    expect(page.locator("#strip-uplink")).to_be_hidden()
    expect(page.locator("body")).to_have_attribute("data-told", "online joined before offline online joined")
    expect(page.locator("#strip-connection")).to_be_hidden()
    gallery.emit("chat:message", {"text": "after"}, "consult:7")
    expect(page.locator("body")).to_have_attribute("data-told", "online joined before offline online joined after")


def test_a_refused_topic_and_a_missing_answer_say_why(gallery: Gallery) -> None:
    page = gallery.open("vehicle", "today")
    told = page.evaluate(
        """async () => {
            const { request } = await import("/static/js/lib/socket.js");
            const fails = (promise) => promise.then(() => "answered", (e) => [e.code, e.sentence]);
            return [await fails(request("watch", { topic: "consult:secret" })),
                    await fails(request("nobody:listens", {}, { timeoutMs: 200 }))];
        }"""
    )
    assert told[0] == ["not_allowed", "这次会诊由别人负责。"]
    assert told[1] == ["timeout", "服务器没有应答。页面内容都在，请稍后再试。"]


def test_an_expired_login_keeps_the_text_and_is_renewed_in_place(gallery: Gallery) -> None:
    page = gallery.open("vehicle", "request")
    text = page.locator("#f-reason")
    text.fill("胸闷两小时，想请专家看心电图")
    page.evaluate(
        """async () => {
            const api = await import("/static/js/lib/api.js");
            await api.postJson("/end-login");
            window.save = () => api.postJson("/save", { text: document.getElementById("f-reason").value })
                .then((answer) => answer.text, (error) => error.code);
        }"""
    )
    assert page.evaluate("save()") == "login"
    panel = page.locator("#login-again")
    expect(panel).to_be_visible()
    expect(panel.get_by_label("密码")).to_be_focused()
    panel.get_by_label("密码").fill("wrong")
    panel.get_by_role("button").click()
    expect(panel.locator(".field-error")).to_have_text("用户名或密码不对。")
    panel.get_by_label("密码").fill(PASSWORD)
    panel.get_by_role("button").click()
    expect(panel).to_be_hidden()
    expect(text).to_have_value("胸闷两小时，想请专家看心电图")
    assert page.evaluate("save()") == "胸闷两小时，想请专家看心电图"


def test_a_draft_outlives_a_reload_until_the_node_has_it(gallery: Gallery) -> None:
    page = gallery.open("vehicle", "request")
    attach = """async () => {
        const { Draft, readForm } = await import("/static/js/lib/draft.js");
        const form = document.getElementById("request");
        window.draft = new Draft("request:7");
        window.sent = () => readForm(form);
        return window.draft.attach(form) !== null;
    }"""
    assert page.evaluate(attach) is False
    page.locator("#f-reason").fill("头晕三天")
    page.get_by_label("危急").check()
    page.reload()
    assert page.evaluate(attach) is True
    expect(page.locator("#f-reason")).to_have_value("头晕三天")
    expect(page.get_by_label("危急")).to_be_checked()
    kept = page.evaluate("localStorage.getItem(draft.name)")
    assert "csrf" not in kept
    # Text that was changed while the answer was under way is not thrown away.
    page.evaluate("window.before = sent()")
    page.locator("#f-reason").fill("头晕三天，今晨加重")
    page.evaluate("draft.confirmed(before)")
    assert page.evaluate("draft.read() !== null")
    page.evaluate("draft.confirmed(sent())")
    assert page.evaluate("draft.read()") is None


def test_zoomed_to_200_percent_the_patient_stays_and_the_focus_is_seen(gallery: Gallery) -> None:
    page = gallery.open("vehicle", "encounter", width=512, height=384)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    note = page.locator("#f-note")
    note.focus()
    page.evaluate("document.activeElement.scrollIntoView({ block: 'nearest' })")
    bar = page.locator("#patient-bar").bounding_box()
    foot = page.locator(".bottom-bar").bounding_box()
    box = note.bounding_box()
    assert bar is not None
    assert foot is not None
    assert box is not None
    assert bar["y"] == 0, "the patient bar has scrolled away"
    assert abs(foot["y"] + foot["height"] - 384) < 1
    visible = min(box["y"] + box["height"], foot["y"]) - max(box["y"], bar["height"])
    assert visible >= TOUCH, "the field with the focus is covered"


def test_single_keys_are_silent_while_somebody_writes(gallery: Gallery) -> None:
    page = gallery.open("hub", "components", width=1366)
    page.evaluate(
        """async () => {
            const { bindKeys } = await import("/static/js/lib/keys.js");
            window.pressed = [];
            bindKeys({ a: () => window.pressed.push("a") });
        }"""
    )
    page.keyboard.press("a")
    page.locator("#f-resident").press("a")
    assert page.evaluate("pressed") == ["a"]
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.get_by_label("关闭单键快捷键").check()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("a")
    assert page.evaluate("pressed") == ["a"]


def test_tabs_questions_phrases_and_drawers_by_keyboard(gallery: Gallery) -> None:
    page = gallery.open("vehicle", "components")
    page.get_by_role("tab", name="读数").press("ArrowRight")
    expect(page.get_by_role("tab", name="既往会诊")).to_be_focused()
    expect(page.locator("#two")).to_be_visible()
    expect(page.locator("#one")).to_be_hidden()
    drawer = page.locator("#chat")
    drawer.get_by_role("button", name="关闭").press("Enter")
    expect(drawer).to_be_hidden()
    expect(page.get_by_role("button", name="对话")).to_have_attribute("aria-expanded", "false")
    expect(page.get_by_role("button", name="对话")).to_be_focused()

    page = gallery.open("vehicle", "states")
    page.locator("details.confirm > summary").press("Enter")
    expect(page.get_by_text("移除“臂式血压计 2 号”？")).to_be_visible()
    expect(page.locator("[data-confirm-cancel]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("details.confirm > summary")).to_be_focused()

    page = gallery.open("vehicle", "request")
    page.get_by_role("button", name="胸闷待查").click()
    page.get_by_role("button", name="心电图请阅").click()
    expect(page.locator("#f-reason")).to_have_value("胸闷待查，心电图请阅")


def test_a_date_is_eight_digits_whatever_the_browser_speaks(gallery: Gallery) -> None:
    page = gallery.open("hub", "components", width=1366)
    born = page.get_by_label("出生日期")
    expect(born).to_have_value("1959-01-01")
    born.fill("")
    born.press_sequentially("19610230")
    expect(born).to_have_value("1961-02-30")
    born.press("Backspace")
    born.press("Backspace")
    born.press_sequentially("28")
    expect(born).to_have_value("1961-02-28")
    assert born.evaluate("field => field.validity.valid") is True
    born.fill("61/2/28")
    assert born.evaluate("field => field.validity.valid") is False


def test_sounds_are_muted_on_this_machine(gallery: Gallery) -> None:
    page = gallery.open("hub", "queue", width=1366)
    chime = "import('/static/js/lib/sound.js').then(({ chime }) => chime('new'))"
    page.locator(".strip-menu > summary").click()  # the touch that browsers ask for before they sound
    page.evaluate("import('/static/js/lib/sound.js').then(({ unlock }) => unlock())")
    assert page.evaluate(chime) is True
    page.get_by_role("button", name="提示音").click()
    assert page.evaluate(chime) is False
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.evaluate(chime) is False
    page.locator(".strip-menu > summary").click()
    expect(page.locator("[data-mute-word]")).to_have_text("关")


def test_what_was_done_can_be_undone_once(gallery: Gallery) -> None:
    page = gallery.open("vehicle", "today")
    page.evaluate(
        """async () => {
            const { toast } = await import("/static/js/lib/toast.js");
            window.undone = 0;
            toast("已采纳血压 168/102。", { undo: () => window.undone++ });
        }"""
    )
    page.get_by_role("button", name="撤销").click()
    expect(page.locator(".toast")).to_have_count(0)
    assert page.evaluate("undone") == 1


def test_a_form_is_sent_once(gallery: Gallery) -> None:
    page = gallery.open("vehicle", "request")
    page.evaluate(
        """() => {
            window.sent = 0;
            window.addEventListener("submit", (event) => {
                if (!event.defaultPrevented) window.sent++;
                event.preventDefault();  // stands in for an answer that takes its time
            });
        }"""
    )
    page.get_by_label("专科").select_option("cardiology")
    page.locator("#f-reason").fill("胸闷")
    send = page.get_by_role("button", name="发送申请")
    for _ in range(3):
        send.click()
    expect(send).to_have_attribute("aria-busy", "true")
    assert page.evaluate("sent") == 1


def test_a_tile_made_by_a_module_is_the_macros_tile(gallery: Gallery) -> None:
    page = gallery.open("vehicle", "encounter")
    reading = {
        "id": "r1", "kind": "blood_pressure", "label": "血压", "value": "168/102", "unit": "mmHg", "time": "10:42",
        "status": "preliminary", "level": "warning", "extra": {"label": "脉率", "value": "84", "unit": "/min"},
        "marks": [{"level": "warning", "word": "高于控制目标"}], "device": "臂式血压计 2 号",
        "note": "随附信息：雷金根",
        "previous": {"value": "146/90", "unit": "mmHg", "date": "2026-10-22"},
        "target": {"low": 90, "high": 150, "value": 168, "from": 70, "to": 210, "text": "目标 <150/90"},
    }  # fmt: skip
    made, drawn = page.evaluate(
        """async (reading) => {
            const { makeTile } = await import("/static/js/lib/tile.js");
            const plain = (tile) => tile.outerHTML.replace(/\\s+/g, " ").replace(/> | </g, (around) => around.trim());
            const drawn = document.querySelector(`[data-reading="${reading.id}"]`);
            return [plain(makeTile(reading)), plain(drawn)];
        }""",
        reading,
    )
    assert made == drawn


def test_motion_stops_for_people_who_want_none(gallery: Gallery) -> None:
    moving = "getComputedStyle(document.querySelector('.button[aria-busy=true]'), '::before').animationDuration"
    assert gallery.open("vehicle", "components").evaluate(moving) == "0.9s"
    still = gallery.open("vehicle", "components", reduced_motion="reduce")
    assert float(still.evaluate(moving).rstrip("s")) <= 0.001


def test_a_record_prints_on_one_page_without_the_tools(gallery: Gallery) -> None:
    page = gallery.browser.new_page()
    page.goto(f"{gallery.url}/hub/record")
    page.emulate_media(media="print")
    expect(page.locator(".print-tools")).to_be_hidden()
    pdf = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
    assert re.search(rb"/MediaBox\s*\[0 0 59[45][\d.]* 84[12]", pdf), "not A4"
