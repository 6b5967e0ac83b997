"""What of a person's account a vehicle is told. Other directory rows go to every vehicle as they are."""

from __future__ import annotations

from sqlmodel import select

from teleconsult.domain.roles import Role
from teleconsult.services.node import Work
from teleconsult.store.tables import User, Vehicle


def share_user(work: Work, user: User) -> None:
    """Send a person's row to all vehicles, the password's hash only to the vehicle where they log in.

    A vehicle can be stolen: what it does not hold nobody can try passwords against. For a new vehicle call this
    for everybody, see `share_users`.
    """
    if not work.node.is_hub:
        return
    for vehicle_id in work.session.exec(select(Vehicle.id)):
        _send(work, user, vehicle_id)


def share_users(work: Work, vehicle_id: str) -> None:
    """Send everybody's row to one vehicle, which has none of them yet."""
    for user in work.session.exec(select(User)).all():
        _send(work, user, vehicle_id)


def _send(work: Work, user: User, vehicle_id: str) -> None:
    trusted = user.role == Role.VEHICLE_DOCTOR and user.vehicle_id == vehicle_id and user.active
    row = user if trusted else User(**{**user.model_dump(), "password_hash": ""})
    work.send(row, vehicle_id)
