"""Media load: publishers that send a real 720p VP8 stream, receivers that time what arrives.

Everything runs in the process of the bench, apart from the server under test. Packets are made once and sent
again and again, so that the load costs little; receivers report as Chromium does (receiver report each second,
bandwidth estimate five times a second).
"""

from __future__ import annotations

import asyncio
import fractions
import heapq
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter, time, time_ns

import numpy as np
from aiortc import RTCPeerConnection, RTCRtpTransceiver, RTCSessionDescription
from av import CodecContext, VideoFrame
from av.video.codeccontext import VideoCodecContext

from teleconsult.media import _aiortc, rtcp, rtp
from teleconsult.media._udp import Burst

FRAME_RATE = 30
BITRATE = 1_500_000
MTU = 1100

GRAIN = 6
"""How much a picture differs from the last beside its movement; makes the encoder use its bit rate evenly."""

Exchange = Callable[[str, str], Awaitable[tuple[str, str]]]


class Clip:
    """Five seconds of VP8 as RTP payloads, frame by frame; it begins with its only keyframe."""

    def __init__(self) -> None:
        self.frames: list[list[bytes]] = []
        encoder = CodecContext.create("libvpx", "w")
        assert isinstance(encoder, VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt = 1280, 720, "yuv420p"
        encoder.time_base = fractions.Fraction(1, FRAME_RATE)
        encoder.framerate = fractions.Fraction(FRAME_RATE)
        encoder.bit_rate = BITRATE
        encoder.gop_size = 1000
        encoder.options = {
            "deadline": "realtime",
            "cpu-used": "8",
            "lag-in-frames": "0",
            "minrate": str(BITRATE),
            "maxrate": str(BITRATE),
            "bufsize": str(BITRATE // 2),
        }
        random_source = np.random.default_rng(1)
        coarse = random_source.integers(90, 150, (27, 32)).astype(np.uint8)
        smooth = np.kron(coarse, np.ones((40, 40), dtype=np.uint8))
        for number in range(5 * FRAME_RATE):
            grain = random_source.integers(0, GRAIN, (1080, 1280), dtype=np.uint8)
            picture = np.roll(smooth, 2 * number, axis=1) + grain
            frame = VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts = number
            for packet in encoder.encode(frame):
                self.frames.append(self._payloads(bytes(packet), len(self.frames)))
        self.index = {payload: (f, p) for f, frame in enumerate(self.frames) for p, payload in enumerate(frame)}

    @staticmethod
    def _payloads(frame: bytes, number: int) -> list[bytes]:
        picture = bytes((0x80, 0x80 | number >> 8, number & 0xFF))
        return [
            bytes((0x80 | (0x10 if at == 0 else 0),)) + picture + frame[at : at + MTU]
            for at in range(0, len(frame), MTU)
        ]


class Publisher:
    """Sends the clip over and over. `sent` holds when each payload was last sent."""

    def __init__(self, clip: Clip, voice: bool = False) -> None:
        self.clip = clip
        self.connection = _aiortc.new_connection()
        self.sent: dict[tuple[int, int], int] = {}
        self.packets = 0
        self.ssrc = random.getrandbits(31)
        self.voice_ssrc = random.getrandbits(31)
        self._voice = voice
        self._cipher: _aiortc.Cipher | None = None
        self._sequence = random.getrandbits(14)
        self._voice_sequence = random.getrandbits(14)
        self._transport_sequence = 0
        self._frame = 0
        self._type = 96
        self._transport_id = 0
        self._abs_id = 0

    def connected(self, video: RTCRtpTransceiver) -> None:
        terms = _aiortc.negotiated(video)
        self._type = next(number for number, name in terms.codecs.items() if name == "vp8")
        self._transport_id = terms.extensions.get(rtp.TRANSPORT_SEQUENCE, 0)
        self._abs_id = terms.extensions.get(rtp.ABS_SEND_TIME, 0)
        self._cipher = _aiortc.cipher(video)

    def send_frame(self) -> None:
        """Send the next picture."""
        cipher = self._cipher
        assert cipher is not None
        number = self._frame % len(self.clip.frames)
        payloads = self.clip.frames[number]
        timestamp = (self._frame * (90000 // FRAME_RATE)) & 0xFFFFFFFF
        self._frame += 1
        for place, payload in enumerate(payloads):
            elements: list[tuple[int, bytes]] = []
            if self._abs_id:
                elements.append((self._abs_id, rtp.abs_send_time(perf_counter()).to_bytes(3, "big")))
            if self._transport_id:
                elements.append((self._transport_id, (self._transport_sequence & 0xFFFF).to_bytes(2, "big")))
                self._transport_sequence += 1
            head = rtp.HEADER.pack(
                0x90 if elements else 0x80,
                (0x80 if place == len(payloads) - 1 else 0) | self._type,
                self._sequence & 0xFFFF,
                timestamp,
                self.ssrc,
            )
            self._sequence += 1
            packet = head + (rtp.extension_block(elements) if elements else b"") + payload
            self.sent[number, place] = time_ns()
            cipher.way.send(packet, b"")
            self.packets += 1

    def send_voice(self) -> None:
        """Send twenty milliseconds of voice."""
        assert self._cipher is not None
        timestamp = (self._voice_sequence * 960) & 0xFFFFFFFF
        head = rtp.HEADER.pack(0x80, 111, self._voice_sequence & 0xFFFF, timestamp, self.voice_ssrc)
        self._voice_sequence += 1
        self._cipher.way.send(head, bytes(90))
        self.packets += 1

    def send_report(self) -> None:
        """Send a sender report."""
        assert self._cipher is not None
        ntp = int((time() + 2_208_988_800) * (1 << 32))
        timestamp = (self._frame * (90000 // FRAME_RATE)) & 0xFFFFFFFF
        report = rtcp.SenderReport(self.ssrc, ntp, timestamp, self.packets & 0xFFFFFFFF, 0)
        self._cipher.send_rtcp(rtcp.sender_report(report) + rtcp.description(self.ssrc, "bench"))


class Receiver:
    """Times what arrives from one publisher. `delays` are in nanoseconds, up to the kernel's time of arrival."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self.connection = _aiortc.new_connection()
        self.delays: list[int] = []
        self.packets = 0
        self.pictures = 0
        self._cipher: _aiortc.Cipher | None = None
        self._highest = 0
        self._ssrc = 0

    def connected(self, video: RTCRtpTransceiver) -> None:
        self._cipher = _aiortc.cipher(video)
        _aiortc.connection_of(video).on_media = self._take

    def _take(self, burst: Burst, start: int, end: int) -> None:
        for number in range(start, end):
            if 192 <= burst.datagram(number)[1] < 224:
                continue
            assert self._cipher is not None
            assert self._cipher.open(burst.slots[number], burst.lengths[number]) == 0
            packet = burst.datagram(number)
            self.packets += 1
            self.pictures += packet[1] >> 7
            self._highest, self._ssrc = packet[2] << 8 | packet[3], int.from_bytes(packet[8:12], "big")
            key = self.publisher.clip.index.get(packet[rtp.payload_offset(packet) :])
            if key is not None:
                self.delays.append(burst.arrived(number) - self.publisher.sent[key])

    def send_report(self) -> None:
        """Send a receiver report."""
        if self._ssrc and self._cipher is not None:
            block = rtcp.Block(self._ssrc, 0, 0, self._highest, 50, 0, 0)
            self._cipher.send_rtcp(rtcp.receiver_report(1, [block]))

    def send_estimate(self) -> None:
        """Send a bandwidth estimate that holds nobody back."""
        if self._ssrc and self._cipher is not None:
            self._cipher.send_rtcp(rtcp.receiver_report(1) + rtcp.remb(1, 2_500_000, [self._ssrc]))


class Load:
    """All publishers and receivers of one run, driven by one schedule.

    `late` holds by how many seconds it was late: it tells whether this machine had time for the measurement.
    """

    def __init__(self) -> None:
        self.publishers: list[Publisher] = []
        self.receivers: list[Receiver] = []
        self.late: list[float] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    def pause(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def clear(self) -> None:
        """Forget what was measured so far."""
        self.late.clear()
        for receiver in self.receivers:
            receiver.delays.clear()
            receiver.packets = receiver.pictures = 0

    async def stop(self) -> None:
        self.pause()
        for one in (*self.publishers, *self.receivers):
            await one.connection.close()

    async def _run(self) -> None:
        now = perf_counter()
        due: list[tuple[float, int, float, Callable[[], None]]] = []
        for number, publisher in enumerate(self.publishers):
            phase = number / max(1, len(self.publishers))
            due.append((now + phase / FRAME_RATE, len(due), 1 / FRAME_RATE, publisher.send_frame))
            due.append((now + phase, len(due), 1.0, publisher.send_report))
            if publisher._voice:
                due.append((now + phase / 50, len(due), 1 / 50, publisher.send_voice))
        for number, receiver in enumerate(self.receivers):
            phase = number / len(self.receivers)
            due.append((now + phase, len(due), 1.0, receiver.send_report))
            due.append((now + phase / 5, len(due), 1 / 5, receiver.send_estimate))
        heapq.heapify(due)
        while True:
            at, number, interval, act = due[0]
            wait = at - perf_counter()
            await asyncio.sleep(max(0.0, wait))
            self.late.append(perf_counter() - at)
            act()
            heapq.heapreplace(due, (at + interval, number, interval, act))


async def connect(connection: RTCPeerConnection) -> None:
    """Wait until media can flow."""
    for _ in range(1000):
        if connection.connectionState == "connected":
            return
        await asyncio.sleep(0.02)
    raise RuntimeError(f"not connected: {connection.connectionState}")


async def answer(connection: RTCPeerConnection, sdp: str, publish: Publisher | None) -> str:
    """Answer a server's offer, publishing on its first section of each kind if there is something to publish."""
    await connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
    if publish is not None:
        for kind, ssrc in (("audio", publish.voice_ssrc), ("video", publish.ssrc)):
            transceiver = next((one for one in connection.getTransceivers() if one.kind == kind), None)
            if transceiver is not None and (kind == "video" or publish._voice):
                transceiver.direction = "sendonly"
                _aiortc.label_sender(transceiver, "bench", f"bench-{kind}", ssrc, random.getrandbits(31))
    await connection.setLocalDescription(await connection.createAnswer())
    local: str = connection.localDescription.sdp
    return local


def video_of(connection: RTCPeerConnection) -> RTCRtpTransceiver:
    """The transceiver whose transport carries everything."""
    return next(one for one in connection.getTransceivers() if one.kind == "video")


def cpu_seconds(pid: int) -> float:
    """CPU seconds a process has used, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def memory_mb(pid: int) -> float:
    """Resident megabytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / (1 << 20)
