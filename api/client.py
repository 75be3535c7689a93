"""A client of the HTTP interface that speaks the vocabulary: what it returns are the objects of `folioscope.domain`.

``with Client("http://localhost:8000") as client: client.search("revenue in 2024")``. Errors are those of
`folioscope.errors`, as if the work were done here; `ServerUnreachable` and `ServerError` tell of the connection.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from api.connection import PAUSE_S, TRIES, Connection, given
from api.schemas import answers as wire
from api.schemas.common import Item, Listed
from api.schemas.documents import (
    CollectionOut,
    DocumentOut,
    PageOut,
    PageText,
    Resubmitted,
    Uploaded,
    document_in,
    page_in,
    words_in,
)
from api.schemas.duplicates import DuplicatesOut
from api.schemas.jobs import JobDocumentOut, JobOut, JobProgress, JobSummary
from api.schemas.system import Models, Version
from folioscope.domain import Answer, Document, Metadata, Page, PageKey, Region, SearchResult, Turn, Where, Words
from folioscope.errors import DocumentNotFound, ServerError, ServerUnreachable

if TYPE_CHECKING:
    from api.schemas.channels import ChannelOut
    from api.schemas.keys import KeyOut, MadeKey
    from generation import Event

PAGE_LONG_EDGE = 1400  # pixels
WIDEST = 4000  # pixels, of a page's image
AT_ONCE = 100  # rows of a list
JobEvent = JobProgress | JobDocumentOut | JobOut
"""How far a job has come; a document that is ready or failed; at last the job that is done or cancelled."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was handed in. ``job``: what reads it; None for a ``duplicate``, which is there already."""

    document: Document
    duplicate: bool
    job: str | None


