"""A data folder that a command has opened itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from api.answering import forget_answers
from api.cli.answering import announce
from api.cli.places import Asker, Finder, Shelf
from folioscope.domain import Coverage, Document, Metadata, Page, PageKey, SearchResult, Turn, Where, Words
from folioscope.ports import AnswerModel, PageImages, Searcher
from ingest import Event, Library, Report
from ingest.catalog import Collection as Kept
from ingest.catalog import Job
from ingest.channels import ChannelStatus
from ingest.intake import Origin
from ingest.lookups import document_counts
from ingest.recipes import ChannelEntry

if TYPE_CHECKING:
    from generation import Event as Told
    from generation import Preview
    from retrieval import Retriever


class Local:
    """``library``: closed with this. Implements `api.cli.places.Place`."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.settings = library.settings

    @property
    def last_image(self) -> Path:  # noqa: D102
        return self._library.folder / "last.png"

    # --- collections and documents ----------------------------------------------------------------------------------

    def collections(self) -> list[Shelf]:  # noqa: D102
        counts = document_counts(self._library.catalog)
        return [_shelf(each, counts.get(each.id, 0)) for each in self._library.catalog.collections()]

    def create_collection(self, name: str, channels: Sequence[str] | None) -> Shelf:  # noqa: D102
        made = self._library.create_collection(name, channels)
        return _shelf(made, document_counts(self._library.catalog).get(made.id, 0))

    def remove_collection(self, name: str) -> None:  # noqa: D102
        documents = [each.id for each in self._library.documents(name)]
        self._library.remove_collection(name)
        forget_answers(self._library, documents)

    def documents(self, collection: str | None) -> list[Document]:  # noqa: D102
        return self._library.documents(collection)

    def document(self, name: str, collection: str | None) -> Document:  # noqa: D102
        return self._library.document(name, collection)

    def page_notes(self, document: Document) -> list[Page]:  # noqa: D102
        return self._library.catalog.page_notes(document.id, document.version)

    def remove(self, document: Document) -> None:  # noqa: D102
        self._library.forget(document.id)
        forget_answers(self._library, [document.id])

    def image(self, key: PageKey, long_edge: int = 1400) -> NDArray[np.uint8]:  # noqa: D102
        return self._library.image(key, long_edge)

    def words(self, keys: Sequence[PageKey]) -> Mapping[PageKey, Words]:  # noqa: D102
        return self._library.words(keys)

    # --- questions --------------------------------------------------------------------------------------------------

    def duplicates(self, collection: str | None, threshold: float) -> dict[str, Any]:  # noqa: D102
        from api.duplicates import duplicate_pages
        from folioscope.errors import NotFoundError

        found = self._library.collection(collection)
        channel = self._library.channels.searchable(found.id).get("image")
        if channel is None:
            why = self._library.unavailable.get("image", "")
            raise NotFoundError(
                f"The collection {found.name!r} has no image channel. {why}".strip(),
                hint=f"`folioscope channels add image -c {found.name}` gives it one.",
            )
        documents = self._library.documents(collection)
        groups, compared = duplicate_pages(channel.index, documents, threshold)
        pages = sum(document.pages for document in documents)
        return {"threshold": threshold, "compared": compared, "pages": pages, "groups": groups}

    def finder(self, collection: str | None) -> Finder:  # noqa: D102
        return _Finder(self._library, self._library.retriever(collection))

    def asker(self, collection: str | None, quiet: bool, *, dry: bool = False) -> Asker:  # noqa: D102
        from api.answering import open_answer_model

        retriever = self._library.retriever(collection)
        announce(self.settings, quiet)
        return Here(retriever, open_answer_model(self._library, dry=dry), self._library, self.settings.top_k)

    # --- work -------------------------------------------------------------------------------------------------------

    def jobs(self) -> list[Job]:  # noqa: D102
        return self._library.jobs()

    def cancel(self, job: str) -> int:  # noqa: D102
        return self._library.cancel(job)

    def retry(self, job: str) -> int:  # noqa: D102
        return self._library.retry(job, wait=True)

    def listen(self, listener: Callable[[Event], None]) -> None:  # noqa: D102
        self._library.listen(listener)

    def stop(self) -> None:  # noqa: D102
        self._library.stop()

    def left(self, go_on: str) -> str:  # noqa: D102
        return f"go on with {go_on}"

    def channel_coverage(self) -> Mapping[str, Coverage]:  # noqa: D102
        return self._library.channel_coverage()

    def outlook(self) -> list[str]:  # noqa: D102
        said = []
        unavailable = self._library.unavailable
        for name, coverage in self._library.channel_coverage().items():
            if name in unavailable:
                said.append(f"the {name} channel is off: {unavailable[name]}")
            elif coverage.done < coverage.total:
                said.append(
                    f"the {name} channel has {coverage.done} of {coverage.total} pages and rests; "
                    "`folioscope jobs watch` or the next ingest goes on with it"
                )
        return said

    def ingest(  # noqa: D102
        self,
        paths: Sequence[Path],
        *,
        collection: str | None,
        channels: Sequence[str] | None = None,
        password: str | None = None,
        metadata: Metadata | None = None,
        wait: bool = False,
        origins: Mapping[Path, Origin] | None = None,
    ) -> Report:
        return self._library.ingest(
            paths,
            collection=collection,
            channels=channels,
            password=password,
            metadata=metadata,
            wait=wait,
            origins=origins,
        )

    def reingest(  # noqa: D102
        self, names: Sequence[str], *, collection: str | None, password: str | None = None, wait: bool = False
    ) -> Report:
        return self._library.reingest(names, collection=collection, password=password, wait=wait)

    def run_outstanding(self) -> None:  # noqa: D102
        self._library.run_outstanding()

    def rebuild(self, collection: str | None) -> None:  # noqa: D102
        self._library.rebuild(collection)

    def add_channel(self, collection: str | None, name: str, encoder: str | None) -> ChannelEntry:  # noqa: D102
        return self._library.add_channel(collection, name, encoder)

    def remove_channel(self, collection: str | None, name: str) -> list[ChannelEntry]:  # noqa: D102
        return self._library.remove_channel(collection, name)

    def backfill(self, collection: str | None, name: str | None) -> None:  # noqa: D102
        self._library.backfill(collection, name)

    def channel_status(self, collection: str | None) -> list[ChannelStatus]:  # noqa: D102
        return self._library.channel_status(collection)

    def __enter__(self) -> Local:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._library.close()


