"""People at their browsers: mostly a Chromium each, with a camera of one colour and a microphone with one tone."""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Locator, Page, Playwright

from teleconsult.demo import seed
from tests.browser.firefox import Firefox, Tab
from tests.browser.media_page import FLAGS, make_microphone

TABLET = {"width": 1024, "height": 768}
DESKTOP = {"width": 1366, "height": 768}

ARTIFACTS = Path(__file__).parents[1] / "artifacts"

PEOPLE: list[Person] = []
"""Everybody logged in, so that a failed test can show what they saw."""

WATCH_CONNECTIONS = """
const Native = window.RTCPeerConnection;
window.connections = [];
window.RTCPeerConnection = class extends Native {
  constructor(...rest) { super(...rest); window.connections.push(this); }
};
window.received = async () => {
  const sum = { frames: 0, energy: 0, width: 0 };
  for (const pc of window.connections) {
    if (pc.connectionState === "closed") continue;
    for (const entry of (await pc.getStats()).values()) {
      if (entry.type !== "inbound-rtp") continue;
      if (entry.kind === "video") {
        sum.frames += entry.framesDecoded ?? 0;
        sum.width = Math.max(sum.width, entry.frameWidth ?? 0);
      } else sum.energy += entry.totalAudioEnergy ?? 0;
    }
  }
  return sum;
};
window.colours = () => [...document.querySelectorAll("[data-call-tiles] video")].map((video) => {
  if (!video.videoWidth || video.paused) return "";
  const canvas = Object.assign(document.createElement("canvas"), { width: 16, height: 16 });
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 16, 16);
  const [red, green, blue] = context.getImageData(2, 2, 1, 1).data;
  if (red > green + 30 && red > blue + 30) return "red";
  if (green > red + 20 && green > blue + 20) return "green";
  return blue > red + 30 && blue > green + 20 ? "blue" : "?";
});
"""

SEND = """async ([path, form]) => {
  const { csrf_token } = await (await fetch("/login.json")).json();
  const body = new URLSearchParams({ ...form, csrf_token });
  const answer = await fetch(path, { method: "POST", body, redirect: "manual" });
  return answer.ok || answer.type === "opaqueredirect";
}"""
"""Not by Playwright's own client: it knows nothing of the authorities that the browser trusts."""


class Caller:
    """Somebody in a call, by whatever browser: what is seen and heard."""

    page: Page | Tab
    errors: list[str]

    def until(self, condition: Callable[[], object], what: str, timeout: float = 60.0) -> None:
        """Wait for something of this page; says what was waited for."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                sentence = self.page.evaluate("document.querySelector('[data-call-sentence]')?.innerText")
                raise AssertionError(f"not within {timeout} s: {what}; {sentence}; {self.errors}; {self.received()}")
            self.page.wait_for_timeout(50)

    def received(self) -> dict[str, Any]:
        """Frames decoded, audio energy and picture width over all connections of this page."""
        received: dict[str, Any] = self.page.evaluate("window.received()")
        return received

    def colours(self) -> list[str]:
        """The colours of the others' pictures."""
        colours: list[str] = self.page.evaluate("window.colours()")
        return sorted(colours)

    def sees_and_hears(self, *colours: str, timeout: float = 90.0) -> None:
        """Wait until exactly these pictures are shown, move, and sound comes with them."""
        self.until(lambda: self.colours() == sorted(colours), f"seeing {colours}, sees {self.colours()}", timeout)
        self.is_alive(timeout)

    def is_alive(self, timeout: float = 90.0) -> None:
        """Wait until there are more pictures and more sound."""
        before = self.received()
        self.until(lambda: self.received()["frames"] > before["frames"] + 5, "more frames", timeout)
        self.until(lambda: self.received()["energy"] > before["energy"] + 1e-4, "more sound", timeout)


class Person(Caller):
    """Somebody logged in at a node with a Chromium."""

    page: Page

    def __init__(
        self, browser: Browser, base: str, username: str, viewport: dict[str, int], password: str = seed.PASSWORD
    ) -> None:
        self.base = base
        self.browser = browser
        context = browser.new_context(
            viewport=viewport, permissions=["camera", "microphone", "notifications"], locale="zh-CN"
        )
        context.add_init_script(WATCH_CONNECTIONS)
        context.set_default_timeout(60_000)
        self.errors = []
        self.username = username
        PEOPLE.append(self)
        self.page = context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.go("/login")
        self.page.fill("[name=username]", username)
        self.page.fill("[name=password]", password)
        self.page.press("[name=password]", "Enter")
        self.page.wait_for_url(re.compile(r"^(?!.*/login)"))

    def go(self, path: str) -> None:
        """Open a page of this person's node."""
        self.page.goto(self.base + path)

    def find(self, selector: str) -> Locator:
        """The first element of a selector."""
        return self.page.locator(selector).first

    def press(self, selector: str) -> None:
        """Click the first element of a selector."""
        self.find(selector).click()

    def send(self, path: str, form: Mapping[str, str]) -> bool:
        """Send a form to this person's node without its page, in a window of its own; whether it was taken."""
        window = self.page.context.new_page()
        try:
            window.goto(self.base + "/login.json")
            return bool(window.evaluate(SEND, [path, dict(form)]))
        finally:
            window.close()


