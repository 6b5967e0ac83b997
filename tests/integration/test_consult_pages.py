"""The pages of a consult, asked for the way a browser does: who sees what, and what a form says when it is refused."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from PIL import Image
from sqlmodel import col, select

from teleconsult.app import create_app
from teleconsult.domain.consult import Action
from teleconsult.domain.ids import new_id
from teleconsult.domain.plugin_state import MemoryPluginStateStore
from teleconsult.plugin_host import PluginConfig, PluginHost
from teleconsult.services import chat, invitations
from teleconsult.services.consults import take_step
from teleconsult.services.node import Node
from teleconsult.services.opinions import sign_opinion
from teleconsult.store.tables import AuditEntry, Consult
from tests.plugins import install
from tests.support.consults import OPINION, accepted, add_reading, ask, open_encounter, signed
from tests.support.pages import csrf, log_in, post
from tests.support.world import World


@pytest.fixture
def browse(hub: Node) -> Callable[[str], FlaskClient]:
    """A logged-in browser at the hub."""
    app = create_app(hub)
    return lambda username: log_in(app.test_client(), username)


@pytest.fixture
def on_board(vehicle: Node) -> FlaskClient:
    """The vehicle doctor's browser at the vehicle node."""
    return log_in(create_app(vehicle).test_client(), "doctor")


def as_json(client: FlaskClient) -> dict[str, str]:
    return {"X-CSRFToken": csrf(client), "Accept": "application/json", "X-Requested-With": "fetch"}


# -- asking -------------------------------------------------------------------------------------------------------


def test_the_form_shows_what_is_shared_and_sends_it(vehicle: Node, on_board: FlaskClient) -> None:
    encounter_id = open_encounter(vehicle, notes="晨起头晕")
    reading = add_reading(vehicle, encounter_id)
    add_reading(vehicle, encounter_id, "spo2", 97, status="preliminary")
    page = on_board.get(f"/encounters/{encounter_id}/consult").text
    assert "张秀英" in page
    assert "168/102" in page
    assert "保存，联网后发送" in page, "off line the button says that it is kept"
    key = re.search(r'name="id" value="([0-9a-f-]+)"', page)
    assert key is not None
    answer = post(
        on_board,
        f"/encounters/{encounter_id}/consult",
        id=key.group(1),
        specialty="cardiology",
        urgency="emergency",
        mode="live",
        reason="胸闷两小时",
        observation_ids=reading,
        shared=["notes"],
        given_by="family",
        giver_name="张小明",
        how="written",
    )
    assert answer.status_code == 302, answer.text
    with vehicle.store.read() as session:
        consult = session.get(Consult, key.group(1))
        assert consult is not None
        assert consult.shared == {"observation_ids": [reading], "notes": True, "history": False}
        assert (consult.urgency, consult.pending) == ("emergency", True)
    shown = on_board.get(answer.headers["Location"]).text
    assert "胸闷两小时" in shown
    assert "张小明" in shown


def test_a_refused_form_keeps_what_was_typed(vehicle: Node, on_board: FlaskClient) -> None:
    encounter_id = open_encounter(vehicle)
    answer = post(
        on_board,
        f"/encounters/{encounter_id}/consult",
        reason="很长的原因",
        specialty="",
        urgency="urgent",
        given_by="patient",
        how="oral",
    )
    assert answer.status_code == 422
    assert "很长的原因" in answer.text
    assert 'href="#f-specialty"' in answer.text


def test_another_vehicles_encounter_is_not_shown(hub: Node, browse: Callable[[str], FlaskClient]) -> None:
    encounter_id = open_encounter(hub)
    assert browse("doctor").get(f"/encounters/{encounter_id}/consult").status_code == 200
    assert browse("other-doctor").get(f"/encounters/{encounter_id}/consult").status_code == 403


# -- queue and page -----------------------------------------------------------------------------------------------


def test_the_queue_is_by_urgency_and_then_by_waiting_time(hub: Node, browse: Callable[[str], FlaskClient]) -> None:
    encounter_id = open_encounter(hub)
    reading = add_reading(hub, encounter_id)
    texts = [("routine", "甲"), ("urgent", "乙"), ("emergency", "丙"), ("urgent", "丁")]
    for urgency, text in texts:
        ask(hub, encounter_id=encounter_id, urgency=urgency, reason=f"原因{text}", observation_ids=(reading,))
    page = browse("specialist").get("/queue").text
    assert re.findall(r"原因(.)", page) == ["丙", "乙", "丁", "甲"]
    assert "168/102" in page
    assert "一号车" in page


