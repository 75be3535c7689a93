"""How far each channel has come with each document: pages 1..done of a version are in the channel's index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa

from folioscope.domain import Coverage
from ingest import schema as t
from ingest.database import Database


class Fill(NamedTuple):
    """A channel, by its key, and a version that it takes in."""

    document_id: str
    version: int
    channel: str
    collection_id: str


class Fills:
    """The table of fills; a version has one for each channel of its collection from the moment it is ready."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, db: sa.Connection, document_id: str, version: int, done: Mapping[str, int]) -> None:
        """Within the transaction that makes a version ready: how many of its pages each channel has already."""
        rows = [{"document_id": document_id, "version": version, "channel": c, "done": n} for c, n in done.items()]
        db.execute(t.fills.insert(), rows)

    def reset(self, collection_id: str, channel: str | None = None, *, immediate: bool = True) -> None:
        """A channel (None: each) has no page of the collection's documents any more.

        Where it is one that is written while documents are read (``immediate``), versions being read start over.
        """
        in_collection = sa.select(t.documents.c.id).where(t.documents.c.collection_id == collection_id)
        v, p = t.versions.c, t.pages.c
        being_read = sa.select(v.document_id, v.version).where(
            v.status.in_(t.OUTSTANDING), v.document_id.in_(in_collection)
        )
        with self._database.write() as db:
            if immediate:  # a page's row says that its vectors are durable there, which they are no more
                db.execute(t.pages.delete().where(sa.tuple_(p.document_id, p.version).in_(being_read)))
            update = t.fills.update().where(t.fills.c.document_id.in_(in_collection))
            db.execute((update.where(t.fills.c.channel == channel) if channel else update).values(done=0))

    def done(self, document_id: str, version: int, channel: str) -> int | None:
        """How many pages the channel has of this version; None when it is not the current version any more."""
        f, d = t.fills.c, t.documents.c
        with self._database.read() as db:
            return db.execute(
                sa.select(f.done)
                .join(t.documents, d.id == f.document_id)
                .where(
                    f.document_id == document_id,
                    f.version == version,
                    f.channel == channel,
                    d.current == version,
                    ~d.deleted,
                )
            ).scalar()

    def any(self, collection_id: str, channel: str) -> bool:
        """Whether the channel should have pages of the collection's documents."""
        f, d = t.fills.c, t.documents.c
        query = (
            sa.select(f.done)
            .join(t.documents, d.id == f.document_id)
            .where(d.collection_id == collection_id, ~d.deleted, f.channel == channel, f.done > 0)
            .limit(1)
        )
        with self._database.read() as db:
            return db.execute(query).first() is not None

    def advance(self, document_id: str, version: int, channel: str, done: int) -> None:
        """Pages 1..done are in the channel's index."""
        f = t.fills.c
        with self._database.write() as db:
            db.execute(
                t.fills.update()
                .where(f.document_id == document_id, f.version == version, f.channel == channel, f.done < done)
                .values(done=done)
            )

    def coverage(self, collection_id: str) -> dict[str, Coverage]:
        """Per channel that is searched, by name, over the current versions of a collection's documents."""
        condition = (t.documents.c.collection_id == collection_id) & t.channels.c.active
        return self._coverage(condition).get("", {})

    def by_key(self, collection_id: str) -> dict[str, Coverage]:
        """As `coverage`, by key, those that are not searched yet included."""
        return self._coverage(t.documents.c.collection_id == collection_id, label=t.channels.c.key).get("", {})

    def progress(self) -> dict[str, Coverage]:
        """Over all collections, by name; a channel that is built to replace another is counted by its key."""
        label = sa.case((t.channels.c.active, t.channels.c.name), else_=t.channels.c.key)
        return self._coverage(sa.true(), label=label).get("", {})

    def by_document(self, condition: sa.ColumnElement[bool]) -> dict[str, dict[str, Coverage]]:
        """Per document that meets the condition, then per channel."""
        return self._coverage(condition & t.channels.c.active, each=True)

    def _coverage(
        self, condition: sa.ColumnElement[bool], *, label: sa.ColumnElement[str] | None = None, each: bool = False
    ) -> dict[str, dict[str, Coverage]]:
        f, d, v, c = t.fills.c, t.documents.c, t.versions.c, t.channels.c
        channel = (c.name if label is None else label).label("channel")
        group = [d.id] if each else []
        query = (
            sa.select(*group, channel, sa.func.sum(f.done).label("done"), sa.func.sum(v.pages).label("total"))
            .select_from(t.fills)
            .join(t.documents, sa.and_(d.id == f.document_id, d.current == f.version, ~d.deleted))
            .join(t.versions, sa.and_(v.document_id == f.document_id, v.version == f.version))
            .join(t.channels, sa.and_(c.collection_id == d.collection_id, c.key == f.channel))
            .where(condition)
            .group_by(*group, channel)
        )
        found: dict[str, dict[str, Coverage]] = {}
        with self._database.read() as db:
            for row in db.execute(query):
                found.setdefault(row.id if each else "", {})[row.channel] = Coverage(int(row.done), int(row.total))
        return found

    def outstanding(
        self,
        document_id: str | None = None,
        *,
        collection_id: str | None = None,
        channel: str | None = None,
        limit: int | None = None,
    ) -> list[Fill]:
        """Current versions that a channel has not wholly taken in, oldest first; where some are named, only those."""
        f, d, v = t.fills.c, t.documents.c, t.versions.c
        named = [(d.id, document_id), (d.collection_id, collection_id), (f.channel, channel)]
        query = (
            sa.select(f.document_id, f.version, f.channel, d.collection_id)
            .join(t.documents, sa.and_(d.id == f.document_id, d.current == f.version, ~d.deleted))
            .join(t.versions, sa.and_(v.document_id == f.document_id, v.version == f.version))
            .where(f.done < v.pages, *(column == value for column, value in named if value is not None))
            .order_by(v.created, f.document_id)
            .limit(limit)
        )
        with self._database.read() as db:
            return [Fill(*row) for row in db.execute(query)]
