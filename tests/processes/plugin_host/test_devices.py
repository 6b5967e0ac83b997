"""Each device is read in a process of its own; whatever its reader does wrong reaches nothing else."""

import os
import queue
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from teleconsult.domain.errors import InvalidInput, NotFound, Unavailable
from teleconsult.plugin_api import DeviceInfo, DeviceState, DeviceStatus, Limits, Reading, Text, Waveform
from teleconsult.plugin_host import DeviceAssignment, DeviceConfig, PluginStatus
from teleconsult.plugin_host._busy import BusyWatch
from teleconsult.plugin_host._discovery import Discovery
from tests.plugins import install
from tests.processes.plugin_host.conftest import assign, eventually


@pytest.fixture
def plugins(plugin_host):
    return plugin_host("devices", fault_limit=1000)


def test_readings_arrive_on_command(plugins, device_host, heard):
    devices = device_host(plugins)
    devices.start_device(assign("steady"))
    heard.next(DeviceStatus, lambda s: s.state == "idle")
    devices.command("d-steady", "measure")
    reading = heard.next(Reading)
    assert reading.device_id == "d-steady"
    assert reading.value("spo2") == 97
    view = eventually(lambda: (v := devices.device("d-steady")).last_reading_at and v, "reading noted")
    assert (view.plugin, view.reader, view.running) == ("devices", "steady", True)


def test_a_reading_that_could_not_be_kept_is_offered_again(plugins, device_host, heard):
    devices = device_host(plugins)
    devices.start_device(assign("steady"))
    heard.next(DeviceStatus, lambda s: s.state == "idle")
    heard.refuse = 1
    devices.command("d-steady", "measure")
    reading = heard.next(Reading)
    assert heard.offered == [reading.reading_id] * 2
    assert plugins.plugin("devices").faults == 0, "that was not the plugin's fault"


def test_a_reader_remembers_across_restarts(plugins, device_host, heard):
    devices = device_host(plugins)
    devices.start_device(assign("steady"))
    heard.next(DeviceStatus, lambda s: s.state == "idle")
    devices.command("d-steady", "measure")
    heard.next(DeviceStatus, lambda s: str(s.sentence) == "sent 1")
    assert heard.memory == {"d-steady": {"count": 1}}
    os.kill(devices.device("d-steady").pid, signal.SIGKILL)
    heard.next(DeviceStatus, lambda s: str(s.sentence) == "remembers 1")
    devices.start_device(assign("steady", memory={"count": 41}))
    heard.next(DeviceStatus, lambda s: str(s.sentence) == "remembers 41")


@pytest.mark.parametrize(
    ("reader", "words"),
    [
        ("crash", "RuntimeError: the driver broke (devices.py:"),
        ("exit", "SystemExit: 4"),
        ("die", "ended by itself with status 5; it said last: the library gave up"),
        ("oversize", "a message that is too long"),
        ("nonsense", "sent nonsense"),
        ("undeclared", "'body_weight', which its plugin does not declare"),
        ("bypass", "far more messages than it can mean"),
        ("notes", "remembers far more often"),
        ("flood", "far more than a device can mean"),
        ("block", "not heard for 2 s"),
    ],
)
def test_a_broken_reader_is_named_and_started_again_and_harms_no_other(plugins, device_host, heard, reader, words):
    devices = device_host(plugins, silent=2.0)
    devices.start_device(assign("steady"))
    heard.next(DeviceStatus, lambda s: s.state == "idle" and s.device_id == "d-steady")
    devices.start_device(assign(reader))
    failed = heard.next(DeviceStatus, lambda s: s.state == "failed")
    assert failed.device_id == f"d-{reader}"
    assert failed.sentence.zh
    eventually(lambda: words in plugins.plugin("devices").last_error, f"{words!r} is shown")
    eventually(lambda: devices.device(f"d-{reader}").restarts >= 1, "started again")
    devices.command("d-steady", "measure")
    assert heard.next(Reading, lambda r: r.device_id == "d-steady")
    assert devices.device("d-steady").restarts == 0


