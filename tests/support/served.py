"""A hub and a vehicle node as processes of their own, with the small world in both, on free ports of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from teleconsult.domain.ids import utc_now
from teleconsult.services import measuring
from teleconsult.services.node import Node
from teleconsult.services.vehicles import make_key
from teleconsult.settings import NodeKind, Settings
from teleconsult.store import Store, migrate, new_version
from teleconsult.store.tables import DeviceAssignment, Encounter, Vehicle
from teleconsult.tls import Authority
from tests.support.calls import put_consult
from tests.support.world import World, build_world

RUN = (
    "from gevent import monkey; monkey.patch_all()\n"
    "from teleconsult.serve import run\n"
    "from teleconsult.settings import Settings\n"
    "run(Settings())\n"
)
ENCOUNTER = "00000000-0000-7000-8000-000000000061"


class Served:
    """One node's process. `address` is where its pages are; `log` its last lines."""

    def __init__(self, **settings: object) -> None:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("TELECONSULT_")}
        environment |= {f"TELECONSULT_{key.upper()}": str(value) for key, value in settings.items()}
        self.log: deque[str] = deque(maxlen=400)
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read_log, daemon=True).start()
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        if not self.address.startswith("http"):
            self.process.wait(10)
            raise AssertionError("\n".join(self.log))

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.rstrip())

    def stop(self) -> None:
        """End it the way an operator does."""
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)


class TwoNodes:
    """A hub and a vehicle with an accepted consult that both know. `fill` may add to each node before it starts.

    `plugins` are those that the vehicle loads. With `https` each node has an authority of its own and is also called
    by the names in `NAMES`; `hub_address` and `vehicle_address` are what browsers open.
    """

    NAMES: ClassVar = {"hub.local": "127.0.0.1", "vehicle.local": "127.0.0.1"}

    def __init__(
        self,
        folder: Path,
        fill: Callable[[Node], None] = lambda node: None,
        plugins: str = "vitals-simulator",
        *,
        https: bool = False,
    ) -> None:
        key, key_hash = make_key(World.vehicle_id)
        shared: dict[str, Any] = {"port": 0, "allow_demo_data": True, "log_level": "info"}
        self.hub_settings = {**shared, "kind": "hub", "data_dir": folder / "hub", "load_plugins": ""}
        self.vehicle_settings = {
            **shared,
            "kind": "vehicle",
            "data_dir": folder / "vehicle",
            "vehicle_key": key,
            "load_plugins": plugins,
        }
        self.consult_id = ""
        for settings, node_id in ((self.hub_settings, "hub"), (self.vehicle_settings, World.vehicle_id)):
            self._prepare(settings, node_id, key_hash, fill)
        self.authorities: list[Path] = []
        for kind in ("hub", "vehicle") if https else ():
            authority = Authority(folder / kind)
            authority.make([f"{kind}.local"])
            self.authorities.append(authority.file)
        if https:
            self.vehicle_settings["hub_ca"] = self.authorities[0]
        self.hub = Served(**self.hub_settings)
        try:
            self.vehicle = Served(**self.vehicle_settings, hub_url=self.hub.address)
        except BaseException:
            self.hub.stop()
            raise
        self.hub_address = self.hub.address.replace("https://127.0.0.1", "https://hub.local")
        self.vehicle_address = self.vehicle.address.replace("https://127.0.0.1", "https://vehicle.local")

    def _prepare(self, settings: dict[str, Any], node_id: str, key_hash: str, fill: Callable[[Node], None]) -> None:
        config = Settings(kind=NodeKind(settings["kind"]), data_dir=settings["data_dir"], allow_demo_data=True)
        config.data_dir.mkdir(parents=True)
        node = Node(config, Store(config.url), node_id)
        migrate.upgrade(node.store)
        build_world(node)
        with node.store.write() as tx:
            vehicle = tx.session.get_one(Vehicle, World.vehicle_id)
            vehicle.key_hash = key_hash
            tx.session.add(vehicle)
            encounter = {
                "patient_id": World.patient_id,
                "vehicle_id": World.vehicle_id,
                "village_id": World.village_id,
                "doctor_id": World.doctor.user_id,
                "doctor_name": World.doctor.name,
                "reason": "胸闷两天",
                "started_at": utc_now(),
            }
            row = new_version(
                tx.session, Encounter, encounter, author=World.doctor, node_id=node_id, record_id=ENCOUNTER
            )
            if node_id != "hub":
                tx.session.add(
                    DeviceAssignment(
                        plugin="vitals-simulator",
                        reader="oximeter",
                        device_id="sim-oximeter-1",
                        name="血氧仪",
                        info={
                            "kinds": ["spo2"],
                            "waveforms": ["plethysmogram"],
                            "model": "oximeter",
                            "serial_number": "1",
                        },
                    )
                )
        if node_id != "hub":
            with node.transaction(World.doctor) as work:
                measuring.choose(work, row)
        values = {"id": self.consult_id} if self.consult_id else {}
        self.consult_id = put_consult(node, encounter_id=ENCOUNTER, **values)
        fill(node)
        node.store.close()

    def stop(self) -> None:
        """End both."""
        self.vehicle.stop()
        self.hub.stop()
