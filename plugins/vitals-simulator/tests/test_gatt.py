"""The virtual Bluetooth devices, met by a plain central that knows nothing of teleconsult."""

import asyncio
import contextlib
import gc
import itertools
import struct
import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from bumble import hci
from bumble.att import ATT_Error
from bumble.core import UUID, BaseBumbleError
from bumble.device import Device, Peer
from bumble.transport import open_transport
from teleconsult_vitals_simulator.gatt import KINDS, MISBEHAVIOURS
from teleconsult_vitals_simulator.gatt.control import INSTRUMENTS, Control, Plan
from teleconsult_vitals_simulator.gatt.instrument import FLOOD

ZONE = ZoneInfo("Asia/Shanghai")
SECONDS = 15
RESULT = {
    "blood-pressure": 0x2A35,
    "oximeter": 0x2A5E,
    "thermometer": 0x2A1C,
    "scale": 0x2A9D,
    "heart-rate": 0x2A37,
}
_addresses = (f"F0:F1:F2:F3:00:{number:02X}" for number in itertools.count(1))


class Central:
    """A central on the far side of the radio's door."""

    def __init__(self, port):
        self.port = port
        self.frames = asyncio.Queue()
        self.lost = asyncio.Event()

    async def __aenter__(self):
        self._transport = await open_transport(f"tcp-client:127.0.0.1:{self.port}")
        self.device = Device.with_hci("central", hci.Address(next(_addresses)), *self._transport)
        await self.device.power_on()
        return self

    async def __aexit__(self, *_):
        await self._transport.close()

    async def find(self, uuid):
        """The address of a device that advertises this service."""
        found = asyncio.get_running_loop().create_future()

        def seen(advertisement):
            listed = advertisement.data.get(0x03, raw=True) or b""
            if not found.done() and struct.pack("<H", uuid) in [listed[i : i + 2] for i in range(0, len(listed), 2)]:
                found.set_result(advertisement.address)

        self.device.on("advertisement", seen)
        await self.device.start_scanning()
        address = await asyncio.wait_for(found, SECONDS)
        await self.device.stop_scanning()
        return address

    async def connect(self, address, mtu=247):
        self.lost.clear()
        self.connection = await self.device.connect(hci.Address(address) if isinstance(address, str) else address)
        self.connection.on("disconnection", lambda _: self.lost.set())
        self.peer = Peer(self.connection)
        await self.peer.request_mtu(mtu)
        await self.peer.discover_services()
        for service in self.peer.services:
            await service.discover_characteristics()

    def characteristic(self, uuid):
        [found] = self.peer.get_characteristics_by_uuid(UUID.from_16_bits(uuid))
        return found

    async def read(self, uuid):
        return bytes(await self.characteristic(uuid).read_value())

    async def subscribe(self, *uuids):
        for uuid in uuids:
            await self.characteristic(uuid).subscribe(lambda frame, uuid=uuid: self.frames.put_nowait((uuid, frame)))

    async def frame(self, uuid):
        """The next frame of a characteristic; those of others are dropped."""
        while True:
            heard, frame = await asyncio.wait_for(self.frames.get(), SECONDS)
            if heard == uuid:
                return bytes(frame)


@contextlib.asynccontextmanager
async def devices(*kinds, **settings):
    """A control with these devices on the air, and the events it tells."""
    events = asyncio.Queue()
    control = Control(Plan(kinds, speed=500.0, **settings), events.put_nowait)
    await control.start()
    control.events = events
    try:
        yield control
    finally:
        await control.stop()


def run(story):
    """Run a story to its end, after which nothing of it may be left over."""

    async def whole():
        broken = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: broken.append(context))
        await asyncio.wait_for(story(), 60)
        gc.collect()
        assert broken == []

    asyncio.run(whole())


async def ask(control, do, **more):
    answer = await control.obey({"do": do, **more})
    assert answer["ok"], answer
    return answer


def address_of(control, kind):
    return next(each["address"] for each in control.describe() if each["kind"] == kind)


def test_every_kind_is_made_and_nothing_else():
    assert set(INSTRUMENTS) == set(KINDS)


