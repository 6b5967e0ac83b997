"""What the doctor sees of Bluetooth devices on the encounter page: virtual ones, read by vitals-bluetooth."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, sync_playwright

from teleconsult.plugin_host.virtual_devices import VirtualRadio
from teleconsult.services.node import Node
from teleconsult.store.tables import DeviceAssignment, PluginState
from tests.browser.media_page import FLAGS
from tests.browser.person import TABLET, Person
from tests.support.served import ENCOUNTER, TwoNodes
from tests.support.world import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

PLUGIN = "vitals-bluetooth"
READERS = {"blood-pressure": ("cuff", "blood_pressure", "蓝牙血压计"), "glucose": ("meter", "glucose", "蓝牙血糖仪")}


class Air:
    """The virtual devices, by kind."""

    def __init__(self, radio: VirtualRadio) -> None:
        self.radio = radio
        self._devices = {device.kind: device for device in radio.devices}

    def device_id(self, kind: str) -> str:
        return f"ble-{self._devices[kind].address}"

    def measure(self, kind: str, misbehave: str | None = None, **values: float) -> None:
        self.radio.measure(self._devices[kind].device, misbehave=misbehave, values=values)

    def assign(self, node: Node) -> None:
        """Make them the vehicle's own."""
        if node.is_hub:
            return
        with node.store.write() as tx:
            tx.session.add(PluginState(name=PLUGIN, settings={"radio": self.radio.address}))
            for kind, (reader, gives, name) in READERS.items():
                info = {"kinds": [gives], "address": self._devices[kind].address}
                device = self.device_id(kind)
                tx.session.add(
                    DeviceAssignment(plugin=PLUGIN, reader=reader, device_id=device, name=name, info=info)
                )  # fmt: skip


@pytest.fixture(scope="module")
def air() -> Iterator[Air]:
    with VirtualRadio(*READERS, speed=20) as radio:
        yield Air(radio)


@pytest.fixture(scope="module")
def nodes(air: Air, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    served = TwoNodes(tmp_path_factory.mktemp("bluetooth"), air.assign, PLUGIN)
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


@pytest.fixture
def cuff(doctor: Person, air: Air) -> Locator:
    """The cuff's line on the encounter page, once the cuff is ready."""
    doctor.go(f"/encounters/{ENCOUNTER}?step=vitals")
    doctor.page.wait_for_selector("html[data-ready]")
    line = doctor.page.locator(f"[data-device='{air.device_id('blood-pressure')}']")
    line.get_by_text("就绪，请绑好袖带后按下开始键。").wait_for()
    return line


def test_a_good_reading_stands_first_with_whose_it_is(doctor: Person, air: Air, cuff: Locator) -> None:
    air.measure("blood-pressure", systolic=151, diastolic=92, pulse_rate=77)
    tile = doctor.page.locator("#waiting .tile-preliminary")
    tile.wait_for()
    words = tile.inner_text()
    for part in ("血压", "151/92", "mmHg", "77", "蓝牙血压计", "张秀英", "76", "高于控制目标"):
        assert part in words
    tile.get_by_role("button", name="采纳").click()
    doctor.page.locator("#tiles .tile-final", has_text="151/92").wait_for()
    assert doctor.page.locator("#waiting .tile").count() == 0
    assert doctor.errors == []


def test_a_cuff_that_could_not_measure_says_what_to_do_and_gives_no_value(
    doctor: Person, air: Air, cuff: Locator
) -> None:
    before = doctor.page.locator("#readings .tile:not(.tile-empty)").count()
    air.measure("blood-pressure", "error")
    cuff.get_by_text("血压测量失败，请重新绑好袖带，静坐不说话后再次测量。").wait_for()
    assert doctor.page.locator("#readings .tile:not(.tile-empty)").count() == before
    air.measure("blood-pressure", systolic=128, diastolic=81)
    doctor.page.locator("#waiting .tile", has_text="128/81").get_by_role("button", name="重测").click()
    doctor.until(lambda: doctor.page.locator("#waiting .tile").count() == 0, "the reading put away")


def test_what_no_body_has_is_marked_and_not_altered(doctor: Person, air: Air, cuff: Locator) -> None:
    air.measure("blood-pressure", "out-of-range")
    tile = doctor.page.locator("#waiting .tile-danger")
    tile.wait_for()
    assert "330/12" in tile.inner_text()
    assert "数值异常，请重新测量" in tile.inner_text()
    tile.get_by_role("button", name="重测").click()
    doctor.until(lambda: doctor.page.locator("#waiting .tile").count() == 0, "the reading put away")


def test_a_link_lost_in_the_middle_says_that_nothing_was_kept(doctor: Person, air: Air, cuff: Locator) -> None:
    air.measure("blood-pressure", "drop")
    cuff.get_by_text("测量过程中连接断开，本次未记录，请重新测量。").wait_for()
    assert doctor.page.locator("#waiting .tile").count() == 0
    cuff.get_by_text("就绪，请绑好袖带后按下开始键。").wait_for()
    air.measure("blood-pressure", systolic=133, diastolic=84)
    doctor.page.locator("#waiting .tile", has_text="133/84").wait_for()


def test_stored_readings_are_fetched_when_asked_for(doctor: Person, air: Air, cuff: Locator) -> None:
    meter = doctor.page.locator(f"[data-device='{air.device_id('glucose')}']")
    meter.get_by_role("button", name="读取蓝牙血糖仪存储的记录").click()
    meter.get_by_text("设备中没有新的存储记录。").wait_for()
    assert doctor.errors == []


def test_a_reading_that_goes_to_the_tray_is_said_and_shown_at_once(doctor: Person, air: Air, cuff: Locator) -> None:
    assert doctor.page.locator("#tray").is_hidden()
    air.measure("glucose", glucose=6.1, offset_minutes=-600)
    sentence = "未计入张秀英：血糖 6.1。测量时间早于就诊开始"
    doctor.page.locator("#toasts", has_text=sentence).wait_for()
    row = doctor.page.locator("#tray [data-tray]")
    assert "蓝牙血糖仪" in row.inner_text()
    row.get_by_role("button", name="归 张秀英").click()
    tile = doctor.page.locator("#waiting .tile", has_text="测量时间早于就诊开始")
    tile.wait_for()
    assert doctor.page.locator("#tray").is_hidden()
    assert doctor.errors == []


def test_a_cuff_with_a_button_of_its_own_is_tested_by_its_next_reading(doctor: Person, air: Air, cuff: Locator) -> None:
    doctor.go("/devices")
    doctor.page.wait_for_selector("html[data-ready]")
    card = doctor.page.locator(f"[data-device='{air.device_id('blood-pressure')}']")
    card.get_by_role("button", name="测试 蓝牙血压计", exact=True).click()
    card.get_by_text("请在 3 分钟内在设备上启动测量").wait_for()
    air.measure("blood-pressure", systolic=117, diastolic=76)
    card.get_by_text("测试结果：血压 117/76 mmHg，未保存。").wait_for()
    assert card.get_by_text("请在 3 分钟内在设备上启动测量").is_hidden()
    doctor.go(f"/encounters/{ENCOUNTER}?step=vitals")
    assert "117/76" not in doctor.find("#readings").inner_text()
    assert doctor.errors == []
