"""The database of the catalog, SQLite or Postgres through SQLAlchemy: connections, transactions, its errors as ours."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from folioscope.errors import ConfigError, DiskFull, StorageError
from ingest.folder import storage_errors
from ingest.schema import metadata

FULL_BYTES = 1 << 20
"""With less free than this, a failed write is put down to the full disk."""


class Database:
    """``url``: a SQLAlchemy URL; the tables are made where there are none.

    Raises `ConfigError`, `DiskFull`, `StorageError`, the last also for tables of another version.

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
        self.changes = 0
        try:
            with self.write() as db:
                _check_version(db)
                metadata.create_all(db)
        except BaseException:
            self.close()
            raise

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


def _check_version(db: sa.Connection) -> None:
    """Refuse tables that are not those of today: half understood, what they hold would be lost."""
    inspector = sa.inspect(db)
    there = [name for name in inspector.get_table_names() if name in metadata.tables]
    if not there:
        return
    columns = inspector.get_multi_columns(filter_names=there)
    found = {name: {column["name"] for column in rows} for (_, name), rows in columns.items()}
    for name, table in metadata.tables.items():
        if found.get(name) != set(table.columns.keys()):
            raise StorageError(
                f"The catalog {db.engine.url.render_as_string(hide_password=True)} was made by another version of "
                f"Folioscope: its table {name!r} is not the one of this version.",
                hint="Use that version, or take an empty data folder (FOLIOSCOPE_DATA_DIR; for a server's catalog "
                "FOLIOSCOPE_DATABASE_URL) and ingest the documents again.",
            )


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
