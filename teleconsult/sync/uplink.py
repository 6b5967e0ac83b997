"""The vehicle's one connection to the hub: keeps it, pushes, pulls, relays calls, and knows when it is lost.

Runs on threads of its own (greenlets under gevent). Loss is noticed by a heartbeat of the program itself
within a few seconds, not by a socket's time-out.
"""

from __future__ import annotations

import ssl
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import socketio
import structlog

from teleconsult import __version__
from teleconsult.domain.errors import N_, TeleconsultError, Unavailable
from teleconsult.domain.roles import Actor
from teleconsult.services import vehicle_plugins
from teleconsult.services.node import Node
from teleconsult.store.files import FileStore
from teleconsult.sync import arrivals, feed, outbox

log = structlog.get_logger(__name__)

NAMESPACE = "/uplink"
PIECE = 64 * 1024
"""Bytes of an image in one message."""

BEAT_SECONDS = 2.0
BEAT_TIMEOUT = 4.0
CALL_TIMEOUT = 15.0
REFUSALS = {
    "authority": "the hub's certificate is not from an authority that this vehicle trusts; set TELECONSULT_HUB_CA",
    "authority_file": "TELECONSULT_HUB_CA cannot be used",
}
"""What the log says of a refusal that a person has to mend on this machine."""

EPHEMERAL = frozenset({"waveform", "streaming", "device"})
"""Events that go to the hub as they happen and are not records."""


