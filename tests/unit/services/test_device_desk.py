"""What devices say gets to those who watch: measurements kept, streams shown, tests belonging to nobody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from teleconsult.domain.consult import State
from teleconsult.domain.errors import Conflict
from teleconsult.plugin_api import DeviceState, DeviceStatus, Reading, ReadingFlag, Text, Waveform, make_reading
from teleconsult.services import device_desk, encounters, observations
from teleconsult.services.device_desk import DeviceDesk
from teleconsult.services.node import Node
from teleconsult.store.tables import DeviceAssignment, Observation
from tests.support.calls import put_consult
from tests.support.people import another_patient
from tests.support.world import World

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


class Watched:
    """A desk, and all that it publishes."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.desk = DeviceDesk(node)
        for device, name in (("cuff", "血压计"), ("oxi", "血氧仪")):
            self.desk.know(DeviceAssignment(id=f"a-{device}", plugin="p", reader="r", device_id=device, name=name))
        node.bus.listen(lambda topic, event, data: self.events.append((topic, event, data)))

    def heard(self, event: str) -> list[tuple[str, dict[str, Any]]]:
        return [(topic, data) for topic, name, data in self.events if name == event]

    def state(self, device: str, state: DeviceState) -> None:
        sentence = Text(en="Measuring", zh="正在测量")
        status = DeviceStatus(device_id=device, state=state, sentence=sentence, battery=80, at=NOW)
        self.desk.on_status(status)

    def see(self, patient_id: str) -> str:
        view = encounters.start_encounter(self.node, World.doctor, patient_id)
        encounters.open_encounter_page(self.node, World.doctor, view.id)
        return view.id


@pytest.fixture
def watched(vehicle: Node) -> Watched:
    """A desk on the vehicle node, the clock standing still."""
    vehicle.clock = lambda: NOW
    return Watched(vehicle)


def pressure(sequence: int = 1) -> Reading:
    values = {"systolic": (128, "mm[Hg]"), "diastolic": (82, "mm[Hg]")}
    return make_reading("cuff", "blood_pressure", values, taken_at=NOW, sequence=sequence)


def saturation(value: int = 97) -> Reading:
    values = {"spo2": (value, "%"), "pulse_rate": (70, "/min")}
    return make_reading("oxi", "spo2", values, taken_at=NOW, sequence=value, continuous=True)


def pulse_wave() -> Waveform:
    return Waveform(
        device_id="oxi", kind="plethysmogram", rate_hz=75, first_index=30, first_at=NOW,
        samples=(0.1, 0.2), unit="1",
    )  # fmt: skip


def kept(node: Node) -> list[Observation]:
    with node.store.read() as session:
        return list(session.exec(select(Observation)))


def test_a_measurement_is_kept_for_whom_it_began(watched: Watched) -> None:
    encounter = watched.see(World.patient_id)
    watched.state("cuff", DeviceState.MEASURING)
    watched.desk.on_reading(pressure())
    watched.state("cuff", DeviceState.IDLE)
    (row,) = kept(watched.node)
    assert (row.encounter_id, row.device_name, row.author_name) == (encounter, "血压计", "血压计")


def test_changing_the_person_while_it_measures_sends_it_to_the_tray(watched: Watched) -> None:
    watched.see(World.patient_id)
    watched.state("cuff", DeviceState.MEASURING)
    second = watched.see(another_patient(watched.node))
    watched.state("cuff", DeviceState.MEASURING)  # progress of the same measurement
    watched.desk.on_reading(pressure())
    (row,) = kept(watched.node)
    assert (row.encounter_id, row.marks) == (None, [{"mark": "person_changed"}])
    watched.state("cuff", DeviceState.IDLE)
    watched.state("cuff", DeviceState.MEASURING)
    watched.desk.on_reading(pressure(2))
    assert [row.encounter_id for row in kept(watched.node)] == [None, second]


def test_a_stream_is_shown_and_not_kept_until_a_person_takes_it(watched: Watched) -> None:
    encounter = watched.see(World.patient_id)
    watched.desk.on_reading(saturation())
    assert kept(watched.node) == []
    ((topic, shown),) = watched.heard("streaming")
    assert topic == f"encounter:{encounter}"
    assert (shown["text"], shown["status"], shown["patient"]["name"]) == ("97", "streaming", "张秀英")
    reading = watched.desk.fresh("oxi", encounter)
    observations.keep_continuous(watched.node, World.doctor, encounter, reading, device_name="血氧仪")
    (row,) = kept(watched.node)
    assert (row.status, row.author_name, row.device_name) == ("final", "车医生", "血氧仪")


