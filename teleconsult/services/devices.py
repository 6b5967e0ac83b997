"""The vehicle's devices: which belong to it, how each is, and what a person asks of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlmodel import Session, col, select

from teleconsult import plugin_host
from teleconsult.domain import measurement
from teleconsult.domain.errors import N_, Conflict, InvalidInput, NotFound, TeleconsultError, Unavailable
from teleconsult.domain.roles import Actor, Role
from teleconsult.plugin_api import Command, DeviceInfo, DeviceState
from teleconsult.plugin_host import DeviceHost, OfferedReader
from teleconsult.services import encounters, observations
from teleconsult.services.device_desk import DeviceDesk, status_words
from teleconsult.services.node import Node
from teleconsult.services.permissions import require_role, require_vehicle
from teleconsult.store.tables import DeviceAssignment

log = structlog.get_logger(__name__)

SEARCH_SECONDS = 15.0


@dataclass(frozen=True)
class DeviceCard:
    """A device as its card shows it. `status` is `device_desk.status_words`; labels are to be translated."""

    assignment_id: str
    device_id: str
    name: str
    plugin: str
    model: str
    kinds: tuple[str, ...]
    status: dict[str, Any]
    commands: tuple[str, ...]
    last_reading_at: datetime | None
    test_seconds: int = 0
    """For how long its next reading is still a test."""

    @property
    def can_measure(self) -> bool:
        """Whether a person can have it measure from here."""
        return Command.MEASURE in self.commands

    @property
    def can_fetch(self) -> bool:
        """Whether a person can have it hand over what it stored."""
        return Command.FETCH in self.commands

    def announced(self) -> dict[str, Any]:
        """What `device` says of it now."""
        about = {"assignment_id": self.assignment_id, "device_id": self.device_id, "name": self.name}
        return {**about, **self.status}


@dataclass(frozen=True)
class FoundDevice:
    """A device that a search found and that does not belong to the vehicle yet."""

    plugin: str
    reader: str
    device_id: str
    name: str
    kinds: tuple[str, ...]

    def announced(self) -> dict[str, str]:
        """What `device:found` says of it."""
        return {"plugin": self.plugin, "reader": self.reader, "device_id": self.device_id, "name": self.name}


def start_devices(node: Node) -> Callable[[], None]:
    """Read all assigned devices from now on. Gives the function that stops it. Needs `node.plugins`."""
    assert node.plugins is not None, "devices are read by plugins: start those first"
    desk = DeviceDesk(node)
    host = DeviceHost(
        node.plugins,
        on_reading=desk.on_reading,
        on_waveform=desk.on_waveform,
        on_status=desk.on_status,
        on_memory=desk.on_memory,
    )
    node.devices, node.desk = host, desk
    with node.store.read() as session:
        assigned = list(session.exec(select(DeviceAssignment).order_by(col(DeviceAssignment.made_at))))
    for assignment in assigned:
        desk.know(assignment)
        try:
            host.start_device(_as_hosted(assignment))
        except TeleconsultError as error:  # its plugin is gone: the others are read all the same
            log.warning("a device is not read", device_id=assignment.device_id, reason=str(error))
    return host.close


def cards(node: Node) -> list[DeviceCard]:
    """The vehicle's devices in the order they were added; one whose plugin is gone is shown as off."""
    with node.store.read() as session:
        assigned = list(session.exec(select(DeviceAssignment).order_by(col(DeviceAssignment.made_at))))
    return [_card(node, assignment) for assignment in assigned]


def offered_readers(node: Node) -> list[OfferedReader]:
    """The sorts of devices that the running plugins can read."""
    return node.plugins.readers() if node.plugins else []


def found_devices(node: Node) -> list[FoundDevice]:
    """What searches have found and what does not belong to the vehicle yet."""
    if node.desk is None:
        return []
    with node.store.read() as session:
        assigned = set(session.exec(select(DeviceAssignment.device_id)))
    return [
        FoundDevice(plugin, reader, info.device_id, info.name, _labels(info.kinds))
        for (plugin, reader, _id), info in node.desk.found().items()
        if info.device_id not in assigned
    ]


