"""The hub's end of the vehicles' uplinks: checks keys, takes records, relays calls, passes live events on.

One connection a vehicle; a second one with the same key replaces the first (the vehicle has come back before its
old socket was noticed to be dead).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import structlog
from flask import request
from flask_socketio import ConnectionRefusedError, Namespace, disconnect
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from teleconsult.domain.errors import N_, InvalidInput, NotAllowed, NotFound, TeleconsultError
from teleconsult.services import vehicle_plugins, vehicles
from teleconsult.services.node import Node
from teleconsult.sync import feed, inbox
from teleconsult.sync.uplink import EPHEMERAL, PIECE, error_to_wire

log = structlog.get_logger(__name__)

MAX_ENTRIES = 200
Octets = bytes  # a field of that name hides the type


class Hello(BaseModel):
    """What a vehicle says when it connects."""

    vehicle_id: str = Field(max_length=36)
    key: str = Field(max_length=200)
    version: str = Field(default="", max_length=40)


class Entry(BaseModel):
    """One outbox entry."""

    model_config = ConfigDict(extra="forbid")
    seq: int
    kind: str = Field(max_length=40)
    record_id: str = Field(max_length=80)
    payload: dict[str, Any]


class Push(BaseModel):
    """A batch of entries in their order."""

    entries: list[Entry] = Field(max_length=MAX_ENTRIES)


class Pull(BaseModel):
    """A question for what came after a sequence number."""

    after: int = Field(ge=0)
    limit: int = Field(default=200, ge=1, le=500)


class Blob(BaseModel):
    """A piece of an image; `offset` -1 asks how much the hub has."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    offset: int = Field(ge=-1)
    total: int = Field(gt=0)
    bytes: Octets = Field(max_length=PIECE)


class Fetch(BaseModel):
    """A question for a piece of an image."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    offset: int = Field(ge=0)
    limit: int = Field(default=PIECE, ge=1, le=PIECE)


class Relayed(BaseModel):
    """A browser's call message."""

    channel: str = Field(max_length=64)
    user_id: str = Field(max_length=36)
    event: str = Field(pattern=r"^call:[a-z]+$", max_length=40)
    data: dict[str, Any]


class Live(BaseModel):
    """Something that happens now and is not kept."""

    topic: str = Field(pattern=r"^consult:[0-9a-f-]{36}$")
    event: str
    data: dict[str, Any]


