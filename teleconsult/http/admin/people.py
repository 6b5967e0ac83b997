"""Accounts: who works here, as what, and how they log in."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from teleconsult.domain.network import SPECIALTIES
from teleconsult.http.admin import administrators, bp
from teleconsult.http.admin.places import organization_options
from teleconsult.http.forms import Faults, read_form, submit
from teleconsult.http.security import current_actor, current_node
from teleconsult.http.shell import ROLE_NAMES
from teleconsult.services import directory, staff


@bp.get("/people")
@administrators
def people() -> str:
    """All accounts, narrowed by a word and a role."""
    word, role = request.args.get("q", "").strip().casefold(), request.args.get("role", "")
    everybody = staff.list_staff(current_node(), current_actor())
    found = [
        member
        for member in everybody
        if (not role or member.user.role == role)
        and (not word or word in f"{member.user.name} {member.user.username} {member.organization}".casefold())
    ]
    return render_template("admin/people.html", members=found, word=word, role=role, total=len(everybody), **_words())


@bp.get("/people/new")
@administrators
def new_person() -> str:
    """The form for a new account."""
    return _form({}, [])


@bp.post("/people/new")
@administrators
def create_person() -> str | tuple[str, int]:
    """Open an account and show its first password, this once."""
    saved, faults = submit(lambda: staff.create_person(current_node(), current_actor(), read_form(staff.PersonForm)))
    if saved is None:
        return _form(request.form.to_dict(), faults), 422
    user, password = saved
    return _password_page(user.name, user.username, password)


@bp.get("/people/<user_id>")
@administrators
def person(user_id: str) -> str:
    """One account."""
    user = staff.person(current_node(), current_actor(), user_id)
    return _form(user.model_dump(), [], user)


@bp.post("/people/<user_id>")
@administrators
def edit_person(user_id: str) -> Response | tuple[str, int]:
    """Change an account."""
    node, actor = current_node(), current_actor()
    saved, faults = submit(lambda: staff.edit_person(node, actor, user_id, read_form(staff.PersonForm)))
    if saved is None:
        return _form(request.form.to_dict(), faults, staff.person(node, actor, user_id)), 422
    flash(_("%(name)s is saved.", name=saved.name), "ok")
    return redirect(url_for("admin.people"))


@bp.post("/people/<user_id>/active")
@administrators
def set_active(user_id: str) -> Response:
    """Close an account or open it again."""
    active = request.form.get("active") == "1"
    saved, faults = submit(lambda: staff.set_active(current_node(), current_actor(), user_id, active))
    if saved is None:
        flash(faults[0][1], "danger")
    elif active:
        flash(_("%(name)s can log in again.", name=saved.name), "ok")
    else:
        flash(_("The account of %(name)s is closed, and every login of it has ended.", name=saved.name), "ok")
    return redirect(url_for("admin.person", user_id=user_id))


@bp.post("/people/<user_id>/password")
@administrators
def reset_password(user_id: str) -> str:
    """Give a person a new password and show it, this once."""
    node, actor = current_node(), current_actor()
    user = staff.person(node, actor, user_id)
    return _password_page(user.name, user.username, staff.reset_password(node, actor, user_id))


def _form(values: dict[str, Any], faults: Faults, user: Any = None) -> str:
    node = current_node()
    return render_template(
        "admin/person.html",
        values=values,
        faults=faults,
        user=user,
        organization_options=organization_options(),
        vehicle_options=[(row.id, row.name) for row in directory.list_vehicles(node) if row.active],
        **_words(),
    )


def _words() -> dict[str, Any]:
    return {
        "role_names": {role.value: _(name) for role, name in ROLE_NAMES.items()},
        "specialties": {code: _(name) for code, name in SPECIALTIES.items()},
    }


def _password_page(name: str, username: str, password: str) -> str:
    return render_template(
        "admin/secret.html",
        title=_("Password of %(name)s", name=name),
        what=_(
            "User name %(username)s. Tell the password to this person alone; they can change it after the login.",
            username=username,
        ),
        secret=password,
        back=url_for("admin.people"),
    )
