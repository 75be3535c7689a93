"""Files that are taken in: registered in the catalog, handed on to be read, and what became of each."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from folioscope.domain import Document, Metadata, Problem
from folioscope.errors import DocumentError, Unreadable
from ingest.catalog import Catalog, Collection, Registered
from ingest.files import Files
from ingest.pipeline import CANCELLED, Event

OutcomeStatus = Literal["ready", "failed", "duplicate", "cancelled", "queued"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: ``queued`` when the process was asked to stop before it was done."""

    filename: str
    source: str
    status: OutcomeStatus
    document_id: str = ""
    version: int = 0
    pages: int = 0
    page_problems: int = 0
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What an ingest did, a row for each file handed in. ``skipped``: files in folders that are no documents."""

    job: str
    outcomes: tuple[Outcome, ...]
    skipped: int = 0

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The files that could not be taken in."""
        return tuple(outcome for outcome in self.outcomes if outcome.status == "failed")


class Origin(NamedTuple):
    """Where a file came from: its name for people, and what tells it from files of the same name."""

    filename: str
    source: str


def readable(path: Path) -> str:
    """A path as text that any database and terminal takes: bytes that are no UTF-8 are spelt out."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def name(path: Path) -> str:
    """A file's name, in the same way."""
    return readable(Path(path.name))


class Intake:
    """``emit``: told what happens. ``read``: called with the document and version that are to be read."""

    def __init__(
        self,
        catalog: Catalog,
        files: Files,
        emit: Callable[[Event], None],
        read: Callable[[str, int], None],
    ) -> None:
        self._catalog = catalog
        self._files = files
        self._emit = emit
        self._read = read

    def take(
        self,
        path: Path,
        collection: Collection,
        job: str,
        *,
        password: str | None,
        metadata: Metadata | None,
        origin: Origin | None = None,
    ) -> Registered:
        """Store and register a file; one that can't be stored is registered as failed, so that it is not forgotten.

        ``origin``: of a file that only passes through this path; else the path's own. Raises `CollectionNotFound`
        where the collection was removed meanwhile.
        """
        filename, source = origin or Origin(name(path), readable(path.absolute()))
        try:
            with self._files.stage(path) as staged, self._catalog.database.lock(staged.sha256):
                self._files.keep(staged)
                entry = self._catalog.register(
                    collection,
                    job,
                    filename=filename,
                    source=source,
                    sha256=staged.sha256,
                    size=staged.size,
                    password=password,
                    metadata=metadata,
                )
        except (OSError, DocumentError) as error:
            if isinstance(error, OSError):
                error = Unreadable(
                    f"{filename if origin else path} can't be read: {error.strerror or error}.",
                    hint="Check its rights.",
                )
            problem = Problem(error.code, str(error))
            entry = self._catalog.register(
                collection, job, filename=filename, source=source, sha256=None, size=0, problem=problem
            )
            self._emit(Event("failed", entry.document_id, filename, entry.version, problem=problem))
            return entry
        if not entry.duplicate:
            self._emit(Event("queued", entry.document_id, filename, entry.version))
            self._read(entry.document_id, entry.version)
        return entry

    def outcome(self, origin: Origin, entry: Registered) -> Outcome:
        """What became of it by now."""
        row = self._catalog.version(entry.document_id, entry.version)
        problem = row.problem if row else CANCELLED
        status: OutcomeStatus = "ready"
        if row is None or problem == CANCELLED:
            status = "cancelled"
        elif row.outstanding:
            status = "queued"
        elif row.status == "failed":
            status = "failed"
        elif entry.duplicate:
            status = "duplicate"
        return Outcome(
            filename=origin.filename,
            source=origin.source,
            status=status,
            document_id=entry.document_id,
            version=entry.version,
            pages=row.pages if row and status != "failed" else 0,
            page_problems=row.page_problems if row else 0,
            problem=problem,
        )

    def again(self, document: Document, job: str, password: str | None) -> Registered:
        """Register a document's next version, from its stored original. Raises `DocumentNotFound`."""
        old = self._catalog.version(document.id, document.version)
        entry = self._catalog.register_again(
            document.id,
            job,
            sha256=document.sha256,
            size=old.bytes if old else 0,
            password=password or (old.password if old else None),
        )
        self._emit(Event("queued", entry.document_id, document.filename, entry.version))
        self._read(entry.document_id, entry.version)
        return entry
