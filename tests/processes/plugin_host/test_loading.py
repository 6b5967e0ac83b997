"""Each road that loading a plugin can take ends in its own status, with words that name the culprit."""

from pathlib import Path

import pytest

from teleconsult.domain.errors import Conflict, NotFound
from teleconsult.domain.plugin_state import MemoryPluginStateStore, PluginRecord
from teleconsult.plugin_host import (
    HIDDEN_SECRET,
    PluginConfig,
    PluginHost,
    PluginStatus,
    SettingsRefused,
    find_plugins,
    hide_secrets,
)
from teleconsult.plugin_host._status import LABELS, TRANSITIONS
from tests.plugins import install

ROADS = {
    "every_hook": (PluginStatus.ENABLED, ""),
    "raises_on_import": (PluginStatus.STOPPED_BY_LOAD_ERROR, "RuntimeError: no such library on this machine"),
    "exits_on_import": (PluginStatus.STOPPED_BY_LOAD_ERROR, "SystemExit: 7"),
    "dies_on_import": (PluginStatus.STOPPED_BY_LOAD_ERROR, "its process ended while loading"),
    "wrong_argument": (PluginStatus.STOPPED_BY_VALIDATION, "colour"),
    "misspelt_hook": (PluginStatus.STOPPED_BY_VALIDATION, "page_panel"),
    "other_api": (PluginStatus.STOPPED_BY_API_VERSION, "2.0"),
    "no_description": (PluginStatus.STOPPED_BY_VALIDATION, "describe_plugin"),
    "wrong_registration": (PluginStatus.STOPPED_BY_VALIDATION, "must return ReaderType objects, not 'cuff'"),
    "same_key_twice": (PluginStatus.STOPPED_BY_VALIDATION, "key 'a' twice"),
}


def test_every_road_and_none_stops_another(plugin_host):
    host = plugin_host(*ROADS)
    views = {view.name: view for view in host.plugins() if view.name in ROADS}
    assert {name: view.status for name, view in views.items()} == {name: road[0] for name, road in ROADS.items()}
    for name, (_, words) in ROADS.items():
        assert words in views[name].last_error
    assert "raises_on_import.py:3" in views["raises_on_import"].last_error, "says where"
    assert all(view.status.needs_a_person == (view.status is not PluginStatus.ENABLED) for view in views.values())


def test_what_a_loaded_plugin_tells_about_itself(plugin_host):
    view = plugin_host("every_hook").plugin("every_hook")
    assert (view.distribution, view.version) == ("demo-every-hook", "1.2.3")
    assert view.title.in_language("zh") == "全部"
    assert view.kinds == ("device", "followup", "referral", "panel", "events")
    assert view.settings == {"log": "", "limit": 3}
    assert view.settings_schema["properties"]["limit"]["default"] == 3
    assert view.readers[0].key == "silent"
    assert view.programmes[0].questionnaire["resourceType"] == "Questionnaire"
    assert view.routes[0].key == "nearest"


def test_a_plugin_that_never_finishes_loading_is_given_up(plugin_host):
    view = plugin_host("hangs_on_import", load_deadline=1.5).plugin("hangs_on_import")
    assert view.status is PluginStatus.STOPPED_BY_LOAD_ERROR
    assert "longer than 1.5 s" in view.last_error


def test_stored_settings_that_are_no_longer_valid(plugin_host, store):
    store.save(PluginRecord("misbehaving", settings={"how": "well enough"}))
    host = plugin_host("misbehaving")
    view = host.plugin("misbehaving")
    assert view.status is PluginStatus.STOPPED_BY_SETTINGS
    assert view.last_error.startswith("how: Choose one of these: 'well', ")
    assert "how" in view.settings_schema["properties"], "so that the form can be shown and they can be mended"
    assert host.configure("misbehaving", {"how": "well"}).status is PluginStatus.ENABLED


def test_settings_are_checked_before_they_are_kept(plugin_host, store):
    host = plugin_host("every_hook")
    with pytest.raises(SettingsRefused) as refused:
        host.configure("every_hook", {"limit": "many"})
    assert list(refused.value.problems) == ["limit"]
    assert host.plugin("every_hook").settings["limit"] == 3
    assert host.configure("every_hook", {"limit": 5}).settings == {"log": "", "limit": 5}
    assert store.get("every_hook").settings["limit"] == 5


def test_secrets_reach_the_plugin_as_they_are_and_hidden_ones_stay(plugin_host, store, page_context):
    secrets = {
        "password": "hunter2",
        "token": "t-1",
        "pin": 4711,
        "keys": ["k-1", "k-2"],
        "login": {"user": "u", "password": "p-1"},
    }
    host = plugin_host("secretive")
    told = "hunter2 t-1 4711 k-1 k-2 p-1"

    def asked(host):
        [offered] = host.page_panels(page_context())
        return offered.panel.rows[0].value.en

    view = host.configure("secretive", {**secrets, "many": 3})
    assert asked(host) == told
    assert store.get("secretive").settings == {**secrets, "many": 3}

    shown = hide_secrets(view.settings_schema, view.settings)
    assert {shown["password"], shown["token"], shown["pin"], *shown["keys"]} == {HIDDEN_SECRET}
    assert (shown["login"], shown["many"]) == ({"user": "u", "password": HIDDEN_SECRET}, 3)
    host.configure("secretive", {**shown, "many": 4})
    assert store.get("secretive").settings == {**secrets, "many": 4}
    assert asked(plugin_host("secretive")) == told, "after a restart too"

    with pytest.raises(SettingsRefused) as refused:
        host.configure("secretive", {**shown, "keys": [HIDDEN_SECRET]})
    assert list(refused.value.problems) == ["keys"], "nobody knows which of the two was taken out"
    assert host.configure("secretive", {**shown, "keys": ["k-3"], "token": None}).settings["keys"] == ["k-3"]


