"""aiortc clients that hold calls through real media workers, in one asyncio loop of the test process."""

from __future__ import annotations

import asyncio
import fractions
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any

import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcconfiguration import RTCBundlePolicy
from av import AudioFrame, VideoFrame

from teleconsult.media import MediaConfig, MediaEvent, MediaWorkers, PeerState, RoomLost, SignalOut, SignalRefused


class Colour(MediaStreamTrack):
    """A small plain picture, fifteen times a second. `luma` tells whose it is."""

    kind = "video"

    def __init__(self, luma: int) -> None:
        super().__init__()
        self._luma = luma
        self._count = 0
        self._start = monotonic()

    async def recv(self) -> VideoFrame:
        await asyncio.sleep(max(0.0, self._start + self._count / 15 - monotonic()))
        frame = VideoFrame.from_ndarray(np.full((180, 160), self._luma, dtype=np.uint8), format="yuv420p")
        frame.pts, frame.time_base = self._count * 6000, fractions.Fraction(1, 90000)
        self._count += 1
        return frame


class Tone(MediaStreamTrack):
    """Twenty milliseconds of noise, fifty times a second."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._start = monotonic()
        self._samples = np.random.default_rng(1).integers(-8000, 8000, (1, 960), dtype=np.int16)

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(max(0.0, self._start + self._count / 50 - monotonic()))
        frame = AudioFrame.from_ndarray(self._samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, self._count * 960, fractions.Fraction(1, 48000)
        self._count += 1
        return frame


class Client:
    """One participant. `lumas` and `sounds` hold what came from each of the others."""

    def __init__(self, call: Call, room: str, peer: str, participant: str, luma: int) -> None:
        self.call = call
        self.room = room
        self.peer = peer
        self.participant = participant
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.connection.addTrack(Tone())
        self.connection.addTrack(Colour(luma))
        self.connection.on("track", self._on_track)
        self.lumas: list[int] = []
        self.sounds = 0
        self.descriptions = 0
        self.notices: list[Mapping[str, Any]] = []
        self.answers = True
        self.held: list[Mapping[str, Any]] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def receive(self, message: Mapping[str, Any]) -> None:
        if "notice" in message:
            self.notices.append(message["notice"])
            return
        if not self.answers:
            self.held.append(message)
            return
        description = message["description"]
        self.descriptions += 1
        await self.connection.setRemoteDescription(RTCSessionDescription(description["sdp"], description["type"]))
        if description["type"] == "offer":
            await self.connection.setLocalDescription(await self.connection.createAnswer())
            local = self.connection.localDescription
            self.call.workers.signal(self.room, self.peer, {"description": {"type": local.type, "sdp": local.sdp}})

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.ensure_future(self._consume(track)))

    async def _consume(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                if isinstance(frame, VideoFrame):
                    self.lumas.append(int(frame.to_ndarray(format="yuv420p")[60, 80]))
                elif isinstance(frame, AudioFrame) and np.abs(frame.to_ndarray().astype(int)).mean() > 500:
                    self.sounds += 1
        except MediaStreamError:
            pass

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.connection.close()


class Call:
    """Real workers, and the messages carried between them and the clients."""

    def __init__(self, config: MediaConfig) -> None:
        self.workers = MediaWorkers(config, self._on_event)
        self.events: list[MediaEvent] = []
        self.clients: dict[str, Client] = {}
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[MediaEvent] = asyncio.Queue()
        self._carrier: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Call:
        await asyncio.to_thread(self.workers.start)
        self._carrier = asyncio.create_task(self._carry())
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self.clients.values():
            await client.close()
        if self._carrier:
            self._carrier.cancel()
        await asyncio.to_thread(self.workers.stop)

    def _on_event(self, event: MediaEvent) -> None:
        self._loop.call_soon_threadsafe(self._queue.put_nowait, event)

    async def _carry(self) -> None:
        while True:
            event = await self._queue.get()
            self.events.append(event)
            if isinstance(event, SignalOut) and event.peer in self.clients:
                await self.clients[event.peer].receive(event.message)

    def join(self, room: str, peer: str, participant: str, luma: int) -> Client:
        client = self.clients[peer] = Client(self, room, peer, participant, luma)
        self.workers.join(room, peer, participant)
        return client

    def states(self, peer: str) -> list[str]:
        return [event.state for event in self.events if isinstance(event, PeerState) and event.peer == peer]

    def refusals(self, peer: str) -> list[str]:
        return [event.code for event in self.events if isinstance(event, SignalRefused) and event.peer == peer]

    def lost_rooms(self) -> list[str]:
        return [event.room for event in self.events if isinstance(event, RoomLost)]

    async def until(self, condition: Callable[[], bool], what: str, timeout: float = 15.0) -> None:
        deadline = monotonic() + timeout
        while not condition():
            if monotonic() > deadline:
                shown = [event for event in self.events if not isinstance(event, SignalOut)]
                raise AssertionError(f"not within {timeout} s: {what}; {shown[-12:]}")
            await asyncio.sleep(0.02)


def run(scenario: Callable[[Call], Awaitable[None]], config: MediaConfig | None = None) -> None:
    """Run a scenario against fresh workers."""

    async def main() -> None:
        async with Call(config or MediaConfig(workers=1)) as call:
            await scenario(call)

    asyncio.run(main())


def shows(client: Client, luma: int) -> Callable[[], bool]:
    """Whether the latest picture that came is of that brightness."""
    return lambda: bool(client.lumas) and abs(client.lumas[-1] - luma) < 12
