"""Institutions and villages."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from teleconsult.domain.network import LEVEL_NAMES
from teleconsult.http.admin import administrators, bp
from teleconsult.http.forms import Faults, read_form, submit
from teleconsult.http.security import current_actor, current_node
from teleconsult.services import directory
from teleconsult.store.tables import Organization, Village


@bp.get("/institutions")
@administrators
def institutions() -> str:
    """The "1+X+N" tree."""
    return render_template("admin/institutions.html", tree=directory.list_organizations(current_node()), **_words())


@bp.get("/institutions/new")
@administrators
def new_institution() -> str:
    """The form for a new institution."""
    return _institution({"active": True, "level": "clinic", "parent_id": request.args.get("parent", "")}, [])


@bp.get("/institutions/<organization_id>")
@administrators
def institution(organization_id: str) -> str:
    """One institution."""
    row = directory.get(current_node(), Organization, organization_id)
    return _institution(row.model_dump(), [], row)


@bp.post("/institutions/new", defaults={"organization_id": None})
@bp.post("/institutions/<organization_id>")
@administrators
def save_institution(organization_id: str | None) -> Response | tuple[str, int]:
    """Create or change an institution."""
    node, actor = current_node(), current_actor()
    saved, faults = submit(
        lambda: directory.save_organization(
            node, actor, read_form(directory.OrganizationForm, ticks=("active",)), organization_id
        )
    )
    if saved is None:
        row = directory.get(node, Organization, organization_id) if organization_id else None
        return _institution(request.form.to_dict(), faults, row), 422
    flash(_("%(name)s is saved.", name=saved.name), "ok")
    return redirect(url_for("admin.institutions"))


@bp.get("/villages")
@administrators
def villages() -> str:
    """All villages."""
    node = current_node()
    word = request.args.get("q", "").strip()
    names = {branch.organization.id: branch.organization.name for branch in directory.list_organizations(node)}
    found = [row for row in directory.list_villages(node) if word in row.name or word in row.township]
    return render_template("admin/villages.html", villages=found, names=names, word=word)


@bp.get("/villages/new")
@administrators
def new_village() -> str:
    """The form for a new village."""
    return _village({}, [])


@bp.get("/villages/<village_id>")
@administrators
def village(village_id: str) -> str:
    """One village."""
    row = directory.get(current_node(), Village, village_id)
    return _village(row.model_dump(), [], row)


@bp.post("/villages/new", defaults={"village_id": None})
@bp.post("/villages/<village_id>")
@administrators
def save_village(village_id: str | None) -> Response | tuple[str, int]:
    """Create or change a village."""
    node, actor = current_node(), current_actor()
    saved, faults = submit(lambda: directory.save_village(node, actor, read_form(directory.VillageForm), village_id))
    if saved is None:
        row = directory.get(node, Village, village_id) if village_id else None
        return _village(request.form.to_dict(), faults, row), 422
    flash(_("%(name)s is saved.", name=saved.name), "ok")
    return redirect(url_for("admin.villages"))


def _words() -> dict[str, Any]:
    return {"level_names": {level.value: _(name) for level, name in LEVEL_NAMES.items()}}


def organization_options(depth: int = 9) -> list[tuple[str, str]]:
    """The institutions in service, to choose from: indented as they stand in the tree, down to a depth."""
    tree = directory.list_organizations(current_node())
    return [
        (branch.organization.id, "\u3000" * branch.depth + branch.organization.name)
        for branch in tree
        if branch.organization.active and branch.depth <= depth
    ]


def _institution(values: dict[str, Any], faults: Faults, row: Organization | None = None) -> str:
    above = [option for option in organization_options(1) if row is None or option[0] != row.id]
    return render_template(
        "admin/institution.html", values=values, faults=faults, row=row, above_options=above, **_words()
    )


def _village(values: dict[str, Any], faults: Faults, row: Village | None = None) -> str:
    options = organization_options()
    return render_template("admin/village.html", values=values, faults=faults, row=row, organization_options=options)
