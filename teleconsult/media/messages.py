"""What goes between the hub and a media worker: commands one way, events the other. Typed on both sides.

`docs/media.md` is the same in words. Rooms, peers and participants are named by whoever commands the worker; a
peer is one connection of a participant, and a participant who comes back comes back as a new peer.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from teleconsult.domain.errors import N_

Name = Annotated[str, Field(min_length=1, max_length=128)]
ParticipantId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
"""Travels in descriptions as the media stream's id, hence the narrow alphabet."""

PeerStateName = Literal["new", "connecting", "connected", "disconnected", "failed", "closed"]

REFUSALS: Final = {
    "bad_message": N_("The call message from this browser cannot be read."),
    "bad_description": N_("The call description from this browser cannot be read."),
    "no_common_codec": N_("This browser and the hub have no common way to carry voice and picture."),
    "unexpected": N_("The call message from this browser does not fit what was agreed before."),
    "unknown_peer": N_("This call connection has ended. The page joins again by itself."),
    "no_address": N_("The hub has no free network port for this call. Tell the administrator."),
}
"""Why a signal is refused: a stable code, and the sentence for the person."""

NOTICES: Final = {
    "replaced": N_("You have joined this call from another window. It goes on there."),
    "unplayable": N_("This browser cannot play the picture that the other one sends."),
}
"""What a worker tells a browser outside of negotiation: a stable code, and the sentence for the person."""


class MediaConfig(BaseModel):
    """How media workers are to run.

    `workers` 0 means one for each core. `addresses` are the local addresses to bind (empty: all but loopback;
    loopback where there is no other). `announced` are further addresses by which browsers reach the same ports
    (a public address before a NAT). `ports` are the first and last UDP port to use. `video_bitrate` is the most,
    in bit/s, that a publisher's picture may take.
    """

    model_config = ConfigDict(frozen=True)

    workers: int = Field(default=0, ge=0, le=256)
    addresses: tuple[str, ...] = ()
    announced: tuple[str, ...] = ()
    ports: tuple[int, int] | None = None
    video_bitrate: int = Field(default=2_000_000, ge=100_000)


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Configure(_Message):
    """How to run: the first command, and again for rooms that begin later."""

    type: Literal["configure"] = "configure"
    config: MediaConfig


class Join(_Message):
    """A participant is to be offered a connection. A new peer of the same participant replaces the old one."""

    type: Literal["join"] = "join"
    room: Name
    peer: Name
    participant: ParticipantId


class Signal(_Message):
    """What a browser said: {"description": {...}} or {"candidate": {...}}. Not checked yet."""

    type: Literal["signal"] = "signal"
    room: Name
    peer: Name
    message: dict[str, Any]


class Leave(_Message):
    """The peer is to be closed."""

    type: Literal["leave"] = "leave"
    room: Name
    peer: Name


class CloseRoom(_Message):
    """All peers of the room are to be closed."""

    type: Literal["close_room"] = "close_room"
    room: Name


Command = Annotated[Configure | Join | Signal | Leave | CloseRoom, Field(discriminator="type")]


class SignalOut(_Message):
    """To be carried to the browser of this peer unchanged: a description, or a notice."""

    type: Literal["signal_out"] = "signal_out"
    room: str
    peer: str
    message: dict[str, Any]


class SignalRefused(_Message):
    """What the browser said cannot be followed. `sentence` is English, to be translated; `code` is stable."""

    type: Literal["signal_refused"] = "signal_refused"
    room: str
    peer: str
    code: str
    sentence: str


class PeerState(_Message):
    """The connection of a peer changed. After `failed` and `closed` the peer is gone."""

    type: Literal["peer_state"] = "peer_state"
    room: str
    peer: str
    participant: str
    state: PeerStateName


class PeerQuality(_Message):
    """How the connection of a peer did in the last two seconds, seen from the worker.

    `up` is from the browser to the worker, `down` the other way, in kbit/s; losses are 0 to 1; `rtt_s` is None
    until it is known.
    """

    type: Literal["peer_quality"] = "peer_quality"
    room: str
    peer: str
    participant: str
    up_kbps: float
    down_kbps: float
    up_loss: float
    down_loss: float
    rtt_s: float | None

    @property
    def loss(self) -> float:
        """The worse of both directions, 0 to 1."""
        return max(self.up_loss, self.down_loss)


class RoomLost(_Message):
    """The worker of this room died: all its peers are gone, and their participants should join again."""

    type: Literal["room_lost"] = "room_lost"
    room: str


class Ready(_Message):
    """The worker is configured and serves."""

    type: Literal["ready"] = "ready"


class WorkerStatus(_Message):
    """What one worker does. Packets count since its start, those of calls that are over included: in, out, `refused`
    (datagrams that were not followed) and `unsent` (what could not be sent). `cpu` is 0 to 1 of one core, lately."""

    type: Literal["status"] = "status"
    pid: int
    rooms: int = 0
    peers: int = 0
    packets_in: int = 0
    packets_out: int = 0
    refused: int = 0
    unsent: int = 0
    cpu: float = 0.0
    memory_mb: float = 0.0


ProbeOutcome = Literal["ok", "no_answer", "refused", "no_route", "no_connection", "not_offered"]
"""What came of trying one address: it answers and a connection was made; nothing came back; the network said that
nobody listens; this machine knows no way; STUN was answered, but no connection came about."""


class Probe(_Message):
    """To a probe: try one address of a worker's offer, by `count` STUN questions and one connection."""

    type: Literal["probe"] = "probe"
    sdp: str
    host: str
    count: int = Field(default=20, ge=1, le=200)


class ProbeAnswer(_Message):
    """From a probe: what to carry to the worker."""

    type: Literal["probe_answer"] = "probe_answer"
    description: dict[str, str]


class ProbeResult(_Message):
    """From a probe: what came of it. Times in milliseconds, of the STUN answers (median, worst) and until connected."""

    type: Literal["probe_result"] = "probe_result"
    outcome: ProbeOutcome
    asked: int
    answered: int
    rtt_ms: float | None = None
    worst_ms: float | None = None
    connect_ms: float | None = None

    @property
    def loss(self) -> float:
        """The share of questions without an answer, 0 to 1."""
        return 1 - self.answered / self.asked if self.asked else 0.0


MediaEvent = SignalOut | SignalRefused | PeerState | PeerQuality | RoomLost
"""What a media backend tells the hub."""

WorkerMessage = Annotated[
    SignalOut | SignalRefused | PeerState | PeerQuality | Ready | WorkerStatus, Field(discriminator="type")
]

COMMANDS: Final[TypeAdapter[Configure | Join | Signal | Leave | CloseRoom]] = TypeAdapter(Command)
WORKER_MESSAGES: Final[TypeAdapter[SignalOut | SignalRefused | PeerState | PeerQuality | Ready | WorkerStatus]] = (
    TypeAdapter(WorkerMessage)
)
PROBE_MESSAGES: Final[TypeAdapter[ProbeAnswer | ProbeResult]] = TypeAdapter(
    Annotated[ProbeAnswer | ProbeResult, Field(discriminator="type")]
)