def test_a_streamed_value_of_the_person_before_cannot_be_taken(watched: Watched) -> None:
    first = watched.see(World.patient_id)
    watched.desk.on_reading(saturation())
    second = watched.see(another_patient(watched.node))
    with pytest.raises(Conflict):
        watched.desk.fresh("oxi", second)
    reading = watched.desk.fresh("oxi", first)
    with pytest.raises(Conflict, match="do not measure"):
        observations.keep_continuous(watched.node, World.doctor, first, reading)
    assert kept(watched.node) == []


def test_a_streamed_value_grows_old(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    encounter = watched.see(World.patient_id)
    seconds = 1000.0
    monkeypatch.setattr(device_desk, "monotonic", lambda: seconds)
    watched.desk.on_reading(saturation())
    seconds += device_desk.FRESH_SECONDS + 0.1
    with pytest.raises(Conflict):
        watched.desk.fresh("oxi", encounter)


class TestOnWhom:
    """An oximeter that stays on the finger does not follow the page to the next person."""

    @pytest.fixture
    def passing(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
        """Lets time pass."""
        now = [1000.0]
        monkeypatch.setattr(device_desk, "monotonic", lambda: now[0])

        def pass_by(seconds: float) -> None:
            now[0] += seconds

        return pass_by

    def begin(self, watched: Watched) -> tuple[str, str]:
        """The stream began on the first person's finger, and the second one's page was opened."""
        first = watched.see(World.patient_id)
        watched.state("oxi", DeviceState.MEASURING)
        watched.desk.on_reading(saturation())
        return first, watched.see(another_patient(watched.node))

    def test_its_values_are_held_and_the_page_says_whose_finger_it_is(self, watched: Watched) -> None:
        first, second = self.begin(watched)
        watched.desk.on_reading(saturation(88))
        watched.desk.on_waveform(pulse_wave())
        assert [topic for topic, _ in watched.heard("streaming")] == [f"encounter:{first}"]
        assert watched.heard("waveform") == []
        ((topic, held),) = watched.heard("stream:held")
        assert (topic, held["on"]["name"], held["patient"]["name"]) == (f"encounter:{second}", "张秀英", "李大山")
        assert "text" not in held
        with pytest.raises(Conflict, match="Take it off"):
            watched.desk.fresh("oxi", second)

    @pytest.mark.parametrize("state", [DeviceState.IDLE, DeviceState.FAILED])
    def test_taken_off_and_put_on_again_it_is_the_next_ones(
        self, watched: Watched, passing: Callable[[float], None], state: DeviceState
    ) -> None:
        _first, second = self.begin(watched)
        passing(1)
        watched.state("oxi", state)
        passing(4)
        watched.state("oxi", DeviceState.MEASURING)
        watched.desk.on_reading(saturation(98))
        assert watched.heard("streaming")[-1][0] == f"encounter:{second}"
        assert watched.desk.fresh("oxi", second).value("spo2") == 98

    def test_a_word_in_the_middle_of_the_stream_is_no_other_finger(
        self, watched: Watched, passing: Callable[[float], None]
    ) -> None:
        _first, second = self.begin(watched)
        for state in (DeviceState.FAILED, DeviceState.IDLE, DeviceState.MEASURING):
            watched.state("oxi", state)
        passing(1)
        watched.desk.on_reading(saturation(88))
        with pytest.raises(Conflict):
            watched.desk.fresh("oxi", second)

    def test_a_lost_link_is_no_other_finger(self, watched: Watched, passing: Callable[[float], None]) -> None:
        _first, second = self.begin(watched)
        for state in (DeviceState.SEARCHING, DeviceState.CONNECTED, DeviceState.IDLE, DeviceState.MEASURING):
            passing(5)
            watched.state("oxi", state)
        watched.desk.on_reading(saturation(88))
        with pytest.raises(Conflict):
            watched.desk.fresh("oxi", second)

    def test_a_person_may_say_whose_it_is_now(self, watched: Watched) -> None:
        first, second = self.begin(watched)
        with pytest.raises(Conflict, match="do not measure"):
            watched.desk.put_on("oxi", first)
        watched.desk.put_on("oxi", second)
        watched.desk.on_reading(saturation(98))
        assert watched.desk.fresh("oxi", second).value("spo2") == 98

    def test_back_at_the_first_page_it_is_the_first_ones_still(self, watched: Watched) -> None:
        first, _second = self.begin(watched)
        encounters.measure_for(watched.node, World.doctor, first)
        watched.desk.on_reading(saturation(96))
        assert watched.desk.fresh("oxi", first).value("spo2") == 96

    def test_put_on_before_anybody_was_seen_it_is_the_first_ones_and_stays_theirs(self, watched: Watched) -> None:
        watched.state("oxi", DeviceState.MEASURING)
        watched.desk.on_reading(saturation())
        first = watched.see(World.patient_id)
        watched.desk.on_reading(saturation(96))
        assert watched.heard("streaming")[-1][0] == f"encounter:{first}"
        encounters.finish_encounter(watched.node, World.doctor, first)
        watched.desk.on_reading(saturation(95))
        second = watched.see(another_patient(watched.node))
        watched.desk.on_reading(saturation(94))
        assert len(watched.heard("streaming")) == 1
        with pytest.raises(Conflict):
            watched.desk.fresh("oxi", second)

    def test_put_on_between_two_people_it_is_in_doubt(self, watched: Watched) -> None:
        first = watched.see(World.patient_id)
        encounters.finish_encounter(watched.node, World.doctor, first)
        watched.desk.on_reading(saturation())
        watched.see(another_patient(watched.node))
        watched.desk.on_reading(saturation(94))
        ((_topic, held),) = watched.heard("stream:held")
        assert held["on"] is None


def test_a_waveform_goes_to_those_who_watch(watched: Watched) -> None:
    wave = pulse_wave()
    watched.desk.on_waveform(wave)
    assert watched.heard("waveform") == []
    encounter = watched.see(World.patient_id)
    watched.desk.on_waveform(wave)
    ((topic, data),) = watched.heard("waveform")
    assert topic == f"encounter:{encounter}"
    assert (data["rate"], data["start"], data["step"], data["samples"]) == (75, 30, 0.001, [100, 200])
    assert data["patient_id"] == World.patient_id


def test_a_waveform_goes_to_a_consult_only_while_it_can_be_called(watched: Watched) -> None:
    encounter = watched.see(World.patient_id)
    waits = put_consult(watched.node, State.REQUESTED, encounter_id=encounter, specialist_id=None, number="C-1")
    called = put_consult(watched.node, State.IN_CALL, encounter_id=encounter, number="C-2")
    wave = Waveform(
        device_id="ecg", kind="ecg", rate_hz=500, first_index=0, first_at=NOW, samples=(0.0004, -0.1156, 1.2), unit="mV"
    )
    watched.node.bus.publish("node", "consult:changed", {})
    watched.desk.on_waveform(wave)
    watched.desk.on_reading(saturation())
    assert [topic for topic, _ in watched.heard("waveform")] == [f"encounter:{encounter}", f"consult:{called}"]
    assert watched.heard("waveform")[0][1]["samples"] == [0, -116, 1200], "whole microvolts"
    assert {topic for topic, _ in watched.heard("streaming")} == {
        f"encounter:{encounter}", f"consult:{called}", f"consult:{waits}",
    }  # fmt: skip


@pytest.mark.parametrize(("battery", "low"), [(21, False), (20, True), (0, True), (None, False)])
def test_a_low_battery_is_said(battery: int | None, low: bool) -> None:
    status = DeviceStatus(device_id="cuff", state=DeviceState.IDLE, battery=battery, at=NOW)
    assert device_desk.status_words(status)["battery_low"] is low


def test_a_state_is_told_in_both_languages(watched: Watched) -> None:
    watched.state("cuff", DeviceState.MEASURING)
    ((topic, data),) = watched.heard("device")
    assert (topic, data["assignment_id"], data["name"], data["state"]) == ("node", "a-cuff", "血压计", "measuring")
    assert data["sentence"] == {"en": "Measuring", "zh": "正在测量"}


def test_a_test_belongs_to_nobody_and_only_one_reading_is_a_test(watched: Watched) -> None:
    encounter = watched.see(World.patient_id)
    watched.desk.begin_test("cuff")
    watched.desk.on_reading(pressure())
    ((_, shown),) = watched.heard("device:tested")
    assert (shown["device_id"], shown["reading"]["text"]) == ("cuff", "128/82")
    assert kept(watched.node) == []
    watched.desk.on_reading(pressure(2))
    assert [row.encounter_id for row in kept(watched.node)] == [encounter]


@pytest.mark.parametrize(
    ("before", "tested", "tray"),
    [(timedelta(0), True, 0), (timedelta(seconds=30), True, 1), (timedelta(hours=9), False, 1)],
)
def test_a_stored_reading_that_comes_during_a_test_is_not_lost(
    watched: Watched, before: timedelta, tested: bool, tray: int
) -> None:
    watched.desk.begin_test("cuff")
    values = {"systolic": (128, "mm[Hg]"), "diastolic": (82, "mm[Hg]")}
    watched.desk.on_reading(make_reading("cuff", "blood_pressure", values, taken_at=NOW - before, sequence=1))
    assert [shown["kept"] for _, shown in watched.heard("device:tested")] == ([tray > 0] if tested else [])
    assert [(row.encounter_id, row.status) for row in kept(watched.node)] == [(None, "preliminary")] * tray
    assert (watched.desk.test_seconds("cuff") > 0) is not tested, "the test waits for its own reading"


def test_a_device_that_cannot_tell_when_keeps_its_reading_in_the_tray_during_a_test(watched: Watched) -> None:
    watched.see(World.patient_id)
    watched.desk.begin_test("cuff")
    values = {"systolic": (128, "mm[Hg]"), "diastolic": (82, "mm[Hg]")}
    undated = make_reading("cuff", "blood_pressure", values, sequence=1, flags=(ReadingFlag.CLOCK_NOT_SET,))
    watched.desk.on_reading(undated)
    (row,) = kept(watched.node)
    assert (row.encounter_id, [mark["mark"] for mark in row.marks]) == (None, ["may_be_test"])


def test_a_test_ends_when_somebody_is_measured(watched: Watched) -> None:
    watched.desk.begin_test("cuff")
    assert watched.heard("device:testing") == [("node", {"device_id": "cuff", "seconds": 180})]
    encounter = watched.see(World.patient_id)
    assert watched.heard("device:testing")[-1][1]["seconds"] == 0
    watched.desk.on_reading(pressure())
    assert [row.encounter_id for row in kept(watched.node)] == [encounter]


def test_a_measurement_that_runs_stays_a_test_when_somebody_is_measured(watched: Watched) -> None:
    watched.desk.begin_test("cuff")
    watched.state("cuff", DeviceState.MEASURING)
    watched.see(World.patient_id)
    watched.desk.on_reading(pressure())
    assert kept(watched.node) == []
    assert [shown["kept"] for _, shown in watched.heard("device:tested")] == [False]


def test_the_next_value_of_a_stream_is_its_test(watched: Watched) -> None:
    watched.desk.begin_test("oxi")
    watched.desk.on_reading(saturation())
    watched.desk.on_reading(saturation(98))
    assert [shown["reading"]["text"] for _, shown in watched.heard("device:tested")] == ["97"]
    assert kept(watched.node) == []


def test_a_search_that_cannot_find_anything_says_why(watched: Watched) -> None:
    watched.desk.on_search("p", "r", Text(en="Bluetooth is off.", zh="蓝牙已关闭。"))
    watched.desk.on_search("p", "r", None)
    assert watched.heard("device:search") == [
        ("node", {"plugin": "p", "reader": "r", "sentence": {"en": "Bluetooth is off.", "zh": "蓝牙已关闭。"}}),
        ("node", {"plugin": "p", "reader": "r", "sentence": None}),
    ]


def test_a_test_that_was_stopped_swallows_no_reading(watched: Watched) -> None:
    watched.see(World.patient_id)
    watched.desk.begin_test("cuff")
    watched.state("cuff", DeviceState.MEASURING)
    watched.state("cuff", DeviceState.IDLE)
    watched.desk.on_reading(pressure())
    assert len(kept(watched.node)) == 1
