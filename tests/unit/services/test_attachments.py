"""Images: what a file is, its content says; nothing hostile gets through, and nothing private stays inside."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from sqlmodel import select

from teleconsult.domain.consult import Action
from teleconsult.domain.errors import Conflict, InvalidInput, NotAllowed, NotFound
from teleconsult.domain.ids import new_id
from teleconsult.services.attachments import (
    FORMATS,
    LONGEST_SIDE,
    add_image,
    clean_filename,
    images_of,
    read_image,
    read_picture,
)
from teleconsult.services.consults import take_step
from teleconsult.services.node import Node
from teleconsult.store.tables import Attachment, AuditEntry, OutboxEntry
from tests.support.consults import accepted, ask
from tests.support.world import World

LIMIT_MB = 12.0


def picture(form: str = "JPEG", size: tuple[int, int] = (120, 80), mode: str = "RGB", **options: object) -> bytes:
    """An image, red in its left half and blue in its right one."""
    image = Image.new(mode, size, 0)
    if mode in ("RGB", "RGBA"):
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, 0, size[0] // 2, size[1]), fill=(255, 0, 0))
        draw.rectangle((size[0] // 2, 0, size[0], size[1]), fill=(0, 0, 255))
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def stored(node: Node) -> list[Path]:
    folder = node.settings.files_dir
    return [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "I;16"])
def test_every_kind_of_image_that_we_take_comes_out_upright_and_whole(form: str, mode: str) -> None:
    image = Image.new(mode, (64, 48))
    out = io.BytesIO()
    try:
        image.save(out, form)
    except OSError:
        pytest.skip("the format has no such images")
    made = read_picture(out.getvalue(), limit_mb=LIMIT_MB)
    assert (made.width, made.height, made.media_type) == (64, 48, FORMATS[form])
    assert opened(made.content).format == form


def test_a_grey_scan_of_16_bits_keeps_its_greys() -> None:
    """An ECG scanner's PNG: mid grey must not become white."""
    image = Image.new("I;16", (32, 32), 0x8000)
    out = io.BytesIO()
    image.save(out, "PNG")
    made = opened(read_picture(out.getvalue(), limit_mb=LIMIT_MB).content)
    value = made.convert("L").getpixel((5, 5))
    assert isinstance(value, int)
    assert 110 <= value <= 145


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"MZ\x90\x00 a program", "not a JPEG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "not a JPEG"),
        (b"%PDF-1.7", "not a JPEG"),
        (picture("GIF"), "not a JPEG"),
        (picture("BMP"), "not a JPEG"),
        (picture("TIFF"), "not a JPEG"),
        (picture()[:300], "damaged"),
        (picture("PNG")[:60], "damaged"),
        (picture(size=(4, 4)), "too small"),
        (b"\xff\xd8\xff\xe0" + b"\x00" * 100, "JPEG|damaged"),
    ],
)
def test_what_is_no_image_of_ours_is_refused_with_a_sentence(content: bytes, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as refusal:
        read_picture(content, limit_mb=LIMIT_MB)
    assert refusal.value.field == "image"


def test_too_many_bytes_are_refused_before_anything_is_unpacked() -> None:
    with pytest.raises(InvalidInput, match="larger than 12 MB"):
        read_picture(picture() + b"\0" * int(LIMIT_MB * 1024 * 1024), limit_mb=LIMIT_MB)


@pytest.mark.parametrize("side", [7_000, 60_000])
def test_a_bomb_is_refused_by_its_claim(side: int) -> None:
    """A PNG of a few kilobytes that claims thousands of pixels a side (both above and below Pillow's own limit)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )
    assert len(bomb) < 2000
    with pytest.raises(InvalidInput, match="million pixels"):
        read_picture(bomb, limit_mb=LIMIT_MB)


def test_the_picture_is_turned_upright_and_its_metadata_are_gone() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it upright
    exif[0x010F] = "A telephone of somebody"
    exif.get_ifd(0x8825)[1] = "N"
    made = read_picture(picture(exif=exif, comment=b"secret", dpi=(300, 300)), limit_mb=LIMIT_MB)
    assert (made.width, made.height) == (80, 120)
    image = opened(made.content)
    assert not dict(image.getexif())
    assert b"secret" not in made.content
    assert b"telephone" not in made.content
    top, bottom = image.getpixel((40, 10)), image.getpixel((40, 110))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert top[0] > 200 > bottom[0], "red was left and is on top now"


def test_text_in_a_png_and_what_follows_its_end_are_gone() -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Author", "somebody")
    content = picture("PNG", pnginfo=info) + b"<script>alert(1)</script>"
    made = read_picture(content, limit_mb=LIMIT_MB)
    assert b"somebody" not in made.content
    assert b"script" not in made.content


def test_a_very_large_picture_is_made_smaller() -> None:
    made = read_picture(picture(size=(LONGEST_SIDE + 904, 1000)), limit_mb=LIMIT_MB)
    assert made.width == LONGEST_SIDE
    assert made.height < 1000


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["JPEG", "PNG", "WEBP"]), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255))))
def test_a_damaged_file_is_either_read_or_refused(form: str, damage: list[tuple[int, int]]) -> None:
    content = bytearray(picture(form))
    for at, value in damage:
        content[at % len(content)] = value
    try:
        made = read_picture(bytes(content), limit_mb=LIMIT_MB)
    except InvalidInput:
        return
    opened(made.content)


def test_an_image_is_kept_once_audited_and_sent_with_its_bytes(vehicle: Node) -> None:
    consult = ask(vehicle)
    key = new_id()
    for _again in range(2):
        view = add_image(
            vehicle, World.doctor, consult.id, picture(), kind="wound", caption=" 左小腿 ", attachment_id=key
        )
    assert (view["id"], view["caption"], view["kind"]) == (key, "左小腿", "wound")
    assert len(stored(vehicle)) == 1
    with vehicle.store.read() as session:
        row = session.exec(select(Attachment)).one()
        kinds = [entry.kind for entry in session.exec(select(OutboxEntry)) if entry.kind in ("attachment", "blob")]
        assert kinds == ["attachment", "blob"]
        assert row.sha256 == stored(vehicle)[0].name
        entry = session.exec(select(AuditEntry).where(AuditEntry.entity == "attachment")).one()
        assert (entry.action, entry.patient_id) == ("create", World.patient_id)
        assert [image["here"] for image in images_of(vehicle, session, consult.id)] == [True]
    stored(vehicle)[0].unlink()
    with vehicle.store.read() as session:
        assert [image["here"] for image in images_of(vehicle, session, consult.id)] == [False]
    with pytest.raises(NotFound, match="not arrived"):
        read_image(vehicle, World.doctor, key)


def test_a_refused_image_leaves_nothing_behind(hub: Node) -> None:
    consult = accepted(hub)
    for content, kind in ((b"no image", "wound"), (picture(), "painting")):
        with pytest.raises(InvalidInput):
            add_image(hub, World.doctor, consult.id, content, kind=kind)
    assert not stored(hub)
    with hub.store.read() as session:
        assert not session.exec(select(Attachment)).all()


def test_who_may_add_and_see_images(hub: Node) -> None:
    consult = ask(hub)
    with pytest.raises(NotAllowed):
        add_image(hub, World.specialist, consult.id, picture())
    view = add_image(hub, World.doctor, consult.id, picture())
    read_image(hub, World.specialist, view["id"])
    take_step(hub, World.colleague, consult.id, Action.ACCEPT)
    with pytest.raises(NotAllowed):
        read_image(hub, World.specialist, view["id"])
    for stranger in (World.other_doctor, World.coordinator, World.administrator):
        with pytest.raises(NotAllowed):
            read_image(hub, stranger, view["id"], small=True)
    with pytest.raises(NotFound):
        read_image(hub, World.doctor, new_id())


def test_nothing_is_added_to_a_consult_that_is_over(hub: Node) -> None:
    consult = ask(hub)
    take_step(hub, World.doctor, consult.id, Action.WITHDRAW)
    with pytest.raises(Conflict):
        add_image(hub, World.doctor, consult.id, picture())


def test_a_thumbnail_of_a_transparent_picture_is_on_white(hub: Node) -> None:
    consult = accepted(hub)
    image = Image.new("RGBA", (600, 300), (0, 0, 0, 0))
    out = io.BytesIO()
    image.save(out, "PNG")
    view = add_image(hub, World.doctor, consult.id, out.getvalue())
    content, media_type = read_image(hub, World.doctor, view["id"], small=True)
    small = opened(content)
    assert (media_type, small.size) == ("image/jpeg", (320, 160))
    corner = small.getpixel((5, 5))
    assert isinstance(corner, tuple)
    assert min(corner) > 250


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\wound.jpg", "wound.jpg"),
        ("a<b>|c?.png", "abc.png"),
        ("\x00\x1f", ""),
        ("伤口.jpg", "伤口.jpg"),
        ("x" * 500, "x" * 120),
    ],
)
def test_a_filename_is_shown_and_means_nothing(name: str, kept: str) -> None:
    assert clean_filename(name) == kept
