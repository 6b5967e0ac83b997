"""Readers on the simulated devices that the plugin check uses, in one event loop."""

import asyncio
import time

import pytest
from teleconsult_vitals_bluetooth import register_device_readers
from teleconsult_vitals_bluetooth.settings import BluetoothSettings
from teleconsult_vitals_bluetooth.simulated import simulated
from teleconsult_vitals_bluetooth.simulated.devices import SimulatedThermometer
from teleconsult_vitals_bluetooth.thermometer import Thermometer

from teleconsult.plugin_api.checking import BenchSession

READERS = {reader.key: reader.reader for reader in register_device_readers()}


@pytest.mark.parametrize("make", simulated(), ids=lambda make: make.reader)
def test_each_reader_has_a_device_that_it_reads(make):
    async def run():
        device = make()
        await device.switch_on()
        session = BenchSession(device.device)
        reading = asyncio.create_task(
            READERS[make.reader](device.device, BluetoothSettings(**device.settings)).run(session)
        )
        measured = await device.measure()
        while not hasattr(sent := await asyncio.to_thread(session.sent.get, timeout=5), "components"):
            pass
        reading.cancel()
        await asyncio.wait({reading}, timeout=3)
        await device.switch_off()
        return measured, sent, reading.done()

    measured, sent, done = asyncio.run(run())
    assert sent.kind == measured.kind
    assert done


def test_it_lets_go_whenever_it_is_cancelled():
    """In the middle of any request: the radio, the search, the connection, the services, the clock."""

    async def run():
        device = SimulatedThermometer()
        await device.switch_on()
        slowest = 0.0
        for millisecond in range(0, 90, 3):
            reader = Thermometer(device.device, BluetoothSettings(**device.settings))
            task = asyncio.create_task(reader.run(BenchSession(device.device)))
            await asyncio.sleep(millisecond / 1000)
            began = time.monotonic()
            task.cancel()
            done, _ = await asyncio.wait({task}, timeout=5)
            assert done, f"still busy when cancelled after {millisecond} ms"
            assert task.cancelled()
            slowest = max(slowest, time.monotonic() - began)
        await device.switch_off()
        return slowest

    assert asyncio.run(run()) < 3
