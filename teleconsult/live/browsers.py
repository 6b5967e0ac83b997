"""Socket.IO namespace `/live`: what browsers say to their node and hear from it. docs/live.md lists the messages.

Announcements of the bus reach whoever watches their topic. `call:*` is done here where the calls are (hub) and
handed to the hub over the uplink elsewhere.
"""

from __future__ import annotations

from typing import Any

import structlog
from flask_socketio import join_room, leave_room
from pydantic import BaseModel, ConfigDict, Field

from teleconsult.domain.errors import N_, NotAllowed, NotFound, TeleconsultError, Unavailable
from teleconsult.domain.roles import Role
from teleconsult.live.namespace import Answer, Caller, PeopleNamespace, event
from teleconsult.services import call_messages as messages
from teleconsult.services import chat, devices, present
from teleconsult.services.node import Node
from teleconsult.services.topics import check_topic

log = structlog.get_logger(__name__)

DOCTORS = (Role.VEHICLE_DOCTOR, Role.SPECIALIST)


class Watch(BaseModel):
    """`watch`, `unwatch`."""

    model_config = ConfigDict(extra="forbid")
    topic: str = Field(max_length=80)


class ChatLine(BaseModel):
    """`chat:send`. `id` is made by the browser, so a repeat is recognised."""

    model_config = ConfigDict(extra="forbid")
    consult_id: str = Field(pattern=r"^[0-9a-f-]{36}$")
    id: str = Field(pattern=r"^[0-9a-f-]{36}$")
    text: str = Field(max_length=2000)


class DeviceCommand(BaseModel):
    """`device:command`."""

    model_config = ConfigDict(extra="forbid")
    assignment_id: str = Field(max_length=120)
    command: str = Field(max_length=40)


class Browsers(PeopleNamespace):
    """Everybody's pages."""

    def __init__(self, node: Node) -> None:
        super().__init__("/live", node)
        node.bus.listen(self._hear)

    # -- connection ------------------------------------------------------------------------------------------

    def welcome(self, caller: Caller) -> None:
        """Give the tab its channel."""
        actor = caller.actor
        join_room(f"user:{actor.user_id}")
        join_room(f"channel:{caller.channel}")
        self.node.presence.arrived(actor, caller.channel, self.node.clock())
        greeting = {
            "channel": caller.channel,
            "node": {"id": self.node.node_id, "kind": self.node.settings.kind.value},
            "user": {"id": actor.user_id, "name": actor.name, "role": actor.role.value},
        }
        self.emit("hello", greeting, room=caller.sid)

    def farewell(self, caller: Caller, *, ended: bool) -> None:
        """Tell the call, if this tab was in one."""
        self.node.presence.gone(caller.channel)
        if not caller.calls:
            return
        try:
            self._call(caller, "call:gone", {"ended": ended})
        except Unavailable:
            pass  # off line: the hub has noticed that by itself
        except TeleconsultError as error:
            log.warning("the call was not told of a closed page", reason=str(error))

    # -- topics ----------------------------------------------------------------------------------------------

    @event("watch", Watch)
    def watch(self, caller: Caller, message: Watch) -> None:
        """Hear a topic from now on, and how it stands now."""
        check_topic(self.node, caller.actor, message.topic)
        caller.topics.add(message.topic)
        join_room(message.topic)
        for happening, data in present.announcements(self.node, message.topic):
            self.emit(happening, data, room=caller.sid)

    @event("unwatch", Watch)
    def unwatch(self, caller: Caller, message: Watch) -> None:
        """Hear it no more."""
        if message.topic in caller.topics:
            caller.topics.discard(message.topic)
            leave_room(message.topic)

    def _hear(self, topic: str, happening: str, data: dict[str, Any]) -> None:
        """Pass an announcement on to the pages that watch its topic."""
        if topic == "outbox":
            return
        if happening == "session:ended":
            self.check_logins(str(data.get("user_id")))
            return
        self.emit(happening, data, room=topic)
        if happening in ("consult:changed", "call:uninvited") and topic.startswith("consult:"):
            self._drop_strangers(topic)

    def _drop_strangers(self, topic: str) -> None:
        """A consult that moved on may no longer be for everybody who watched it while it waited."""
        for caller in self.callers():
            if topic not in caller.topics:
                continue
            try:
                check_topic(self.node, caller.actor, topic)
            except (NotAllowed, NotFound):
                caller.topics.discard(topic)
                self.server.leave_room(caller.sid, topic, namespace=self.namespace)

    # -- the call --------------------------------------------------------------------------------------------

    @event("call:join", messages.Join, *DOCTORS)
    def call_join(self, caller: Caller, message: messages.Join) -> Answer:
        """Enter the call."""
        return self._say(caller, "call:join", message)

    @event("call:resume", messages.Resume, *DOCTORS)
    def call_resume(self, caller: Caller, message: messages.Resume) -> Answer:
        """Go on with a living peer on this channel."""
        return self._say(caller, "call:resume", message)

    @event("call:check", messages.Check, *DOCTORS)
    def call_check(self, caller: Caller, message: messages.Check) -> Answer:
        """Open a peer of the check before the call."""
        return self._say(caller, "call:check", message)

    @event("call:signal", messages.Signal, *DOCTORS)
    def call_signal(self, caller: Caller, message: messages.Signal) -> Answer:
        """Carry a description or candidate."""
        return self._say(caller, "call:signal", message)

    @event("call:leave", messages.Leave, *DOCTORS)
    def call_leave(self, caller: Caller, message: messages.Leave) -> Answer:
        """Leave the call."""
        return self._say(caller, "call:leave", message)

    @event("call:end", messages.End, *DOCTORS)
    def call_end(self, caller: Caller, message: messages.End) -> Answer:
        """End the call for everybody."""
        return self._say(caller, "call:end", message)

    @event("call:media", messages.Media, *DOCTORS)
    def call_media(self, caller: Caller, message: messages.Media) -> Answer:
        """Tell the others what is switched off."""
        return self._say(caller, "call:media", message)

    @event("call:quality", messages.Quality, *DOCTORS)
    def call_quality(self, caller: Caller, message: messages.Quality) -> Answer:
        """Tell the others how the call is here."""
        return self._say(caller, "call:quality", message)

    def _say(self, caller: Caller, happening: str, message: BaseModel) -> Answer:
        caller.calls = True
        return self._call(caller, happening, message.model_dump(mode="json", by_alias=True, exclude_unset=True))

    def _call(self, caller: Caller, happening: str, data: dict[str, Any]) -> Answer:
        node = self.node
        if node.calls is not None:
            return node.calls.handle(caller.actor, caller.channel, happening, data)
        if node.relay is not None:
            answer = node.relay(caller.channel, caller.actor, happening, data)
            return {key: value for key, value in answer.items() if key != "ok"}
        raise Unavailable(N_("The link to the county hospital is lost. The call goes on when it is back."))

    # -- the rest --------------------------------------------------------------------------------------------

    @event("chat:send", ChatLine, *DOCTORS)
    def chat_send(self, caller: Caller, message: ChatLine) -> Answer:
        """Keep and show a line of chat."""
        line = chat.send_message(self.node, caller.actor, message.consult_id, message.text, message_id=message.id)
        return {"message": line}

    @event("device:command", DeviceCommand, Role.VEHICLE_DOCTOR)
    def device_command(self, caller: Caller, message: DeviceCommand) -> None:
        """Ask something of a device of this vehicle."""
        devices.command_device(self.node, caller.actor, message.assignment_id, message.command)
