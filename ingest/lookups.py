"""What a server asks the catalog: one document, one job, one stretch of a list, found by ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import sqlalchemy as sa
from sqlalchemy import exc

from folioscope.domain import Coverage, Document, Metadata, Problem
from folioscope.errors import CollectionExists, DocumentNotFound, NotFoundError, QueryError, StorageError
from ingest import schema as t
from ingest.catalog import Catalog, Collection


@dataclass(frozen=True, slots=True)
class JobDocument:
    """One document that a job was to read. ``status``: of the version that the job registered."""

    document_id: str
    version: int
    filename: str
    status: str  # queued, processing, ready, failed, superseded, gone
    pages: int
    problem: Problem | None


@dataclass(frozen=True, slots=True)
class JobState:
    """A job with its documents, in the order in which they were registered, and the pages that have been read.

    ``channels``: for each, how many of the job's pages it has taken in.
    """

    id: str
    kind: str
    collection_id: str
    created: str
    cancelled: bool
    documents: tuple[JobDocument, ...]
    pages: Coverage
    channels: Mapping[str, Coverage]


def document(catalog: Catalog, document_id: str) -> tuple[Collection, Document]:
    """The document with this id and its collection. Raises `DocumentNotFound`."""
    d = t.documents.c
    with catalog.database.read() as db:
        owner = db.execute(sa.select(d.collection_id).where(d.id == document_id, ~d.deleted)).scalar()
    if owner is not None:
        collection = catalog.collection_by_id(owner)
        if found := catalog.select(collection, d.id == document_id):
            return collection, found[0]
    raise DocumentNotFound(f"There is no document {document_id!r}.")


def documents(
    catalog: Catalog,
    collection: Collection,
    limit: int,
    after: str | None,
    *,
    status: str | None = None,
    name: str = "",
    metadata: Metadata | None = None,
) -> tuple[list[Document], bool]:
    """At most ``limit`` documents, oldest first, behind the one with the id ``after``; and whether there are more.

    Only those with this ``status``, with ``name`` in their file name (of A to Z either case will do), with all of this
    ``metadata``. Raises `QueryError` when ``after`` is no document of the collection (any more).
    """
    d, v = t.documents.c, t.versions.c
    query = sa.select(d.id).where(d.collection_id == collection.id, ~d.deleted).order_by(d.created, d.id)
    if status is not None:
        newest = sa.select(sa.func.max(v.version)).where(v.document_id == d.id).correlate(t.documents).scalar_subquery()
        shown = (v.document_id == d.id) & (v.version == sa.func.coalesce(d.current, newest))
        query = query.where(sa.exists().where(shown, v.status == status).correlate(t.documents))
    if name:
        query = query.where(d.filename.icontains(name, autoescape=True))
    wanted = None if metadata is None else tagged(catalog, collection, metadata)
    with catalog.database.read() as db:
        if after is not None:
            last = db.execute(sa.select(d.created).where(d.id == after, d.collection_id == collection.id)).scalar()
            if last is None:
                raise QueryError(f"There is no document {after!r} to go on after.", hint="Start again without `after`.")
            query = query.where(sa.or_(d.created > last, sa.and_(d.created == last, d.id > after)))
        found = db.execute(query if wanted is not None else query.limit(limit + 1)).scalars()
        ids = list(islice((each for each in found if wanted is None or each in wanted), limit + 1))
    rows = {each.id: each for each in catalog.select(collection, d.id.in_(ids[:limit]))}
    return [rows[each] for each in ids[:limit] if each in rows], len(ids) > limit


def tagged(catalog: Catalog, collection: Collection, metadata: Metadata) -> frozenset[str]:
    """The documents whose metadata has all these values now; ``true`` is not 1."""
    d = t.documents.c
    with catalog.database.read() as db:
        rows = db.execute(sa.select(d.id, d.metadata).where(d.collection_id == collection.id, ~d.deleted)).all()
    wanted = [(key, value, isinstance(value, bool)) for key, value in metadata.items()]
    return frozenset(
        row.id
        for row in rows
        if all(
            key in row.metadata and row.metadata[key] == value and isinstance(row.metadata[key], bool) == truth
            for key, value, truth in wanted
        )
    )


def rename(catalog: Catalog, collection: Collection, name: str) -> None:
    """Call a collection so. Raises `CollectionExists`."""
    c = t.collections.c
    try:
        with catalog.database.write() as db:
            db.execute(t.collections.update().where(c.id == collection.id).values(name=name))
    except StorageError as error:
        if isinstance(error.__cause__, exc.IntegrityError):
            raise CollectionExists(f"There is a collection {name!r} already.") from None
        raise


def set_metadata(catalog: Catalog, document_id: str, metadata: Metadata) -> None:
    """Replace a document's metadata."""
    with catalog.database.write() as db:
        db.execute(t.documents.update().where(t.documents.c.id == document_id).values(metadata=dict(metadata)))


def job(catalog: Catalog, job_id: str) -> JobState:
    """The job with this id. Raises `NotFoundError`."""
    j, d, v = t.jobs.c, t.documents.c, t.versions.c
    with catalog.database.read() as db:
        found = db.execute(sa.select(t.jobs).where(j.id == job_id)).first()
        if found is None:
            raise NotFoundError(f"There is no job {job_id!r}.")
        rows = db.execute(
            sa.select(t.versions, d.filename)
            .join(t.documents, d.id == v.document_id)
            .where(v.job_id == job_id, ~d.deleted)
            .order_by(v.created, v.document_id)
        ).all()
        read, channels = _progress(db, job_id)
    listed = tuple(
        JobDocument(
            row.document_id,
            row.version,
            row.filename,
            row.status,
            row.pages,
            Problem(row.code, row.message) if row.code else None,
        )
        for row in rows
    )
    total = sum(each.pages for each in listed if each.status != "failed")
    filled = {name: Coverage(done, of) for name, (done, of) in channels.items()}
    return JobState(
        found.id,
        found.kind,
        found.collection_id,
        found.created,
        found.cancelled,
        listed,
        Coverage(min(read, total), total),
        filled,
    )


def _progress(db: sa.Connection, job_id: str) -> tuple[int, dict[str, tuple[int, int]]]:
    """Pages of a job's versions that have rows; per channel's key, pages taken in and pages there are."""
    v, p, f = t.versions.c, t.pages.c, t.fills.c
    same_page = sa.and_(p.document_id == v.document_id, p.version == v.version)
    same_fill = sa.and_(f.document_id == v.document_id, f.version == v.version)
    pages = sa.select(sa.func.count()).select_from(t.pages).join(t.versions, same_page).where(v.job_id == job_id)
    fills = (
        sa.select(f.channel, sa.func.sum(f.done).label("done"), sa.func.sum(v.pages).label("total"))
        .join(t.versions, same_fill)
        .where(v.job_id == job_id)
        .group_by(f.channel)
    )
    channels = {row.channel: (int(row.done), int(row.total)) for row in db.execute(fills)}
    return db.execute(pages).scalar_one(), channels