def test_a_reserved_consult_is_in_its_specialists_queue_only(hub: Node, browse: Callable[[str], FlaskClient]) -> None:
    consult = ask(hub)
    take_step(hub, World.coordinator, consult.id, Action.REASSIGN, "专长", specialist_id=World.colleague.user_id)
    assert consult.id not in browse("specialist").get("/queue").text
    assert consult.id in browse("colleague").get("/queue").text
    assert browse("specialist").get(f"/consults/{consult.id}").status_code == 403


def test_buttons_are_those_of_the_lifecycle(hub: Node, browse: Callable[[str], FlaskClient]) -> None:
    consult = ask(hub)
    client = browse("specialist")
    page = client.get(f"/consults/{consult.id}").text
    assert set(re.findall(r'data-step="(\w+)"', page)) == {"accept", "decline", "ask_information"}
    take_step(hub, World.specialist, consult.id, Action.ACCEPT)
    page = client.get(f"/consults/{consult.id}").text
    assert set(re.findall(r'data-step="(\w+)"', page)) == {"return"}
    assert 'id="opinion"' in page
    assert 'id="call"' in page


def test_who_comes_second_hears_the_name_on_the_page(hub: Node, browse: Callable[[str], FlaskClient]) -> None:
    consult = ask(hub)
    first, second = browse("specialist"), browse("colleague")
    url = f"/consults/{consult.id}/steps"
    assert first.post(url, json={"action": "accept"}, headers=as_json(first)).status_code == 200
    answer = second.post(url, json={"action": "accept"}, headers=as_json(second))
    assert answer.status_code == 409
    assert World.specialist.name in answer.get_json()["sentence"]


def test_a_step_without_its_words_is_refused_at_the_field(hub: Node, browse: Callable[[str], FlaskClient]) -> None:
    consult, client = ask(hub), browse("specialist")
    answer = client.post(f"/consults/{consult.id}/steps", json={"action": "decline"}, headers=as_json(client))
    assert answer.status_code == 422
    assert answer.get_json()["field"] == "text"
    for action in ("reassign", "expire", "sign_opinion", "start_call", "fly"):
        refused = client.post(f"/consults/{consult.id}/steps", json={"action": action}, headers=as_json(client))
        assert refused.status_code == 422, action


def test_the_form_way_of_a_step_works_without_scripts(hub: Node, browse: Callable[[str], FlaskClient]) -> None:
    consult, client = ask(hub), browse("specialist")
    answer = post(client, f"/consults/{consult.id}/steps", action="decline", text=" ")
    assert answer.status_code == 422
    answer = post(client, f"/consults/{consult.id}/steps", action="decline", text="请转皮肤科")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/queue"


@pytest.mark.parametrize(
    ("username", "waiting", "taken"),
    [
        ("specialist", 200, 200),
        ("colleague", 200, 403),
        ("coordinator", 200, 200),
        ("admin", 403, 403),
        ("doctor", 200, 200),
        ("other-doctor", 403, 403),
    ],
)
def test_who_may_see_a_consult(
    hub: Node, browse: Callable[[str], FlaskClient], username: str, waiting: int, taken: int
) -> None:
    consult, client = ask(hub), browse(username)
    assert client.get(f"/consults/{consult.id}").status_code == waiting
    take_step(hub, World.specialist, consult.id, Action.ACCEPT)
    assert client.get(f"/consults/{consult.id}").status_code == taken


def test_the_coordinator_sees_no_clinical_text_but_the_reason(hub: Node, browse: Callable[[str], FlaskClient]) -> None:
    encounter_id = open_encounter(hub, notes="秘密的病史")
    reading = add_reading(hub, encounter_id)
    consult = signed(hub, encounter_id=encounter_id, observation_ids=(reading,), notes=True)
    asked = ask(hub)
    take_step(hub, World.specialist, asked.id, Action.ASK_INFORMATION, "血糖多少？")
    assert "血糖多少" not in browse("coordinator").get(f"/consults/{asked.id}").text
    assert "血糖多少" in browse("specialist").get(f"/consults/{asked.id}").text
    page = browse("coordinator").get(f"/consults/{consult.id}").text
    assert consult.reason in page
    for hidden in ("168/102", "秘密的病史", OPINION.impression, OPINION.advice):
        assert hidden not in page
    assert browse("coordinator").get(f"/consults/{consult.id}/record").status_code == 403


