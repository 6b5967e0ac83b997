"""Patients, encounters, observations, consents: the medical record (versions, never overwritten)."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlmodel import Field

from teleconsult.store.tables.base import Record, instant, json_dict, json_list, optional_instant


class Patient(Record, table=True):
    """A version of a person's record. `pinyin` and `initials` serve the search (zhangsan, zs)."""

    name: str = Field(max_length=60, index=True)
    pinyin: str = Field(default="", max_length=200, index=True)
    initials: str = Field(default="", max_length=60, index=True)
    sex: str = Field(max_length=10)
    birth_date: date
    resident_id: str | None = Field(default=None, max_length=18, index=True)
    village_id: str | None = Field(default=None, index=True, max_length=36)
    address: str = ""
    phone: str = Field(default="", max_length=30)
    insurance_number: str = Field(default="", max_length=40)
    allergies: str = ""
    pregnant: bool = False
    conditions: list[Any] = json_list()
    """Known conditions as {"code": ICD-10, "name": text}."""
    note: str = ""


class Encounter(Record, table=True):
    """One person, one visit to the vehicle. `state` is open or finished; finishing is a new version."""

    patient_id: str = Field(index=True, max_length=36)
    vehicle_id: str | None = Field(default=None, index=True, max_length=36)
    village_id: str | None = Field(default=None, max_length=36)
    doctor_id: str = Field(max_length=36)
    doctor_name: str = Field(max_length=60)
    state: str = Field(default="open", max_length=10, index=True)
    reason: str = ""
    notes: str = ""
    started_at: datetime = instant(index=True)
    finished_at: datetime | None = optional_instant()


class Observation(Record, table=True):
    """A measurement, or an attempt at one. Without patient and encounter it waits for a person to place it.

    `status` follows FHIR: preliminary (arrived, not yet accepted), final (accepted), cancelled (taken again),
    entered-in-error. `components` are {"code": LOINC, "value": number, "unit": UCUM}. `marks` say what is odd
    about the values (implausible, out of range, clock); they never change the values.
    """

    patient_id: str | None = Field(default=None, index=True, max_length=36)
    encounter_id: str | None = Field(default=None, index=True, max_length=36)
    reading_id: str | None = Field(default=None, index=True, max_length=120)
    kind: str = Field(max_length=40, index=True)
    components: list[Any] = json_list()
    status: str = Field(default="preliminary", max_length=20)
    source: str = Field(default="device", max_length=10)
    device_id: str | None = Field(default=None, max_length=120)
    device_name: str = Field(default="", max_length=120)
    taken_at: datetime = instant(index=True)
    received_at: datetime = instant()
    flags: list[Any] = json_list()
    marks: list[Any] = json_list()
    note: str = ""


class Consent(Record, table=True):
    """What a patient agreed to: `kind` is consult or recording."""

    patient_id: str = Field(index=True, max_length=36)
    encounter_id: str | None = Field(default=None, max_length=36)
    consult_id: str | None = Field(default=None, index=True, max_length=36)
    kind: str = Field(default="consult", max_length=20)
    given_by: str = Field(max_length=20)
    """patient, family or guardian"""
    giver_name: str = Field(default="", max_length=60)
    how: str = Field(max_length=20)
    """oral, written or fingerprint"""
    given_at: datetime = instant()
    details: dict[str, Any] = json_dict()
