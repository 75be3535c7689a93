"""Collections, documents, versions, pages and jobs.

The catalog is the truth about what exists and what is outstanding; indexes hold vectors for it, DBOS carries the work
out. A page's row is written after its vectors are durable, so the rows say where a killed process stood.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import exc

from folioscope.domain import Document, DocumentRef, Metadata, Page, PageKey, Problem, Words
from folioscope.errors import CollectionNotFound, DocumentNotFound, StorageError
from ingest import schema as t
from ingest import traces
from ingest.database import Database, new_id, now
from ingest.fills import Fills
from ingest.recipes import IMMEDIATE, ChannelEntry, Recipes, lock
from ingest.schema import OUTSTANDING
from ingest.words import pack, unpack


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents searched together, with its channels, the immediate ones first."""

    id: str
    name: str
    created: str
    channels: tuple[ChannelEntry, ...]


@dataclass(frozen=True, slots=True)
class Registered:
    """What became of a file that was handed in."""

    document_id: str
    version: int
    duplicate: bool


@dataclass(frozen=True, slots=True)
class VersionRow:
    """What the pipeline needs to know of the version that it works on."""

    document_id: str
    version: int
    collection_id: str
    filename: str
    sha256: str
    bytes: int
    password: str | None
    status: str  # queued, processing, ready, failed, superseded, gone
    pages: int
    page_problems: int
    problem: Problem | None

    @property
    def outstanding(self) -> bool:
        """Whether it is still to be read."""
        return self.status in OUTSTANDING


@dataclass(frozen=True, slots=True)
class Job:
    """One call of ingest or reingest and how far it has come. Counts are documents."""

    id: str
    kind: str
    collection: str
    created: str
    state: Literal["running", "filling", "done", "cancelled"]
    ready: int
    failed: int
    outstanding: int


class Overtaken(Exception):
    """The version was deleted, given up, overtaken, or is read by another process; whoever did that cleans up."""


