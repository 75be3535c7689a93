"""Which channels a collection has: encoder, index, whether it is searched; adding, switching, removing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from folioscope.errors import ConfigError
from ingest import schema as t
from ingest.database import Database

IMMEDIATE = ("lexical",)
"""Channels written while a document is read; it is ready when they are. The others fill in behind."""


@dataclass(frozen=True, slots=True)
class ChannelEntry:
    """A channel of a collection: the encoder that makes its vectors and the key that names their index.

    ``active``: searched. A channel that will replace another of the same name is not, until it has every page.
    """

    key: str
    name: str
    encoder: str
    active: bool

    @property
    def immediate(self) -> bool:
        """Whether it is written while a document is read."""
        return self.active and self.name in IMMEDIATE


class Recipes:
    """The table of channels."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def by_collection(self, db: sa.Connection) -> dict[str, tuple[ChannelEntry, ...]]:
        """Each collection's channels, the immediate ones first."""
        found: dict[str, list[ChannelEntry]] = {}
        for row in db.execute(sa.select(t.channels).order_by(t.channels.c.name, t.channels.c.key)):
            found.setdefault(row.collection_id, []).append(ChannelEntry(row.key, row.name, row.encoder, row.active))
        return {
            collection_id: tuple(sorted(entries, key=lambda entry: entry.name not in IMMEDIATE))
            for collection_id, entries in found.items()
        }

    def start(self, db: sa.Connection, collection_id: str, channels: Mapping[str, str]) -> None:
        """Within the transaction that makes a collection: its channels, name -> encoder."""
        rows = [
            {"collection_id": collection_id, "key": name, "name": name, "encoder": encoder, "active": True}
            for name, encoder in channels.items()
        ]
        db.execute(t.channels.insert(), rows)

    def add(self, collection_id: str, entry: ChannelEntry) -> None:
        """A channel joins, with every page of the current versions outstanding.

        Raises `ConfigError` for an immediate channel while documents are being read: it would miss their first pages.
        """
        d = t.documents.c
        with self._database.write() as db:
            lock(db, collection_id)
            if entry.immediate and (count := _being_read(db, collection_id)):
                raise ConfigError(
                    f"{count} documents are still to be read; the {entry.name} channel can't join before.",
                    hint="`folioscope jobs watch` reads them.",
                )
            row = {"key": entry.key, "name": entry.name, "encoder": entry.encoder, "active": entry.active}
            db.execute(t.channels.insert().values(collection_id=collection_id, **row))
            current = sa.select(d.id, d.current, sa.literal(entry.key), sa.literal(0)).where(
                d.collection_id == collection_id, ~d.deleted, d.current.is_not(None)
            )
            db.execute(t.fills.insert().from_select(["document_id", "version", "channel", "done"], current))

    def home(self, collection_id: str, key: str) -> str | None:
        """Where the channel's index was made: ``folder`` or ``server``; None where nobody has said."""
        h = t.homes.c
        with self._database.read() as db:
            return db.execute(sa.select(h.home).where(h.collection_id == collection_id, h.key == key)).scalar()

    def settle(self, collection_id: str, key: str, home: str) -> None:
        """The channel's index lies there from now on."""
        h = t.homes.c
        with self._database.write() as db:
            db.execute(t.homes.delete().where(h.collection_id == collection_id, h.key == key))
            db.execute(t.homes.insert().values(collection_id=collection_id, key=key, home=home))

    def activate(self, collection_id: str, entry: ChannelEntry) -> list[str] | None:
        """If the channel has every page: search it in place of those of its name, which are forgotten.

        Returns their keys; None where pages are outstanding or where, for an immediate channel, documents are being
        read with the old one.
        """
        c = t.channels.c
        of_name = (c.collection_id == collection_id) & (c.name == entry.name)
        with self._database.write() as db:
            lock(db, collection_id)
            waiting = entry.name in IMMEDIATE and _being_read(db, collection_id)
            if waiting or _outstanding(db, collection_id, entry.key):
                return None
            keys = set(db.execute(sa.select(c.key).where(of_name)).scalars())
            if entry.key not in keys:
                return None  # cancelled meanwhile
            replaced = sorted(keys - {entry.key})
            _forget(db, collection_id, replaced)
            db.execute(t.channels.update().where(of_name, c.key == entry.key).values(active=True))
        return replaced

    def remove(self, collection_id: str, keys: Sequence[str]) -> None:
        """Forget channels and how far they were."""
        with self._database.write() as db:
            lock(db, collection_id)
            _forget(db, collection_id, keys)


def lock(db: sa.Connection, collection_id: str) -> bool:
    """Within a transaction: documents that come or become ready, changes of the channels and the collection's removal
    wait for each other; whether it is there.

    Else a document could miss a channel that joins at that moment, or come into a collection that is no more. SQLite
    has one writer at a time anyway.
    """
    found = db.execute(sa.select(t.collections.c.id).where(t.collections.c.id == collection_id).with_for_update())
    return found.first() is not None


def _being_read(db: sa.Connection, collection_id: str) -> int:
    d, v = t.documents.c, t.versions.c
    return db.execute(
        sa.select(sa.func.count())
        .select_from(t.versions)
        .join(t.documents, d.id == v.document_id)
        .where(d.collection_id == collection_id, v.status.in_(t.OUTSTANDING), ~d.deleted)
    ).scalar_one()


def _outstanding(db: sa.Connection, collection_id: str, key: str) -> bool:
    f, d, v = t.fills.c, t.documents.c, t.versions.c
    query = (
        sa.select(f.done)
        .join(t.documents, sa.and_(d.id == f.document_id, d.current == f.version, ~d.deleted))
        .join(t.versions, sa.and_(v.document_id == f.document_id, v.version == f.version))
        .where(d.collection_id == collection_id, f.channel == key, f.done < v.pages)
        .limit(1)
    )
    return db.execute(query).first() is not None


def _forget(db: sa.Connection, collection_id: str, keys: Sequence[str]) -> None:
    in_collection = sa.select(t.documents.c.id).where(t.documents.c.collection_id == collection_id)
    db.execute(t.fills.delete().where(t.fills.c.channel.in_(keys), t.fills.c.document_id.in_(in_collection)))
    for table in (t.channels, t.homes):
        db.execute(table.delete().where(table.c.collection_id == collection_id, table.c.key.in_(keys)))
