"""`teleconsult devices simulate`: virtual Bluetooth devices that a vehicle's node reads like real ones.

What is simulated comes from an installed plugin and runs in a process of its own; this module only talks to the
person at the terminal.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

import click

from teleconsult.cli._program import Refused, sentence_of, table
from teleconsult.i18n import gettext as _
from teleconsult.i18n import terminal_language

if TYPE_CHECKING:
    from teleconsult.plugin_api import Text
    from teleconsult.plugin_host.virtual_devices import Simulator, VirtualDevice, VirtualRadio

ALL = "all"
DEFAULT_PORT = 8402


@click.group(help=_("Devices made of software, for training and tests."))
def devices() -> None:
    """The group."""


@devices.command(
    help=_(
        "Put virtual Bluetooth devices on the air. KIND is one or more of the kinds that installed plugins offer, "
        "or “all”. The plugin vitals-bluetooth reads them like real devices. Type a letter and Enter to have them "
        "measure or misbehave; h shows all letters, q ends."
    )
)
@click.argument("kinds", nargs=-1, required=True, metavar="KIND...")
@click.option("--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help=_("Their port."))
@click.option(
    "--every", type=click.FloatRange(min=1), metavar="SECONDS", help=_("Measure by themselves every so many seconds.")
)
@click.option("--misbehave", multiple=True, metavar="WORD", help=_("What they do wrong; more than one: in turn."))
def simulate(kinds: tuple[str, ...], port: int, every: float | None, misbehave: tuple[str, ...]) -> None:
    """Run the devices until the person ends it."""
    from teleconsult.plugin_host.virtual_devices import VirtualRadio, find_simulator

    simulator = find_simulator()
    chosen = list(simulator.kinds) if ALL in kinds else list(kinds)
    _known(chosen, simulator.kinds, _("There is no kind of device named %(word)s. There are:"))
    _known(misbehave, simulator.misbehaviours, _("Devices cannot misbehave by %(word)s. They can:"))
    radio = VirtualRadio(
        *chosen, port=port, every=every, misbehave=misbehave, module=simulator.module, on_event=_Told().tell
    )
    with radio:
        click.echo(
            _(
                "On the air: %(names)s. Set “radio” of vitals-bluetooth to %(address)s, for example by: "
                "teleconsult plugins set vitals-bluetooth radio=%(address)s --vehicle",
                names=", ".join(device.name for device in radio.devices),
                address=radio.address,
            )
        )
        _Desk(radio, simulator, misbehave).run(goes_on=every is not None)


def _known(words: tuple[str, ...] | list[str], offered: Mapping[str, Text], sentence: str) -> None:
    for word in words:
        if word not in offered:
            raise Refused(sentence % {"word": word} + " " + ", ".join(offered))


class _Told:
    """Says what devices tell, a line each."""

    def tell(self, event: dict[str, Any]) -> None:
        words = {
            "connected": _("somebody connected"),
            "gone": _("the connection ended"),
            "measured": _("measured"),
        }
        if event["event"] in words:
            click.echo(f"{event['device']}: {words[event['event']]}")


class _Desk:
    """Takes letters from the terminal and passes them on as requests."""

    def __init__(self, radio: VirtualRadio, simulator: Simulator, misbehave: tuple[str, ...]) -> None:
        self._radio = radio
        self._standing = misbehave[0] if misbehave else None
        self._words = simulator.misbehaviours
        self._letters = dict(_letters(simulator.misbehaviours))
        self._over = False

    def run(self, *, goes_on: bool) -> None:
        """Until q, Ctrl-C, or the end of what is typed; that end is none if the devices measure by themselves."""
        self.help()
        try:
            for line in sys.stdin:
                if line.strip() == "q":
                    break
                self.obey(line.split())
            else:
                if goes_on:
                    threading.Event().wait()
        except KeyboardInterrupt:
            click.echo()
        self._over = True

    def help(self) -> None:
        """All letters, and which number is which device."""
        rows = [
            ("m", _("measure")),
            ("s", _("begin to send every second (oximeter, heart rate)")),
            ("e", _("end that")),
        ]
        rows += [(letter, self._words[word].in_language(terminal_language())) for letter, word in self._letters.items()]
        rows += [("h", _("this help")), ("q", _("end"))]
        table(rows)
        if len(self._radio.devices) > 1:
            click.echo(_("A number behind the letter picks a device: m 2. Without it all devices are meant."))
            table([(str(number), each.name) for number, each in enumerate(self._radio.devices, 1)])

    def obey(self, words: list[str]) -> None:
        """One line: a letter and perhaps a device's number."""
        if not words:
            return
        letter, *numbers = words
        try:
            meant = [self._radio.devices[int(number) - 1] for number in numbers if int(number) > 0]
        except (ValueError, IndexError):
            letter = "h"
        if letter == "h" or (letter not in {"m", "s", "e"} and letter not in self._letters):
            self.help()
            return
        for device in meant or self._radio.devices:
            threading.Thread(target=self._do, args=(letter, device), daemon=True).start()

    def _do(self, letter: str, device: VirtualDevice) -> None:
        from teleconsult.domain.errors import TeleconsultError

        try:
            if letter in "se":
                self._radio.ask("stream", device.device, on=letter == "s")
                sentence = _("done")
            else:
                word = self._letters.get(letter, self._standing)
                click.echo(f"{device.name}: " + _("measuring"))
                sentence = _became(self._radio.measure(device.device, misbehave=word))
        except TeleconsultError as error:
            sentence = sentence_of(error) or ""
        if not self._over:
            click.echo(f"{device.name}: {sentence}")


def _became(outcome: Mapping[str, Any]) -> str:
    if outcome["delivered"]:
        return _("measured and sent")
    if outcome["stored"]:
        return _("measured; the device keeps it until somebody asks")
    return _("nothing was sent")


def _letters(words: Mapping[str, Text]) -> Iterator[tuple[str, str]]:
    """A letter of its own for each word: the first one in it that is still free, else any that is free."""
    taken = set("mseqh")
    for word in words:
        letter = next((each for each in word + ascii_lowercase if each.isalpha() and each not in taken), word)
        taken.add(letter)
        yield letter, word