class UplinkNamespace(Namespace):  # type: ignore[misc]
    """Socket.IO namespace `/uplink`; docs/live.md lists its messages."""

    def __init__(self, node: Node) -> None:
        super().__init__("/uplink")
        self._node = node
        self._lock = threading.Lock()
        self._vehicle_of: dict[str, str] = {}  # sid → vehicle id
        self._sid_of: dict[str, str] = {}  # vehicle id → sid
        self._channel_at: dict[str, str] = {}  # browser channel → vehicle id
        self._key_of: dict[str, str] = {}  # sid → the key it was let in with
        node.bus.listen(self._hear)

    # -- connection -----------------------------------------------------------------------------------------------

    def on_connect(self, auth: object = None) -> None:
        """Let a vehicle in whose key fits."""
        try:
            hello = Hello.model_validate(auth)
            vehicles.check_key(self._node, hello.vehicle_id, hello.key)
        except (ValidationError, TeleconsultError) as error:
            log.warning("an uplink was refused", address=request.remote_addr)
            raise ConnectionRefusedError("the vehicle key is not valid") from error
        sid = request.sid  # type: ignore[attr-defined]
        with self._lock:
            old = self._sid_of.get(hello.vehicle_id)
            self._vehicle_of[sid] = hello.vehicle_id
            self._sid_of[hello.vehicle_id] = sid
            self._key_of[sid] = hello.key
        if old:
            disconnect(old, namespace="/uplink")
        log.info("a vehicle is on line", vehicle=hello.vehicle_id, version=hello.version)
        vehicles.set_online(self._node, hello.vehicle_id, True)

    def on_disconnect(self, *_reason: object) -> None:
        """Forget the connection, and tell the calls of that vehicle's browsers."""
        sid = request.sid  # type: ignore[attr-defined]
        with self._lock:
            vehicle_id = self._vehicle_of.pop(sid, None)
            self._key_of.pop(sid, None)
            if vehicle_id is None or self._sid_of.get(vehicle_id) != sid:
                return
            del self._sid_of[vehicle_id]
            channels = [c for c, v in self._channel_at.items() if v == vehicle_id]
            for channel in channels:
                del self._channel_at[channel]
        log.info("a vehicle is off line", vehicle=vehicle_id)
        vehicles.set_online(self._node, vehicle_id, False)
        if self._node.calls is not None:
            for channel in channels:
                self._node.calls.channel_gone(channel)

    # -- messages -------------------------------------------------------------------------------------------------

    def on_beat(self, _data: object = None) -> dict[str, Any]:
        """Answer a heartbeat with the hub's time, as long as the vehicle's key is good."""
        vehicle_id = self._vehicle()
        try:
            vehicles.check_key(self._node, vehicle_id, self._key_of.get(request.sid, ""))  # type: ignore[attr-defined]
        except NotAllowed as error:
            self._cut(vehicle_id)
            return error_to_wire(error)
        vehicles.seen(self._node, vehicle_id)
        return {"ok": True, "now": self._node.clock().isoformat()}

    def on_push(self, data: object) -> dict[str, Any]:
        """Take a batch of records."""

        def take() -> dict[str, Any]:
            batch = Push.model_validate(data)
            entries = [entry.model_dump() for entry in batch.entries]
            return {"results": inbox.receive(self._node, self._vehicle(), entries)}

        return _answer(take)

    def on_pull(self, data: object) -> dict[str, Any]:
        """Give what the hub has for this vehicle."""

        def give() -> dict[str, Any]:
            asked = Pull.model_validate(data)
            return {"entries": feed.read(self._node, self._vehicle(), asked.after, asked.limit)}

        return _answer(give)

    def on_blob(self, data: object) -> dict[str, Any]:
        """Take a piece of an image."""

        def take() -> dict[str, Any]:
            blob = Blob.model_validate(data)
            if blob.offset < 0:
                return {"have": self._node.files.received(blob.sha256)}
            have = inbox.receive_blob(self._node, blob.sha256, blob.offset, blob.total, blob.bytes)
            return {"have": have}

        return _answer(take)

    def on_fetch(self, data: object) -> dict[str, Any]:
        """Give a piece of an image that belongs to one of the vehicle's consults."""

        def give() -> dict[str, Any]:
            asked = Fetch.model_validate(data)
            vehicles.check_image(self._node, self._vehicle(), asked.sha256)
            if not self._node.files.has(asked.sha256):
                return {"total": 0, "bytes": b""}
            piece = self._node.files.read(asked.sha256, asked.offset, asked.limit)
            return {"total": self._node.files.size(asked.sha256), "bytes": piece}

        return _answer(give)

    def on_relay(self, data: object) -> dict[str, Any]:
        """Do a browser's call message on behalf of a doctor of this vehicle."""

        def do() -> dict[str, Any]:
            relayed = Relayed.model_validate(data)
            vehicle_id = self._vehicle()
            if relayed.event == "call:gone":
                self._forget(relayed.channel, vehicle_id)
            actor = vehicles.doctor_of(self._node, vehicle_id, relayed.user_id)
            if self._node.calls is None:
                raise NotFound(N_("This node holds no calls."))
            if relayed.event != "call:gone":
                with self._lock:
                    self._channel_at[relayed.channel] = vehicle_id
            return self._node.calls.handle(actor, relayed.channel, relayed.event, relayed.data)

        return _answer(do)

    def on_live(self, data: object) -> None:
        """Pass on what happens on the vehicle now, for a consult of this vehicle."""
        try:
            live = Live.model_validate(data)
            if live.event not in EPHEMERAL:
                raise InvalidInput(N_("This kind of record is not taken here."))
            if vehicles.of_consult(self._node, live.topic.partition(":")[2]) != self._vehicle():
                raise NotAllowed(N_("This consult belongs to another clinic vehicle."))
        except (ValidationError, TeleconsultError) as error:
            log.warning("a live event was refused", reason=type(error).__name__)
            return
        self._node.bus.publish(live.topic, live.event, live.data)

    def on_plugins(self, data: object) -> None:
        """Remember how the vehicle's plugins stand."""
        try:
            vehicle_plugins.remember(self._node, self._vehicle(), vehicle_plugins.Told.model_validate(data))
        except (ValidationError, TeleconsultError) as error:
            log.warning("what a vehicle told of its plugins was refused", reason=type(error).__name__)

    # -- the other way --------------------------------------------------------------------------------------------

    def _cut(self, vehicle_id: str) -> None:
        """End the link of a vehicle whose key is no longer good."""
        sid = self._sid_of.get(vehicle_id)
        if sid is not None:
            log.warning("a vehicle's link is cut: its key is no longer good", vehicle=vehicle_id)
            self.socketio.server.disconnect(sid, namespace="/uplink")

    def _hear(self, topic: str, event: str, data: dict[str, Any]) -> None:
        if event == "vehicle:refused":
            self._cut(data["vehicle_id"])
            return
        if event == "outbox:changed":
            for sid in list(self._vehicle_of):
                self.emit("poke", {}, room=sid)
            return
        destination = self._destination(topic, event)
        if destination is not None:
            self.emit("deliver", {"topic": topic, "event": event, "data": data}, room=destination)

    def _destination(self, topic: str, event: str) -> str | None:
        """The vehicle that has somebody who watches the topic. Records come by the feed and are not delivered."""
        if not event.startswith("call:"):
            return None
        name, _, identity = topic.partition(":")
        vehicle_id: str | None
        if name == "channel":
            vehicle_id = self._channel_at.get(identity)
        elif name == "consult":
            vehicle_id = vehicles.of_consult(self._node, identity)
        elif name == "user":
            vehicle_id = vehicles.of_user(self._node, identity)
        else:
            return None
        return self._sid_of.get(vehicle_id) if vehicle_id else None

    def _forget(self, channel: str, vehicle_id: str) -> None:
        """A page of this vehicle has closed: nothing is delivered to it any more."""
        with self._lock:
            if self._channel_at.get(channel) == vehicle_id:
                del self._channel_at[channel]

    def _vehicle(self) -> str:
        vehicle_id = self._vehicle_of.get(request.sid)  # type: ignore[attr-defined]
        if vehicle_id is None:
            raise NotAllowed(N_("This connection has been replaced by a newer one."))
        return vehicle_id


def _answer(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return {"ok": True, **work()}
    except ValidationError:
        return error_to_wire(InvalidInput(N_("The message does not have the form it should have.")))
    except TeleconsultError as error:
        return error_to_wire(error)
    except Exception:
        log.exception("an uplink message failed")
        return error_to_wire(
            TeleconsultError(N_("Something went wrong at the hub. Nothing is lost: it is tried again."))
        )