class Catalog:
    """Over an opened `Database`. Every method raises `StorageError` or `DiskFull` when that can't be used."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.fills = Fills(database)
        self.recipes = Recipes(database)

    # --- collections ------------------------------------------------------------------------------------------------

    def collections(self) -> list[Collection]:
        """All, by name."""
        with self.database.read() as db:
            rows = db.execute(sa.select(t.collections).order_by(t.collections.c.name)).all()
            channels = self.recipes.by_collection(db)
        return [Collection(row.id, row.name, row.created, channels.get(row.id, ())) for row in rows]

    def collection(self, name: str) -> Collection:
        """The collection of that name, or `CollectionNotFound` with the nearest name."""
        known = {collection.name: collection for collection in self.collections()}
        if name in known:
            return known[name]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        if near:
            hint = f"Did you mean {near[0]!r}?"
        elif known:
            hint = f"There are: {', '.join(known)}."
        else:
            hint = "There is none yet: `folioscope ingest PATH…` makes one."
        raise CollectionNotFound(f"There is no collection {name!r}.", hint=hint)

    def collection_by_id(self, collection_id: str) -> Collection:
        """The collection with this id. Raises `CollectionNotFound`."""
        for collection in self.collections():
            if collection.id == collection_id:
                return collection
        raise CollectionNotFound(f"There is no collection {collection_id!r} any more.")

    def create_collection(self, name: str, channels: Mapping[str, str]) -> Collection:
        """Returns the collection of that name, made now with these channels (name: encoder) if there was none."""
        row = {"id": new_id("col"), "name": name, "created": now()}
        try:
            with self.database.write() as db:
                if not db.execute(sa.select(t.collections.c.id).where(t.collections.c.name == name)).first():
                    db.execute(t.collections.insert().values(row))
                    self.recipes.start(db, row["id"], channels)
        except StorageError as error:
            if not isinstance(error.__cause__, exc.IntegrityError):
                raise
        return self.collection(name)

    def remove_collection(self, collection_id: str) -> bool:
        """Forget a collection whose documents are deleted; False, and nothing happens, where one has come meanwhile."""
        d = t.documents.c
        mine = d.collection_id == collection_id
        with self.database.write() as db:
            lock(db, collection_id)
            if db.execute(sa.select(d.id).where(mine, ~d.deleted).limit(1)).first():
                return False
            traces.erase_collection(db, collection_id)
            for table in (t.pages, t.fills, t.versions):
                db.execute(table.delete().where(table.c.document_id.in_(sa.select(d.id).where(mine))))
            for table in (t.documents, t.jobs, t.channels, t.homes):
                db.execute(table.delete().where(table.c.collection_id == collection_id))
            db.execute(t.collections.delete().where(t.collections.c.id == collection_id))
        return True

    # --- taking documents in ----------------------------------------------------------------------------------------

    def create_job(self, kind: str, collection_id: str) -> str:
        """A job that versions can be registered under."""
        job = new_id("job")
        with self.database.write() as db:
            db.execute(t.jobs.insert().values(id=job, kind=kind, collection_id=collection_id, created=now()))
        return job

    def register(
        self,
        collection: Collection,
        job: str,
        *,
        filename: str,
        source: str,
        sha256: str | None,
        size: int,
        password: str | None = None,
        metadata: Metadata | None = None,
        problem: Problem | None = None,
    ) -> Registered:
        """A file's content joins a collection: as a new document, as a new version of the document from the same
        source, or, where its bytes are there already (ready or on their way), as a duplicate that changes nothing.

        ``sha256``: None when the file could not be read, for the ``problem``. Raises `CollectionNotFound` where the
        collection was removed meanwhile.
        """
        d, v = t.documents.c, t.versions.c
        with self.database.write() as db:
            if not lock(db, collection.id):
                raise CollectionNotFound(f"There is no collection {collection.name!r} any more.")
            if sha256 is not None:
                same = db.execute(
                    sa.select(d.id, v.version)
                    .join(t.versions, v.document_id == d.id)
                    .where(
                        d.collection_id == collection.id,
                        ~d.deleted,
                        v.sha256 == sha256,
                        v.status.in_(("queued", "processing", "ready")),
                    )
                ).first()
                if same:
                    return Registered(same.id, same.version, duplicate=True)
            document = db.execute(
                sa.select(d.id).where(d.collection_id == collection.id, d.source == source, ~d.deleted)
            ).scalar()
            if document is None:
                document = new_id("doc")
                db.execute(
                    t.documents.insert().values(
                        id=document,
                        collection_id=collection.id,
                        filename=filename,
                        source=source,
                        metadata=dict(metadata or {}),
                        created=now(),
                    )
                )
            elif metadata:
                db.execute(t.documents.update().where(d.id == document).values(metadata=dict(metadata)))
            version = _next_version(db, document, job, sha256, size, password, problem)
        return Registered(document, version, duplicate=False)

    def register_again(
        self, document_id: str, job: str, *, sha256: str, size: int, password: str | None = None
    ) -> Registered:
        """A document's next version, from bytes that are stored. Raises `DocumentNotFound` where it was deleted
        meanwhile: it stays so.
        """
        d = t.documents.c
        with self.database.write() as db:
            collection_id = db.execute(sa.select(d.collection_id).where(d.id == document_id)).scalar()
            there = sa.select(d.id).where(d.id == document_id, ~d.deleted).with_for_update()
            # Of two next versions one comes second.
            if collection_id is None or not lock(db, collection_id) or not db.execute(there).first():
                raise DocumentNotFound(f"There is no document {document_id!r} any more.")
            version = _next_version(db, document_id, job, sha256, size, password)
        return Registered(document_id, version, duplicate=False)

    def version(self, document_id: str, version: int) -> VersionRow | None:
        """None when the document or the version is gone."""
        d, v = t.documents.c, t.versions.c
        with self.database.read() as db:
            row = db.execute(
                sa.select(t.documents, t.versions)
                .join(t.versions, v.document_id == d.id)
                .where(d.id == document_id, v.version == version, ~d.deleted)
            ).first()
        if row is None:
            return None
        return VersionRow(
            document_id,
            version,
            row.collection_id,
            row.filename,
            row.sha256,
            row.bytes,
            row.password,
            row.status,
            row.pages,
            row.page_problems,
            Problem(row.code, row.message) if row.code else None,
        )

    def opened(self, document_id: str, version: int, pages: int) -> None:
        """The file could be opened and has so many pages."""
        v = t.versions.c
        this = (v.document_id == document_id) & (v.version == version) & v.status.in_(OUTSTANDING)
        with self.database.write() as db:
            db.execute(t.versions.update().where(this).values(status="processing", pages=pages))

    def pages_done(self, document_id: str, version: int) -> int:
        """Pages 1..n have rows (and, in the immediate channels, vectors)."""
        c = t.pages.c
        with self.database.read() as db:
            last = db.execute(
                sa.select(sa.func.max(c.number)).where(c.document_id == document_id, c.version == version)
            ).scalar()
        return last or 0

    def add_pages(self, document_id: str, version: int, batch: Sequence[Page]) -> None:
        """Write the rows of consecutive pages whose vectors are durable, behind those that are there.

        Raises `Overtaken` where the rows before them are others than the caller thinks: a process that was taken for
        dead goes on beside the one that took its work over. The first to write each page goes on, the other leaves off.
        """
        rows = [
            {
                "document_id": document_id,
                "version": version,
                "number": page.number,
                "width": page.width,
                "height": page.height,
                "flags": ",".join(page.flags),
                "code": page.problem.code if page.problem else None,
                "message": page.problem.message if page.problem else None,
                "source": page.words.source,
                "words": pack(page.words),
            }
            for page in batch
        ]
        v, p = t.versions.c, t.pages.c
        this = (v.document_id == document_id) & (v.version == version) & v.status.in_(OUTSTANDING)
        last = sa.select(sa.func.max(p.number)).where(p.document_id == document_id, p.version == version)
        with self.database.write() as db:
            still = db.execute(sa.select(v.version).where(this).with_for_update()).first()
            if still is None or (db.execute(last).scalar() or 0) != batch[0].number - 1:
                raise Overtaken
            db.execute(t.pages.insert(), rows)

    def only_problems(self, document_id: str, version: int) -> Problem | None:
        """The first page's problem if no page could be read."""
        c = t.pages.c
        of_version = (c.document_id == document_id) & (c.version == version)
        with self.database.read() as db:
            if db.execute(sa.select(c.number).where(of_version, c.code.is_(None)).limit(1)).first():
                return None
            row = db.execute(sa.select(c.code, c.message).where(of_version).order_by(c.number).limit(1)).first()
        return Problem(row.code, row.message) if row else None

    def ready(self, document_id: str, version: int) -> None:
        """The switch: from this moment on the document is searched in this version and in no other.

        A version that is no longer outstanding (overtaken by a newer one, given up) changes nothing.
        """
        v = t.versions.c
        of_document = v.document_id == document_id
        with self.database.write() as db:
            collection_id = db.execute(
                sa.select(t.documents.c.collection_id).where(t.documents.c.id == document_id)
            ).scalar_one()
            lock(db, collection_id)
            channels = db.execute(sa.select(t.channels).where(t.channels.c.collection_id == collection_id)).all()
            still = of_document & (v.version == version) & v.status.in_(OUTSTANDING)
            pages = db.execute(sa.select(v.pages).where(still)).scalar()
            if pages is None:
                return
            problems = db.execute(
                sa.select(sa.func.count()).where(
                    t.pages.c.document_id == document_id, t.pages.c.version == version, t.pages.c.code.is_not(None)
                )
            ).scalar_one()
            db.execute(
                t.versions.update()
                .where(of_document, v.version < version, v.status != "gone")
                .values(status="superseded", password=None)
            )
            db.execute(
                t.versions.update()
                .where(of_document, v.version == version)
                .values(status="ready", page_problems=problems, code=None, message=None)
            )
            db.execute(t.documents.update().where(t.documents.c.id == document_id).values(current=version))
            done = {row.key: pages if row.active and row.name in IMMEDIATE else 0 for row in channels}
            self.fills.start(db, document_id, version, done)

    def failed(self, document_id: str, version: int, problem: Problem) -> None:
        """The version can't be taken in; an older one that is ready stays. One that is read already stays so, too."""
        v, p = t.versions.c, t.pages.c
        this = (v.document_id == document_id) & (v.version == version) & v.status.in_(OUTSTANDING)
        why = {"status": "failed", "code": problem.code, "message": problem.message}
        with self.database.write() as db:
            if db.execute(t.versions.update().where(this).values(why)).rowcount:
                db.execute(t.pages.delete().where(p.document_id == document_id, p.version == version))

    # --- what is outstanding ----------------------------------------------------------------------------------------

    def outstanding_versions(self, job: str | None = None) -> list[tuple[str, int]]:
        """(document, version) still to be read, oldest first."""
        v, d = t.versions.c, t.documents.c
        query = (
            sa.select(v.document_id, v.version)
            .join(t.documents, d.id == v.document_id)
            .where(v.status.in_(OUTSTANDING), ~d.deleted)
            .order_by(v.created, v.document_id)
        )
        with self.database.read() as db:
            rows = db.execute(query.where(v.job_id == job) if job else query).all()
        return [(row.document_id, row.version) for row in rows]

    def place_of(self, document_id: str, version: int) -> tuple[str, bool] | None:
        """A version's collection, and whether its job has handed in others with it; None when it is gone."""
        d, v = t.documents.c, t.versions.c
        job = sa.select(v.job_id).where(v.document_id == document_id, v.version == version).scalar_subquery()
        with self.database.read() as db:
            several = db.execute(sa.select(v.document_id).where(v.job_id == job).limit(2)).all()
            collection = db.execute(sa.select(d.collection_id).where(d.id == document_id)).scalar()
        return (collection, len(several) > 1) if collection else None

    def stale(self) -> list[tuple[str, str, int | None]]:
        """(collection, document, version) whose pages and vectors must go: superseded versions, and, with version
        None, documents that were deleted.
        """
        d, v = t.documents.c, t.versions.c
        with self.database.read() as db:
            gone = db.execute(sa.select(d.collection_id, d.id).where(d.deleted)).all()
            old = db.execute(
                sa.select(d.collection_id, v.document_id, v.version)
                .join(t.documents, d.id == v.document_id)
                .where(v.status == "superseded", ~d.deleted)
            ).all()
        return [(row[0], row[1], None) for row in gone] + [(row[0], row[1], row[2]) for row in old]

    def delete(self, document_id: str) -> None:
        """From this moment on the document is found by nothing, and what was told from it is gone; `purge` removes what
        else it left.
        """
        with self.database.write() as db:
            db.execute(t.documents.update().where(t.documents.c.id == document_id).values(deleted=True))
            traces.erase(db, document_id)

    def originals(self) -> set[str]:
        """The hashes of all originals that a version refers to."""
        v = t.versions.c
        with self.database.read() as db:
            return set(db.execute(sa.select(v.sha256).where(v.sha256.is_not(None), v.status != "gone")).scalars())

    def refers(self, sha256: str) -> bool:
        """Whether a version that may still be read has this original."""
        v = t.versions.c
        query = sa.select(v.sha256).where(v.sha256 == sha256, v.status.not_in(("superseded", "gone"))).limit(1)
        with self.database.read() as db:
            return db.execute(query).first() is not None

    def purge(self, document_id: str, version: int | None = None, *, forget: bool = True) -> list[str]:
        """Remove the rows of a superseded version's pages, or of a whole document, whose vectors are gone.

        ``forget``: False while vectors are left in an index that can't be opened; it then stays among the `stale`.
        Returns the hashes of originals that nothing refers to any more.
        """
        tables = [t.pages, t.fills] if version is not None else [t.pages, t.fills, t.versions]
        v = t.versions.c
        with self.database.write() as db:
            stored = sa.select(v.sha256).where(v.document_id == document_id, v.sha256.is_not(None))
            hashes = set(db.execute(stored).scalars())
            for table in tables:
                condition = table.c.document_id == document_id
                if version is not None:
                    condition &= table.c.version == version
                db.execute(table.delete().where(condition))
            if version is None and forget:
                db.execute(t.documents.delete().where(t.documents.c.id == document_id))
            elif forget:
                db.execute(
                    t.versions.update().where(v.document_id == document_id, v.version == version).values(status="gone")
                )
            used = set(
                db.execute(
                    sa.select(v.sha256).where(v.sha256.in_(hashes), v.status.not_in(("superseded", "gone")))
                ).scalars()
            )
        return sorted(hashes - used)

    # --- reading ----------------------------------------------------------------------------------------------------

    def documents(self, collection: Collection) -> list[Document]:
        """All documents of a collection, oldest first."""
        return self.select(collection, t.documents.c.collection_id == collection.id)

    def document(self, collection: Collection, name: str) -> Document:
        """By id or file name, or `DocumentNotFound` with the nearest name."""
        d = t.documents.c
        found = self.select(
            collection,
            (d.collection_id == collection.id) & ((d.id == name) | (d.filename == name) | (d.source == name)),
        )
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(document.id for document in found)
            raise DocumentNotFound(f"{len(found)} documents are called {name!r}.", hint=f"Name one by its id: {ids}.")
        with self.database.read() as db:
            names = (
                db.execute(sa.select(d.filename).where(d.collection_id == collection.id, ~d.deleted)).scalars().all()
            )
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        raise DocumentNotFound(
            f"There is no document {name!r} in the collection {collection.name!r}.",
            hint=f"Did you mean {near[0]!r}?" if near else "`folioscope docs ls` lists them.",
        )

    def select(self, collection: Collection, condition: sa.ColumnElement[bool]) -> list[Document]:
        """The documents of a collection that meet a condition on the tables, oldest first."""
        d, v = t.documents.c, t.versions.c
        latest = (
            sa.select(v.document_id, sa.func.max(v.version).label("version")).group_by(v.document_id).subquery("latest")
        )
        query = (
            sa.select(t.documents, t.versions)
            .join(latest, latest.c.document_id == d.id)
            .join(
                t.versions,
                # The version that is searched; where none is ready yet, the newest.
                (v.document_id == d.id) & (v.version == sa.func.coalesce(d.current, latest.c.version)),
            )
            .where(condition, ~d.deleted)
            .order_by(d.created, d.filename)
        )
        coverage = self.fills.by_document(condition)
        with self.database.read() as db:
            rows = db.execute(query).all()
        return [
            Document(
                id=row.id,
                collection=collection.name,
                filename=row.filename,
                source=row.source,
                sha256=row.sha256,
                version=row.version,
                status=row.status,
                pages=row.pages,
                page_problems=row.page_problems,
                created=row.created,
                problem=Problem(row.code, row.message) if row.code else None,
                metadata=row.metadata,
                coverage=coverage.get(row.id, {}),
            )
            for row in rows
        ]

    def pages(self, document_id: str, version: int, start: int = 1, stop: int | None = None) -> list[Page]:
        """Pages ``start`` to ``stop`` (inclusive) of a version, in order."""
        c = t.pages.c
        query = sa.select(t.pages).where(c.document_id == document_id, c.version == version, c.number >= start)
        if stop is not None:
            query = query.where(c.number <= stop)
        with self.database.read() as db:
            rows = db.execute(query.order_by(c.number)).all()
        return [_page(row, unpack(row.words, row.source)) for row in rows]

    def page_notes(self, document_id: str, version: int) -> list[Page]:
        """The pages of a version that have a problem or a flag, without their words."""
        c = t.pages.c
        query = sa.select(c.number, c.width, c.height, c.flags, c.code, c.message).where(
            c.document_id == document_id, c.version == version, c.code.is_not(None) | (c.flags != "")
        )
        with self.database.read() as db:
            return [_page(row, Words.empty()) for row in db.execute(query.order_by(c.number))]

    def words(self, keys: Sequence[PageKey]) -> dict[PageKey, Words]:
        """The words of these pages; pages that are gone are missing."""
        c = t.pages.c
        found: dict[PageKey, Words] = {}
        with self.database.read() as db:
            for start in range(0, len(keys), 200):
                numbers: dict[tuple[str, int], list[int]] = {}
                for document_id, version, number in keys[start : start + 200]:
                    numbers.setdefault((document_id, version), []).append(number)
                # Not as a list of triples: for that SQLite reads the whole table.
                wanted = (
                    (c.document_id == document_id) & (c.version == version) & c.number.in_(listed)
                    for (document_id, version), listed in numbers.items()
                )
                query = sa.select(c.document_id, c.version, c.number, c.source, c.words).where(sa.or_(*wanted))
                for row in db.execute(query):
                    found[PageKey(row.document_id, row.version, row.number)] = unpack(row.words, row.source)
        return found

    def current(self, collection_id: str, document_ids: Iterable[str]) -> dict[str, DocumentRef]:
        """Those of the documents that can be searched, with their current version."""
        d, v = t.documents.c, t.versions.c
        query = (
            sa.select(d.id, d.current, d.filename, v.pages)
            .join(t.versions, (v.document_id == d.id) & (v.version == d.current))
            .where(d.collection_id == collection_id, ~d.deleted, d.id.in_(list(document_ids)))
        )
        with self.database.read() as db:
            return {row.id: DocumentRef(row.id, row.current, row.filename, row.pages) for row in db.execute(query)}

    # --- jobs -------------------------------------------------------------------------------------------------------

    def jobs(self) -> list[Job]:
        """All, newest first."""
        j, v, c = t.jobs.c, t.versions.c, t.collections.c
        with self.database.read() as db:
            jobs = db.execute(
                sa.select(t.jobs, c.name).join(t.collections, c.id == j.collection_id).order_by(j.created.desc(), j.id)
            ).all()
            states: dict[str, list[Any]] = {}
            for row in db.execute(sa.select(v.job_id, v.document_id, v.version, v.status)):
                states.setdefault(row.job_id, []).append(row)
        filling = {key[:2] for key in self.fills.outstanding()}  # last: what became ready meanwhile is in it
        return [_job(row, states.get(row.id, ()), filling) for row in jobs]

    def retry_job(self, job: str) -> list[tuple[str, int]]:
        """The failed versions of a job are to be read again, those that were given up, too; returns them.

        Not those whose bytes were never stored, and not those that a newer version has overtaken.
        """
        d, v = t.documents.c, t.versions.c
        newest = t.versions.alias("newest")
        last = sa.select(sa.func.max(newest.c.version)).where(newest.c.document_id == v.document_id)
        failed = (
            sa.select(v.document_id, v.version)
            .join(t.documents, d.id == v.document_id)
            .where(v.job_id == job, v.status == "failed", v.sha256.is_not(None), ~d.deleted)
            .where(v.version == last.scalar_subquery())
        )
        again = {"status": "queued", "code": None, "message": None, "pages": 0}
        with self.database.write() as db:
            found = [(row.document_id, row.version) for row in db.execute(failed)]
            for document_id, version in found:
                db.execute(t.versions.update().where(v.document_id == document_id, v.version == version).values(again))
            if found:
                db.execute(t.jobs.update().where(t.jobs.c.id == job).values(cancelled=False))
        return found

    def cancel_job(self, job: str) -> list[tuple[str, int]]:
        """Mark a job as cancelled, unless it has read everything; returns the versions that it has not read yet, for
        the pipeline to give up.
        """
        outstanding = self.outstanding_versions(job)
        if outstanding:
            with self.database.write() as db:
                db.execute(t.jobs.update().where(t.jobs.c.id == job).values(cancelled=True))
        return outstanding


