"""Turns the observations of a message into readings, or into a sentence why not. Pure.

Numbers of one OBR and one sub-ID (OBX-4) that belong together (systolic and diastolic) are one reading. Where it is not
sure which belong together, none of them is. Abnormal flags of the analyser are left alone: whether a value is out of
range is said by teleconsult, by one rule for all devices.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from teleconsult.plugin_api import ReadingFlag, Text
from teleconsult_vitals_serial.hl7.coding import Coding, Item, fits, ucum
from teleconsult_vitals_serial.hl7.message import Header, Observation, Results

AHEAD = timedelta(minutes=5)
BEHIND = timedelta(days=1)
"""A message whose own time is further off than these comes from a device whose clock cannot be believed."""
OLDEST = timedelta(days=366)
MOST_RAW = 2048

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
_BEYOND = re.compile(r"(?:HI|HIGH|OVER|LO|LOW|UNDER|[<>]=? ?[0-9]+(?:\.[0-9]+)?)", re.ASCII | re.IGNORECASE)
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(?:\.(\d{1,6})\d*)?([+-]\d{4})?", re.ASCII)

TAKEN = ("F", "C", "P", "")
"""Observation status: final, corrected, preliminary. Simple devices leave it empty and mean final."""
TAKEN_BACK = ("D", "W")

NEEDED: Mapping[str, frozenset[str]] = {
    "blood_pressure": frozenset({"systolic", "diastolic"}),
    "spo2": frozenset({"spo2"}),
}
"""Without these numbers a measurement of the kind is none."""


@dataclass
class Ready:
    """A reading as `session.reading` takes it."""

    kind: str
    values: dict[str, tuple[Decimal, str]]
    sequence: str
    taken_at: datetime | None
    flags: tuple[ReadingFlag, ...]
    raw: bytes
    note: str
    """Name and number in the message, for the person who places it."""


@dataclass(frozen=True)
class Remark:
    """A result beyond what the analyser can measure, or one that it took back. It is no reading; a person is told."""

    key: str
    """The same for a message that is sent again."""
    name: str
    person: str
    said: str
    """What came instead of a number; "" for a result that was taken back."""
    at: datetime
    """When it was measured, else when it came; by the site's clock."""
    measured: bool
    control: bool = False
    """Whether it is of control material, nobody's."""

    @property
    def sentence(self) -> Text:
        """What the person is told."""
        time = f"{self.at:%Y-%m-%d %H:%M}"
        whose = f" ({self.person})" if self.person else ""
        en = f"{self.name}{whose}, {'measured' if self.measured else 'received'} {time}: "
        zh = f"{self.name}{whose}，{time} {'测得' if self.measured else '收到'}："
        if not self.said:
            en += "the analyser took the result back. Nothing was deleted; check the earlier reading."
            zh += "检验仪撤回了结果。系统未删除任何数据，请核对之前的测量值。"
        elif self.control:
            en += f"{self.said}, quality control beyond what the analyser can measure."
            zh += f"{self.said}，质控结果超出检验仪量程。"
        else:
            en += f"{self.said}, beyond what the analyser can measure. It is no reading; tell the doctor at once."
            zh += f"{self.said}，超出检验仪量程，不作为测量值保存，请立即告知医生。"
        return Text(en=en, zh=zh)


@dataclass
class Sorted:
    """What a message came to. `refused` holds one sentence for each result that should have become a reading."""

    ready: list[Ready] = field(default_factory=list)
    refused: list[Text] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    """Names of results that nobody here asked for."""
    cannot_be_had: list[str] = field(default_factory=list)
    """Names of results that the analyser says it cannot obtain, or has not obtained yet."""


@dataclass
class _Known:
    """An observation whose code is known, with its number."""

    item: Item
    number: Decimal
    unit: str
    observation: Observation


@dataclass
class _Missing:
    """One without a number that can be used. It holds its place, so that no other measurement's number takes it."""

    item: Item


_Member = _Known | _Missing
_Measurement = dict[str, _Member]


def sort_results(results: Results, coding: Coding, zone: timezone, now: datetime, *, to_tray: bool = False) -> Sorted:
    """Sort a message's observations into readings, refusals and what is not for us.

    `to_tray`: a person says of each reading whose it is, because samples wait before they are measured.
    """
    found = Sorted()
    groups: dict[tuple[int, int, str], list[_Member]] = {}
    for observation in results.observations:
        item = coding.item(observation.codes)
        if item is None and observation.is_text:
            continue
        if item is None:
            found.unknown.append(observation.name)
            continue
        member: _Member = _Missing(item)
        if observation.status in TAKEN_BACK:
            found.remarks.append(_remark(observation, "", results, zone, now))
        elif observation.status not in TAKEN:
            found.cannot_be_had.append(observation.name)
        elif _BEYOND.fullmatch(observation.value):
            said = " ".join(word[:20] for word in (observation.value, *observation.units[:1]) if word)
            found.remarks.append(_remark(observation, said, results, zone, now))
        elif isinstance(known := _number(item, observation), Text):
            found.refused.append(known)
        else:
            member = known
        groups.setdefault((observation.subject, observation.order, observation.sub_id), []).append(member)
    for group in groups.values():
        for kind, measurements in _gather(group).items():
            numbers = [_numbers(measurement) for measurement in measurements]
            if not any(numbers):
                continue
            if not _sure(kind, measurements):
                found.refused.append(_MIXED)
                continue
            for members in filter(None, numbers):
                if _needed(kind) <= members.keys():
                    found.ready.append(_ready(kind, members, results, zone, now, to_tray=to_tray))
                else:
                    found.refused.append(_NO_SPO2 if kind == "spo2" else _HALF_PRESSURE)
    return found


