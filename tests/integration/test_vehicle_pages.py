"""The vehicle doctor's pages over HTTP: from finding a person to finishing the encounter, and what goes wrong."""

from __future__ import annotations

import re
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlmodel import select

from teleconsult.app import create_app
from teleconsult.domain.errors import Conflict, NotAllowed
from teleconsult.plugin_api import ReadingFlag, make_reading
from teleconsult.services import measuring, observations, tray
from teleconsult.services.node import Node
from teleconsult.store.tables import AuditEntry, Encounter, Observation, OutboxEntry, Patient
from tests.support.pages import csrf, log_in, post
from tests.support.people import another_patient
from tests.support.world import World

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


@pytest.fixture
def doctor(vehicle: Node) -> FlaskClient:
    """The vehicle doctor's browser, in English, on the day of the world's stop."""
    vehicle.clock = lambda: NOW
    client = create_app(vehicle).test_client()
    log_in(client, "doctor")
    post(client, "/language", language="en", next="/today")
    return client


def send(client: FlaskClient, url: str, data: Any) -> Any:
    return client.post(url, json=data, headers={"X-CSRFToken": csrf(client)})


def begin(client: FlaskClient, patient_id: str = World.patient_id) -> str:
    answer = post(client, f"/patients/{patient_id}/encounters")
    assert answer.status_code == 302, answer.text
    url: str = answer.headers["Location"]
    assert client.get(url).status_code == 200
    return url


def test_from_the_card_reader_to_the_finished_encounter(vehicle: Node, doctor: FlaskClient) -> None:
    assert "七里村" in doctor.get("/today").text
    found = post(doctor, "/patients/search", q="000000195001010028")
    assert found.headers["Location"] == f"/patients/{World.patient_id}", "a card leads straight to the person"
    person = doctor.get(found.headers["Location"]).text
    assert "Begin an encounter" in person
    assert "青霉素" in person
    url = begin(doctor)
    assert send(doctor, f"{url}/notes", {"reason": "头晕三天", "version": 1}).json["version"] == 2
    reading = make_reading(
        "cuff", "blood_pressure", {"systolic": (186, "mm[Hg]"), "diastolic": (96, "mm[Hg]")}, taken_at=NOW
    )
    view = observations.take_reading(vehicle, reading, device_name="血压计")
    page = doctor.get(f"{url}?step=vitals").text
    assert "186/96" in page
    assert "In the urgent range" in page
    assert "张秀英" in page
    assert "76 years" in page
    assert send(doctor, f"/readings/{view['id']}/accept", {}).json["reading"]["status"] == "final"
    typed = {"body_temperature.body_temperature": "36.6"}
    assert send(doctor, f"{url}/readings", typed).json["readings"][0]["text"] == "36.6"
    assert f"{url}/consult" in doctor.get(f"{url}?step=consult").text
    assert post(doctor, f"{url}/finish").headers["Location"] == "/today"
    assert "is finished" in doctor.get("/today").text
    assert "Open it again" in doctor.get(url).text


def test_a_page_view_of_a_person_is_one_entry_of_the_audit(vehicle: Node, doctor: FlaskClient) -> None:
    doctor.get(f"/patients/{World.patient_id}")
    with vehicle.store.read() as session:
        read = session.exec(select(AuditEntry).where(AuditEntry.patient_id == World.patient_id)).all()
    assert [(entry.action, entry.actor_id) for entry in read] == [("read", World.doctor.user_id)]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"resident_id": "110105194912310021"}, "check digit"),
        ({"birth_date": "2999-01-01"}, "lies in the future"),
        ({"birth_date": "31.12.1960"}, "cannot be used here"),
        ({"name": ""}, "Enter the name"),
        ({"phone": "1" * 31}, "At most 30 characters"),
    ],
)
def test_a_fault_is_said_at_the_form_and_what_was_typed_stays(
    vehicle: Node, doctor: FlaskClient, fields: dict[str, str], sentence: str
) -> None:
    typed = {"name": "李<b>大山", "sex": "male", "birth_date": "1960-05-01", "note": "住在桥头", **fields}
    typed["name"] = fields.get("name", "李大山")
    answer = post(doctor, "/patients/new", **typed)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert "住在桥头" in answer.text
    assert all(value in answer.text for value in fields.values())
    with vehicle.store.read() as session:
        assert len(session.exec(select(Patient)).all()) == 1