@pytest.mark.parametrize(("kind", "result"), RESULT.items())
def test_a_device_is_found_describes_itself_and_measures(kind, result):
    async def story():
        async with devices(kind) as control, Central(control.radio.port) as central:
            service = {"scale": 0x181D}.get(kind) or {
                "blood-pressure": 0x1810,
                "oximeter": 0x1822,
                "thermometer": 0x1809,
                "heart-rate": 0x180D,
            }[kind]
            address = await central.find(service)
            assert str(address).startswith(address_of(control, kind))
            await central.connect(address)
            assert await central.read(0x2A29) == b"teleconsult (virtual)"
            assert await central.read(0x2A19) == bytes([87])
            await central.subscribe(result)
            answer = await ask(control, "measure")
            assert (await central.frame(result)).hex() == answer["frames"][0]
            assert (answer["delivered"], answer["stored"]) == (1, 0)

    run(story)


def test_the_cuff_tells_its_pressure_on_the_way_and_the_time():
    async def story():
        async with devices("blood-pressure") as control, Central(control.radio.port) as central:
            await central.connect(address_of(control, "blood-pressure"))
            await central.subscribe(0x2A35, 0x2A36)
            measuring = asyncio.create_task(
                ask(control, "measure", values={"systolic": 151, "diastolic": 92, "mean": 112, "pulse_rate": 77})
            )
            on_the_way = [await central.frame(0x2A36) for _ in range(5)]
            assert on_the_way[0] < on_the_way[2]
            assert on_the_way[0][3:] == bytes.fromhex("ff07ff07"), "the other two numbers are NaN"
            frame = await central.frame(0x2A35)
            await measuring
            assert frame[:7] == bytes.fromhex("16 9700 5c00 7000")
            told = datetime(*struct.unpack_from("<HBBBBB", frame, 7), tzinfo=ZONE)
            assert abs(datetime.now(ZONE) - told) < timedelta(seconds=5)
            assert frame[14:] == bytes.fromhex("4d00 0000")

    run(story)


def test_what_nobody_heard_is_kept_and_handed_over_once():
    async def story():
        async with devices("blood-pressure") as control, Central(control.radio.port) as central:
            kept = [(await ask(control, "measure"))["frames"][0] for _ in range(3)]
            await central.connect(address_of(control, "blood-pressure"))
            await central.subscribe(0x2A35)
            assert [(await central.frame(0x2A35)).hex() for _ in kept] == kept
            await central.connection.disconnect()
            await central.connect(address_of(control, "blood-pressure"))
            await central.subscribe(0x2A35)
            fresh = await ask(control, "measure")
            assert (await central.frame(0x2A35)).hex() == fresh["frames"][0], "nothing comes twice"

    run(story)


def test_a_wrong_clock_is_seen_in_the_frame_and_can_be_set():
    async def story():
        async with devices("blood-pressure") as control, Central(control.radio.port) as central:
            await central.connect(address_of(control, "blood-pressure"))
            await central.subscribe(0x2A35)
            now = datetime.now(ZONE)
            await ask(control, "measure", misbehave="wrong-clock")
            assert struct.unpack_from("<H", await central.frame(0x2A35), 7)[0] in (now.year - 10, now.year - 11)
            assert struct.unpack_from("<H", await central.read(0x2A2B))[0] in (now.year - 10, now.year - 11)
            right = struct.pack("<HBBBBBBBB", *now.timetuple()[:6], now.isoweekday(), 0, 0)
            await central.characteristic(0x2A2B).write_value(right, with_response=True)
            assert abs((await ask(control, "clock"))["off"]) < 2
            await ask(control, "measure")
            assert struct.unpack_from("<H", await central.frame(0x2A35), 7)[0] == now.year

    run(story)


@pytest.mark.parametrize(
    ("word", "check"),
    [
        ("repeat", lambda frames: len(frames) == 3 and len(set(frames)) == 1),
        ("malformed", lambda frames: [len(frame) for frame in frames] == [9]),
        ("oversize", lambda frames: len(frames[0]) == 244 and frames[0].endswith(b"\xaa" * 100)),
        ("out-of-range", lambda frames: frames[0][1:3] == struct.pack("<H", 330)),
        ("error", lambda frames: frames[0][1:7] == bytes.fromhex("ff07") * 3 and frames[0][-2:] == b"\x03\x00"),
        ("flood", lambda frames: len(frames) == FLOOD and len(set(frames)) == FLOOD),
    ],
)
def test_a_cuff_sends_what_no_cuff_should(word, check):
    async def story():
        async with devices("blood-pressure") as control, Central(control.radio.port) as central:
            await central.connect(address_of(control, "blood-pressure"))
            await central.subscribe(0x2A35)
            answer = await ask(control, "measure", misbehave=word)
            frames = [await central.frame(0x2A35) for _ in range(answer["delivered"])]
            assert check(frames), frames[:3]

    run(story)