def search_devices(node: Node, actor: Actor, plugin: str, reader: str) -> None:
    """Look for devices for some seconds; each one found is announced on "node" as `device:found`.

    Where nothing can be looked for, the reason is announced as `device:search`.
    """
    host, desk = _running(node)
    require_vehicle(actor, node.node_id)
    host.discover(
        plugin,
        reader,
        lambda info: desk.on_found(plugin, reader, info),
        SEARCH_SECONDS,
        on_unavailable=lambda sentence: desk.on_search(plugin, reader, sentence),
    )


def add_device(node: Node, actor: Actor, plugin: str, reader: str, device_id: str, *, name: str = "") -> DeviceCard:
    """Make a found device the vehicle's own, and read it from now on."""
    host, desk = _running(node)
    require_vehicle(actor, node.node_id)
    info = desk.found().get((plugin, reader, device_id))
    if info is None:
        raise NotFound(N_("This device was not found in the last search. Search again."))
    with node.transaction(actor) as work:
        if _by_device(work.session, device_id) is not None:
            raise Conflict(N_("This device already belongs to the vehicle."))
        row = DeviceAssignment(
            plugin=plugin,
            reader=reader,
            device_id=device_id,
            name=_clean_name(name) if name.strip() else info.name,
            info=info.model_dump(mode="json"),
            made_at=work.now,
        )
        work.session.add(row)
        work.audit("create", "device", row.id, detail=row.name)
    desk.know(row)
    host.start_device(_as_hosted(row))
    return _card(node, row)


def rename_device(node: Node, actor: Actor, assignment_id: str, name: str) -> DeviceCard:
    """Call a device something else. Readings that it gave keep the old name."""
    require_vehicle(actor, node.node_id)
    with node.transaction(actor) as work:
        row = _assignment(work.session, assignment_id)
        row.name = _clean_name(name)
        work.session.add(row)
        work.audit("update", "device", row.id, detail=row.name)
    if node.desk is not None:
        node.desk.know(row)
    return _card(node, row)


def forget_device(node: Node, actor: Actor, assignment_id: str) -> str:
    """The device no longer belongs to the vehicle. Its readings stay. Gives its name."""
    require_vehicle(actor, node.node_id)
    with node.transaction(actor) as work:
        row = _assignment(work.session, assignment_id)
        work.session.delete(row)
        work.audit("delete", "device", row.id, detail=row.name)
    if node.devices is not None and node.desk is not None:
        node.devices.stop_device(row.device_id, missing_ok=True)
        node.desk.forget(row.device_id)
    return row.name


def command_device(
    node: Node, actor: Actor, assignment_id: str, command: str, *, encounter_id: str | None = None
) -> None:
    """Ask something of a device.

    With `encounter_id` the devices measure for that encounter from now on: who presses the button beside a
    name means that person. Raises NotFound, InvalidInput, Conflict (it measures already), Unavailable.
    """
    host, desk = _running(node)
    require_vehicle(actor, node.node_id)
    row = _read_assignment(node, assignment_id)
    if command == Command.MEASURE:
        _refuse_if_measuring(host, row)
        desk.end_test(row.device_id)
        if encounter_id is not None:
            encounters.measure_for(node, actor, encounter_id)
    host.command(row.device_id, command)


def test_device(node: Node, actor: Actor, assignment_id: str) -> None:
    """See whether the device works: its next value is shown on its card and belongs to nobody.

    A device that can be asked to measure is asked; at any other a person starts the measurement.
    """
    host, desk = _running(node)
    require_vehicle(actor, node.node_id)
    row = _read_assignment(node, assignment_id)
    view = host.device(row.device_id)
    if not desk.streams(row.device_id):
        _refuse_if_measuring(host, row)
    desk.begin_test(row.device_id)
    if Command.MEASURE not in view.commands:
        return
    try:
        host.command(row.device_id, Command.MEASURE)
    except TeleconsultError:
        desk.end_test(row.device_id)
        raise


def end_test(node: Node, actor: Actor, assignment_id: str) -> None:
    """What the device measures counts again."""
    _host, desk = _running(node)
    require_vehicle(actor, node.node_id)
    desk.end_test(_read_assignment(node, assignment_id).device_id)


