"""`make acceptance` as an administrator runs it: its own process, against a hub and a vehicle that run already."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.acceptance.__main__ import main
from tests.acceptance.report import Report, Step
from tests.browser.person import Person
from tests.support.county import County

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Iterator[County]:
    with County(tmp_path_factory.mktemp("county"), https=True) as county:
        yield county


def accept(
    county: County, report: Path, *, ca: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """One run, which trusts both nodes' authorities unless `ca` says otherwise."""
    values = {key: value for key, value in os.environ.items() if not key.startswith("ACCEPTANCE_")}
    values["CA"] = " ".join(map(str, county.authorities)) if ca is None else ca
    # By address: nobody resolves these nodes' names for a run that knows nothing of them.
    nodes = (county.hub.replace("hub.local", "127.0.0.1"), county.vehicle.replace("vehicle.local", "127.0.0.1"))
    return subprocess.run(
        [sys.executable, "-m", "tests.acceptance", *nodes, "--report", str(report)],
        cwd=ROOT,
        env=values | environment,
        capture_output=True,
        text=True,
        timeout=280,
    )


def report_in(folder: Path) -> dict[str, Any]:
    """What a run has left."""
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


def rows(county: County, kind: str, statement: str) -> list[tuple[Any, ...]]:
    """What a node's database holds."""
    with closing(sqlite3.connect(county.folder / kind / "teleconsult.db")) as database:
        return list(database.execute(statement))


@contextmanager
def who_reads_english(county: County, username: str) -> Iterator[None]:
    """Somebody at the hub has chosen English; Chinese again afterwards."""

    def choose(language: str) -> None:
        change = "update user_account set language = ? where username = ?"
        with closing(sqlite3.connect(county.folder / "hub" / "teleconsult.db")) as database, database:
            assert database.execute(change, (language, username)).rowcount == 1

    choose("en")
    try:
        yield
    finally:
        choose("zh")


def test_a_working_county_passes_over_https_and_leaves_a_report(county: County, tmp_path: Path) -> None:
    assert county.hub.startswith("https://")
    assert county.vehicle.startswith("https://")
    with who_reads_english(county, "cardiology"):
        done = accept(county, tmp_path / "report")
    assert done.returncode == 0, done.stdout + done.stderr
    found = report_in(tmp_path / "report")
    assert found["passed"] is True
    assert all(step["result"] == "passed" for step in found["steps"])
    for step in found["steps"]:
        for picture in step["pictures"]:
            assert (tmp_path / "report" / picture).read_bytes().startswith(b"\x89PNG")
    assert "passed" in (tmp_path / "report" / "report.html").read_text()
    assert (tmp_path / "report" / "record.pdf").stat().st_size > 5000


@pytest.mark.parametrize(("ca", "steps"), [("", 1), ("vehicle", 2)])
def test_a_node_whose_authority_is_not_given_is_named_at_once(
    county: County, tmp_path: Path, ca: str, steps: int
) -> None:
    done = accept(county, tmp_path / "report", ca=ca and str(county.authorities[1]))
    assert done.returncode == 1
    found = report_in(tmp_path / "report")
    assert len(found["steps"]) == steps
    trouble = found["steps"][-1]["trouble"]
    assert "does not trust the certificate of https://" in trouble
    assert "ERR_CERT_AUTHORITY_INVALID" in trouble
    assert "CA=" in trouble


def test_both_authorities_may_stand_in_one_file(county: County, tmp_path: Path) -> None:
    bundle = tmp_path / "both.pem"
    bundle.write_bytes(b"".join(path.read_bytes() for path in county.authorities))
    done = accept(county, tmp_path / "report", ca=str(bundle), ACCEPTANCE_PATIENT="没有这个人")
    assert done.returncode == 1
    found = report_in(tmp_path / "report")
    assert found["passed"] is False
    assert [step["result"] for step in found["steps"]] == ["passed", "passed", "failed"]
    assert "0 people fit" in found["steps"][-1]["trouble"]


@pytest.mark.parametrize(("step", "state"), [("press", "withdrawn"), ("sees_and_hears", "closed")])
def test_a_run_that_fails_leaves_nothing_that_waits(
    county: County, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, state: str
) -> None:
    """Neither before the specialist has accepted nor in the call, where it is too late to withdraw."""
    natural = getattr(Person, step)

    def fail(person: Person, *words: str, **options: float) -> None:
        if words == ("[data-accept-button]",) or step == "sees_and_hears":
            raise RuntimeError("the step fails")
        natural(person, *words, **options)

    monkeypatch.setattr(Person, step, fail)
    trusted = [part for path in county.authorities for part in ("--ca", str(path))]
    nodes = (county.hub.replace("hub.local", "127.0.0.1"), county.vehicle.replace("vehicle.local", "127.0.0.1"))
    done = CliRunner().invoke(main, [*nodes, *trusted, "--report", str(tmp_path)])
    assert done.exit_code == 1, done.output
    found = report_in(tmp_path)
    assert found["steps"][-1]["trouble"] == "the step fails"
    assert found["remarks"] == ["The request was taken out of the queue.", "The encounter was finished."]
    states = rows(county, "vehicle", "select state from consult where reason like '验收测试%' order by id desc")
    assert states[0] == (state,)
    assert not rows(
        county, "vehicle", "select 1 from encounter where reason like '验收测试%' and current and finished_at is null"
    )


def test_half_a_login_is_refused_before_anything_is_opened(county: County, tmp_path: Path) -> None:
    done = accept(county, tmp_path / "report", ACCEPTANCE_DOCTOR="somebody")
    assert done.returncode == 1
    assert "ACCEPTANCE_DOCTOR_PASSWORD" in done.stderr
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize("content", [{"diary": "dear"}, {"report.json": "{}"}])
def test_a_folder_that_holds_anything_else_is_left_alone(
    county: County, tmp_path: Path, content: dict[str, str]
) -> None:
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    done = accept(county, tmp_path)
    assert done.returncode == 1
    assert "holds other things than a report" in done.stderr
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == content


def test_an_earlier_report_makes_room_and_what_else_is_there_stays(tmp_path: Path) -> None:
    first = Report(tmp_path, "https://hub", "https://vehicle")
    (tmp_path / "01-doctor.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("mine")
    first.steps.append(Step("one", "passed", pictures=["01-doctor.png", "../outside.png"]))
    first.write()
    Report(tmp_path, "https://hub", "https://vehicle")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
