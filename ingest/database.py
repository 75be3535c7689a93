"""The database of the catalog, SQLite or Postgres through SQLAlchemy: connections, transactions, its errors as ours."""

from __future__ import annotations

import secrets
import shutil
import threading
import weakref
from collections.abc import Callable, Iterator
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

CONNECT_S = 10  # until a database server that does not answer is given up


class Database:
    """``url``: a SQLAlchemy URL; tables are made, or brought to what this version knows.

    Raises `ConfigError`, `StorageError` (also for a database that a newer version has written), `DiskFull`.
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
        self._holds: weakref.WeakSet[Hold] = weakref.WeakSet()
        self._writes = 0
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

    @property
    def shared(self) -> bool:
        """Whether other processes may have it open: an SQLite file has a single one."""
        return self._engine.dialect.name != "sqlite"

    def state(self) -> object:
        """What is equal to an earlier one only if nothing that could be read has changed since, whoever wrote it."""
        if not self.shared:
            return self._writes
        with self.read() as db:
            return db.execute(sa.text("SELECT pg_current_snapshot()::text")).scalar_one()

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction: all of it or nothing."""
        try:
            with self._engine.begin() as db:
                yield db
        except (exc.DBAPIError, exc.TimeoutError) as error:
            raise _storage_error(error, self._file) from error
        finally:
            self._writes += 1

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Statements that only read, each by itself."""
        try:
            with self._readers.connect() as db:
                yield db
        except (exc.DBAPIError, exc.TimeoutError) as error:
            raise _storage_error(error, self._file) from error

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """One holder of a name at a time: among all processes on Postgres; an SQLite file has a single process.

        It is held by a connection of its own and goes with it, however the process ends.
        """
        if not self.shared:
            with self._guard:
                yield
            return
        connection, _ = self._locked("pg_advisory_lock", name)
        try:
            yield
        finally:
            connection.close()

    @contextmanager
    def attempt(self, name: str) -> Iterator[bool]:
        """As `lock`, without waiting: whether the name was free, and is held now. Any thread may end it."""
        if not self.shared:
            with self._holding:
                free = name not in self._held
                self._held.add(name)
            try:
                yield free
            finally:
                if free:
                    self._held.discard(name)
            return
        connection, free = self._locked("pg_try_advisory_lock", name)
        try:
            yield free
        finally:
            connection.close()

    def hold(self, name: str, *, alone: bool = True) -> Hold | None:
        """Take a name until it is let go, or the process ends; None where others have it.

        ``alone``: else it is shared with all who take it so. On SQLite there is nobody else.
        """
        if not self.shared:
            return Hold(None)
        connection, taken = self._locked(f"pg_try_advisory_lock{'' if alone else '_shared'}", name)
        if not taken:
            connection.close()
            return None
        hold = Hold(connection)
        self._holds.add(hold)
        return hold

    @contextmanager
    def claims(self) -> Iterator[Callable[[str], bool]]:
        """A function that takes names, until the end of the context: False where another process has one of them."""
        if not self.shared:
            yield lambda _: True
            return
        hold = self.hold(new_id("claims"))
        assert hold is not None  # nobody else has an id that is new
        try:
            yield hold.also
        finally:
            hold.release()

    def _locked(self, function: str, name: str) -> tuple[sa.Connection, bool]:
        try:
            connection = self._lockers.connect()
            # Of a host that lost its power Postgres hears nothing: it asks, so that its locks go within half a minute.
            asks = {"idle": 10, "interval": 5, "count": 4}
            connection.exec_driver_sql("; ".join(f"SET tcp_keepalives_{key} = {value}" for key, value in asks.items()))
            return connection, _call(connection, function, name)
        except exc.DBAPIError as error:
            raise _storage_error(error, self._file) from error

    def close(self) -> None:
        """Close the connections, those that hold names, too."""
        for hold in list(self._holds):
            hold.release()
        self._engine.dispose()


class Hold:
    """A name that was taken with `Database.hold`."""

    def __init__(self, connection: sa.Connection | None) -> None:
        self._connection = connection
        self._session = self._asked()

    @property
    def lasts(self) -> bool:
        """Whether it is still held: a database that was restarted has forgotten it."""
        try:
            return self._asked() == self._session
        except exc.SQLAlchemyError:
            return False

    def _asked(self) -> int | None:
        """Which session of the server the connection is: one that broke is made anew, without what it held."""
        if self._connection is None:
            return None
        return int(self._connection.execute(sa.select(sa.func.pg_backend_pid())).scalar_one())

    def also(self, name: str) -> bool:
        """Take another name for as long; whether others have not got it."""
        try:
            return self._connection is None or _call(self._connection, "pg_try_advisory_lock", name)
        except exc.DBAPIError as error:
            raise _storage_error(error, None) from error

    @contextmanager
    def alone(self, name: str) -> Iterator[bool]:
        """Whether the name, which is held, is shared with nobody; nobody joins meanwhile."""
        taken = self.also(name)
        try:
            yield taken
        finally:
            if taken and self._connection is not None:
                _call(self._connection, "pg_advisory_unlock", name)

    def release(self) -> None:
        """Let go."""
        if self._connection is not None:
            self._connection.close()


def _call(connection: sa.Connection, function: str, name: str) -> bool:
    """Whether the lock was taken; the one that waits always takes it and returns nothing."""
    found = connection.execute(sa.select(getattr(sa.func, function)(sa.func.hashtextextended(name, 0)))).scalar()
    return found is not False


def _engine(url: str) -> sa.Engine:
    waiting = {} if sa.make_url(url).get_backend_name() == "sqlite" else {"connect_timeout": CONNECT_S}
    # Parameters are words of documents; connections from before a restart of the server are made anew.
    # Who waits for SQLite's writer holds a connection, and who reads needs one; threads are bounded elsewhere.
    more: dict[str, Any] = (
        {"pool_pre_ping": True, "connect_args": waiting} if waiting else {"poolclass": sa.QueuePool, "max_overflow": -1}
    )
    engine = sa.create_engine(url, hide_parameters=True, **more)
    if engine.dialect.name == "sqlite":

        @sa.event.listens_for(engine, "connect")
        def _(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # we say BEGIN ourselves
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=60000", "secure_delete=ON"):
                connection.execute(f"PRAGMA {pragma}")

        @sa.event.listens_for(engine, "begin")
        def _(connection: sa.Connection) -> None:
            # Taking the write lock at once: two readers that both want to write later would deadlock. SQLAlchemy says
            # `begin` of connections that only read, too, which must not wait for whoever writes.
            if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
                connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _storage_error(error: exc.DBAPIError | exc.TimeoutError, database: str | None) -> StorageError:
    """``database``: the file of an SQLite database."""
    text = str(error.orig) if isinstance(error, exc.DBAPIError) else "all its connections are busy"
    full = "disk is full" in text or "No space left" in text
    if database and "disk I/O error" in text:  # SQLite's word for a log file that it could not extend, too
        full = shutil.disk_usage(Path(database).parent).free < FULL_BYTES
    if full:
        return DiskFull(
            f"No space left on the disk of the catalog{f', {database}' if database else ''}.",
            hint="Free some space and run the same command again; what is ready stays.",
        )
    return StorageError(f"The catalog's database failed: {text}.", hint="`folioscope doctor` looks at it.")


def plain_url(url: str) -> str:
    """A URL as DBOS writes it (it picks its own Postgres driver)."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def new_id(prefix: str) -> str:
    """``doc_`` and 80 random bits: never recycled."""
    return f"{prefix}_{secrets.token_hex(10)}"


def now() -> str:
    """RFC 3339, UTC, seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
