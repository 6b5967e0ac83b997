"""Browsers that hold a call through media workers, without the rest of the product.

Each participant is a browser of its own with its own fake camera (a plain colour) and microphone (a tone), and what
happened is read back from its page. For a Chromium the page is served from a route and signalling goes over a binding;
for a Firefox a small server of this process does both.
"""

from __future__ import annotations

import json
import math
import queue
import shlex
import struct
import threading
import time
import wave
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Route

from teleconsult.media import MediaConfig, MediaEvent, MediaWorkers, PeerState, RoomLost, SignalOut, SignalRefused
from teleconsult.media.addresses import host_addresses
from tests.browser.firefox import Firefox, Tab
from tests.support.netns import Machine

WEB = Path(__file__).parents[2] / "web" / "js"
ORIGIN = "http://localhost:9"
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]

COLOURS = {"red": (76, 85, 255), "green": (150, 44, 21), "blue": (29, 255, 107)}
"""Plain pictures, as Y, U, V."""

COLOURS_RGB = {"red": (254, 0, 0), "green": (0, 255, 1), "blue": (0, 0, 254)}
"""The same for a canvas."""

HARNESS = """
import { MediaPeer, VIDEO_CONSTRAINTS } from "/static/js/media/peer.js";
const log = [];
const videos = new Map();
let peer = null;
let local = null;
let name = 0;
function see({ participant, stream }) {
  const video = videos.get(participant) ?? document.body.appendChild(document.createElement("video"));
  videos.set(participant, video);
  Object.assign(video, { autoplay: true, srcObject: stream });
  void video.play().catch(() => undefined);
}
async function start() {
  local ??= await navigator.mediaDevices.getUserMedia({ video: VIDEO_CONSTRAINTS, audio: true });
  await join();
}
async function join() {
  const mine = await window.hubJoin();
  const next = new MediaPeer({ send: (message) => void window.hubSignal(mine, message), stream: local });
  name = mine;
  next.on("stream", see);
  next.on("gone", ({ participant }) => { videos.get(participant)?.remove(); videos.delete(participant); });
  next.on("state", ({ state }) => log.push(["state", state, performance.now()]));
  next.on("lost", ({ reason, rejoin }) => { log.push(["lost", reason]); if (rejoin && peer === next) void join(); });
  next.on("notice", (notice) => log.push(["notice", notice]));
  next.on("quality", (quality) => { window.call.quality = quality; log.push(["quality", quality]); });
  peer = next;
  window.call.peer = next;
  window.call.pc = null;
}
window.call = {
  log, videos, start, quality: null,
  receive(id, message) { if (id === name) peer.receive(message); },
  roomLost() { log.push(["room lost"]); peer.close(); void join(); },
  colour(participant) {
    const video = videos.get(participant);
    if (!video || !video.videoWidth || video.paused) return null;
    const canvas = Object.assign(document.createElement("canvas"), { width: 16, height: 16 });
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, 16, 16);
    const [red, green, blue] = context.getImageData(8, 8, 1, 1).data;
    if (red > 150 && green < 110) return "red";
    if (green > 100 && red < 100 && blue < 100) return "green";
    return blue > 150 ? "blue" : "?";
  },
};
// The connection itself is private to MediaPeer: statistics are read from the constructor's own object.
const Native = window.RTCPeerConnection;
window.connections = [];
window.RTCPeerConnection = class extends Native {
  constructor(...rest) { super(...rest); window.connections.push(this); }
};
window.stats = async () => {
  const pc = window.connections.at(-1);
  const out = { audioEnergy: 0, frames: 0, width: 0, height: 0, sentWidth: 0, sentHeight: 0, received: 0, sent: 0 };
  Object.assign(out, { samples: 0, concealed: 0 });
  for (const entry of (await pc.getStats()).values()) {
    if (entry.type === "inbound-rtp" && entry.kind === "audio") {
      out.audioEnergy += entry.totalAudioEnergy ?? 0;
      out.samples += entry.totalSamplesReceived ?? 0;
      out.concealed += (entry.concealedSamples ?? 0) - (entry.silentConcealedSamples ?? 0);
    }
    if (entry.type === "inbound-rtp" && entry.kind === "video") {
      out.frames += entry.framesDecoded ?? 0;
      out.width = Math.max(out.width, entry.frameWidth ?? 0);
      out.height = Math.max(out.height, entry.frameHeight ?? 0);
      out.received += entry.bytesReceived ?? 0;
    }
    if (entry.type === "outbound-rtp" && entry.kind === "video") {
      out.sentWidth = entry.frameWidth ?? 0;
      out.sentHeight = entry.frameHeight ?? 0;
      out.sent += entry.bytesSent ?? 0;
      out.target = entry.targetBitrate;
      out.limited = entry.qualityLimitationReason;
      out.nacks = entry.nackCount;
      out.plis = entry.pliCount;
    }
    if (entry.type === "candidate-pair" && entry.nominated) out.available = entry.availableOutgoingBitrate;
  }
  return out;
};
window.ready = true;
"""

