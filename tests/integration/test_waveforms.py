"""500 samples a second from a device on the vehicle to the specialist's page, none lost: real nodes, real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from teleconsult_vitals_simulator.body import Body, Profile

from teleconsult.domain.measurement import WAVEFORMS
from teleconsult.services.node import Node
from teleconsult.store.tables import DeviceAssignment
from tests.support.listener import Listener, lost_samples, waves
from tests.support.served import ENCOUNTER, TwoNodes
from tests.support.world import World

SECONDS = 6


def add_ecg(node: Node) -> None:
    """Give the vehicle an ECG monitor beside its oximeter."""
    if node.is_hub:
        return
    info = {"kinds": ["heart_rate"], "waveforms": ["ecg"], "model": "ecg", "serial_number": "1"}
    with node.store.write() as tx:
        tx.session.add(
            DeviceAssignment(
                plugin="vitals-simulator", reader="ecg", device_id="sim-ecg-1", name="心电监护仪", info=info
            )
        )


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[TwoNodes]:
    """A hub and a vehicle with an accepted consult, an oximeter and an ECG monitor."""
    served = TwoNodes(tmp_path, add_ecg)
    yield served
    served.stop()


@pytest.mark.timeout(120)
def test_every_sample_of_two_waveforms_reaches_the_specialist(nodes: TwoNodes) -> None:
    specialist = Listener(nodes.hub.address, "specialist")
    doctor = Listener(nodes.vehicle.address, "doctor")
    try:
        specialist.watch(f"consult:{nodes.consult_id}")
        doctor.watch(f"encounter:{ENCOUNTER}")
        for listener in (specialist, doctor):
            heard = listener.wait(lambda all_: len(waves(all_, "ecg")) >= SECONDS * 5, 60)
            ecg, pleth = waves(heard, "ecg"), waves(heard, "plethysmogram")
            assert lost_samples(ecg) == lost_samples(pleth) == 0
            assert (ecg[0].data["rate"], ecg[0].data["unit"]) == (500, "mV")
            assert len(pleth) >= SECONDS * 5 - 5, "both at once"
            assert ecg[0].data["patient_id"] == World.patient_id
            spread = ecg[-1].at - ecg[0].at
            assert spread == pytest.approx((len(ecg) - 1) * 0.2, abs=1.0), "at the device's own rate"
        rates = [h for h in specialist.heard if h.event == "streaming" and h.data["kind"] == "heart_rate"]
        assert rates, "the heart rate comes with it"
    finally:
        specialist.close()
        doctor.close()


def test_samples_arrive_as_the_device_sent_them_to_the_microvolt(nodes: TwoNodes) -> None:
    specialist = Listener(nodes.hub.address, "specialist")
    try:
        specialist.watch(f"consult:{nodes.consult_id}")
        run = waves(specialist.wait(lambda heard: bool(waves(heard, "ecg")), 60), "ecg")[0].data
    finally:
        specialist.close()
    body, began = Body(Profile.NORMAL, 1), datetime.fromisoformat(run["at"]).timestamp()
    sent = [round(body.ecg(began + i / 500), 3) for i in range(len(run["samples"]))]
    assert run["step"] == WAVEFORMS["ecg"].step
    assert [sample * run["step"] for sample in run["samples"]] == pytest.approx(sent, abs=1e-6)
