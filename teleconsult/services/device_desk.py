"""Takes what this vehicle's devices say to the right place, from the threads they are read on.

A finished measurement is kept (`observations.take_reading`). A value out of a stream (an oximeter left on the
finger) and a waveform are shown to those who watch; the value is kept only if a person takes it. While the finger
may still be the person's before (`services.wearing`), neither is shown, and the page says why. Which devices there
are, and what people ask of them, is `services.devices`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import ceil
from time import monotonic
from typing import Any

from sqlmodel import select

from teleconsult.domain import measurement
from teleconsult.domain.consult import CALLABLE
from teleconsult.domain.errors import N_, Conflict
from teleconsult.plugin_api import DeviceInfo, DeviceState, DeviceStatus, Reading, Text, Waveform
from teleconsult.services import measuring, observations
from teleconsult.services.device_testing import TEST_SECONDS, Test
from teleconsult.services.node import Node
from teleconsult.services.observation_views import short_view
from teleconsult.services.wearing import Beginning, Wearing
from teleconsult.store.tables import DeviceAssignment, Observation

FRESH_SECONDS = 10.0
"""A streamed value older than this can no longer be taken: it may be from another finger."""

LOW_BATTERY = 20
"""%; from here on a page says that the battery is low."""

_KNOWN_FOR = 5.0

STATE_NAMES = {
    DeviceState.SEARCHING: N_("searching"),
    DeviceState.CONNECTED: N_("connected"),
    DeviceState.IDLE: N_("ready"),
    DeviceState.MEASURING: N_("measuring"),
    DeviceState.FAILED: N_("needs attention"),
    DeviceState.OFF: N_("off"),
}


@dataclass(frozen=True)
class _Audience:
    """Whom the devices measure for now, and who watches."""

    target: measuring.MeasuringFor
    patient: dict[str, Any]
    topics: tuple[str, ...]
    wave_topics: tuple[str, ...]
    """Waveforms go to consults only while these can be called: before that nobody's page draws them."""

    @property
    def encounter_id(self) -> str:
        """The encounter the devices measure for."""
        return self.target.encounter_id

    def owns(self, beginning: Beginning) -> bool:
        """Whether what began so is of this person: begun for them, or for nobody when there was nobody else."""
        if beginning.patient is None:
            return not self.target.somebody_else_after(beginning.at - observations.CLOCK_TOLERANCE)
        return bool(beginning.patient["id"] == self.patient["id"])


@dataclass
class _Memory:
    """What is known of one device since the start."""

    assignment_id: str = ""
    name: str = ""
    begun: Beginning | None = None
    """For whom the running measurement began; None while none runs."""
    wearing: Wearing = field(default_factory=Wearing)
    test: Test | None = None
    fresh: Reading | None = None
    fresh_at: float = 0.0
    fresh_for: str | None = None
    held_from: str | None = None
    """The encounter that streamed values are not shown to, as they may be of the person before."""