HUB_OVER_HTTP = """
// One message after the other: their order counts.
let last = Promise.resolve();
const say = (path, words) => {
  last = last.then(() => fetch(path, { method: "POST", body: JSON.stringify(words) })).then((answer) => answer.json());
  return last;
};
window.hubJoin = () => say("/join", []);
window.hubSignal = (peer, message) => say("/signal", [peer, message]);
"""

FILM = """
// Firefox takes no film for its camera: what the camera would show is painted here, as make_camera() does.
const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  const stream = await ask({ audio: wanted.audio });
  const canvas = Object.assign(document.createElement("canvas"), { width: 1280, height: 720 });
  const context = canvas.getContext("2d", { alpha: false });
  const noise = context.createImageData(1280, 240);
  for (let at = 0, seed = 1; at < noise.data.length; at += 4) {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    const lighter = (seed >> 16) % 41 - 20;
    noise.data.set([...COLOUR.map((part) => part + lighter), 255], at);
  }
  const band = await createImageBitmap(noise);
  context.fillStyle = `rgb(${COLOUR})`;
  context.fillRect(0, 0, 1280, 720);
  let tick = 0;
  const paint = () => {
    requestAnimationFrame(paint);
    tick += 1;
    if (tick % 2) return; // screens show 60 pictures a second, cameras 30
    const [left, up] = [(tick * 977) % 1280, (tick * 131) % 120];
    for (const x of [left, left - 1280]) context.drawImage(band, 0, up, 1280, 120, x, 0, 1280, 120);
  };
  paint();
  for (const track of canvas.captureStream().getVideoTracks()) stream.addTrack(track);
  return stream;
};
"""


