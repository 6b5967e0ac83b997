"""The oximeter as a node runs it: in a process of its own, confined, restarted when the cable comes back."""

import queue
import time

import pytest
from teleconsult_vitals_serial.simulated.lines import VirtualLine
from teleconsult_vitals_serial.simulated.oximeters import packet

from teleconsult.domain.plugin_state import MemoryPluginStateStore
from teleconsult.plugin_api import DeviceInfo, DeviceStatus, Reading, Waveform
from teleconsult.plugin_host import DeviceAssignment, DeviceConfig, DeviceHost, PluginConfig, PluginHost

WAIT = 20.0


@pytest.fixture
def heard():
    return queue.Queue()


@pytest.fixture
def devices(heard):
    plugins = PluginHost(PluginConfig(only=frozenset({"vitals-serial"}), load_deadline=WAIT), MemoryPluginStateStore())
    plugins.start()
    host = DeviceHost(
        plugins,
        on_reading=heard.put,
        on_waveform=heard.put,
        on_status=heard.put,
        on_memory=lambda *_: None,
        config=DeviceConfig(restart_first=0.05, restart_limit=0.2),
    )
    yield host
    host.close()
    plugins.stop()


def wait_for(heard, kind, fits=lambda _: True, meanwhile=lambda: None):
    """The next of this kind that fits, while something is done again and again."""
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        meanwhile()
        try:
            found = heard.get(timeout=0.2)
        except queue.Empty:
            continue
        if isinstance(found, kind) and fits(found):
            return found
    raise AssertionError(f"no {kind.__name__} within {WAIT} s")


def test_a_stream_from_the_cable_to_the_node(devices, heard):
    line, timer = VirtualLine(), iter(range(10_000))
    info = DeviceInfo(device_id="oximeter-1", name="Oximeter", address=line.address)
    devices.start_device(DeviceAssignment(info, "vitals-serial", "nonin-oximeter"))
    wait_for(heard, DeviceStatus, lambda status: status.state == "connected")

    def send():
        line.send(packet(7, 97, 72, timer=next(timer)))

    assert wait_for(heard, Waveform, meanwhile=send).rate_hz == 75
    reading = wait_for(heard, Reading, meanwhile=send)
    assert (reading.value("spo2"), reading.value("pulse_rate"), reading.device_id) == (97, 72, "oximeter-1")
    line.unplug()
    lost = wait_for(heard, DeviceStatus, lambda status: status.state == "searching" and status.sentence)
    assert "串口" in lost.sentence.zh
