"""The servers that the media bench compares: our worker, Janus's video room, aiortc's relay.

Each is started as a process of its own and takes pairs: one publisher whose picture goes to one receiver.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Protocol
from urllib.request import Request, urlopen

from aiortc import RTCSessionDescription

from teleconsult.media import MediaConfig, MediaEvent, MediaWorkers, SignalOut, _aiortc
from teleconsult.media.worker import ask_for_priority
from tests.bench._media_load import Clip, Load, Publisher, Receiver, answer, connect, video_of

ADDRESS = _aiortc.host_addresses()[0]
"""Where all of them carry media: one of this machine's own addresses, so that nothing leaves it."""

NO_SUCH_FEED = 428


def free_port() -> int:
    """A TCP port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server(Protocol):
    """A media server under test."""

    pid: int

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def add_pair(self, load: Load, clip: Clip) -> None: ...


class OurWorker:
    """One media worker, commanded as the hub does."""

    def __init__(self) -> None:
        self.pid = 0
        self._loop = asyncio.get_running_loop()
        self._offers: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._workers = MediaWorkers(MediaConfig(workers=1, addresses=(ADDRESS,)), self._on_event)
        self._rooms = 0

    def _on_event(self, event: MediaEvent) -> None:
        if isinstance(event, SignalOut) and "description" in event.message:
            self._loop.call_soon_threadsafe(self._offers[event.peer].put_nowait, event.message["description"])

    async def start(self) -> None:
        await asyncio.to_thread(self._workers.start)
        while not self._workers.snapshot():
            await asyncio.sleep(0.05)
        self.pid = self._workers.snapshot()[0].pid

    async def stop(self) -> None:
        await asyncio.to_thread(self._workers.stop)

    async def add_pair(self, load: Load, clip: Clip) -> None:
        self._rooms += 1
        publisher = await self._publish(f"room-{self._rooms}", "a", load, clip, voice=False)
        receiver = Receiver(publisher)
        await self._join(f"room-{self._rooms}", "b", receiver.connection, None)
        receiver.connected(video_of(receiver.connection))
        load.receivers.append(receiver)

    async def add_consult(self, load: Load, clip: Clip) -> None:
        """Two who see and hear each other."""
        self._rooms += 1
        room = f"room-{self._rooms}"
        one, other = Publisher(clip, voice=True), Publisher(clip, voice=True)
        for name, publisher in (("a", one), ("b", other)):
            await self._join(room, name, publisher.connection, publisher)
            publisher.connected(video_of(publisher.connection))
            load.publishers.append(publisher)
        await self._follow(room, "a", one)
        for mine, theirs in ((one, other), (other, one)):
            receiver = Receiver(theirs)
            receiver.connection = mine.connection
            receiver.connected(video_of(mine.connection))
            load.receivers.append(receiver)

    async def _publish(self, room: str, name: str, load: Load, clip: Clip, voice: bool) -> Publisher:
        publisher = Publisher(clip, voice)
        await self._join(room, name, publisher.connection, publisher)
        publisher.connected(video_of(publisher.connection))
        load.publishers.append(publisher)
        return publisher

    async def _join(self, room: str, name: str, connection: Any, publish: Publisher | None) -> None:
        peer = f"{room}-{name}"
        self._offers[peer] = asyncio.Queue()
        self._workers.join(room, peer, name)
        offer = await self._offers[peer].get()
        sdp = await answer(connection, offer["sdp"], publish)
        self._workers.signal(room, peer, {"description": {"type": "answer", "sdp": sdp}})
        await connect(connection)

    async def _follow(self, room: str, name: str, publisher: Publisher) -> None:
        """Answer the offer that follows when another has joined."""
        offer = await self._offers[f"{room}-{name}"].get()
        sdp = await answer(publisher.connection, offer["sdp"], None)
        self._workers.signal(room, f"{room}-{name}", {"description": {"type": "answer", "sdp": sdp}})


class Janus:
    """Debian's Janus with its video room, over HTTP on loopback."""

    def __init__(self) -> None:
        self.pid = 0
        self._folder = tempfile.TemporaryDirectory()
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._rooms = 1000

    async def start(self) -> None:
        folder = Path(self._folder.name)
        root = next(Path("/usr/lib").glob("*/janus"))
        (folder / "janus.jcfg").write_text(
            f'general: {{ configs_folder = "{folder}" plugins_folder = "{root}/plugins" '
            f'transports_folder = "{root}/transports" events_folder = "{root}/events" '
            f'loggers_folder = "{root}/loggers" debug_level = 2 session_timeout = 600 }}\n'
            f'nat: {{ ice_enforce_list = "{ADDRESS}" }}\n'
            'plugins: { disable = "libjanus_audiobridge.so,libjanus_duktape.so,libjanus_echotest.so,libjanus_lua.so,'
            "libjanus_nosip.so,libjanus_recordplay.so,libjanus_sip.so,libjanus_streaming.so,libjanus_textroom.so,"
            'libjanus_videocall.so,libjanus_voicemail.so" }\n'
            'transports: { disable = "libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,libjanus_rabbitmq.so,'
            'libjanus_websockets.so" }\n'
        )
        (folder / "janus.transport.http.jcfg").write_text(
            f'general: {{ json = "compact" base_path = "/janus" http = true port = {self._port} ip = "127.0.0.1" }}\n'
        )
        (folder / "janus.plugin.videoroom.jcfg").write_text("general: { }\n")
        self._process = subprocess.Popen(
            ["/usr/bin/janus", "-F", str(folder), "-C", str(folder / "janus.jcfg")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=ask_for_priority,
        )
        self.pid = self._process.pid
        for _ in range(200):
            try:
                await self._post("", {"janus": "ping"})
                return
            except OSError:
                await asyncio.sleep(0.05)
        raise RuntimeError("Janus did not start")

    async def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            await asyncio.to_thread(self._process.wait)
        self._folder.cleanup()

    async def add_pair(self, load: Load, clip: Clip) -> None:
        self._rooms += 1
        room, publisher = self._rooms, Publisher(clip)
        session, handle = await self._attach()
        await self._message(
            session,
            handle,
            {"request": "create", "room": room, "publishers": 2, "videocodec": "vp8", "bitrate": 3_000_000},
        )
        await self._message(session, handle, {"request": "join", "ptype": "publisher", "room": room, "id": 1})
        await self._event(session)
        video = publisher.connection.addTransceiver("video", direction="sendonly")
        _aiortc.label_sender(video, "bench", "bench-video", publisher.ssrc, publisher.ssrc + 1)
        await publisher.connection.setLocalDescription(await publisher.connection.createOffer())
        offer = {"type": "offer", "sdp": publisher.connection.localDescription.sdp}
        await self._message(session, handle, {"request": "configure", "video": True}, offer)
        jsep = (await self._event(session))["jsep"]
        await publisher.connection.setRemoteDescription(RTCSessionDescription(jsep["sdp"], "answer"))
        await connect(publisher.connection)
        publisher.connected(video)
        load.publishers.append(publisher)
        await self._subscribe(load, publisher, room)

    async def _subscribe(self, load: Load, publisher: Publisher, room: int) -> None:
        receiver = Receiver(publisher)
        session, handle = await self._attach()
        join = {"request": "join", "ptype": "subscriber", "room": room, "streams": [{"feed": 1}]}
        jsep: dict[str, Any] = {}
        while not jsep:  # until Janus itself has noticed that the publisher is connected
            await self._message(session, handle, join)
            jsep = (await self._event(session)).get("jsep", {})
        sdp = await answer(receiver.connection, jsep["sdp"], None)
        await self._message(session, handle, {"request": "start"}, {"type": "answer", "sdp": sdp})
        await connect(receiver.connection)
        receiver.connected(video_of(receiver.connection))
        load.receivers.append(receiver)

    async def _attach(self) -> tuple[str, str]:
        session = f"/{(await self._post('', {'janus': 'create'}))['data']['id']}"
        attached = await self._post(session, {"janus": "attach", "plugin": "janus.plugin.videoroom"})
        return session, f"{session}/{attached['data']['id']}"

    async def _message(
        self, session: str, handle: str, body: dict[str, Any], jsep: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        message: dict[str, Any] = {"janus": "message", "body": body}
        if jsep is not None:
            message["jsep"] = jsep
        return await self._post(handle, message)

    async def _event(self, session: str) -> dict[str, Any]:
        """The plugin's next event of a session."""
        while True:
            event = await asyncio.to_thread(self._request, f"{session}?maxev=1", None)
            if event.get("janus") == "event":
                data = event["plugindata"]["data"]
                if "error" in data and data.get("error_code") != NO_SUCH_FEED:
                    raise RuntimeError(str(data))
                return event

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return await asyncio.to_thread(self._request, path, {**body, "transaction": "bench"})

    def _request(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"http://127.0.0.1:{self._port}/janus{path}", data)
        with urlopen(request, timeout=40) as response:
            found: dict[str, Any] = json.load(response)
            return found


class Relay:
    """aiortc's own MediaRelay: decodes each picture and encodes it again."""

    def __init__(self) -> None:
        self.pid = 0
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.bench._media_relay",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            limit=1 << 20,
            preexec_fn=ask_for_priority,
        )
        self.pid = self._process.pid
        await self._ask({"do": "ready"})

    async def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.wait()

    async def add_pair(self, load: Load, clip: Clip) -> None:
        publisher = Publisher(clip)
        video = publisher.connection.addTransceiver("video", direction="sendonly")
        _aiortc.label_sender(video, "bench", "bench-video", publisher.ssrc, publisher.ssrc + 1)
        await publisher.connection.setLocalDescription(await publisher.connection.createOffer())
        sdp = publisher.connection.localDescription.sdp
        reply = await self._ask({"do": "publish", "sdp": sdp})
        await publisher.connection.setRemoteDescription(RTCSessionDescription(reply["sdp"], "answer"))
        await connect(publisher.connection)
        publisher.connected(video)
        load.publishers.append(publisher)
        receiver = Receiver(publisher)
        reply = await self._ask({"do": "subscribe"})
        sdp = await answer(receiver.connection, reply["sdp"], None)
        await self._ask({"do": "start", "sdp": sdp})
        await connect(receiver.connection)
        receiver.connected(video_of(receiver.connection))
        load.receivers.append(receiver)

    async def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        reply: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return reply
