"""Images of a consult: wounds, ECG print-outs, reports, pictures taken out of the call.

What a file is, its content says and not its name. Every image is decoded and written anew: turned upright by its
EXIF, and without any metadata (phones write the place and the owner into it). The bytes lie under their SHA-256.
Knows nothing of browsers' requests; a file that is refused leaves nothing behind and changes nothing.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError
from sqlmodel import Session, col, select

from teleconsult.domain.errors import N_, InvalidInput, NotFound
from teleconsult.domain.roles import Actor
from teleconsult.process import aside
from teleconsult.services.consult_access import check_contribution, check_sight
from teleconsult.services.node import Node, Work
from teleconsult.store import latest, new_version
from teleconsult.store.tables import Attachment

KINDS = {
    "wound": N_("Wound or skin"),
    "ecg": N_("ECG print-out"),
    "report": N_("Report"),
    "still": N_("Picture out of the call"),
    "other": N_("Something else"),
}
"""What an image shows; code → name."""

FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
MAX_PIXELS = 40_000_000
"""Width × height. A telephone's camera makes 12 to 50 million; a few kilobytes can claim far more (a bomb)."""

LONGEST_SIDE = 4096
"""Pixels. Larger images are made smaller: an ECG print-out stays readable to the millimetre at this size."""

THUMBNAIL_SIDE = 320
JPEG_QUALITY = 88


@dataclass(frozen=True)
class Picture:
    """A checked image, written anew."""

    content: bytes
    media_type: str
    width: int
    height: int


def add_image(
    node: Node,
    actor: Actor,
    consult_id: str,
    content: bytes,
    *,
    kind: str = "other",
    caption: str = "",
    filename: str = "",
    attachment_id: str | None = None,
) -> dict[str, Any]:
    """Check an image, keep it and tell whoever watches. `attachment_id` is the sender's: a repeat is not doubled.

    Raises InvalidInput (not an image of a kind we take, too large, too many pixels, damaged), NotFound, NotAllowed,
    Conflict (the consult is over).
    """
    with node.store.read() as session:
        check_contribution(session, actor, consult_id)
        known = latest(session, Attachment, attachment_id) if attachment_id else None
    if known is not None and known.author_id == actor.user_id and known.consult_id == consult_id:
        return attachment_view(known)
    if kind not in KINDS:
        raise InvalidInput(N_("Choose what the image shows."), field="kind")
    picture = aside(read_picture, content, limit_mb=node.settings.max_upload_mb)
    sha256 = node.files.put(picture.content)
    with node.transaction(actor) as work:
        consult = check_contribution(work.session, actor, consult_id)
        row = new_version(
            work.session,
            Attachment,
            {
                "consult_id": consult_id,
                "encounter_id": consult.encounter_id,
                "patient_id": consult.patient_id,
                "kind": kind,
                "filename": clean_filename(filename),
                "media_type": picture.media_type,
                "size": len(picture.content),
                "width": picture.width,
                "height": picture.height,
                "sha256": sha256,
                "caption": caption.strip()[:300],
                "written_at": work.now,
            },
            author=actor,
            node_id=node.node_id,
            record_id=attachment_id,
        )
        work.audit("create", "attachment", row.record_id, patient_id=row.patient_id)
        work.share(row, [consult.vehicle_id])
        announce_attachment(work, row)
        return attachment_view(row)


def read_picture(content: bytes, *, limit_mb: float) -> Picture:
    """Decode an image and write it anew. Raises InvalidInput with the reason."""
    if not content:
        raise InvalidInput(N_("The file is empty. Choose the image again."), field="image")
    if len(content) > limit_mb * 1024 * 1024:
        raise InvalidInput(
            N_("The image is larger than %(most)s MB, so it was not added. Everything else is kept."),
            field="image",
            most=f"{limit_mb:g}",
        )
    try:
        with Image.open(io.BytesIO(content), formats=tuple(FORMATS)) as opened:
            _check_pixels(opened)  # the header's claim, before anything is unpacked
            form = opened.format or ""
            opened.load()
            upright = ImageOps.exif_transpose(opened)
            return _write(upright, form)
    except Image.DecompressionBombError as error:
        raise _too_many_pixels() from error
    except UnidentifiedImageError as error:
        raise InvalidInput(
            N_("This is not a JPEG, PNG or WebP image, so it was not added. Everything else is kept."), field="image"
        ) from error
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        raise InvalidInput(N_("The image is damaged and cannot be shown. Take it again."), field="image") from error


