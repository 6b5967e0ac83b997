"""How a device's reader behaves, shown on its simulated device. Each function shows one rule."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from teleconsult.domain import measurement
from teleconsult.domain.errors import N_
from teleconsult.plugin_api import Command, DeviceInfo, Reading
from teleconsult.plugin_api.checking import Measured, NotSimulated, SimulatedDevice
from teleconsult.plugin_host._loader import describe_error
from teleconsult.plugin_kit._leaks import leaks
from teleconsult.plugin_kit._reader_check import LETTING_GO, ReaderCheck
from teleconsult.plugin_kit._report import Line, falls_short, holds, not_shown
from teleconsult.plugin_kit._runs import Run, Shown, switched_on

SETTLING = 0.3
"""Seconds that readings may be apart that were sent together."""
LATE = 2.0
"""Seconds that a slow device takes to answer."""
A_DAY = timedelta(days=1)


async def discovery(check: ReaderCheck) -> list[Line]:
    """`discovery`, `discovery-ends`, `stable-device-ids`."""
    async with switched_on(check.make) as device:
        settings = check.fill(device.settings)
        first, ended = await _search(check, settings, device)
        lines = [
            holds("discovery-ends", check.key)
            if ended
            else falls_short(
                "discovery-ends",
                check.key,
                N_("discover() went on for %(seconds)g s after it was cancelled."),
                seconds=LETTING_GO,
            )
        ]
        if not first:
            why = N_("discover() found nothing.")
            return [*lines, not_shown("discovery", check.key, why), not_shown("stable-device-ids", check.key, why)]
        wanted = device.device.device_id
        if wanted in first:
            lines.append(holds("discovery", check.key, N_("found: %(ids)s"), ids=", ".join(sorted(first))))
        else:
            why = N_("It found %(ids)s and not %(wanted)s.")
            lines.append(falls_short("discovery", check.key, why, ids=", ".join(sorted(first)), wanted=wanted))
        again, _ = await _search(check, settings, device)
        if again == first:
            lines.append(holds("stable-device-ids", check.key))
        else:
            why = N_("A second search found %(again)s instead of %(first)s.")
            ids = {"again": ", ".join(sorted(again)) or "–", "first": ", ".join(sorted(first))}
            lines.append(falls_short("stable-device-ids", check.key, why, **ids))
        return lines


async def _search(check: ReaderCheck, settings: Any, device: SimulatedDevice) -> tuple[set[str], bool]:
    """The ids that one search finds, and whether it ended, by itself or when it was cancelled."""
    found: set[str] = set()
    enough = asyncio.Event()

    async def look() -> None:
        async for info in check.reader.reader.discover(settings):
            if not isinstance(info, DeviceInfo):
                raise Shown(N_("discover() gave %(what)s and not a DeviceInfo."), what=repr(info)[:80])
            found.add(info.device_id)
            if info.device_id == device.device.device_id:
                enough.set()

    looking = asyncio.create_task(look())
    waiting = asyncio.create_task(enough.wait())
    await asyncio.wait({looking, waiting}, timeout=device.patience, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not looking.done():
        await asyncio.wait({looking}, timeout=0.3)  # many end by themselves now
    looking.cancel()
    done, _ = await asyncio.wait({looking}, timeout=LETTING_GO)
    if done and not looking.cancelled() and (error := looking.exception()):
        if isinstance(error, Shown):
            raise error
        raise Shown(N_("discover() broke: %(error)s"), error=describe_error(error))
    return found, bool(done)


async def good_readings(check: ReaderCheck) -> list[Line]:
    """`good-readings`, `units-stated`."""
    async with switched_on(check.make) as device, check.run(device) as run:
        wrong = ""
        for _ in range(3):
            given, reading = await run.measured(device.measure)
            _check_date(run, reading)
            wrong = wrong or _difference(given, reading)
        right = holds("good-readings", check.key, N_("%(count)d measurements, %(count)d readings"), count=3)
        if wrong:
            return [
                right,
                falls_short("units-stated", check.key, N_("Reading and device differ: %(what)s"), what=wrong),
            ]
        return [right, holds("units-stated", check.key)]


def _check_date(run: Run, reading: Reading) -> None:
    """Raises Shown if a reading of now is dated otherwise, whatever its flags say."""
    if reading.taken_at is not None and abs(reading.taken_at - run.session.now()) >= A_DAY:
        why = N_("A reading of now is dated %(date)s.")
        raise Shown(why, date=reading.taken_at.date().isoformat())


def _difference(given: Measured, reading: Reading) -> str:
    """What differs between the device's display and the reading, in words; empty if nothing does."""
    kind = measurement.kind(reading.kind)
    for quantity in reading.components:
        component = kind.component(quantity.code)
        if not given.values:
            if not component.low <= quantity.value <= component.high:
                return f"{component.key} {quantity.value} {quantity.unit}"
            continue
        if component.key not in given.values:
            return f"{component.key} {quantity.value} {quantity.unit} / –"
        number, unit = given.values[component.key]
        value = number if isinstance(number, Decimal) else Decimal(str(number))
        wanted = value if unit == component.unit else measurement.convert(value, unit, component)
        if abs(wanted - quantity.value) > Decimal("0.5").scaleb(-component.decimals):
            return f"{component.key} {quantity.value} {quantity.unit} / {number} {unit}"
    lost = set(given.values) - {kind.component(quantity.code).key for quantity in reading.components}
    return ", ".join(f"{key} – / {given.values[key][0]} {given.values[key][1]}" for key in sorted(lost))


