"""The "1+X+N" network: one core hospital, X township health centres, N village clinics, and the vehicles."""

from __future__ import annotations

from enum import StrEnum

from teleconsult.domain.errors import N_


class Level(StrEnum):
    """Where an institution stands in the network."""

    CORE = "core"
    BRANCH = "branch"
    CLINIC = "clinic"


LEVEL_NAMES = {
    Level.CORE: N_("county hospital"),
    Level.BRANCH: N_("township health centre"),
    Level.CLINIC: N_("village clinic"),
}

SPECIALTIES = {
    "general": N_("General medicine"),
    "cardiology": N_("Cardiology"),
    "endocrinology": N_("Endocrinology"),
    "respiratory": N_("Respiratory medicine"),
    "neurology": N_("Neurology"),
    "surgery": N_("Surgery"),
    "dermatology": N_("Dermatology"),
    "ophthalmology": N_("Ophthalmology"),
    "orthopaedics": N_("Orthopaedics"),
    "obstetrics": N_("Obstetrics and gynaecology"),
    "tcm": N_("Traditional Chinese medicine"),
}
"""Departments a consult can be asked of; code → name. A county's own list comes from its institutions later."""
