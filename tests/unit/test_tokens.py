"""The colours of web/css/tokens.css can be read: WCAG contrast, computed for the light and the dark theme."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CSS = Path(__file__).resolve().parents[2] / "web" / "css"
BODY, BORDER = 7.0, 3.0
TEXT_ON = {
    "paper": "ink ink-soft accent-ink danger warning ok",
    "ground": "ink ink-soft accent-ink",
    "paper-sunk": "ink ink-soft",
    "accent-wash": "ink ink-soft accent-ink",
    "danger-wash": "ink danger",
    "warning-wash": "ink warning",
    "ok-wash": "ink ok",
    "quiet-wash": "quiet",
    "accent": "ink-on-accent",
    "accent-hover": "ink-on-accent",
    "danger": "paper",
    "ink": "paper",
}
SHAPE_ON = {
    "paper": "line-strong warning-shape accent focus",
    "ground": "line-strong focus",
    "warning-wash": "warning-shape",
    "accent-wash": "danger",
}


def themes() -> dict[str, dict[str, str]]:
    css = (CSS / "tokens.css").read_text()
    blocks = dict(re.findall(r"^(:root|\.theme-dark) \{(.*?)^\}", css, re.MULTILINE | re.DOTALL))
    colours = {name: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", text)) for name, text in blocks.items()}
    return {"light": colours[":root"], "dark": colours[":root"] | colours[".theme-dark"]}


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance of sRGB."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_computed_as_the_standard_says() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_shapes_stand_out(theme: str) -> None:
    colours = themes()[theme]
    weak = [
        f"{text} on {ground}: {contrast(colours[text], colours[ground]):.2f}"
        for pairs, least in ((TEXT_ON, BODY), (SHAPE_ON, BORDER))
        for ground, texts in pairs.items()
        for text in texts.split()
        if contrast(colours[text], colours[ground]) < least
    ]
    assert weak == []


def test_both_themes_name_the_same_status_colours() -> None:
    found = themes()
    assert found["dark"].keys() == found["light"].keys()


def test_no_other_file_states_a_colour() -> None:
    # print.css is black on white by nature; the frame of a video is black.
    stated = re.compile(r"#[0-9a-f]{3,8}\b|\brgb\(|\bhsl\(", re.IGNORECASE)
    found = [
        f"{path.name}: {line.strip()}"
        for path in sorted(CSS.glob("*.css"))
        if path.name not in ("tokens.css", "print.css")
        for line in path.read_text().splitlines()
        if stated.search(line) and line.strip() != "background: #000;"
    ]
    assert found == []
