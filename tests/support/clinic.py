"""A vehicle's node that reads one virtual Bluetooth device in its real processes, into an encounter.

Its fixtures are in `tests/integration/conftest.py`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from teleconsult.domain.ids import utc_now
from teleconsult.plugin_host.virtual_devices import VirtualRadio
from teleconsult.services import devices, encounters
from teleconsult.services.node import Node
from teleconsult.store.tables import DeviceAssignment, Observation
from tests.support.people import another_patient
from tests.support.world import World

PLUGIN = "vitals-bluetooth"
SECONDS = 30.0
GIVES = {
    "blood-pressure": "blood_pressure",
    "oximeter": "spo2",
    "thermometer": "body_temperature",
    "glucose": "glucose",
    "scale": "body_weight",
    "heart-rate": "heart_rate",
}


class Clinic:
    """A vehicle's node with one virtual device, a person in front of it, and everything the node announces."""

    def __init__(self, node: Node, radio: VirtualRadio) -> None:
        self.node = node
        self.radio = radio
        self.told: list[tuple[int, str, str, dict[str, Any]]] = []
        self._changed = threading.Condition()
        node.bus.listen(self._hear)
        [self.device] = radio.devices
        self.device_id = f"ble-{self.device.address}"
        kind = GIVES[self.device.kind]
        assert node.plugins is not None
        self.reader = next(offer.reader.key for offer in node.plugins.readers() if kind in offer.reader.kinds)
        with node.store.write() as tx:
            tx.session.add(
                DeviceAssignment(
                    plugin=PLUGIN,
                    reader=self.reader,
                    device_id=self.device_id,
                    name="蓝牙设备",
                    info={"kinds": [kind], "address": self.device.address},
                )
            )
        self.encounter_id = encounters.start_encounter(node, World.doctor, World.patient_id).id
        encounters.open_encounter_page(node, World.doctor, self.encounter_id)
        self._stop = devices.start_devices(node)

    def stop(self) -> None:
        """Read no device any more."""
        self._stop()

    def restart(self) -> None:
        """Begin to read anew, as after a restart of the node."""
        self._stop()
        heard = len(self.told)
        self._stop = devices.start_devices(self.node)
        self.state("idle", after=heard)

    def wait(
        self, event: str, fits: Callable[[str, dict[str, Any]], bool] = lambda *_: True, after: int = 0
    ) -> tuple[int, dict[str, Any]]:
        """The first such announcement, and when it came (monotonic, ns)."""

        def found() -> tuple[int, dict[str, Any]] | None:
            return next(((at, d) for at, t, name, d in self.told[after:] if name == event and fits(t, d)), None)

        with self._changed:
            in_time = self._changed.wait_for(lambda: found() is not None, SECONDS)
            assert in_time, f"no {event}; announced was {self.told}"
            result = found()
        assert result is not None
        return result

    def state(self, state: str, sentence: str = "", after: int = 0) -> dict[str, Any]:
        """Wait until the device is in this state, with this in its sentence."""

        def fits(_topic: str, data: dict[str, Any]) -> bool:
            return data["state"] == state and sentence in (data["sentence"] or {"en": ""})["en"]

        return self.wait("device", fits, after)[1]

    def ready(self) -> Clinic:
        """Wait until the reader has reached the device."""
        self.state("idle")
        return self

    def measure(self, misbehave: str | None = None, **values: Any) -> dict[str, Any]:
        """Have the device measure; gives what it says about it."""
        return self.radio.measure(misbehave=misbehave, values=values)

    def shown(self) -> dict[str, Any]:
        """The first reading in the encounter, as the doctor sees it."""
        return self.wait("reading", lambda topic, _: topic == f"encounter:{self.encounter_id}")[1]

    def stored(self, count: int) -> list[Observation]:
        """All readings that are stored, the earliest first, once there are so many."""
        deadline = time.monotonic() + SECONDS
        with self._changed:
            while True:
                with self.node.store.read() as session:
                    query = select(Observation).where(col(Observation.current).is_(True))
                    rows = list(session.exec(query.order_by(col(Observation.written_at))))
                if len(rows) >= count or time.monotonic() > deadline:
                    break
                self._changed.wait(1.0)
        assert len(rows) == count, [row.components for row in rows]
        return rows

    def next_person(self, minutes: int) -> None:
        """So much later the next person sits down and the devices measure for them."""
        self.node.clock = lambda: utc_now() + timedelta(minutes=minutes)
        encounters.finish_encounter(self.node, World.doctor, self.encounter_id)
        later = encounters.start_encounter(self.node, World.doctor, another_patient(self.node)).id
        encounters.open_encounter_page(self.node, World.doctor, later)

    def sentences(self) -> list[str]:
        """Everything the device's card has said."""
        return [
            (d["sentence"] or {"en": d["state"]})["en"]
            for _, t, name, d in self.told
            if (t, name) == ("node", "device")
        ]

    def _hear(self, topic: str, event: str, data: dict[str, Any]) -> None:
        with self._changed:
            self.told.append((time.monotonic_ns(), topic, event, data))
            self._changed.notify_all()


def components(row: Observation) -> dict[str, float]:
    """Values by LOINC code."""
    return {item["code"]: float(item["value"]) for item in row.components}
