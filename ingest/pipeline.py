"""Reading documents and filling channels: bounded stages from a file to searchable pages.

A child process parses ahead into a pipe while this process encodes, indexes and writes rows, batch by batch: first the
vectors, made durable, then the rows that say so. Whoever is killed goes on at the first page without a row, and writing
a page's vectors twice is the same as writing them once (their id is made from document, version and page).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Page, PageInput, PageKey, Problem, Vector
from folioscope.errors import ChannelUnavailable, CollectionNotFound, DocumentError, FolioscopeError, StorageError
from ingest.catalog import Catalog, Overtaken, VersionRow
from ingest.channels import Channels
from ingest.drawing import Drawing
from ingest.fills import Fill
from ingest.sandbox import Sandbox
from retrieval import Channel

log = logging.getLogger(__name__)

Portion = list[tuple[VersionRow, list[Page]]]

BATCH_PAGES = 64
BATCH_SECONDS = 1.0
ELSEWHERE = 256  # documents that other processes may be at and that are looked behind for more
ELSEWHERE_SECONDS = 0.1  # until it is looked again whether another process has done its part
CANCELLED = Problem("cancelled", "The job was cancelled before this document was read.")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that people wait for. ``done`` of ``total`` pages, in ``channel`` when a channel fills in."""

    kind: Literal["queued", "pages", "ready", "failed", "filled"]
    document_id: str
    filename: str
    version: int
    done: int = 0
    total: int = 0
    channel: str = ""
    problem: Problem | None = None


class Stopped(BaseException):
    """The process is going away: leave everything where it stands. Not an Exception, so that nobody handles it."""


class Workplace(Protocol):
    """What the pipeline asks of the opened library."""

    catalog: Catalog
    channels: Channels
    sandbox: Sandbox
    drawing_sandbox: Sandbox

    def original(self, sha256: str) -> AbstractContextManager[Path]:
        """A path to the original, which holds as long as the context."""
        ...

    def emit(self, event: Event) -> None:
        """Tell whoever listens."""
        ...


