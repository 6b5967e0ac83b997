"""Every private part of aiortc and aioice that the media room touches; nothing else may.

We use aiortc for ICE, DTLS and negotiation, and forward media ourselves. For that a worker needs:
its own codec and header-extension tables, senders and receivers that start no task and no decoder, sockets that it
binds and whose media datagrams it takes before ICE sees them, and the SRTP sessions that DTLS has made.
`tests/unit/media/test_aiortc_border.py` has a test for each, which fails when a new release moves them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, cast

import aiortc.rtcicetransport
import aiortc.rtcpeerconnection
from aioice import Candidate
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import Connection, StunProtocol
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCRtpTransceiver,
)
from aiortc.codecs import CODECS, HEADER_EXTENSIONS
from aiortc.rtcrtpparameters import (
    RTCRtcpFeedback,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpReceiveParameters,
    RTCRtpSendParameters,
)
from aiortc.sdp import SessionDescription

from teleconsult.media import _srtp, rtp
from teleconsult.media._udp import Burst, open_socket
from teleconsult.media.addresses import host_addresses
from teleconsult.media.port import Cipher

MAX_REMOTE_ADDRESSES: Final = 64
"""Addresses one browser may check from; more than any network change needs."""

MAX_QUEUE: Final = 256
"""DTLS datagrams that wait for their turn."""

START_KBPS: Final = "900"
"""What a picture starts with before its browser has measured; Chromium's own guess of 300 is 320 pixels wide."""


