"""The trends page and its sheet: who sees what of whose readings, what is marked, what is left out and said."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlmodel import select

from teleconsult.app import create_app
from teleconsult.domain.consult import Action
from teleconsult.services import observations
from teleconsult.services.consults import take_step
from teleconsult.services.node import Node
from teleconsult.services.observations import value_marks
from teleconsult.services.trends import targets
from teleconsult.store import new_version
from teleconsult.store.tables import AuditEntry, Observation
from tests.support.consults import ask, open_encounter
from tests.support.pages import log_in, post
from tests.support.people import another_patient
from tests.support.world import World

CODES = {
    "blood_pressure": (("8480-6", "mm[Hg]"), ("8462-4", "mm[Hg]"), ("8867-4", "/min")),
    "glucose": (("14743-9", "mmol/L"),),
    "fasting_glucose": (("14770-2", "mmol/L"),),
    "body_weight": (("29463-7", "kg"),),
    "spo2": (("59408-5", "%"),),
}


def put(node: Node, encounter_id: str, kind: str, *numbers: float, days_ago: float = 0, **more: Any) -> str:
    """An accepted reading of the world's patient, 76 years old, marked as the program marks it."""
    components = [
        {"code": code, "value": value, "unit": unit}
        for value, (code, unit) in zip(numbers, CODES[kind], strict=len(numbers) == len(CODES[kind]))
    ]
    own = "glucose" if kind == "fasting_glucose" else kind
    values = {
        "patient_id": World.patient_id,
        "encounter_id": encounter_id,
        "kind": own,
        "components": components,
        "marks": value_marks(own, components, 76),
        "status": "final",
        "source": "device",
        "device_name": "臂式血压计",
        "taken_at": node.clock() - timedelta(days=days_ago),
        **more,
    }
    with node.store.write() as tx:
        return new_version(tx.session, Observation, values, author=World.doctor, node_id=node.node_id).record_id


@pytest.fixture
def doctor(vehicle: Node) -> FlaskClient:
    """The vehicle doctor's browser, in English."""
    client = log_in(create_app(vehicle).test_client(), "doctor")
    post(client, "/language", language="en", next="/today")
    return client


def data_of(html: str) -> dict[str, Any]:
    found = re.search(r'id="trend-data"[^>]*>(.*?)</script>', html, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found.group(1))
    return data


def texts(html: str) -> dict[str, list[str]]:
    return {trend["kind"]: [one["text"] for one in trend["readings"]] for trend in data_of(html)["trends"]}


PAGE = f"/patients/{World.patient_id}/trends"


def test_readings_stand_in_their_order_with_marks_origin_and_target(vehicle: Node, doctor: FlaskClient) -> None:
    visit = open_encounter(vehicle)
    put(vehicle, visit, "blood_pressure", 152, 88, 70, days_ago=200)
    put(vehicle, visit, "blood_pressure", 184, 96, days_ago=100)
    put(vehicle, visit, "blood_pressure", 310, 88, days_ago=20)
    put(vehicle, visit, "fasting_glucose", 7.2, days_ago=30, source="manual", device_name="")
    put(vehicle, visit, "glucose", 9.1, days_ago=10)
    html = doctor.get(PAGE).text
    assert texts(html) == {"blood_pressure": ["152/88", "184/96", "310/88"], "glucose": ["7.2", "9.1"]}
    data = data_of(html)
    assert data["trends"][0]["targets"] == {"systolic": 150, "diastolic": 90}, "76 years old"
    assert data["trends"][1]["targets"] == {"fasting_glucose": 7.0}, "none for glucose that is not fasting"
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    (implausible,) = [row for row in rows if "310/88" in row]
    assert "Implausible: measure again" in implausible
    (urgent,) = [row for row in rows if "184/96" in row]
    assert "In the urgent range" in urgent
    assert "臂式血压计" in urgent
    (typed,) = [row for row in rows if ">7.2<" in row]
    assert "typed in by 车医生" in typed
    assert "Fasting glucose" in typed
    assert "张秀英" in html
    assert "76" in html


def test_what_is_in_error_is_left_out_and_what_waits_is_said(vehicle: Node, doctor: FlaskClient) -> None:
    visit = open_encounter(vehicle)
    put(vehicle, visit, "spo2", 97)
    wrong = put(vehicle, visit, "spo2", 55)
    put(vehicle, visit, "spo2", 91, status="preliminary")
    put(vehicle, visit, "spo2", 12, status="cancelled")
    observations.mark_entered_in_error(vehicle, World.doctor, wrong)
    html = doctor.get(PAGE).text
    assert texts(html) == {"spo2": ["97"]}
    assert "1 readings wait to be accepted" in html