class Pipeline:
    """Does the work of jobs; `stop` makes it leave off after the current page."""

    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace
        self._stop = threading.Event()
        self._reading = 0
        self._quiet = threading.Condition()
        self.telling = threading.RLock()  # held from a change to the end of its event; taken before `exclusive`
        self._locks: dict[str, threading.Lock] = {}
        self._locks_guard = threading.Lock()

    def stop(self) -> None:
        """Documents being read leave off after their current page, channels after their current batch."""
        self._stop.set()
        with self._quiet:
            self._quiet.notify_all()

    def resume(self) -> None:
        """Work again after `stop`."""
        self._stop.clear()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    @contextmanager
    def exclusive(self, document_id: str) -> Iterator[None]:
        """Writing a document's vectors and deleting the document exclude each other, in other processes, too."""
        with self._locks_guard:
            lock = self._locks.setdefault(document_id, threading.Lock())
        database = self._workplace.catalog.database
        with lock, database.lock(document_id) if database.shared else nullcontext():
            yield

    # --- reading ----------------------------------------------------------------------------------------------------

    def read(self, document_id: str, version: int) -> None:
        """Parse a version, write its immediate channels and switch to it. Bad input ends as a failed version."""
        with self._quiet:
            self._reading += 1
        try:
            row = self._workplace.catalog.version(document_id, version)
            if row is None or not row.outstanding:
                return
            try:
                self._read(row)
            except DocumentError as error:
                self.fail(row, Problem(error.code, str(error)))
            except (Overtaken, CollectionNotFound):
                pass
            except OSError:
                now = self._workplace.catalog.version(document_id, version)
                if now is not None and now.outstanding:
                    raise  # else it was deleted, and its original went under our hands
        finally:
            with self._quiet:
                self._reading -= 1
                self._quiet.notify_all()

    def _read(self, row: VersionRow) -> None:
        catalog = self._workplace.catalog
        immediate = self._workplace.channels.immediate(catalog.collection_by_id(row.collection_id))
        self._check(row)
        workplace = self._workplace
        with workplace.original(row.sha256) as path, workplace.sandbox.open(path, row.password) as opened:
            total = opened.page_count
            catalog.opened(row.document_id, row.version, total)
            done = catalog.pages_done(row.document_id, row.version)
            pages = opened.pages(range(done + 1, total + 1))
            for batch in _batches(pages, lambda: self.stopping):
                with self.exclusive(row.document_id):
                    self._check(row, stop=False)
                    inputs = [_input(row, page) for page in batch if page.problem is None]
                    for channel in immediate:
                        channel.add(inputs)
                        channel.flush()
                    catalog.add_pages(row.document_id, row.version, batch)
                done = batch[-1].number
                self._emit(row, "pages", done=done, total=total)
                self._check(row)
        if problem := catalog.only_problems(row.document_id, row.version):
            self.fail(row, problem)
            return
        with self.telling:
            with self.exclusive(row.document_id):
                self._check(row, stop=False)
                catalog.ready(row.document_id, row.version)
            self._emit(row, "ready", done=total, total=total)

    def _check(self, row: VersionRow, *, stop: bool = True) -> None:
        if stop and self.stopping:
            raise Stopped
        now = self._workplace.catalog.version(row.document_id, row.version)
        if now is None or not now.outstanding:
            raise Overtaken

    def fail(self, row: VersionRow, problem: Problem) -> None:
        """The version can't be taken in: remove what it wrote and say why."""
        catalog = self._workplace.catalog
        with self.telling:
            with self.exclusive(row.document_id):
                now = catalog.version(row.document_id, row.version)
                if now is None or not now.outstanding:
                    return
                # First the catalog: its rows say which vectors are there, so they must never outlive them.
                catalog.failed(row.document_id, row.version, problem)
                # The slower channels begin when a version is ready: they have nothing of it.
                for channel in self._workplace.channels.immediate(catalog.collection_by_id(row.collection_id)):
                    channel.delete(row.document_id, row.version)
                    channel.flush()
            self._emit(row, "failed", problem=problem)

    # --- filling ----------------------------------------------------------------------------------------------------

    def fill(self, document_id: str, version: int, key: str) -> None:
        """Take a version's pages into a slower channel, from where it stands; waits while documents are being read.

        Where its last pages are fewer than the encoder likes to see at once, the next documents' pages join them; while
        they take it less than `BATCH_SECONDS` it is handed more, so that it prepares some pages as it encodes others.
        While some pages' vectors are written, those of the next are made. A document is one process's at a time: where
        another has joined this one's pages to its own, this takes the next ones until they are in.
        """
        workplace = self._workplace
        row = workplace.catalog.version(document_id, version)
        if row is None or not self._fills(row.collection_id, key):
            return  # the document or the channel is gone, or the channel was given up since this was enqueued
        channel = workplace.channels.of(row.collection_id)[key]
        try:
            with (
                workplace.catalog.database.claims() as claim,
                ThreadPoolExecutor(1, thread_name_prefix="write") as writer,
            ):
                count = channel.encoder.batch_size
                portion: Portion = []
                writing: Future[None] = writer.submit(lambda: None)
                while not self._filled(row, key):
                    self._wait_until_quiet()
                    portion = self._portion(row, key, count, beyond=portion, claim=claim)
                    if not portion and writing.done():
                        self._stop.wait(ELSEWHERE_SECONDS)
                    started = time.monotonic()
                    points = self._points(channel, portion)
                    if time.monotonic() - started < BATCH_SECONDS:
                        count = max(count, min(2 * count, BATCH_PAGES))
                    writing.result()  # one behind at most
                    if portion:
                        # In the context of this job, so that its progress is published as this job's.
                        writing = writer.submit(copy_context().run, self._write, channel, key, portion, points)
                writing.result()
        except ChannelUnavailable as error:
            log.warning("the %s channel takes in nothing more: %s", key, error)
            workplace.channels.give_up(row.collection_id, key, str(error))

    def _filled(self, row: VersionRow, key: str) -> bool:
        """Also where the document or the channel is gone."""
        done = self._workplace.catalog.fills.done(row.document_id, row.version, key)
        return done is None or done >= row.pages

    def _portion(self, row: VersionRow, key: str, count: int, beyond: Portion, claim: Callable[[str], bool]) -> Portion:
        """The next ``count`` pages of the version and, where it has fewer, of the next ones; each has at least one.

        Those in ``beyond`` are being written and count as done; what can't be claimed is another process's.
        """
        catalog = self._workplace.catalog
        written = {(row.document_id, row.version): pages[-1].number for row, pages in beyond}
        found: Portion = []
        limit = count + len(beyond) + (ELSEWHERE if catalog.database.shared else 0)
        next_ones = catalog.fills.outstanding(collection_id=row.collection_id, channel=key, limit=limit)
        for document_id, version in dict.fromkeys([(row.document_id, row.version), *(fill[:2] for fill in next_ones)]):
            if not claim(f"fill {document_id}.{version}.{key}"):
                continue
            done = catalog.fills.done(document_id, version, key)
            now = catalog.version(document_id, version)
            if done is None or now is None:
                continue
            done = max(done, written.get((document_id, version), 0))
            if pages := catalog.pages(document_id, version, done + 1, done + count):
                found.append((now, pages))
                count -= len(pages)
            if not count:
                break
        return found

    def _points(self, channel: Channel, portion: Portion) -> list[tuple[PageKey, Vector]]:
        """Encode pages of several documents together."""
        workplace = self._workplace
        with Drawing(workplace.drawing_sandbox, workplace.original) as drawing:
            inputs = [
                _input(row, page, drawing.page(row.sha256, row.password, page.number))
                for row, pages in portion
                for page in pages
                if page.problem is None
            ]
            return self._encode(channel, inputs)

    def _write(self, channel: Channel, key: str, portion: Portion, points: Sequence[tuple[PageKey, Vector]]) -> None:
        """Write the vectors, flush once, then say so in the catalog."""
        workplace = self._workplace
        for row, _ in portion:
            with self.exclusive(row.document_id):
                if workplace.catalog.fills.done(row.document_id, row.version, key) is not None:
                    channel.upsert([point for point in points if point[0].document_id == row.document_id])
        channel.flush()
        for row, pages in portion:
            with self.telling:
                workplace.catalog.fills.advance(row.document_id, row.version, key, pages[-1].number)
                self._emit(row, "filled", done=pages[-1].number, total=row.pages, channel=channel.name)

    def _encode(self, channel: Channel, pages: Sequence[PageInput]) -> list[tuple[PageKey, Vector]]:
        """The pages' points; where some can't be drawn, each page by itself, and those are left out."""
        if not pages:
            return []
        try:
            return _encoded(channel, pages)
        except DocumentError:
            points = []
        for page in pages:
            try:
                points += _encoded(channel, [page])
            except DocumentError as error:
                if self.stopping:  # it may be for this that nothing can be drawn any more
                    raise Stopped from None
                where = (page.key.number, page.title, page.key.document_id, channel.name, error)
                log.warning("page %d of %s (%s) is left out of the %s channel: %s", *where)
        return points

    def pending_fills(self, document_id: str | None = None) -> list[Fill]:
        """Outstanding fills of channels that can be used here."""
        workplace = self._workplace
        found = workplace.catalog.fills.outstanding(document_id)
        workplace.channels.follow()
        usable = {
            channel for channel in {(fill.collection_id, fill.channel) for fill in found} if self._fills(*channel)
        }
        return [fill for fill in found if (fill.collection_id, fill.channel) in usable]

    def _fills(self, collection_id: str, key: str) -> bool:
        try:
            return self._workplace.channels.fills(collection_id, key)
        except CollectionNotFound:  # removed by another process
            return False

    def _wait_until_quiet(self) -> None:
        with self._quiet:
            self._quiet.wait_for(lambda: self.stopping or not self._reading)
        if self.stopping:
            raise Stopped

    def _emit(
        self,
        row: VersionRow,
        kind: Literal["pages", "ready", "failed", "filled"],
        *,
        done: int = 0,
        total: int = 0,
        channel: str = "",
        problem: Problem | None = None,
    ) -> None:
        self._workplace.emit(Event(kind, row.document_id, row.filename, row.version, done, total, channel, problem))


