"""The administrator's pages of plugins: which there are, their settings, off and on, with real plugin processes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from flask.testing import FlaskClient

from teleconsult.app import create_app
from teleconsult.domain.plugin_state import PluginStateStore
from teleconsult.plugin_host import HIDDEN_SECRET, PluginHost, PluginStatus
from teleconsult.services.node import Node
from teleconsult.store.plugins import DatabasePluginState
from tests.support.pages import enter_as, post
from tests.support.world import World

Start = Callable[..., PluginHost]


@pytest.fixture
def store(hub: Node) -> PluginStateStore:
    return DatabasePluginState(hub.store)


@pytest.fixture
def start(hub: Node, plugin_host: Start) -> Iterator[Start]:
    """`start("misbehaving")`: these plugins run at the hub."""

    def begin(*names: str, fault_limit: int = 2) -> PluginHost:
        host = hub.plugins = plugin_host(*names, fault_limit=fault_limit)
        return host

    yield begin
    hub.plugins = None


@pytest.fixture
def admin(hub: Node) -> FlaskClient:
    return enter_as(create_app(hub).test_client(), hub, World.administrator)


def rows(page: str) -> list[str]:
    """The rows of the list as plain text."""
    found = re.findall(r'<a class="list-row".*?</a>', page, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in found]


def test_the_list_shows_name_kind_and_state(start: Start, admin: FlaskClient) -> None:
    start("every_hook", "misbehaving")
    [every_hook, misbehaving] = [row for row in rows(admin.get("/admin/plugins").text) if "1.2.3" in row]
    assert "全部 1.2.3" in every_hook
    assert "every_hook · 设备 · 随访 · 转诊 · 页面信息栏 · 会诊动态" in every_hook
    assert "运行中" in every_hook
    assert "misbehaving · 页面信息栏" in misbehaving


def test_settings_are_saved(start: Start, admin: FlaskClient) -> None:
    host = start("every_hook")
    answer = post(admin, "/admin/plugins/every_hook/settings", log="/tmp/x", limit="7")
    assert answer.status_code == 302
    assert host.plugin("every_hook").settings == {"log": "/tmp/x", "limit": 7}
    assert 'value="7"' in admin.get("/admin/plugins/every_hook").text


@pytest.mark.parametrize(
    ("plugin", "form", "field", "sentence"),
    [
        ("every_hook", {"limit": "many"}, "limit", "Limit: 请填写整数。"),
        ("misbehaving", {"how": "badly"}, "how", "How: 请从以下选项中选择："),
        ("needs_a_setting", {"address": ""}, "address", "Address: 至少 1 个字符。"),
    ],
)
def test_refused_settings_name_the_field_in_the_pages_language(
    start: Start, admin: FlaskClient, plugin: str, form: dict[str, str], field: str, sentence: str
) -> None:
    host = start(plugin)
    before = host.plugin(plugin).settings
    answer = post(admin, f"/admin/plugins/{plugin}/settings", **form)
    assert answer.status_code == 422
    assert f'<a href="#f-{field}">{sentence}' in answer.text
    assert "Input should" not in answer.text
    assert host.plugin(plugin).settings == before


def test_no_secret_is_on_the_page_and_an_untouched_one_stays(start: Start, admin: FlaskClient) -> None:
    host = start("secretive")
    secrets = {"password": "hunter2", "keys": ["k-one"], "login": {"user": "u", "password": "p-one"}}
    host.configure("secretive", secrets)
    page = admin.get("/admin/plugins/secretive").text
    assert not [secret for secret in ("hunter2", "k-one", "p-one") if secret in page]
    form = {
        "password": HIDDEN_SECRET,
        "keys": HIDDEN_SECRET,
        "login": f'{{"user": "u", "password": "{HIDDEN_SECRET}"}}',
        "many": "many",
    }
    assert post(admin, "/admin/plugins/secretive/settings", **form).status_code == 422
    assert post(admin, "/admin/plugins/secretive/settings", **{**form, "many": "4"}).status_code == 302
    kept = host.plugin("secretive").settings
    assert {name: kept[name] for name in secrets} == secrets
    assert kept["many"] == 4
    refused = post(admin, "/admin/plugins/secretive/settings", **{**form, "password": "hunter3"})
    assert "hunter3" not in refused.text
    assert "请重新输入新的密钥" in refused.text


def test_off_and_on(start: Start, admin: FlaskClient) -> None:
    host = start("every_hook")
    assert post(admin, "/admin/plugins/every_hook/switch", on="0").status_code == 302
    assert host.plugin("every_hook").status is PluginStatus.DISABLED
    page = admin.get("/admin/plugins/every_hook").text
    assert "已由人工停用" in page
    assert 'name="limit"' in page, "it can be set while it is off"
    post(admin, "/admin/plugins/every_hook/switch", on="1")
    assert host.plugin("every_hook").status is PluginStatus.ENABLED


def test_on_again_after_faults_with_the_setting_mended_before(start: Start, admin: FlaskClient) -> None:
    start("misbehaving").record_fault("misbehaving", "device cuff: it was not heard for 10 s")
    assert "设备 cuff: 10 秒没有回应" in admin.get("/admin/plugins/misbehaving").text
    start("misbehaving", fault_limit=1).record_fault("misbehaving", "page_panels: ValueError: it went wrong")
    host = start("misbehaving")
    page = admin.get("/admin/plugins/misbehaving").text
    assert "多次故障后已停用" in page
    assert "page_panels: ValueError: it went wrong" in page
    assert 'name="how"' in page
    assert post(admin, "/admin/plugins/misbehaving/settings", how="nonsense").status_code == 302
    assert host.plugin("misbehaving").status is PluginStatus.SWITCHED_OFF_AFTER_FAULTS
    post(admin, "/admin/plugins/misbehaving/switch", on="1")
    view = host.plugin("misbehaving")
    assert (view.status, view.faults, view.settings["how"]) == (PluginStatus.ENABLED, 0, "nonsense")


def test_a_plugin_that_nobody_knows(start: Start, admin: FlaskClient) -> None:
    start("misbehaving")
    assert admin.get("/admin/plugins/teapot").status_code == 404
    assert post(admin, "/admin/plugins/teapot/switch", on="1").status_code == 404
