"""The media room: calls carried as they come, from each browser to the others, without decoding.

The hub commands `MediaWorkers`, child processes with one loop each, and hears `MediaEvent`s. This room knows
nothing of Flask, the database or the settings; `docs/media.md` tells the protocol.
"""

from teleconsult.media.addresses import AWAY, UNKNOWN_NAME, Plan, host_addresses, plan, resolve
from teleconsult.media.backend import MediaBackend
from teleconsult.media.client import MediaWorkers
from teleconsult.media.messages import (
    MediaConfig,
    MediaEvent,
    PeerQuality,
    PeerState,
    PeerStateName,
    RoomLost,
    SignalOut,
    SignalRefused,
    WorkerStatus,
)
from teleconsult.media.selftest import AddressResult, Signalling, WorkerSignalling, any_works, check_addresses

__all__ = [
    "AWAY",
    "UNKNOWN_NAME",
    "AddressResult",
    "MediaBackend",
    "MediaConfig",
    "MediaEvent",
    "MediaWorkers",
    "PeerQuality",
    "PeerState",
    "PeerStateName",
    "Plan",
    "RoomLost",
    "SignalOut",
    "SignalRefused",
    "Signalling",
    "WorkerSignalling",
    "WorkerStatus",
    "any_works",
    "check_addresses",
    "host_addresses",
    "plan",
    "resolve",
]
