"""Starts the demonstration: databases, invented people, a hub, one vehicle node; stops all of it on Ctrl-C.

A second start keeps the data. Everything lies under one folder, which can be deleted to begin anew.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from teleconsult.demo import seed, virtual_cuff
from teleconsult.domain.errors import N_, Unavailable
from teleconsult.plugin_host.virtual_devices import VirtualRadio
from teleconsult.services import vehicles
from teleconsult.services.node import Node
from teleconsult.settings import NodeKind, Settings
from teleconsult.store import Store, migrate
from teleconsult.store.tables import Vehicle
from teleconsult.tls import Authority

START_SECONDS = 60
VEHICLE_CODE = "JN-01"


@dataclass(frozen=True)
class Addresses:
    """Where the two nodes answer."""

    hub: str
    vehicle: str


class Demo:
    """The two nodes of the demonstration as processes of their own."""

    def __init__(self, folder: Path, *, hub_port: int, vehicle_port: int) -> None:
        self._folder = folder
        self._hub_port = hub_port
        self._vehicle_port = vehicle_port
        self._nodes: list[subprocess.Popen[str]] = []
        self.radio: VirtualRadio | None = None
        """The virtual Bluetooth cuff, once it is started."""

    def prepare(self) -> str:
        """Make or update both databases and fill them if they are new. Gives the vehicle's key."""
        hub = _node(Settings(kind=NodeKind.HUB, data_dir=self._folder / "hub", allow_demo_data=True), "hub")
        seed.seed_hub(hub)
        key = self._key(hub)
        vehicle_settings = Settings(
            kind=NodeKind.VEHICLE, data_dir=self._folder / "vehicle", allow_demo_data=True, vehicle_key=key
        )
        vehicle = _node(vehicle_settings, vehicle_settings.node_id)
        seed.seed_vehicle(vehicle, VEHICLE_CODE)
        hub.store.close()
        vehicle.store.close()
        return key

    def start(self, key: str) -> Addresses:
        """Start the Bluetooth cuff and both nodes, and wait until they answer. Raises Unavailable when a node ends."""
        self.start_radio(key)
        hub = self.start_hub()
        return Addresses(hub, self.start_vehicle(hub, key))

    def start_radio(self, key: str) -> None:
        """Put the virtual Bluetooth cuff on the air for the vehicle with this key, if one can be had."""
        settings = Settings(kind=NodeKind.VEHICLE, data_dir=self._folder / "vehicle", vehicle_key=key)
        vehicle = _node(settings, settings.node_id)
        self.radio = virtual_cuff.start(vehicle)
        vehicle.store.close()

    def start_hub(self) -> str:
        """Start the hub; gives its address."""
        return self._launch("hub", self._hub_port, {})

    def start_vehicle(self, hub: str, key: str) -> str:
        """Start the vehicle node with the hub at this address; gives the vehicle node's own.

        The vehicle trusts the hub's own authority if one was made in its folder.
        """
        environment = {"TELECONSULT_HUB_URL": hub, "TELECONSULT_VEHICLE_KEY": key}
        authority = Authority(self._folder / "hub")
        if authority.exists():
            environment["TELECONSULT_HUB_CA"] = str(authority.file)
        return self._launch("vehicle", self._vehicle_port, environment)

    def wait(self) -> None:
        """Until one of the nodes ends or Ctrl-C."""
        ended = threading.Event()

        def watch(process: subprocess.Popen[str]) -> None:
            process.wait()
            ended.set()

        for process in self._nodes:
            threading.Thread(target=watch, args=(process,), daemon=True).start()
        ended.wait()

    def stop(self) -> None:
        """Stop both nodes cleanly, the vehicle first, then the cuff."""
        for process in reversed(self._nodes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in reversed(self._nodes):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._nodes.clear()
        if self.radio:
            self.radio.stop()

    def _launch(self, kind: str, port: int, environment: dict[str, str]) -> str:
        command = [sys.executable, "-m", "teleconsult", kind, "--port", str(port)]
        process = subprocess.Popen(  # noqa: S603 - our own program
            command,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                **environment,
                "TELECONSULT_ALLOW_DEMO_DATA": "true",
                "TELECONSULT_DATA_DIR": str(self._folder / kind),
            },
            start_new_session=True,  # Ctrl-C reaches this process alone, which then stops the nodes in order
        )
        self._nodes.append(process)
        timer = threading.Timer(START_SECONDS, process.kill)
        timer.start()
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        timer.cancel()
        if not address:
            raise Unavailable(N_("The %(kind)s did not start; the reason stands above."), kind=kind)
        return address

    def _key(self, hub: Node) -> str:
        """The demo vehicle's key, kept beside its data so that a second start has it."""
        path = self._folder / "vehicle" / "vehicle_key"
        if path.is_file():
            return path.read_text().strip()
        with hub.store.write() as tx:
            vehicle = tx.session.get(Vehicle, seed.vehicle_id(VEHICLE_CODE))
            assert vehicle is not None
            key, vehicle.key_hash = vehicles.make_key(vehicle.id)
            vehicle.key_made_at = hub.clock()
            tx.session.add(vehicle)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(key)
        return key


def _node(settings: Settings, node_id: str) -> Node:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    store = Store(settings.url)
    migrate.upgrade(store)
    return Node(settings, store, node_id)


def run(folder: Path, *, hub_port: int, vehicle_port: int) -> None:
    """The whole demonstration, until Ctrl-C."""
    demo = Demo(folder, hub_port=hub_port, vehicle_port=vehicle_port)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        sys.stdout.write("准备示范数据… Preparing the invented county…\n")
        sys.stdout.flush()
        addresses = demo.start(demo.prepare())
        sys.stdout.write(_greeting(addresses, folder, demo.radio))
        sys.stdout.flush()
        if demo.radio:
            virtual_cuff.take_letters(demo.radio)
        demo.wait()
    except KeyboardInterrupt:
        sys.stdout.write("\n正在停止… Stopping…\n")
    finally:
        demo.stop()


def _greeting(addresses: Addresses, folder: Path, radio: VirtualRadio | None) -> str:
    lines = [
        "",
        f"  枢纽端 hub       {addresses.hub}",
        f"  车载端 vehicle   {addresses.vehicle}",
        "",
        "  登录名 login            密码 password       在哪里 where",
    ]
    for login in seed.LOGINS:
        where = "车载端 vehicle" if login.at_vehicle else "枢纽端 hub"
        lines.append(f"  {login.username:<22}  {seed.PASSWORD:<18}  {where}  {login.title}")
    if radio:
        lines += [
            "",
            f"  蓝牙血压计 Bluetooth cuff: {virtual_cuff.MEASURE} + Enter 测量 measures, "
            f"{virtual_cuff.DROP} + Enter 测量中断开 loses its link",
        ]
    lines += ["", f"  数据 data: {folder}   Ctrl-C 停止 stops", "", ""]
    return "\n".join(lines)
