"""What a plugin offers to `teleconsult plugin check`: its device, or its referrals' receiver, as software.

A plugin names a function in the entry-point group `teleconsult.plugin_check`. The function takes no argument and
returns classes (or other callables without arguments) that make a `SimulatedDevice` or a `SimulatedReceiver`:

    [project.entry-points."teleconsult.plugin_check"]
    village-scale = "village_scale.simulated:simulated"

The check makes a new one for every rule. What a simulated device cannot do stays as it is here and raises
`NotSimulated`: then that rule is reported as "not shown". Nothing here is used on a node.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from teleconsult.plugin_api._bench import BenchSession
from teleconsult.plugin_api._devices import DeviceInfo, Number

__all__ = ["BenchSession", "Measured", "NotSimulated", "SimulatedDevice", "SimulatedReceiver"]

GROUP = "teleconsult.plugin_check"


class NotSimulated(NotImplementedError):  # noqa: N818 - says what is the case, and is no fault
    """The simulated device cannot do this."""


@dataclass(frozen=True)
class Measured:
    """What the simulated device measured, as its own display shows it."""

    kind: str
    values: Mapping[str, tuple[Number, str]] = field(default_factory=dict)
    """Component's key → (number, UCUM unit) as the device gives them. Without values, the reading's are only
    checked for plausibility."""


class SimulatedDevice(ABC):
    """One device as software. All its coroutines run in the event loop of the reader that reads it.

    `switch_on()` comes first, `switch_off()` last. Between them one reader after another connects.
    """

    reader: ClassVar[str]
    """The key of the `ReaderType` that reads it."""
    patience: ClassVar[float] = 10.0
    """Seconds within which a reading that was measured arrives, and a lost device is noticed."""
    bad_frames: ClassVar[tuple[str, ...]] = ()
    """Names of the wrong things that `send_bad` can send: a truncated frame, NaN, an error code."""

    @property
    @abstractmethod
    def device(self) -> DeviceInfo:
        """The device as a person would have chosen it. Valid once it is switched on."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings of the plugin with which it finds this device. Valid once it is switched on."""
        return {}

    @property
    def in_use(self) -> bool | None:
        """Whether a reader holds the device now; None if the device cannot tell."""
        return None

    @abstractmethod
    async def switch_on(self, late: float = 0.0) -> None:
        """Be there for readers and discovery. `late`: seconds that it takes to answer a reader that connects."""

    @abstractmethod
    async def switch_off(self) -> None:
        """Be gone, and leave nothing behind: no task, no thread, no open socket. Called once, whatever happened."""

    @abstractmethod
    async def measure(self) -> Measured:
        """Somebody uses the device: wait for a reader if there is none, and send one new good measurement.

        Where the reader declares the command MEASURE, it is given that command at the same time.
        """

    async def repeat(self) -> None:
        """Send the last measurement once more, exactly as before."""
        raise NotSimulated

    async def send_bad(self, frame: str) -> None:
        """Send one of `bad_frames`."""
        raise NotSimulated

    async def measure_with_wrong_clock(self) -> Measured:
        """Like `measure()`, with a device clock that is years wrong."""
        raise NotSimulated

    async def vanish(self) -> None:
        """Be out of reach at once, also in the middle of a connection."""
        raise NotSimulated


class SimulatedReceiver(ABC):
    """What takes referrals at the other end, as software. Called on plain threads."""

    route: ClassVar[str]
    """The key of the `ReferralRoute` that delivers to it."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings of the plugin with which it finds this receiver. Valid once it is switched on."""
        return {}

    @abstractmethod
    def switch_on(self) -> None:
        """Be there for deliveries."""

    @abstractmethod
    def switch_off(self) -> None:
        """Be out of reach; `switch_on()` may follow."""

    @abstractmethod
    def received(self) -> list[str]:
        """The `referral_id` of each referral that it holds, in the order in which they came, each one once kept."""

    def refuse(self) -> None:
        """Refuse every delivery from now on, as a receiver does that does not take this patient."""
        raise NotSimulated
