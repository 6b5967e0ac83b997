"""The directory: institutions, villages, vehicles and their keys, the stops of the rounds.

Edited by administrators at the hub only; every change is audited and goes to all vehicles. People are in
`services.staff`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, Field
from sqlmodel import Session, SQLModel, col, select

from teleconsult.domain.errors import N_, Conflict, InvalidInput, NotAllowed, NotFound
from teleconsult.domain.network import Level
from teleconsult.domain.people import site_today
from teleconsult.domain.roles import Actor, Role
from teleconsult.services import vehicles
from teleconsult.services.node import EVERY_VEHICLE, Node, Work
from teleconsult.services.permissions import require_role
from teleconsult.store.tables import Organization, Stop, User, Vehicle, Village

PARENT_LEVEL = {Level.CORE: None, Level.BRANCH: Level.CORE, Level.CLINIC: Level.BRANCH}
"""Which institutions stand above which: 1 + X + N."""

Row = TypeVar("Row", bound=SQLModel)


class OrganizationForm(BaseModel):
    """An institution as an administrator enters it."""

    code: str = Field(max_length=40)
    name: str = Field(max_length=120)
    level: Level
    parent_id: str | None = None
    address: str = Field(default="", max_length=200)
    phone: str = Field(default="", max_length=30)
    active: bool = True


class VillageForm(BaseModel):
    """A village as an administrator enters it."""

    name: str = Field(max_length=80)
    township: str = Field(max_length=80)
    organization_id: str | None = None


class VehicleForm(BaseModel):
    """A clinic vehicle as an administrator enters it."""

    code: str = Field(max_length=40)
    name: str = Field(max_length=80)
    plate: str = Field(default="", max_length=20)
    organization_id: str | None = None
    active: bool = True


class StopForm(BaseModel):
    """A stop as an administrator enters it."""

    vehicle_id: str
    village_id: str
    day: date
    note: str = Field(default="", max_length=200)


@dataclass(frozen=True)
class Branch:
    """An institution in the tree: `depth` 0 is the core, `people` counts the active accounts."""

    organization: Organization
    depth: int
    people: int


@dataclass(frozen=True)
class PlannedStop:
    """A stop with the names of what it is about."""

    stop: Stop
    vehicle: str
    village: str
    township: str


def require_directory(node: Node, actor: Actor) -> None:
    """Raise NotAllowed unless this is the hub and the actor an administrator."""
    require_role(actor, Role.ADMINISTRATOR)
    if not node.is_hub:
        raise NotAllowed(N_("The directory is edited at the hub. The vehicle gets every change with its next link."))


def get(node: Node, table: type[Row], row_id: str) -> Row:
    """One row of the directory. Raises NotFound."""
    with node.store.read() as session:
        return find(session, table, row_id)


def list_organizations(node: Node) -> list[Branch]:
    """All institutions as a tree, each under its parent, siblings by code."""
    with node.store.read() as session:
        rows = session.exec(select(Organization).order_by(Organization.code)).all()
        staff = session.exec(select(User.organization_id).where(col(User.active).is_(True))).all()
    below: dict[str | None, list[Organization]] = {}
    for row in rows:
        below.setdefault(row.parent_id, []).append(row)

    def walk(parent_id: str | None, depth: int) -> list[Branch]:
        found: list[Branch] = []
        for row in below.get(parent_id, []):
            found += [Branch(row, depth, staff.count(row.id)), *walk(row.id, depth + 1)]
        return found

    return walk(None, 0)


def save_organization(
    node: Node, actor: Actor, form: OrganizationForm, organization_id: str | None = None
) -> Organization:
    """Create an institution, or change one. Raises InvalidInput, NotFound."""
    require_directory(node, actor)
    with node.transaction(actor) as work:
        values = form.model_dump(mode="json")
        values |= {"code": required(form.code, "code"), "name": required(form.name, "name")}
        values["parent_id"] = form.parent_id or None
        refuse_taken(work.session, Organization, "code", values["code"], organization_id)
        _check_place(work.session, form, organization_id)
        return save(work, Organization, values, organization_id, "organization")


def list_villages(node: Node) -> list[Village]:
    """All villages, by township and name."""
    with node.store.read() as session:
        return list(session.exec(select(Village).order_by(Village.township, Village.name)))


def save_village(node: Node, actor: Actor, form: VillageForm, village_id: str | None = None) -> Village:
    """Create a village, or change one. Raises InvalidInput, NotFound."""
    require_directory(node, actor)
    with node.transaction(actor) as work:
        values: dict[str, Any] = {
            "name": required(form.name, "name"),
            "township": required(form.township, "township"),
            "organization_id": form.organization_id or None,
        }
        same = select(Village).where(Village.name == values["name"], Village.township == values["township"])
        if any(row.id != village_id for row in work.session.exec(same)):
            raise InvalidInput(N_("This township has a village of this name already."), field="name")
        if values["organization_id"]:
            find(work.session, Organization, values["organization_id"])
        return save(work, Village, values, village_id, "village")


def list_vehicles(node: Node) -> list[Vehicle]:
    """All vehicles by code."""
    with node.store.read() as session:
        return list(session.exec(select(Vehicle).order_by(Vehicle.code)))


def vehicle_by_code(node: Node, code: str) -> Vehicle:
    """The vehicle with this code. Raises NotFound."""
    with node.store.read() as session:
        row = session.exec(select(Vehicle).where(Vehicle.code == code)).first()
    if row is None:
        raise NotFound(N_("No vehicle has the code %(code)s."), code=code)
    return row


def save_vehicle(node: Node, actor: Actor, form: VehicleForm, vehicle_id: str | None = None) -> Vehicle:
    """Create a clinic vehicle, or change one. Out of service it cannot connect any more."""
    require_directory(node, actor)
    with node.transaction(actor) as work:
        values: dict[str, Any] = form.model_dump()
        values |= {"code": required(form.code, "code"), "name": required(form.name, "name")}
        values["organization_id"] = form.organization_id or None
        refuse_taken(work.session, Vehicle, "code", values["code"], vehicle_id)
        if values["organization_id"]:
            find(work.session, Organization, values["organization_id"])
        row = save(work, Vehicle, values, vehicle_id, "vehicle")
        if not row.active:
            _refuse_link(work, row.id)
        work.announce("board", "board:changed", {})
        return row


def make_vehicle_key(node: Node, actor: Actor, vehicle_id: str) -> str:
    """A new key for a vehicle's node, given once and never again. The old one is worth nothing from now on."""
    require_directory(node, actor)
    with node.transaction(actor) as work:
        row = find(work.session, Vehicle, vehicle_id)
        if not row.active:
            raise Conflict(N_("This vehicle is out of service. Put it into service first."))
        key, row.key_hash = vehicles.make_key(vehicle_id)
        row.key_made_at = work.now
        work.session.add(row)
        work.audit("vehicle_key", "vehicle", vehicle_id)
        _refuse_link(work, vehicle_id)
    return key