def test_a_cuff_that_drops_sends_no_result_stays_away_and_comes_back():
    async def story():
        async with devices("blood-pressure") as control, Central(control.radio.port) as central:
            await central.connect(address_of(control, "blood-pressure"))
            await central.subscribe(0x2A35, 0x2A36)
            answer = await ask(control, "measure", misbehave="drop", away=0.2)
            await asyncio.wait_for(central.lost.wait(), SECONDS)
            assert (answer["delivered"], answer["stored"]) == (0, 0)
            assert {uuid for uuid, _ in [central.frames.get_nowait() for _ in range(6)]} == {0x2A36}
            assert central.frames.empty()
            await central.connect(await central.find(0x1810))

    run(story)


def test_low_battery_is_told_at_once():
    async def story():
        async with devices("scale") as control, Central(control.radio.port) as central:
            await central.connect(address_of(control, "scale"))
            await central.subscribe(0x2A19, 0x2A9D)
            await ask(control, "measure", misbehave="low-battery", values={"weight": 62.5})
            assert await central.frame(0x2A19) == bytes([4])
            assert (await central.frame(0x2A9D))[1:3] == struct.pack("<H", 12_500)

    run(story)


def test_an_oximeter_streams_until_it_is_taken_off():
    async def story():
        async with devices("oximeter") as control, Central(control.radio.port) as central:
            await central.connect(address_of(control, "oximeter"))
            await central.subscribe(0x2A5F)
            await ask(control, "stream", on=True)
            for _ in range(3):
                assert 90 <= (await central.frame(0x2A5F))[1] <= 100
            await ask(control, "stream", on=False)

    run(story)


async def report(central, request):
    """What a request of the control point brings: numbers of the records, and the answer."""
    await central.characteristic(0x2A52).write_value(request, with_response=True)
    numbers = []
    while True:
        uuid, frame = await asyncio.wait_for(central.frames.get(), SECONDS)
        if uuid == 0x2A52:
            return numbers, bytes(frame)
        if uuid == 0x2A18:
            numbers.append(struct.unpack_from("<H", frame, 1)[0])


def test_the_meter_hands_out_its_records_as_asked():
    async def story():
        async with devices("glucose") as control, Central(control.radio.port) as central:
            for _ in range(5):
                await ask(control, "measure", values={"glucose": 6.1})
            await central.connect(await central.find(0x1808))
            with pytest.raises(ATT_Error) as refused:  # nobody listens to the answers yet
                await central.characteristic(0x2A52).write_value(b"\x01\x01", with_response=True)
            assert refused.value.error_code == 0xFD
            await central.subscribe(0x2A18, 0x2A34, 0x2A52)
            done = bytes([6, 0, 1, 1])
            assert await report(central, b"\x01\x01") == ([1, 2, 3, 4, 5], done)
            assert await report(central, b"\x01\x03\x01\x04\x00") == ([4, 5], done)
            assert await report(central, b"\x01\x02\x01\x02\x00") == ([1, 2], done)
            assert await report(central, b"\x01\x04\x01\x02\x00\x03\x00") == ([2, 3], done)
            assert await report(central, b"\x01\x05") == ([1], done)
            assert await report(central, b"\x01\x06") == ([5], done)
            assert await report(central, b"\x04\x01") == ([], bytes([5, 0, 5, 0]))
            assert await report(central, b"\x01\x03\x01\x63\x00") == ([], bytes([6, 0, 1, 6]))
            assert await report(central, b"\x01\x03\x02\x63\x00") == ([], bytes([6, 0, 1, 5]))
            assert await report(central, b"\x01\x09") == ([], bytes([6, 0, 1, 4]))
            assert await report(central, b"\x09\x01") == ([], bytes([6, 0, 9, 2]))
            assert await report(central, b"\x02\x02\x01\x03\x00") == ([], bytes([6, 0, 2, 1]))
            assert await report(central, b"\x01\x01") == ([4, 5], done)
            await ask(control, "measure")
            await asyncio.wait_for(central.lost.wait(), SECONDS)  # the strip takes it off the air

    run(story)