async def slow_start(check: ReaderCheck) -> list[Line]:
    """`slow-start`."""
    async with switched_on(check.make, LATE) as device, check.run(device, LATE) as run:
        await run.measured(device.measure)
    return [holds("slow-start", check.key, N_("waited %(seconds)g s"), seconds=LATE)]


async def repeats(check: ReaderCheck) -> list[Line]:
    """`repeats-recognised`: in one connection, after a reconnection, and not mixed up with a new measurement."""
    rule = "repeats-recognised"
    known: set[str] = set()
    async with switched_on(check.make) as device:
        for again in (N_("The repeat got another id."), N_("A repeat after a reconnection got another id.")):
            async with check.run(device) as run:
                if not known:
                    await run.measured(device.measure)
                    if run.session._unnumbered:
                        return [falls_short(rule, check.key, N_("Readings have neither sequence nor taken_at."))]
                    known = {reading.reading_id for reading in run.seen}
                await run.acted(device.repeat)
                await run.acted(device.measure)
                if not await run.until(partial(_new, run, known), device.patience):
                    return [falls_short(rule, check.key, N_("Two measurements got the same id; one would be lost."))]
                await asyncio.sleep(SETTLING)
                run.collect()
                if len(run.ids - known) > 1:
                    return [falls_short(rule, check.key, again)]
                known |= run.ids
    return [holds(rule, check.key)]


def _new(run: Run, known: set[str]) -> set[str]:
    return run.ids - known


async def bad_frames(check: ReaderCheck) -> list[Line]:
    """`error-frames-refused`: after each bad frame a good one follows, and only that one becomes a reading."""
    rule = "error-frames-refused"
    async with switched_on(check.make) as device:
        if not device.bad_frames:
            raise NotSimulated
        for frame in device.bad_frames:
            async with check.run(device) as run:
                await run.measured(device.measure)
                before = len(run.seen)
                try:
                    await run.acted(partial(device.send_bad, frame))
                    await run.measured(device.measure)
                except Shown as shown:
                    if shown.spoils:
                        raise
                    why = N_("After the frame %(frame)s: %(reason)s")
                    raise Shown(why, frame=frame, reason={"why": shown.why, "params": shown.params}) from shown
                await asyncio.sleep(SETTLING)
                run.collect()
                if len({r.reading_id for r in run.seen[before:]}) > 1:
                    first = run.seen[before]
                    values = ", ".join(f"{q.value} {q.unit}" for q in first.components)
                    why = N_("The frame %(frame)s became a reading: %(values)s")
                    return [falls_short(rule, check.key, why, frame=frame, values=values)]
        return [holds(rule, check.key, N_("refused: %(frames)s"), frames=", ".join(device.bad_frames))]