def test_an_invited_person_sees_it_until_the_invitation_is_taken_back(
    hub: Node, browse: Callable[[str], FlaskClient]
) -> None:
    consult, guest, host = accepted(hub), browse("township"), browse("specialist")
    assert guest.get(f"/consults/{consult.id}").status_code == 403
    people = host.get(f"/consults/{consult.id}/invitations", headers=as_json(host)).get_json()["people"]
    assert {p["name"] for p in people} == {World.colleague.name, World.township_doctor.name}
    url = f"/consults/{consult.id}/invitations/{World.township_doctor.user_id}"
    assert host.post(url, json={}, headers=as_json(host)).status_code == 200
    assert guest.get(f"/consults/{consult.id}").status_code == 200
    assert host.delete(url, headers=as_json(host)).status_code == 200
    assert guest.get(f"/consults/{consult.id}").status_code == 403
    assert guest.post(url, json={}, headers=as_json(guest)).status_code == 403


def test_reading_a_consult_is_one_audit_entry(hub: Node, browse: Callable[[str], FlaskClient]) -> None:
    consult, client = ask(hub), browse("specialist")
    client.get(f"/consults/{consult.id}")
    with hub.store.read() as session:
        query = select(AuditEntry).where(AuditEntry.entity == "consult", col(AuditEntry.action) == "read")
        entry = session.exec(query).one()
    assert (entry.actor_id, entry.patient_id) == (World.specialist.user_id, World.patient_id)


# -- opinion ------------------------------------------------------------------------------------------------------


def test_two_windows_with_one_opinion_lose_nothing(hub: Node, browse: Callable[[str], FlaskClient]) -> None:
    consult, client = accepted(hub), browse("specialist")
    url, headers = f"/consults/{consult.id}/opinion/draft", as_json(client)
    first = client.post(url, json={"opinion": {"impression": "甲"}, "revision": 0}, headers=headers)
    assert first.get_json()["revision"] == 1
    other = client.post(url, json={"opinion": {"impression": "乙"}, "revision": 0}, headers=headers)
    assert (other.status_code, other.get_json()["code"]) == (409, "draft_conflict")
    theirs = client.get(url, headers=headers).get_json()
    assert (theirs["fields"]["impression"], theirs["revision"]) == ("甲", 1)
    half = {"impression": "乙", "review_on": "2026-1"}
    again = client.post(url, json={"opinion": half, "revision": 1}, headers=headers)
    assert again.get_json()["revision"] == 2


@pytest.mark.parametrize(
    ("opinion", "field"),
    [
        ({"advice": "复测"}, "impression"),
        ({"impression": "高血压"}, "advice"),
        ({"impression": "高血压", "advice": "复测", "refer": True}, "refer_to"),
        ({"impression": "高血压", "advice": "复测", "review_on": "2020-01-01"}, "review_on"),
        ({"impression": "高血压", "advice": "复测", "review_on": "gestern"}, "review_on"),
    ],
)
def test_an_unfinished_opinion_is_not_signed(
    hub: Node, browse: Callable[[str], FlaskClient], opinion: dict[str, object], field: str
) -> None:
    consult, client = accepted(hub), browse("specialist")
    body = {"opinion": opinion, "revision": 0}
    answer = client.post(f"/consults/{consult.id}/opinion", json=body, headers=as_json(client))
    assert answer.status_code == 422
    assert answer.get_json()["field"] == field
    assert len(answer.get_json()["sentence"]) > 4


def test_a_login_that_ran_out_refuses_without_losing_the_draft(hub: Node, browse: Callable[[str], FlaskClient]) -> None:
    consult, client = accepted(hub), browse("specialist")
    url, headers = f"/consults/{consult.id}/opinion/draft", as_json(client)
    client.post(url, json={"opinion": {"impression": "写到一半"}, "revision": 0}, headers=headers)
    client.post("/logout", data={"csrf_token": csrf(client)})
    refused = client.post(url, json={"opinion": {"impression": "写到一半再加"}, "revision": 1}, headers=as_json(client))
    assert refused.status_code == 401
    log_in(client, "specialist")
    assert "写到一半" in client.get(f"/consults/{consult.id}").text
    saved = client.post(url, json={"opinion": {"impression": "写到一半再加"}, "revision": 1}, headers=as_json(client))
    assert saved.get_json()["revision"] == 2