def _number(item: Item, observation: Observation) -> _Known | Text:
    if not _NUMBER.fullmatch(observation.value) or len(observation.value) > 12:
        return _no_number(observation.name)
    unit = next((known for word in observation.units if (known := ucum(word))), None)
    if not observation.units and item.unit:
        unit = item.unit
    if unit is None or not fits(item.component, unit):
        return _no_unit(observation.name)
    return _Known(item, Decimal(observation.value), unit, observation)


def _gather(group: list[_Member]) -> dict[str, list[_Measurement]]:
    """The measurements of each kind, in order. A number that comes a second time begins a new one.

    A heart rate goes with the pressure or the saturation if there is one for each.
    """
    known = {member.item.component for member in group if isinstance(member, _Known)}
    times = Counter(member.item.component for member in group)
    host = next((kind for kind in NEEDED if NEEDED[kind] <= known), None)
    if host and any(times[component] != times["heart_rate"] for component in NEEDED[host]):
        host = None
    found: dict[str, list[_Measurement]] = {}
    for member in group:
        kind, component = member.item.kind, member.item.component
        if kind == "heart_rate" and host:
            kind, component = host, "pulse_rate"
        measurements = found.setdefault(kind, [{}])
        if component in measurements[-1] or (kind == "glucose" and measurements[-1]):
            measurements.append({})
        measurements[-1][component] = member
    return found


def _needed(kind: str) -> frozenset[str]:
    return NEEDED.get(kind, frozenset())


def _sure(kind: str, measurements: list[_Measurement]) -> bool:
    """Whether it is sure which numbers belong together: there is one measurement, or each came whole."""
    return len(measurements) == 1 or all(_needed(kind) <= measurement.keys() for measurement in measurements)


def _numbers(measurement: _Measurement) -> dict[str, _Known]:
    return {component: member for component, member in measurement.items() if isinstance(member, _Known)}


def _ready(
    kind: str, members: dict[str, _Known], results: Results, zone: timezone, now: datetime, *, to_tray: bool
) -> Ready:
    observations = [known.observation for known in members.values()]
    first = observations[0]
    taken_at, believed = _taken_at(first, results.header, zone, now)
    flags = {
        ReadingFlag.WHOSE_UNKNOWN: to_tray,
        ReadingFlag.CLOCK_NOT_SET: not believed,
        ReadingFlag.CONTROL_SOLUTION: results.control,
        ReadingFlag.ESTIMATED: any(observation.status == "P" for observation in observations),
    }
    return Ready(
        kind=kind,
        values={component: (known.number, known.unit) for component, known in members.items()},
        sequence=_sequence(first, results.header),
        taken_at=taken_at,
        flags=tuple(flag for flag, holds in flags.items() if holds),
        raw=b"\r".join(observation.raw for observation in observations)[:MOST_RAW],
        note=first.person,
    )


def _remark(observation: Observation, said: str, results: Results, zone: timezone, now: datetime) -> Remark:
    taken_at, measured = _taken_at(observation, results.header, zone, now)
    which = "|".join((_sequence(observation, results.header), observation.name, observation.person, said))
    return Remark(
        key=hashlib.sha256(which.encode()).hexdigest()[:16],
        name=observation.name[:40],
        person=observation.person,
        said=said,
        at=(taken_at or now).astimezone(zone),
        measured=measured,
        control=results.control,
    )


def _sequence(observation: Observation, header: Header) -> str:
    """What a repeat of the message repeats. Counters of control ids start again, so the device's time is in it."""
    time = observation.observed or header.sent
    parts = [header.application, header.control_id, str(observation.order), observation.set_id, time]
    if observation.subject > 1:
        parts.append(str(observation.subject))
    if observation.sub_id:
        parts.append(f"sub {observation.sub_id}")
    text = "/".join(parts)
    return text if len(text) <= 100 else f"{text[:60]}#{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _taken_at(observation: Observation, header: Header, zone: timezone, now: datetime) -> tuple[datetime | None, bool]:
    """When it was measured, and whether that is known.

    A result without a time of its own is not of the time when it comes: analysers send late, and send again.
    """
    taken, sent = parse_time(observation.observed, zone), parse_time(header.sent, zone)
    if sent is not None and not now - BEHIND <= sent <= now + AHEAD:
        return None, False
    if taken is None or not now - OLDEST <= taken <= now + AHEAD:
        return None, False
    return taken, True


def parse_time(text: str, zone: timezone) -> datetime | None:
    """An HL7 time as UTC; None if it is none, or says less than the minute."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    if offset:
        minutes = int(offset[1:3]) * 60 + int(offset[3:])
        if minutes >= 24 * 60:
            return None
        zone = timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))
    try:
        micro = int((fraction or "0").ljust(6, "0"))
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0), micro, zone)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


_HALF_PRESSURE = Text(
    en="A blood pressure needs systolic and diastolic.", zh="血压结果不完整，需同时有收缩压和舒张压。"
)
_MIXED = Text(
    en="Numbers of several measurements came mixed, and which belong together is not said. None was taken; "
    "read them at the device.",
    zh="多次测量的数值混在一起，未注明哪些属于同一次测量，均未保存，请在设备上核对。",
)
_NO_SPO2 = Text(en="A pulse rate of an oximeter came without SpO2.", zh="血氧仪只发送了脉率，缺少血氧饱和度。")


def _no_number(name: str) -> Text:
    name = name[:40]
    return Text(en=f"{name}: the result is no number.", zh=f"{name}：结果不是数值。")


def _no_unit(name: str) -> Text:
    name = name[:40]
    return Text(en=f"{name}: the unit is missing or does not fit.", zh=f"{name}：单位缺失或不适用。")