async def wrong_clock(check: ReaderCheck) -> list[Line]:
    """`device-clock-checked`."""
    async with switched_on(check.make) as device, check.run(device) as run:
        _, reading = await run.measured(device.measure_with_wrong_clock)
        _check_date(run, reading)
    return [holds("device-clock-checked", check.key)]


async def kept(check: ReaderCheck) -> list[Line]:
    """`waits-until-kept`: a reading that could not be kept is offered again, ends the run, or is told as failed."""
    async with switched_on(check.make) as device, check.run(device) as run:
        await run.measured(device.measure)
        await asyncio.sleep(SETTLING)
        ended, failures = len(run.ends), run.failures
        run.session.refuse_readings = True
        await run.acted(device.measure)
        if not await run.until(lambda: run.session.refused_readings, device.patience):
            raise Shown(N_("No reading came within %(seconds)g s."), seconds=device.patience)
        refused = run.session.refused_readings[0].reading_id
        run.session.refuse_readings = False

        def noticed() -> bool:
            return len(run.ends) > ended or run.failures > failures or refused in run.ids

        if not await run.until(noticed, device.patience):
            raise Shown(
                N_("It went on as if a reading was kept that was not; await session.reading() and let its error out.")
            )
    return [holds("waits-until-kept", check.key)]


async def lost_device(check: ReaderCheck) -> list[Line]:
    """`lost-device-is-no-fault`: lost while it is read, and out of reach from the start."""
    rule = "lost-device-is-no-fault"
    async with switched_on(check.make) as device:
        async with check.run(device) as run:
            await run.measured(device.measure)
            ended = len(run.ends)
            await device.vanish()
            if not await run.until(lambda: len(run.ends) > ended, device.patience):
                why = N_("%(seconds)g s after the device was gone it was still taken for connected.")
                return [falls_short(rule, check.key, why, seconds=device.patience)]
        async with check.run(device) as run:
            if not await run.until(lambda: run.ends, device.patience):
                why = N_("%(seconds)g s after it was started without a device it had not said so.")
                return [falls_short(rule, check.key, why, seconds=device.patience)]
            run.collect()
    return [holds(rule, check.key)]


async def cancelling(check: ReaderCheck) -> list[Line]:
    """`cancels-cleanly`: at the very start, when idle, and in the middle of a measurement."""
    rule = "cancels-cleanly"
    async with switched_on(check.make) as device:
        for moment in ("start", "idle", "measuring"):
            async with check.run(device) as run:
                if moment == "start":
                    await asyncio.sleep(0.05)
                else:
                    await run.measured(device.measure)
                if moment == "measuring":
                    if Command.MEASURE not in check.reader.commands:
                        continue
                    run.session._ask(Command.MEASURE)
                    await asyncio.sleep(0.1)
                began = time.monotonic()
                ended = await run.cancel(LETTING_GO)
                if not ended:
                    why = N_("It was still busy %(seconds)g s after it was cancelled.")
                    return [falls_short(rule, check.key, why, seconds=LETTING_GO)]
                left = LETTING_GO - (time.monotonic() - began)
                if not await run.until(lambda: not device.in_use, max(left, 0.1)):
                    why = N_("It still held the device %(seconds)g s after it was cancelled.")
                    return [falls_short(rule, check.key, why, seconds=LETTING_GO)]
    return [holds(rule, check.key)]


STEPS: tuple[tuple[tuple[str, ...], Any], ...] = (
    (("discovery", "discovery-ends", "stable-device-ids"), discovery),
    (("good-readings", "units-stated"), good_readings),
    (("slow-start",), slow_start),
    (("repeats-recognised",), repeats),
    (("error-frames-refused",), bad_frames),
    (("device-clock-checked",), wrong_clock),
    (("waits-until-kept",), kept),
    (("lost-device-is-no-fault",), lost_device),
    (("cancels-cleanly",), cancelling),
    (("leaks-nothing",), leaks),
)
"""The rules of each step, and what shows them."""
