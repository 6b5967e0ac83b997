"""What is to be said of a node's own authority near its end: everything that it has signed ends with it.

Renewing the server's certificate gains nothing then; only a person can have devices trust another authority.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from teleconsult.domain.errors import N_
from teleconsult.tls.authority import Authority
from teleconsult.tls.given import Trouble

ENDS_SOON = timedelta(days=90)
"""Time to go round all vehicles and devices."""


def trouble_of_authority(authority: Authority, now: datetime) -> Trouble | None:
    """That the authority has ended, or will soon, and what to do. Raises NotFound and Unavailable where it cannot be
    read."""
    ends = authority.certificate().not_valid_after_utc
    if ends >= now + ENDS_SOON:
        return None
    date = {"date": f"{ends:%Y-%m-%d}"}
    if ends <= now:
        return Trouble(
            True,
            N_("This node's certificate authority has expired on %(date)s, and browsers refuse its certificate."),
            N_("Put another one in force and let every device trust it: teleconsult tls renew --authority"),
            date,
        )
    advice = N_("Make the next one and let the devices trust it: teleconsult tls next")
    if authority.next_certificate():
        advice = N_("When every device trusts the next one: teleconsult tls renew --authority")
    return Trouble(False, N_("This node's certificate authority ends on %(date)s."), advice, date)
