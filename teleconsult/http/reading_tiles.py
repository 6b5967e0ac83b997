"""Readings as templates draw them: the shape of `clinical.tile`, in the person's language."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask_babel import format_datetime
from flask_babel import gettext as _

from teleconsult.domain.people import site_today
from teleconsult.http.security import current_node

PULSE_BESIDE = ("blood_pressure", "spo2")
"""Kinds whose tile shows the pulse that came with the value."""


def tile(view: dict[str, Any]) -> dict[str, Any]:
    """A reading (services.observation_views) as the tile macro takes it."""
    levels = [mark["level"] for mark in view["marks"]]
    return {
        "id": view["id"],
        "kind": view["kind"],
        "label": tile_label(view),
        "value": view["text"],
        "unit": unit(view["unit"]),
        "taken_at": view["taken_at"],
        "time": moment(view["taken_at"]),
        "status": view["status"] if view["status"] != "entered-in-error" else "cancelled",
        "level": "danger" if "danger" in levels else "warning" if "warning" in levels else "",
        "given": _("The device shows %(given)s", given=view["given"]) if view["given"] else "",
        "note": _("Sent with it: %(note)s", note=view["note"]) if view.get("note") else "",
        "extra": _extra(view),
        "device": view.get("device") or (_("typed in by %(name)s", name=view["author"]) if "author" in view else ""),
        "marks": marks(view),
        "previous": previous(view["previous"]) if view.get("previous") else None,
        "target": {**view["target"], "text": target_text(view["target"])} if view.get("target") else None,
    }


def empty_tile(view: dict[str, Any]) -> dict[str, Any]:
    """A tile of a kind that has not been measured in this encounter, with the value of the last visit."""
    return {"kind": view["kind"], "label": tile_label(view), "previous": previous(view)}


def vital(view: dict[str, Any]) -> dict[str, str]:
    """A reading in a few characters, for `clinical.vitals`."""
    levels = [mark["level"] for mark in view["marks"]]
    return {
        "label": tile_label(view),
        "value": view["text"] + ("" if view["unit"] in ("mmHg", "/min") else unit(view["unit"])),
        "level": "danger" if "danger" in levels else "warning" if "warning" in levels else "",
    }


def tile_label(view: dict[str, Any]) -> str:
    """The kind's name; which glucose it is, is part of the name."""
    if view["kind"] == "glucose" and view["components"]:
        return said(view["components"][0]["label"])
    return said(view["name"])


def marks(view: dict[str, Any]) -> list[dict[str, str]]:
    """What is odd about the reading and what the device said of it, each said once."""
    words = [(mark["level"], said(mark["label"])) for mark in view["marks"]]
    words += [("warning", said(flag["label"])) for flag in view["flags"]]
    return [{"level": level, "word": word} for level, word in dict.fromkeys(words)]


def previous(view: dict[str, Any]) -> dict[str, str]:
    """The value of the last visit."""
    return {"value": view["text"], "unit": unit(view["unit"]), "date": day(view["taken_at"])}


def target_text(target: dict[str, Any]) -> str:
    """The control target in words."""
    return str(_("Target %(limit)s", limit=target["text"]))


def said(label: str) -> str:
    """A label of the domain in the person's language."""
    return str(_(label))


def unit(symbol: str) -> str:
    """A unit as it is printed; only "/min" is a word in some languages."""
    return str(_("/min")) if symbol == "/min" else symbol


def clock(iso: str) -> str:
    """14:05 at the site."""
    return str(format_datetime(datetime.fromisoformat(iso), "HH:mm"))


def moment(iso: str) -> str:
    """14:05 today, 2026-11-23 14:05 on another day: an old value must not look like one of now."""
    now = current_node().clock()
    return clock(iso) if site_today(datetime.fromisoformat(iso)) == site_today(now) else f"{day(iso)} {clock(iso)}"


def day(iso: str | datetime) -> str:
    """2026-11-24 at the site."""
    moment = iso if isinstance(iso, datetime) else datetime.fromisoformat(iso)
    return str(format_datetime(moment, "yyyy-MM-dd"))


def _extra(view: dict[str, Any]) -> dict[str, str] | None:
    if view["kind"] not in PULSE_BESIDE:
        return None
    for component in view["components"]:
        if component["key"] == "pulse_rate":
            return {
                "label": said(component["label"]),
                "value": component["value"],
                "unit": unit(component["unit"]),
            }
    return None
