"""What a browser may say about a call: the payloads of `call:*`, checked before anything else happens.

The same models are used where the browser is (hub or vehicle node) and where the call is (hub). docs/live.md
tells them in words.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

CHECK: Final = "check"
"""Stands for the consult's id in the messages of a check before the call."""

MAX_SIGNAL: Final = 200_000
"""Longest description, in characters; a real one of three people has about 20,000."""

ConsultId = Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$")]
Room = Annotated[str, Field(pattern=rf"^({CHECK}|[0-9a-f-]{{36}})$")]
PeerId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
QualityWord = Literal["good", "fair", "poor", "voice-only"]
"""流畅, 一般, 较差, 仅语音"""


class _Payload(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Gone(_Payload):
    """`call:gone`: a channel closed; with `ended` its person may not go on (logged out, not merely cut off)."""

    ended: bool = False


class Description(_Payload):
    """An offer or answer; an answer bears the number of its offer. Whether the SDP makes sense the worker says."""

    type: Literal["offer", "answer"]
    sdp: str = Field(max_length=MAX_SIGNAL)
    number: int | None = Field(default=None, ge=0)


class Candidate(BaseModel):
    """An ICE candidate as browsers serialise it. Browsers add members of their own, which are dropped."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    candidate: str = Field(default="", max_length=2000)
    sdp_mid: str | None = Field(default=None, alias="sdpMid", max_length=64)
    sdp_m_line_index: int | None = Field(default=None, alias="sdpMLineIndex", ge=0, le=1000)
    username_fragment: str | None = Field(default=None, alias="usernameFragment", max_length=256)


class SignalMessage(_Payload):
    """Either a description or a candidate (null: there are no more)."""

    description: Description | None = None
    candidate: Candidate | None = None

    def wire(self) -> dict[str, Any]:
        """As it goes to the media worker: exactly what the browser said, and nothing else."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class Join(_Payload):
    """`call:join`: enter the call through a new peer."""

    consult_id: ConsultId
    peer: PeerId
    audio: bool = True
    video: bool = True


class Resume(_Payload):
    """`call:resume`: this peer still lives; from now on it signals on this channel."""

    consult_id: ConsultId
    peer: PeerId


class Check(_Payload):
    """`call:check`: open a peer in a room of this tab's own, to measure the way to the hub."""

    peer: PeerId


class Signal(_Payload):
    """`call:signal`: a description or candidate for the media worker."""

    consult_id: Room
    peer: PeerId
    message: SignalMessage

    @field_validator("message")
    @classmethod
    def _says_something(cls, message: SignalMessage) -> SignalMessage:
        if not message.model_fields_set:
            raise ValueError("neither a description nor a candidate")
        return message


class Leave(_Payload):
    """`call:leave`: the peer goes, the consult stays as it is."""

    consult_id: Room
    peer: PeerId


class End(_Payload):
    """`call:end`: the call is over for everybody; the opinion is due."""

    consult_id: ConsultId


class Media(_Payload):
    """`call:media`: microphone or camera was switched."""

    consult_id: ConsultId
    audio: bool
    video: bool


class Quality(_Payload):
    """`call:quality`: how the call is on this side, in a word."""

    consult_id: ConsultId
    word: QualityWord


CallMessage = Join | Resume | Check | Signal | Leave | End | Media | Quality | Gone

EVENTS: Final[dict[str, type[CallMessage]]] = {
    "call:join": Join,
    "call:resume": Resume,
    "call:check": Check,
    "call:signal": Signal,
    "call:leave": Leave,
    "call:end": End,
    "call:media": Media,
    "call:quality": Quality,
    "call:gone": Gone,
}
"""Every `call:*` event and what belongs to it. `call:gone` is said by a vehicle node for a channel that closed."""
