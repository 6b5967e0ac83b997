"""The air between virtual devices and readers, and the door through which readers come.

Every TCP connection speaks HCI (H4 framing) to a fresh virtual controller, as if a Bluetooth adapter had been
plugged in for it; when the connection ends, the adapter is pulled out and its peers lose their links. What is
on the air otherwise, `peripheral` puts there.

Not simulated: distance, interference, the time that a real radio needs.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from bumble import core, hci, ll
from bumble.controller import Connection, Controller
from bumble.link import LocalLink
from bumble.transport.common import StreamPacketSink, StreamPacketSource

HOST = "127.0.0.1"


class Air(LocalLink):
    """bumble's link, for a hundred devices: a packet goes only to those that it concerns."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def send_advertising_pdu(self, sender_controller: Controller, packet: ll.AdvertisingPdu) -> None:
        """To the one that is asked to connect, or else to those that listen."""
        loop = asyncio.get_running_loop()
        for controller in self.controllers:
            if controller is sender_controller:
                continue
            if isinstance(packet, ll.ConnectInd) or controller.le_scan_enable or controller.pending_le_connection:
                loop.call_soon(controller.on_ll_advertising_pdu, packet)

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: hci.Address,
        transport: core.PhysicalTransport,
        data: bytes,
    ) -> None:
        """To the other end of the connection, by both its addresses; lost if the connection is gone."""
        own = sender_controller.le_connections.get(destination_address)
        peer = self.other_end(own) if own else None
        if own and peer:
            asyncio.get_running_loop().call_soon(peer.on_link_acl_data, own.self_address, transport, data)

    def send_ll_control_pdu(
        self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu
    ) -> None:
        """To the other end of the connection, by both its addresses; lost if the connection is gone."""
        for controller in self.controllers:
            connection = controller.le_connections.get(sender_address)
            if connection is not None and connection.self_address == receiver_address:
                asyncio.get_running_loop().call_soon(controller.on_ll_control_pdu, sender_address, packet)
                return

    def other_end(self, connection: Connection) -> Controller | None:
        """The controller on which the connection ends."""
        for controller in self.controllers:
            other = controller.le_connections.get(connection.self_address)
            if other is not None and other.self_address == connection.peer_address:
                return controller
        return None


class Adapter(Controller):
    """bumble's controller, with what a host needs that gives up waiting or goes away."""

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Core 5.4, Vol 4, Part E, 7.8.13: the cancelled connection completes with an error."""
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        self.send_hci_packet(
            hci.HCI_LE_Connection_Complete_Event(
                status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                connection_handle=0,
                role=hci.Role.CENTRAL,
                peer_address_type=pending.peer_address_type,
                peer_address=pending.peer_address,
                connection_interval=0,
                peripheral_latency=0,
                supervision_timeout=0,
                central_clock_accuracy=0,
            )
        )
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_hci_reset_command(self, command: hci.HCI_Reset_Command) -> hci.HCI_StatusReturnParameters:
        """Core 5.4, Vol 4, Part E, 7.3.2: links, scans and pending connections end."""
        self.let_go()
        return super().on_hci_reset_command(command)

    def on_le_connect_ind(self, packet: ll.ConnectInd) -> None:
        """Two that ask at once cannot both have it: the second learns that its connection did not come about."""
        if self.random_address != packet.advertiser_address:
            return
        if not self.le_connections:
            super().on_le_connect_ind(packet)
        if packet.initiator_address not in self.le_connections and isinstance(self.link, Air):
            failed = ll.TerminateInd(hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR)
            self.link.send_ll_control_pdu(packet.advertiser_address, packet.initiator_address, failed)

    def on_le_disconnected(self, connection: Connection, reason: int) -> None:
        """Both ends may hang up at once: the second time there is nothing left to do."""
        if self.le_connections.get(connection.peer_address) is connection:
            super().on_le_disconnected(connection, reason)

    def let_go(self) -> None:
        """End everything; the peers see a link that timed out."""
        self.pending_le_connection, self.le_scan_enable = None, False
        for connection in list(self.le_connections.values()):
            peer = self.link.other_end(connection) if isinstance(self.link, Air) else None
            del self.le_connections[connection.peer_address]
            if peer:
                peer.on_ll_control_pdu(
                    connection.self_address, ll.TerminateInd(hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
                )


class _Door(StreamPacketSource):
    """One reader's connection, and the adapter made for it."""

    def __init__(self, air: Air, number: int) -> None:
        super().__init__()
        self._air = air
        self._number = number
        self._adapter: Adapter | None = None

    def connection_made(self, transport: Any) -> None:
        """Plug an adapter in."""
        address = hci.Address(
            f"00:A0:50:{self._number >> 16 & 255:02X}:{self._number >> 8 & 255:02X}:{self._number & 255:02X}",
            hci.Address.PUBLIC_DEVICE_ADDRESS,
        )
        self._adapter = Adapter(f"reader-{self._number}", self, StreamPacketSink(transport), self._air, address)

    def connection_lost(self, error: Exception | None) -> None:
        """Pull it out."""
        del error
        if self._adapter:
            self._adapter.let_go()
            self._adapter.host = None
            self._air.remove_controller(self._adapter)


class Radio:
    """One air with its door. `port` is known once it is open."""

    def __init__(self) -> None:
        self.air = Air()
        self.port = 0
        self._numbers = itertools.count(1)
        self._server: asyncio.Server | None = None

    async def open(self, port: int = 0) -> None:
        """Let readers come. Raises OSError if the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Door(self.air, next(self._numbers)), HOST, port)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Let nobody come any more."""
        if self._server:
            self._server.close()
