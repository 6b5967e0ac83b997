"""What `teleconsult check` says of certificates."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from teleconsult.cli import _checks
from teleconsult.cli._checks import Finding, check_tls
from teleconsult.settings import NodeKind, Settings
from teleconsult.tls import Authority
from tests.support.certificates import PublicAuthority


def look(tmp_path: Path, **settings: object) -> list[Finding]:
    return check_tls(Settings(kind=NodeKind.HUB, data_dir=tmp_path, **settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("dates", "wells"),
    [
        ({}, [True]),
        ({"days": 10}, [True, None]),
        ({"days": -0.5, "from_days": -9}, [False]),
        ({"from_days": 1}, [False]),
    ],
)
def test_a_given_certificates_dates_count(tmp_path: Path, dates: dict[str, float], wells: list[bool | None]) -> None:
    given = PublicAuthority(tmp_path).sign(socket.gethostname(), **dates)  # type: ignore[arg-type]
    assert [one.well for one in look(tmp_path, tls_cert=given)] == wells


def test_a_given_certificate_for_other_names_is_worth_knowing(tmp_path: Path) -> None:
    public = PublicAuthority(tmp_path)
    found = look(tmp_path, tls_cert=public.sign("hub.example.org"))
    assert [one.well for one in found] == [True, None]
    assert "hub.example.org" in found[1].sentence
    assert [one.well for one in look(tmp_path, tls_cert=public.sign("10.9.8.7"), host="10.9.8.7")] == [True]


def test_the_nodes_own_authority(tmp_path: Path) -> None:
    assert [one.well for one in look(tmp_path, tls="own")] == [None]
    authority = Authority(tmp_path)
    authority.make()
    assert [one.well for one in look(tmp_path, tls="own")] == [True]
    authority.server_file.chmod(0o640)
    found = look(tmp_path, tls="own")
    assert [one.well for one in found] == [False]
    assert "server.pem" in found[0].sentence


def test_an_authority_that_ends_has_to_be_mended_until_the_next_one_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    authority.make()
    until = authority.certificate().not_valid_after_utc

    def look_at(now: datetime) -> Finding:
        class Moved(datetime):
            @classmethod
            def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
                return now

        monkeypatch.setattr(_checks, "datetime", Moved)
        (found,) = look(tmp_path, tls="own")
        return found

    assert look_at(until - timedelta(days=91)).well is True
    assert look_at(until - timedelta(days=89)).well is False
    authority.prepare_next()
    assert look_at(until - timedelta(days=89)).well is None
    expired = look_at(until)
    assert expired.well is False
    assert "renew --authority" in expired.advice


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")
def test_files_that_the_service_cannot_read_are_told(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.make()
    os.chown(authority.server_file, 4711, 4711)
    found = look(tmp_path, tls="own")
    assert [one.well for one in found] == [False]
    assert "server.pem" in found[0].sentence
    assert found[0].advice.startswith("chown -R ")
