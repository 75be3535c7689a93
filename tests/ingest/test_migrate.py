"""The revisions and ``schema.py`` say the same, on SQLite and on Postgres."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from folioscope.errors import StorageError
from ingest import migrate, schema
from ingest.catalog import Catalog
from ingest.database import Database

SCRIPTS = ScriptDirectory(migrate.__file__.replace("migrate.py", "migrations"))
FIRST = [table for table in schema.metadata.sorted_tables if table.name in migrate.FIRST_TABLES]


def described(db: sa.Connection) -> dict:
    """Everything that the database says of its tables, by name."""
    inspector = sa.inspect(db)
    return {
        table: {
            "columns": [{**column, "type": repr(column["type"])} for column in inspector.get_columns(table)],
            "key": inspector.get_pk_constraint(table)["constrained_columns"],
            "foreign": sorted(map(str, inspector.get_foreign_keys(table))),
            "unique": sorted(map(str, inspector.get_unique_constraints(table))),
            "indexes": sorted(map(str, inspector.get_indexes(table))),
        }
        for table in inspector.get_table_names()
        if table != migrate.VERSION_TABLE
    }


def emptied(url: str) -> sa.Engine:
    engine = sa.create_engine(url)
    everything = sa.MetaData()
    everything.reflect(engine)
    everything.drop_all(engine)
    return engine


def revisions(engine: sa.Engine) -> list[str]:
    with engine.connect() as db:
        return list(db.execute(sa.text(f"SELECT version_num FROM {migrate.VERSION_TABLE}")).scalars())


def test_head_is_the_newest_revision_and_there_is_one_line_of_them() -> None:
    assert SCRIPTS.get_heads() == [migrate.HEAD]
    assert SCRIPTS.get_bases() == ["0001"]


def test_the_revisions_give_exactly_the_schema(database_url: str) -> None:
    Database(database_url).close()
    engine = sa.create_engine(database_url)
    with engine.connect() as db:
        migrated = described(db)
    engine.dispose()
    engine = emptied(database_url)
    schema.metadata.create_all(engine)
    with engine.connect() as db:
        assert described(db) == migrated
    assert set(migrated) == set(schema.metadata.tables)
    engine.dispose()


def test_a_database_from_before_the_revisions_keeps_what_it_holds(database_url: str) -> None:
    engine = sa.create_engine(database_url)
    schema.metadata.create_all(engine, FIRST)
    with engine.begin() as db:
        db.execute(schema.collections.insert().values(id="col_1", name="old", created="2026-01-01T00:00:00Z"))
    database = Database(database_url)
    assert Catalog(database).collection("old").id == "col_1"
    identity = database.identity()
    assert revisions(engine) == [migrate.HEAD]
    database.close()
    again = Database(database_url)
    assert again.identity() == identity
    again.close()
    engine.dispose()


def test_a_newer_database_is_refused_and_left_alone(database_url: str) -> None:
    Database(database_url).close()
    engine = sa.create_engine(database_url)
    with engine.begin() as db:
        db.execute(sa.text(f"UPDATE {migrate.VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(StorageError, match=r"newer Folioscope.*revision 9999.*Upgrade"):
        Database(database_url)
    assert revisions(engine) == ["9999"]
    engine.dispose()


def test_tables_of_another_program_are_not_taken_for_ours(database_url: str) -> None:
    engine = sa.create_engine(database_url)
    with engine.begin() as db:
        db.execute(sa.text("CREATE TABLE documents (id INTEGER)"))
    with pytest.raises(StorageError, match=r"another program.*FOLIOSCOPE_DATABASE_URL"):
        Database(database_url)
    with engine.connect() as db:
        assert sa.inspect(db).get_table_names() == ["documents"]
    engine.dispose()


def test_a_revision_that_fails_leaves_the_database_as_it_was(database_url: str) -> None:
    engine = sa.create_engine(database_url)
    schema.metadata.create_all(engine, FIRST)
    with engine.begin() as db:
        db.execute(sa.text("CREATE TABLE identity (other INTEGER)"))  # in the way of 0002
    with pytest.raises(StorageError, match="identity"):
        Database(database_url)
    with engine.connect() as db:
        assert not sa.inspect(db).has_table(migrate.VERSION_TABLE)
    engine.dispose()


def test_workers_that_open_a_new_database_at_once_all_get_it(postgres_url: str) -> None:  # SQLite's has one process
    with ThreadPoolExecutor(6) as threads:
        databases = list(threads.map(lambda _: Database(postgres_url), range(6)))
    assert len({database.identity() for database in databases}) == 1
    for database in databases:
        database.close()


def test_a_lock_has_one_holder_at_a_time(postgres_url: str) -> None:
    first, second = Database(postgres_url), Database(postgres_url)
    with ThreadPoolExecutor(1) as thread:
        with first.lock("ab"):
            with second.lock("cd"):
                pass

            def take() -> str:
                with second.lock("ab"):
                    return "taken"

            waiting = thread.submit(take)
            engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
            with engine.connect() as db:
                blocked = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
                while not db.execute(blocked).scalar():
                    assert not waiting.done()
            engine.dispose()
        assert waiting.result(30) == "taken"
    first.close()
    second.close()