def _batches(pages: Iterable[Page], stopping: Callable[[], bool]) -> Iterator[list[Page]]:
    """Pages in batches: full ones, what has come after a second, what there is when asked to stop."""
    batch: list[Page] = []
    due = time.monotonic() + BATCH_SECONDS
    for page in pages:
        batch.append(page)
        if len(batch) >= BATCH_PAGES or time.monotonic() >= due or stopping():
            yield batch
            batch = []
            due = time.monotonic() + BATCH_SECONDS
    if batch:
        yield batch


def _input(row: VersionRow, page: Page, image: Callable[[int], NDArray[np.uint8]] | None = None) -> PageInput:
    key = PageKey(row.document_id, row.version, page.number)
    return PageInput(key, row.filename, page.words, image)


def _encoded(channel: Channel, pages: Sequence[PageInput]) -> list[tuple[PageKey, Vector]]:
    """`Channel.encode`; what goes wrong in an encoder, a page that can't be drawn aside, is `ChannelUnavailable`."""
    try:
        return channel.encode(pages)
    except (DocumentError, ChannelUnavailable, StorageError):  # the last: originals can't be reached
        raise
    except FolioscopeError as error:
        raise ChannelUnavailable(error.message, hint=error.hint) from error
    except Exception as error:
        log.exception("a fault in the encoder of the %s channel", channel.name)
        raise ChannelUnavailable(
            f"Its encoder failed: {repr(error)[:300]}.", hint="`folioscope channels backfill` tries again."
        ) from error
