"""Whether a call can come about through each address that the media workers offer: tried, and told in one sentence.

For every address of an offer a probe process asks by STUN and makes a connection (`probe`). Where the offers come from
does not matter: the workers of this process (`WorkerSignalling`), or a hub asked over HTTPS. Blocks for some
seconds; plain threads, no asyncio. Says nothing of the browsers' own networks, and nothing of TURN servers.
"""

from __future__ import annotations

import ipaddress
import queue
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog
from pydantic import ValidationError

from teleconsult.domain.errors import N_, TeleconsultError, Unavailable
from teleconsult.domain.ids import new_id
from teleconsult.media.addresses import is_private
from teleconsult.media.backend import MediaBackend
from teleconsult.media.messages import (
    PROBE_MESSAGES,
    MediaEvent,
    PeerState,
    Probe,
    ProbeOutcome,
    ProbeResult,
    SignalOut,
    SignalRefused,
)
from teleconsult.process import ChildProcess

log = structlog.get_logger(__name__)

OFFER_SECONDS: Final = 10.0
"""How long a worker may take for its offer; it may have to be started."""

PROBE_SECONDS: Final = 30.0
"""How long the try of one address may take."""

QUESTIONS: Final = 20
"""STUN questions to each address."""

ROOM: Final = "probe:"
"""Begins the names of the rooms in which nobody is but a probe."""


class Signalling(Protocol):
    """The way to the media workers. All of it may raise TeleconsultError."""

    @property
    def ports(self) -> tuple[int, int] | None:
        """First and last UDP port that the workers use, known after `open`; None: any."""
        ...

    def open(self) -> tuple[str, str]:
        """Have a connection offered: its name, and the description."""
        ...

    def answer(self, name: str, description: dict[str, str]) -> None:
        """Carry the probe's answer."""
        ...

    def close(self, name: str) -> None:
        """The connection is not needed any more."""
        ...


class WorkerSignalling:
    """To media workers of this process."""

    def __init__(self, media: MediaBackend, ports: tuple[int, int] | None = None) -> None:
        self._media = media
        self.ports = ports

    def open(self) -> tuple[str, str]:
        """Raises Unavailable where no worker offers anything in time, or has no port."""
        name = new_id()
        room = ROOM + name
        heard: queue.Queue[MediaEvent] = queue.Queue()
        self._media.watch(room, heard.put)
        self._media.join(room, name, name)
        try:
            while True:
                event = heard.get(timeout=OFFER_SECONDS)
                if isinstance(event, SignalRefused):
                    raise Unavailable(event.sentence)
                if isinstance(event, PeerState) and event.state in ("failed", "closed"):
                    raise Unavailable(N_("The media worker ended the try before it began."))
                description = event.message.get("description") if isinstance(event, SignalOut) else None
                if description is not None:
                    return name, str(description["sdp"])
        except queue.Empty:
            self.close(name)
            raise Unavailable(
                N_("The hub has no media worker running. Voice and picture come as soon as it has.")
            ) from None
        except TeleconsultError:
            self.close(name)
            raise

    def answer(self, name: str, description: dict[str, str]) -> None:
        """Carry the answer to the worker."""
        self._media.signal(ROOM + name, name, {"description": description})

    def close(self, name: str) -> None:
        """Close the room. What it still says goes nowhere."""
        self._media.watch(ROOM + name, _ignore)
        self._media.close_room(ROOM + name)
        timer = threading.Timer(5.0, self._media.watch, (ROOM + name, None))
        timer.daemon = True
        timer.start()


def _ignore(event: MediaEvent) -> None:
    pass


@dataclass(frozen=True)
class AddressResult:
    """What came of one address. `announced`: public, and perhaps not to be reached from inside its own network."""

    address: str
    ports: tuple[int, int] | None
    announced: bool
    result: ProbeResult
    here: bool
    """Whether it was tried on the machine or network of the hub, and not from a vehicle."""

    @property
    def outcome(self) -> ProbeOutcome:
        """In one word."""
        return self.result.outcome

    @property
    def well(self) -> bool | None:
        """True, False (to be mended), or None: cannot be told from here."""
        if self.outcome == "ok":
            return True
        return None if self.here and self.announced and self.outcome != "not_offered" else False

    @property
    def may_be_own(self) -> bool:
        """Whether it may be this machine's own, whose interface is down: announced, and no public address."""
        return self.announced and is_private(self.address)

    @property
    def sentence(self) -> str:
        """What was found, untranslated; `params` fills it."""
        if self.well is None and self.may_be_own:
            return N_(
                "%(address)s is not on this machine now. It is offered as the address of a NAT before it, and could "
                "not be checked from here (UDP %(ports)s)."
            )
        if self.well is None:
            return N_("The public address %(address)s could not be checked from here (UDP %(ports)s): hairpin NAT.")
        return _SENTENCES[self.outcome]

    @property
    def advice(self) -> str:
        """What to do about it, untranslated; empty where nothing is to be done. `params` fills it."""
        if self.outcome == "ok":
            return ""
        if self.well is None and self.may_be_own:
            return N_(
                "If it is this machine's own, look at its cable and DHCP and test again. If a NAT has it, run "
                "“teleconsult check --vehicle --network” on a vehicle: its result counts."
            )
        if self.well is None:
            return N_(
                "Many routers do not lead a network back to itself. Run “teleconsult check --vehicle --network” on a "
                "vehicle: its result counts."
            )
        return (_ADVICE_HERE if self.here else _ADVICE_AFAR)[self.outcome]

    @property
    def params(self) -> dict[str, Any]:
        """Fills `sentence` and `advice`."""
        result = self.result
        return {
            "address": self.address,
            "version": f"IPv{ipaddress.ip_address(self.address).version}",
            "ports": f"{self.ports[0]}–{self.ports[1]}" if self.ports else "1024–65535",
            "rtt": result.rtt_ms,
            "worst": result.worst_ms,
            "connect": round(result.connect_ms or 0),
            "lost": round(100 * result.loss),
            "asked": result.asked,
        }


