"""The engine and the transaction in which everything is written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, create_engine

from teleconsult.domain.errors import N_, Unavailable

BUSY_MILLISECONDS = 5000
"""How long SQLite waits for another process's lock before it gives up."""


@dataclass
class Transaction:
    """An open transaction: `session` to read and write with, and what to do once it is committed.

    `after_commit` callables run in order after the commit and never if it fails.
    """

    session: Session
    after_commit: list[Callable[[], None]] = field(default_factory=list)


class Store:
    """One database. Safe to use from any thread or greenlet."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        if self.is_sqlite:
            Path(sa.make_url(url).database or ".").parent.mkdir(parents=True, exist_ok=True)
        self.engine = _sqlite_engine(url) if self.is_sqlite else create_engine(url, pool_pre_ping=True, pool_size=10)
        self._write_lock = threading.RLock()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that only reads. Nothing is committed."""
        with _plain_sentences(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction: committed when the block ends, rolled back when it raises.

        On SQLite one writer at a time, decided here and not by SQLite's busy wait: under gevent a busy wait
        would stop the very greenlet that holds the lock. Don't wait for anything else inside the block.
        """
        if not self.is_sqlite:
            yield from self._transaction()
            return
        with self._write_lock:
            yield from self._transaction()

    def _transaction(self) -> Iterator[Transaction]:
        with _plain_sentences(), Session(self.engine, expire_on_commit=False) as session:
            if self.is_sqlite:
                session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            tx = Transaction(session)
            yield tx
            session.commit()
        for action in tx.after_commit:
            action()

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


@contextmanager
def _plain_sentences() -> Iterator[None]:
    """Turn the database's "locked", "full", "gone" into one error that people can read."""
    try:
        yield
    except OperationalError as error:
        text = str(error.orig).lower()
        if "locked" in text or "busy" in text:
            raise Unavailable(
                N_("The database is busy. What you entered is still on the page: try again in a moment.")
            ) from error
        if "full" in text or "readonly" in text:
            raise Unavailable(
                N_("The disk is full or cannot be written. Nothing was changed: tell the administrator.")
            ) from error
        raise


def _sqlite_engine(url: str) -> sa.Engine:
    engine = create_engine(url, connect_args={"check_same_thread": False, "timeout": BUSY_MILLISECONDS / 1000})

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun by us, with BEGIN or BEGIN IMMEDIATE
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
        cursor.close()

    return engine
