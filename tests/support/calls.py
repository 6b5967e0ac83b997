"""For tests of calls: a consult in any state, a clock that a test moves, and a media backend that writes down what it
is asked for and says what the test wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from teleconsult.domain.consult import State
from teleconsult.domain.ids import new_id, utc_now
from teleconsult.media import MediaEvent, PeerState, SignalOut, WorkerStatus
from teleconsult.services.node import Node
from teleconsult.store.tables import Consult, Invitation
from tests.support.world import World


class RecordingMedia:
    """What a desk asks of its media backend, in order."""

    def __init__(self, on_event: Callable[[MediaEvent], None]) -> None:
        self.tell = on_event
        self.asked: list[tuple[Any, ...]] = []

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def join(self, room: str, peer: str, participant: str) -> None:
        self.asked.append(("join", room, peer, participant))

    def signal(self, room: str, peer: str, message: Mapping[str, object]) -> None:
        self.asked.append(("signal", room, peer, dict(message)))

    def leave(self, room: str, peer: str) -> None:
        self.asked.append(("leave", room, peer))

    def close_room(self, room: str) -> None:
        self.asked.append(("close_room", room))

    def snapshot(self) -> list[WorkerStatus]:
        return []

    def connect(self, room: str, peer: str, state: Any = "connected") -> None:
        """Say that a peer's connection is in this state now."""
        self.tell(PeerState(room=room, peer=peer, participant="p", state=state))

    def offer(self, room: str, peer: str) -> None:
        """Send an offer to a browser."""
        self.tell(SignalOut(room=room, peer=peer, message={"description": {"type": "offer", "sdp": "v=0"}}))


class MovableClock:
    """The time, until the test moves it."""

    def __init__(self, node: Node) -> None:
        self.now = utc_now()
        node.clock = lambda: self.now

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


def put_consult(node: Node, state: State = State.ACCEPTED, **values: Any) -> str:
    """A consult of the world's vehicle in the given state, in the world's specialist's hands. Gives its id."""
    row = Consult(
        patient_id=World.patient_id,
        vehicle_id=World.vehicle_id,
        village_id=World.village_id,
        requester_id=World.doctor.user_id,
        requester_name=World.doctor.name,
        specialty="cardiology",
        urgency="urgent",
        reason="胸闷两天",
        state=state,
        **{
            "number": "JN-01-20261124-001",
            "specialist_id": World.specialist.user_id,
            "specialist_name": World.specialist.name,
            "accepted_at": utc_now(),
            "revision": 2,
            **values,
        },
    )
    with node.store.write() as tx:
        tx.session.add(row)
    return row.id


def invite(node: Node, consult_id: str, user_id: str) -> str:
    """Ask somebody into a consult's call. Gives the invitation's id."""
    row = Invitation(
        consult_id=consult_id,
        user_id=user_id,
        invited_by=World.specialist.user_id,
        invited_by_name=World.specialist.name,
    )
    with node.store.write() as tx:
        tx.session.add(row)
    return row.id


def peer_id() -> str:
    """A peer's name as a browser makes it."""
    return new_id()
