"""Vehicles as the hub's network sees them: whose key fits, who is on line, what belongs to which vehicle."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from sqlmodel import select

from teleconsult.domain.errors import N_, NotAllowed, NotFound
from teleconsult.domain.roles import SYSTEM, Actor, Role
from teleconsult.services.node import Node
from teleconsult.store.tables import Attachment, Consult, User, Vehicle


def make_key(vehicle_id: str) -> tuple[str, str]:
    """A new key for a vehicle and the hash that is stored.

    The key is the vehicle's id, a dot and 256 random bits, so that it is all a vehicle node has to be told. It is
    shown once and kept by the vehicle alone.
    """
    key = f"{vehicle_id}.{secrets.token_urlsafe(32)}"
    return key, hash_key(key)


def hash_key(key: str) -> str:
    """SHA-256 of a key, hexadecimal. The key has 256 random bits, so no slow hash is needed."""
    return hashlib.sha256(key.encode()).hexdigest()


def check_key(node: Node, vehicle_id: str, key: str) -> None:
    """Raises NotAllowed unless the key is that vehicle's and the vehicle is in service."""
    with node.store.read() as session:
        vehicle = session.get(Vehicle, vehicle_id)
    expected = vehicle.key_hash if vehicle and vehicle.active and vehicle.key_hash else "-" * 64
    if not hmac.compare_digest(expected, hash_key(key)):
        raise NotAllowed(N_("The vehicle key is not valid. Make a new one at the hub."))


def set_online(node: Node, vehicle_id: str, online: bool) -> None:
    """Note that a vehicle's link came or went, and tell the coordinator's board."""
    node.links.set(vehicle_id, node.clock() if online else None)
    seen(node, vehicle_id, now=True)
    node.bus.publish("board", "board:changed", {})


def seen(node: Node, vehicle_id: str, *, now: bool = False) -> None:
    """Note a sign of life of a vehicle."""
    if not node.links.due(vehicle_id, node.clock()) and not now:
        return
    with node.store.write() as tx:
        vehicle = tx.session.get(Vehicle, vehicle_id)
        if vehicle is not None:
            vehicle.last_seen_at = node.clock()
            tx.session.add(vehicle)


def doctor_of(node: Node, vehicle_id: str, user_id: str) -> Actor:
    """The vehicle doctor as the hub knows them. Raises NotAllowed: a vehicle speaks only for its own people."""
    with node.store.read() as session:
        user = session.get(User, user_id)
    if user is None or not user.active or user.role != Role.VEHICLE_DOCTOR or user.vehicle_id != vehicle_id:
        raise NotAllowed(N_("The hub does not know this person as a doctor of this vehicle."))
    return Actor(user.id, user.name, Role.VEHICLE_DOCTOR, user.organization_id, vehicle_id, user.specialty)


def of_consult(node: Node, consult_id: str) -> str | None:
    """The vehicle a consult belongs to. Never changes, so it is remembered."""
    known = node.links.vehicle_of_consult
    if consult_id not in known:
        with node.store.read() as session:
            consult = session.get(Consult, consult_id)
        if consult is None:
            return None
        known[consult_id] = consult.vehicle_id
    return known[consult_id]


def of_user(node: Node, user_id: str) -> str | None:
    """The vehicle a person works on, if any."""
    with node.store.read() as session:
        user = session.get(User, user_id)
    return user.vehicle_id if user else None


def check_image(node: Node, vehicle_id: str, sha256: str) -> None:
    """Raises NotFound unless the image belongs to a consult of this vehicle. The reading is audited."""
    with node.transaction(SYSTEM) as work:
        query = (
            select(Attachment)
            .join(Consult, Consult.id == Attachment.consult_id)  # type: ignore[arg-type]
            .where(Attachment.sha256 == sha256, Consult.vehicle_id == vehicle_id)
        )
        row = work.session.exec(query).first()
        if row is None:
            raise NotFound(N_("There is no such image for this vehicle."))