def make_camera(path: Path, colour: str, width: int = 1280, height: int = 720) -> Path:
    """A camera file of one plain colour with a moving bar, so that the encoder has something to do."""
    luma, u, v = COLOURS[colour]
    with path.open("wb") as out:
        out.write(f"YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420jpeg\n".encode())
        chroma = bytes([u]) * (width * height // 4) + bytes([v]) * (width * height // 4)
        noise = bytes((luma + (i * 7919 % 13) - 6) & 0xFF for i in range(4096))
        for frame in range(15):
            rows = bytearray(bytes([luma]) * (width * height))
            for row in range(height // 4):
                start = (row * 977 + frame * 131) % (len(noise) - width)
                rows[row * width : (row + 1) * width] = noise[start : start + width]
            out.write(b"FRAME\n" + bytes(rows) + chroma)
    return path


def make_microphone(path: Path, hertz: int) -> Path:
    """Four seconds of a tone."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(48000)
        samples = (int(12000 * math.sin(2 * math.pi * hertz * i / 48000)) for i in range(48000 * 4))
        out.writeframes(b"".join(struct.pack("<h", one) for one in samples))
    return path


class Hub:
    """What the web process is to the workers and the pages: carries messages, nothing else."""

    def __init__(self, config: MediaConfig, room: str = "consult") -> None:
        self.room = room
        self.events: list[MediaEvent] = []
        self.workers = MediaWorkers(config, self._on_event)
        self._outgoing: dict[str, queue.Queue[MediaEvent]] = {}
        self._peers: dict[str, str] = {}
        self._lock = threading.Lock()
        self._count = 0
        self.cut = False

    def _on_event(self, event: MediaEvent) -> None:
        with self._lock:
            self.events.append(event)
            if isinstance(event, RoomLost):
                targets = list(self._outgoing)
            elif isinstance(event, SignalOut):
                targets = [self._peers[event.peer]]
            else:
                targets = []
            for participant in targets:
                self._outgoing[participant].put(event)

    def join(self, participant: str) -> str:
        with self._lock:
            self._count += 1
            peer = f"peer-{self._count}"
            self._peers[peer] = participant
            self._outgoing.setdefault(participant, queue.Queue())
        self.workers.join(self.room, peer, participant)
        return peer

    def signal(self, peer: str, message: Mapping[str, Any]) -> None:
        if not self.cut:
            self.workers.signal(self.room, peer, message)

    def pending(self, participant: str) -> Iterator[MediaEvent]:
        while participant in self._outgoing and not self._outgoing[participant].empty():
            yield self._outgoing[participant].get()

    def states(self, participant: str) -> list[str]:
        return [
            event.state for event in self.events if isinstance(event, PeerState) and event.participant == participant
        ]

    def refusals(self) -> list[SignalRefused]:
        return [event for event in self.events if isinstance(event, SignalRefused)]


class Participant(ABC):
    """One browser in the call."""

    hub: Hub
    name: str
    page: Page | Tab
    console: list[str]

    @abstractmethod
    def start(self) -> None:
        """Open the page, or open it again, and join."""

    @abstractmethod
    def close(self) -> None:
        """End the browser."""

    def pump(self) -> None:
        """Deliver what the worker has to say."""
        for event in self.hub.pending(self.name):
            if isinstance(event, SignalOut):
                self.page.evaluate(
                    "([id, message]) => window.call?.receive(id, message)", [event.peer, dict(event.message)]
                )
            elif isinstance(event, RoomLost):
                self.page.evaluate("window.call?.roomLost()")

    def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = self.page.evaluate("window.stats()")
        return stats

    def colour(self, participant: str) -> str | None:
        colour: str | None = self.page.evaluate("(name) => window.call.colour(name)", participant)
        return colour

    def _open(self, address: str) -> None:
        self.page.goto(address)
        self.page.wait_for_function("window.ready")
        self.page.evaluate("window.call.start()")


class ChromiumParticipant(Participant):
    """A Chromium in the call."""

    page: Page

    def __init__(self, hub: Hub, name: str, browser: Browser) -> None:
        self.hub = hub
        self.name = name
        self.browser = browser
        self.context: BrowserContext = browser.new_context(permissions=["camera", "microphone"])
        self.console = []
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.console.append(message.text))
        self.page.on("pageerror", lambda error: self.console.append(f"error: {error}"))
        self.page.route(f"{ORIGIN}/**", self._serve)
        self.page.expose_function("hubJoin", lambda: hub.join(name))
        self.page.expose_function("hubSignal", hub.signal)

    def _serve(self, route: Route) -> None:
        body, kind = page_file(route.request.url.removeprefix(ORIGIN))
        route.fulfill(body=body, content_type=kind)

    def start(self) -> None:
        self._open(f"{ORIGIN}/")

    def close(self) -> None:
        self.browser.close()


class FirefoxParticipant(Participant):
    """A Firefox in the call. Without a `film` it shows what its own fake camera gives, which is of changing colour."""

    page: Tab

    def __init__(self, hub: Hub, name: str, *, film: bool = True) -> None:
        self.hub = hub
        self.name = name
        painted = FILM.replace("COLOUR", json.dumps(COLOURS_RGB[name])) if film else ""
        self.server = PageServer(hub, name, HUB_OVER_HTTP + painted)
        try:
            self.firefox = Firefox()
        except BaseException:
            self.server.close()
            raise
        self.page = self.firefox.open({"width": 1024, "height": 768})
        self.console = self.page.console

    def start(self) -> None:
        self._open(self.server.address)

    def close(self) -> None:
        self.firefox.stop()
        self.server.close()


class PageServer:
    """Serves the page to one participant's browser, and takes what it has to say to the hub.

    `before` is a script that runs before the page's own.
    """

    def __init__(self, hub: Hub, participant: str, before: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(*page_file(self.path, before))

            def do_POST(self) -> None:
                said = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if self.path == "/signal":
                    hub.signal(*said)
                self._answer(json.dumps(hub.join(participant) if self.path == "/join" else None), "application/json")

            def _answer(self, body: str, kind: str) -> None:
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                """Say nothing of each request."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://localhost:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def page_file(path: str, before: str = "") -> tuple[str, str]:
    """A file of the page and its type; `before` is a script that runs before the page's own."""
    if path.startswith("/static/js/"):
        return (WEB / path.removeprefix("/static/js/")).read_text(), "text/javascript"
    if path == "/harness.js":
        return HARNESS, "text/javascript"
    scripts = f'<script>{before}</script><script type="module" src="/harness.js"></script>'
    return f"<!doctype html><title>call</title>{scripts}", "text/html"


@contextmanager
def call_of(
    playwright: Playwright,
    hub: Hub,
    folder: Path,
    names: list[str],
    machines: Mapping[str, Machine] | None = None,
    firefoxes: Collection[str] = (),
) -> Iterator[list[Participant]]:
    """Browsers for these participants, each named after the colour it shows: Chromiums, but for the `firefoxes`.

    `machines` are those that some of them run on.
    """
    participants: list[Participant] = []
    try:
        for index, name in enumerate(names):
            machine = (machines or {}).get(name)
            if name in firefoxes:
                open_firefox = partial(FirefoxParticipant, hub, name)
                participants.append(machine.call(open_firefox) if machine else open_firefox())
                continue
            program = Path("/usr/bin/chromium")
            if machine:
                words = shlex.join(machine.command([str(program)]))
                program = folder / f"chromium-{name}"
                program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
                program.chmod(0o755)
            camera = make_camera(folder / f"{name}.y4m", name)
            microphone = make_microphone(folder / f"{name}.wav", 440 + 220 * index)
            browser = playwright.chromium.launch(
                executable_path=program,
                args=[
                    *FLAGS,
                    *(["--allow-loopback-in-peer-connection"] if host_addresses() == ["127.0.0.1"] else []),
                    f"--use-file-for-fake-video-capture={camera}",
                    f"--use-file-for-fake-audio-capture={microphone}",
                ],
            )
            participants.append(ChromiumParticipant(hub, name, browser))
        yield participants
    finally:
        for participant in participants:
            participant.close()


def until(people: Sequence[Participant], condition: Callable[[], bool], what: str, timeout: float = 20.0) -> None:
    """Carry messages until it is so."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        for one in people:
            one.pump()
            one.page.wait_for_timeout(20)
        if condition():
            return
    consoles = {one.name: one.console for one in people}
    logs = {one.name: one.page.evaluate("window.call?.log.filter(([kind]) => kind !== 'quality')") for one in people}
    raise AssertionError(f"not within {timeout} s: {what}; {consoles}; {logs}; {people[0].hub.refusals()}")


def sees(one: Participant, *others: str) -> Callable[[], bool]:
    """Whether the pictures received are the others'."""

    def condition() -> bool:
        return all(one.colour(other) == other for other in others)

    return condition


def advances(people: Sequence[Participant]) -> None:
    """Everybody's pictures and sound go on."""
    before = {one.name: one.stats() for one in people}

    def condition() -> bool:
        after = {one.name: one.stats() for one in people}
        return all(
            after[name]["frames"] > before[name]["frames"] + 10
            and after[name]["audioEnergy"] > before[name]["audioEnergy"]
            for name in after
        )

    until(people, condition, "frames and audio energy grow")


def rich(people: Sequence[Participant], bits_per_second: float = 1_200_000) -> Callable[[], bool]:
    """Whether everybody gets pictures of at least so many bit/s, over two seconds; to be asked again and again."""
    rates: dict[str, float] = {}
    last = {one.name: (one.stats()["received"], time.monotonic()) for one in people}

    def condition() -> bool:
        for one in people:
            octets, at = last[one.name]
            if time.monotonic() - at >= 2:
                received = one.stats()["received"]
                rates[one.name] = 8 * (received - octets) / (time.monotonic() - at)
                last[one.name] = (received, time.monotonic())
        return len(rates) == len(people) and min(rates.values()) >= bits_per_second

    return condition
