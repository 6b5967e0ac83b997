"""The parts of a consult that modules talk to: chat, images, opinion, who is on line, invitations. JSON and images."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, jsonify, request, url_for
from flask_babel import gettext as _
from pydantic import BaseModel, ConfigDict, Field

from teleconsult.domain.errors import N_, InvalidInput
from teleconsult.domain.network import SPECIALTIES
from teleconsult.domain.roles import Role
from teleconsult.http.consult_words import waited
from teleconsult.http.security import allow, current_actor, current_node
from teleconsult.services import attachments, chat, hub_questions, opinions
from teleconsult.services.consult_parts import conversation
from teleconsult.services.opinions import DraftInput, OpinionInput

bp = Blueprint("consult_parts", __name__)

DOCTORS = (Role.VEHICLE_DOCTOR, Role.SPECIALIST)


class Line(BaseModel):
    """A line of chat."""

    model_config = ConfigDict(extra="forbid")
    id: str = Field(pattern=r"^[0-9a-f-]{36}$")
    text: str = Field(max_length=100_000)


class Typed(BaseModel):
    """An opinion being typed; `revision` is that of the draft the page started from."""

    model_config = ConfigDict(extra="forbid")
    opinion: DraftInput
    revision: int = Field(ge=0)


class Written(BaseModel):
    """An opinion to be signed."""

    model_config = ConfigDict(extra="forbid")
    opinion: OpinionInput
    revision: int = Field(ge=0)


# -- conversation -------------------------------------------------------------------------------------------------


@bp.get("/consults/<uuid:consult_id>/conversation")
@allow(*DOCTORS)
def read_conversation(consult_id: UUID) -> Response:
    """All lines and images, for a page that opens or has lost its connection for a while."""
    talk = conversation(current_node(), current_actor(), str(consult_id))
    return jsonify(
        ok=True,
        messages=talk.messages,
        images=[_image(image) for image in talk.images],
        may_add=talk.may_add,
        kinds=[{"code": code, "name": _(name)} for code, name in attachments.KINDS.items()],
    )


@bp.post("/consults/<uuid:consult_id>/chat")
@allow(*DOCTORS)
def say(consult_id: UUID) -> Response:
    """Keep a line of chat; the same id again is the same line."""
    line = Line.model_validate(request.get_json())
    view = chat.send_message(current_node(), current_actor(), str(consult_id), line.text, message_id=line.id)
    return jsonify(ok=True, message=view)


@bp.post("/consults/<uuid:consult_id>/images")
@allow(*DOCTORS)
def add_image(consult_id: UUID) -> Response:
    """Keep an image: a form with `image`, `kind`, `caption` and `id`."""
    upload = request.files.get("image")
    if upload is None:
        raise InvalidInput(N_("Choose an image first."), field="image")
    identity = request.form.get("id") or None
    if identity is not None:
        identity = str(_uuid(identity))
    view = attachments.add_image(
        current_node(),
        current_actor(),
        str(consult_id),
        upload.read(),
        kind=request.form.get("kind", "other"),
        caption=request.form.get("caption", ""),
        filename=upload.filename or "",
        attachment_id=identity,
    )
    return jsonify(ok=True, image=_image(view))


@bp.get("/images/<uuid:attachment_id>")
@allow(*DOCTORS)
def image(attachment_id: UUID) -> Response:
    """An image, or with `?small=1` its thumbnail."""
    small = request.args.get("small") == "1"
    content, media_type = attachments.read_image(current_node(), current_actor(), str(attachment_id), small=small)
    response = Response(content, mimetype=media_type)
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Content-Disposition"] = "inline"
    return response


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidInput(N_("The request could not be read. Nothing was changed.")) from error


def _image(view: dict[str, Any]) -> dict[str, Any]:
    url = url_for(".image", attachment_id=view["id"])
    return {**view, "url": url, "small_url": f"{url}?small=1"}


# -- opinion ------------------------------------------------------------------------------------------------------


@bp.get("/consults/<uuid:consult_id>/opinion/draft")
@allow(Role.SPECIALIST)
def read_draft(consult_id: UUID) -> Response:
    """What is kept now, for a window that has learnt that another one was faster."""
    draft = opinions.read_draft(current_node(), current_actor(), str(consult_id))
    saved_at = draft.saved_at.isoformat() if draft.saved_at else None
    return jsonify(ok=True, fields=draft.fields, revision=draft.revision, saved_at=saved_at)


@bp.post("/consults/<uuid:consult_id>/opinion/draft")
@allow(Role.SPECIALIST)
def save_draft(consult_id: UUID) -> Response:
    """Keep what is typed."""
    typed = Typed.model_validate(request.get_json())
    draft = opinions.save_draft(
        current_node(), current_actor(), str(consult_id), typed.opinion, seen_revision=typed.revision
    )
    assert draft.saved_at is not None
    return jsonify(ok=True, revision=draft.revision, saved_at=draft.saved_at.isoformat())


@bp.post("/consults/<uuid:consult_id>/opinion")
@allow(Role.SPECIALIST)
def sign(consult_id: UUID) -> Response:
    """Sign the opinion, or its correction."""
    written = Written.model_validate(request.get_json())
    row = opinions.sign_opinion(
        current_node(), current_actor(), str(consult_id), written.opinion, seen_revision=written.revision
    )
    return jsonify(ok=True, version=row.version, url=url_for("consults.show", consult_id=consult_id))


# -- people -------------------------------------------------------------------------------------------------------


@bp.get("/staff.json")
@allow(*DOCTORS)
def staff() -> Response:
    """Who is on line and the usual wait, by specialty. 503 with a sentence when the hub cannot be asked."""
    found = hub_questions.ask(current_node(), current_actor(), hub_questions.STAFF, {})["specialties"]
    return jsonify(
        ok=True,
        specialties={
            code: {
                "name": _(SPECIALTIES[code]),
                "online": facts["online"],
                "wait": waited(facts["wait"]) if facts["wait"] is not None else None,
            }
            for code, facts in found.items()
            if code in SPECIALTIES
        },
    )


@bp.get("/consults/<uuid:consult_id>/invitations")
@allow(*DOCTORS)
def who_can_come(consult_id: UUID) -> Response:
    """Who can be asked into the call, with who is on line."""
    data = {"consult_id": str(consult_id)}
    people = hub_questions.ask(current_node(), current_actor(), hub_questions.WHO, data)["people"]
    for person in people:
        person["specialty_name"] = _(SPECIALTIES[person["specialty"]]) if person["specialty"] in SPECIALTIES else ""
    return jsonify(ok=True, people=people)


@bp.post("/consults/<uuid:consult_id>/invitations/<uuid:user_id>")
@allow(*DOCTORS)
def invite(consult_id: UUID, user_id: UUID) -> Response:
    """Ask somebody into the call."""
    data = {"consult_id": str(consult_id), "user_id": str(user_id)}
    hub_questions.ask(current_node(), current_actor(), hub_questions.INVITE, data)
    return jsonify(ok=True)


@bp.delete("/consults/<uuid:consult_id>/invitations/<uuid:user_id>")
@allow(*DOCTORS)
def uninvite(consult_id: UUID, user_id: UUID) -> Response:
    """Take an invitation back."""
    data = {"consult_id": str(consult_id), "user_id": str(user_id)}
    hub_questions.ask(current_node(), current_actor(), hub_questions.UNINVITE, data)
    return jsonify(ok=True)