def test_a_reader_that_keeps_a_core_busy_steps_back_and_is_ended(plugins, device_host, heard):
    devices = device_host(plugins, busy_window=1.0, busy_share=0.05)  # it may get little of a busy machine
    devices.start_device(assign("spin"))
    heard.next(DeviceStatus, lambda s: s.state == "searching")
    assert os.getpriority(os.PRIO_PROCESS, devices.device("d-spin").pid) >= os.getpriority(os.PRIO_PROCESS, 0) + 5
    eventually(lambda: "kept a core busy for 1 s" in plugins.plugin("devices").last_error, "the fault is shown")


def test_a_reader_is_busy_only_over_a_whole_window():
    watch = BusyWatch(window=30.0, share=0.9)
    used = [(0.0, 2.0), (10.0, 12.0), (29.0, 31.0), (31.0, 31.5), (61.0, 33.0), (70.0, 42.0), (92.0, 64.0)]
    assert [watch.too_busy(cpu, now) for now, cpu in used] == [False, False, False, True, False, False, True]


def test_a_lost_device_is_no_fault(plugins, device_host, heard):
    devices = device_host(plugins)
    devices.start_device(assign("lost"))
    for _ in range(3):
        status = heard.next(DeviceStatus, lambda s: s.sentence is not None)
        assert (status.state, str(status.sentence)) == (DeviceState.SEARCHING, "Not in reach")
    assert plugins.plugin("devices").faults == 0
    assert devices.device("d-lost").restarts == 0


def test_why_a_device_is_lost_stays_to_be_read_while_it_is_looked_for(plugins, device_host, heard):
    device_host(plugins).start_device(assign("lost"))
    heard.next(DeviceStatus, lambda status: status.sentence)
    later = [heard.next(DeviceStatus) for _ in range(4)]
    assert {str(status.sentence) for status in later} == {"Not in reach"}


def test_a_lost_device_is_looked_for_again_and_again_without_long_pauses(plugins, device_host, heard):
    devices = device_host(plugins, restart_limit=60.0, retry_limit=0.1)
    devices.start_device(assign("lost"))
    heard.next(DeviceStatus, lambda s: s.sentence is not None)
    for _ in range(10):
        heard.next(DeviceStatus, lambda s: s.sentence is not None, timeout=2.0)


def test_a_reader_may_take_long_to_load_but_not_for_ever(plugins, device_host, heard, monkeypatch):
    monkeypatch.setenv("TEST_SLOW_IMPORT", "2")
    devices = device_host(plugins, silent=1.0, beat=0.1)
    devices.start_device(assign("steady"))
    heard.next(DeviceStatus, lambda s: s.state == "idle")
    assert devices.device("d-steady").restarts == 0
    devices.close()
    monkeypatch.setenv("TEST_SLOW_IMPORT", "60")
    device_host(plugins, load_deadline=1.0).start_device(assign("steady"))
    eventually(lambda: "loading took longer than 1 s" in plugins.plugin("devices").last_error, "given up")


def test_a_fast_reader_is_slowed_and_in_the_end_stopped(plugins, device_host, heard):
    limits = Limits(readings_per_second=50, readings_in_window=150)
    devices = device_host(plugins, limits=limits)
    devices.start_device(assign("fast"))
    heard.next(DeviceStatus, lambda s: s.state == "failed")
    words = "far more than a device can mean"
    eventually(lambda: words in plugins.plugin("devices").last_error, "the fault is shown")


