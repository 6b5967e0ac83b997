"""Plugins: how each stands, its settings, on and off. The audit: who read or wrote what."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from teleconsult.domain.errors import N_, Unavailable
from teleconsult.http.admin import administrators, bp
from teleconsult.http.admin.schema import fields_of, values_of, without_new_secrets
from teleconsult.http.security import current_actor, current_node
from teleconsult.http.shell import ROLE_NAMES
from teleconsult.plugin_host import PluginHost, PluginView, SettingsRefused, translate_fault
from teleconsult.services import audit as auditing
from teleconsult.services import plugins as switching

ACTION_NAMES = {
    "read": N_("read"),
    "create": N_("created"),
    "update": N_("changed"),
    "search": N_("searched"),
    "login": N_("logged in"),
    "login_failed": N_("login refused"),
    "logout": N_("logged out"),
    "password": N_("changed a password"),
    "vehicle_key": N_("made a vehicle key"),
    "vehicle_key_revoked": N_("revoked a vehicle key"),
    "enable": N_("switched on"),
    "disable": N_("switched off"),
    "configure": N_("changed settings"),
    "print": N_("printed"),
    "export": N_("exported"),
}
KIND_NAMES = {
    "device": N_("Devices"),
    "followup": N_("Follow-up"),
    "referral": N_("Referral"),
    "panel": N_("Panels on pages"),
    "events": N_("Consult events"),
}
"""What a plugin offers, in words."""
ENTITY_NAMES = {
    "patient": N_("patient"),
    "encounter": N_("encounter"),
    "observation": N_("reading"),
    "consent": N_("consent"),
    "consult": N_("consult"),
    "opinion": N_("opinion"),
    "attachment": N_("image"),
    "chatmessage": N_("chat"),
    "user": N_("account"),
    "organization": N_("institution"),
    "village": N_("village"),
    "vehicle": N_("vehicle"),
    "stop": N_("stop"),
    "plugin": N_("plugin"),
    "audit": N_("audit"),
}


@bp.get("/plugins")
@administrators
def plugins() -> str:
    """All plugins of the hub."""
    host = current_node().plugins
    views = host.plugins() if host else []
    return render_template(
        "admin/plugins.html", plugins=views, language=_language(), kinds_of=_kinds_of, fault_of=_fault_of
    )


@bp.get("/plugins/<name>")
@administrators
def plugin(name: str) -> str:
    """One plugin and its settings."""
    return _plugin(name, {}, None)


@bp.post("/plugins/<name>/settings")
@administrators
def configure(name: str) -> Response | tuple[str, int]:
    """Replace a plugin's settings; the plugin's own model checks them."""
    view = _host().plugin(name)
    values = values_of(view.settings_schema or {}, request.form, view.settings)
    try:
        switching.configure(current_node(), current_actor(), name, values)
    except SettingsRefused as refused:
        shown, again = without_new_secrets(view.settings_schema or {}, values, view.settings)
        errors = {**dict.fromkeys(again, _("This was not saved. Write the new secret once more.")), **_words(refused)}
        return _plugin(name, errors, shown), 422
    flash(_("The settings are saved."), "ok")
    return redirect(url_for("admin.plugin", name=name))


@bp.post("/plugins/<name>/switch")
@administrators
def switch(name: str) -> Response:
    """Switch a plugin on or off."""
    on = request.form.get("on") == "1"
    view = switching.switch(current_node(), current_actor(), name, on)
    flash(_(view.status_label), "ok" if not view.status.needs_a_person else "danger")
    return redirect(url_for("admin.plugin", name=name))


@bp.get("/audit")
@administrators
def audit() -> str:
    """The audit, the newest entries first, narrowed by person, patient and day."""
    args = request.args
    question = auditing.AuditQuestion(
        person=args.get("person", "")[:60],
        patient=args.get("patient", "")[:60],
        day=_day(args.get("day", "")),
        before=args.get("before", "")[:36],
    )
    page = auditing.read_audit(current_node(), current_actor(), question)
    return render_template(
        "admin/audit.html",
        page=page,
        question=question,
        actions={code: _(name) for code, name in ACTION_NAMES.items()},
        entities={code: _(name) for code, name in ENTITY_NAMES.items()},
        role_names={role.value: _(name) for role, name in ROLE_NAMES.items()},
    )


def _host() -> PluginHost:
    host = current_node().plugins
    if host is None:
        raise Unavailable(N_("Plugins are not running on this node."))
    return host


def _plugin(name: str, errors: dict[str, str], values: dict[str, Any] | None) -> str:
    view = _host().plugin(name)
    fields = fields_of(view.settings_schema or {}, values if values is not None else dict(view.settings))
    labels = {field.name: field.label for field in fields}
    return render_template(
        "admin/plugin.html",
        plugin=view,
        fields=fields,
        errors=errors,
        summary=[(name, f"{labels[name]}: {text}" if name in labels else text) for name, text in errors.items()],
        language=_language(),
        kinds_of=_kinds_of,
        fault_of=_fault_of,
    )


def _kinds_of(view: PluginView) -> str:
    """What it offers, in the page's language."""
    return " · ".join(_(KIND_NAMES[kind]) for kind in view.kinds)


def _fault_of(view: PluginView) -> str:
    """Its last fault: what the node says of it in the page's language, what the plugin said as it is."""
    return translate_fault(view.last_error, _)


def _words(refused: SettingsRefused) -> dict[str, str]:
    """By setting, what is wrong with it, in the page's language."""
    return {
        name: f"{one.where + ': ' if one.where else ''}{_(one.sentence, **one.values)}"
        for name, one in refused.problems.items()
    }


def _language() -> str:
    locale = get_locale()
    return str(locale.language) if locale else "zh"


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
