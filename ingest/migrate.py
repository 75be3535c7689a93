"""Brings a catalog's tables to those of ``schema.py``, by the Alembic revisions in ``migrations/versions``.

To change a table: change it in ``schema.py``, add a revision, put its number into `HEAD`. Revisions are never edited
once they are released. SQLite alters little in place: use ``op.batch_alter_table``.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from folioscope.errors import StorageError
from ingest.schema import metadata

HEAD = "0006"
"""The newest revision, so that opening a catalog that has it costs one SELECT and no import of Alembic."""

VERSION_TABLE = "catalog_revision"
LOCK = 0x666F6C696F
"""Number of Postgres's advisory lock: one process migrates, the others wait and find it done."""

FIRST_TABLES = {"collections", "channels", "documents", "versions", "pages", "fills", "jobs"}
"""What a database has that was made before there were revisions."""


def is_current(db: sa.Connection) -> bool:
    """Whether nothing is to be done."""
    return _revision(db) == HEAD


def migrate(db: sa.Connection) -> None:
    """Bring the tables to `HEAD` within the transaction of ``db``: all of it or nothing.

    Raises `StorageError` for a database that a newer version has written, and for tables that are no catalog's.
    """
    if db.dialect.name == "postgresql":
        db.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
    revision = _revision(db)
    if revision == HEAD:  # done by another process in the meantime
        return

    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(attributes={"connection": db})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise StorageError(
            f"The catalog's database was written by a newer Folioscope: its tables have revision {revision}, "
            f"this version knows those up to {HEAD}.",
            hint="Upgrade Folioscope, or use a copy of the database from before the upgrade.",
        )
    if revision is None and FIRST_TABLES.intersection(sa.inspect(db).get_table_names()):
        command.stamp(config, "0001")
    command.upgrade(config, "head")
    _check(db)


def _revision(db: sa.Connection) -> str | None:
    if not sa.inspect(db).has_table(VERSION_TABLE):
        return None
    return db.execute(sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE))).scalar()


def _check(db: sa.Connection) -> None:
    """Refuse tables that are not those of today: of another program, or of a version that was never released."""
    inspector = sa.inspect(db)
    there = [name for name in inspector.get_table_names() if name in metadata.tables]
    columns = inspector.get_multi_columns(filter_names=there)
    found = {name: {column["name"] for column in rows} for (_, name), rows in columns.items()}
    for name, table in metadata.tables.items():
        if found.get(name) != set(table.columns.keys()):
            raise StorageError(
                f"The catalog {db.engine.url.render_as_string(hide_password=True)} was made by another version of "
                f"Folioscope, or by another program: its table {name!r} is not the one of this version.",
                hint="Use that version, or take an empty data folder (FOLIOSCOPE_DATA_DIR; for a server's catalog "
                "FOLIOSCOPE_DATABASE_URL) and ingest the documents again.",
            )
