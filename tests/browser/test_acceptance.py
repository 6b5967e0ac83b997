"""`make acceptance` as an administrator runs it: its own process, against a hub and a vehicle that run already."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.county import County

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Iterator[County]:
    with County(tmp_path_factory.mktemp("county")) as county:
        yield county


def accept(county: County, report: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    values = {key: value for key, value in os.environ.items() if not key.startswith("ACCEPTANCE_")}
    return subprocess.run(
        [sys.executable, "-m", "tests.acceptance", county.hub, county.vehicle, "--report", str(report)],
        cwd=ROOT,
        env=values | environment,
        capture_output=True,
        text=True,
        timeout=280,
    )


def test_a_working_county_passes_and_leaves_a_report(county: County, tmp_path: Path) -> None:
    done = accept(county, tmp_path / "report")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    assert found["passed"] is True
    assert all(step["result"] == "passed" for step in found["steps"])
    for step in found["steps"]:
        for picture in step["pictures"]:
            assert (tmp_path / "report" / picture).read_bytes().startswith(b"\x89PNG")
    assert "passed" in (tmp_path / "report" / "report.html").read_text()
    assert (tmp_path / "report" / "record.pdf").stat().st_size > 5000


def test_a_step_that_fails_is_named_and_ends_the_run(county: County, tmp_path: Path) -> None:
    done = accept(county, tmp_path / "report", ACCEPTANCE_PATIENT="没有这个人")
    assert done.returncode == 1
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    assert found["passed"] is False
    assert found["steps"][-1]["result"] == "failed"
    assert "0 people fit" in found["steps"][-1]["trouble"]


def test_half_a_login_is_refused_before_anything_is_opened(county: County, tmp_path: Path) -> None:
    done = accept(county, tmp_path / "report", ACCEPTANCE_DOCTOR="somebody")
    assert done.returncode == 1
    assert "ACCEPTANCE_DOCTOR_PASSWORD" in done.stderr
    assert not (tmp_path / "report").exists()
