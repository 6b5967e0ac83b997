"""What a plugin implements to offer a referral route: who fits, and how the referral gets there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import Field

from teleconsult.domain.consult import Urgency
from teleconsult.domain.people import Sex
from teleconsult.plugin_api._text import Text, UtcDatetime, Value


class ReferralDirection(StrEnum):
    """Towards the county hospital, or back to the site nearest home."""

    UP = "up"
    BACK = "back"


class ReferralTarget(Value):
    """An institution of the network that could receive a patient."""

    organization_id: str
    name: str
    level: str
    """core, branch or clinic."""
    departments: tuple[str, ...] = ()
    distance_km: float | None = Field(default=None, ge=0)


class ReferralRequest(Value):
    """What is known when a target is sought. No name: ranking does not need one."""

    direction: ReferralDirection
    urgency: Urgency
    specialty: str = ""
    reason: str = Field(default="", max_length=2000)
    age_years: int | None = Field(default=None, ge=0, le=130)
    sex: Sex = Sex.UNKNOWN
    from_organization_id: str


class RankedTarget(Value):
    """A target with how well it fits, from 0 to 1, and why."""

    organization_id: str
    fit: float = Field(ge=0, le=1)
    why: Text


class Referral(Value):
    """A referral that a doctor has signed, on its way."""

    referral_id: str
    direction: ReferralDirection
    urgency: Urgency
    patient_id: str
    from_organization_id: str
    to_organization_id: str
    signed_at: UtcDatetime
    form: dict[str, Any]
    """The filled form as a FHIR R4 ServiceRequest resource."""


class DeliveryReceipt(Value):
    """What became of a delivery. `reference` is the receiver's own number for it."""

    delivered: bool
    reference: str = Field(default="", max_length=100)
    sentence: Text | None = None


class ReferralRoute(ABC):
    """A way for referrals to go."""

    key: ClassVar[str]
    """The plugin's own word; stored with each referral, so never change it."""
    title: ClassVar[Text | str]
    directions: ClassVar[tuple[ReferralDirection, ...]] = (ReferralDirection.UP, ReferralDirection.BACK)

    @abstractmethod
    def rank(self, request: ReferralRequest, targets: Sequence[ReferralTarget]) -> list[RankedTarget]:
        """The targets that fit, the best first. Targets that do not fit are left out. Deadline 5 s."""

    @abstractmethod
    def deliver(self, referral: Referral) -> DeliveryReceipt:
        """Hand the referral to its receiver. Deadline 60 s.

        A receiver that is out of reach or refuses is no fault: return a receipt that is not `delivered`, with a
        sentence for the doctor. Called again for the same `referral_id` after a failure; the receiver must end up
        with one referral.
        """