def test_without_a_schema_every_setting_is_hidden():
    assert hide_secrets(None, {"a": "x", "b": ""}) == {"a": HIDDEN_SECRET, "b": ""}


def test_only_the_selected_ones_are_loaded(plugin_host):
    host = plugin_host("every_hook", "raises_on_import", only=frozenset({"every_hook", "not_installed"}))
    assert host.plugin("raises_on_import").status is PluginStatus.NOT_SELECTED
    with pytest.raises(Conflict):
        host.enable("raises_on_import")
    with pytest.raises(NotFound):
        host.plugin("not_installed")


def test_none_are_loaded_if_none_are_selected(plugin_host):
    host = plugin_host("every_hook", only=frozenset())
    assert {view.status for view in host.plugins()} == {PluginStatus.NOT_SELECTED}


def test_switching_off_is_remembered_and_on_again_works(plugin_host, store):
    host = plugin_host("every_hook")
    assert host.disable("every_hook").status is PluginStatus.DISABLED
    assert host.readers() == []
    again = plugin_host("every_hook")
    assert again.plugin("every_hook").status is PluginStatus.DISABLED
    assert again.enable("every_hook").status is PluginStatus.ENABLED
    assert store.get("every_hook").enabled


@pytest.mark.parametrize("how", ["switched off by a person", "after faults"])
def test_a_plugin_that_is_off_keeps_its_face_and_can_be_set(plugin_host, store, how):
    host = plugin_host("every_hook", fault_limit=1)
    if how == "after faults":
        host.record_fault("every_hook", "the limit is too low")
    else:
        host.disable("every_hook")
    again = plugin_host("every_hook")
    view = again.plugin("every_hook")
    assert view.status is not PluginStatus.ENABLED
    assert view.title.in_language("zh") == "全部"
    assert view.kinds == ("device", "followup", "referral", "panel", "events")
    assert "limit" in view.settings_schema["properties"]
    assert again.readers() == again.followup_programmes() == again.referral_routes() == []
    view = again.configure("every_hook", {"limit": 9})
    assert (view.settings["limit"], view.status.needs_a_person) == (9, how == "after faults"), "set, and still off"
    assert again.enable("every_hook").settings == {"log": "", "limit": 9}


def test_a_plugin_that_cannot_load_without_a_setting_is_given_it(plugin_host):
    host = plugin_host("needs_a_setting")
    view = host.plugin("needs_a_setting")
    assert view.status is PluginStatus.STOPPED_BY_SETTINGS
    with pytest.raises(SettingsRefused) as refused:
        host.configure("needs_a_setting", {"address": ""})
    assert list(refused.value.problems) == ["address"]
    assert host.configure("needs_a_setting", {"address": "10.0.0.7"}).status is PluginStatus.ENABLED
    host.disable("needs_a_setting")
    assert host.configure("needs_a_setting", {"address": "10.0.0.8"}).settings == {"address": "10.0.0.8"}


def test_a_description_of_another_version_of_the_program_is_left_out(plugin_host, store):
    store.save(PluginRecord("every_hook", enabled=False, description={"title": 5}))
    view = plugin_host("every_hook").plugin("every_hook")
    assert (view.title.en, view.kinds) == ("every_hook", ())


def test_two_distributions_with_one_name(tmp_path: Path):
    first, second = tmp_path / "a", tmp_path / "b"
    for folder, project in ((first, "demo-one"), (second, "demo-two")):
        folder.mkdir()
        install(folder, "every_hook", distribution=project)
    config = PluginConfig(only=frozenset({"every_hook"}), paths=(str(first), str(second)))
    host = PluginHost(config, MemoryPluginStateStore())
    host.start()
    view = host.plugin("every_hook")
    assert view.status is PluginStatus.STOPPED_BY_VALIDATION
    assert "demo-one, demo-two" in view.last_error


def test_the_bundled_simulator_is_found_by_its_entry_point():
    [found] = [plugin for plugin in find_plugins() if plugin.name == "vitals-simulator"]
    assert found.distribution == "teleconsult-vitals-simulator"


def test_a_store_out_of_reach_takes_no_plugin_with_it(tmp_path: Path):
    class Locked(MemoryPluginStateStore):
        def save(self, record: PluginRecord) -> None:
            raise RuntimeError("database is locked")

    config = PluginConfig(only=frozenset({"misbehaving"}), paths=(install(tmp_path, "misbehaving"),))
    host = PluginHost(config, Locked())
    host.start()
    try:
        host.record_fault("misbehaving", "something")
        assert host.plugin("misbehaving").status is PluginStatus.ENABLED
        assert host.plugin("misbehaving").faults == 1
    finally:
        host.stop()


def test_status_table_is_whole():
    assert set(TRANSITIONS) == set(LABELS) == set(PluginStatus)
    reached = {PluginStatus.FOUND}.union(*TRANSITIONS.values())
    assert reached == set(PluginStatus)