def test_two_people_of_one_name_are_told_apart_before_saving(vehicle: Node, doctor: FlaskClient) -> None:
    typed = {"name": "张秀英", "sex": "female", "birth_date": "1950-01-01", "conditions": "I10"}
    asked = post(doctor, "/patients/new", **typed)
    assert asked.status_code == 409
    assert f"/patients/{World.patient_id}" in asked.text
    assert "it is somebody else" in asked.text
    saved = post(doctor, "/patients/new", **typed, confirmed=World.patient_id)
    assert saved.status_code == 302
    assert saved.headers["Location"] != f"/patients/{World.patient_id}"


def test_a_number_that_is_taken_leads_to_its_person(doctor: FlaskClient) -> None:
    answer = post(doctor, "/patients/new", name="别人", resident_id="000000195001010028")
    assert answer.status_code == 409
    assert f'href="/patients/{World.patient_id}"' in answer.text


def test_what_was_searched_for_begins_the_form(doctor: FlaskClient) -> None:
    assert 'value="000000196005010136"' in post(doctor, "/patients/new", begin="000000196005010136").text


def test_a_correction_of_an_older_page_is_refused_and_kept_on_the_page(doctor: FlaskClient) -> None:
    typed = {"name": "张秀英", "sex": "female", "birth_date": "1950-01-01"}
    url = f"/patients/{World.patient_id}/edit"
    assert post(doctor, url, **typed, phone="100", version="1").status_code == 302
    answer = post(doctor, url, **typed, phone="200", version="1")
    assert answer.status_code == 422
    assert "Somebody has changed this record" in answer.text
    assert 'value="200"' in answer.text


def test_typed_numbers_that_cannot_be_are_refused_at_their_field(vehicle: Node, doctor: FlaskClient) -> None:
    url = begin(doctor)
    typed = {"blood_pressure.systolic": "1520", "blood_pressure.diastolic": "95", "spo2.spo2": "97"}
    answer = send(doctor, f"{url}/readings", typed)
    assert (answer.status_code, answer.json["field"]) == (422, "blood_pressure.systolic")
    without_scripts = post(doctor, f"{url}/readings", **typed)
    assert without_scripts.status_code == 422
    assert 'value="1520"' in without_scripts.text
    with vehicle.store.read() as session:
        assert session.exec(select(Observation)).all() == []


def test_the_tray_is_emptied_by_a_person(vehicle: Node, doctor: FlaskClient) -> None:
    reading = make_reading("t", "body_temperature", {"body_temperature": (38.2, "Cel")}, taken_at=NOW)
    view = observations.take_reading(vehicle, reading, device_name="耳温计")
    assert "1 readings wait to be placed" in doctor.get("/today").text
    url = begin(doctor)
    tray = doctor.get("/unassigned").text
    assert "38.2" in tray
    assert "张秀英, 76" in tray
    answer = post(doctor, f"/readings/{view['id']}/place", encounter_id=url.rsplit("/", 1)[1])
    assert answer.status_code == 302
    assert "The tray is empty" in doctor.get("/unassigned").text
    assert "38.2" in doctor.get(url).text


def test_a_reading_of_another_day_says_which(vehicle: Node, doctor: FlaskClient) -> None:
    for day, value in ((21, 38.2), (0, 36.9)):
        values = {"body_temperature": (value, "Cel")}
        taken = make_reading("t", "body_temperature", values, taken_at=NOW - timedelta(days=day))
        observations.take_reading(vehicle, taken, device_name="耳温计")
    url = begin(doctor)
    for page in ("/unassigned", url):
        text = doctor.get(page).text
        assert "2026-11-03 10:00" in text
        assert "2026-11-24 10:00 · 耳温计" not in text, "today has no date"
    old = next(view for view in tray.look(vehicle, World.doctor).readings if view["text"] == "38.2")
    post(doctor, f"/readings/{old['id']}/place", encounter_id=url.rsplit("/", 1)[1])
    placed = doctor.get(url).text
    assert '<time class="tile-time" data-slot="time">2026-11-03 10:00</time>' in placed
    assert "Taken before this encounter was opened" in placed