def test_signed_acknowledged_corrected_acknowledged(hub: Node, browse: Callable[[str], FlaskClient]) -> None:
    consult, client, doctor = accepted(hub), browse("specialist"), browse("doctor")
    url = f"/consults/{consult.id}"
    body = {"opinion": {"impression": "高血压 2 级", "advice": "两周后复测"}, "revision": 0}
    assert client.post(f"{url}/opinion", json=body, headers=as_json(client)).get_json()["version"] == 1
    assert "高血压 2 级" in doctor.get(url).text
    assert post(doctor, f"{url}/steps", action="acknowledge").status_code == 302
    assert client.post(f"{url}/opinion", json=body, headers=as_json(client)).status_code == 422, "nothing was changed"
    body["opinion"] = {"impression": "高血压 3 级", "advice": "立即转诊", "refer": True, "refer_to": "县人民医院"}
    assert client.post(f"{url}/opinion", json=body, headers=as_json(client)).get_json()["version"] == 2
    page = doctor.get(url).text
    assert "高血压 3 级" in page
    assert "高血压 2 级" in page, "the earlier version stays readable"
    assert post(doctor, f"{url}/steps", action="acknowledge").status_code == 302
    with hub.store.read() as session:
        row = session.get(Consult, consult.id)
        assert row is not None
        assert row.state == "closed"


def test_only_the_specialist_who_has_it_writes_the_opinion(hub: Node, browse: Callable[[str], FlaskClient]) -> None:
    consult, other = accepted(hub), browse("colleague")
    body = {"opinion": OPINION.model_dump(mode="json"), "revision": 0}
    answer = other.post(f"/consults/{consult.id}/opinion", json=body, headers=as_json(other))
    assert answer.status_code == 403
    assert World.specialist.name in answer.get_json()["sentence"]


# -- conversation -------------------------------------------------------------------------------------------------


def test_lines_are_kept_once_and_shown_to_those_in_the_consult(hub: Node, browse: Callable[[str], FlaskClient]) -> None:
    consult, client, key = accepted(hub), browse("specialist"), new_id()
    url = f"/consults/{consult.id}"
    for _again in range(2):
        body = {"id": key, "text": " 请再测一次 <b> "}
        assert client.post(f"{url}/chat", json=body, headers=as_json(client)).status_code == 200
    talk = client.get(f"{url}/conversation", headers=as_json(client)).get_json()
    assert [line["text"] for line in talk["messages"]] == ["请再测一次 <b>"]
    too_long = client.post(f"{url}/chat", json={"id": new_id(), "text": "长" * 2001}, headers=as_json(client))
    assert too_long.status_code == 422
    stranger = browse("colleague")
    assert stranger.get(f"{url}/conversation", headers=as_json(stranger)).status_code == 403
    refused = stranger.post(f"{url}/chat", json={"id": new_id(), "text": "x"}, headers=as_json(stranger))
    assert refused.status_code == 403


def test_an_image_goes_in_and_comes_out_for_those_in_the_consult(
    hub: Node, browse: Callable[[str], FlaskClient]
) -> None:
    consult, doctor = accepted(hub), browse("doctor")
    out = io.BytesIO()
    Image.new("RGB", (640, 480), "red").save(out, "JPEG")
    key = new_id()

    def send(name: str, content: bytes) -> dict[str, object]:
        form = {"image": (io.BytesIO(content), name), "kind": "wound", "caption": "左小腿", "id": key}
        answer = doctor.post(f"/consults/{consult.id}/images", data=form, headers=as_json(doctor))
        return dict(answer.get_json())

    assert send("a.jpg", b"MZ this is a program")["field"] == "image"
    view = send("../../etc/wound.jpg", out.getvalue())["image"]
    assert isinstance(view, dict)
    assert view["id"] == key
    assert send("a.jpg", out.getvalue())["ok"], "a repeat is the same image"
    image = browse("specialist").get(view["url"])
    assert image.mimetype == "image/jpeg"
    assert Image.open(io.BytesIO(image.data)).size == (640, 480)
    small = browse("specialist").get(view["small_url"])
    assert max(Image.open(io.BytesIO(small.data)).size) == 320
    assert browse("colleague").get(view["url"]).status_code == 403
    assert browse("coordinator").get(view["url"]).status_code == 403


def test_an_oversize_image_is_refused_with_a_sentence(hub: Node, browse: Callable[[str], FlaskClient]) -> None:
    consult, doctor = accepted(hub), browse("doctor")
    form = {"image": (io.BytesIO(b"\xff\xd8\xff" + b"0" * 13_000_000), "big.jpg"), "kind": "ecg"}
    answer = doctor.post(f"/consults/{consult.id}/images", data=form, headers=as_json(doctor))
    assert answer.status_code in (413, 422)
    assert len(answer.get_json()["sentence"]) > 5
    chat.send_message(hub, World.doctor, consult.id, "还在", message_id=new_id())


# -- record -------------------------------------------------------------------------------------------------------


