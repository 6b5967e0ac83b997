"""Short questions that only the hub can answer: who is on line, who can be invited, asking somebody in.

Pages ask here on either node. At the hub the answer is at hand; a vehicle asks over its uplink (`Node.relay`) and gets
Unavailable off line. Answers are JSON-ready.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from teleconsult.domain.errors import N_, NotFound, Unavailable
from teleconsult.domain.network import SPECIALTIES
from teleconsult.domain.roles import Actor, Role
from teleconsult.services import invitations
from teleconsult.services.consult_views import usual_wait
from teleconsult.services.node import Node

STAFF, WHO, INVITE, UNINVITE = "call:staff", "call:who", "call:invite", "call:uninvite"
EVENTS = frozenset({STAFF, WHO, INVITE, UNINVITE})


class _About(BaseModel):
    model_config = ConfigDict(extra="forbid")
    consult_id: str = Field(pattern=r"^[0-9a-f-]{36}$")


class _Person(_About):
    user_id: str = Field(pattern=r"^[0-9a-f-]{36}$")


def ask(node: Node, actor: Actor, event: str, data: dict[str, Any]) -> dict[str, Any]:
    """The hub's answer. Raises Unavailable when this is a vehicle without a link."""
    if node.is_hub:
        return answer(node, actor, event, data)
    if node.relay is None:
        raise Unavailable(N_("The link to the county hospital is lost. Try again when it is back."))
    reply = node.relay("", actor, event, data)
    return {key: value for key, value in reply.items() if key != "ok"}


def answer(node: Node, actor: Actor, event: str, data: dict[str, Any]) -> dict[str, Any]:
    """Answer at the hub. Raises ValidationError and TeleconsultError."""
    match event:
        case "call:staff":
            return {"specialties": staff(node)}
        case "call:who":
            about = _About.model_validate(data)
            return {"people": [asdict(p) for p in invitations.who_can_come(node, actor, about.consult_id)]}
        case "call:invite":
            asked = _Person.model_validate(data)
            invitations.invite(node, actor, asked.consult_id, asked.user_id)
            return {}
        case "call:uninvite":
            asked = _Person.model_validate(data)
            invitations.withdraw_invitation(node, actor, asked.consult_id, asked.user_id)
            return {}
        case _:
            raise NotFound(N_("The hub does not know this message. Load the page again."))


def staff(node: Node) -> dict[str, dict[str, Any]]:
    """For each specialty: names of the specialists with a page open, and the usual wait in seconds (None: unknown)."""
    names: dict[str, list[str]] = {code: [] for code in SPECIALTIES}
    for present in node.presence.people(Role.SPECIALIST):
        if present.actor.specialty in names:
            names[present.actor.specialty].append(present.actor.name)
    return {code: {"online": names[code], "wait": usual_wait(node, code)} for code in SPECIALTIES}
