"""The process of the bench's MediaRelay: aiortc as it is, one line of JSON a command."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay
from aiortc.rtcconfiguration import RTCBundlePolicy


class Relaying:
    """Publishers' tracks go through a MediaRelay to whoever subscribes next."""

    def __init__(self) -> None:
        self._relay = MediaRelay()
        self._connections: list[RTCPeerConnection] = []
        self._track: MediaStreamTrack | None = None

    def _connection(self) -> RTCPeerConnection:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._connections.append(connection)
        return connection

    async def publish(self, sdp: str) -> str:
        connection = self._connection()

        @connection.on("track")
        def on_track(track: MediaStreamTrack) -> None:
            self._track = track

        await connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        answer: str = connection.localDescription.sdp
        return answer

    async def subscribe(self) -> str:
        connection = self._connection()
        assert self._track is not None
        connection.addTrack(self._relay.subscribe(self._track))
        await connection.setLocalDescription(await connection.createOffer())
        offer: str = connection.localDescription.sdp
        return offer

    async def start(self, sdp: str) -> str:
        await self._connections[-1].setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        return ""

    async def take(self, message: dict[str, Any]) -> str:
        match message["do"]:
            case "publish":
                return await self.publish(message["sdp"])
            case "subscribe":
                return await self.subscribe()
            case "start":
                return await self.start(message["sdp"])
        return ""


async def main() -> None:
    relaying = Relaying()
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps({"sdp": await relaying.take(json.loads(line))}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