def test_the_record_holds_what_the_national_form_asks_for(hub: Node, browse: Callable[[str], FlaskClient]) -> None:
    encounter_id = open_encounter(hub)
    reading = add_reading(hub, encounter_id)
    consult = accepted(hub, encounter_id=encounter_id, observation_ids=(reading,))
    client = browse("doctor")
    assert client.get(f"/consults/{consult.id}/record").status_code == 409, "there is no record before the signature"
    sign_opinion(hub, World.specialist, consult.id, OPINION)
    chinese = client.get(f"/consults/{consult.id}/record?language=zh").text
    for wanted in (
        consult.number,
        "张秀英",
        consult.reason,
        OPINION.impression,
        OPINION.advice,
        World.specialist.name,
        "景宁县人民医院",
        World.doctor.name,
        "168/102",
        "会诊原因",
        "会诊意见",
        "责任医生",
        "知情同意",
    ):
        assert wanted in chinese, wanted
    assert '<html lang="zh-CN"' in chinese
    english = client.get(f"/consults/{consult.id}/record?language=en").text
    assert '<html lang="en"' in english
    assert "Reason for the consultation" in english
    assert browse("colleague").get(f"/consults/{consult.id}/record").status_code == 403


def test_staff_says_who_is_on_line_and_admits_what_is_not_known(
    hub: Node, browse: Callable[[str], FlaskClient]
) -> None:
    client = browse("doctor")
    hub.presence.arrived(World.specialist, "channel", hub.clock())
    facts = client.get("/staff.json", headers=as_json(client)).get_json()["specialties"]["cardiology"]
    assert facts["online"] == [World.specialist.name]
    assert facts["wait"] is None
    for _number in range(3):
        accepted(hub)
    facts = client.get("/staff.json", headers=as_json(client)).get_json()["specialties"]["cardiology"]
    assert facts["wait"] is not None


def test_off_line_nobody_pretends_to_know_who_is_there(on_board: FlaskClient) -> None:
    answer = on_board.get("/staff.json", headers=as_json(on_board))
    assert answer.status_code == 503
    assert answer.get_json()["sentence"]


def test_an_invitation_needs_a_call_and_a_specialist(hub: Node) -> None:
    with pytest.raises(Exception, match="no call"):
        invitations.invite(hub, World.doctor, ask(hub).id, World.colleague.user_id)
    with pytest.raises(Exception, match="choose somebody"):
        invitations.invite(hub, World.doctor, accepted(hub).id, World.administrator.user_id)


# -- what plugins add, and what a refusal says --------------------------------------------------------------------


def test_a_plugin_s_panel_stands_on_the_pages_of_a_consult(
    hub: Node, browse: Callable[[str], FlaskClient], tmp_path: Path
) -> None:
    config = PluginConfig(only=frozenset({"every_hook"}), paths=(install(tmp_path, "every_hook"),), load_deadline=20)
    encounter_id = open_encounter(hub)
    readings = [add_reading(hub, encounter_id), add_reading(hub, encounter_id, "spo2", 97)]
    add_reading(hub, encounter_id, "spo2", 50, status="preliminary")
    consult = accepted(hub, encounter_id=encounter_id, observation_ids=readings)
    hub.plugins = PluginHost(config, MemoryPluginStateStore())
    hub.plugins.start()
    try:
        for username in ("specialist", "doctor"):
            page = browse(username).get(f"/consults/{consult.id}").text
            panel = re.search(r'<section class="card plugin-panel".*?</section>', page, re.DOTALL)
            assert panel is not None, username
            assert "次数" in panel.group()
            assert ">2<" in re.sub(r"\s", "", panel.group()), "the two accepted readings"
        assert "plugin-panel" not in browse("coordinator").get(f"/consults/{consult.id}").text
    finally:
        hub.plugins.stop()


@pytest.mark.parametrize(
    ("opinion", "sentence"),
    [
        ({"impression": "a", "advice": "b", "refer": "perhaps"}, "建议转诊"),
        ({"impression": 7, "advice": "b"}, "诊断印象"),
        ({"impression": "a", "advice": "b", "more": 1}, ""),
    ],
)
def test_a_refusal_names_the_field_by_its_label(
    hub: Node, browse: Callable[[str], FlaskClient], opinion: dict[str, object], sentence: str
) -> None:
    consult, client = accepted(hub), browse("specialist")
    body = {"opinion": opinion, "revision": 0}
    answer = client.post(f"/consults/{consult.id}/opinion", json=body, headers=as_json(client))
    assert answer.status_code == 422
    said = answer.get_json()["sentence"]
    assert sentence in said
    assert not re.search(r"[a-z_.]{3,}", said), "no code word"
