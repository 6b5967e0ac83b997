"""Virtual nodes for plugin authors: a real node with its own database, an invented patient, an open encounter.

The plugin runs in processes of its own, as it does on a real node. Nobody can log in here and nothing is served.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from sqlmodel import select

from teleconsult.domain import measurement
from teleconsult.domain.ids import new_id
from teleconsult.domain.plugin_state import MemoryPluginStateStore, PluginRecord
from teleconsult.domain.roles import Actor, Role
from teleconsult.plugin_api import PageContext
from teleconsult.plugin_api.checking import SimulatedDevice
from teleconsult.plugin_host import (
    DeviceAssignment,
    OfferedPanel,
    PluginConfig,
    PluginHost,
    PluginStatus,
    PluginView,
    find_plugins,
)
from teleconsult.plugin_kit._target import find_target
from teleconsult.services import devices, encounters
from teleconsult.services.node import Node
from teleconsult.settings import NodeKind, Settings
from teleconsult.store import Store, migrate, new_version
from teleconsult.store.tables import Observation, Organization, Patient, User, Vehicle, Village

R = TypeVar("R")
WAIT = 15.0


@dataclass(frozen=True)
class KeptReading:
    """A reading as it was stored. `values` maps a component's key to its number, in the kind's own unit."""

    reading_id: str
    kind: str
    values: Mapping[str, Decimal]
    patient_id: str | None
    """None if it waits in the tray for a person to place it."""
    encounter_id: str | None
    status: str
    device_id: str | None
    taken_at: datetime


class VirtualNode:
    """A node that exists for one test. Use it in a `with` block, or get it from a fixture."""

    kind = NodeKind.HUB

    def __init__(self, plugin: str, *, settings: Mapping[str, Any] | None = None, project: Path | None = None) -> None:
        self.plugin_name = plugin
        self.patient_id, self.encounter_id = new_id(), ""
        self._settings = dict(settings or {})
        self._project = project
        self._stack = contextlib.ExitStack()
        self.node: Node
        self.plugins: PluginHost

    def __enter__(self) -> VirtualNode:
        with self._stack as stack:
            self._open(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def plugin(self) -> PluginView:
        """How the plugin stands, with its faults."""
        return self.plugins.plugin(self.plugin_name)

    def _open(self, stack: contextlib.ExitStack) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="teleconsult-virtual-")))
        config = Settings(kind=self.kind, data_dir=folder, database_url=f"sqlite:///{folder / 'node.db'}")
        store = Store(config.url)
        stack.callback(store.close)
        migrate.upgrade(store)
        self.node = Node(config, store, "hub" if self.kind is NodeKind.HUB else new_id())
        self.doctor = _invent(self.node, self.patient_id)
        scratch = folder / "plugin"
        scratch.mkdir()
        states = MemoryPluginStateStore()
        states.save(PluginRecord(self.plugin_name, settings=self._settings))
        paths = _paths(self.plugin_name, self._project, scratch)
        host = PluginHost(PluginConfig(only=frozenset({self.plugin_name}), paths=paths), states)
        self.plugins = self.node.plugins = host
        stack.callback(host.stop)
        host.start()
        view = self.plugin
        assert view.status is PluginStatus.ENABLED, f"the plugin is {view.status}: {view.last_error}"


class VirtualHub(VirtualNode):
    """A hub on which a plugin's hooks are called with deadlines, as pages and doctors have them called."""

    def panels(self, context: PageContext) -> list[OfferedPanel]:
        """The panels that the plugin draws on this page."""
        return self.plugins.page_panels(context)