def revoke_vehicle_key(node: Node, actor: Actor, vehicle_id: str) -> None:
    """Make a vehicle's key worthless at once. Raises Conflict if it has none."""
    require_directory(node, actor)
    with node.transaction(actor) as work:
        row = find(work.session, Vehicle, vehicle_id)
        if row.key_hash is None:
            raise Conflict(N_("This vehicle has no key."))
        row.key_hash, row.key_made_at = None, None
        work.session.add(row)
        work.audit("vehicle_key_revoked", "vehicle", vehicle_id)
        _refuse_link(work, vehicle_id)


def list_stops(node: Node, first: date, days: int = 14) -> list[PlannedStop]:
    """The stops of some days from `first` on, by day and vehicle."""
    with node.store.read() as session:
        query = (
            select(Stop, Vehicle.name, Village.name, Village.township)
            .join(Vehicle, col(Vehicle.id) == col(Stop.vehicle_id))
            .join(Village, col(Village.id) == col(Stop.village_id))
            .where(Stop.day >= first, Stop.day < first + timedelta(days=days), col(Stop.active).is_(True))
            .order_by(col(Stop.day), Vehicle.code, col(Stop.id))
        )
        return [PlannedStop(*found) for found in session.exec(query)]


def save_stop(node: Node, actor: Actor, form: StopForm, stop_id: str | None = None) -> Stop:
    """Plan a stop, or change one. A stop cannot be planned for a day that is over."""
    require_directory(node, actor)
    with node.transaction(actor) as work:
        if form.day < site_today(work.now):
            raise InvalidInput(N_("This day is over. Choose today or a later day."), field="day")
        if not find(work.session, Vehicle, form.vehicle_id).active:
            raise InvalidInput(N_("This vehicle is out of service."), field="vehicle_id")
        find(work.session, Village, form.village_id)
        same = select(Stop).where(
            Stop.vehicle_id == form.vehicle_id, Stop.village_id == form.village_id, Stop.day == form.day
        )
        known = [row for row in work.session.exec(same) if row.id != stop_id]
        if any(row.active for row in known):
            raise InvalidInput(N_("This stop is planned already."), field="village_id")
        return save(work, Stop, {**form.model_dump(), "active": True}, stop_id, "stop")