class Uplink:
    """A vehicle's link to its hub. `start()` returns at once; the link comes and goes by itself."""

    def __init__(self, node: Node, hub_url: str, key: str, authority: Path | None = None) -> None:
        """`authority` is the only one (PEM) that may vouch for the hub; without it the system's are asked."""
        self._authority = authority
        self._node = node
        self._url = hub_url
        self._key = key
        self._files: FileStore = node.files
        self._stopping = threading.Event()
        self._work = threading.Event()
        self._online = False
        self._since: datetime = node.clock()
        self._last_success: datetime | None = None
        self._refusal: str | None = None
        self._missing: list[str] = []
        self._threads: list[threading.Thread] = []
        self._client = socketio.Client(reconnection=False)

    # -- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect, and to carry records whenever there is a link."""
        self._node.relay = self.relay
        self._node.uplink = self.status
        self._node.bus.listen(self._hear)
        for name, target in (("uplink-link", self._keep_link), ("uplink-records", self._keep_records)):
            thread = threading.Thread(target=target, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Close the link. What waits stays in the outbox."""
        self._stopping.set()
        self._work.set()
        self._drop_connection()
        for thread in self._threads:
            thread.join(3)

    def status(self) -> dict[str, Any]:
        """What the status strip shows: on line or not, since when, and what waits to be sent since when."""
        left = outbox.waiting(self._node)
        return {
            "online": self._online,
            "since": self._since.isoformat(),
            "waiting": left.count,
            "waiting_since": left.since.isoformat() if left.since else None,
            "last_success": self._last_success.isoformat() if self._last_success else None,
            "refusal": self._refusal,
        }

    # -- the link -------------------------------------------------------------------------------------------------

    def _new_client(self) -> socketio.Client:
        options = {"sslopt": {"context": hub_context(self._authority)}} if self._authority else {}
        client = socketio.Client(reconnection=False, logger=False, request_timeout=5, websocket_extra_options=options)
        client.on("deliver", self._on_deliver, namespace=NAMESPACE)
        client.on("poke", self._on_poke, namespace=NAMESPACE)
        client.on("disconnect", self._on_disconnect, namespace=NAMESPACE)
        return client

    def _keep_link(self) -> None:
        pause = 0.5
        while not self._stopping.is_set():
            if self._connect():
                pause = 0.5
                self._beat_until_lost()
            self._set_online(False)
            self._drop_connection()
            self._stopping.wait(pause)
            pause = min(pause * 1.6, 8.0)

    def _connect(self) -> bool:
        try:
            self._client = self._new_client()
        except TeleconsultError as error:
            self._refuse("authority_file", str(error))
            return False
        auth = {"vehicle_id": self._node.node_id, "key": self._key, "version": __version__}
        try:
            self._client.connect(self._url, auth=auth, namespaces=[NAMESPACE], transports=["websocket"], wait_timeout=5)
        except socketio.exceptions.ConnectionError as error:
            if distrust := _distrust(error):
                self._refuse("authority", distrust)
                return False
            self._refusal = "key" if "key" in str(error) else None
            log.info("the hub cannot be reached", hub=self._url, reason=str(error))
            return False
        except Exception as error:  # a library underneath may raise anything; the link is just not there
            log.info("the hub cannot be reached", hub=self._url, reason=repr(error))
            return False
        self._refusal = None
        return True

    def _refuse(self, refusal: str, reason: str) -> None:
        """Remember what a person has to mend before there can be a link; said in the log once, not at each try."""
        if refusal != self._refusal:
            log.warning(REFUSALS[refusal], hub=self._url, reason=reason)
        self._refusal = refusal

    def _beat_until_lost(self) -> None:
        told: vehicle_plugins.Told | None = None
        while not self._stopping.is_set():
            try:
                self._client.call("beat", {}, namespace=NAMESPACE, timeout=BEAT_TIMEOUT)
            except Exception as error:  # time-out, closed socket, refused message: all mean that the link is gone
                log.info("the link to the hub is lost", reason=repr(error))
                return
            self._set_online(True)
            told = self._tell_plugins(told)
            self._stopping.wait(BEAT_SECONDS)
            if not self._client.connected:
                return

    def _tell_plugins(self, before: vehicle_plugins.Told | None) -> vehicle_plugins.Told | None:
        """Tell the hub how the plugins stand, if it was not told so on this connection. Not waited for."""
        told = vehicle_plugins.here(self._node)
        if told == before:
            return before
        try:
            self._client.emit("plugins", told.model_dump(mode="json"), namespace=NAMESPACE)
        except Exception as error:  # the next beat notices if the link is gone
            log.debug("the hub was not told of the plugins", reason=repr(error))
            return before
        return told

    def _drop_connection(self) -> None:
        client = self._client
        try:
            client.eio.disconnect(abort=True)
        except Exception as error:
            log.debug("closing the old link failed", reason=repr(error))

    def _on_disconnect(self, *_reason: object) -> None:
        self._set_online(False)

    def _set_online(self, online: bool) -> None:
        if online == self._online:
            return
        self._online = online
        self._since = self._node.clock()
        if online:
            self._work.set()
        else:
            self._node.bus.publish("node", "call:link", {"online": False})
        self._announce()

    def _announce(self) -> None:
        self._node.bus.publish("node", "uplink", self.status())

    # -- records --------------------------------------------------------------------------------------------------

    def _keep_records(self) -> None:
        while not self._stopping.is_set():
            self._work.wait(30)
            self._work.clear()
            if not self._online:
                continue
            try:
                self._exchange()
            except TeleconsultError as error:
                log.warning("records could not be exchanged", reason=str(error))
                self._later()
            except Exception as error:  # the link broke in the middle: everything unacknowledged goes again
                log.info("the exchange of records was cut off", reason=repr(error))
                self._later()

    def _later(self) -> None:
        self._stopping.wait(1.0)
        self._work.set()

    def _exchange(self) -> None:
        moved = self._push()
        moved = self._pull() or moved
        moved = self._push_blobs() or moved
        self._fetch_blobs()
        self._last_success = self._node.clock()
        if moved:
            self._announce()

    def _push(self) -> bool:
        moved = False
        while batch := outbox.next_batch(self._node):
            answer = self._call("push", {"entries": [outbox.wire(entry) for entry in batch]})
            results = {r["seq"]: (r["result"], r["sentence"]) for r in answer["results"]}
            outbox.acknowledge(self._node, results)
            if not results:
                raise Unavailable(N_("The hub did not answer."))
            moved = True
        return moved

    def _pull(self) -> bool:
        moved = False
        while True:
            after = feed.cursor(self._node)
            entries = self._call("pull", {"after": after, "limit": 200})["entries"]
            if not entries:
                return moved
            self._missing += feed.apply(self._node, entries)
            moved = True

    def _push_blobs(self) -> bool:
        """Images one by one; stops as soon as a record waits, which then goes first."""
        moved = False
        for entry in outbox.next_blobs(self._node):
            sha256, seq = entry.record_id, entry.seq or 0
            if not self._files.has(sha256):
                outbox.acknowledge(self._node, {seq: ("invalid", "The image is missing on this machine.")})
                continue
            total = self._files.size(sha256)
            have = self._call("blob", {"sha256": sha256, "offset": -1, "total": total, "bytes": b""})["have"]
            while have < total:
                piece = self._files.read(sha256, have, PIECE)
                have = self._call("blob", {"sha256": sha256, "offset": have, "total": total, "bytes": piece})["have"]
                if outbox.next_batch(self._node, 1):
                    self._work.set()
                    self._push()
            outbox.acknowledge(self._node, {seq: ("new", "")})
            moved = True
        return moved

    def _fetch_blobs(self) -> None:
        while self._missing:
            sha256 = self._missing[0]
            total = 1
            while not self._files.has(sha256) and total:
                have = self._files.received(sha256)
                answer = self._call("fetch", {"sha256": sha256, "offset": have, "limit": PIECE})
                total = answer["total"]
                if total:
                    self._files.receive(sha256, have, total, answer["bytes"])
            self._missing.pop(0)
            arrivals.announce_blob(self._node, sha256)

    def _call(self, event: str, data: dict[str, Any], timeout: float = CALL_TIMEOUT) -> dict[str, Any]:
        answer = self._client.call(event, data, namespace=NAMESPACE, timeout=timeout)
        if not isinstance(answer, dict):
            raise Unavailable(N_("The hub did not answer."))
        if not answer.get("ok"):
            raise error_from_wire(answer)
        return answer

    # -- live -----------------------------------------------------------------------------------------------------

    def relay(self, channel: str, actor: Actor, event: str, data: dict[str, Any]) -> dict[str, Any]:
        """Hand a browser's call message to the hub and give the hub's answer. Raises Unavailable off line."""
        if not self._online:
            raise Unavailable(N_("The link to the county hospital is lost. The call goes on when it is back."))
        message = {"channel": channel, "user_id": actor.user_id, "event": event, "data": data}
        try:
            return self._call("relay", message, timeout=8)
        except TeleconsultError:
            raise
        except Exception as error:  # time-out or broken link
            raise Unavailable(
                N_("The link to the county hospital is lost. The call goes on when it is back.")
            ) from error

    def _hear(self, topic: str, event: str, data: dict[str, Any]) -> None:
        if event == "outbox:changed":
            self._work.set()
        elif event in EPHEMERAL and topic.startswith("consult:") and self._online:
            try:
                self._client.emit("live", {"topic": topic, "event": event, "data": data}, namespace=NAMESPACE)
            except socketio.exceptions.SocketIOError as error:
                log.debug("a live event was dropped", happening=event, reason=repr(error))

    def _on_deliver(self, message: dict[str, Any]) -> None:
        self._node.bus.publish(str(message["topic"]), str(message["event"]), dict(message["data"]))

    def _on_poke(self, *_data: object) -> None:
        self._work.set()


def hub_context(authority: Path) -> ssl.SSLContext:
    """What verifies a hub whose certificate comes from this authority (a PEM file) and no other.

    Raises Unavailable when the file cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=str(authority))
    except OSError as error:
        raise Unavailable(
            N_("The file %(path)s with the hub's authority cannot be used: %(reason)s."),
            path=authority,
            reason=error.strerror or error,
        ) from error


def _distrust(error: BaseException | None) -> str | None:
    """Why the hub's certificate was not accepted, if that is what an error of the library goes back to."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return None


def error_to_wire(error: TeleconsultError) -> dict[str, Any]:
    """An error as it goes over the link, to be translated where the person is."""
    return {
        "ok": False,
        "code": error.code,
        "message": error.message,
        "params": {key: str(value) for key, value in error.params.items()},
        "field": getattr(error, "field", None),
    }


def error_from_wire(answer: dict[str, Any]) -> TeleconsultError:
    """The error that the hub answered with."""
    kinds = {cls.code: cls for cls in TeleconsultError.__subclasses__()}
    error = kinds.get(str(answer.get("code")), TeleconsultError)(
        str(answer.get("message", "error")), **dict(answer.get("params") or {})
    )
    if answer.get("field"):
        error.field = str(answer["field"])  # type: ignore[attr-defined]
    return error
