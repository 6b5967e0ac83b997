"""What the frame of every page shows: who is here, where, the way to other pages, the state of the link.

Pages fill the rest. The names are the contract of web/templates/base.html (docs/design-system.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, Flask, current_app, g, redirect, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from teleconsult.domain.errors import N_
from teleconsult.domain.people import SITE_ZONE, site_today
from teleconsult.domain.roles import Actor, Role
from teleconsult.http.security import allow, current_actor, current_node, declared_roles
from teleconsult.services import devices, measuring, surroundings
from teleconsult.services.node import Node
from teleconsult.services.surroundings import RunningCall
from teleconsult.settings import TlsSource

bp = Blueprint("shell", __name__)

ROLE_NAMES = {
    Role.VEHICLE_DOCTOR: N_("vehicle doctor"),
    Role.SPECIALIST: N_("specialist"),
    Role.COORDINATOR: N_("coordinator"),
    Role.ADMINISTRATOR: N_("administrator"),
}


@dataclass(frozen=True)
class Way:
    """An entry of the rail. Shown to the roles its page is open to, on the kinds of node named here."""

    endpoint: str
    label: str
    icon: str
    kind: str
    key: str = ""


WAYS = (
    Way("today.index", N_("Today"), "today", "vehicle"),
    Way("patients.index", N_("People"), "people", "vehicle"),
    Way("consults.mine", N_("Consults"), "consult", "vehicle", key="consults"),
    Way("devices.index", N_("Devices"), "device", "vehicle", key="devices"),
    Way("outbox.index", N_("To be sent"), "upload", "vehicle", key="outbox"),
    Way("queue.index", N_("Queue"), "queue", "hub", key="queue"),
    Way("board.index", N_("Board"), "board", "hub"),
    Way("consults.mine", N_("Consults"), "consult", "hub"),
    Way("admin.people", N_("Accounts"), "people", "hub"),
    Way("admin.institutions", N_("Institutions"), "institution", "hub"),
    Way("admin.vehicles", N_("Vehicles"), "vehicle", "hub"),
    Way("admin.plugins", N_("Plugins"), "plugin", "hub"),
    Way("admin.media", N_("Call network"), "network", "hub"),
    Way("admin.audit", N_("Audit"), "audit", "hub"),
)
"""In the order of the rail; the first one open to a person is their first page."""

BESIDE = {"admin.institutions": "/admin/villages", "admin.vehicles": "/admin/rounds"}
"""Pages that are a tab of another one."""


def init_app(app: Flask) -> None:
    """Give every template what the frame needs."""
    app.register_blueprint(bp)
    app.context_processor(frame)
    app.add_template_filter(site_instant)
    app.add_template_filter(site_date)


def site_instant(at: datetime) -> str:
    """An instant to the second, as people here read it: 2026-11-24 14:05:09."""
    return at.astimezone(SITE_ZONE).strftime("%Y-%m-%d %H:%M:%S")


def site_date(at: datetime) -> str:
    """The day an instant falls on here: 2026-11-24."""
    return at.astimezone(SITE_ZONE).date().isoformat()


@bp.get("/")
@allow()
def home() -> Response:
    """The first page of a person: the first entry of their rail, or else the only page that everybody has."""
    ways = ways_of(current_node(), current_actor())
    return redirect(url_for(ways[0].endpoint if ways else "auth.password"))


def ways_of(node: Node, actor: Actor) -> list[Way]:
    """The pages of this node that are open to a person."""
    views = current_app.view_functions
    return [
        way
        for way in WAYS
        if way.kind == node.settings.kind.value
        and way.endpoint in views
        and actor.role in (declared_roles(views[way.endpoint]) or ())
    ]


def frame() -> dict[str, Any]:
    """`person`, `nav`, `node` and `strip` for the templates."""
    node = current_node()
    actor: Actor | None = g.get("actor")
    around = surroundings.look_around(node, actor)
    fallback = _("Hub") if node.is_hub else _("Clinic vehicle")
    return {
        "person": _person(actor) if actor else None,
        "nav": [_entry(way) for way in ways_of(node, actor)] if actor else [],
        "own_authority": node.settings.tls_source is TlsSource.OWN,
        "node": {"kind": node.settings.kind.value, "name": around.node_name or fallback, "id": node.node_id},
        "strip": {
            "place": around.place,
            "date": site_today(node.clock()).isoformat(),
            "uplink": node.uplink() if node.uplink else None,
            "devices": _devices(node) if actor else None,
            "measuring": _measuring(node) if actor else None,
            "call": _call(around.call),
        },
    }


def _person(actor: Actor) -> dict[str, str]:
    return {
        "id": actor.user_id,
        "name": actor.name,
        "role": actor.role.value,
        "role_name": _(ROLE_NAMES[actor.role]),
    }


def _entry(way: Way) -> dict[str, Any]:
    here = request.path.startswith((url_for(way.endpoint), BESIDE.get(way.endpoint, "\n")))
    return {
        "label": _(way.label),
        "href": url_for(way.endpoint),
        "icon": way.icon,
        "active": here,
        "key": way.key,
    }


def _call(call: RunningCall | None) -> dict[str, str] | None:
    if call is None or "calls.show" not in current_app.view_functions:
        return None
    url = url_for("calls.show", consult_id=call.consult_id)
    return {"consult_id": call.consult_id, "patient": call.patient_name, "url": url}


def _devices(node: Node) -> list[dict[str, Any]] | None:
    if node.devices is None:
        return None
    return [
        {
            "assignment_id": card.assignment_id,
            "name": card.name,
            "state": card.status["state"],
            "battery": card.status["battery"],
        }
        for card in devices.cards(node)
    ]


def _measuring(node: Node) -> dict[str, Any] | None:
    found = measuring.target_patient(node) if node.devices is not None else None
    return {"name": found[1].name, "age": found[1].age} if found else None
