"""The four devices, run as a node runs them."""

from datetime import UTC, datetime

import pytest
import teleconsult_vitals_simulator as plugin
from teleconsult_vitals_simulator.body import Body, Profile
from teleconsult_vitals_simulator.devices import Cuff, EcgMonitor, Oximeter, Thermometer
from teleconsult_vitals_simulator.settings import SimulatorSettings

from teleconsult.plugin_api import Command, DeviceState

FAST = SimulatorSettings(speed=200, profile=Profile.HYPERTENSIVE, seed=4)


def test_hooks_keep_to_the_specification(plugin_hooks):
    hooks = plugin_hooks(plugin)
    assert hooks.describe_plugin().settings is SimulatorSettings
    [readers] = hooks.register_device_readers()
    assert [reader.key for reader in readers] == ["cuff", "oximeter", "thermometer", "ecg"]


def test_cuff_measures_on_command_with_progress(device_bench):
    cuff = device_bench(Cuff, FAST)
    assert cuff.status("idle").battery == 90
    cuff.command("measure")
    seen = [cuff.status("measuring")]
    while seen[-1].progress < 90:
        seen.append(cuff.status("measuring"))
    progress = [status.progress for status in seen]
    assert progress == sorted(progress)
    assert progress[0] == 0
    reading = cuff.reading("blood_pressure")
    systolic, diastolic = Body(Profile.HYPERTENSIVE, 4).pressure(reading.taken_at.timestamp())
    assert float(reading.value("systolic")) == pytest.approx(systolic, abs=7)
    assert float(reading.value("diastolic")) == pytest.approx(diastolic, abs=6)
    assert reading.value("diastolic") < reading.value("mean") < reading.value("systolic")
    assert not reading.continuous
    assert cuff.status("idle").progress is None


def test_cuff_measures_nothing_without_a_command(device_bench):
    cuff = device_bench(Cuff, FAST)
    cuff.status("idle")
    with pytest.raises(AssertionError, match="no reading"):
        cuff.reading(timeout=0.3)


def test_cancelled_measurement_gives_no_reading_and_the_next_one_does(device_bench):
    cuff = device_bench(Cuff, SimulatorSettings(speed=20))
    cuff.status("idle")
    cuff.command(Command.MEASURE)
    cuff.status("measuring")
    cuff.command(Command.CANCEL)
    assert cuff.status("idle").sentence.zh == "测量已取消。"
    with pytest.raises(AssertionError, match="no reading"):
        cuff.reading(timeout=0.2)
    cuff.command(Command.MEASURE)
    assert cuff.reading("blood_pressure")


def test_two_measurements_are_two_readings(device_bench):
    cuff = device_bench(Cuff, FAST)
    cuff.status("idle")
    cuff.command("measure")
    first = cuff.reading()
    cuff.status("idle")
    cuff.command("measure")
    assert cuff.reading().reading_id != first.reading_id


def test_thermometer(device_bench):
    thermometer = device_bench(Thermometer, SimulatorSettings(speed=200, profile=Profile.FEVERISH))
    thermometer.status("idle")
    thermometer.command("measure")
    reading = thermometer.reading("body_temperature")
    assert 38 < reading.value("body_temperature") < 40
    [quantity] = reading.components
    assert quantity.unit == "Cel"
    assert -quantity.value.as_tuple().exponent <= 1


def test_oximeter_streams_without_gap_and_reports_each_second(device_bench):
    oximeter = device_bench(Oximeter, SimulatorSettings(seed=3))
    expected = 0
    samples = []
    for _ in range(6):
        run = oximeter.waveform()
        assert run.first_index == expected
        assert run.kind == "plethysmogram"
        expected += len(run.samples)
        samples += run.samples
        last = run
    assert 60 <= last.rate_hz <= 100
    body = Body(Profile.NORMAL, 3)
    offset = (expected - len(last.samples)) / last.rate_hz
    start = last.first_at.timestamp() - offset
    assert samples == pytest.approx([body.plethysmogram(start + i / last.rate_hz) for i in range(expected)], abs=1e-3)
    reading = oximeter.reading("spo2")
    assert reading.continuous
    assert float(reading.value("pulse_rate")) == pytest.approx(body.pulse_rate(reading.taken_at.timestamp()), abs=1)


def test_ecg_streams_500_samples_a_second_without_gap_and_the_heart_rate(device_bench):
    monitor = device_bench(EcgMonitor, SimulatorSettings(seed=3))
    runs = [monitor.waveform() for _ in range(6)]
    assert [run.first_index for run in runs] == [100 * i for i in range(6)]
    assert {(run.kind, run.rate_hz, run.unit, len(run.samples)) for run in runs} == {("ecg", 500, "mV", 100)}
    samples = [sample for run in runs for sample in run.samples]
    body, start = Body(Profile.NORMAL, 3), runs[0].first_at.timestamp()
    assert samples == pytest.approx([body.ecg(start + i / 500) for i in range(600)], abs=1e-3)
    reading = monitor.reading("heart_rate")
    assert reading.continuous
    assert float(reading.value("heart_rate")) == pytest.approx(body.pulse_rate(reading.taken_at.timestamp()), abs=2)


def test_cuff_and_oximeter_agree_on_the_pulse(device_bench):
    settings = SimulatorSettings(speed=200, seed=11)
    cuff, oximeter = device_bench(Cuff, settings), device_bench(Oximeter, settings)
    cuff.status("idle")
    cuff.command("measure")
    from_cuff = cuff.reading().value("pulse_rate")
    assert abs(from_cuff - oximeter.reading().value("pulse_rate")) <= 4


def test_all_stop_at_once_when_cancelled(device_bench):
    for reader in (Cuff, Oximeter, Thermometer, EcgMonitor):
        bench = device_bench(reader, SimulatorSettings())
        bench.status()
        bench.command("measure")
        bench.cancel(timeout=1.0)


def test_the_node_s_clock_is_used(device_bench):
    moment = datetime(2026, 11, 24, 6, 5, tzinfo=UTC)
    thermometer = device_bench(Thermometer, FAST, clock=lambda: moment)
    thermometer.status(DeviceState.IDLE)
    thermometer.command("measure")
    assert thermometer.reading().taken_at == moment


def test_settings_refuse_what_cannot_be():
    for wrong in ({"speed": 0}, {"profile": "dead"}, {"seed": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            SimulatorSettings(**wrong)