_SENTENCES: Final[dict[ProbeOutcome, str]] = {
    "ok": N_(
        "Media through %(address)s: connected in %(connect)s ms, %(rtt)s ms there and back (at most %(worst)s ms), "
        "%(lost)s %% of %(asked)s probes lost."
    ),
    "no_answer": N_("UDP %(ports)s to %(address)s is not answered."),
    "refused": N_("UDP %(ports)s to %(address)s is refused: nobody listens there."),
    "no_route": N_("There is no way from here to %(address)s."),
    "not_offered": N_("%(address)s is announced, but calls have no %(version)s address here, so it is not offered."),
    "no_connection": N_("%(address)s answers small datagrams, but no call connection comes about."),
}

_NOT_OFFERED: Final = N_(
    "Name this machine's own %(version)s address in TELECONSULT_MEDIA_ADDRESSES too, or take %(address)s out of it."
)

_ADVICE_HERE: Final[dict[ProbeOutcome, str]] = {
    "not_offered": _NOT_OFFERED,
    "no_answer": N_("Open UDP %(ports)s in this machine's firewall."),
    "refused": N_(
        "%(address)s is another machine, or its port mapping leads elsewhere: correct TELECONSULT_MEDIA_ADDRESSES."
    ),
    "no_route": N_("Correct the routes of this machine, or name other addresses in TELECONSULT_MEDIA_ADDRESSES."),
    "no_connection": N_(
        "Something on the way drops larger datagrams: look at the MTU (1280 at least) and the firewall."
    ),
}

_ADVICE_AFAR: Final[dict[ProbeOutcome, str]] = {
    "not_offered": _NOT_OFFERED,
    "no_answer": N_(
        "Open UDP %(ports)s in the firewalls of both networks. Behind a NAT the hub needs TELECONSULT_MEDIA_ADDRESSES, "
        "and the same port numbers forwarded."
    ),
    "refused": N_("The NAT before the hub does not lead UDP %(ports)s to it: forward the same port numbers."),
    "no_route": N_("This address serves other networks; browsers here use another one."),
    "no_connection": _ADVICE_HERE["no_connection"],
}


def check_addresses(
    signalling: Signalling,
    *,
    announced: Sequence[str] = (),
    here: bool = True,
    questions: int = QUESTIONS,
) -> list[AddressResult]:
    """Try every address that the workers offer, one after the other.

    Raises TeleconsultError where nothing is offered at all. What goes wrong with one address is its result; so is that
    one of the `announced` is not offered, since no address of its IP version is bound.
    """
    name, sdp = signalling.open()
    results: list[AddressResult] = []
    hosts = offered(sdp)
    for place, host in enumerate(hosts):
        if place:
            name, sdp = signalling.open()
        try:
            result = _try(signalling, name, Probe(sdp=sdp, host=host, count=questions))
        finally:
            signalling.close(name)
        results.append(AddressResult(host, signalling.ports, host in announced, result, here))
    if not hosts:
        signalling.close(name)
    missing = ProbeResult(outcome="not_offered", asked=0, answered=0)
    left_out = [host for host in dict.fromkeys(announced) if host not in hosts]
    return results + [AddressResult(host, signalling.ports, True, missing, here) for host in left_out]


def offered(sdp: str) -> list[str]:
    """The addresses in an offer, each once, in the offer's order."""
    parts = (line.split(" ") for line in sdp.splitlines() if line.startswith("a=candidate:"))
    return list(dict.fromkeys(str(ipaddress.ip_address(one[4])) for one in parts if len(one) > 5))


def _try(signalling: Signalling, name: str, command: Probe) -> ProbeResult:
    heard: queue.Queue[dict[str, Any] | None] = queue.Queue()
    child = ChildProcess.python(
        "media-probe", "teleconsult.media.probe", on_message=heard.put, on_exit=lambda status: heard.put(None)
    )
    child.start()
    try:
        child.send(command.model_dump())
        while (message := heard.get(timeout=PROBE_SECONDS)) is not None:
            event = PROBE_MESSAGES.validate_python(message)
            if isinstance(event, ProbeResult):
                return event
            signalling.answer(name, event.description)
        log.error("the media probe ended without a result", address=command.host)
    except queue.Empty:
        log.error("the media probe did not end", address=command.host)
    except ValidationError as exc:
        log.error("the media probe's message was refused", problems=exc.errors(include_input=False))
    except TeleconsultError as exc:
        log.warning("the media probe's answer could not be carried", reason=str(exc))
    finally:
        child.stop()
    return ProbeResult(outcome="no_connection", asked=command.count, answered=0)


def any_works(results: Iterable[AddressResult]) -> bool:
    """Whether calls can come about at all."""
    return any(one.outcome == "ok" for one in results)