def take_streamed(node: Node, actor: Actor, encounter_id: str, device_id: str) -> dict[str, Any]:
    """Keep the value that a device streams just now. Raises Conflict if it is not of this encounter's person."""
    require_role(actor, Role.VEHICLE_DOCTOR)
    _host, desk = _running(node)
    reading = desk.fresh(device_id, encounter_id)
    with node.store.read() as session:
        row = _by_device(session, device_id)
    return observations.keep_continuous(node, actor, encounter_id, reading, device_name=row.name if row else device_id)


def put_on(node: Node, actor: Actor, encounter_id: str, device_id: str) -> None:
    """A person says that a device that streams is on the person of this encounter now. Audited.

    Needed where it cannot be seen: a device that does not notice being taken off. Raises Conflict if the devices do
    not measure for this encounter.
    """
    require_role(actor, Role.VEHICLE_DOCTOR)
    _host, desk = _running(node)
    with node.transaction(actor) as work:
        encounter = encounters.current_encounter(work.session, encounter_id)
        require_vehicle(actor, encounter.vehicle_id)
        row = _by_device(work.session, device_id)
        if row is None:
            raise NotFound(N_("This device no longer belongs to the vehicle."))
        desk.put_on(device_id, encounter_id)
        work.audit("update", "device", row.id, patient_id=encounter.patient_id, detail=f"put on: {row.name}")


def _running(node: Node) -> tuple[DeviceHost, DeviceDesk]:
    if node.devices is None or node.desk is None:
        raise Unavailable(N_("No devices are read on this machine."))
    return node.devices, node.desk


def _refuse_if_measuring(host: DeviceHost, row: DeviceAssignment) -> None:
    if host.device(row.device_id).status.state is DeviceState.MEASURING:
        raise Conflict(N_("%(name)s is measuring now. Wait until it is done, or cancel it."), name=row.name)


def _read_assignment(node: Node, assignment_id: str) -> DeviceAssignment:
    with node.store.read() as session:
        return _assignment(session, assignment_id)


def _assignment(session: Session, assignment_id: str) -> DeviceAssignment:
    row = session.get(DeviceAssignment, assignment_id)
    if row is None:
        raise NotFound(N_("This device no longer belongs to the vehicle."))
    return row


def _by_device(session: Session, device_id: str) -> DeviceAssignment | None:
    return session.exec(select(DeviceAssignment).where(DeviceAssignment.device_id == device_id)).first()


def _clean_name(name: str) -> str:
    clean = " ".join(name.split())
    if not clean or len(clean) > 80:
        raise InvalidInput(N_("A device's name has 1 to 80 characters."), field="name")
    return clean


def _as_hosted(row: DeviceAssignment) -> plugin_host.DeviceAssignment:
    info = DeviceInfo.model_validate({**row.info, "device_id": row.device_id, "name": row.name})
    return plugin_host.DeviceAssignment(info, row.plugin, row.reader, row.memory)


def _card(node: Node, row: DeviceAssignment) -> DeviceCard:
    try:
        if node.devices is None:
            raise NotFound(N_("This device no longer belongs to the vehicle."))
        view = node.devices.device(row.device_id)
        status, commands, last = status_words(view.status), view.commands, view.last_reading_at
    except NotFound:
        status = {
            "state": "off",
            "state_name": N_("off"),
            "battery": None,
            "battery_low": False,
            "progress": None,
            "sentence": None,
        }
        commands, last = (), None
    return DeviceCard(
        assignment_id=row.id,
        device_id=row.device_id,
        name=row.name,
        plugin=row.plugin,
        model=" ".join(str(row.info.get(part, "")) for part in ("manufacturer", "model")).strip(),
        kinds=_labels(row.info.get("kinds", ())),
        status=status,
        commands=tuple(str(command) for command in commands),
        last_reading_at=last,
        test_seconds=node.desk.test_seconds(row.device_id) if node.desk else 0,
    )


def _labels(kinds: Any) -> tuple[str, ...]:
    return tuple(measurement.KINDS[kind].label for kind in kinds if kind in measurement.KINDS)
