"""What goes with the next major version works on, and is told to everybody who can do something about it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from teleconsult.app import create_app
from teleconsult.cli import main
from teleconsult.plugin_api import API_VERSION, Text, _deprecation, hookspecs
from teleconsult.plugin_api._deprecation import DEPRECATED, Deprecation
from teleconsult.plugin_api.testing import load_hooks
from teleconsult.plugin_host import PluginHost, PluginStatus
from teleconsult.plugin_kit import check_plugin, make_project
from teleconsult.services.node import Node
from tests.plugins import uses_what_goes
from tests.support.pages import enter_as
from tests.support.world import World

USE = Text(en="Read the settings from the context.", zh="请从 context 读取设置。")
ARGUMENT = Deprecation("page_panels", "1.1", "2.0", USE, argument="settings")
HOOK = Deprecation("consult_event", "1.0", "2.0", Text(en="Use consult_step.", zh="请改用 consult_step。"))
ELSEWHERE = Deprecation("consult_event", "1.0", "2.0", USE, argument="settings")
SENTENCE = (
    "It uses page_panels(settings), deprecated since version 1.1 of the plugin border and gone in 2.0. "
    "Read the settings from the context. It was written for version 1.0."
)

Declare = Callable[..., None]


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Declare:
    """`declare(entry, …)`: this version of the border deprecates these."""
    return lambda *entries: monkeypatch.setattr(_deprecation, "DEPRECATED", entries)


def test_a_plugin_that_uses_what_goes_runs_and_says_so(plugin_host, declare: Declare, page_context) -> None:
    declare(ARGUMENT, HOOK, ELSEWHERE)
    with capture_logs() as logs:
        host: PluginHost = plugin_host("uses_what_goes")
    view = host.plugin("uses_what_goes")
    assert view.status is PluginStatus.ENABLED
    assert [warning.en for warning in view.warnings] == [
        SENTENCE,
        "It uses consult_event, deprecated since version 1.0 of the plugin border and gone in 2.0. Use consult_step.",
    ], "the argument of consult_event that goes is one that it does not take"
    assert view.warnings[0].zh == (
        "插件使用 page_panels(settings)：插件接口 1.1 版起不建议使用，2.0 版起取消。"
        "请从 context 读取设置。插件按 1.0 版编写。"
    )
    assert [panel.panel.key for panel in host.page_panels(page_context())] == ["still"]
    said = [line["warning"] for line in logs if line["event"] == "plugin uses what is deprecated"]
    assert said == [warning.en for warning in view.warnings]


def test_it_is_logged_once_and_not_each_time_the_process_starts(plugin_host, declare: Declare) -> None:
    declare(ARGUMENT)
    host: PluginHost = plugin_host("uses_what_goes")
    with capture_logs() as logs:
        host.disable("uses_what_goes")
        assert host.enable("uses_what_goes").status is PluginStatus.ENABLED
    assert [line for line in logs if line["event"] == "plugin uses what is deprecated"] == []


def test_a_plugin_that_uses_nothing_of_it_is_told_nothing(plugin_host, declare: Declare) -> None:
    declare(Deprecation("register_referral_routes", "1.0", "2.0", USE))
    assert plugin_host("uses_what_goes").plugin("uses_what_goes").warnings == ()


def test_the_administrators_pages_show_it(plugin_host, declare: Declare, hub: Node) -> None:
    declare(ARGUMENT)
    hub.plugins = plugin_host("uses_what_goes")
    admin = enter_as(create_app(hub).test_client(), hub, World.administrator)
    page = admin.get("/admin/plugins/uses_what_goes").text
    assert "notice-warning" in page
    assert hub.plugins.plugin("uses_what_goes").warnings[0].zh in page
    assert "需要更新版本的插件" in page
    assert "需要更新版本的插件" in admin.get("/admin/plugins").text
    declare()
    assert "需要更新版本的插件" not in admin.get("/admin/plugins/uses_what_goes").text
    assert "需要更新版本的插件" not in admin.get("/admin/plugins").text


def test_the_command_line_shows_it(
    declare: Declare, tmp_path: Path, new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(Deprecation("register_device_readers", "1.0", "2.0", Text(en="Use another.", zh="请改用其他接口。")))
    monkeypatch.setenv("TELECONSULT_LOAD_PLUGINS", "vitals-simulator")
    monkeypatch.setenv("TELECONSULT_LANGUAGE", "en")
    monkeypatch.setenv("TELECONSULT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TELECONSULT_DATABASE_URL", new_database())
    words = ["plugins", "list"]
    shown = CliRunner().invoke(main, words)
    sentence = "It uses register_device_readers, deprecated since version 1.0 of the plugin border and gone in 2.0."
    assert f"vitals-simulator: Needs a newer version of the plugin: {sentence} Use another." in shown.output
    views = {view["name"]: view for view in json.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)}
    assert views["vitals-simulator"]["warnings"] == [f"{sentence} Use another."]
    assert [view["warnings"] for name, view in views.items() if name != "vitals-simulator"] == [[]] * (len(views) - 1)


def test_the_plugin_check_falls_short_in_that_line_alone(declare: Declare, tmp_path: Path) -> None:
    declare(Deprecation("page_panels", "1.0", "2.0", USE, argument="context"))
    project = make_project("my-panel", "panel", tmp_path)
    [line] = [line for line in check_plugin(str(project)).lines if not line.good]
    assert (line.rule, line.verdict) == ("api-version", "falls_short")
    assert line.sentence.startswith("It uses page_panels(context), deprecated since version 1.0")
    shown = CliRunner().invoke(main, ["plugin", "check", str(project)], env={"TELECONSULT_LANGUAGE": "zh"})
    assert shown.exit_code == 1
    assert "插件使用 page_panels(context)" in shown.output


def test_a_plugins_own_tests_warn(declare: Declare) -> None:
    declare(ARGUMENT)
    with pytest.warns(DeprecationWarning, match=r"page_panels\(settings\)"):
        load_hooks(uses_what_goes)


@pytest.mark.parametrize(("since", "gone"), [("1.1", "1.2"), ("2.0", "2.0"), ("2.1", "2.0"), ("1", "2.0")])
def test_nothing_goes_without_a_minor_version_that_warns(since: str, gone: str) -> None:
    with pytest.raises(ValueError, match="version"):
        Deprecation("page_panels", since, gone, USE)


def false_entry(entry: Deprecation) -> str:
    """What is wrong with an entry for this version of the border; empty if nothing."""
    hook = getattr(hookspecs, entry.hook, None)
    if not hasattr(hook, f"{hookspecs.PROJECT}_spec"):
        return "there is no such hook"
    if entry.argument and entry.argument not in inspect.signature(hook).parameters:
        return "the hook has no such argument"
    now = _deprecation._number(API_VERSION)
    if not _deprecation._number(entry.since) <= now < _deprecation._number(entry.gone):
        return "it does not warn now"
    return "" if entry.use_instead.zh else "its advice is not there in Chinese"


def test_the_shipped_entries_are_true() -> None:
    assert [false_entry(entry) for entry in DEPRECATED if false_entry(entry)] == []
    assert false_entry(HOOK) == ""
    assert false_entry(Deprecation("page_panel", "1.0", "2.0", USE)) == "there is no such hook"
    assert false_entry(Deprecation("page_panels", "1.0", "2.0", USE, argument="x")) == "the hook has no such argument"
    assert false_entry(Deprecation("page_panels", "0.9", "1.0", USE)) == "it does not warn now"
