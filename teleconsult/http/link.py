"""What a vehicle asks the hub over HTTPS when it checks its link: whether its key is good, and a try of the media way.

Shown by no page: `teleconsult check --vehicle --network` asks. The vehicle's key comes as a bearer token with every
question, so there is no session and no CSRF token here.
"""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, StringConstraints

from teleconsult.domain.errors import N_, NotAllowed, Unavailable
from teleconsult.http.security import current_node, public
from teleconsult.services import vehicles
from teleconsult.services.media_health import MediaHealth

bp = Blueprint("link", __name__, url_prefix="/link")


class _Description(BaseModel):
    model_config = ConfigDict(extra="forbid")
    type: Annotated[str, StringConstraints(pattern="^answer$")]
    sdp: Annotated[str, StringConstraints(max_length=20_000)]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    description: _Description


@bp.get("/check")
@public
def check() -> Response:
    """Whether the key is good, and the hub's time."""
    vehicle_id = _vehicle()
    return jsonify(ok=True, vehicle_id=vehicle_id, now=current_node().clock().isoformat())


@bp.post("/media")
@public
def open_try() -> Response:
    """A connection to try: its name, the worker's offer, and the ports that the hub uses."""
    vehicle_id = _vehicle()
    name, sdp = _health().open_try(vehicle_id)
    ports = current_node().settings.media_port_range
    return jsonify(ok=True, name=name, sdp=sdp, ports=list(ports) if ports else None)


@bp.post("/media/<name>/answer")
@public
def answer_try(name: str) -> Response:
    """Carry the answer to the worker."""
    vehicle_id = _vehicle()
    answer = _Answer.model_validate(request.get_json())
    _health().answer_try(vehicle_id, name, answer.description.model_dump())
    return jsonify(ok=True)


@bp.post("/media/<name>/close")
@public
def close_try(name: str) -> Response:
    """End the try."""
    vehicle_id = _vehicle()
    _health().close_try(vehicle_id, name)
    return jsonify(ok=True)


def _vehicle() -> str:
    """The vehicle whose key came along. Raises NotAllowed."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    vehicle_id = key.partition(".")[0]
    if scheme != "Bearer" or not vehicle_id or len(key) > 200:
        raise NotAllowed(N_("The vehicle key is not valid. Make a new one at the hub."))
    vehicles.check_key(current_node(), vehicle_id, key)
    return vehicle_id


def _health() -> MediaHealth:
    health = current_node().media_health
    if health is None:
        raise Unavailable(N_("The hub has no media worker running. Voice and picture come as soon as it has."))
    return health
