"""What a server asks the catalog: one document, one job, one stretch of a list, found by ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from folioscope.domain import Coverage, Document, Metadata, Problem, Where
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
    """A job with the pages that have been read, of those that are known.

    ``counts``: of its documents, by status. ``channels``: for each, by key, how many of the pages it has taken in.
    ``documents``: in the order in which they were registered; empty in a list of jobs.
    """

    id: str
    kind: str
    collection_id: str
    created: str
    cancelled: bool
    counts: Mapping[str, int]
    pages: Coverage
    channels: Mapping[str, Coverage]
    documents: tuple[JobDocument, ...] = ()


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
    wanted = None if metadata is None else tagged(catalog, collection.id, metadata)
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


def document_counts(catalog: Catalog) -> dict[str, int]:
    """How many documents there are by the id of their collection; one without documents is missing."""
    d = t.documents.c
    query = sa.select(d.collection_id, sa.func.count()).where(~d.deleted).group_by(d.collection_id)
    with catalog.database.read() as db:
        return {row[0]: row[1] for row in db.execute(query)}


def tagged(catalog: Catalog, collection_id: str, metadata: Metadata) -> frozenset[str]:
    """The documents of a collection whose metadata has all these values now; ``true`` is not 1."""
    d = t.documents.c
    with catalog.database.read() as db:
        rows = db.execute(sa.select(d.id, d.metadata).where(d.collection_id == collection_id, ~d.deleted)).all()
    wanted = Where(metadata=metadata)
    return frozenset(row.id for row in rows if wanted.matches(row.id, row.metadata))


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
    d, v = t.documents.c, t.versions.c
    with catalog.database.read() as db:
        found = db.execute(sa.select(t.jobs).where(t.jobs.c.id == job_id)).first()
        if found is None:
            raise NotFoundError(f"There is no job {job_id!r}.", hint="`folioscope jobs ls` lists them.")
        (state,) = _states(db, [found])  # first: a job that is done must not show documents that were being read
        rows = db.execute(
            sa.select(t.versions, d.filename)
            .join(t.documents, d.id == v.document_id)
            .where(v.job_id == job_id, ~d.deleted)
            .order_by(v.created, v.document_id)
        ).all()
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
    return replace(state, documents=listed)


def jobs(catalog: Catalog, collection_ids: Sequence[str], limit: int, after: str | None) -> tuple[list[JobState], bool]:
    """At most ``limit`` jobs of these collections, newest first, behind the one with the id ``after``; and whether
    there are more. Raises `QueryError` when ``after`` is no such job (any more).
    """
    with catalog.database.read() as db:
        found, more = newest_first(db, t.jobs, t.jobs.c.collection_id.in_(collection_ids), limit, after)
        return _states(db, found), more


def newest_first(
    db: sa.Connection, table: sa.Table, wanted: sa.ColumnElement[bool], limit: int, after: str | None
) -> tuple[Sequence[Any], bool]:
    """At most ``limit`` rows of a table, behind the one with the id ``after``; and whether there are more.

    Raises `QueryError` when ``after`` is none of them (any more).
    """
    created, row_id = table.c.created, table.c.id
    query = sa.select(table).where(wanted).order_by(created.desc(), row_id.desc())
    if after is not None:
        last = db.execute(sa.select(created).where(row_id == after, wanted)).scalar()
        if last is None:
            raise QueryError(f"There is no {after!r} to go on after.", hint="Start again without `after`.")
        query = query.where(sa.or_(created < last, sa.and_(created == last, row_id < after)))
    rows = db.execute(query.limit(limit + 1)).all()
    return rows[:limit], len(rows) > limit


def _states(db: sa.Connection, rows: Sequence[Any]) -> list[JobState]:
    """How far these jobs are, without their documents."""
    ids = [row.id for row in rows]
    v, d, p, f = t.versions.c, t.documents.c, t.pages.c, t.fills.c
    of_jobs = (
        sa.select(v.job_id, v.status, sa.func.count().label("documents"), sa.func.sum(v.pages).label("pages"))
        .join(t.documents, d.id == v.document_id)
        .where(v.job_id.in_(ids), ~d.deleted)
        .group_by(v.job_id, v.status)
    )
    same_page = sa.and_(p.document_id == v.document_id, p.version == v.version)
    pages = (
        sa.select(v.job_id, sa.func.count())
        .select_from(t.pages)
        .join(t.versions, same_page)
        .where(v.job_id.in_(ids), v.status == "processing")
        .group_by(v.job_id)
    )
    same_fill = sa.and_(f.document_id == v.document_id, f.version == v.version)
    fills = (
        sa.select(v.job_id, f.channel, sa.func.sum(f.done).label("done"), sa.func.sum(v.pages).label("total"))
        .select_from(t.fills)
        .join(t.versions, same_fill)
        .where(v.job_id.in_(ids), v.status == "ready")
        .group_by(v.job_id, f.channel)
    )
    counts: dict[str, dict[str, int]] = {job_id: {} for job_id in ids}
    totals, read = dict.fromkeys(ids, 0), dict.fromkeys(ids, 0)
    for row in db.execute(of_jobs):
        counts[row.job_id][row.status] = row.documents
        if row.status != "failed":
            totals[row.job_id] += int(row.pages)
        if row.status not in ("failed", *t.OUTSTANDING):
            read[row.job_id] += int(row.pages)
    for job_id, number in db.execute(pages):
        read[job_id] += number
    channels: dict[str, dict[str, Coverage]] = {job_id: {} for job_id in ids}
    for row in db.execute(fills):
        channels[row.job_id][row.channel] = Coverage(int(row.done), int(row.total))
    return [
        JobState(
            row.id,
            row.kind,
            row.collection_id,
            row.created,
            row.cancelled,
            counts[row.id],
            Coverage(min(read[row.id], totals[row.id]), totals[row.id]),
            channels[row.id],
        )
        for row in rows
    ]