def test_a_cuff_in_kilopascal_is_shown_in_both_units(vehicle: Node, doctor: FlaskClient) -> None:
    values = {"systolic": (16.0, "kPa"), "diastolic": (10.6, "kPa")}
    observations.take_reading(vehicle, make_reading("cuff", "blood_pressure", values, taken_at=NOW))
    assert "The device shows 16.0/10.6 kPa" in doctor.get("/unassigned").text
    url = begin(doctor)
    assert "The device shows 16.0/10.6 kPa" in doctor.get(url).text, "in the tray"
    observations.take_reading(vehicle, make_reading("cuff", "blood_pressure", values, taken_at=NOW, sequence=2))
    assert 'data-slot="given">The device shows 16.0/10.6 kPa</p>' in doctor.get(url).text


def fill_tray(vehicle: Node, count: int) -> None:
    for number in range(count):
        values = {"glucose": (6.1, "mmol/L")}
        old = make_reading("meter", "glucose", values, taken_at=NOW - timedelta(days=number), sequence=number)
        observations.take_reading(vehicle, old, device_name="血糖仪")


def test_a_full_tray_is_shown_a_page_at_a_time(vehicle: Node, doctor: FlaskClient) -> None:
    fill_tray(vehicle, 45)
    first = doctor.get("/unassigned").text
    assert (first.count("data-tray="), "Page 1 of 3" in first) == (20, True)
    assert doctor.get("/unassigned?page=3").text.count("data-tray=") == 5
    assert doctor.get("/unassigned?page=99").text.count("data-tray=") == 5
    beside = doctor.get(begin(doctor)).text
    assert (beside.count("data-tray="), "All 45 unassigned readings" in beside) == (3, True)


def test_the_readings_of_a_device_are_put_away_together_and_kept(vehicle: Node, doctor: FlaskClient) -> None:
    fill_tray(vehicle, 3)
    page = doctor.get("/unassigned").text
    assert "Put away all 3 readings of 血糖仪?" in page
    seen = re.search(r'name="seen" value="([^"]+)"', page)
    assert seen is not None
    vehicle.clock = lambda: NOW + timedelta(seconds=1)
    late = make_reading("meter", "glucose", {"glucose": (7.7, "mmol/L")}, taken_at=NOW, sequence="late")
    other = make_reading("t", "body_temperature", {"body_temperature": (38.2, "Cel")}, taken_at=NOW)
    for reading in (late, other):
        observations.take_reading(vehicle, reading)
    assert post(doctor, "/unassigned/put-away", device_id="meter", seen="").status_code == 422
    assert post(doctor, "/unassigned/put-away", device_id="meter", name="血糖仪", seen=seen[1]).status_code == 302
    left = doctor.get("/unassigned").text
    assert "3 readings of 血糖仪 were put away" in left
    assert {view["text"] for view in tray.look(vehicle, World.doctor).readings} == {"7.7", "38.2"}, "nobody has seen it"
    with vehicle.store.read() as session:
        rows = session.exec(select(Observation).where(Observation.status == "entered-in-error")).all()
        audited = session.exec(
            select(AuditEntry).where(AuditEntry.detail == "put away with others of its device")
        ).all()
    assert [row.author_id for row in rows] == [entry.actor_id for entry in audited] == [World.doctor.user_id] * 3


def test_another_vehicles_doctor_puts_nothing_away(vehicle: Node) -> None:
    with pytest.raises(NotAllowed):
        tray.put_away(vehicle, World.other_doctor, "meter", seen=NOW)


def test_the_name_that_an_analyser_sent_stands_beside_its_result(vehicle: Node, doctor: FlaskClient) -> None:
    flags = (ReadingFlag.WHOSE_UNKNOWN,)
    value = {"glucose": (7.8, "mmol/L")}
    reading = make_reading("lis", "glucose", value, taken_at=NOW, flags=flags, note="李大山 000000196001010015")
    observations.take_reading(vehicle, reading, device_name="生化仪")
    url = begin(doctor)
    for page in (doctor.get("/unassigned").text, doctor.get(url).text):
        assert "Sent with it: 李大山 000000196001010015" in page


