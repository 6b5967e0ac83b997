"""What a device is, what it says about itself, and what it measured.

These values come from a plugin, cross the border to the core, and are kept. They carry no patient: who was
measured is decided by the encounter that is open, never by a device.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from teleconsult.domain import measurement
from teleconsult.domain.errors import InvalidInput
from teleconsult.plugin_api._text import Text, UtcDatetime, Value

DeviceId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9:._-]{0,63}$")]
"""A device's lasting name, made of its serial number or hardware address: the same tomorrow."""

_READINGS = uuid.UUID("5a1d3c1e-7f0b-5c57-9d0e-6c1f0f6f2b11")
_MAX_SAMPLES = 2000
Sample = Annotated[float, Field(allow_inf_nan=False)]


class Command(StrEnum):
    """What the core may ask of a device."""

    MEASURE = "measure"
    """Start one measurement."""
    CANCEL = "cancel"
    """Stop the measurement that runs."""
    FETCH = "fetch"
    """Fetch what the device stored while it was away."""


class DeviceInfo(Value):
    """One device as it is known to the node."""

    device_id: DeviceId
    name: str = Field(min_length=1, max_length=80)
    """What people here call it: "cuff 2"."""
    kinds: tuple[str, ...] = ()
    """Kinds of readings it gives, words of `teleconsult.domain.measurement.KINDS`."""
    waveforms: tuple[str, ...] = ()
    """Kinds of waveforms it streams, words of `WAVEFORMS`."""
    manufacturer: str = Field(default="", max_length=80)
    model: str = Field(default="", max_length=80)
    serial_number: str = Field(default="", max_length=80)
    firmware: str = Field(default="", max_length=80)
    address: str = Field(default="", max_length=200)
    """Where the reader finds it: a Bluetooth address, a serial port."""

    @field_validator("kinds")
    @classmethod
    def _known_kinds(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _known(value, measurement.KINDS)

    @field_validator("waveforms")
    @classmethod
    def _known_waveforms(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _known(value, measurement.WAVEFORMS)


def _known(words: tuple[str, ...], registry: Mapping[str, object]) -> tuple[str, ...]:
    unknown = [word for word in words if word not in registry]
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(registry)}")
    return words


class DeviceState(StrEnum):
    """How a device is, in one word."""

    SEARCHING = "searching"
    """Not reached yet, or lost: being looked for."""
    CONNECTED = "connected"
    """Reached; being prepared."""
    IDLE = "idle"
    """Ready to measure."""
    MEASURING = "measuring"
    FAILED = "failed"
    """The last measurement or the reader failed; the sentence says what to do."""
    OFF = "off"
    """Not being read."""


class DeviceStatus(Value):
    """What a device's reader last said about it."""

    device_id: DeviceId
    state: DeviceState
    sentence: Text | None = None
    """For the person at the device: what happens, or what to do next."""
    battery: int | None = Field(default=None, ge=0, le=100)
    """Charge left, in percent; None if the device does not say."""
    progress: int | None = Field(default=None, ge=0, le=100)
    """How far a measurement has come, in percent."""
    at: UtcDatetime


class ReadingFlag(StrEnum):
    """What the device itself said about the quality of its reading, or about how it was taken."""

    CUFF_TOO_LOOSE = "cuff_too_loose"
    BODY_MOVEMENT = "body_movement"
    IMPROPER_POSITION = "improper_position"
    IRREGULAR_PULSE = "irregular_pulse"
    PULSE_OUT_OF_RANGE = "pulse_out_of_range"
    LOW_SIGNAL = "low_signal"
    SENSOR_FAULT = "sensor_fault"
    LOW_BATTERY = "low_battery"
    ESTIMATED = "estimated"
    CONTROL_SOLUTION = "control_solution"
    """A glucose meter's test liquid, nobody's blood."""
    CLOCK_NOT_SET = "clock_not_set"
    """The device's time could not be used; `taken_at` is None or the time of arrival."""
    CLOCK_CORRECTED = "clock_corrected"
    """The device's clock was wrong by a known amount, and `taken_at` is corrected by it."""
    WHOSE_UNKNOWN = "whose_unknown"
    """Whoever is in front of the device need not be who was measured: a sample was handed in before. Such a reading
    always waits in the tray for a person to place it."""
    SITE_ARMPIT = "site_armpit"
    """Where a temperature was taken; a fever in the ear is none in the armpit. Nothing for an unknown place."""
    SITE_EAR = "site_ear"
    SITE_MOUTH = "site_mouth"
    SITE_RECTUM = "site_rectum"
    SITE_GUT = "site_gut"
    SITE_FINGER = "site_finger"
    SITE_TOE = "site_toe"


class Quantity(Value):
    """One number with its unit: what the device gave, in the kind's own UCUM unit."""

    code: str
    """LOINC."""
    value: Decimal = Field(max_digits=12)
    """Finite. NaN and the infinities are no values: a reader given one reports a failed measurement."""
    unit: str
    """UCUM."""
    as_given: str = Field(default="", max_length=40)
    """The device's own number and unit if it was converted, such as "16.0 kPa"."""


class Reading(Value):
    """One measurement as the device gave it. One blood pressure is one reading with several components.

    Values that no body has are taken and marked later, never altered and never refused here.
    """

    device_id: DeviceId
    kind: str
    components: tuple[Quantity, ...] = Field(min_length=1, max_length=8)
    sequence: str | None = Field(default=None, min_length=1, max_length=100)
    """What the device itself tells its readings apart by: a record number, a message id. If the number starts
    again from zero at some time, put the device's unchanged time stamp into it too."""
    taken_at: UtcDatetime | None = None
    """When it was measured, by the device's (if need be corrected) clock; None if the device has no clock."""
    flags: tuple[ReadingFlag, ...] = ()
    continuous: bool = False
    """True for a value out of a stream (an oximeter left on the finger): shown while it is fresh, and kept
    only if a person takes it. False for one finished measurement."""
    note: str = Field(default="", max_length=200)
    """What the device was told of whom or what it measured, such as the name and number typed into an analyser: for
    the person who places the reading to compare. Nothing is ever decided by it."""
    raw: str = Field(default="", max_length=4096, pattern=r"^([0-9a-f]{2})*$")
    """The bytes that the device sent, in hexadecimal, where it sent bytes."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        kind = measurement.kind(self.kind) if self.kind in measurement.KINDS else None
        if kind is None:
            raise ValueError(f"there is no kind {self.kind!r}; known: {', '.join(measurement.KINDS)}")
        try:
            measurement.check_components(self.kind, [quantity.code for quantity in self.components])
            for quantity in self.components:
                component = kind.component(quantity.code)
                if quantity.unit != component.unit:
                    raise ValueError(f"{component.key} is kept in {component.unit}, not {quantity.unit}")
        except InvalidInput as error:
            raise ValueError(str(error)) from error
        if self.sequence is None and self.taken_at is None:
            raise ValueError("a reading needs a sequence or the time it was taken, to tell a repeat")
        return self

    @property
    def reading_id(self) -> str:
        """The same for every repeat of the same reading, so that a retry is never stored twice.

        Made from device, kind, components and the device's sequence, or its time where there is no sequence.
        """
        values = sorted(f"{q.code}={format(q.value.normalize(), 'f')}" for q in self.components)
        which = f"#{self.sequence}" if self.sequence is not None else f"@{self.taken_at}"
        return str(uuid.uuid5(_READINGS, "|".join((self.device_id, self.kind, which, *values))))

    def value(self, key: str) -> Decimal | None:
        """The number of one component by its key (such as "systolic"), or None if the reading lacks it."""
        code = measurement.kind(self.kind).component(key).code
        return next((quantity.value for quantity in self.components if quantity.code == code), None)


class Waveform(Value):
    """A run of equally spaced samples. Runs of one stream carry on each other's index, so a gap shows."""

    device_id: DeviceId
    kind: str
    rate_hz: float = Field(gt=0, le=2000)
    first_index: int = Field(ge=0)
    """Number of the first sample since the stream began."""
    first_at: UtcDatetime
    """When the first sample was taken."""
    samples: tuple[Sample, ...] = Field(min_length=1, max_length=_MAX_SAMPLES)
    unit: str

    @model_validator(mode="after")
    def _fits_kind(self) -> Self:
        wave = measurement.WAVEFORMS.get(self.kind)
        if wave is None:
            raise ValueError(f"there is no waveform {self.kind!r}; known: {', '.join(measurement.WAVEFORMS)}")
        if self.unit != wave.unit:
            raise ValueError(f"{self.kind} is given in {wave.unit}, not {self.unit}")
        if self.rate_hz > wave.max_rate_hz:
            raise ValueError(f"{self.kind} has at most {wave.max_rate_hz} samples a second")
        return self


Number = Decimal | float | int


def make_reading(
    device_id: str,
    kind: str,
    values: Mapping[str, tuple[Number, str]],
    *,
    taken_at: datetime | None = None,
    sequence: str | int | None = None,
    flags: tuple[ReadingFlag, ...] = (),
    continuous: bool = False,
    note: str = "",
    raw: bytes = b"",
) -> Reading:
    """Build a reading from numbers with the units that the device gave them in.

    `values` maps a component's key to (number, UCUM unit), such as `{"systolic": (128, "mm[Hg]")}`. Another
    unit of the same quantity (kPa, mg/dL, [degF] …) is converted, rounded to one place more than is shown,
    and the device's own number is kept in `as_given`. Raises InvalidInput for an unknown kind, component or
    unit, pydantic's ValidationError for anything else that does not fit.
    """
    found = measurement.kind(kind)
    quantities = []
    for key, (number, unit) in values.items():
        component = found.component(key)
        given = number if isinstance(number, Decimal) else Decimal(str(number))
        if not given.is_finite():
            raise ValueError(f"{key} is {given}: not a number is not a reading, report a failed measurement")
        value, as_given = given, ""
        if unit != component.unit:
            place = Decimal(1).scaleb(-component.decimals - 1)
            value, as_given = measurement.convert(given, unit, component).quantize(place), f"{given} {unit}"
        quantities.append(Quantity(code=component.code, value=value, unit=component.unit, as_given=as_given))
    return Reading(
        device_id=device_id,
        kind=kind,
        components=tuple(quantities),
        sequence=None if sequence is None else str(sequence),
        taken_at=taken_at,
        flags=flags,
        continuous=continuous,
        note=note,
        raw=raw.hex(),
    )