class DeviceDesk:
    """One for each vehicle node. Every method may be called from any thread."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._devices: dict[str, _Memory] = {}
        self._found: dict[tuple[str, str, str], DeviceInfo] = {}
        self._lock = threading.RLock()
        self._audience: _Audience | None = None
        self._audience_until = 0.0
        self._changes = 0
        node.bus.listen(self._on_announcement)

    # What devices say

    def on_reading(self, reading: Reading) -> None:
        """Keep a finished measurement, show a streamed value or a test. Raises only when the database does."""
        if reading.continuous:
            self._stream(reading)
            return
        with self._lock:
            memory = self._memory(reading.device_id)
            test, began = self._running_test(memory), memory.begun
        if test is not None and test.is_after(reading):
            test = None  # a stored reading, handed over meanwhile: the test still waits for its own
        begun = observations.Begun(began.encounter_id) if began else None
        kept = test is None or test.may_be_older(reading, seen=began is not None)
        if kept:
            observations.take_reading(
                self._node, reading, device_name=memory.name, begun=begun, may_be_test=test is not None
            )
        if test is not None:
            self.end_test(reading.device_id)
            self._tell_tested(reading, kept=kept)

    def on_waveform(self, waveform: Waveform) -> None:
        """Show a run of samples to those who watch the person measured. Not kept."""
        audience = self._watching()
        if audience is None:
            return
        with self._lock:
            memory = self._memory(waveform.device_id)
            beginning = memory.wearing.on or memory.begun
        if beginning is not None and not audience.owns(beginning):
            return
        kind = measurement.WAVEFORMS[waveform.kind]
        data = {
            "device_id": waveform.device_id,
            "kind": waveform.kind,
            "rate": waveform.rate_hz,
            "start": waveform.first_index,
            "at": waveform.first_at.isoformat(),
            "unit": waveform.unit,
            "step": kind.step,
            "samples": kind.in_steps(waveform.samples),
            "patient_id": audience.patient["id"],
        }
        for topic in audience.wave_topics:
            self._node.bus.publish(topic, "waveform", data)

    def on_status(self, status: DeviceStatus) -> None:
        """Note for whom a measurement begins, and tell everybody how the device is."""
        audience = self._watching()
        with self._lock:
            memory = self._memory(status.device_id)
            memory.wearing.tell(status.state)
            has_stopped = memory.begun is not None and status.state is not DeviceState.MEASURING
            if status.state is DeviceState.MEASURING:
                memory.begun = memory.begun or self._beginning(audience)
            elif memory.begun is not None:
                memory.begun = None
            data = {
                "assignment_id": memory.assignment_id,
                "device_id": status.device_id,
                "name": memory.name,
                **status_words(status),
            }
        if has_stopped:
            self.end_test(status.device_id)
        for topic in ("node", *(audience.topics if audience else ())):
            self._node.bus.publish(topic, "device", data)

    def on_memory(self, device_id: str, values: Mapping[str, Any]) -> None:
        """Keep what a reader wants to remember."""
        with self._node.store.write() as tx:
            query = select(DeviceAssignment).where(DeviceAssignment.device_id == device_id)
            row = tx.session.exec(query).first()
            if row is not None:
                row.memory = dict(values)
                tx.session.add(row)

    def on_found(self, plugin: str, reader: str, info: DeviceInfo) -> None:
        """A search found a device: tell the page, and keep what was found for `found()`."""
        with self._lock:
            self._found[plugin, reader, info.device_id] = info
        data = {"plugin": plugin, "reader": reader, "device_id": info.device_id, "name": info.name}
        self._node.bus.publish("node", "device:found", data)

    def on_search(self, plugin: str, reader: str, sentence: Text | None) -> None:
        """A search says why it can find nothing, such as Bluetooth being off; None: it can search after all."""
        words = {"en": sentence.en, "zh": sentence.in_language("zh")} if sentence else None
        data = {"plugin": plugin, "reader": reader, "sentence": words}
        self._node.bus.publish("node", "device:search", data)

    # What people ask

    def know(self, assignment: DeviceAssignment) -> None:
        """Remember what a device is called here."""
        with self._lock:
            memory = self._memory(assignment.device_id)
            memory.assignment_id, memory.name = assignment.id, assignment.name

    def forget(self, device_id: str) -> None:
        """Drop what is known of a device."""
        with self._lock:
            self._devices.pop(device_id, None)

    def begin_test(self, device_id: str) -> None:
        """The next measurement of this device is a test: it is shown on the device's card and not kept."""
        since = self._node.clock().replace(microsecond=0)  # devices tell whole seconds
        with self._lock:
            self._memory(device_id).test = Test(monotonic() + TEST_SECONDS, since)
        self._tell_testing(device_id)

    def end_test(self, device_id: str) -> None:
        """What this device measures counts."""
        with self._lock:
            memory = self._memory(device_id)
            was_testing, memory.test = memory.test is not None, None
        if was_testing:
            self._tell_testing(device_id)

    def test_seconds(self, device_id: str) -> int:
        """For how long the next reading of this device is still a test; 0 if it counts."""
        with self._lock:
            test = self._running_test(self._memory(device_id))
        return ceil(test.until - monotonic()) if test else 0

    def fresh(self, device_id: str, encounter_id: str) -> Reading:
        """The device's streamed value, if it is fresh and of this encounter's person. Raises Conflict."""
        with self._lock:
            memory = self._memory(device_id)
            if monotonic() - memory.fresh_at <= FRESH_SECONDS:
                if memory.fresh is not None and memory.fresh_for == encounter_id:
                    return memory.fresh
                if memory.held_from == encounter_id:
                    raise Conflict(
                        N_("%(device)s may still be on the person before. Take it off and put it on again."),
                        device=memory.name,
                    )
        raise Conflict(N_("The device gives no value of this person now. Nothing was kept."))

    def put_on(self, device_id: str, encounter_id: str) -> None:
        """A person says that the device is on this encounter's person. Raises Conflict if another is measured for."""
        audience = self._watching()
        if audience is None or audience.encounter_id != encounter_id:
            raise Conflict(N_("The devices do not measure for this person now. Nothing was kept."))
        with self._lock:
            self._memory(device_id).wearing.put_on(self._beginning(audience))

    def streams(self, device_id: str) -> bool:
        """Whether the device gives values of a stream just now."""
        with self._lock:
            memory = self._memory(device_id)
            return memory.fresh is not None and monotonic() - memory.fresh_at <= FRESH_SECONDS

    def found(self) -> dict[tuple[str, str, str], DeviceInfo]:
        """What searches have found since the start, by (plugin, reader, device id)."""
        with self._lock:
            return dict(self._found)

    def _memory(self, device_id: str) -> _Memory:
        return self._devices.setdefault(device_id, _Memory(name=device_id))

    def _running_test(self, memory: _Memory) -> Test | None:
        return memory.test if memory.test is not None and memory.test.until > monotonic() else None

    def _tell_testing(self, device_id: str) -> None:
        data = {"device_id": device_id, "seconds": self.test_seconds(device_id)}
        self._node.bus.publish("node", "device:testing", data)

    def _tell_tested(self, reading: Reading, *, kept: bool) -> None:
        shown = short_view(_passing(self._node, reading, None))
        data = {"device_id": reading.device_id, "reading": shown, "kept": kept}
        self._node.bus.publish("node", "device:tested", data)

    def _stream(self, reading: Reading) -> None:
        audience = self._watching()
        with self._lock:
            memory = self._memory(reading.device_id)
            test = self._running_test(memory)
            memory.fresh, memory.fresh_at = reading, monotonic()
            on = memory.wearing.value(memory.fresh_at, memory.begun or self._beginning(audience))
            is_theirs = audience is not None and audience.owns(on)
            if audience is not None and is_theirs and on.patient is None:
                memory.wearing.put_on(replace(on, encounter_id=audience.encounter_id, patient=audience.patient))
            memory.fresh_for = audience.encounter_id if audience and is_theirs else None
            memory.held_from = audience.encounter_id if audience and not is_theirs else None
        if test is not None:
            self.end_test(reading.device_id)
            self._tell_tested(reading, kept=False)
        if audience is None:
            return
        about = {
            "kind": reading.kind,
            "patient": audience.patient,
            "patient_id": audience.patient["id"],
            "encounter_id": audience.encounter_id,
            "device_id": reading.device_id,
            "device": memory.name,
        }
        if not is_theirs:
            self._node.bus.publish(f"encounter:{audience.encounter_id}", "stream:held", {**about, "on": on.patient})
            return
        shown = {
            **short_view(_passing(self._node, reading, audience.patient["age"])),
            "status": "streaming",
            **about,
        }
        for topic in audience.topics:
            self._node.bus.publish(topic, "streaming", shown)

    def _beginning(self, audience: _Audience | None) -> Beginning:
        if audience is None:
            return Beginning(None, None, self._node.clock())
        return Beginning(audience.encounter_id, audience.patient, self._node.clock())

    def _watching(self) -> _Audience | None:
        """Asked several times a second by each stream, so it is remembered until something changes."""
        with self._lock:
            if monotonic() < self._audience_until:
                return self._audience
            changes = self._changes
        audience = None
        found = measuring.target_patient(self._node)
        if found is not None:
            target, person = found
            with self._node.store.read() as session:
                consults = observations.open_consults(session, target.encounter_id)
            here = f"encounter:{target.encounter_id}"
            audience = _Audience(
                target=target,
                patient=measuring.patient_words(person),
                topics=(here, *(f"consult:{identity}" for identity in consults)),
                wave_topics=(here, *(f"consult:{i}" for i, state in consults.items() if state in CALLABLE)),
            )
        with self._lock:
            if changes == self._changes:
                self._audience, self._audience_until = audience, monotonic() + _KNOWN_FOR
        return audience

    def _on_announcement(self, _topic: str, event: str, data: dict[str, Any]) -> None:
        if event == "measuring" and data["encounter_id"] is not None:
            self._end_tests()
        if event in ("measuring", "consult:changed", "queue:changed", "encounter:changed"):
            with self._lock:
                self._changes += 1
                self._audience_until = 0.0

    def _end_tests(self) -> None:
        """Somebody is measured from now on: no reading of theirs may be taken for a test that nobody ended.

        A measurement that runs already is the test's.
        """
        with self._lock:
            testing = [key for key, memory in self._devices.items() if memory.test is not None and memory.begun is None]
        for device_id in testing:
            self.end_test(device_id)


def status_words(status: DeviceStatus) -> dict[str, Any]:
    """A device's state for pages. `state_name` is to be translated, `sentence` is {"en", "zh"} or None."""
    sentence = status.sentence
    return {
        "state": status.state.value,
        "state_name": STATE_NAMES[status.state],
        "battery": status.battery,
        "battery_low": status.battery is not None and status.battery <= LOW_BATTERY,
        "progress": status.progress,
        "sentence": {"en": sentence.en, "zh": sentence.in_language("zh")} if sentence else None,
    }


def _passing(node: Node, reading: Reading, age: int | None) -> Observation:
    """A reading as a row that is never stored, to be shown like one."""
    components = observations.components_of(reading)
    return Observation(
        record_id=reading.reading_id,
        node_id=node.node_id,
        author_id="",
        author_name="",
        kind=reading.kind,
        components=components,
        taken_at=reading.taken_at or node.clock(),
        flags=[flag.value for flag in reading.flags],
        marks=observations.value_marks(reading.kind, components, age),
    )
