"""People: register, correct, read, and the short view of a person that stands on every screen.

Finding people is `services.search`. A record may begin without a resident ID number and get one later.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlmodel import Session, col, or_, select

from teleconsult.domain.errors import N_, Conflict, InvalidInput, NotFound
from teleconsult.domain.people import Sex, age_on, check_birth_date, clean_name, parse_resident_id, site_today
from teleconsult.domain.roles import Actor, Role
from teleconsult.services.node import Node, Work
from teleconsult.services.permissions import require_role
from teleconsult.services.pinyin import romanise
from teleconsult.store import latest, new_version
from teleconsult.store.tables import Patient, Stop, Village

CONDITIONS = {"I10": N_("hypertension"), "E11": N_("type-2 diabetes")}
"""ICD-10 codes of the conditions that the national specification follows up, with their names."""

SEX_NAMES = {Sex.MALE: N_("male"), Sex.FEMALE: N_("female"), Sex.UNKNOWN: N_("sex unknown")}


class PersonInput(BaseModel):
    """What the register form holds. With a resident ID number, birth date and sex may be left to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(max_length=200)
    sex: Sex | None = None
    birth_date: date | None = None
    resident_id: Annotated[str, StringConstraints(strip_whitespace=True, max_length=40)] = ""
    village_id: str | None = Field(default=None, max_length=36)
    address: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = ""
    phone: Annotated[str, StringConstraints(strip_whitespace=True, max_length=30)] = ""
    insurance_number: Annotated[str, StringConstraints(strip_whitespace=True, max_length=40)] = ""
    allergies: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""
    pregnant: bool = False
    conditions: tuple[str, ...] = ()
    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)] = ""


@dataclass(frozen=True)
class Alert:
    """Something that has to stand beside a person's name. `label` is to be translated, `text` is not."""

    code: str
    label: str
    text: str = ""


@dataclass(frozen=True)
class PatientSummary:
    """A person in one line: the patient bar, a list's row, a possible duplicate."""

    id: str
    version: int
    name: str
    sex: Sex
    age: int
    birth_date: date
    village_id: str | None
    village: str
    township: str
    id_tail: str
    """Last four characters of the resident ID number; empty without one."""
    phone: str
    alerts: tuple[Alert, ...]
    conditions: tuple[str, ...]
    """Names of known conditions, to be translated."""

    @property
    def sex_name(self) -> str:
        """The sex in a word, to be translated."""
        return SEX_NAMES[self.sex]


class AlreadyRegistered(Conflict):
    """The resident ID number belongs to a record that is there. `patient` is that person."""

    def __init__(self, patient: PatientSummary) -> None:
        super().__init__(
            N_("This resident ID number belongs to %(name)s, who is already registered."), name=patient.name
        )
        self.patient = patient
        self.field = "resident_id"


class PossibleDuplicates(Conflict):
    """People who may be the same one. Registering again with their ids confirmed goes through."""

    def __init__(self, people: tuple[PatientSummary, ...]) -> None:
        super().__init__(
            N_("Somebody like this is already registered. Look whether it is the same person before going on.")
        )
        self.people = people


def register_patient(
    node: Node, actor: Actor, person: PersonInput, *, confirmed_others: Iterable[str] = ()
) -> PatientSummary:
    """Make a record of a person.

    `confirmed_others` are ids of people shown as possible duplicates whom somebody has said to be others.
    Raises InvalidInput, AlreadyRegistered (same resident ID number) or PossibleDuplicates (same name with the
    same birth date or village).
    """
    require_role(actor, Role.VEHICLE_DOCTOR, Role.ADMINISTRATOR)
    with node.transaction(actor) as work:
        values = _checked(work, person)
        _refuse_same_number(work, values["resident_id"], besides=None)
        others = _lookalikes(work, values)
        unseen = {other.record_id for other in others} - set(confirmed_others)
        if unseen:
            raise PossibleDuplicates(summaries(work.session, others, work.now))
        row = new_version(work.session, Patient, values, author=actor, node_id=node.node_id)
        _written(work, row, "create")
        return summary(work.session, row, work.now)


def correct_patient(node: Node, actor: Actor, patient_id: str, person: PersonInput, *, version: int) -> PatientSummary:
    """Write a corrected version. `version` is the one the person was looking at.

    Raises InvalidInput, AlreadyRegistered, NotFound, or Conflict when somebody else has changed it meanwhile.
    """
    require_role(actor, Role.VEHICLE_DOCTOR, Role.ADMINISTRATOR)
    with node.transaction(actor) as work:
        old = current_patient(work.session, patient_id)
        values = _checked(work, person)
        _refuse_same_number(work, values["resident_id"], besides=patient_id)
        if all(getattr(old, field) == value for field, value in values.items()):
            return summary(work.session, old, work.now)
        if old.version != version:
            raise Conflict(N_("Somebody has changed this record since you opened it. Open it again to see the change."))
        row = new_version(work.session, Patient, values, author=actor, node_id=node.node_id, corrects=old)
        _written(work, row, "update")
        return summary(work.session, row, work.now)


def read_patient(node: Node, actor: Actor, patient_id: str) -> Patient:
    """The current version of a person's record, for a page that shows it. Audited. Raises NotFound."""
    with node.transaction(actor) as work:
        row = current_patient(work.session, patient_id)
        work.audit("read", "patient", patient_id, patient_id=patient_id)
        return row


def read_summary(node: Node, actor: Actor, patient_id: str) -> PatientSummary:
    """A person in one line, for a page about that person. Audited. Raises NotFound."""
    with node.transaction(actor) as work:
        row = current_patient(work.session, patient_id)
        work.audit("read", "patient", patient_id, patient_id=patient_id)
        return summary(work.session, row, work.now)


