"""What all commands share: options made from the settings, one sentence for an error, the node they work on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import click

from teleconsult.i18n import gettext as _

if TYPE_CHECKING:
    from teleconsult.services.node import Node
    from teleconsult.settings import Settings

HUB_ONLY = {
    "consult_expiry_hours",
    "interrupted_minutes",
    "media_workers",
    "media_addresses",
    "media_ports",
    "ice_servers",
    "redis_url",
}
VEHICLE_ONLY = {"hub_url", "hub_ca", "vehicle_key"}


class Refused(click.ClickException):
    """One sentence on stderr and exit code 1."""

    def show(self, file: Any = None) -> None:
        """The sentence and nothing else."""
        click.echo(self.message, file=file or sys.stderr)


class SettingsCommand(click.Command):
    """A command that takes the settings of a kind of node as options."""

    def __init__(self, *args: Any, kind: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kind = kind

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> click.Context:
        """Patch the standard library for gevent before the settings import most of it, if this serves a node."""
        if self._kind in ("hub", "vehicle") and not {"-h", "--help"} & set(args):
            from gevent import monkey

            monkey.patch_all()
        return super().make_context(info_name, args, *rest, **extra)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The settings as options; read late, so that no other command waits for them."""
        return [*settings_options(self._kind), *super().get_params(ctx)]


class Program(click.Group):
    """A group of commands; errors come out as one sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            refuse(error)


def refuse(error: Exception) -> NoReturn:
    """Turn an error into its sentence. What nobody foresaw is raised as it is: its trace is what helps."""
    sentence = sentence_of(error)
    if sentence is None:
        raise error
    raise Refused(sentence) from None


def sentence_of(error: Exception) -> str | None:
    """The error as one sentence in the terminal's language; None for what nobody foresaw."""
    from pydantic import ValidationError
    from sqlalchemy.exc import SQLAlchemyError

    from teleconsult.domain.errors import TeleconsultError

    if isinstance(error, TeleconsultError):
        return _(error.message, **error.params)
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]).upper()
        return _("The setting %(name)s cannot be used: %(reason)s.", name=f"TELECONSULT_{name}", reason=first["msg"])
    if isinstance(error, SQLAlchemyError):
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        return _("The database did not do this: %(reason)s. Run “teleconsult check”.", reason=reason)
    if isinstance(error, OSError):
        return _("%(path)s: %(reason)s.", path=error.filename or "", reason=error.strerror or error)
    return None


def settings_options(kind: str) -> list[click.Parameter]:
    """One option for every setting that concerns this kind of node."""
    from teleconsult.settings import Settings

    skipped = {"kind"} | {"hub": VEHICLE_ONLY, "vehicle": HUB_ONLY}.get(kind, set())
    return [_option(name, field) for name, field in Settings.model_fields.items() if name not in skipped]


def _option(name: str, field: Any) -> click.Option:
    words = str(field.annotation)
    flag = field.annotation is bool
    dashed = name.replace("_", "-")
    kind: Any = None if flag else int if "int" in words else float if "float" in words else str
    default = "" if field.default is None or field.default_factory else str(field.default)
    notes = f"[TELECONSULT_{name.upper()}" + (f"; {default}]" if default else "]")
    return click.Option(
        [f"--{dashed}/--no-{dashed}" if flag else f"--{dashed}"],
        type=kind,
        default=None,
        is_flag=flag or None,
        metavar=None if flag else _METAVAR.get(kind, "TEXT"),
        help=f"{_(field.description)} {notes}",
    )


_METAVAR = {int: "NUMBER", float: "NUMBER"}


def settings_from(kind: str, options: dict[str, object]) -> Settings:
    """The settings: options over environment over defaults. Raises ValidationError."""
    from teleconsult.settings import NodeKind, Settings

    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    return Settings(**{**given, "kind": NodeKind(kind)})


def node_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of commands that work on a node's database: where it is, and whose."""
    for option in (
        click.option("--database-url", metavar="URL", help=_("Its database, if not SQLite in the data directory.")),
        click.option("--data-dir", metavar="FOLDER", help=_("The node's data directory. [TELECONSULT_DATA_DIR; var]")),
        click.option(
            "--vehicle", "is_vehicle", is_flag=True, help=_("This machine is a vehicle. [TELECONSULT_KIND=vehicle]")
        ),
    ):
        command = option(command)
    return command


def node_settings(is_vehicle: bool, data_dir: str | None, database_url: str | None) -> Settings:
    """The settings that `node_options` ask for."""
    kind = "vehicle" if is_vehicle else os.environ.get("TELECONSULT_KIND", "hub")
    return settings_from(kind, {"data_dir": data_dir, "database_url": database_url})


@contextmanager
def open_node(is_vehicle: bool, data_dir: str | None, database_url: str | None) -> Iterator[Node]:
    """The node on its database, nothing of it started. Raises Unavailable if the database is not up to date."""
    import structlog

    from teleconsult.domain.errors import N_, Unavailable
    from teleconsult.services.node import Node
    from teleconsult.store import Store, migrate

    # A program may read what a command prints (`--json`): the log goes beside it.
    structlog.configure(logger_factory=lambda *_names: structlog.PrintLogger(sys.stderr))
    settings = node_settings(is_vehicle, data_dir, database_url)
    store = Store(settings.url)
    try:
        if migrate.current(store) != migrate.head():
            raise Unavailable(N_("The database is not at this program's schema. Run: teleconsult db upgrade"))
        node_id = "hub" if settings.is_hub else (settings.vehicle_key or "vehicle").partition(".")[0]
        yield Node(settings, store, node_id)
    finally:
        store.close()


def table(rows: Sequence[tuple[str, ...]]) -> None:
    """Write rows as columns. A Chinese character is two columns wide."""
    widths = [max(_width(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    for row in rows:
        cells = [text + " " * (width - _width(text)) for text, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


def _width(text: str) -> int:
    from unicodedata import east_asian_width

    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)
