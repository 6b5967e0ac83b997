"""`teleconsult tls`: what it makes, what it says, and that it replaces an authority only when told to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from teleconsult.cli import main
from teleconsult.tls import Authority, describe


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("TELECONSULT_LANGUAGE", "en")
    monkeypatch.setenv("TELECONSULT_DATA_DIR", str(tmp_path))

    def invoke(*arguments: str, **options: object) -> Result:
        return CliRunner().invoke(main, ["tls", *arguments], **options)  # type: ignore[arg-type]

    return invoke


def test_init_makes_and_show_tells(run: Callable[..., Result], tmp_path: Path) -> None:
    made = run("init", "--name", "vehicle.local", "--name", "10.9.8.7")
    assert made.exit_code == 0, made.output
    authority = Authority(tmp_path)
    shown = run("show").output
    for words in (
        describe(authority.certificate()).fingerprint,
        describe(authority.server_certificate()).fingerprint,
        str(authority.file),
        "vehicle.local",
        "10.9.8.7",
    ):
        assert words in shown


def test_renew_keeps_the_authority_and_replacing_it_asks(run: Callable[..., Result], tmp_path: Path) -> None:
    run("init")
    authority = Authority(tmp_path)
    root, server = authority.certificate(), authority.server_certificate()
    assert run("renew").exit_code == 0
    assert authority.certificate() == root
    assert authority.server_certificate() != server
    refused = run("renew", "--authority", input="n\n")
    assert refused.exit_code == 1
    assert authority.certificate() == root
    assert run("renew", "--authority", "--yes").exit_code == 0
    assert authority.certificate() != root


@pytest.mark.parametrize(
    ("before", "arguments", "says"),
    [
        ([], ["show"], "There is no authority here. Make one: teleconsult tls init"),
        ([], ["renew", "--authority"], "There is no authority here. Make one: teleconsult tls init"),
        (["init"], ["init"], "There is an authority already. “teleconsult tls renew --authority” replaces it."),
        ([], ["init", "--name", "a b"], "“a b” is neither a host name nor an IP address."),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    run: Callable[..., Result], before: list[str], arguments: list[str], says: str
) -> None:
    if before:
        run(*before)
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr.strip() == says


def test_the_next_authority_is_made_beforehand_and_put_in_force(run: Callable[..., Result], tmp_path: Path) -> None:
    assert run("next").exit_code == 1, "there is none of today"
    run("init")
    authority = Authority(tmp_path)
    made = run("next", "--name", "hub.example.org")
    assert made.exit_code == 0, made.output
    coming = authority.next_certificate()
    assert coming is not None
    assert describe(coming).fingerprint in made.output
    assert authority.certificate() != coming
    assert run("next", input="n\n").exit_code == 1
    assert authority.next_certificate() == coming
    assert run("renew", "--authority", "--yes", "--name", "hub.example.org").exit_code == 0
    assert authority.certificate() == coming
    assert "hub.example.org" in describe(authority.server_certificate()).names


@pytest.mark.parametrize("lost", ["authority.key", "authority.crt"])
def test_what_init_advises_for_an_authority_with_a_lost_file_can_be_done(
    run: Callable[..., Result], tmp_path: Path, lost: str
) -> None:
    run("init")
    (tmp_path / "tls" / lost).unlink()
    assert "teleconsult tls renew --authority" in run("init").stderr
    done = run("renew", "--authority", "--yes")
    assert done.exit_code == 0, done.output
    assert Authority(tmp_path).why_renew() is None
