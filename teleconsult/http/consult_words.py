"""Words of the consult pages: quick phrases, what to do next, what a step is called in the course of a consult."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask_babel import gettext as _

from teleconsult.domain.consult import Action, State, Urgency
from teleconsult.domain.errors import N_
from teleconsult.domain.people import SITE_ZONE
from teleconsult.http.reading_tiles import vital
from teleconsult.services.consult_views import ConsultLine

PHRASES: dict[str, tuple[str, ...]] = {
    "": (
        N_("Please advise on diagnosis"),
        N_("Please advise on treatment"),
        N_("Please say whether to refer"),
        N_("Symptoms for some days"),
    ),
    "cardiology": (
        N_("Blood pressure above target under treatment"),
        N_("Chest tightness, cause unclear"),
        N_("Palpitations, cause unclear"),
        N_("Please read the ECG"),
    ),
    "endocrinology": (
        N_("Glucose above target under treatment"),
        N_("Low glucose under treatment"),
        N_("Please advise on the insulin dose"),
    ),
    "respiratory": (N_("Cough for weeks"), N_("Short of breath on exertion"), N_("Low oxygen saturation")),
    "neurology": (N_("Dizziness, cause unclear"), N_("Headache, cause unclear"), N_("Numb or weak limbs")),
    "surgery": (N_("Wound that does not heal"), N_("Abdominal pain, cause unclear"), N_("Please look at the wound")),
    "dermatology": (N_("Skin rash, cause unclear"), N_("Itching for weeks"), N_("Please look at the pictures")),
    "ophthalmology": (N_("Sight has become worse"), N_("Red or painful eye")),
    "orthopaedics": (N_("Joint pain for weeks"), N_("Back pain for weeks"), N_("After a fall")),
    "obstetrics": (N_("Blood pressure in pregnancy"), N_("Bleeding, cause unclear"), N_("Antenatal question")),
    "tcm": (N_("Please advise on constitution and conditioning"), N_("Sleeps badly"), N_("Chronic pain")),
}
"""Quick phrases for a reason by specialty, "" for all. They name no finding that nobody has made."""

URGENCY_TEXTS = {
    Urgency.ROUTINE: N_("Today or in the next days"),
    Urgency.URGENT: N_("Within half an hour"),
    Urgency.EMERGENCY: N_("At once: life or limb in danger"),
}

STEP_NAMES = {
    Action.REQUEST: N_("asked for the consult"),
    Action.ASK_INFORMATION: N_("asked for information"),
    Action.PROVIDE_INFORMATION: N_("gave the information"),
    Action.ACCEPT: N_("accepted"),
    Action.DECLINE: N_("declined"),
    Action.RETURN: N_("gave it back to the queue"),
    Action.WITHDRAW: N_("withdrew the request"),
    Action.EXPIRE: N_("The request expired"),
    Action.REASSIGN: N_("reassigned it"),
    Action.START_CALL: N_("started the call"),
    Action.INTERRUPT: N_("The call was interrupted"),
    Action.RESUME: N_("resumed the call"),
    Action.END_CALL: N_("ended the call"),
    Action.SIGN_OPINION: N_("signed the opinion"),
    Action.CORRECT_OPINION: N_("corrected the opinion"),
    Action.ACKNOWLEDGE: N_("read and acknowledged the opinion"),
}
"""What somebody did, after their name; what the program did stands alone."""

NEXT_FOR_DOCTOR = {
    State.REQUESTED: N_("The specialists see the request. You are told here as soon as one accepts it."),
    State.NEEDS_INFORMATION: N_("A specialist asks for information. Answer below; then the request waits again."),
    State.REASSIGNED: N_("The coordinator has given the request to %(name)s. You are told here when it is accepted."),
    State.ACCEPTED: N_("%(name)s has accepted. Enter the call when the patient is ready."),
    State.IN_CALL: N_("The call is running. Enter it."),
    State.INTERRUPTED: N_("The call was interrupted. Enter it again; nothing is lost."),
    State.OPINION_DUE: N_("The call is over. %(name)s is writing the opinion; it appears here."),
    State.OPINION_WRITTEN: N_("The opinion is signed. Read it and acknowledge it."),
    State.CLOSED: N_("The consult is closed. The record can be printed."),
    State.DECLINED: N_("The request was declined; the reason stands below. You can ask another specialty."),
    State.WITHDRAWN: N_("The request was withdrawn."),
    State.EXPIRED: N_("Nobody took the request in time, so it expired. You can ask again."),
}
"""What a vehicle doctor can do now, or has to wait for."""

STATE_LEVELS = {
    State.NEEDS_INFORMATION: "warning",
    State.INTERRUPTED: "warning",
    State.OPINION_WRITTEN: "warning",
    State.ACCEPTED: "ok",
    State.IN_CALL: "ok",
    State.CLOSED: "ok",
}


def clock(at: datetime) -> str:
    """14:05 at the site."""
    return at.astimezone(SITE_ZONE).strftime("%H:%M")


def day(at: datetime) -> str:
    """2026-11-24 at the site."""
    return at.astimezone(SITE_ZONE).date().isoformat()


def when(at: datetime) -> str:
    """2026-11-24 14:05 at the site."""
    return f"{day(at)} {clock(at)}"


def waited(seconds: float) -> str:
    """A length of time in the largest whole unit; js/lib/i18n.js `duration` says the same words."""
    minutes = int(max(seconds, 0) // 60)
    if minutes < 60:
        return str(_("%(count)s min", count=minutes))
    if minutes < 48 * 60:
        return str(_("%(count)s h", count=minutes // 60))
    return str(_("%(count)s d", count=minutes // 1440))


def years(age: int) -> str:
    """67 岁."""
    return str(_("%(age)s years", age=age))


def queue_row(line: ConsultLine, url: str, now: datetime, specialty: str) -> dict[str, Any]:
    """A consult as `clinical.queue_row` draws it."""
    consult, patient = line.consult, line.patient
    place = " · ".join(part for part in (line.vehicle, line.village or patient.village, specialty) if part)
    return {
        "url": url,
        "consult_id": consult.id,
        "urgency": consult.urgency,
        "state": consult.state,
        "name": patient.name,
        "sex_name": _(patient.sex_name),
        "age": years(patient.age),
        "place": place,
        "reason": consult.reason,
        "vitals": [vital(reading) for reading in line.readings],
        "waited": waited((now - consult.requested_at).total_seconds()),
        "since": consult.requested_at.isoformat(),
    }