def test_repeated_faults_switch_the_plugin_and_its_devices_off(plugin_host, device_host, heard):
    plugins = plugin_host("devices", fault_limit=3)
    devices = device_host(plugins)
    devices.start_device(assign("steady"))
    devices.start_device(assign("crash"))
    eventually(lambda: plugins.plugin("devices").status is PluginStatus.SWITCHED_OFF_AFTER_FAULTS, "switched off")
    eventually(lambda: all(v.status.state == "off" and not v.running for v in devices.devices()), "devices off")
    assert devices.device("d-steady").status.sentence.zh == "设备所用插件已停用。"
    devices.stop_device("d-crash")
    plugins.enable("devices")
    heard.next(DeviceStatus, lambda s: s.device_id == "d-steady" and s.state == "idle")


def test_a_device_of_a_plugin_that_is_off_waits_for_it(plugins, device_host, heard):
    plugins.disable("devices")
    devices = device_host(plugins)
    assert devices.start_device(assign("steady")).status.state == "off"
    plugins.enable("devices")
    heard.next(DeviceStatus, lambda s: s.state == "idle")


def test_stopping(plugins, device_host, heard):
    devices = device_host(plugins)
    devices.start_device(assign("steady"))
    heard.next(DeviceStatus, lambda s: s.state == "idle")
    devices.stop_device("d-steady")
    assert heard.next(DeviceStatus, lambda s: s.state == "off")
    assert devices.devices() == []
    for call in (devices.device, devices.stop_device, lambda d: devices.command(d, "measure")):
        with pytest.raises(NotFound):
            call("d-steady")


def test_a_reader_that_refuses_to_stop_is_ended(plugins, device_host, heard):
    devices = device_host(plugins)
    devices.start_device(assign("stubborn"))
    heard.next(DeviceStatus, lambda s: s.state == "idle")
    pid = devices.device("d-stubborn").pid
    devices.stop_device("d-stubborn")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_commands_a_device_does_not_know(plugins, device_host):
    devices = device_host(plugins)
    devices.start_device(assign("steady"))
    with pytest.raises(InvalidInput):
        devices.command("d-steady", "fetch")


def test_a_device_that_is_away_or_off_takes_no_command(plugins, device_host, heard, tmp_path):
    devices, here = device_host(plugins), tmp_path / "here"
    device = DeviceInfo(device_id="d-away", name="Cuff", address=str(here))
    devices.start_device(DeviceAssignment(device, "devices", "away"))
    heard.next(DeviceStatus, lambda s: str(s.sentence) == "Not in reach")
    with pytest.raises(Unavailable, match="not connected"):
        devices.command("d-away", "measure")
    here.touch()
    heard.next(DeviceStatus, lambda s: s.state == "idle")
    devices.command("d-away", "measure")
    assert str(heard.next(DeviceStatus, lambda s: s.state == "measuring").sentence) == "obeys measure"
    plugins.disable("devices")
    heard.next(DeviceStatus, lambda s: s.state == "off")
    with pytest.raises(Unavailable, match="not connected"):
        devices.command("d-away", "measure")


def test_a_command_given_while_the_reader_is_started_again_is_refused(plugins, device_host, heard):
    devices = device_host(plugins)
    devices.start_device(assign("steady"))
    heard.next(DeviceStatus, lambda s: s.state == "idle")
    os.kill(devices.device("d-steady").pid, signal.SIGKILL)
    heard.next(DeviceStatus, lambda s: s.state == "failed")

    def taken():
        try:
            devices.command("d-steady", "measure")
        except Unavailable:
            return False
        return devices.device("d-steady").status.state

    assert eventually(taken, "it is ready again") == "idle"
    heard.next(Reading)
    assert heard.queue.empty() or not isinstance(heard.queue.get(), Reading)