def current_patient(session: Session, patient_id: str) -> Patient:
    """The current version. Raises NotFound."""
    row = latest(session, Patient, patient_id)
    if row is None:
        raise NotFound(N_("There is no record of this person on this machine."))
    return row


def current_patients(session: Session, patient_ids: Iterable[str]) -> list[Patient]:
    """The current versions of several people, in no order; who is not there is left out."""
    wanted = set(patient_ids)
    if not wanted:
        return []
    query = select(Patient).where(col(Patient.record_id).in_(wanted), col(Patient.current).is_(True))
    return list(session.exec(query))


def summary(session: Session, row: Patient, now: datetime) -> PatientSummary:
    """One row as a summary, its age as of the day at the site."""
    return summaries(session, [row], now)[0]


def summaries(session: Session, rows: Iterable[Patient], now: datetime) -> tuple[PatientSummary, ...]:
    """Several rows as summaries, with one look-up of their villages."""
    found = list(rows)
    wanted = {row.village_id for row in found if row.village_id}
    places = {v.id: v for v in session.exec(select(Village).where(col(Village.id).in_(wanted)))}
    today = site_today(now)
    return tuple(make_summary(row, places.get(row.village_id or ""), today) for row in found)


def make_summary(row: Patient, village: Village | None, today: date) -> PatientSummary:
    """The summary of a version of a record."""
    alerts = []
    if row.allergies:
        alerts.append(Alert("allergy", N_("Allergy"), row.allergies))
    if row.pregnant:
        alerts.append(Alert("pregnant", N_("Pregnant")))
    return PatientSummary(
        id=row.record_id,
        version=row.version,
        name=row.name,
        sex=Sex(row.sex),
        age=max(age_on(row.birth_date, today), 0),
        birth_date=row.birth_date,
        village_id=row.village_id,
        village=village.name if village else "",
        township=village.township if village else "",
        id_tail=(row.resident_id or "")[-4:],
        phone=row.phone,
        alerts=tuple(alerts),
        conditions=tuple(str(c.get("name", "")) for c in row.conditions),
    )


def villages(node: Node) -> list[Village]:
    """All villages, by township and name, for the register form."""
    with node.store.read() as session:
        return list(session.exec(select(Village).order_by(Village.township, Village.name)))


def _checked(work: Work, person: PersonInput) -> dict[str, Any]:
    today = site_today(work.now)
    name = clean_name(person.name)
    sex, born, number = person.sex, person.birth_date, None
    if person.resident_id:
        parsed = parse_resident_id(person.resident_id, today=today, allow_demo=work.node.settings.allow_demo_data)
        number = parsed.number
        if born is not None and born != parsed.birth_date:
            raise InvalidInput(
                N_("The birth date differs from the one in the resident ID number (%(date)s)."),
                field="birth_date",
                date=parsed.birth_date.isoformat(),
            )
        if sex not in (None, Sex.UNKNOWN, parsed.sex):
            raise InvalidInput(N_("The sex differs from the one in the resident ID number."), field="sex")
        born, sex = parsed.birth_date, parsed.sex
    if born is None:
        raise InvalidInput(N_("Enter the birth date, or the resident ID number."), field="birth_date")
    check_birth_date(born, today=today)
    if sex is None:
        raise InvalidInput(N_("Choose the sex."), field="sex")
    if person.pregnant and sex is Sex.MALE:
        raise InvalidInput(N_("A man cannot be marked as pregnant."), field="pregnant")
    if person.village_id and work.session.get(Village, person.village_id) is None:
        raise InvalidInput(N_("Choose a village from the list."), field="village_id")
    unknown = [code for code in person.conditions if code not in CONDITIONS]
    if unknown:
        raise InvalidInput(N_("Choose the conditions from the list."), field="conditions")
    pinyin, initials = romanise(name)
    return {
        "name": name,
        "pinyin": pinyin,
        "initials": initials,
        "sex": sex.value,
        "birth_date": born,
        "resident_id": number,
        "village_id": person.village_id or None,
        "address": person.address,
        "phone": person.phone,
        "insurance_number": person.insurance_number,
        "allergies": person.allergies,
        "pregnant": person.pregnant,
        "conditions": [{"code": code, "name": CONDITIONS[code]} for code in sorted(set(person.conditions))],
        "note": person.note,
    }


def _refuse_same_number(work: Work, number: str | None, *, besides: str | None) -> None:
    if number is None:
        return
    query = select(Patient).where(Patient.resident_id == number, col(Patient.current).is_(True))
    for row in work.session.exec(query):
        if row.record_id != besides:
            raise AlreadyRegistered(summary(work.session, row, work.now))


def _lookalikes(work: Work, values: dict[str, Any]) -> list[Patient]:
    """People of the same name with the same birth date or the same village."""
    same = [Patient.birth_date == values["birth_date"]]
    if values["village_id"]:
        same.append(Patient.village_id == values["village_id"])
    query = select(Patient).where(Patient.name == values["name"], col(Patient.current).is_(True), or_(*same))
    return list(work.session.exec(query.order_by(col(Patient.birth_date)).limit(10)))


def _written(work: Work, row: Patient, action: str) -> None:
    work.audit(action, "patient", row.record_id, patient_id=row.record_id)
    work.share(row, _visiting_vehicles(work.session, row.village_id) if work.node.is_hub else ())


def _visiting_vehicles(session: Session, village_id: str | None) -> list[str]:
    query = select(Stop.vehicle_id).where(Stop.village_id == village_id).distinct()
    return list(session.exec(query)) if village_id else []
