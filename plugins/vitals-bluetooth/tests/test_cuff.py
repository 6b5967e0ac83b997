"""A cuff on the virtual radio, read as a node reads it."""

from decimal import Decimal

from peripherals import Peripheral, Value
from teleconsult_vitals_bluetooth.cuff import Cuff

from teleconsult.plugin_api import DeviceInfo, ReadingFlag

FRAME = bytes.fromhex("1e780050005d00" + "ea070b18080102" + "3d00" + "02" + "0500")


def cuff(radio, **more):
    return Peripheral(
        radio,
        0x1810,
        {
            0x2A35: Value(0x2A35, "indicate"),
            0x2A36: Value(0x2A36, "notify"),
            0x2A49: Value(0x2A49, "read", b"\x07\x00"),
        },
        **more,
    )


def device(peripheral):
    return DeviceInfo(device_id=f"ble-{peripheral.address}", name="cuff", address=peripheral.address)


def test_a_measurement_becomes_a_reading(radio, device_bench):
    peripheral = cuff(radio)
    bench = device_bench(Cuff, radio.settings, device=device(peripheral))
    bench.status("idle")
    peripheral.send(0x2A35, FRAME)
    reading = bench.reading("blood_pressure")
    assert {q.code: q.value for q in reading.components} == {
        "8480-6": Decimal(120),
        "8462-4": Decimal(80),
        "8478-0": Decimal(93),
        "8867-4": Decimal(61),
    }
    assert reading.raw == FRAME.hex()
    assert reading.sequence == "2026-11-24T08:01:02/2"
    assert ReadingFlag.BODY_MOVEMENT in reading.flags
    assert ReadingFlag.IRREGULAR_PULSE in reading.flags
    bench.cancel(3)