class FirefoxPerson(Caller):
    """Somebody logged in at a node with a Firefox. Its camera is Firefox's own, whose colour changes."""

    page: Tab

    def __init__(self, firefox: Firefox, base: str, username: str, viewport: dict[str, int], password: str) -> None:
        self.base = base
        self.page = firefox.open(viewport)
        self.errors = self.page.errors
        self.page.add_init_script(WATCH_CONNECTIONS)
        self.go("/login")
        self.page.fill("[name=username]", username)
        self.page.fill("[name=password]", password + "\n")
        self.page.wait_for_function("!location.pathname.startsWith('/login')")

    def go(self, path: str) -> None:
        """Open a page of this person's node."""
        self.page.goto(self.base + path)

    def text(self, selector: str) -> str:
        """What the first element of a selector says; "" where there is none, or where it is not shown."""
        element = f"document.querySelector({json.dumps(selector)})"
        text: str = self.page.evaluate(f"{element}?.checkVisibility() ? {element}.innerText.trim() : ''")
        return text


def photograph(test: str) -> None:
    """Keep what everybody sees now, for whoever looks into the failed test."""
    ARTIFACTS.mkdir(exist_ok=True)
    for person in PEOPLE:
        if person.browser.is_connected():
            person.page.screenshot(path=ARTIFACTS / f"{test}-{person.username}.png")


WALLS = {"red": (196, 92, 80), "green": (84, 150, 104), "blue": (84, 112, 186)}
"""The wall behind each person tells who it is."""


def make_portrait(path: Path, colour: str, width: int = 1280, height: int = 720) -> Path:
    """A camera file: somebody in a white coat before a wall of one colour, swaying a little."""
    with path.open("wb") as out:
        out.write(f"YUV4MPEG2 W{width} H{height} F15:1 Ip A1:1 C420jpeg\n".encode())
        for frame in range(30):
            picture = _portrait(WALLS[colour], width, height, round(14 * math.sin(frame / 30 * 2 * math.pi)))
            luma, blue, red = picture.convert("YCbCr").split()
            half = (width // 2, height // 2)
            out.write(b"FRAME\n" + luma.tobytes() + blue.resize(half).tobytes() + red.resize(half).tobytes())
    return path


def _portrait(wall: tuple[int, int, int], width: int, height: int, sway: int) -> Image.Image:
    picture = Image.new("RGB", (width, height), wall)
    draw = ImageDraw.Draw(picture)
    middle = width // 2 + sway
    lighter = tuple(min(255, part + 24) for part in wall)
    draw.rectangle((width * 3 // 4, 60, width - 70, height * 3 // 5), fill=lighter)
    draw.rounded_rectangle((middle - 300, 500, middle + 300, height + 200), 130, fill=(242, 245, 246))
    draw.polygon(((middle - 60, 490), (middle + 60, 490), (middle, 660)), fill=(120, 170, 190))
    draw.rectangle((middle - 48, 400, middle + 48, 530), fill=(214, 172, 142))
    draw.ellipse((middle - 135, 120, middle + 135, 450), fill=(42, 38, 36))
    draw.ellipse((middle - 118, 170, middle + 118, 470), fill=(228, 190, 160))
    for side in (-46, 46):
        draw.ellipse((middle + side - 11, 300, middle + side + 11, 318), fill=(40, 36, 34))
    draw.arc((middle - 44, 350, middle + 44, 410), 20, 160, fill=(160, 92, 82), width=6)
    return picture


def launch(
    playwright: Playwright,
    folder: Path,
    colour: str,
    hertz: int,
    *,
    home: Path | None = None,
    names: Mapping[str, str] | None = None,
    camera: Path | None = None,
) -> Browser:
    """A Chromium whose camera shows one colour and whose microphone hears one tone.

    `home` is the home folder whose trusted authorities it uses; None for this machine's own. `names` are resolved to
    these addresses without asking anybody. `camera` is another film for the camera.
    """
    camera = camera or make_portrait(folder / f"{colour}.y4m", colour)
    microphone = make_microphone(folder / f"{colour}.wav", hertz)
    return playwright.chromium.launch(
        executable_path="/usr/bin/chromium",
        env={**os.environ, "HOME": str(home)} if home else None,
        args=[
            *FLAGS,
            "--host-resolver-rules=" + ",".join(f"MAP {name} {address}" for name, address in (names or {}).items()),
            "--allow-loopback-in-peer-connection",
            f"--use-file-for-fake-video-capture={camera}",
            f"--use-file-for-fake-audio-capture={microphone}",
        ],
    )