def test_the_time_shown_is_chosen(vehicle: Node, doctor: FlaskClient) -> None:
    visit = open_encounter(vehicle)
    for days in (10, 91, 93, 300, 500):
        put(vehicle, visit, "body_weight", 60 + days / 100, days_ago=days)
    counts = {span: len(texts(doctor.get(f"{PAGE}?span={span}").text)["body_weight"]) for span in ("3m", "12m", "all")}
    assert counts == {"3m": 2, "12m": 4, "all": 5}
    assert len(texts(doctor.get(f"{PAGE}?span=nonsense").text)["body_weight"]) == 4, "a year by default"


def test_nobody_elses_readings_and_each_look_is_audited(vehicle: Node, doctor: FlaskClient) -> None:
    visit = open_encounter(vehicle)
    put(vehicle, visit, "spo2", 97)
    other = another_patient(vehicle)
    assert "No accepted readings in this time" in doctor.get(f"/patients/{other}/trends").text
    doctor.get(PAGE + "/print")
    with vehicle.store.read() as session:
        looks = [e for e in session.exec(select(AuditEntry)) if e.detail.startswith("trends")]
    assert [(e.action, e.patient_id) for e in looks] == [("read", other), ("read", World.patient_id)]
    assert doctor.get("/patients/nobody/trends").status_code == 404


@pytest.mark.parametrize(("language", "words"), [("en", "Values, latest first"), ("zh", "各次测量值")])
def test_the_sheet_is_printed_in_both_languages(vehicle: Node, doctor: FlaskClient, language: str, words: str) -> None:
    visit = open_encounter(vehicle)
    for days in range(40):
        put(vehicle, visit, "blood_pressure", 130 + days, 80, days_ago=days)
    html = doctor.get(f"{PAGE}/print?language={language}").text
    assert words in html
    assert "张秀英" in html
    rows = re.findall(r"<tr><th scope=\"row\">\d{4}-\d\d-\d\d", html)
    assert len(rows) == 14, "what fits on one sheet"
    assert "26" in html[html.index("sheet-foot") :], "how many days are left out is said"
    assert "169/80" in html, "though every reading is in the curve"


def test_a_specialist_sees_it_by_the_consult_as_far_as_it_was_shared(hub: Node) -> None:
    before = open_encounter(hub)
    put(hub, before, "spo2", 93, days_ago=60)
    visit = open_encounter(hub)
    shown = put(hub, visit, "spo2", 96)
    app = create_app(hub)
    specialist, colleague, coordinator = (
        log_in(app.test_client(), name) for name in ("specialist", "colleague", "coordinator")
    )
    shared = ask(hub, encounter_id=visit, observation_ids=[shown], history=True)
    alone = ask(hub, encounter_id=visit, observation_ids=[shown], history=False)
    for consult in (shared, alone):
        take_step(hub, World.specialist, consult.id, Action.ACCEPT)
    assert texts(specialist.get(f"/consults/{shared.id}/trends").text) == {"spo2": ["93", "96"]}
    html = specialist.get(f"/consults/{alone.id}/trends").text
    assert texts(html) == {"spo2": ["96"]}
    assert "未共享" in html
    assert texts(specialist.get(f"/consults/{alone.id}/trends/print").text) == {"spo2": ["96"]}
    for stranger in (colleague, coordinator):
        assert stranger.get(f"/consults/{shared.id}/trends").status_code == 403
        assert stranger.get(f"/consults/{shared.id}/trends/print").status_code == 403
    assert specialist.get(PAGE).status_code == 404, "a specialist has no way to a person but by a consult"
    assert f"/consults/{shared.id}/trends" in specialist.get(f"/consults/{shared.id}").text


def test_the_way_leads_from_the_person_and_the_encounter(vehicle: Node, doctor: FlaskClient) -> None:
    visit = open_encounter(vehicle)
    assert PAGE in doctor.get(f"/patients/{World.patient_id}").text
    assert f"{PAGE}?encounter={visit}" in doctor.get(f"/encounters/{visit}").text
    assert f"/encounters/{visit}?step=vitals" in doctor.get(f"{PAGE}?encounter={visit}").text


def test_targets_follow_the_age() -> None:
    assert targets(64)["blood_pressure"] == {"systolic": 140, "diastolic": 90}
    assert targets(65)["blood_pressure"] == {"systolic": 150, "diastolic": 90}
    assert targets(17) == {}
