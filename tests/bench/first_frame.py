"""How long from "accept" to the first remote frame, through hub, vehicle node and media worker, in real Chromiums.

The specialist presses "accept" and "enter the call", the vehicle doctor "enter the call", each as soon as the page
offers it; the clock runs from the first press until both have decoded a frame of the other. Pages, signalling, ICE,
DTLS and the first keyframe are all in it. Then a reading is typed in and timed to the specialist's screen.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.bench import Rows, table
from tests.browser.person import DESKTOP, TABLET, Person, launch
from tests.browser.test_main_job import Clinic
from tests.support.county import County

ROUNDS = 4
"""As many as today's list of the demonstration village surely has people."""


def one_round(clinic: Clinic, number: int) -> dict[str, float]:
    """Milliseconds from "accept" to a decoded frame at each end."""
    clinic.see_somebody(number)
    clinic.specialist.go("/queue")
    clinic.ask()
    specialist, doctor = clinic.specialist, clinic.doctor
    clinic.open_request()
    began = time.monotonic()
    specialist.press("[data-accept-button]")
    specialist.press("[data-call-enter]")
    doctor.press(f"a[href='/consults/{clinic.consult}/call']")
    seen: dict[str, float] = {}
    while len(seen) < 2:
        for name, person in (("at the hub", specialist), ("on the vehicle", doctor)):
            if name not in seen and person.received()["frames"] > 0:
                seen[name] = (time.monotonic() - began) * 1000
        if time.monotonic() - began > 60:
            raise TimeoutError(f"no frame within a minute: {seen}")
        doctor.page.wait_for_timeout(20)
    seen["reading to the hub's screen"] = clinic.time_a_reading(36 + number / 10) * 1000
    doctor.go("/today")
    return seen


def main() -> Rows:
    """Run the rounds, print the table, give its rows."""
    with (
        tempfile.TemporaryDirectory() as name,
        County(Path(name) / "data") as county,
        sync_playwright() as playwright,
    ):
        red = launch(playwright, Path(name), "red", 440)
        green = launch(playwright, Path(name), "green", 660)
        doctor = Person(red, county.vehicle, "doctor11", TABLET)
        specialist = Person(green, county.hub, "cardiology", DESKTOP)
        clinic = Clinic(county, doctor, specialist, specialist)
        rounds = [one_round(clinic, number) for number in range(ROUNDS)]
        red.close()
        green.close()
    rows: Rows = {}
    for who in rounds[0]:
        times = [one[who] for one in rounds]
        rows[who] = {"median": statistics.median(times), "least": min(times), "most": max(times), "rounds": len(times)}
    print(table("From “accept” to the first remote frame decoded (ms)", rows))
    return rows


if __name__ == "__main__":
    main()