class VirtualVehicle(VirtualNode):
    """A vehicle on which a plugin reads a device, with an encounter open for an invented patient."""

    kind = NodeKind.VEHICLE

    def __init__(
        self,
        plugin: str,
        device: SimulatedDevice,
        *,
        settings: Mapping[str, Any] | None = None,
        project: Path | None = None,
    ) -> None:
        """`device` is switched on here, in a thread of its own; the plugin reaches it as it reaches a real one."""
        super().__init__(plugin, settings=settings, project=project)
        self.device = device
        self._loop: asyncio.AbstractEventLoop

    def __enter__(self) -> VirtualVehicle:
        super().__enter__()
        return self

    def do(self, work: Coroutine[Any, Any, R]) -> R:
        """Have the simulated device do something: `vehicle.do(vehicle.device.measure())`."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT)

    def kept(self, kind: str | None = None, timeout: float = WAIT) -> KeptReading:
        """Wait until a reading (of that kind) is stored. Raises AssertionError if none is in time."""
        due = time.monotonic() + timeout
        while not (found := [r for r in self.readings() if kind in (None, r.kind)]):
            assert time.monotonic() < due, f"no reading was stored within {timeout:g} s; {self._how_it_stands()}"
            time.sleep(0.02)
        return found[-1]

    def readings(self) -> list[KeptReading]:
        """All stored readings, in the order in which they came."""
        with self.node.store.read() as session:
            rows = session.exec(select(Observation).order_by(Observation.received_at)).all()  # type: ignore[arg-type]
        return [_kept(row) for row in rows]

    def close_encounter(self) -> None:
        """From now on a reading has no patient and waits in the tray."""
        encounters.finish_encounter(self.node, self.doctor, self.encounter_id)

    def _open(self, stack: contextlib.ExitStack) -> None:
        self._loop = asyncio.new_event_loop()
        stack.callback(self._loop.close)
        thread = threading.Thread(target=self._loop.run_forever, name="virtual-device", daemon=True)
        thread.start()
        stack.callback(thread.join, WAIT)
        stack.callback(self._loop.call_soon_threadsafe, self._loop.stop)
        stack.callback(lambda: self.do(self.device.switch_off()))
        self.do(self.device.switch_on())
        self._settings = {**self.device.settings, **self._settings}
        super()._open(stack)
        stack.callback(devices.start_devices(self.node))
        self.encounter_id = encounters.start_encounter(self.node, self.doctor, self.patient_id).id
        encounters.measure_for(self.node, self.doctor, self.encounter_id)
        assert self.node.devices is not None
        self.node.devices.start_device(DeviceAssignment(self.device.device, self.plugin_name, self.device.reader))

    def _how_it_stands(self) -> str:
        assert self.node.devices is not None
        status = self.node.devices.device(self.device.device.device_id).status
        return f"the device is {status.state}, its plugin's last error: {self.plugin.last_error or 'none'}"


def _paths(plugin: str, project: Path | None, scratch: Path) -> tuple[str, ...]:
    """Where the plugin is imported from, if it is not installed."""
    if project is None or any(found.name == plugin for found in find_plugins()):
        return ()
    return find_target(str(project), scratch).paths


def _invent(node: Node, patient_id: str) -> Actor:
    """A small county: one hospital, one village, one vehicle, one doctor, one patient."""
    hospital, village, vehicle = new_id(), new_id(), node.node_id if not node.is_hub else new_id()
    doctor = Actor(new_id(), "虚拟医生", Role.VEHICLE_DOCTOR, hospital, vehicle)
    with node.store.write() as tx:
        tx.session.add(Organization(id=hospital, code="V1", name="虚拟医院", level="core"))
        tx.session.flush()
        tx.session.add(Village(id=village, name="虚拟村", township="虚拟镇", organization_id=hospital))
        tx.session.add(Vehicle(id=vehicle, code="V-01", name="虚拟车", organization_id=hospital))
        tx.session.flush()
        tx.session.add(
            User(
                id=doctor.user_id,
                username="virtual",
                name=doctor.name,
                role=doctor.role,
                organization_id=hospital,
                vehicle_id=vehicle,
                password_hash="!",  # noqa: S106 - no password has this hash
            )
        )
        values = {
            "name": "虚拟病人",
            "pinyin": "xunibingren",
            "initials": "xnbr",
            "sex": "female",
            "birth_date": date(1959, 3, 1),
            "village_id": village,
        }
        new_version(tx.session, Patient, values, author=doctor, node_id=node.node_id, record_id=patient_id)
    return doctor


def _kept(row: Observation) -> KeptReading:
    kind = measurement.KINDS[row.kind]
    return KeptReading(
        reading_id=row.reading_id or "",
        kind=row.kind,
        values={kind.component(c["code"]).key: Decimal(str(c["value"])) for c in row.components},
        patient_id=row.patient_id,
        encounter_id=row.encounter_id,
        status=row.status,
        device_id=row.device_id,
        taken_at=row.taken_at.replace(tzinfo=row.taken_at.tzinfo or UTC),
    )


__all__ = ["KeptReading", "VirtualHub", "VirtualNode", "VirtualVehicle"]
