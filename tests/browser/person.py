"""People at their browsers: a Chromium each, with a camera of one colour and a microphone with one tone."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, Playwright

from teleconsult.demo import seed
from tests.browser.media_page import FLAGS, make_camera, make_microphone

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
  if (!video.videoWidth) return "";
  const canvas = Object.assign(document.createElement("canvas"), { width: 16, height: 16 });
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 16, 16);
  const [red, green, blue] = context.getImageData(8, 8, 1, 1).data;
  if (red > 150 && green < 110) return "red";
  if (green > 100 && red < 100 && blue < 100) return "green";
  return blue > 150 ? "blue" : "?";
});
"""


class Person:
    """Somebody logged in at a node."""

    def __init__(self, browser: Browser, base: str, username: str, viewport: dict[str, int]) -> None:
        self.base = base
        self.browser = browser
        context = browser.new_context(
            viewport=viewport, permissions=["camera", "microphone", "notifications"], locale="zh-CN"
        )
        context.add_init_script(WATCH_CONNECTIONS)
        context.set_default_timeout(20_000)
        self.errors: list[str] = []
        self.username = username
        PEOPLE.append(self)
        self.page: Page = context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.go("/login")
        self.page.fill("[name=username]", username)
        self.page.fill("[name=password]", seed.PASSWORD)
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

    def until(self, condition: Callable[[], object], what: str, timeout: float = 30.0) -> None:
        """Wait for something of this page; says what was waited for."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                sentence = self.page.locator("[data-call-sentence]").all_inner_texts()
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

    def sees_and_hears(self, *colours: str, timeout: float = 40.0) -> None:
        """Wait until exactly these pictures are shown, move, and sound comes with them."""
        self.until(lambda: self.colours() == sorted(colours), f"seeing {colours}, sees {self.colours()}", timeout)
        before = self.received()
        self.until(lambda: self.received()["frames"] > before["frames"] + 5, "more frames", timeout)
        self.until(lambda: self.received()["energy"] > before["energy"] + 1e-4, "more sound", timeout)


def photograph(test: str) -> None:
    """Keep what everybody sees now, for whoever looks into the failed test."""
    ARTIFACTS.mkdir(exist_ok=True)
    for person in PEOPLE:
        if person.browser.is_connected():
            person.page.screenshot(path=ARTIFACTS / f"{test}-{person.username}.png")


def launch(playwright: Playwright, folder: Path, colour: str, hertz: int) -> Browser:
    """A Chromium whose camera shows one colour and whose microphone hears one tone."""
    camera = make_camera(folder / f"{colour}.y4m", colour)
    microphone = make_microphone(folder / f"{colour}.wav", hertz)
    return playwright.chromium.launch(
        executable_path="/usr/bin/chromium",
        args=[
            *FLAGS,
            "--allow-loopback-in-peer-connection",
            f"--use-file-for-fake-video-capture={camera}",
            f"--use-file-for-fake-audio-capture={microphone}",
        ],
    )