def test_the_name_stands_on_the_tile_of_whom_the_devices_measure_for(vehicle: Node, doctor: FlaskClient) -> None:
    url = begin(doctor)
    reading = make_reading("lis", "glucose", {"glucose": (7.8, "mmol/L")}, taken_at=vehicle.clock(), note="张三 000000")
    observations.take_reading(vehicle, reading)
    tile = doctor.get(f"{url}?step=vitals").text.partition('<article class="tile tile-preliminary')[2]
    assert '<p class="tile-note" data-part="note" data-slot="note">Sent with it: 张三 000000</p>' in tile
    assert 'data-part="note" hidden' in doctor.get(begin(doctor, another_patient(vehicle)) + "?step=vitals").text


def test_a_page_in_the_background_takes_no_readings_when_its_connection_comes_back(
    vehicle: Node, doctor: FlaskClient
) -> None:
    left_open = begin(doctor)
    now = begin(doctor, another_patient(vehicle)).rsplit("/", 1)[1]
    assert doctor.get(f"{left_open}/readings").json == {"ok": True, "readings": []}
    assert measuring.announced_target(vehicle)["encounter_id"] == now


def test_somebody_elses_text_is_not_overwritten(doctor: FlaskClient) -> None:
    url = begin(doctor)
    assert send(doctor, f"{url}/notes", {"reason": "头晕", "version": 1}).status_code == 200
    late = send(doctor, f"{url}/notes", {"reason": "头痛", "version": 1})
    assert (late.status_code, late.json["code"]) == (409, "conflict")
    assert doctor.get(f"{url}/notes").json["reason"] == "头晕"


@pytest.mark.parametrize("body", [{"version": "x"}, {"reason": 7, "version": 1}, {"version": 1, "evil": 1}, []])
def test_nonsense_is_answered_with_a_sentence(doctor: FlaskClient, body: Any) -> None:
    url = begin(doctor)
    answer = send(doctor, f"{url}/notes", body)
    assert answer.status_code == 422
    assert answer.json["sentence"]


@pytest.mark.parametrize(
    "url", ["/patients/nobody", "/patients/nobody/edit", "/encounters/nothing", "/encounters/nothing/notes"]
)
def test_what_is_not_there_is_said(doctor: FlaskClient, url: str) -> None:
    assert doctor.get(url).status_code == 404


def test_a_locked_database_loses_nothing(vehicle: Node, doctor: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    if not vehicle.store.is_sqlite:
        pytest.skip("a lock that lasts is SQLite's")
    url = begin(doctor)
    token = {"X-CSRFToken": csrf(doctor)}
    vehicle.store.close()
    monkeypatch.setattr("teleconsult.store.engine.BUSY_MILLISECONDS", 50)
    path = Path(vehicle.store.url.removeprefix("sqlite:///"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        answer = doctor.post(f"{url}/notes", json={"reason": "头晕", "version": 1}, headers=token)
    finally:
        other.rollback()
        other.close()
    assert answer.status_code == 503
    assert "What you entered is still on the page" in answer.json["sentence"]
    assert doctor.post(f"{url}/notes", json={"reason": "头晕", "version": 1}, headers=token).status_code == 200
    with vehicle.store.read() as session:
        rows = session.exec(select(Encounter).order_by(Encounter.version)).all()
    assert [row.reason for row in rows] == ["", "头晕"]


def test_nobody_else_sees_these_pages(vehicle: Node, hub: Node) -> None:
    visitor = create_app(vehicle).test_client()
    assert visitor.get(f"/patients/{World.patient_id}").status_code == 302
    specialist = log_in(create_app(hub).test_client(), "specialist")
    assert specialist.get("/today").status_code == 404, "the hub has no such pages"


def test_what_the_hub_refused_is_told_in_the_doctors_language(vehicle: Node, doctor: FlaskClient) -> None:
    why = Conflict("%(name)s has already accepted this consult.", name="周敏").carry()
    with vehicle.store.write() as tx:
        tx.session.add(OutboxEntry(target="hub", kind="consultevent", record_id="x", acked_at=NOW, error=why))
    assert "周敏 has already accepted this consult." in doctor.get("/outbox/").text
    post(doctor, "/language", language="zh", next="/today")
    assert "周敏已接诊此会诊。" in doctor.get("/outbox/").text
