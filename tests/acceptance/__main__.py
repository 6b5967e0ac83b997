"""Run the acceptance: `python -m tests.acceptance HUB VEHICLE`. Exit status 0 only if every step held."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import click
from playwright.sync_api import sync_playwright

from teleconsult.demo import seed
from tests.acceptance import job
from tests.acceptance.report import Failed, NotAReport, Report
from tests.browser.person import launch
from tests.support.trust import home_that_trusts

DEMO = {"doctor": "doctor11", "specialist": "cardiology"}


def login(role: str, name: str | None, password: str | None, *, demo: bool) -> job.Login:
    """The login told by the environment; the demonstration's own where the hub runs on this machine."""
    if name and password:
        return job.Login(name, password)
    if demo and not name and not password:
        return job.Login(DEMO[role], seed.PASSWORD)
    variable = f"ACCEPTANCE_{role.upper()}"
    raise click.ClickException(f"Set {variable} and {variable}_PASSWORD to a login for this run.")


def on_this_machine(address: str) -> bool:
    """Whether an address is a loopback one."""
    host = urlsplit(address).hostname or ""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def from_environment() -> tuple[Path, ...]:
    """The files named in CA."""
    return tuple(Path(name) for name in os.environ.get("CA", "").split())


def trusting(home: Path, authorities: tuple[Path, ...]) -> Path | None:
    """A home folder for browsers that trust these authorities; None for this machine's own without any."""
    if not authorities:
        return None
    try:
        return home_that_trusts(home, *authorities)
    except FileNotFoundError as error:
        missing = "certutil (package libnss3-tools)" if error.filename == "certutil" else error.filename
        raise click.ClickException(f"{missing} is not there.") from error
    except (ValueError, subprocess.CalledProcessError) as error:
        said = error.stderr.decode().strip() if isinstance(error, subprocess.CalledProcessError) else error
        raise click.ClickException(f"An authority cannot be used: {said}") from error


@click.command()
@click.argument("hub")
@click.argument("vehicle")
@click.option("--doctor", envvar="ACCEPTANCE_DOCTOR", help="Login name of a vehicle doctor.")
@click.option("--doctor-password", envvar="ACCEPTANCE_DOCTOR_PASSWORD")
@click.option("--specialist", envvar="ACCEPTANCE_SPECIALIST", help="Login name of a specialist.")
@click.option("--specialist-password", envvar="ACCEPTANCE_SPECIALIST_PASSWORD")
@click.option("--specialty", envvar="ACCEPTANCE_SPECIALTY", default="cardiology", show_default=True)
@click.option("--patient", envvar="ACCEPTANCE_PATIENT", default="", help="Search words that find one person only.")
@click.option(
    "--ca",
    "authorities",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Certificates (PEM) of an authority that the browsers are to trust; can be given again. [CA, with spaces]",
)
@click.option("--report", default=Path("build/acceptance"), type=click.Path(path_type=Path), show_default=True)
def main(
    hub: str,
    vehicle: str,
    doctor: str | None,
    doctor_password: str | None,
    specialist: str | None,
    specialist_password: str | None,
    specialty: str,
    patient: str,
    authorities: tuple[Path, ...],
    report: Path,
) -> None:
    """Drive the whole main job in two real browsers against a running HUB and VEHICLE."""
    hub, vehicle = hub.rstrip("/"), vehicle.rstrip("/")
    demo = on_this_machine(hub)
    work = job.Job(
        hub=hub,
        vehicle=vehicle,
        doctor=login("doctor", doctor, doctor_password, demo=demo),
        specialist=login("specialist", specialist, specialist_password, demo=demo),
        specialty=specialty,
        patient=patient,
    )
    try:
        found = Report(report, hub, vehicle)
    except NotAReport as error:
        raise click.ClickException(str(error)) from error
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        home = trusting(folder / "home", authorities or from_environment())
        red = launch(playwright, folder, "red", 440, home=home)
        green = launch(playwright, folder, "green", 660, home=home)
        with suppress(Failed):
            job.run(work, found, red, green)
        red.close()
        green.close()
    page = found.write()
    for remark in found.remarks:
        print(remark)
    print(f"{'Passed' if found.passed else 'Failed'}; the report is {page}")
    sys.exit(0 if found.passed else 1)


if __name__ == "__main__":
    main()
