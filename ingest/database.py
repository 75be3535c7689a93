"""The database of the catalog, SQLite or Postgres through SQLAlchemy: connections, transactions, its errors as ours."""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from folioscope.errors import ConfigError, DiskFull, StorageError
from ingest.folder import storage_errors
from ingest.migrate import is_current, migrate
from ingest.schema import identity

FULL_BYTES = 1 << 20
"""With less free than this, a failed write is put down to the full disk."""


class Database:
    """``url``: a SQLAlchemy URL; tables are made, or brought to what this version knows.

    Raises `ConfigError`, `StorageError` (also for a database that a newer version has written), `DiskFull`.

    ``changes`` counts writes that a reader's cache must notice.
    """

    def __init__(self, url: str) -> None:
        try:
            self._engine = _engine(url)
        except exc.ArgumentError as error:
            raise ConfigError(
                f"The database URL is not one: {error}.", hint="Write sqlite:///… or postgresql+psycopg://…"
            ) from None
        self._file = self._engine.url.database if self._engine.dialect.name == "sqlite" else None
        if self._file:
            with storage_errors(Path(self._file)):
                Path(self._file).touch(mode=0o600)  # others shall not read words and passwords
        self._readers = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        # Unpooled: a lock's holder needs a second connection, which waiting for locks must not use up.
        self._lockers = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        self._guard = threading.Lock()
        self._held: set[str] = set()
        self._holding = threading.Lock()
        self.changes = 0
        try:
            self._migrate()
        except BaseException:
            self.close()
            raise

    def _migrate(self) -> None:
        with self.read() as db:
            current = is_current(db)
        if not current:
            with self.write() as db:
                migrate(db)

    @property
    def kind(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._engine.dialect.name

    def identity(self) -> str:
        """The catalog's own id: ``cat_`` and 80 random bits, for as long as it exists."""
        with self.read() as db:
            return str(db.execute(sa.select(identity.c.id)).scalar_one())

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction: all of it or nothing."""
        try:
            with self._engine.begin() as db:
                yield db
        except exc.DBAPIError as error:
            raise _storage_error(error, self._file) from error
        finally:
            self.changes += 1

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Statements that only read, each by itself."""
        try:
            with self._readers.connect() as db:
                yield db
        except exc.DBAPIError as error:
            raise _storage_error(error, self._file) from error

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """One holder of a name at a time: among all processes on Postgres; an SQLite file has a single process.

        It is held by a connection of its own and goes with it, however the process ends.
        """
        if self._engine.dialect.name == "sqlite":
            with self._guard:
                yield
            return
        try:
            connection = self._lockers.connect()
            connection.execute(sa.select(sa.func.pg_advisory_lock(sa.func.hashtextextended(name, 0))))
        except exc.DBAPIError as error:
            raise _storage_error(error, self._file) from error
        try:
            yield
        finally:
            connection.close()

    @contextmanager
    def attempt(self, name: str) -> Iterator[bool]:
        """As `lock`, without waiting: whether the name was free, and is held now. Any thread may end it."""
        if self._engine.dialect.name == "sqlite":
            with self._holding:
                free = name not in self._held
                self._held.add(name)
            try:
                yield free
            finally:
                if free:
                    self._held.discard(name)
            return
        try:
            connection = self._lockers.connect()
            key = sa.func.hashtextextended(name, 0)
            free = bool(connection.execute(sa.select(sa.func.pg_try_advisory_lock(key))).scalar())
        except exc.DBAPIError as error:
            raise _storage_error(error, self._file) from error
        try:
            yield free
        finally:
            connection.close()

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def _engine(url: str) -> sa.Engine:
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":

        @sa.event.listens_for(engine, "connect")
        def _(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # we say BEGIN ourselves
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=60000", "secure_delete=ON"):
                connection.execute(f"PRAGMA {pragma}")

        @sa.event.listens_for(engine, "begin")
        def _(connection: sa.Connection) -> None:
            # Taking the write lock at once: two readers that both want to write later would deadlock.
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _storage_error(error: exc.DBAPIError, database: str | None) -> StorageError:
    """``database``: the file of an SQLite database."""
    text = str(error.orig)
    full = "disk is full" in text or "No space left" in text
    if database and "disk I/O error" in text:  # SQLite's word for a log file that it could not extend, too
        full = shutil.disk_usage(Path(database).parent).free < FULL_BYTES
    if full:
        return DiskFull(
            f"No space left on the disk of the catalog{f', {database}' if database else ''}.",
            hint="Free some space and run the same command again; what is ready stays.",
        )
    return StorageError(f"The catalog's database failed: {text}.", hint="`folioscope doctor` looks at it.")


def new_id(prefix: str) -> str:
    """``doc_`` and 80 random bits: never recycled."""
    return f"{prefix}_{secrets.token_hex(10)}"


def now() -> str:
    """RFC 3339, UTC, seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
