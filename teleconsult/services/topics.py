"""Who may watch what. The topics themselves, and what is told on each: docs/live.md."""

from __future__ import annotations

from teleconsult.domain.errors import N_, InvalidInput, NotAllowed, NotFound
from teleconsult.domain.roles import Actor, Role
from teleconsult.services.consult_access import Sight, sight
from teleconsult.services.consult_steps import get_consult
from teleconsult.services.node import Node
from teleconsult.store import latest
from teleconsult.store.tables import Encounter

_BY_ROLE = {
    "queue": (Role.SPECIALIST, Role.COORDINATOR),
    "board": (Role.COORDINATOR, Role.ADMINISTRATOR),
    "node": (Role.VEHICLE_DOCTOR, Role.SPECIALIST, Role.COORDINATOR, Role.ADMINISTRATOR),
}


def check_topic(node: Node, actor: Actor, topic: str) -> None:
    """Refuse a topic that this person may not watch. Raises InvalidInput, NotFound, NotAllowed."""
    name, _, identity = topic.partition(":")
    if topic in _BY_ROLE:
        allowed = actor.role in _BY_ROLE[topic]
    elif name == "consult" and identity:
        allowed = _may_watch_consult(node, actor, identity)
    elif name == "encounter" and identity:
        allowed = _may_watch_encounter(node, actor, identity)
    elif name in ("user", "channel") and identity:
        allowed = name == "user" and identity == actor.user_id
    else:
        raise InvalidInput(N_("There is nothing of this kind to watch."), field="topic")
    if not allowed:
        raise NotAllowed(N_("This is for other people to watch."))


def _may_watch_consult(node: Node, actor: Actor, consult_id: str) -> bool:
    """Whoever sees all of the consult now; who loses that sight stops hearing it (teleconsult.live.browsers)."""
    with node.store.read() as session:
        return sight(session, actor, get_consult(session, consult_id)) is Sight.ALL


def _may_watch_encounter(node: Node, actor: Actor, encounter_id: str) -> bool:
    """The doctors of the vehicle it happens on."""
    with node.store.read() as session:
        encounter = latest(session, Encounter, encounter_id)
    if encounter is None:
        raise NotFound(N_("There is no such encounter."))
    return actor.role is Role.VEHICLE_DOCTOR and actor.vehicle_id == encounter.vehicle_id
