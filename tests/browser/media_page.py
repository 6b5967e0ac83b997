"""Chromiums that hold a call through media workers, without the rest of the product.

Each participant is a browser of its own with its own fake camera (a plain colour) and microphone (a tone). The
page is served from a route, signalling goes over a binding, and what happened is read back from the page.
"""

from __future__ import annotations

import math
import queue
import struct
import threading
import wave
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Route

from teleconsult.media import MediaConfig, MediaEvent, MediaWorkers, PeerState, RoomLost, SignalOut, SignalRefused
from teleconsult.media.addresses import host_addresses

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
    if (!video || !video.videoWidth) return null;
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


class Participant:
    """One Chromium in the call."""

    def __init__(self, hub: Hub, name: str, browser: Browser) -> None:
        self.hub = hub
        self.name = name
        self.browser = browser
        self.context: BrowserContext = browser.new_context(permissions=["camera", "microphone"])
        self.console: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda message: self.console.append(message.text))
        self.page.on("pageerror", lambda error: self.console.append(f"error: {error}"))
        self.page.route(f"{ORIGIN}/**", self._serve)
        self.page.expose_function("hubJoin", lambda: hub.join(name))
        self.page.expose_function("hubSignal", hub.signal)

    def _serve(self, route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        if path.startswith("/static/js/"):
            route.fulfill(body=(WEB / path.removeprefix("/static/js/")).read_text(), content_type="text/javascript")
        elif path == "/harness.js":
            route.fulfill(body=HARNESS, content_type="text/javascript")
        else:
            route.fulfill(
                body='<!doctype html><title>call</title><script type="module" src="/harness.js"></script>',
                content_type="text/html",
            )

    def start(self) -> None:
        """Open the page and join."""
        self.page.goto(f"{ORIGIN}/")
        self.page.wait_for_function("window.ready")
        self.page.evaluate("window.call.start()")

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

    def close(self) -> None:
        self.browser.close()


@contextmanager
def call_of(
    playwright: Playwright, hub: Hub, folder: Path, names: list[str], programs: Mapping[str, Path] | None = None
) -> Iterator[list[Participant]]:
    """Chromiums for these participants, each named after the colour it shows; `programs` run some of them."""
    participants: list[Participant] = []
    try:
        for index, name in enumerate(names):
            camera = make_camera(folder / f"{name}.y4m", name)
            microphone = make_microphone(folder / f"{name}.wav", 440 + 220 * index)
            browser = playwright.chromium.launch(
                executable_path=(programs or {}).get(name, Path("/usr/bin/chromium")),
                args=[
                    *FLAGS,
                    *(["--allow-loopback-in-peer-connection"] if host_addresses() == ["127.0.0.1"] else []),
                    f"--use-file-for-fake-video-capture={camera}",
                    f"--use-file-for-fake-audio-capture={microphone}",
                ],
            )
            participants.append(Participant(hub, name, browser))
        yield participants
    finally:
        for participant in participants:
            participant.close()
