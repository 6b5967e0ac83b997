"""What browsers may keep: an address with a stamp for long, everything else only after asking."""

from __future__ import annotations

import json

from teleconsult.app import LANGUAGES, create_app, static_url
from teleconsult.services.node import Node


def test_a_stamped_file_is_kept_and_an_imported_module_is_asked_for(hub: Node) -> None:
    client = create_app(hub).test_client()
    assert client.get(static_url("js/shell.js")).cache_control.max_age == 30 * 24 * 3600
    imported = client.get("/static/js/lib/i18n.js")
    assert imported.cache_control.no_cache
    again = client.get("/static/js/lib/i18n.js", headers={"If-None-Match": imported.headers["ETag"]})
    assert again.status_code == 304


def test_the_catalogue_is_kept_only_under_its_stamp(hub: Node) -> None:
    client = create_app(hub).test_client()
    stamped = client.get("/catalogue/zh.json?v=1")
    assert stamped.cache_control.max_age == 30 * 24 * 3600
    assert json.loads(stamped.text)["Log in"] == "登录"
    assert client.get("/catalogue/zh.json").cache_control.no_store
    assert json.loads(client.get("/catalogue/en.json").text) == {}
    assert json.loads(client.get("/catalogue/xx.json").text) == {}
    assert "xx" not in LANGUAGES