def test_the_oximeter_hands_out_what_nobody_took_as_often_as_it_is_asked():
    async def story():
        async with devices("oximeter") as control, Central(control.radio.port) as central:
            for undated in (False, True):
                assert (await ask(control, "measure", values={"spo2": 93, "undated": undated}))["stored"] == 1
            await central.connect(await central.find(0x1822))
            assert (await central.read(0x2A60))[:2] == b"\x0f\x00", "it says that it stores"
            await central.subscribe(0x2A5E, 0x2A52)
            for _ in range(2):
                await central.characteristic(0x2A52).write_value(b"\x01\x01", with_response=True)
                dated, undated = await central.frame(0x2A5E), await central.frame(0x2A5E)
                assert struct.unpack_from("<H", dated, 12)[0] & 1 << 9, "marked as from the storage"
                assert struct.unpack_from("<H", undated, 5)[0] & 1 << 9
                assert await central.frame(0x2A52) == bytes([6, 0, 1, 1])
            await central.characteristic(0x2A52).write_value(b"\x01\x06", with_response=True)
            assert await central.frame(0x2A52) == bytes([6, 0, 1, 4]), "it can be asked for all of them alone"

    run(story)


def test_a_meter_that_drops_does_so_in_the_middle_of_its_report():
    async def story():
        async with devices("glucose") as control, Central(control.radio.port) as central:
            for word in (None, "drop"):
                await ask(control, "measure", misbehave=word)
            await central.connect(await central.find(0x1808))
            await central.subscribe(0x2A18, 0x2A52)
            await central.characteristic(0x2A52).write_value(b"\x01\x01", with_response=True)
            assert struct.unpack_from("<H", await central.frame(0x2A18), 1) == (1,)
            await asyncio.wait_for(central.lost.wait(), SECONDS)
            await central.connect(await central.find(0x1808))
            await central.subscribe(0x2A18, 0x2A52)
            assert await report(central, b"\x01\x01") == ([1, 2], bytes([6, 0, 1, 1])), "nothing was lost"

    run(story)


def test_a_reader_that_goes_away_frees_the_device_for_the_next():
    async def story():
        async with devices("thermometer") as control:
            async with Central(control.radio.port) as first:
                await first.connect(address_of(control, "thermometer"))
            async with Central(control.radio.port) as second:
                await second.connect(await second.find(0x1809))
                assert await second.read(0x2A19) == bytes([87])

    run(story)


def test_a_connection_to_an_absent_device_can_be_given_up():
    async def story():
        async with devices("thermometer") as control, Central(control.radio.port) as central:
            begun = time.monotonic()
            with pytest.raises(BaseBumbleError):
                await central.device.connect(hci.Address("C0:00:00:00:00:99"), timeout=0.2)
            assert time.monotonic() - begun < SECONDS
            await central.connect(address_of(control, "thermometer"))

    run(story)


def test_many_devices_share_the_air():
    async def story():
        kinds = ("blood-pressure",) * 12
        async with devices(*kinds) as control, contextlib.AsyncExitStack() as stack:
            centrals = []
            for each in control.describe():
                central = await stack.enter_async_context(Central(control.radio.port))
                await central.connect(each["address"])
                await central.subscribe(0x2A35)
                centrals.append((each["device"], central))
            for number, (device, _) in enumerate(centrals):
                await ask(control, "measure", device=device, values={"systolic": 100 + number})
            for number, (_, central) in enumerate(centrals):
                assert (await central.frame(0x2A35))[1] == 100 + number
                assert central.frames.empty()

    run(story)


def test_devices_measure_by_themselves_and_misbehave_in_turn():
    async def story():
        async with devices("heart-rate", every=0.05, misbehave=("low-battery", "error")) as control:
            told = [await asyncio.wait_for(control.events.get(), SECONDS) for _ in range(3)]
            assert [event["misbehave"] for event in told] == ["low-battery", "error", "low-battery"]

    run(story)


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"do": "dance"}, "There is no 'dance'; there are: measure"),
        ({"do": "measure", "device": "toaster"}, "There is no device 'toaster'"),
        ({"do": "measure", "misbehave": "sing"}, "No device can 'sing'; there are: " + ", ".join(MISBEHAVIOURS)),
        ({"do": "measure", "values": {"colour": 1}}, "has no colour; it has: fat, pounds, user, weight"),
        ({"do": "measure", "values": {"weight": "heavy"}}, "These values cannot be used"),
        ({"do": "stream"}, "A scale device does not stream."),
    ],
)
def test_a_request_that_cannot_be_done_is_answered_with_a_sentence(request_, says):
    async def story():
        async with devices("scale") as control:
            answer = await control.obey({"id": 7, **request_})
            assert (answer["id"], answer["ok"]) == (7, False)
            assert says in answer["sentence"]["en"]
            assert answer["sentence"]["zh"]

    run(story)
