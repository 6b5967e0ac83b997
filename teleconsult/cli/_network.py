"""The checks of `teleconsult check --network`: the way between a vehicle and its hub, tried piece by piece.

At the hub: the media addresses, each by a connection through it. On a vehicle: name, TCP, certificate, key, clock,
WebSocket, and then the hub's media addresses from where the vehicle stands. What fails ends the checks that need it.
Takes up to a minute; changes nothing, and does not touch the link of a vehicle node that runs.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import SplitResult, urlsplit

from teleconsult import media
from teleconsult.cli._checks import MOST_SKEW, Finding
from teleconsult.domain.errors import N_, Unavailable
from teleconsult.i18n import gettext as _
from teleconsult.media import MediaConfig, MediaEvent, MediaWorkers
from teleconsult.settings import Settings

SECONDS = 10.0
FEW_DAYS = 14
"""A certificate that ends sooner is told."""


def checks_of(settings: Settings) -> list[Callable[[Settings], Iterable[Finding]]]:
    """The checks for this kind of node."""
    return [check_media_addresses] if settings.is_hub else [check_way_to_hub]


def check_media_addresses(settings: Settings) -> list[Finding]:
    """At the hub: a connection through each address that its workers offer. Raises Unavailable where none starts."""
    plan = media.plan(settings.media_addresses)
    found = [Finding(False, _(media.UNKNOWN_NAME, name=name)) for name in plan.unknown]
    workers = MediaWorkers(
        MediaConfig(workers=1, addresses=plan.addresses, announced=plan.announced, ports=settings.media_port_range),
        _ignore,
    )
    workers.start()
    try:
        results = media.check_addresses(
            media.WorkerSignalling(workers, settings.media_port_range), announced=plan.announced
        )
    finally:
        workers.stop()
    found += [_finding(one, one.well) for one in results]
    if settings.ice_servers:
        found.append(Finding(None, _("STUN and TURN servers are set; they are tried by browsers only.")))
    return found


def _ignore(event: MediaEvent) -> None:
    pass


def _finding(result: media.AddressResult, well: bool | None) -> Finding:
    return Finding(
        well, _(result.sentence, **result.params), _(result.advice, **result.params) if result.advice else ""
    )


class HubLink:
    """What a vehicle can ask its hub over HTTPS; also the way on which a media try is agreed upon."""

    def __init__(self, url: str, key: str, context: ssl.SSLContext) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._context = context
        self.ports: tuple[int, int] | None = None

    def ask(self, path: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
        """The hub's answer. Raises HTTPError, and OSError where there is none."""
        headers = {"Authorization": f"Bearer {self._key}", "Accept": "application/json"}
        body = None
        if data is not None:
            body, headers["Content-Type"] = json.dumps(data).encode(), "application/json"
        request = urllib.request.Request(self._url + path, body, headers)  # noqa: S310 - the operator's address
        with urllib.request.urlopen(request, timeout=SECONDS + 5, context=self._context) as answer:  # noqa: S310
            reply: dict[str, Any] = json.load(answer)
            return reply

    def open(self) -> tuple[str, str]:
        """Have a media connection offered. Raises Unavailable with the hub's own sentence."""
        reply = self._ask_for_media("/link/media", {})
        if reply["ports"]:
            self.ports = (int(reply["ports"][0]), int(reply["ports"][1]))
        return str(reply["name"]), str(reply["sdp"])

    def answer(self, name: str, description: dict[str, str]) -> None:
        """Carry the answer to the hub."""
        self._ask_for_media(f"/link/media/{name}/answer", {"description": description})

    def close(self, name: str) -> None:
        """Tell the hub that the try is over; it ends by itself, too."""
        with contextlib.suppress(Unavailable):
            self._ask_for_media(f"/link/media/{name}/close", {})

    def _ask_for_media(self, path: str, data: dict[str, Any]) -> dict[str, Any]:
        try:
            return self.ask(path, data)
        except urllib.error.HTTPError as error:
            sentence = _sentence(error)
            raise Unavailable(sentence or N_("The hub does not offer media tries: it runs another version.")) from error
        except (OSError, ValueError) as error:
            raise Unavailable(N_("The hub did not answer: %(reason)s."), reason=error) from error


def _sentence(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error).get("sentence", ""))
    except ValueError:
        return ""