def test_the_simulator_from_discovery_to_readings(plugin_host, device_host, heard):
    plugins = plugin_host(only=frozenset({"vitals-simulator"}))
    plugins.configure("vitals-simulator", {"speed": 100, "seed": 5, "profile": "hypoxic"})
    devices = device_host(plugins)
    found = {}
    for offered in plugins.readers():
        stop = devices.discover(
            offered.plugin, offered.reader.key, lambda i, k=offered.reader.key: found.update({k: i})
        )
        eventually(lambda k=offered.reader.key: k in found, f"{offered.reader.key} found")
        stop()
    for key, info in found.items():
        devices.start_device(DeviceAssignment(info, "vitals-simulator", key))
    wave = heard.next(Waveform, lambda w: w.device_id == "sim-oximeter-5")
    assert 60 <= wave.rate_hz <= 100
    assert heard.next(Reading, lambda r: r.kind == "spo2").value("spo2") < 91
    eventually(lambda: devices.device("sim-cuff-5").status.state == "idle", "cuff ready")
    devices.command("sim-cuff-5", "measure")
    assert heard.next(Reading, lambda r: r.kind == "blood_pressure").value("systolic") > 100

    plugins.configure("vitals-simulator", {"speed": 100, "seed": 5, "profile": "normal"})
    assert heard.next(Reading, lambda r: r.kind == "spo2" and r.value("spo2") > 94), "new settings reach the devices"


def test_discovery_by_an_unknown_reader(plugins, device_host):
    with pytest.raises(NotFound):
        device_host(plugins).discover("devices", "teapot", lambda _: None)


def test_a_search_says_why_it_can_find_nothing_and_that_is_no_fault(plugins, device_host):
    said = queue.Queue()
    device_host(plugins).discover("devices", "lost", said.put, on_unavailable=said.put)
    assert said.get(timeout=20) == Text(en="Switch Bluetooth on.", zh="请打开蓝牙。")
    assert plugins.plugin("devices").faults == 0


def test_a_found_device_is_told_again_only_when_more_is_known(plugins, device_host):
    found = queue.Queue()
    device_host(plugins).discover("devices", "steady", found.put)
    assert [found.get(timeout=20).name for _ in range(2)] == ["Scale", "Scale 2"]


def test_a_search_that_finds_without_end_is_slowed_and_ended(plugins, device_host):
    found = []
    devices = device_host(plugins, found_per_second=100.0, found_limit=30)
    devices.discover("devices", "fast", found.append)
    eventually(lambda: "found more than 30 devices" in plugins.plugin("devices").last_error, "the fault is shown")
    assert len(found) == 30
    assert plugins.plugin("devices").faults == 1


def test_a_search_that_talks_nonsense_is_ended_by_the_first_word():
    found, faults = [], []
    search = Discovery("devices", "steady", DeviceConfig(), found.append, faults.append)
    for _ in range(1000):
        search.hear({"found": {"device_id": "no name"}})
    assert len(faults) == 1
    search.hear({"found": {"device_id": "late", "name": "Late"}})
    assert found == []


def test_a_search_that_only_beats_without_end_is_ended():
    faults = []
    search = Discovery("devices", "steady", DeviceConfig(), print, faults.append)
    for _ in range(5000):
        search.hear({"beat": True})
    assert len(faults) == 1


def test_processes_do_not_outlive_a_node_that_was_killed(tmp_path):
    script = """
import sys, time
from teleconsult.domain.plugin_state import MemoryPluginStateStore
from teleconsult.plugin_api import DeviceInfo
from teleconsult.plugin_host import DeviceAssignment, DeviceHost, PluginConfig, PluginHost
plugins = PluginHost(PluginConfig(only=frozenset({"devices"}), paths=(sys.argv[1],)), MemoryPluginStateStore())
plugins.start()
heard = []
devices = DeviceHost(plugins, on_reading=heard.append, on_waveform=heard.append, on_status=heard.append)
devices.start_device(DeviceAssignment(DeviceInfo(device_id="b", name="b"), "devices", "block"))
while not heard:
    time.sleep(0.01)
print(devices.device("b").pid, flush=True)
time.sleep(60)
"""
    folder = install(tmp_path, "devices")
    node = subprocess.Popen([sys.executable, "-c", script, folder], stdout=subprocess.PIPE, text=True)
    pid = int(node.stdout.readline())
    node.kill()
    node.communicate()
    eventually(lambda: _gone(pid), "the blocked reader's process ends")


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True
