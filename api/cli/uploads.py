"""Files handed in to a server, and what becomes of each."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

from api.client import Client, Upload
from api.schemas.jobs import JobDocumentOut
from folioscope.domain import Document, Metadata, Problem
from folioscope.errors import DocumentError, Unreadable
from ingest.intake import Origin, Outcome, name, readable
from ingest.pipeline import CANCELLED, Event

PAUSE_S = (0.1, 1.0)  # between two looks at the server: at first, at most
EventKind = Literal["queued", "pages", "ready", "failed"]


class _Sent(NamedTuple):
    """What the server is to read."""

    origin: Origin
    upload: Upload


class Uploads:
    """``local``: the server is on this machine and knows files by their paths. ``stopped``: whether to leave off.
    ``tell``: called with what happens.
    """

    def __init__(self, client: Client, local: bool, stopped: Callable[[], bool], tell: Callable[[Event], None]) -> None:
        self._client = client
        self._local = local
        self._stopped = stopped
        self._tell = tell

    def all(
        self,
        files: Mapping[Path, Origin | None],
        collection: str | None,
        password: str | None,
        metadata: Metadata | None,
        wait: bool,
    ) -> tuple[Outcome, ...]:
        """An outcome for each file: once it is read (``wait``: and the slower channels have it) or `stopped`.

        ``files``: with where they came from, if they only pass through their paths.
        """
        sent = [self._send(path, origin, collection, password, metadata) for path, origin in files.items()]
        return tuple(self._awaited(each, wait) if isinstance(each, _Sent) else each for each in sent)

    def again(self, documents: Sequence[Document], password: str | None, wait: bool) -> tuple[Outcome, ...]:
        """As `all`, of documents that are there."""
        sent = [
            _Sent(Origin(each.filename, each.filename), self._client.reingest(each.id, password)) for each in documents
        ]
        return tuple(self._awaited(each, wait) for each in sent)

    def _send(
        self,
        path: Path,
        origin: Origin | None,
        collection: str | None,
        password: str | None,
        metadata: Metadata | None,
    ) -> _Sent | Outcome:
        shown = origin or Origin(name(path), str(path))
        if self._stopped():
            return Outcome(*shown, "queued")
        try:
            done = self._client.upload(
                path,
                collection=collection,
                filename=shown.filename,
                source=origin.source if origin else self._source(path),
                password=password,
                metadata=metadata,
            )
        except OSError as error:
            return _failed(shown, Unreadable(f"{path} can't be read: {error.strerror or error}."))
        except DocumentError as error:
            return _failed(shown, error)
        if not done.duplicate:
            self._tell(_event("queued", done.document))
        return _Sent(shown, done)

    def _source(self, path: Path) -> str:
        """Tells the server that a file which has changed is a new version of its document."""
        absolute = readable(path.absolute())
        return absolute if self._local else f"{platform.node()}:{absolute}"

    def _awaited(self, sent: _Sent, wait: bool) -> Outcome:
        if sent.upload.job is None:
            return self._known(sent)
        found = self._job(sent.upload, wait)
        if found is None or (found.error and found.error.code == CANCELLED.code):
            return Outcome(*sent.origin, "cancelled", sent.upload.document.id)
        problem = Problem(found.error.code, found.error.message) if found.error else None
        row = Outcome(*sent.origin, "queued", found.document, found.version, problem=problem)
        if found.status == "failed":
            self._tell(_event("failed", sent.upload.document, problem=problem))
            return replace(row, status="failed")
        if found.status == "ready":
            self._tell(_event("ready", sent.upload.document, done=found.pages))
            problems = self._client.document(found.document).page_problems
            return replace(row, status="ready", pages=found.pages, page_problems=problems)
        return row

    def _job(self, upload: Upload, wait: bool) -> JobDocumentOut | None:
        """The document as its job has left it, or left it so far; None where it was deleted meanwhile."""
        assert upload.job is not None
        for _ in self._looks():
            job = self._client.job(upload.job)
            self._tell(_event("pages", upload.document, done=job.pages.done))
            if job.state in ("done", "cancelled") or (job.state == "filling" and not wait):
                break
        return job.documents[0] if job.documents else None

    def _known(self, sent: _Sent) -> Outcome:
        """Of bytes that were there already, perhaps still being read for somebody else."""
        document = sent.upload.document
        for _ in self._looks():
            if document.status in ("ready", "failed"):
                break
            document = self._client.document(document.id)
        row = Outcome(*sent.origin, "queued", document.id, document.version)
        if document.status == "failed":
            return replace(row, status="failed", problem=document.problem)
        if document.status == "ready":
            return replace(row, status="duplicate", pages=document.pages, page_problems=document.page_problems)
        return row

    def _looks(self) -> Iterator[None]:
        """Ever longer apart; the last one when it is time to leave off."""
        for pause in pauses(self._stopped):
            yield
            time.sleep(pause)
        yield


def pauses(stopped: Callable[[], bool]) -> Iterator[float]:
    """Seconds between two looks at the server, ever more, until it is time to leave off."""
    pause = PAUSE_S[0]
    while not stopped():
        yield pause
        pause = min(2 * pause, PAUSE_S[1])


def _failed(origin: Origin, error: DocumentError) -> Outcome:
    return Outcome(*origin, "failed", problem=Problem(error.code, str(error)))


def _event(kind: EventKind, document: Document, *, done: int = 0, problem: Problem | None = None) -> Event:
    return Event(kind, document.id, document.filename, document.version, done, document.pages, problem=problem)