def _next_version(
    db: sa.Connection,
    document_id: str,
    job: str,
    sha256: str | None,
    size: int,
    password: str | None,
    problem: Problem | None = None,
) -> int:
    """Its number. It is outstanding, unless there is a problem with it already."""
    v = t.versions.c
    number = 1 + (db.execute(sa.select(sa.func.max(v.version)).where(v.document_id == document_id)).scalar() or 0)
    db.execute(
        t.versions.insert().values(
            document_id=document_id,
            version=number,
            sha256=sha256,
            bytes=size,
            status="failed" if problem else "queued",
            code=problem and problem.code,
            message=problem and problem.message,
            password=password,
            job_id=job,
            created=now(),
        )
    )
    return number


def _job(row: Any, versions: Sequence[Any], filling: set[tuple[str, int]]) -> Job:
    statuses = [version.status for version in versions]
    outstanding = statuses.count("queued") + statuses.count("processing")
    state: Literal["running", "filling", "done", "cancelled"] = "done"
    if row.cancelled:
        state = "cancelled"
    elif outstanding:
        state = "running"
    elif any((version.document_id, version.version) in filling for version in versions):
        state = "filling"
    ready = sum(statuses.count(status) for status in ("ready", "superseded", "gone"))
    return Job(row.id, row.kind, row.name, row.created, state, ready, statuses.count("failed"), outstanding)


def _page(row: Any, words: Words) -> Page:
    flags = tuple(flag for flag in row.flags.split(",") if flag)
    problem = Problem(row.code, row.message) if row.code else None
    return Page(row.number, row.width, row.height, words, flags, problem)
