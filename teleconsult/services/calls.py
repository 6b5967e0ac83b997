"""The calls that run at this hub: who is in each, through which peer and on which channel, and what is told to whom.

Browsers talk to `CallDesk.handle`, here or through their vehicle's uplink; the media backend talks to
`on_media_event`. What must outlive the process (steps of the consult, who was in the call when) is written by
`call_access`. No media and no sockets here.

The desk's lock guards its own memory only: neither the store nor the bus is used inside it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import structlog

from teleconsult.domain.consult import State
from teleconsult.domain.errors import N_, Conflict, NotFound, Unavailable
from teleconsult.domain.ids import new_id
from teleconsult.domain.roles import Actor
from teleconsult.media import MediaBackend, MediaEvent, PeerState, RoomLost, SignalOut, SignalRefused
from teleconsult.services import call_access, hub_questions
from teleconsult.services import call_messages as messages
from teleconsult.services.call_check import ROOM_PREFIX, CallChecks
from teleconsult.services.call_room import Call, Stay
from teleconsult.services.node import Node

log = structlog.get_logger(__name__)

GRACE: Final = timedelta(seconds=15)
"""How long somebody without a channel and without media still counts as in the call: a reload takes two seconds,
a change of network ten."""

TICK_SECONDS: Final = 1.0

MAX_PARTICIPANTS: Final = 6


class CallDesk:
    """All calls of a hub. Safe to use from any thread or greenlet.

    Wiring: `MediaWorkers(config, desk.on_media_event)`, `node.media = workers`, `node.calls = desk`, `desk.start()`.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.RLock()
        self._calls: dict[str, Call] = {}
        self._checks = CallChecks(node)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        node.bus.listen(self._hear)

    # -- life ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take over what an earlier life left, and begin to watch the clock."""
        self.recover()
        self._thread = threading.Thread(target=self._run, name="call-desk", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching the clock. Calls stay as they are: the next life takes them over."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(3)

    def recover(self) -> None:
        """Calls that ran before a restart go on if somebody returns in time; nobody is in them yet."""
        running, stays = call_access.unfinished(self._node)
        call_access.write_departure(self._node, stays)
        now = self._node.clock()
        with self._lock:
            for consult_id in running:
                self._calls.setdefault(consult_id, Call(empty_since=now))

    def _run(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            try:
                self.tick()
            except Exception:
                log.exception("the call desk's clock failed")

    def tick(self) -> None:
        """Let go of those who are away for too long, and interrupt calls in which nobody is left."""
        now = self._node.clock()
        self._checks.tick(now)
        left: list[tuple[str, Stay]] = []
        deserted: list[str] = []
        with self._lock:
            for consult_id, call in list(self._calls.items()):
                for stay in list(call.stays.values()):
                    stay.away_since = None if stay.is_here else stay.away_since or now
                    if stay.away_since is not None and now - stay.away_since >= GRACE:
                        del call.stays[stay.user_id]
                        left.append((consult_id, stay))
                if any(stay.is_here for stay in call.stays.values()):
                    call.empty_since = None
                else:
                    call.empty_since = call.empty_since or now
                    if now - call.empty_since >= GRACE:
                        deserted.append(consult_id)
        for consult_id, stay in left:
            self._let_go(consult_id, [stay])
        for consult_id in deserted:
            self.close(consult_id)
            call_access.interrupt(self._node, consult_id)

    # -- from browsers ---------------------------------------------------------------------------------------

    def handle(self, actor: Actor, channel: str, event: str, data: dict[str, Any]) -> dict[str, Any]:
        """Do what a browser's `call:*` message asks, and give the answer without `ok`.

        Raises pydantic's ValidationError for a malformed payload and TeleconsultError for everything else.
        """
        if event in hub_questions.EVENTS:
            return hub_questions.answer(self._node, actor, event, data)
        model = messages.EVENTS.get(event)
        if model is None:
            raise NotFound(N_("The hub does not know this message. Load the page again."))
        message = model.model_validate(data)
        match message:
            case messages.Join():
                return self.join(actor, channel, message)
            case messages.Resume():
                return self.resume(actor, channel, message)
            case messages.Check():
                self._checks.join(channel, message.peer)
                return {"ice_servers": self._ice_servers()}
            case messages.Signal():
                self.signal(actor, channel, message)
            case messages.Leave():
                self.leave(actor, channel, message)
            case messages.End():
                call_access.end(self._node, actor, message.consult_id)
            case messages.Media():
                self._change(actor, channel, message.consult_id, audio=message.audio, video=message.video)
            case messages.Quality():
                self._change(actor, channel, message.consult_id, word=message.word)
            case messages.Gone():
                self.channel_gone(channel, ended=message.ended)
        return {}

    def join(self, actor: Actor, channel: str, message: messages.Join) -> dict[str, Any]:
        """Enter the call through a new peer; an earlier one of the same person goes, and its page is told.

        Raises NotFound, NotAllowed, Conflict (no call to enter), Unavailable (no media worker).
        """
        consult_id = message.consult_id
        media = self._media()
        started_at = call_access.begin(self._node, actor, consult_id)
        stay, is_new, old_channel = self._place(actor, channel, message)
        if is_new:
            stay.organization = self._written(actor, consult_id, stay)
        if old_channel not in (None, channel):
            self._tell(f"channel:{old_channel}", "call:replaced", {"consult_id": consult_id})
        media.join(consult_id, message.peer, stay.id)
        with self._lock:
            call = self._calls.get(consult_id)
            ended = call is None or call.stays.get(actor.user_id) is not stay
        if ended:  # the call was closed while we were entering it
            media.leave(consult_id, message.peer)
            raise Conflict(N_("There is no call to enter: look at where the consult stands now."))
        self._tell_participants(consult_id)
        return {
            "participant": stay.id,
            "ice_servers": self._ice_servers(),
            "participants": self.participants(consult_id),
            "started_at": started_at.isoformat() if started_at else None,
        }

    def _place(self, actor: Actor, channel: str, message: messages.Join) -> tuple[Stay, bool, str | None]:
        with self._lock:
            call = self._calls.setdefault(message.consult_id, Call())
            taken = call.by_peer(message.peer)
            if taken is not None:
                raise Conflict(N_("This connection is in use already. Load the page again."))
            stay = call.stays.get(actor.user_id)
            is_new = stay is None
            if stay is None:
                if len(call.stays) >= MAX_PARTICIPANTS:
                    raise Conflict(N_("The call is full: %(count)s people are in it."), count=MAX_PARTICIPANTS)
                stay = Stay(id=new_id(), user_id=actor.user_id, name=actor.name, role=actor.role)
                call.stays[actor.user_id] = stay
            old_channel, stay.channel = stay.channel, channel
            stay.peer, stay.connected = message.peer, False
            stay.peers.add(message.peer)
            stay.audio, stay.video = message.audio, message.video
            stay.away_since = call.empty_since = None
            return stay, is_new, old_channel

    def _written(self, actor: Actor, consult_id: str, stay: Stay) -> str:
        try:
            return call_access.write_arrival(self._node, actor, consult_id, stay.id)
        except Exception:
            with self._lock:
                call = self._calls.get(consult_id)
                if call is not None and call.stays.get(actor.user_id) is stay:
                    del call.stays[actor.user_id]
            raise

    def resume(self, actor: Actor, channel: str, message: messages.Resume) -> dict[str, Any]:
        """Move the signalling of a living peer to this channel. `resumed` is false where it has to join again."""
        with self._node.store.read() as session:
            consult = call_access.check_entry(session, actor, message.consult_id)
        with self._lock:
            call = self._calls.get(message.consult_id)
            stay = call.stays.get(actor.user_id) if call is not None else None
            resumed = stay is not None and stay.peer == message.peer
            if resumed and stay is not None:
                stay.channel, stay.away_since = channel, None
        return {
            "resumed": resumed,
            "participants": self.participants(message.consult_id),
            "started_at": consult.call_started_at.isoformat() if consult.call_started_at else None,
        }

    def signal(self, actor: Actor, channel: str, message: messages.Signal) -> None:
        """Carry a description or candidate to the media worker. What is wrong with it comes back as `call:refused`."""
        wire = message.message.wire()
        if message.consult_id == messages.CHECK:
            self._checks.signal(channel, message.peer, wire)
            return
        with self._lock:
            self._stay(actor, channel, message.consult_id, message.peer)
        self._media().signal(message.consult_id, message.peer, wire)

    def leave(self, actor: Actor, channel: str, message: messages.Leave) -> None:
        """Leave the call. The consult goes on; it is interrupted when nobody returns."""
        if message.consult_id == messages.CHECK:
            self._checks.leave(channel, message.peer)
            return
        with self._lock:
            call = self._calls.get(message.consult_id)
            stay = call.stays.get(actor.user_id) if call is not None else None
            if call is None or stay is None or stay.channel != channel or stay.peer not in (message.peer, None):
                return  # gone already, or replaced by another window: nothing is left to do
            # No peer: the media worker has noticed the closed connection before this message came.
            del call.stays[actor.user_id]
        self._let_go(message.consult_id, [stay])

    def _change(self, actor: Actor, channel: str, consult_id: str, **values: Any) -> None:
        with self._lock:
            stay = self._stay(actor, channel, consult_id)
            changed = any(getattr(stay, name) != value for name, value in values.items())
            for name, value in values.items():
                setattr(stay, name, value)
        if changed:
            self._tell_participants(consult_id)

    def channel_gone(self, channel: str, *, ended: bool = False) -> None:
        """A page is away. Its people stay in the call for a while; with `ended` (logged out) they leave at once."""
        self._checks.channel_gone(channel)
        left: list[tuple[str, Stay]] = []
        with self._lock:
            for consult_id, call in self._calls.items():
                for stay in list(call.stays.values()):
                    if stay.channel != channel:
                        continue
                    stay.channel = None
                    if ended:
                        del call.stays[stay.user_id]
                        left.append((consult_id, stay))
        for consult_id, stay in left:
            self._let_go(consult_id, [stay])

    # -- from the media backend ------------------------------------------------------------------------------

    def on_media_event(self, event: MediaEvent) -> None:
        """Hear the media backend. Called on its threads."""
        if event.room.startswith(ROOM_PREFIX):
            self._checks.on_media_event(event)
            return
        match event:
            case SignalOut():
                self._to_peer(event.room, event.peer, "call:signal", {"message": event.message})
            case SignalRefused():
                refusal = {"code": event.code, "sentence": event.sentence}
                self._to_peer(event.room, event.peer, "call:refused", refusal)
            case PeerState():
                self._on_peer_state(event)
            case RoomLost():
                self._on_room_lost(event.room)
            case _:
                pass  # quality as the worker sees it is for the graphs, not for the call

    def _to_peer(self, consult_id: str, peer: str, event: str, data: dict[str, Any]) -> None:
        data = {"consult_id": consult_id, "peer": peer, **data}
        with self._lock:
            call = self._calls.get(consult_id)
            stay = call.by_peer(peer) if call is not None else None
            if stay is None:
                return
            channel = stay.channel
        if channel is not None:
            self._tell(f"channel:{channel}", event, data)

    def _on_peer_state(self, event: PeerState) -> None:
        with self._lock:
            call = self._calls.get(event.room)
            ended = event.state in ("failed", "closed")
            if call is not None and ended:
                for one in call.stays.values():
                    one.peers.discard(event.peer)
            stay = call.by_peer(event.peer) if call is not None else None
            if stay is None:
                return  # a replaced peer that closes
            stay.connected = event.state == "connected"
            if ended:
                stay.peer = None
        self._tell_participants(event.room)

    def _on_room_lost(self, consult_id: str) -> None:
        with self._lock:
            call = self._calls.get(consult_id)
            if call is None:
                return
            for stay in call.stays.values():
                stay.peer, stay.connected = None, False
                stay.peers.clear()
        log.warning("a media worker took a call with it; its people join again", consult=consult_id)
        self._tell(f"consult:{consult_id}", "call:reset", {"consult_id": consult_id})
        self._tell_participants(consult_id)

    # -- from the services -----------------------------------------------------------------------------------

    def _hear(self, topic: str, event: str, data: dict[str, Any]) -> None:
        name, _, consult_id = topic.partition(":")
        if name != "consult":
            return
        if event == "consult:changed" and data.get("state") != State.IN_CALL:
            self.close(consult_id, state=str(data.get("state")))
        elif event == "call:uninvited":
            self.remove(consult_id, str(data.get("user_id")))

    def close(self, consult_id: str, *, state: str | None = None) -> None:
        """End the call for everybody in it. `state` is told, where the consult has moved on."""
        with self._lock:
            call = self._calls.pop(consult_id, None)
        if call is None:
            return
        if self._node.media is not None:
            self._node.media.close_room(consult_id)
        call_access.write_departure(self._node, [stay.id for stay in call.stays.values()])
        if state is not None:
            self._tell(f"consult:{consult_id}", "call:ended", {"consult_id": consult_id, "state": state})
        self._tell_participants(consult_id)

    def remove(self, consult_id: str, user_id: str) -> None:
        """Take one person out of the call, and tell their page."""
        with self._lock:
            call = self._calls.get(consult_id)
            stay = call.stays.pop(user_id, None) if call is not None else None
        if stay is None:
            return
        if stay.channel is not None:
            data = {"consult_id": consult_id, "state": "removed"}
            self._tell(f"channel:{stay.channel}", "call:ended", data)
        self._let_go(consult_id, [stay])

    # -- help ------------------------------------------------------------------------------------------------

    def participants(self, consult_id: str) -> list[dict[str, Any]]:
        """Who is in the call, in the order in which they came."""
        with self._lock:
            call = self._calls.get(consult_id)
            return [stay.view() for stay in call.stays.values()] if call is not None else []

    def _stay(self, actor: Actor, channel: str, consult_id: str, peer: str | None = None) -> Stay:
        """The actor's own stay on this channel, with this peer where one is named. Called with the lock held."""
        call = self._calls.get(consult_id)
        stay = call.stays.get(actor.user_id) if call is not None else None
        if stay is None or stay.channel != channel or (peer is not None and stay.peer != peer):
            raise Conflict(N_("This call connection has ended. The page joins again by itself."))
        return stay

    def _let_go(self, consult_id: str, stays: list[Stay]) -> None:
        for peer in [peer for stay in stays for peer in tuple(stay.peers)]:
            if self._node.media is not None:
                self._node.media.leave(consult_id, peer)
        call_access.write_departure(self._node, [stay.id for stay in stays])
        self._tell_participants(consult_id)

    def _media(self) -> MediaBackend:
        if self._node.media is None:
            raise Unavailable(N_("The hub has no media worker running. Voice and picture come as soon as it has."))
        return self._node.media

    def _ice_servers(self) -> list[dict[str, Any]]:
        text = self._node.settings.ice_servers
        servers: list[dict[str, Any]] = json.loads(text) if text else []
        return servers

    def _tell_participants(self, consult_id: str) -> None:
        data = {"consult_id": consult_id, "participants": self.participants(consult_id)}
        self._tell(f"consult:{consult_id}", "call:participants", data)

    @property
    def _tell(self) -> Callable[[str, str, dict[str, Any]], None]:
        return self._node.bus.publish
