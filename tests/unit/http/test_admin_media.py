"""The administrator's page of the call network, and the hub's side of a vehicle's media try."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from teleconsult.app import create_app
from teleconsult.domain.errors import Conflict, NotFound, Unavailable
from teleconsult.media import AddressResult, Plan
from teleconsult.media.messages import ProbeResult
from teleconsult.services.media_health import MediaHealth, MediaReport
from teleconsult.services.node import Node
from teleconsult.settings import TlsMode
from teleconsult.tls import Authority
from tests.support.certificates import PublicAuthority
from tests.support.pages import enter_as
from tests.support.world import World

NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
GOOD = ProbeResult(outcome="ok", asked=20, answered=19, rtt_ms=12.5, worst_ms=40.0, connect_ms=77.7)
SILENT = ProbeResult(outcome="no_answer", asked=20, answered=0)


@pytest.fixture
def admin(hub: Node) -> FlaskClient:
    hub.media_health = MediaHealth(hub, Plan(unknown=("media.example.invalid",)))
    return enter_as(create_app(hub).test_client(), hub, World.administrator)


def show(hub: Node, report: MediaReport) -> None:
    assert hub.media_health is not None
    hub.media_health._report = report


def test_page_tells_what_was_found_of_each_address(admin: FlaskClient, hub: Node) -> None:
    ports = (40_000, 40_999)
    results = (
        AddressResult("10.0.0.5", ports, False, GOOD, True),
        AddressResult("fd00::5", ports, False, SILENT, True),
        AddressResult("203.0.113.7", ports, True, SILENT, True),
    )
    assert [one.well for one in results] == [True, False, None]
    report = MediaReport(NOW, results, ("media.example.invalid",))
    assert not report.well
    show(hub, report)
    page = admin.get("/admin/media").text
    assert "12.5" in page
    assert "2026-11-24 16:30:00" in page
    assert page.count('class="status status-ok"') == page.count('class="status status-danger"') == 1
    assert page.count('class="status status-info"') == 1
    assert "media.example.invalid" in page
    assert "40000–40999" in page


def test_page_tells_of_an_address_that_is_not_on_this_machine(admin: FlaskClient, hub: Node) -> None:
    before = AddressResult("10.20.0.7", (40_000, 40_999), True, SILENT, True)
    assert before.well is None
    show(hub, MediaReport(NOW, (before,), away=("192.168.9.2",)))
    page = admin.get("/admin/media").text
    assert "媒体地址 192.168.9.2 目前不在本机上" in page
    assert "10.20.0.7 目前不在本机上" in page
    assert "回环" not in page
    assert "公网地址" not in page


def test_page_before_the_first_test_and_without_any_worker(admin: FlaskClient, hub: Node) -> None:
    assert admin.get("/admin/media").status_code == 200
    assert hub.media_health is not None
    report = hub.media_health.run()
    assert report.problem
    assert not report.well
    assert "没有可检测的地址" in admin.get("/admin/media").text


def test_the_page_tells_of_a_certificate_that_ends(hub: Node, tmp_path: Path) -> None:
    public = PublicAuthority(tmp_path)
    today = datetime.now(UTC)
    hub.clock = lambda: today
    for days, level, words in ((90, "", ""), (10, "warning", "证书将于"), (-0.5, "danger", "证书已于")):
        given = public.sign("hub.example.org", days=days, from_days=-9)
        hub.settings = hub.settings.model_copy(update={"tls_cert": given})
        page = enter_as(create_app(hub).test_client(), hub, World.administrator).get("/admin/media").text
        assert (f"notice-{level}" in page and words in page) if level else "hub.example.org" not in page
    given.write_text("no certificate")
    page = enter_as(create_app(hub).test_client(), hub, World.administrator).get("/admin/media").text
    assert str(given) in page


def test_the_page_tells_of_an_authority_that_ends(hub: Node) -> None:
    authority = Authority(hub.settings.data_dir)
    hub.settings = hub.settings.model_copy(update={"tls": TlsMode.OWN})

    def page(days: int) -> str:
        today = datetime.now(UTC) + timedelta(days=days)
        hub.clock = lambda: today
        return enter_as(create_app(hub).test_client(), hub, World.administrator).get("/admin/media").text

    assert "证书颁发机构" not in page(0), "none was made yet"
    authority.make()
    date = f"{authority.certificate().not_valid_after_utc:%Y-%m-%d}"
    assert date not in page(3550)
    soon = page(3600)
    assert "notice-warning" in soon
    assert f"证书颁发机构将于 {date} 到期" in soon
    assert "teleconsult tls next" in soon
    past = page(3660)
    assert "notice-danger" in past
    assert f"证书颁发机构已于 {date} 到期" in past
    authority.file.write_text("no certificate")
    assert "证书颁发机构" not in page(3600)


def test_from_a_vehicle_a_public_address_without_an_answer_is_to_be_mended() -> None:
    assert AddressResult("203.0.113.7", None, False, SILENT, False).well is False


def test_only_one_test_runs_at_a_time_and_tries_belong_to_their_vehicle(hub: Node) -> None:
    health = MediaHealth(hub)
    health._testing = True
    with pytest.raises(Conflict):
        health.run()
    with pytest.raises(Conflict):
        health.run_soon()
    health._tries["one"] = (World.vehicle_id, hub.clock())
    with pytest.raises(NotFound):
        health.answer_try("another", "one", {})
    with pytest.raises(NotFound):
        health.close_try(World.vehicle_id, "two")
    with pytest.raises(Unavailable):
        health.open_try(World.vehicle_id)
