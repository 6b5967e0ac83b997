"""The administrator's pages, and the coordinator's board, as forms and answers."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlmodel import select

from teleconsult.app import create_app
from teleconsult.domain.consult import Action
from teleconsult.http.admin.schema import fields_of, values_of, without_new_secrets
from teleconsult.plugin_host import HIDDEN_SECRET
from teleconsult.services import consults, directory, encounters, staff
from teleconsult.services.node import Node
from teleconsult.store.tables import AuditEntry, Consult, User, Vehicle
from tests.support.pages import enter_as, log_in, post
from tests.support.world import World


@pytest.fixture
def app(hub: Node) -> Flask:
    return create_app(hub)


@pytest.fixture
def admin(app: Flask, hub: Node) -> FlaskClient:
    return enter_as(app.test_client(), hub, World.administrator)


def secret_of(page: str) -> str:
    found = re.search(r'<output class="secret"[^>]*>([^<]+)</output>', page)
    assert found is not None, page
    return found[1]


def test_a_new_account_gets_a_password_that_is_shown_once(app: Flask, admin: FlaskClient) -> None:
    values = {"name": "李欣", "username": "li.xin", "role": "coordinator", "organization_id": World.hospital_id}
    made = post(admin, "/admin/people/new", **values)
    assert made.status_code == 200
    password = secret_of(made.text)
    assert made.headers["Cache-Control"] == "no-store"
    with admin.session_transaction() as cookie:
        assert password not in str(dict(cookie))
    log_in(app.test_client(), "li.xin", password)
    assert password not in admin.get("/admin/people").text
    assert "李欣" in admin.get("/admin/people?q=li.x").text
    assert "李欣" not in admin.get("/admin/people?role=specialist").text


def test_a_refused_form_keeps_what_was_written(admin: FlaskClient) -> None:
    answer = post(admin, "/admin/people/new", name="李欣", username="specialist", role="coordinator", phone="0578-1")
    assert answer.status_code == 422
    assert 'value="李欣"' in answer.text
    assert 'value="0578-1"' in answer.text
    assert "“specialist”已被占用" in answer.text
    missing = post(admin, "/admin/people/new", name="李欣", username="li.xin")
    assert missing.status_code == 422
    assert 'href="#f-role"' in missing.text


def test_a_closed_account_is_out_at_once(app: Flask, admin: FlaskClient) -> None:
    specialist = log_in(app.test_client(), "specialist")
    assert specialist.get("/password").status_code == 200
    closed = post(admin, f"/admin/people/{World.specialist.user_id}/active", active="0")
    assert closed.status_code == 302
    assert specialist.get("/password").status_code == 302


def test_one_cannot_close_oneself(admin: FlaskClient) -> None:
    post(admin, f"/admin/people/{World.administrator.user_id}/active", active="0")
    assert "不能停用自己的账号" in admin.get("/admin/people").text


def test_a_vehicle_key_is_shown_once_and_stored_as_its_sum(hub: Node, admin: FlaskClient) -> None:
    key = secret_of(post(admin, f"/admin/vehicles/{World.vehicle_id}/key").text)
    assert key.startswith(World.vehicle_id + ".")
    with hub.store.read() as session:
        vehicle = session.get_one(Vehicle, World.vehicle_id)
    assert vehicle.key_hash is not None
    assert key not in vehicle.model_dump_json()
    assert post(admin, f"/admin/vehicles/{World.vehicle_id}/key/revoke").status_code == 302
    assert post(admin, f"/admin/vehicles/{World.vehicle_id}/key/revoke").status_code == 409


def test_places_are_entered_and_changed(hub: Node, admin: FlaskClient) -> None:
    values = {"name": "大均卫生院", "code": "T2", "level": "branch", "parent_id": World.hospital_id, "active": "1"}
    assert post(admin, "/admin/institutions/new", **values).status_code == 302
    branch = next(b.organization for b in directory.list_organizations(hub) if b.organization.code == "T2")
    changed = post(admin, f"/admin/institutions/{branch.id}", **{**values, "name": "大均乡卫生院"})
    assert changed.status_code == 302
    assert "大均乡卫生院" in admin.get("/admin/institutions").text
    wrong = post(admin, "/admin/institutions/new", **{**values, "code": "T3", "parent_id": World.clinic_id})
    assert wrong.status_code == 422
    assert "请选择县级医院" in wrong.text
    assert post(admin, "/admin/villages/new", name="伏叶村", township="大均乡").status_code == 302
    assert "伏叶村" in admin.get("/admin/villages?q=伏叶").text
    assert post(admin, "/admin/vehicles/new", name="三号车", code="JN-03", active="1").status_code == 302
    assert "三号车" in admin.get("/admin/vehicles").text


def test_an_unticked_box_takes_the_vehicle_out_of_service(hub: Node, admin: FlaskClient) -> None:
    assert post(admin, f"/admin/vehicles/{World.vehicle_id}", name="一号车", code="JN-01").status_code == 302
    assert not directory.get(hub, Vehicle, World.vehicle_id).active


def test_a_stop_is_planned_and_taken_out(hub: Node, admin: FlaskClient) -> None:
    values = {"vehicle_id": World.other_vehicle_id, "village_id": World.village_id, "day": "2999-01-01"}
    assert post(admin, "/admin/rounds", **values, first="2999-01-01").status_code == 302
    page = admin.get("/admin/rounds?first=2999-01-01").text
    assert "二号车" in page
    found = re.search(r"/admin/rounds/([0-9a-f-]{36})/cancel", page)
    assert found is not None
    post(admin, f"/admin/rounds/{found[1]}/cancel")
    assert "/cancel" not in admin.get("/admin/rounds?first=2999-01-01").text
    assert post(admin, "/admin/rounds", **{**values, "day": "not a day"}).status_code == 422
    assert admin.get("/admin/rounds?first=nonsense").status_code == 200


def test_the_audit_page_is_asked_by_address(admin: FlaskClient) -> None:
    post(admin, "/admin/villages/new", name="伏叶村", township="大均乡")
    page = admin.get("/admin/audit?person=管理员").text
    assert "伏叶村" in page
    assert "伏叶村" not in admin.get("/admin/audit?person=车医生").text
    assert admin.get("/admin/audit?day=nonsense&before=nonsense").status_code == 200


def test_the_pages_do_not_exist_on_a_vehicle(vehicle: Node) -> None:
    client = enter_as(create_app(vehicle).test_client(), vehicle, World.administrator)
    assert client.get("/admin/people").status_code == 404
    assert client.get("/board").status_code == 404


SCHEMA = {
    "properties": {
        "name": {"type": "string"},
        "token": {"type": "string", "format": "password", "default": ""},
        "count": {"type": "integer", "default": 3},
        "rate": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None},
        "on": {"type": "boolean", "default": True},
        "profile": {"$ref": "#/$defs/Profile", "default": "calm"},
        "hosts": {"type": "array", "items": {"type": "string"}, "default": []},
        "extra": {"type": "object", "default": {}},
    },
    "$defs": {"Profile": {"enum": ["calm", "busy"], "type": "string"}},
    "required": ["name"],
}


def test_a_settings_form_is_made_from_the_plugins_model() -> None:
    fields = {f.name: f for f in fields_of(SCHEMA, {"name": "a", "token": "hidden", "hosts": ["x", "y"]})}
    kinds = [f.kind for f in fields.values()]
    assert kinds == ["text", "secret", "number", "number", "tick", "choice", "lines", "json"]
    assert fields["token"].value == HIDDEN_SECRET
    assert fields["profile"].options == (("calm", "calm"), ("busy", "busy"))
    assert (fields["hosts"].value, fields["count"].value, fields["name"].required) == ("x\ny", 3, True)


def test_a_posted_settings_form_becomes_values() -> None:
    form = {
        "name": " b ",
        "token": HIDDEN_SECRET,
        "count": "7",
        "rate": "",
        "profile": "busy",
        "hosts": "x\n\n y ",
        "extra": '{"a": 1}',
    }
    assert values_of(SCHEMA, form, {"token": "hidden"}) == {
        "name": "b",
        "token": "hidden",
        "count": 7,
        "on": False,
        "profile": "busy",
        "hosts": ["x", "y"],
        "extra": {"a": 1},
    }
    unreadable = values_of(SCHEMA, {"count": "seven", "extra": "{"}, {})
    assert (unreadable["count"], unreadable["extra"], unreadable["name"]) == ("seven", "{", "")


def test_no_secret_is_sent_to_the_browser_and_a_new_one_is_asked_for_again() -> None:
    secret = {"type": "string", "format": "password", "writeOnly": True}
    schema = {
        "properties": {
            "keys": {"type": "array", "items": secret},
            "login": {"$ref": "#/$defs/Login"},
            "token": {"anyOf": [secret, {"type": "null"}], "default": None},
        },
        "$defs": {"Login": {"type": "object", "properties": {"user": {"type": "string"}, "word": secret}}},
    }
    before = {"keys": ["k1", "k2"], "login": {"user": "u", "word": "w1"}, "token": "t1"}
    fields = {f.name: str(f.value) for f in fields_of(schema, before)}
    assert not [text for text in fields.values() if "k1" in text or "w1" in text or "t1" in text]
    assert values_of(schema, fields, before) == before, "unchanged"
    fields["login"] = fields["login"].replace(HIDDEN_SECRET, "w2")
    values = values_of(schema, fields, before)
    assert values["login"] == {"user": "u", "word": "w2"}
    assert without_new_secrets(schema, values, before) == (before, ["login"])


# The coordinator's board


@pytest.fixture
def consult(hub: Node) -> Consult:
    encounter = encounters.start_encounter(hub, World.doctor, World.patient_id, reason="头晕")
    consent = consults.ConsentInput(given_by="patient", how="oral")
    request = consults.RequestInput(
        encounter_id=encounter.id, specialty="cardiology", urgency="urgent", reason="血压高于目标", consent=consent
    )
    return consults.request_consult(hub, World.doctor, request)


@pytest.fixture
def coordinator(app: Flask, hub: Node) -> FlaskClient:
    return enter_as(app.test_client(), hub, World.coordinator)


def test_the_board_shows_what_waits_and_who_is_there(hub: Node, coordinator: FlaskClient, consult: Consult) -> None:
    hub.links.set(World.vehicle_id, hub.clock())
    hub.presence.arrived(World.colleague, "channel", hub.clock())
    page = coordinator.get("/board").text
    assert "张秀英" in page
    assert "血压高于目标" in page
    assert "1 人等待，0 个进行中" in page
    assert page.count("在线") == 2  # one vehicle, one specialist
    with hub.store.read() as session:
        assert session.exec(select(AuditEntry).where(AuditEntry.detail == "board: 1")).one().actor_name == "调度员"


def test_a_consult_is_given_to_a_named_specialist_with_a_reason(
    hub: Node, coordinator: FlaskClient, consult: Consult
) -> None:
    url = f"/board/consults/{consult.id}"
    page = coordinator.get(url).text
    assert page.index("专家乙") < page.index("镇医生"), "the consult's specialty comes first"
    assert "青霉素" not in page, "the coordinator sees no clinical text but the reason"
    refused = post(coordinator, url + "/reassign", specialist_id=World.colleague.user_id, text=" ")
    assert refused.status_code == 422
    assert post(coordinator, url + "/reassign", specialist_id="nobody", text="等待过久").status_code == 422
    given = post(coordinator, url + "/reassign", specialist_id=World.colleague.user_id, text="等待过久")
    assert given.location == "/board"
    with hub.store.read() as session:
        row = session.get_one(Consult, consult.id)
    assert (row.state, row.specialist_id) == ("reassigned", World.colleague.user_id)


def test_what_is_over_cannot_be_reassigned(hub: Node, coordinator: FlaskClient, consult: Consult) -> None:
    consults.take_step(hub, World.doctor, consult.id, Action.WITHDRAW)
    url = f"/board/consults/{consult.id}"
    assert "当前状态不能改派" in coordinator.get(url).text
    answer = post(coordinator, url + "/reassign", specialist_id=World.colleague.user_id, text="等待过久")
    assert answer.status_code == 422
    assert "张秀英" not in coordinator.get("/board").text


def test_closed_accounts_are_not_offered(hub: Node, coordinator: FlaskClient, consult: Consult) -> None:
    staff.set_active(hub, World.administrator, World.colleague.user_id, False)
    assert World.colleague.user_id not in coordinator.get(f"/board/consults/{consult.id}").text
    with hub.store.read() as session:
        assert session.get_one(User, World.colleague.user_id).active is False
