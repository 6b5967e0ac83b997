"""Every private part of aiortc, aioice and pylibsrtp that `_aiortc` touches, one test each.

When one fails after an upgrade, its name says what moved; mend `teleconsult/media/_aiortc.py` and nothing else.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import aioice.ice
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from pylibsrtp import Policy, Session

from teleconsult.media import _aiortc, _srtp, rtp
from teleconsult.media._udp import Burst
from teleconsult.media.peer import announce


async def connect() -> tuple[RTCPeerConnection, RTCPeerConnection]:
    """Two connections of this process, one offering as a worker does and one that publishes."""
    worker, browser = _aiortc.new_connection(), _aiortc.new_connection()
    audio = worker.addTransceiver("audio", direction="recvonly")
    worker.addTransceiver("video", direction="recvonly")
    _aiortc.let_browser_control(audio)
    for kind in ("audio", "video"):
        browser.addTransceiver(kind, direction="sendonly")
    await worker.setLocalDescription(await worker.createOffer())
    offer = worker.localDescription
    await browser.setRemoteDescription(RTCSessionDescription(announce(offer.sdp, ()), offer.type))
    await browser.setLocalDescription(await browser.createAnswer())
    await worker.setRemoteDescription(browser.localDescription)
    for _ in range(500):
        if worker.connectionState == browser.connectionState == "connected":
            return worker, browser
        await asyncio.sleep(0.02)
    raise AssertionError(f"not connected: {worker.connectionState}, {browser.connectionState}")


def with_connections(check: Callable[[RTCPeerConnection, RTCPeerConnection], Awaitable[None]]) -> None:
    async def main() -> None:
        worker, browser = await connect()
        try:
            await check(worker, browser)
        finally:
            await browser.close()
            await worker.close()

    asyncio.run(main())


def test_offer_is_made_from_our_tables(installed: None) -> None:
    async def main() -> str:
        connection = _aiortc.new_connection()
        connection.addTransceiver("audio", direction="recvonly")
        connection.addTransceiver("video", direction="recvonly")
        sdp: str = (await connection.createOffer()).sdp
        await connection.close()
        return sdp

    sdp = asyncio.run(main())
    for line in (
        "a=rtpmap:111 opus/48000/2",
        "a=rtpmap:96 VP8/90000",
        "a=rtpmap:97 rtx/90000",
        "a=rtcp-fb:96 transport-cc",
        "a=rtcp-fb:96 goog-remb",
        "a=rtcp-fb:111 nack",
        f"a=extmap:4 {rtp.TRANSPORT_SEQUENCE}",
    ):
        assert line in sdp
    assert "useinbandfec=1" in sdp
    assert "PCMU" not in sdp


def test_senders_and_receivers_are_ours_and_start_nothing(installed: None) -> None:
    async def check(worker: RTCPeerConnection, browser: RTCPeerConnection) -> None:
        for transceiver in (*worker.getTransceivers(), *browser.getTransceivers()):
            assert type(transceiver.sender) is _aiortc._SilentSender
            assert type(transceiver.receiver) is _aiortc._SilentReceiver
            assert transceiver.sender._RTCRtpSender__started is False
            assert transceiver.receiver._RTCRtpReceiver__started is False

    with_connections(check)


def test_ice_agent_is_ours_and_the_browser_controls(installed: None) -> None:
    async def check(worker: RTCPeerConnection, browser: RTCPeerConnection) -> None:
        agent = _aiortc.connection_of(worker.getTransceivers()[0])
        assert isinstance(agent, _aiortc.MediaConnection)
        assert agent.ice_controlling is False
        assert _aiortc.connection_of(browser.getTransceivers()[0]).ice_controlling is True
        assert agent.remote_candidates, "found by its checks, not told"

    with_connections(check)


def test_media_datagrams_are_taken_before_ice_and_srtp_is_ours_to_use(installed: None) -> None:
    async def check(worker: RTCPeerConnection, browser: RTCPeerConnection) -> None:
        ours, theirs = (_aiortc.cipher(one.getTransceivers()[0]) for one in (worker, browser))
        got: asyncio.Queue[bytes] = asyncio.Queue()
        times: list[int] = []

        def take(burst: Burst, start: int, end: int) -> None:
            for number in range(start, end):
                if burst.datagram(number)[1] == 96 and not ours.open(burst.slots[number], burst.lengths[number]):
                    times.append(burst.arrived(number))
                got.put_nowait(burst.datagram(number))

        _aiortc.connection_of(worker.getTransceivers()[0]).on_media = take
        packet = rtp.HEADER.pack(0x80, 96, 1, 2, 3) + b"payload"
        theirs.way.send(packet[:12], packet[12:])
        assert await asyncio.wait_for(got.get(), 5) == packet
        report = bytes.fromhex("80c90001 00000003")
        theirs.send_rtcp(report)
        assert ours.open_rtcp(await asyncio.wait_for(got.get(), 5)) == report
        sent = time.time()
        theirs.way.send(rtp.HEADER.pack(0x80, 96, 2, 2, 3), b"payload")
        time.sleep(0.3)  # the loop is busy: the time of arrival is the kernel's, not ours
        await asyncio.wait_for(got.get(), 5)
        assert abs(times[-1] / 1e9 - sent) < 0.1

    with_connections(check)


def test_datagrams_of_strangers_reach_neither_dtls_nor_get_an_answer(installed: None) -> None:
    async def check(worker: RTCPeerConnection, browser: RTCPeerConnection) -> None:
        agent = _aiortc.connection_of(worker.getTransceivers()[0])
        (protocol, *_) = agent._protocols
        before = agent.refused
        queued = agent._queue.qsize()
        stranger = ("192.0.2.77", 5)
        protocol.datagram_received(bytes((22, 254, 253)) + bytes(30), stranger)
        protocol.datagram_received(bytes((70,)) + bytes(30), stranger)
        protocol.datagram_received(b"", stranger)
        unsigned = aioice.stun.Message(aioice.stun.Method.BINDING, aioice.stun.Class.REQUEST)
        unsigned.attributes["USERNAME"] = "x:y"
        protocol.datagram_received(bytes(unsigned), stranger)
        for junk in (b"\x00", b"\x00\x01" + bytes(17), b"\x03" + bytes(500), b"\x01\x01\xff\xff" + bytes(40)):
            for sender in (stranger, agent._nominated[1].remote_addr):
                protocol.datagram_received(junk, sender)
        assert agent.refused == before + 4 + 8, "what looks like STUN and is none never waits to be read as DTLS"
        assert agent._queue.qsize() == queued

    with_connections(check)


def test_labels_reach_the_description_and_terms_are_read(installed: None) -> None:
    async def main() -> None:
        worker, browser = _aiortc.new_connection(), _aiortc.new_connection()
        transceiver = worker.addTransceiver("video", direction="sendonly")
        _aiortc.label_sender(transceiver, "ann", "ann-video", 1234, 5678)
        await worker.setLocalDescription(await worker.createOffer())
        (section,) = _aiortc.read_sections(worker.localDescription.sdp)
        assert "a=msid:ann ann-video" in worker.localDescription.sdp
        assert (section.kind, section.direction, section.ssrc, section.rtx_ssrc) == ("video", "sendonly", 1234, 5678)
        await browser.setRemoteDescription(worker.localDescription)
        await browser.setLocalDescription(await browser.createAnswer())
        await worker.setRemoteDescription(browser.localDescription)
        terms = _aiortc.negotiated(transceiver)
        assert terms.direction == "sendonly"
        assert terms.codecs == {96: "vp8", 98: "h264/42e01f", 100: "h264/42001f"}
        assert terms.rtx == {97: 96, 99: 98, 101: 100}
        assert terms.nack
        assert terms.extensions == {rtp.MID: 1, rtp.ABS_SEND_TIME: 3, rtp.TRANSPORT_SEQUENCE: 4}
        await browser.close()
        await worker.close()

    asyncio.run(main())


def test_unreadable_descriptions_are_value_errors() -> None:
    for sdp in ("m=audio x", "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=fmtp:9 x", "v=x", "a=setup:no", "a=group"):
        with pytest.raises(ValueError, match=r"."):
            _aiortc.read_sections(sdp)


def test_impossible_numbers_of_streams_are_unreadable() -> None:
    head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n"
    for number in (1 << 40, -1, 0):
        with pytest.raises(ValueError, match="32 bits"):
            _aiortc.read_sections(f"{head}a=ssrc:{number} cname:x\r\n")
    assert _aiortc.read_sections(f"{head}a=ssrc:4294967295 cname:x\r\n")[0].ssrc == 0xFFFFFFFF


def test_agent_binds_configured_addresses_and_ports_and_machines_own_otherwise(installed: None) -> None:
    async def main() -> None:
        agent = _aiortc.MediaConnection(ice_controlling=False)
        agent.addresses, agent.ports = ("127.0.0.1",), (45_100, 45_110)
        await agent.gather_candidates()
        (candidate,) = agent.local_candidates
        assert candidate.host == "127.0.0.1"
        assert 45_100 <= candidate.port <= 45_110
        await agent.close()

    asyncio.run(main())


def test_srtp_refuses_replays_and_forgeries() -> None:
    def session(kind: int) -> Session:
        policy = Policy(key=bytes(30), ssrc_type=kind)
        policy.allow_repeat_tx = True
        return Session(policy)

    sender, receiver = session(Policy.SSRC_ANY_OUTBOUND), session(Policy.SSRC_ANY_INBOUND)
    packet = rtp.HEADER.pack(0x80, 96, 1, 2, 3) + b"payload"
    protected = sender.protect(packet)
    assert receiver.unprotect(protected) == packet
    for bad in (protected, protected[:-1] + b"x", protected[:20], b""):
        with pytest.raises(Exception, match=r"."):
            receiver.unprotect(bad)


def test_cipher_outlives_the_sessions_it_was_made_from() -> None:
    def session(kind: int) -> Session:
        return Session(Policy(key=bytes(30), ssrc_type=kind))

    sent: list[bytes] = []
    transport = SimpleNamespace(sendto=lambda data, address: sent.append(data))
    pair = SimpleNamespace(protocol=SimpleNamespace(transport=transport), remote_addr=("192.0.2.1", 5))
    cipher = _srtp.cipher(session(Policy.SSRC_ANY_INBOUND), session(Policy.SSRC_ANY_OUTBOUND), {1: pair})
    way, decipher = cipher.way, cipher.open
    del cipher
    gc.collect()
    heads = [rtp.HEADER.pack(0x80, 96, number, 2, 3) for number in range(200)]
    burst = Burst()
    for head in heads:
        way.send(head, bytes(1000))
        burst.put(sent[-1])
        assert decipher(burst.slots[0], burst.lengths[0]) == 0
        assert burst.datagram(0) == head + bytes(1000)