class Client:
    """Of the server at ``url``. Implements `folioscope.ports.PageImages`; may be used by several threads.

    What is named by id or name is not found where the key may not see it. Reading is tried again where the connection
    fails, all else is not.
    """

    def __init__(self, url: str, api_key: str | None = None, *, timeout: float = 60.0) -> None:
        self._server = Connection(url, api_key, timeout=timeout)
        self._size = lru_cache(maxsize=1000)(self._page_size)

    @property
    def url(self) -> str:
        """Of the server."""
        return self._server.url

    def version(self) -> str:
        """Of the server."""
        return self._server.read(Version, self._server.get("/version")).version

    def models(self) -> list[str]:
        """Names under which OpenAI's clients ask: ``docs``, and ``docs/<name>`` for each collection."""
        return [each.id for each in self._server.read(Models, self._server.get("/v1/models")).data]

    def model(self) -> str:
        """The server's answering model. Raises `ModelUnavailable`."""
        return self._server.read(Models, self._server.get("/v1/models")).answering

    # --- collections ------------------------------------------------------------------------------------------------

    def collections(self) -> list[CollectionOut]:
        """All that the key may see, by name."""
        return self._server.read(Listed[CollectionOut], self._server.get("/v1/collections")).data

    def collection(self, name: str) -> CollectionOut:
        """By name or id. Raises `CollectionNotFound`."""
        return self._server.read(CollectionOut, self._server.get(f"/v1/collections/{_part(name)}"))

    def create_collection(self, name: str, channels: Sequence[str] | None = None) -> CollectionOut:
        """``channels``: else the server's setting. Raises `CollectionExists`, `QueryError`, `Forbidden`."""
        body = {"name": name, "channels": list(channels) if channels else None}
        return self._server.read(CollectionOut, self._server.send("POST", "/v1/collections", json=body))

    def remove_collection(self, name: str) -> None:
        """With its documents. Raises `CollectionNotFound`, `Forbidden`."""
        self._server.send("DELETE", f"/v1/collections/{_part(name)}")

    def channels(self, collection: str) -> list[ChannelOut]:
        """Each with its coverage, those that are being built included. Raises `Forbidden`."""
        from api.schemas.channels import ChannelOut

        found = self._server.get(f"/v1/collections/{_part(collection)}/channels")
        return self._server.read(Listed[ChannelOut], found).data

    def add_channel(self, collection: str, name: str, encoder: str | None = None) -> ChannelOut:
        """It fills in the background. Raises `ChannelRefused`, `Forbidden`."""
        from api.schemas.channels import ChannelOut

        path = f"/v1/collections/{_part(collection)}/channels"
        made = self._server.send("POST", path, json={"name": name, "encoder": encoder})
        return self._server.read(ChannelOut, made)

    def remove_channel(self, collection: str, name: str) -> None:
        """With its vectors; by its key one that is being built. Raises `ChannelRefused`, `Forbidden`."""
        self._server.send("DELETE", f"/v1/collections/{_part(collection)}/channels/{_part(name)}")

    def duplicates(self, collection: str, threshold: float = 0.95) -> DuplicatesOut:
        """Pages that look alike, by the image channel. Raises `QueryError` where there is none."""
        path = f"/v1/collections/{_part(collection)}/duplicates"
        return self._server.read(DuplicatesOut, self._server.get(path, params={"threshold": threshold}))

    # --- keys -------------------------------------------------------------------------------------------------------

    def keys(self) -> list[KeyOut]:
        """Every key ever made, oldest first. Raises `Forbidden`, as the methods below."""
        from api.schemas.keys import KeyOut

        return self._server.read(Listed[KeyOut], self._server.get("/v1/keys")).data

    def create_key(
        self, name: str, scope: str = "read", collections: Sequence[str] | None = None, days: float | None = None
    ) -> MadeKey:
        """With its secret, this once. ``collections``: names or ids of the only ones that it may see."""
        from api.schemas.keys import MadeKey

        named = list(collections) if collections else None
        body = {"name": name, "scope": scope, "collections": named, "days": days}
        return self._server.read(MadeKey, self._server.send("POST", "/v1/keys", json=body))

    def revoke_key(self, key: str) -> None:
        """It opens nothing from now on. Raises `NotFoundError`."""
        self._server.send("DELETE", f"/v1/keys/{_part(key)}")

    # --- documents --------------------------------------------------------------------------------------------------

    def upload(
        self,
        path: str | Path,
        *,
        collection: str | None = None,
        filename: str | None = None,
        source: str | None = None,
        password: str | None = None,
        metadata: Metadata | None = None,
    ) -> Upload:
        """Hand a file in, read as it is sent; the server reads it in a job of its own.

        ``filename``: else the path's. ``source``: a name for where it is from; another file under the same one becomes
        a new version of the document. Raises `DocumentError` for what can't be a document, `CollectionNotFound`, and
        what the operating system says of the path.
        """
        path = Path(path)
        fields = {"source": source, "password": password, "metadata": json.dumps(dict(metadata)) if metadata else None}
        with path.open("rb") as file:
            done = self._server.send(
                "POST",
                "/v1/documents",
                params={"collection": collection},
                files={"file": (filename or path.name, file, "application/octet-stream")},
                data=given(fields),
            )
        found = self._server.read(Uploaded, done)
        return Upload(document_in(found.document), found.duplicate, found.job)

    def documents(self, collection: str | None = None) -> Iterator[Document]:
        """Oldest first; asked for as they are taken from the iterator."""
        for row in self._listed(Listed[DocumentOut], "/v1/documents", collection=collection):
            yield document_in(row)

    def document(self, document_id: str) -> Document:
        """Raises `DocumentNotFound`."""
        found = self._server.get(f"/v1/documents/{_part(document_id)}")
        return document_in(self._server.read(DocumentOut, found))

    def set_metadata(self, document_id: str, metadata: Metadata) -> Document:
        """In place of what was there; searches go by it at once."""
        body = {"metadata": dict(metadata)}
        found = self._server.send("PATCH", f"/v1/documents/{_part(document_id)}", json=body)
        return document_in(self._server.read(DocumentOut, found))

    def remove(self, document_id: str) -> None:
        """Nothing finds it from now on. Raises `DocumentNotFound`."""
        self._server.send("DELETE", f"/v1/documents/{_part(document_id)}")

    def reingest(self, document_id: str, password: str | None = None) -> Upload:
        """Read the stored original again; the new version takes the old one's place once it is ready."""
        path = f"/v1/documents/{_part(document_id)}/reingest"
        found = self._server.read(Resubmitted, self._server.send("POST", path, json={"password": password}))
        return Upload(document_in(found.document), False, found.job)

    def file(self, document_id: str) -> Iterator[bytes]:
        """The original, piece by piece. Raises `DocumentNotFound`."""
        with self._server.stream("GET", f"/v1/documents/{_part(document_id)}/file") as response:
            yield from response.iter_bytes()

    # --- pages ------------------------------------------------------------------------------------------------------

    def pages(self, document_id: str) -> Iterator[Page]:
        """In order, without their words (see `words`); asked for as they are taken from the iterator."""
        for row in self._listed(Listed[PageOut], f"/v1/documents/{_part(document_id)}/pages"):
            yield page_in(row)

    def image_bytes(self, key: PageKey, width: int = 1000, kind: Literal["jpeg", "png", "webp"] = "jpeg") -> bytes:
        """A file of this kind, ``width`` pixels wide (16-4000; one more or less). Raises `DocumentNotFound` also where
        the version is not the current one.
        """
        params = {"width": width, "format": kind, "version": key.version}
        return self._server.get(_page(key, "image"), params=params).content

    def image(self, key: PageKey, long_edge: int = PAGE_LONG_EDGE) -> NDArray[np.uint8]:
        """uint8 [height, width, 3] RGB, upright, its longer side ``long_edge`` pixels, one more or less."""
        from PIL import Image

        width, height = self._size(key)
        wanted = min(WIDEST, max(16, round(long_edge * width / max(width, height))))
        return np.asarray(Image.open(io.BytesIO(self.image_bytes(key, wanted, "png"))).convert("RGB"))

    def similarity_image(self, key: PageKey, query: str, word: str | None = None, width: int = 1000) -> bytes:
        """A PNG of the page with where a visual channel sees the question, or one word of it, painted on it.

        Raises `QueryError` where no channel can say so, `DocumentNotFound`.
        """
        params = {"query": query, "word": word, "width": width, "format": "png", "version": key.version}
        return self._server.get(_page(key, "similarity"), params=params).content

    def words(self, keys: Sequence[PageKey]) -> Mapping[PageKey, Words]:
        """The words of these pages; a page that is gone is missing."""
        found: dict[PageKey, Words] = {}
        for key in keys:
            params = {"include": "words", "version": key.version}
            try:
                text = self._server.get(_page(key, "text"), params=params)
            except DocumentNotFound:
                continue
            found[key] = words_in(self._server.read(PageText, text))
        return found

    def _page_size(self, key: PageKey) -> tuple[float, float]:
        params = {"after": key.number - 1, "limit": 1}
        found = self._server.get(f"/v1/documents/{_part(key.document_id)}/pages", params=params)
        rows = self._server.read(Listed[PageOut], found).data
        if not rows or rows[0].number != key.number:
            raise DocumentNotFound(f"There is no page {key.number} of {key.document_id}.")
        return rows[0].width, rows[0].height

    # --- jobs -------------------------------------------------------------------------------------------------------

    def job(self, job_id: str) -> JobOut:
        """With its documents. Raises `NotFoundError`."""
        return self._server.read(JobOut, self._server.get(f"/v1/jobs/{_part(job_id)}"))

    def jobs(self, collection: str | None = None) -> Iterator[JobSummary]:
        """Newest first, without their documents, of one collection or of all."""
        yield from self._listed(Listed[JobSummary], "/v1/jobs", collection=collection)

    def retry(self, job_id: str) -> JobOut:
        """Read its failed documents again, those that were given up, too."""
        return self._server.read(JobOut, self._server.send("POST", f"/v1/jobs/{_part(job_id)}/retry"))

    def cancel(self, job_id: str) -> JobOut:
        """Give up what it has not read yet; what is ready stays."""
        return self._server.read(JobOut, self._server.send("POST", f"/v1/jobs/{_part(job_id)}/cancel"))

    def job_events(self, job_id: str) -> Iterator[JobEvent]:
        """A job's news until it is over, each document once, also where the connection breaks off meanwhile.

        Raises `NotFoundError`, and `ServerUnreachable` when the server does not come back.
        """
        last_id, failed = "", 0
        while True:
            headers = {"last-event-id": last_id} if last_id else {}
            try:
                for event in self._server.events("GET", f"/v1/jobs/{_part(job_id)}/events", headers=headers):
                    last_id, failed = event.id or last_id, 0
                    if kind := JOB_EVENTS.get(event.event):
                        yield self._server.read(kind, event.data)
                    if event.event == "job.done":
                        return
            except ServerUnreachable:
                if failed == TRIES:
                    raise
            failed += 1
            time.sleep(failed * PAUSE_S)

    def wait(self, job_id: str) -> JobOut:
        """The job once it is over, slower channels included."""
        for event in self.job_events(job_id):
            if isinstance(event, JobOut):
                return event
        raise AssertionError("a job's events end with the job")

    # --- questions --------------------------------------------------------------------------------------------------

    def search(
        self,
        query: str,
        k: int | None = None,
        where: Where | None = None,
        channels: Sequence[str] | None = None,
        *,
        collection: str | None = None,
        image: str | Path | None = None,
        similarity: bool = False,
    ) -> SearchResult:
        """The ``k`` best pages (None: the server's setting), best first; ``channels``: only these.

        ``image``: a file; pages that look like it, the query may then be empty. ``similarity``: hits of a visual
        channel get regions of similarity, too. Raises `QueryError`, `CollectionNotFound`, `ChannelUnavailable`.
        """
        named = {"channels": list(channels) if channels else None, "similarity": similarity or None}
        body = given({"query": query, **named, **_question(collection, k, where)})
        if image is None:
            done = self._server.send("POST", "/v1/search", json=body)
        else:
            with Path(image).open("rb") as file:
                form: dict[str, Any] = {"files": {"image": file}, "data": {"search": json.dumps(body)}}
                done = self._server.send("POST", "/v1/search/image", **form)
        return wire.search_in(self._server.read(wire.SearchOut, done))

    def ask(
        self,
        question: str,
        k: int | None = None,
        where: Where | None = None,
        history: Sequence[Turn] = (),
        *,
        collection: str | None = None,
    ) -> Answer:
        """The server's model's answer, its quotes checked. ``history``: what was said before a follow-up.

        Raises `QueryError`, `ModelError` and its kin.
        """
        for event in self.stream(question, k, where, history, collection=collection):
            if isinstance(event, Answer):
                return event
        raise AssertionError("a stream ends with its answer or an error")

    def stream(
        self,
        question: str,
        k: int | None = None,
        where: Where | None = None,
        history: Sequence[Turn] = (),
        *,
        collection: str | None = None,
    ) -> Iterator[Event]:
        """As `ask`, told while it comes about: what `generation.stream` tells, in that order."""
        turns = [{"role": turn.role, "text": turn.text} for turn in history] or None
        body = {"question": question, "stream": True, "history": turns, **_question(collection, k, where)}
        yield from self._told("/v1/ask", body)

    def retriever(self, collection: str | None = None) -> RemoteSearcher:
        """For `generation.answer` and its like: the server searches, a model here reads what it finds."""
        return RemoteSearcher(self, collection)

    # --- underneath -------------------------------------------------------------------------------------------------

    def _told(self, path: str, body: Mapping[str, Any]) -> Iterator[Event]:
        for event in self._server.events("POST", path, json=body):
            if event.event == "retrieval.done":
                yield wire.search_in(self._server.read(wire.SearchOut, event.data))
            elif event.event == "answer.delta":
                yield self._server.read(wire.Delta, event.data).text
            elif event.event == "citation.added":
                yield wire.citation_in(self._server.read(wire.CitationOut, event.data))
            elif event.event == "segment.done":
                yield wire.segment_in(self._server.read(wire.SegmentOut, event.data))
            elif event.event == "answer.done":
                yield wire.answer_in(self._server.read(wire.AnswerOut, event.data))
                return
        raise ServerError(f"The answer of {self.url} broke off.", hint="Ask again.")

    def _listed(self, kind: type[Listed[Item]], path: str, **asked: Any) -> Iterator[Item]:
        after: str | None = None
        while True:
            params = {"limit": AT_ONCE, "after": after, **asked}
            found = self._server.read(kind, self._server.get(path, params=params))
            yield from found.data
            after = found.last_id
            if not found.has_more:
                return

    def close(self) -> None:
        """Let the connection go."""
        self._server.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class RemoteSearcher:
    """Implements `folioscope.ports.Searcher` over one collection of a server."""

    def __init__(self, client: Client, collection: str | None) -> None:
        self._client = client
        self._collection = collection

    def search(
        self, query: str, k: int | None = 5, where: Where | None = None, channels: Sequence[str] | None = None
    ) -> SearchResult:
        """As `Client.search`."""
        return self._client.search(query, k, where, channels, collection=self._collection)

    def words(self, keys: Sequence[PageKey]) -> Mapping[PageKey, Words]:
        """As `Client.words`."""
        return self._client.words(keys)

    def seen(self, key: PageKey, query: str) -> tuple[Region, ...]:  # noqa: ARG002
        """None: what is seen on a page is marked by the whole of it."""
        return ()


JOB_EVENTS: dict[str, type[JobProgress | JobDocumentOut | JobOut]] = {
    "job.progress": JobProgress,
    "document.ready": JobDocumentOut,
    "document.failed": JobDocumentOut,
    "job.done": JobOut,
}


def _question(collection: str | None, k: int | None, where: Where | None) -> dict[str, Any]:
    documents = sorted(where.documents) if where and where.documents is not None else None
    metadata = dict(where.metadata) if where and where.metadata else None
    return {"collection": collection, "top_k": k, "documents": documents, "metadata": metadata}


def _page(key: PageKey, what: str) -> str:
    return f"/v1/documents/{_part(key.document_id)}/pages/{key.number}/{what}"


def _part(name: str) -> str:
    """A name as one part of a path. Empty ones, and dots, which mean folders there, name nothing."""
    from urllib.parse import quote

    if name in ("", ".", ".."):
        raise DocumentNotFound(f"Nothing is called {name!r}.")
    return quote(name, safe="")
