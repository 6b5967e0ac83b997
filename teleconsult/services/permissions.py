"""Refuse what a role may not do. A page's `@allow` says who sees the page; this says who may act, from anywhere."""

from __future__ import annotations

from teleconsult.domain.errors import N_, NotAllowed
from teleconsult.domain.roles import Actor, Role


def require_role(actor: Actor, *roles: Role) -> None:
    """Raise NotAllowed unless the actor has one of these roles. The program itself may do everything."""
    if not actor.is_system and actor.role not in roles:
        raise NotAllowed(N_("This step is for somebody with another role."))


def require_vehicle(actor: Actor, vehicle_id: str | None = None) -> str:
    """The vehicle the actor works on. Raises NotAllowed without one, or if it is not `vehicle_id`."""
    require_role(actor, Role.VEHICLE_DOCTOR)
    if actor.vehicle_id is None:
        raise NotAllowed(N_("Your account belongs to no clinic vehicle. The administrator can set one."))
    if vehicle_id is not None and actor.vehicle_id != vehicle_id:
        raise NotAllowed(N_("This belongs to another clinic vehicle."))
    return actor.vehicle_id