class _Finder:
    def __init__(self, library: Library, retriever: Retriever) -> None:
        self._library = library
        self._retriever = retriever

    def search(
        self,
        query: str,
        k: int,
        where: Where | None,
        channels: Sequence[str] | None,
        *,
        image: Path | None,
        similarity: bool,
    ) -> SearchResult:
        pixels = None if image is None else self._library.read_image(image)
        return self._retriever.search(query, k, where, channels, image=pixels, similarity=similarity)

    def painted(self, page: NDArray[np.uint8], key: PageKey, query: str, word: str | None) -> NDArray[np.uint8]:
        from retrieval.similarity import painted

        found = self._retriever.similarity_map(key, query)
        return painted(page, found if word is None else found.of(word))


class Here:
    """A model in this process reads what ``searcher`` finds. Implements `api.cli.places.Asker`."""

    def __init__(self, searcher: Searcher, model: AnswerModel, images: PageImages, k: int) -> None:
        self._searcher = searcher
        self._model = model
        self._images = images
        self._k = k

    def stream(self, question: str, where: Where | None, history: Sequence[Turn] = ()) -> AsyncIterator[Told]:  # noqa: D102
        from generation import stream

        return stream(
            question, self._searcher, self._model, k=self._k, where=where, images=self._images, history=history
        )

    def preview(self, question: str, where: Where | None) -> Preview:  # noqa: D102
        from generation import preview

        return preview(question, self._searcher, self._model, k=self._k, where=where, images=self._images)


def _shelf(collection: Kept, documents: int) -> Shelf:
    channels = tuple(entry.name for entry in collection.channels if entry.active)
    return Shelf(collection.id, collection.name, collection.created, channels, documents)
