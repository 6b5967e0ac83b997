"""What packets of an oximeter say: saturation, pulse, signal, battery, time. Pure; no I/O and no clock.

A number is given only while the device itself calls it usable. With the sensor alarm (SNSA) the device goes on
repeating the last numbers for ten seconds after the finger is gone; those are nobody's current saturation and are
left out here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from teleconsult.plugin_api import ReadingFlag
from teleconsult_vitals_serial.nonin.frames import Format, Frame, Packet, Second, SpotCheck

NO_RATE = 511
NO_SPO2 = 127

# Places (1 to 25) of the values formatted for display, which the maker calls the most reliable ones.
_SPO2_D, _E_SPO2_D = 9, 17
_RATE_D, _E_RATE_D = 20, 22
_TIMER, _STATUS_2 = 6, 8


class Contact(Enum):
    """Whether there is somebody to measure."""

    MEASURING = auto()
    SEARCHING = auto()
    """A finger may be there, but no numbers yet."""
    NO_FINGER = auto()
    NO_SENSOR = auto()


@dataclass(frozen=True)
class Measurement:
    """What one packet says. `spo2` is in %, `pulse_rate` in /min; None where the device has none."""

    contact: Contact
    spo2: int | None
    pulse_rate: int | None
    flags: frozenset[ReadingFlag]
    battery_low: bool
    raw: bytes


@dataclass(frozen=True)
class Signal:
    """The status bits of formats 2 and 7 over some frames."""

    no_sensor: bool = False
    no_finger: bool = False
    out_of_track: bool = False
    artifact: bool = False
    weak: bool = False
    """Red or yellow perfusion at a pulse."""

    @classmethod
    def of(cls, frames: Iterable[Frame]) -> Signal:
        """Each bit that any of the frames has."""
        bits, weak = 0, False
        for frame in frames:
            bits |= frame.status
            weak = weak or bool(frame.status & 0x04)  # RPRF: red alone, yellow together with GPRF
        return cls(bool(bits & 0x40), bool(bits & 0x08), bool(bits & 0x10), bool(bits & 0x20), weak)


def read_packet(packet: Packet, *, extended: bool = False) -> Measurement | None:
    """The measurement in a packet of format 2 or 7; None if any of its frames was lost.

    A frame that was lost and other bytes that came instead could move all that follows to wrong places.
    `extended` takes the averages over eight beats instead of four.
    """
    spo2 = _value(packet, _E_SPO2_D if extended else _SPO2_D)
    rate = _wide(packet, _E_RATE_D if extended else _RATE_D, 0x03)
    status_2 = _value(packet, _STATUS_2)
    if spo2 is None or rate is None or status_2 is None or None in packet.frames:
        return None
    signal = Signal.of(frame for frame in packet.frames if frame)
    return _measurement(spo2, rate, signal, bool(status_2 & 0x01), packet.raw)


def packet_timer(packet: Packet) -> int | None:
    """The device's count of thirds of a second, 0 to 16383 and around again; None if its frames were lost."""
    return _wide(packet, _TIMER, 0x7F)


def plethysmogram(packet: Packet) -> list[tuple[int, list[float]]]:
    """Runs of samples, each with the place (0 to 24) of its first one. The full scale of the format is 1."""
    scale = 255 if packet.format is Format.PLETHYSMOGRAM_8_BIT else 65535
    runs: list[tuple[int, list[float]]] = []
    for place, frame in enumerate(packet.frames):
        if frame is None:
            continue
        if not runs or runs[-1][0] + len(runs[-1][1]) != place:
            runs.append((place, []))
        runs[-1][1].append(frame.pleth / scale)
    return runs


def read_second(second: Second) -> Measurement:
    """The measurement in four bytes of format 8."""
    status, low, spo2, status_2 = second.raw
    signal = Signal(
        no_sensor=bool(status & 0x40),
        no_finger=bool(status_2 & 0x08),
        out_of_track=bool(status & 0x20),
        artifact=bool(status & 0x04),
        weak=bool(status & 0x18),
    )
    return _measurement(spo2, (status & 0x03) << 7 | low, signal, bool(status_2 & 0x01), second.raw)


@dataclass(frozen=True)
class StoredMeasurement:
    """What a spot check of format 13 says."""

    measurement: Measurement
    stamp: str
    """The device's own time stamp as it was sent, in hexadecimal: it tells this measurement from all others."""
    device_time: datetime | None
    """The stamp as a naive time by the device's clock; None if it is no date."""
    from_memory: bool


def read_spot_check(packet: SpotCheck) -> StoredMeasurement:
    """The measurement in a packet of format 13. Only one that its algorithm calls finished comes unflagged."""
    data = packet.data
    status = data[8] << 8 | data[9]
    rate = (data[10] & 0x01) << 8 | data[11]
    spo2 = data[13] & 0x7F
    missing = bool(status & 0x0100)
    signal = Signal(weak=not status & 0x0200)
    found = _measurement(
        NO_SPO2 if missing else spo2, NO_RATE if missing else rate, signal, bool(status & 0x01), packet.raw
    )
    return StoredMeasurement(found, data[:8].hex(), _bcd_time(data[:8]), bool(status & 0x10))


def _measurement(spo2: int, rate: int, signal: Signal, battery_low: bool, raw: bytes) -> Measurement:
    contact = Contact.MEASURING
    if signal.no_sensor:
        contact = Contact.NO_SENSOR
    elif signal.no_finger:
        contact = Contact.NO_FINGER
    elif spo2 == NO_SPO2:
        contact = Contact.SEARCHING
    usable = contact is Contact.MEASURING
    flags = {
        ReadingFlag.BODY_MOVEMENT: signal.artifact,
        ReadingFlag.LOW_SIGNAL: signal.weak or signal.out_of_track,
        ReadingFlag.LOW_BATTERY: battery_low,
    }
    return Measurement(
        contact,
        spo2 if usable else None,
        rate if usable and rate != NO_RATE else None,
        frozenset(flag for flag, holds in flags.items() if holds),
        battery_low,
        raw,
    )


def _value(packet: Packet, place: int) -> int | None:
    frame = packet.frames[place - 1]
    return None if frame is None else frame.value & 0x7F


def _wide(packet: Packet, place: int, high_mask: int) -> int | None:
    """A number in two frames, seven low bits in the second one."""
    high, low = _value(packet, place), _value(packet, place + 1)
    return None if high is None or low is None else (high & high_mask) << 7 | low


def _bcd(byte: int) -> int:
    """Raises ValueError for a digit above nine."""
    return int(f"{byte:02x}")


def _bcd_time(data: bytes) -> datetime | None:
    try:
        century, year, month, day, hour, minute, second, hundredths = map(_bcd, data)
        return datetime(century * 100 + year, month, day, hour, minute, second, hundredths * 10_000)  # noqa: DTZ001
    except ValueError:
        return None
