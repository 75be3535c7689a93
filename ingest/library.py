"""A data folder, opened: collections, documents, their pages and channels, and the jobs that fill them.

``with Library("folio-data") as library: library.ingest(["reports/"])``, then
``library.retriever().search("revenue in 2024")``.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Citation, Coverage, Document, Metadata, PageHit, PageKey, Words
from folioscope.errors import (
    ConfigError,
    DocumentError,
    DocumentNotFound,
    FolioscopeError,
    NotFoundError,
    QueryError,
    StorageError,
    Unreadable,
)
from folioscope.ports import TextEncoder
from folioscope.settings import Settings, load_settings
from ingest import lookups
from ingest.catalog import Catalog, Collection, Job, Registered
from ingest.changes import ChannelChanges, named_entries
from ingest.channels import Channels, ChannelStatus
from ingest.database import Database, plain_url
from ingest.discover import discover
from ingest.files import Files, open_originals
from ingest.folder import DataFolder
from ingest.intake import Intake, Origin, Outcome, Report, name
from ingest.membership import join
from ingest.page_store import CollectionPages
from ingest.pipeline import CANCELLED, Event, Pipeline
from ingest.recipes import ChannelEntry
from ingest.sandbox import Limits, Ocr, Sandbox
from ingest.sweeper import Sweeper
from ingest.work import Work
from retrieval import Retriever

if TYPE_CHECKING:
    from ingest.jobs import Jobs

COLLECTION_NAME = re.compile(r"[^\W_][\w.-]{0,63}")
PAGE_LONG_EDGE = 1400  # pixels; sharp on a laptop's screen, about 120 dpi on A4

log = logging.getLogger(__name__)
Listener = Callable[[Event], None]


class Library:
    """``data_dir``: the folder where everything lives, made if need be; else the setting. One process at a time.

    Raises `DataFolderBusy`, `StorageError`, `ConfigError`.
    """

    def __init__(self, data_dir: str | Path | None = None, *, settings: Settings | None = None) -> None:
        self.settings = settings or load_settings()
        self.folder = DataFolder(Path(data_dir) if data_dir is not None else self.settings.data_dir)
        try:
            self._open()
        except BaseException:
            if database := self.__dict__.get("_database"):
                database.close()
            self.folder.close()
            raise

    def _open(self) -> None:
        settings = self.settings
        self._database = Database(settings.database_url or f"sqlite:///{self.folder / 'catalog.sqlite'}")
        self._membership = join(self._database, settings)
        self.catalog = Catalog(self._database)
        self.files = Files(
            self.folder.path,
            open_originals(settings, self.folder.path, self._database),
            max_bytes=settings.max_file_mb << 20,
            cache_bytes=settings.image_cache_mb << 20,
        )
        self._workers = settings.workers or os.cpu_count() or 1
        limits = Limits.from_settings(settings)
        self.sandbox = Sandbox(limits, Ocr(settings.ocr, settings.ocr_languages), workers=self._workers)
        self._painter = Sandbox(limits, Ocr("off"), workers=1)  # page images never wait behind documents being read
        self.drawing_sandbox = Sandbox(limits, Ocr("off"), workers=1)  # nor do the images that encoders look at
        self.channels = Channels(self.folder / "indexes", self.catalog, settings)
        self._changes = ChannelChanges(self.catalog, self.channels)
        self.pipeline = Pipeline(self)
        self._sweeper = Sweeper(self.catalog, self.channels, self.files, self.pipeline)
        url = settings.database_url
        self.work = Work(
            self.pipeline,
            self.catalog,
            self.channels,
            url=plain_url(url) if url else f"sqlite:///{self.folder / 'jobs.sqlite'}",
            readers=2 * self._workers if settings.run_jobs else 0,
            tidy=self._sweeper.tidy,
        )
        self._listeners: list[Listener] = []
        self._intake = Intake(self.catalog, self.files, self.emit, self._read)
        self.channels.tidy()
        self._sweep()

    # --- collections and channels -----------------------------------------------------------------------------------

    def collection(self, name: str | None = None) -> Collection:
        """The collection of that name (default: the setting). Raises `CollectionNotFound`."""
        return self.catalog.collection(self.settings.collection if name is None else name)

    def create_collection(self, name: str | None = None, channels: Sequence[str] | None = None) -> Collection:
        """The collection of that name, made now with these channels if there was none."""
        recipes = {channel: self.channels.encoder_for(channel) for channel in channels or self.settings.channels}
        name = self.settings.collection if name is None else name
        if not COLLECTION_NAME.fullmatch(name):
            raise ConfigError(
                f"A collection can't be called {name!r}.",
                hint="Use 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first.",
            )
        return self.catalog.create_collection(name, recipes)

    def remove_collection(self, name: str) -> None:
        """Delete a collection with its documents, vectors and files."""
        collection = self.catalog.collection(name)
        with self.work.at_rest():
            removed = False
            while not removed:  # another process, or a thread, may hand in documents until it is
                for document in self.catalog.documents(collection):
                    self.catalog.delete(document.id)
                self.channels.erase_collection(collection.id)  # first: one that can't be opened must not be in the way
                self._sweep()
                self.channels.erase_collection(collection.id)
                removed = self.catalog.remove_collection(collection.id)

    def rebuild(self, collection: str | None = None) -> None:
        """Make a collection's indexes anew from the words in the catalog, with the encoders of today.

        The cure for a `FingerprintMismatch` or a damaged index. Nothing is parsed again; while it runs, search finds
        what has been taken in so far.
        """
        target = self.collection(collection)
        with self._membership.alone("catalog") as alone:
            if not alone:
                raise StorageError(
                    "Other processes have the catalog open; they would go on writing into the indexes.",
                    hint="Stop them, rebuild, and start them again.",
                )
            self._rebuild(target)
        self.run_outstanding()

    def _rebuild(self, target: Collection) -> None:
        with self.work.at_rest():
            self.catalog.fills.reset(target.id)
            self.channels.erase_collection(target.id)
            self._sweep()

    @property
    def unavailable(self) -> Mapping[str, str]:
        """Channels that a collection wants and that can't be used here, with the reason and the cure."""
        found: dict[str, str] = {}
        for collection in self.catalog.collections():
            found |= self.channels.problems(collection)
        return found

    def text_encoder(self) -> TextEncoder | None:
        """The semantic channel's encoder, to compare sentences with; None where it can't be used."""
        return self.channels.text_encoder()

    def channel_coverage(self) -> Mapping[str, Coverage]:
        """Per channel, over all collections; one that is built to replace another goes by its key (visual-2)."""
        return self.catalog.fills.progress()

    def retriever(self, collection: str | None = None) -> Retriever:
        """Searches one collection, with the channels that it has at each search."""
        found = self.collection(collection)
        self.channels.of(found.id)  # what can't be opened is an error here, not at the first search
        return Retriever(
            lambda: self.channels.searchable(found.id),
            CollectionPages(found.id, self.catalog),
            fusion=self.settings.fusion,
            weights={str(name): weight for name, weight in self.settings.channel_weights.items()},
            candidates=self.settings.candidates,
            notes=self.channels.problems(found),
            images=self,
        )

    def add_channel(self, collection: str | None, name: str, encoder: str | None = None) -> ChannelEntry:
        """A channel joins a collection; its pages are outstanding, and taken in when jobs run.

        ``encoder``: for `retrieval.open_encoder`; else the name's default. It is tried before anything is written. A
        channel of a name that is there is built beside that one and searched in its place once it has every page.

        Raises `ConfigError` where the collection has the channel with that encoder or is switching already, or where
        documents must be read first; `ChannelUnavailable`, `CollectionNotFound`.
        """
        entry = self._changes.add(self.collection(collection).id, name, encoder)
        if self.work.running is not None:
            self.work.running.reconcile()
        return entry

    def remove_channel(self, collection: str | None, name: str) -> list[ChannelEntry]:
        """Remove a channel with its index, or, named by its key, one that is being built; returns what went.

        Raises `NotFoundError`, and `ConfigError` where nothing would be left to search with.
        """
        return self._changes.remove(self.collection(collection).id, name)

    def backfill(self, collection: str | None = None, name: str | None = None, *, wait: bool = True) -> None:
        """Go on until the collection's channels, or one of them, have every page that they can have here.

        Channels that could not be used are tried again. Returns early when `stop` was called, and at once, with work
        going on, without ``wait``. Raises `NotFoundError`.
        """
        target = self.collection(collection)
        keys = {entry.key for entry in (named_entries(target, name) if name else target.channels)}
        self.channels.of(target.id)  # an index that is gone is to be filled, too
        self.channels.retry(target.id)
        jobs = self.work.started()
        jobs.reconcile()
        if not wait:
            return
        jobs.wait(
            lambda: (
                not any(
                    fill.collection_id == target.id and fill.channel in keys for fill in self.pipeline.pending_fills()
                )
            )
        )
        self._changes.switch()

    def channel_status(self, collection: str | None = None) -> list[ChannelStatus]:
        """Each channel of a collection, those that are being built included."""
        return self.channels.status(self.collection(collection))

    # --- taking documents in ----------------------------------------------------------------------------------------

    def ingest(
        self,
        paths: Sequence[str | Path],
        *,
        collection: str | None = None,
        channels: Sequence[str] | None = None,
        password: str | None = None,
        metadata: Metadata | None = None,
        wait: bool = False,
        origins: Mapping[Path, Origin] | None = None,
    ) -> Report:
        """Take files and folders in; returns when every document is ready or failed (``wait``: when the slower
        channels have them too), or when `stop` was called.

        ``channels``: of the collection if it is made now. ``origins``: of files that only pass through their paths.
        Raises `ConfigError` where it is there and has others,
        `NotFoundError` when a path does not exist, and the back end's error when one gives up; what was
        acknowledged stays outstanding and goes on with the next job or `run_outstanding`.
        """
        found = discover([Path(path) for path in paths])
        target = self.create_collection(collection, channels)
        if channels and (absent := set(channels) - {entry.name for entry in target.channels}):
            raise ConfigError(
                f"The collection {target.name!r} is there already, without the channel {', '.join(sorted(absent))}.",
                hint=f"Add it with `folioscope channels add {min(absent)} -c {target.name}`.",
            )
        job = self.catalog.create_job("ingest", target.id)
        jobs = self.work.started()
        given = origins or {}
        shown = [given.get(path) or Origin(name(path), str(path)) for path in found.files]
        taken = [
            self._intake.take(path, target, job, password=password, metadata=metadata, origin=given.get(path))
            for path in found.files
            if not self.pipeline.stopping
        ]
        outcomes = self._wait(jobs, list(zip(shown, taken, strict=False)), wait)
        left = [Outcome(*origin, "queued") for origin in shown[len(taken) :]]
        return Report(job, (*outcomes, *left), found.skipped)

    def submit(
        self,
        path: Path,
        origin: Origin,
        *,
        collection: Collection,
        password: str | None = None,
        metadata: Metadata | None = None,
    ) -> tuple[str, Registered]:
        """As `ingest` of one file that came from elsewhere, without waiting: the job and what was registered.

        The file may be removed when this returns. Raises `CollectionNotFound` where the collection is no more, and the
        back end's error.
        """
        job = self.catalog.create_job("ingest", collection.id)
        return job, self._intake.take(path, collection, job, password=password, metadata=metadata, origin=origin)

    def _wait(self, jobs: Jobs, registered: Sequence[tuple[Origin, Registered]], channels: bool) -> tuple[Outcome, ...]:
        """Until each of the versions is read (also one that an earlier job had left), or `stop` was called."""
        versions = {(entry.document_id, entry.version) for _, entry in registered}
        jobs.wait(lambda: not versions.intersection(self.catalog.outstanding_versions()))
        if channels:
            jobs.wait(lambda: not any(fill[:2] in versions for fill in self.pipeline.pending_fills()))
        return tuple(self._intake.outcome(*entry) for entry in registered)

    def reingest(
        self,
        names: Sequence[str],
        *,
        collection: str | None = None,
        password: str | None = None,
        wait: bool = False,
    ) -> Report:
        """Read documents again from their stored originals, as new versions that replace the old ones in one switch."""
        target = self.collection(collection)
        documents = [self._stored(self.catalog.document(target, name)) for name in names]
        job = self.catalog.create_job("reingest", target.id)
        jobs = self.work.started()
        registered = [
            (Origin(document.filename, document.source), self._intake.again(document, job, password))
            for document in documents
        ]
        return Report(job, self._wait(jobs, registered, wait))

    def resubmit(self, document: Document, password: str | None = None) -> tuple[str, Registered]:
        """As `reingest` of one document, without waiting: the job and what was registered."""
        target = self.collection(document.collection)
        self._stored(document)
        job = self.catalog.create_job("reingest", target.id)
        return job, self._intake.again(document, job, password)

    def _stored(self, document: Document) -> Document:
        if not document.sha256 or not self.files.originals.has(document.sha256):
            raise DocumentNotFound(
                f"The original of {document.filename} is not stored (it could not be read).",
                hint=f"Ingest the file again: `folioscope ingest {document.source}`.",
            )
        return document

    def run_outstanding(self) -> None:
        """Go on with whatever earlier calls left, channels included, and return when nothing is left."""
        for collection in self.catalog.collections():
            with suppress(FolioscopeError):  # told by whoever needs it
                self.channels.of(collection.id)  # an index that is gone is to be filled, too
        jobs = self.work.started()
        jobs.reconcile()
        jobs.wait(lambda: not self.catalog.outstanding_versions())
        self._wait_for_channels(jobs)

    def _wait_for_channels(self, jobs: Jobs) -> None:
        jobs.wait(lambda: not self.pipeline.pending_fills())
        self._changes.switch()

    # --- documents --------------------------------------------------------------------------------------------------

    def documents(self, collection: str | None = None) -> list[Document]:
        """All documents of a collection, oldest first."""
        return self.catalog.documents(self.collection(collection))

    def document(self, name: str, collection: str | None = None) -> Document:
        """By id or file name. Raises `DocumentNotFound`."""
        return self.catalog.document(self.collection(collection), name)

    def remove(self, name: str, collection: str | None = None) -> Document:
        """Delete a document: its vectors, words, page images and, if no other document has the same bytes, its file."""
        document = self.document(name, collection)
        self.forget(document.id)
        return document

    def forget(self, document_id: str) -> None:
        """As `remove`, by id alone."""
        self.catalog.delete(document_id)
        self._sweep()

    def _sweep(self) -> None:
        self._sweeper.sweep()
        try:
            self._changes.switch()
        except FolioscopeError as error:
            log.warning("a channel that is complete could not take over: %s", error)

    # --- pages ------------------------------------------------------------------------------------------------------

    def image(self, key: PageKey, long_edge: int = PAGE_LONG_EDGE) -> NDArray[np.uint8]:
        """A page's image, uint8 [h, w, 3] RGB, upright, its longer side ``long_edge`` pixels (fewer where the pixel
        limit says so). Raises `DocumentNotFound`, `DocumentError`.
        """
        gone = DocumentNotFound(f"There is no page {key.number} of {key.document_id}, version {key.version}.")
        row = self.catalog.version(key.document_id, key.version)
        if row is None or not 1 <= key.number <= row.pages:
            raise gone

        def draw() -> NDArray[np.uint8]:
            try:
                with self.original(row.sha256) as path:
                    return self._painter.render(path, key.number, long_edge, row.password)
            except OSError as error:
                raise Unreadable(
                    f"The original of {row.filename} can't be read: {error.strerror or error}.",
                    hint="Ingest the file again.",
                ) from error

        try:
            return self.files.image(row.sha256, key.number, long_edge, draw)
        except Unreadable as error:
            if self.catalog.version(key.document_id, key.version) is None:  # deleted while it was being drawn
                raise gone from error
            raise

    def words(self, keys: Sequence[PageKey]) -> Mapping[PageKey, Words]:
        """The words of these pages; a page that is gone is missing."""
        return self.catalog.words(keys)

    def read_image(self, path: str | Path, called: str = "") -> NDArray[np.uint8]:
        """An image to search with: uint8 [h, w, 3] RGB, upright, of a PDF its first page; read in a child process.

        ``called``: what errors call it; else the path. Raises `NotFoundError`, and `QueryError` for what is no image.
        """
        path = Path(path)
        called = called or str(path)
        if not path.is_file():
            raise NotFoundError(
                f"There is no file {called}.", hint="Name an image, or a PDF whose first page is taken."
            )
        try:
            return self._painter.render(path, 1, PAGE_LONG_EDGE)
        except OSError as error:
            raise QueryError(f"{called} can't be read: {error.strerror or error}.", hint="Check its rights.") from error
        except DocumentError as error:
            raise QueryError(f"{called} can't be searched with: {error.message}", hint=error.hint) from error

    def original(self, sha256: str) -> AbstractContextManager[Path]:
        """A path to an original, which holds as long as the context. Raises `StorageError`."""
        return self.files.originals.open(sha256)

    def page_image(self, found: PageHit | Citation, long_edge: int = PAGE_LONG_EDGE) -> NDArray[np.uint8]:
        """The image of a page that was found or cited."""
        return self.image(found.key, long_edge)

    # --- jobs -------------------------------------------------------------------------------------------------------

    def jobs(self) -> list[Job]:
        """Every ingest and reingest and how far it has come, newest first."""
        return self.catalog.jobs()

    def cancel(self, job: str) -> int:
        """Give up what a job has not read yet; returns how many documents. Raises `NotFoundError`."""
        lookups.job(self.catalog, job)
        versions = self.catalog.cancel_job(job)
        for version in versions:
            if row := self.catalog.version(*version):
                self.pipeline.fail(row, CANCELLED)
        return len(versions)

    def retry(self, job: str, *, wait: bool = False) -> int:
        """Read a job's failed documents again, those that were given up, too; returns how many.

        ``wait``: return when they are read, or when `stop` was called. Raises `NotFoundError`, and with ``wait`` the
        back end's error when one gives up.
        """
        lookups.job(self.catalog, job)
        versions = set(self.catalog.retry_job(job))
        if versions:
            jobs = self.work.started()
            jobs.reconcile()
            if wait:
                jobs.wait(lambda: not versions.intersection(self.catalog.outstanding_versions()))
        return len(versions)

    def listen(self, listener: Listener) -> None:
        """Call ``listener`` with each `Event`, from the threads that work."""
        self._listeners.append(listener)

    def emit(self, event: Event) -> None:
        """Tell whoever listens."""
        if event.kind in ("ready", "failed") or (event.kind == "filled" and event.done == event.total):
            self._sweep()
        self.work.on_event(event)
        for listener in self._listeners:
            listener(event)

    def stop(self) -> None:
        """Leave off after the current pages; a running `ingest` returns. Safe in a signal handler."""
        self.pipeline.stop()

    def start(self) -> None:
        """Work in the background from now on, on what is outstanding and on what comes; again where work had stopped
        because a back end failed. Raises `StorageError`.
        """
        self.work.started()

    def tend(self) -> None:
        """To be called now and then where a library stays open: as `start`, and takes up what processes that are gone
        have left, what can be removed by now, and channels that could not be used. Raises `StorageError`.
        """
        if not self._membership.lasts:
            self._membership.release()
            self._membership = join(self._database, self.settings)
        self.work.tend()
        self._sweep()

    @property
    def fault(self) -> FolioscopeError | None:
        """What stopped the work in the background."""
        return self.work.fault

    def _read(self, document_id: str, version: int) -> None:
        self.work.started().read(document_id, version)

    # --- the end ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop work after the current pages, release everything. What is outstanding goes on when opened again."""
        self.work.leave_off()
        self.sandbox.close()
        self._painter.close()
        self.drawing_sandbox.close()
        self.channels.close()
        self._membership.release()
        self._database.close()
        self.folder.close()

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