def cancel_stop(node: Node, actor: Actor, stop_id: str) -> Stop:
    """Take a stop out of the plan. It can be planned again."""
    require_directory(node, actor)
    with node.transaction(actor) as work:
        return save(work, Stop, {"active": False}, stop_id, "stop")


# Shared with services.staff


def find(session: Session, table: type[Row], row_id: str) -> Row:
    """One row of the directory. Raises NotFound."""
    row = session.get(table, row_id)
    if row is None:
        raise NotFound(N_("This entry of the directory does not exist (any more)."))
    return row


def save(
    work: Work,
    table: type[Row],
    values: Mapping[str, Any],
    row_id: str | None,
    entity: str,
    *,
    silent: Mapping[str, Any] | None = None,
) -> Row:
    """Insert or change a row, audit what changed, and send it to all vehicles. Unchanged rows are left alone.

    `silent` values of a new row are stored and not written into the audit.
    """
    row = find(work.session, table, row_id) if row_id else table(**values, **(silent or {}))
    changed = {name: value for name, value in values.items() if row_id is None or getattr(row, name) != value}
    if not changed:
        return row
    before = {name: getattr(row, name) for name in changed} if row_id else {}
    for name, value in {**changed, "changed_at": work.now}.items():
        setattr(row, name, value)
    work.session.add(row)
    work.session.flush()
    detail = "; ".join(
        f"{name}: {before[name]} → {value}" if row_id else f"{name}: {value}"
        for name, value in changed.items()
        if row_id or value not in (None, "", True)
    )
    work.audit("update" if row_id else "create", entity, _id(row), detail=detail)
    work.send(row, EVERY_VEHICLE)
    return row


def required(text: str, field: str) -> str:
    """The text without outer white space. Raises InvalidInput when nothing is left."""
    text = " ".join(text.split())
    if not text:
        raise InvalidInput(N_("Fill in this field."), field=field)
    return text


def refuse_taken(session: Session, table: type[SQLModel], name: str, value: str, row_id: str | None) -> None:
    """Raise InvalidInput when another row has this value."""
    query = select(table).where(getattr(table, name) == value)
    other = session.exec(query).first()
    if other is not None and _id(other) != row_id:
        raise InvalidInput(N_("“%(value)s” is taken already. Choose another."), field=name, value=value)


def _id(row: SQLModel) -> str:
    return str(row.id)  # type: ignore[attr-defined]


def _check_place(session: Session, form: OrganizationForm, organization_id: str | None) -> None:
    """A clinic stands under a health centre, a health centre under the one county hospital."""
    wanted = PARENT_LEVEL[form.level]
    if wanted is None:
        if form.parent_id:
            raise InvalidInput(
                N_("The county hospital stands at the top: it has no institution above it."), field="parent_id"
            )
        cores = session.exec(
            select(Organization).where(Organization.level == Level.CORE, col(Organization.active).is_(True))
        )
        if form.active and any(row.id != organization_id for row in cores):
            raise InvalidInput(N_("There is a county hospital already. A network has one."), field="level")
    else:
        parent = session.get(Organization, form.parent_id) if form.parent_id else None
        if parent is None or parent.level != wanted or not parent.active:
            raise InvalidInput(
                N_("Choose the county hospital as the institution above.")
                if wanted is Level.CORE
                else N_("Choose a township health centre as the institution above."),
                field="parent_id",
            )
    if organization_id is None:
        return
    known = find(session, Organization, organization_id)
    below = select(Organization).where(Organization.parent_id == organization_id, col(Organization.active).is_(True))
    if (known.level != form.level or not form.active) and session.exec(below).first() is not None:
        raise InvalidInput(N_("Other institutions stand under this one. Move them first."), field="level")


def _refuse_link(work: Work, vehicle_id: str) -> None:
    """Have the vehicle's present link cut: it was let in with a key that is no longer good."""
    work.announce(f"vehicle:{vehicle_id}", "vehicle:refused", {"vehicle_id": vehicle_id})