def check_way_to_hub(settings: Settings) -> Iterator[Finding]:
    """On a vehicle: everything between it and a call. Ends with the first thing that all the rest needs."""
    if not settings.hub_url:
        yield Finding(False, _("It is not said where the hub is."), _("Set TELECONSULT_HUB_URL."))
        return
    try:
        parts = urlsplit(settings.hub_url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        host, port = "", 0
    if not host or parts.scheme not in ("http", "https"):
        yield Finding(False, _("TELECONSULT_HUB_URL is not the address of a hub."), "https://hub.example.org")
        return
    addresses, finding = _check_name(host)
    yield finding
    if not addresses:
        return
    reached = None
    for address in addresses:
        finding = _check_tcp(address, port)
        if finding.well:
            reached = reached or address
        yield finding
    if reached is None:
        return
    context = ssl.create_default_context(cafile=str(settings.hub_ca) if settings.hub_ca else None)
    if parts.scheme == "https":
        finding = _check_certificate(reached, port, host, context)
        yield finding
        if finding.well is False:
            return
    yield from _check_services(settings, parts, reached, port, context)


def _check_services(
    settings: Settings, parts: SplitResult, address: str, port: int, context: ssl.SSLContext
) -> Iterator[Finding]:
    link = HubLink(settings.hub_url or "", settings.vehicle_key or "", context)
    try:
        begun = datetime.now(UTC)
        reply = link.ask("/link/check")
        now = begun + (datetime.now(UTC) - begun) / 2
    except urllib.error.HTTPError as error:
        advice = _("Make one at the hub with “teleconsult vehicle-key new CODE” and set TELECONSULT_VEHICLE_KEY.")
        if error.code == 403:
            yield Finding(False, _("The hub does not accept this vehicle's key."), advice)
        else:
            sentence = _("The hub answers with status %(status)s instead of the link check.", status=error.code)
            yield Finding(False, sentence, _("Is TELECONSULT_HUB_URL the hub, and is its program up to date?"))
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        yield Finding(False, _("The hub %(url)s does not answer: %(reason)s.", url=settings.hub_url, reason=reason))
        return
    yield Finding(True, _("The hub accepts this vehicle's key."))
    yield _check_skew(now - datetime.fromisoformat(reply["now"]))
    yield _check_websocket(parts, address, port, context)
    yield from _check_media(link)


def _check_name(host: str) -> tuple[list[str], Finding]:
    begun = time.monotonic()
    addresses = media.resolve(host)
    taken = round((time.monotonic() - begun) * 1000)
    if not addresses:
        sentence = _("No name server knows %(host)s.", host=host)
        return [], Finding(
            False, sentence, _("Check the link to the internet, the name server and TELECONSULT_HUB_URL.")
        )
    shown = ", ".join(addresses)
    return addresses, Finding(True, _("%(host)s is %(addresses)s (%(ms)s ms).", host=host, addresses=shown, ms=taken))


def _check_tcp(address: str, port: int) -> Finding:
    place = {"address": address, "port": port}
    begun = time.monotonic()
    try:
        with socket.create_connection((address, port), timeout=SECONDS):
            taken = round((time.monotonic() - begun) * 1000)
    except TimeoutError:
        sentence = _("TCP to %(address)s port %(port)s is not answered.", **place)
        return Finding(False, sentence, _("A firewall may close this port, or the hub is switched off."))
    except ConnectionRefusedError:
        sentence = _("TCP to %(address)s port %(port)s is refused.", **place)
        return Finding(False, sentence, _("The hub's program does not run there, or the port is another one."))
    except OSError as error:
        reason = error.strerror or error
        return Finding(False, _("TCP to %(address)s port %(port)s: %(reason)s.", **place, reason=reason))
    return Finding(True, _("TCP to %(address)s port %(port)s connects in %(ms)s ms.", **place, ms=taken))


def _check_certificate(address: str, port: int, host: str, context: ssl.SSLContext) -> Finding:
    try:
        with (
            socket.create_connection((address, port), timeout=SECONDS) as raw,
            context.wrap_socket(raw, server_hostname=host) as secured,
        ):
            certificate = secured.getpeercert() or {}
            version = secured.version()
    except ssl.SSLCertVerificationError as error:
        sentence = _("The hub's certificate is not trusted: %(reason)s.", reason=error.verify_message)
        advice = _(
            "Set TELECONSULT_HUB_CA to the hub's authority, and look at this clock and at the name in the address."
        )
        return Finding(False, sentence, advice)
    except OSError as error:
        return Finding(False, _("HTTPS does not come about: %(reason)s.", reason=error.strerror or error))
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    days = (end - datetime.now(UTC)).days
    sentence = _("The hub's certificate is good for %(days)s days (%(version)s).", days=days, version=version)
    return Finding(True if days >= FEW_DAYS else None, sentence)


def _check_skew(skew: timedelta) -> Finding:
    seconds = round(abs(skew.total_seconds()), 1)
    sentence = _("This clock and the hub's differ by %(seconds)s s.", seconds=seconds)
    return Finding(abs(skew) <= MOST_SKEW, sentence, "" if abs(skew) <= MOST_SKEW else _("Set the clock, best by NTP."))


def _check_websocket(parts: SplitResult, address: str, port: int, context: ssl.SSLContext) -> Finding:
    """Ask for a WebSocket as the link does, and wait for Socket.IO's first word; no session is entered."""
    request = (
        f"GET {parts.path.rstrip('/')}/socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
        f"Host: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(secrets.token_bytes(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    got = b""
    try:
        with socket.create_connection((address, port), timeout=SECONDS) as raw:
            sock = context.wrap_socket(raw, server_hostname=parts.hostname) if parts.scheme == "https" else raw
            sock.sendall(request.encode())
            while b'{"sid"' not in got and len(got) < 8192 and (piece := sock.recv(4096)):
                got += piece
                if not got.startswith(b"HTTP/1.1 101") and b"\r\n" in got:
                    break
    except OSError as error:
        got = got or str(error.strerror or error).encode()
    if b'{"sid"' in got and got.startswith(b"HTTP/1.1 101"):
        return Finding(True, _("The hub opens a WebSocket."))
    reason = got.split(b"\r\n")[0].decode("ascii", "replace")[:80] or _("nothing came")
    advice = _("A proxy before the hub has to let WebSockets through.")
    return Finding(False, _("The hub opens no WebSocket: %(reason)s.", reason=reason), advice)


def _check_media(link: HubLink) -> Iterator[Finding]:
    results = media.check_addresses(link, here=False)
    works = media.any_works(results)
    for one in results:
        yield _finding(one, one.well or (None if works else False))
    if works:
        yield Finding(True, _("Voice and picture reach the hub from here."))
    else:
        sentence = _("No media address of the hub can be reached from here: calls will have no voice and no picture.")
        yield Finding(False, sentence, _("Tell the administrator what is said above."))