@dataclass(frozen=True, slots=True)
class Section:
    """One media section of a browser's description. SSRCs are None where it announces none."""

    mid: str
    kind: str
    direction: str
    rejected: bool
    ssrc: int | None
    rtx_ssrc: int | None


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What both sides agreed for one media section.

    `codecs` maps payload types to codec names ("opus", "vp8", "h264/42e01f"), `rtx` retransmission payload types
    to what they carry, `extensions` URIs to numbers.
    """

    mid: str
    direction: str
    codecs: dict[int, str]
    rtx: dict[int, int]
    nack: bool
    extensions: dict[str, int]


# -- codec tables ------------------------------------------------------------------------------------------


def _video(mime: str, number: int, parameters: dict[str, int | str | None]) -> list[RTCRtpCodecParameters]:
    feedback = [
        RTCRtcpFeedback("nack"),
        RTCRtcpFeedback("nack", "pli"),
        RTCRtcpFeedback("ccm", "fir"),
        RTCRtcpFeedback("goog-remb"),
        RTCRtcpFeedback("transport-cc"),
    ]
    parameters = {**parameters, "x-google-start-bitrate": START_KBPS}
    return [
        RTCRtpCodecParameters(f"video/{mime}", 90000, None, number, feedback, parameters),
        RTCRtpCodecParameters("video/rtx", 90000, None, number + 1, [], {"apt": number}),
    ]


def _h264(number: int, profile: str) -> list[RTCRtpCodecParameters]:
    return _video(
        "H264",
        number,
        {"level-asymmetry-allowed": "1", "packetization-mode": "1", "profile-level-id": profile},
    )


def install() -> None:
    """Make aiortc of this process a forwarder's: our codecs, our sockets, no encoders and no decoders.

    For a worker process only; it changes aiortc for everything in the process.
    """
    opus = RTCRtpCodecParameters(
        "audio/opus",
        48000,
        2,
        111,
        [RTCRtcpFeedback("nack")],
        {"minptime": 10, "useinbandfec": 1, "usedtx": "1", "maxaveragebitrate": "40000"},
    )
    CODECS["audio"][:] = [opus]
    CODECS["video"][:] = [
        *_video("VP8", 96, {}),
        *_h264(98, "42e01f"),
        *_h264(100, "42001f"),
    ]
    HEADER_EXTENSIONS["audio"][:] = _extensions({1: rtp.MID, 2: rtp.AUDIO_LEVEL})
    HEADER_EXTENSIONS["video"][:] = _extensions({1: rtp.MID, 3: rtp.ABS_SEND_TIME, 4: rtp.TRANSPORT_SEQUENCE})
    border = cast(Any, aiortc.rtcpeerconnection)
    border.RTCRtpSender = _SilentSender
    border.RTCRtpReceiver = _SilentReceiver
    cast(Any, aiortc.rtcicetransport).Connection = MediaConnection


def _extensions(numbers: dict[int, str]) -> list[RTCRtpHeaderExtensionParameters]:
    return [RTCRtpHeaderExtensionParameters(number, uri) for number, uri in numbers.items()]


class _SilentSender(RTCRtpSender):
    """Takes part in negotiation and sends nothing: downtracks do."""

    async def send(self, parameters: RTCRtpSendParameters) -> None:
        pass


class _SilentReceiver(RTCRtpReceiver):
    """Takes part in negotiation and decodes nothing: sources forward."""

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        pass


# -- sockets -----------------------------------------------------------------------------------------------


class _MediaProtocol(StunProtocol):
    """A media socket: media datagrams go to the port at once, the rest to ICE and DTLS if it has a place there."""

    receiver: MediaConnection
    _single: Final = Burst()
    """Where a datagram goes that did not come by the burst."""

    def media_received(self, burst: Burst, start: int, end: int) -> None:
        """Media datagrams of a burst."""
        self.receiver.on_media(burst, start, end)

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        assert isinstance(data, bytes)  # sockets bring nothing else
        first = data[0] if data else 255
        if 127 < first < 192:  # the loop's own transport sorts nothing
            self.receiver.on_media(self._single, 0, self._single.put(data))
            return
        try:
            if self.receiver.expects(first, (addr[0], addr[1])):
                super().datagram_received(data, addr)
                return
        except Exception:  # noqa: S110 - a forged STUN message costs itself, and is counted below
            pass
        self.receiver.refused += 1


class MediaConnection(Connection):
    """An ICE agent bound to configured addresses and ports.

    It never needs the browser's candidates: the browser checks towards us, so no description can make this
    process send to an address of somebody's choosing.
    """

    addresses: Sequence[str] = ()
    """Local addresses to bind; empty: those of the machine, or loopback where there is no other."""
    ports: tuple[int, int] | None = None
    """First and last UDP port to bind, or None for any."""

    def __init__(self, ice_controlling: bool, **options: Any) -> None:
        super().__init__(ice_controlling, **options)
        self.on_media: Callable[[Burst, int, int], None] = self._too_early
        self.refused = 0
        self.heard = monotonic()
        """When the browser last checked this path, in seconds of `time.monotonic`."""

    def _too_early(self, burst: Burst, start: int, end: int) -> None:
        self.refused += end - start

    def expects(self, first: int, addr: tuple[str, int]) -> bool:
        """Whether a datagram with that first byte has a place here: STUN, or DTLS from a checked address."""
        if first < 4:
            return len(self._remote_candidates) < MAX_REMOTE_ADDRESSES or self._knows(addr)
        return 19 < first < 64 and self._queue.qsize() < MAX_QUEUE and self._knows(addr)

    def _knows(self, addr: tuple[str, int]) -> bool:
        return any((one.host, one.port) == addr for one in self._remote_candidates)

    def check_incoming(self, message: Any, addr: tuple[str, int], protocol: StunProtocol) -> None:
        """An authenticated check of the browser."""
        self.heard = monotonic()
        if len(self._early_checks) >= MAX_QUEUE:
            self.refused += 1
            return
        super().check_incoming(message, addr, protocol)

    def data_received(self, data: bytes, component: int) -> None:
        """DTLS. What looked like STUN and was none comes here too, and goes no further."""
        if 19 < data[0] < 64:
            super().data_received(data, component)
        else:
            self.refused += 1

    def respond_error(
        self, request: Any, addr: tuple[str, int], protocol: StunProtocol, error_code: tuple[int, str]
    ) -> None:
        """Answer a role conflict; whoever cannot authenticate gets no answer, so that we reflect nothing."""
        if error_code[0] == 487:
            super().respond_error(request, addr, protocol, error_code)
        else:
            self.refused += 1

    async def get_component_candidates(self, component: int, addresses: list[str], timeout: int = 5) -> list[Candidate]:
        """Host candidates on the configured addresses and ports. Raises OSError if no port can be bound."""
        problem: OSError | None = None
        for place, address in enumerate(self.addresses or host_addresses()):
            try:
                protocol = await self._bind(address)
            except OSError as exc:
                problem = exc
                continue
            host, port = protocol.transport.get_extra_info("sockname")[:2]
            protocol.local_candidate = Candidate(
                foundation=candidate_foundation("host", "udp", host),
                component=component,
                transport="udp",
                priority=candidate_priority(component, "host", 65535 - place),
                host=host,
                port=port,
                type="host",
            )
            self._protocols.append(protocol)
        if not self._protocols:
            raise problem or OSError("no address to bind")
        return [protocol.local_candidate for protocol in self._protocols]

    async def _bind(self, address: str) -> _MediaProtocol:
        ports: Sequence[int] = (0,)
        if self.ports is not None:
            span = range(self.ports[0], self.ports[1] + 1)
            start = random.randrange(len(span))  # noqa: S311 - to find a free one soon, no secret
            ports = [*span[start:], *span[:start]]
        problem = OSError(f"no free UDP port between {ports[0]} and {ports[-1]}")
        for port in ports:
            try:
                return cast(_MediaProtocol, await open_socket(lambda: _MediaProtocol(self), (address, port)))
            except OSError as exc:
                problem = exc
        raise problem


# -- one connection ----------------------------------------------------------------------------------------


def new_connection() -> RTCPeerConnection:
    """A connection that carries all its media over one transport."""
    return RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))


def let_browser_control(transceiver: RTCRtpTransceiver) -> None:
    """Leave the choice of the network path to the browser, which knows when its network changes."""
    ice = transceiver.receiver.transport.transport
    ice._role_set = True
    ice._connection.ice_controlling = False


def connection_of(transceiver: RTCRtpTransceiver) -> MediaConnection:
    """The ICE agent below a transceiver."""
    return cast(MediaConnection, transceiver.receiver.transport.transport._connection)


def label_sender(transceiver: RTCRtpTransceiver, stream: str, track: str, ssrc: int, rtx_ssrc: int) -> None:
    """Set what our description will say of the stream sent here."""
    sender = transceiver.sender
    sender._stream_id = stream
    sender._track_id = track
    sender._ssrc = ssrc
    sender._rtx_ssrc = rtx_ssrc


def negotiated(transceiver: RTCRtpTransceiver) -> Negotiated:
    """What was agreed for this transceiver."""
    codecs: dict[int, str] = {}
    rtx: dict[int, int] = {}
    nack = False
    for codec in transceiver._codecs:
        number = codec.payloadType
        if number is None:
            continue
        apt = codec.parameters.get("apt")
        if codec.name.lower() == "rtx":
            if isinstance(apt, int):
                rtx[number] = apt
            continue
        nack = nack or any(one.type == "nack" and not one.parameter for one in codec.rtcpFeedback)
        codecs[number] = _codec_name(codec)
    extensions = {one.uri: one.id for one in transceiver._headerExtensions if 0 < one.id < 15}
    return Negotiated(transceiver.mid or "", transceiver.currentDirection or "inactive", codecs, rtx, nack, extensions)


def _codec_name(codec: RTCRtpCodecParameters) -> str:
    name = codec.name.lower()
    if name != "h264":
        return name
    return f"h264/{codec.parameters.get('profile-level-id', '')}".lower()


def read_sections(sdp: str) -> list[Section]:
    """The media sections of a description. Raises ValueError if it cannot be read, or names impossible streams."""
    try:
        parsed = SessionDescription.parse(sdp)
    except Exception as exc:  # aiortc's parser asserts, indexes and unpacks: any exception means unreadable
        raise ValueError(f"{type(exc).__name__}: {exc}") from exc
    sections = [
        Section(
            mid=media.rtp.muxId,
            kind=media.kind,
            direction=media.direction or "sendrecv",
            rejected=media.port == 0,
            ssrc=media.ssrc[0].ssrc if media.ssrc else None,
            rtx_ssrc=next(
                (
                    int(group.items[1])
                    for group in media.ssrc_group
                    if group.semantic == "FID" and len(group.items) == 2
                ),
                None,
            ),
        )
        for media in parsed.media
    ]
    streams = [ssrc for one in sections for ssrc in (one.ssrc, one.rtx_ssrc) if ssrc is not None]
    if not all(0 < ssrc < 1 << 32 for ssrc in streams):
        raise ValueError("a stream's number has 32 bits")
    return sections


def cipher(transceiver: RTCRtpTransceiver) -> Cipher:
    """The SRTP sessions that DTLS has made, and the way to the browser. Call when DTLS is connected."""
    dtls = transceiver.receiver.transport
    connection = connection_of(transceiver)
    return _srtp.cipher(dtls._rx_srtp, dtls._tx_srtp, connection._nominated)
