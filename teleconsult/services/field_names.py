"""What a field of a payload is called on the page, for a sentence about what is wrong with it."""

from __future__ import annotations

from pydantic import ValidationError

from teleconsult.domain.errors import N_

LABELS = {
    "action": N_("Action"),
    "advice": N_("Advice"),
    "address": N_("Address"),
    "allergies": N_("Allergies"),
    "birth_date": N_("Date of birth"),
    "caption": N_("Caption"),
    "code": N_("Code"),
    "conditions": N_("Known conditions"),
    "day": N_("Day"),
    "given_by": N_("Consent: who has agreed"),
    "giver_name": N_("Name of the person who agreed"),
    "how": N_("How"),
    "impression": N_("Impression"),
    "insurance_number": N_("Medical insurance number"),
    "medicines": N_("Medicines advised"),
    "mode": N_("Kind of consult"),
    "name": N_("Name"),
    "note": N_("Note"),
    "notes": N_("Findings and notes"),
    "observation_ids": N_("Readings that are shared"),
    "phone": N_("Telephone"),
    "reason": N_("Reason"),
    "refer": N_("Refer the patient"),
    "refer_to": N_("Refer to"),
    "resident_id": N_("Resident ID number"),
    "review_on": N_("Look again on"),
    "sex": N_("Sex"),
    "specialty": N_("Specialty"),
    "text": N_("Text"),
    "title": N_("Title"),
    "urgency": N_("Urgency"),
    "username": N_("User name"),
    "village_id": N_("Village"),
}
"""By the last part of a field's path. What is not here is never typed by a person."""

NAMED = N_("“%(field)s” is missing or not usable.")
UNNAMED = N_("The request could not be read. Nothing was changed.")


def first_fault(error: ValidationError) -> tuple[str | None, str | None]:
    """(the path of the first field that is wrong, its label, to be translated, if a person knows it by one)."""
    first = error.errors(include_url=False, include_input=False)[0]
    path = [str(part) for part in first["loc"]]
    names = [part for part in path if part in LABELS]
    return ".".join(path) or None, LABELS[names[-1]] if names else None
