"""The command line: what it says, its exit codes, and that it says errors in one sentence."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from teleconsult.cli import main
from teleconsult.cli._program import HUB_ONLY, VEHICLE_ONLY, settings_options
from teleconsult.services import accounts, directory, vehicles
from teleconsult.services.node import Node
from teleconsult.settings import NodeKind, Settings
from teleconsult.store import Store

Run = Callable[..., Result]


@pytest.fixture
def database(new_database: Callable[[], str]) -> str:
    return new_database()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str) -> Run:
    """Runs a command on a migrated, empty hub; `input` goes to standard input."""
    for name in [name for name in os.environ if name.startswith("TELECONSULT_") and "TEST" not in name]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TELECONSULT_LANGUAGE", "en")
    monkeypatch.setenv("TELECONSULT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TELECONSULT_DATABASE_URL", database)

    def invoke(*arguments: str, **options: object) -> Result:
        return CliRunner().invoke(main, list(arguments), **options)  # type: ignore[arg-type]

    return invoke


def node_on(database: str, tmp_path: Path) -> Node:
    settings = Settings(kind=NodeKind.HUB, data_dir=tmp_path, database_url=database)
    return Node(settings, Store(database), "hub")


@pytest.mark.parametrize("command", ["", "hub", "vehicle", "demo", "db", "user", "vehicle-key", "plugins", "check"])
def test_help_names_every_command_and_option(run: Run, command: str) -> None:
    result = run(*command.split(), "--help")
    assert result.exit_code == 0, result.output
    assert len(result.output.splitlines()) > 5


def test_every_setting_is_an_option_of_the_node_it_concerns() -> None:
    def names(kind: str) -> set[str]:
        return {str(option.name) for option in settings_options(kind)}

    assert names("any") == set(Settings.model_fields) - {"kind"}
    assert names("hub") == names("any") - VEHICLE_ONLY
    assert names("vehicle") == names("any") - HUB_ONLY
    assert all(option.help for option in settings_options("any"))  # type: ignore[attr-defined]


def test_help_is_chinese_unless_asked_otherwise(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TELECONSULT_LANGUAGE")
    done = subprocess.run(
        [sys.executable, "-m", "teleconsult", "--help"],
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "巡诊车与县级医院之间的视频会诊" in done.stdout


def test_a_database_is_made_looked_at_and_left_alone(run: Run, tmp_path: Path) -> None:
    new = ("--database-url", f"sqlite:///{tmp_path}/new.db")
    assert run("db", "check", *new).exit_code == 1
    assert run("db", "current", *new).output == "none\n"
    assert "is up to date now" in run("db", "upgrade", *new).output
    assert "was up to date already" in run("db", "upgrade", *new).output
    assert run("db", "check", *new).exit_code == 0


def test_the_first_account_is_opened_and_can_log_in(run: Run, database: str, tmp_path: Path) -> None:
    assert "There are no accounts yet" in run("user", "list").output
    made = run("user", "add", "admin", "--name", "管理员", "--role", "administrator")
    assert made.exit_code == 0, made.output
    password = made.output.split("shown this once: ")[1].strip()
    node = node_on(database, tmp_path)
    token, actor = accounts.log_in(node, "admin", password, address="", agent="")
    assert actor.role == "administrator"
    assert "admin" in run("user", "list").output

    changed = run("user", "password", "admin", "--password-stdin", input="mountain road 73\n")
    assert "mountain" not in changed.output
    assert accounts.resume(node, token, address="") is None
    accounts.log_in(node, "admin", "mountain road 73", address="", agent="")
    node.store.close()


def test_an_account_is_closed_and_opened(run: Run) -> None:
    for name in ("one", "two"):
        run("user", "add", name, "--name", name, "--role", "administrator")
    assert run("user", "deactivate", "one").exit_code == 0
    last = run("user", "deactivate", "two")
    assert (last.exit_code, last.stderr) == (
        1,
        "This is the last administrator. Make somebody else an administrator first.\n",
    )
    assert run("user", "activate", "one").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("user", "password", "ghost"), "Nobody has the user name ghost."),
        (("user", "deactivate", "ghost"), "Nobody has the user name ghost."),
        (
            ("user", "add", "x.y", "--name", "x", "--role", "specialist", "--institution", "H9"),
            "No institution has the code H9.",
        ),
        (("vehicle-key", "new", "JN-77"), "No vehicle has the code JN-77."),
        (("user", "list", "--vehicle"), "The directory is edited at the hub."),
        (("check", "--port", "70000"), "The setting TELECONSULT_PORT cannot be used"),
        (("db", "current", "--database-url", "postgresql+psycopg://nobody@127.0.0.1:1/x"), "The database did not"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(run: Run, arguments: tuple[str, ...], sentence: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith(sentence)
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_an_old_database_is_not_worked_on(run: Run, tmp_path: Path) -> None:
    result = run("user", "list", "--database-url", f"sqlite:///{tmp_path}/empty.db")
    assert (result.exit_code, result.stderr) == (
        1,
        "The database is not at this program's schema. Run: teleconsult db upgrade\n",
    )


def test_a_vehicle_key_is_printed_alone_so_that_it_can_be_piped(run: Run, database: str, tmp_path: Path) -> None:
    made = run("vehicle-key", "new", "JN-01", "--name", "一号车")
    assert made.exit_code == 0, made.output
    key = made.stdout.strip().removeprefix("TELECONSULT_VEHICLE_KEY=")
    node = node_on(database, tmp_path)
    vehicle = directory.vehicle_by_code(node, "JN-01")
    vehicles.check_key(node, vehicle.id, key)
    node.store.close()
    assert "has a key" in run("vehicle-key", "list").output
    assert run("vehicle-key", "revoke", "JN-01").exit_code == 0
    assert "no key" in run("vehicle-key", "list").output


def test_plugins_are_listed_switched_and_set(run: Run) -> None:
    listed = run("plugins", "list")
    assert "vitals-simulator" in listed.output
    assert "Switched off" in run("plugins", "disable", "vitals-simulator").output
    assert "Switched off" in run("plugins", "list").output
    assert "Running" in run("plugins", "enable", "vitals-simulator").output
    assert run("plugins", "set", "vitals-simulator", "seed=42").exit_code == 0
    misspelt = run("plugins", "set", "vitals-simulator", "sede=42", "seed=43")
    assert misspelt.exit_code != 0
    assert "vitals-simulator has no setting sede. It has:" in misspelt.output
    assert "seed" in misspelt.output.partition("It has:")[2]
    refused = run("plugins", "set", "vitals-simulator", "seed=many")
    assert refused.exit_code == 1
    assert refused.stderr.startswith("seed: ")
    chosen = run("plugins", "set", "vitals-serial", "oximeter_format=13")
    assert chosen.exit_code == 0, "a choice of texts, not a number"


def test_check_tells_what_is_missing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    where = ("--data-dir", str(tmp_path / "file" / "x"), "--tls-cert", str(tmp_path / "none.pem"))
    result = run("check", *where, "--port", "0")
    assert result.exit_code == 1
    bad = [line for line in result.stdout.splitlines() if line.startswith("✗")]
    assert [line.split(" cannot ")[0] for line in bad] == [
        f"✗ The data directory {tmp_path}/file/x",
        "✗ The certificate",
    ]
    assert result.stderr == "Not ready: 2 to mend.\n"


def test_check_of_a_hub_in_order(run: Run) -> None:
    run("user", "add", "admin", "--name", "管理员", "--role", "administrator")
    result = run("check", "--port", "0")
    assert result.exit_code == 0, result.output
    assert "✗" not in result.output
    for expected in (
        "✓ Python",
        "✓ The database",
        "✓ The clock",
        "✓ Plugin vitals-simulator",
        "✓ A media worker starts",
    ):
        assert expected in result.output


def test_check_finds_a_port_that_is_taken(run: Run) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = run("check", "--port", str(taken.getsockname()[1]))
    assert result.exit_code == 1
    assert "✗ Cannot listen on 127.0.0.1 port" in result.output


def test_check_of_a_vehicle_without_key_and_hub(run: Run) -> None:
    result = run("check", "--vehicle", "--port", "0", "--hub-url", "http://127.0.0.1:1")
    assert result.exit_code == 1
    assert "✗ This vehicle has no key." in result.output
    assert "✗ The hub http://127.0.0.1:1 does not answer" in result.output


def test_a_hub_on_the_database_of_another_program_says_so_and_ends(tmp_path: Path) -> None:
    """One real process: patched for gevent, options over environment, one sentence and no trace."""
    with closing(sqlite3.connect(tmp_path / "x.db")) as database, database:
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        database.execute("INSERT INTO alembic_version VALUES ('from_the_future')")
    done = subprocess.run(
        [sys.executable, "-m", "teleconsult", "hub", "--data-dir", str(tmp_path), "--port", "0"],
        env={**os.environ, "TELECONSULT_LANGUAGE": "en", "TELECONSULT_DATABASE_URL": f"sqlite:///{tmp_path}/x.db"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "The database is not at this program's schema. Run: teleconsult db upgrade\n"