def _check_pixels(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise _too_many_pixels()
    if min(image.size) < 8:
        raise InvalidInput(N_("The image is too small to show anything. Take it again."), field="image")


def _too_many_pixels() -> InvalidInput:
    return InvalidInput(
        N_("The image has more than %(most)s million pixels, so it was not added. Everything else is kept."),
        field="image",
        most=MAX_PIXELS // 1_000_000,
    )


def _write(image: Image.Image, form: str) -> Picture:
    """The pixels alone, in the format they came in (an animation's first picture)."""
    if image.mode.startswith("I"):  # 16 bits of grey, which a plain conversion would cut off to white
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if max(image.size) > LONGEST_SIDE:
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    if form == "JPEG" or not has_alpha:
        image = image.convert("L" if image.mode in ("1", "L") and form == "PNG" else "RGB")
    else:
        image = image.convert("RGBA")
    clean = Image.new(image.mode, image.size)
    clean.paste(image)
    out = io.BytesIO()
    options: dict[str, Any] = {"quality": JPEG_QUALITY} if form in ("JPEG", "WEBP") else {"optimize": False}
    clean.save(out, format=form, **options)
    return Picture(out.getvalue(), FORMATS[form], clean.width, clean.height)


def read_image(node: Node, actor: Actor, attachment_id: str, *, small: bool = False) -> tuple[bytes, str]:
    """An image's bytes and media type, for a person who sees its consult. `small` gives a thumbnail. Audited.

    Raises NotFound, also when the bytes have not arrived yet.
    """
    with node.transaction(actor) as work:
        row = latest(work.session, Attachment, attachment_id)
        if row is None or row.consult_id is None:
            raise NotFound(N_("There is no such image here."))
        check_sight(work.session, actor, row.consult_id)
        if not small:  # the page that shows the small ones is audited itself
            work.audit("read", "attachment", attachment_id, patient_id=row.patient_id)
    if not node.files.has(row.sha256):
        raise NotFound(N_("The image has not arrived on this machine yet. It comes by itself."))
    content = node.files.read(row.sha256)
    return (aside(_thumbnail, content), "image/jpeg") if small else (content, row.media_type)


def _thumbnail(content: bytes) -> bytes:
    """A JPEG of at most 320 pixels a side, made on demand: it takes milliseconds, and nothing is kept in step."""
    with Image.open(io.BytesIO(content), formats=tuple(FORMATS)) as opened:
        opened.draft("RGB", (THUMBNAIL_SIDE * 2, THUMBNAIL_SIDE * 2))
        paper = Image.new("RGB", opened.size, "white")
        paper.paste(opened, mask=opened.convert("RGBA").getchannel("A"))
    paper.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    out = io.BytesIO()
    paper.save(out, format="JPEG", quality=80)
    return out.getvalue()


def announce_attachment(work: Work, row: Attachment) -> None:
    """Tell an image that was added here or is whole now after arriving from the other side."""
    if row.consult_id:
        work.announce(f"consult:{row.consult_id}", "attachment:new", attachment_view(row))


def attachment_view(row: Attachment) -> dict[str, Any]:
    """An image as pages and live events show it."""
    return {
        "id": row.record_id,
        "consult_id": row.consult_id,
        "kind": row.kind,
        "kind_name": KINDS.get(row.kind, row.kind),
        "caption": row.caption,
        "width": row.width,
        "height": row.height,
        "author_id": row.author_id,
        "author_name": row.author_name,
        "written_at": row.written_at.isoformat(),
    }


def images_of(node: Node, session: Session, consult_id: str) -> list[dict[str, Any]]:
    """All images of a consult, oldest first; `here` says whether the bytes have arrived. The caller audits."""
    query = select(Attachment).where(Attachment.consult_id == consult_id, col(Attachment.current).is_(True))
    rows = session.exec(query.order_by(col(Attachment.written_at), Attachment.id))
    return [{**attachment_view(row), "here": node.files.has(row.sha256)} for row in rows]


def clean_filename(name: str) -> str:
    """The last part of a name, without characters that mean something to a file system. Shown, never opened."""
    last = re.split(r"[\\/]", name)[-1]
    return re.sub(r"[\x00-\x1f<>:\"|?*]", "", last).strip()[:120]
