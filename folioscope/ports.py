"""The seams: what one room asks of another, one protocol wide.

An encoder or an index is plugged in by writing a class with these members; nothing has to be inherited.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import (
    Coverage,
    DocumentRef,
    Draft,
    DraftSegment,
    Fingerprint,
    Finish,
    GivenPage,
    Metadata,
    PageInput,
    PageKey,
    PictureLimits,
    Prompt,
    Region,
    ScoredPage,
    SearchResult,
    Turn,
    Vector,
    Where,
    Words,
)


class Encoder(Protocol):
    """Pages and queries -> vectors of one fingerprint."""

    @property
    def fingerprint(self) -> Fingerprint:
        """Known without loading weights where that is possible."""
        ...

    @property
    def batch_size(self) -> int:
        """How many pages the encoder likes to see at once."""
        ...

    def encode_pages(self, pages: Sequence[PageInput]) -> Sequence[Vector | None]:
        """One vector a page, in order, whatever the batch; None for a page with nothing to encode."""
        ...

    def encode_query(self, query: str) -> Vector | None:
        """None when the query has nothing that the channel understands (only stop words, say)."""
        ...


@runtime_checkable
class ImageQueries(Protocol):
    """What an `Encoder` can be besides: one that finds pages which look like a given image."""

    def encode_image_query(self, image: NDArray[np.uint8]) -> Vector:
        """uint8 [height, width, 3] RGB, upright, of any size -> what its pages are compared with."""
        ...


class PageIndex(Protocol):
    """Stores one channel's vectors, one point a page, and finds the nearest."""

    @property
    def fingerprint(self) -> Fingerprint:
        """What the stored vectors were made with."""
        ...

    def upsert(self, points: Iterable[tuple[PageKey, Vector]]) -> None:
        """Write points; the same key again replaces. Durable after `flush`."""
        ...

    def search(self, vector: Vector, limit: int, documents: frozenset[str] | None = None) -> list[ScoredPage]:
        """The nearest pages, best first, at most ``limit``. ``documents``: only of these."""
        ...

    def vectors(self, keys: Sequence[PageKey]) -> Mapping[PageKey, Vector]:
        """The stored vectors of these pages, dense and multi ones with rows of length 1 and as precise as they are
        stored; a page that is not stored is missing.
        """
        ...

    def delete(self, document_id: str, version: int | None = None) -> None:
        """Remove a document's points, of one version or of all. Durable after `flush`."""
        ...

    def flush(self) -> None:
        """Returns when everything written so far survives a kill."""
        ...

    def __len__(self) -> int: ...

    def close(self) -> None:
        """Release files and memory; the index can't be used afterwards."""
        ...


class PageStore(Protocol):
    """What retrieval needs to know of a collection's documents."""

    def current(self, document_ids: Iterable[str]) -> Mapping[str, DocumentRef]:
        """The documents among these that exist and are searchable, with their current version."""
        ...

    def tagged(self, metadata: Metadata) -> frozenset[str]:
        """The documents whose metadata has all these values now."""
        ...

    def words(self, keys: Sequence[PageKey]) -> Mapping[PageKey, Words]:
        """The words of these pages; a page that is gone is missing."""
        ...

    def coverage(self) -> Mapping[str, Coverage]:
        """Per channel of the collection."""
        ...


class PageImages(Protocol):
    """Page images on demand."""

    def image(self, key: PageKey, long_edge: int) -> NDArray[np.uint8]:
        """uint8 [height, width, 3] RGB, upright, its longer side ``long_edge`` pixels."""
        ...


class Searcher(Protocol):
    """Finds the pages that matter to a question: what `retrieval.Retriever` is to those who only ask."""

    def search(self, query: str, k: int = 5, where: Where | None = None) -> SearchResult:
        """The ``k`` best pages, best first."""
        ...

    def words(self, keys: Sequence[PageKey]) -> Mapping[PageKey, Words]:
        """The words of pages that were found."""
        ...

    def seen(self, key: PageKey, query: str) -> tuple[Region, ...]:
        """Where on a page a channel saw the question: regions of similarity, best first; none where no channel can
        tell.
        """
        ...


class Analyzer(Protocol):
    """Text -> index terms, the same way the lexical channel does (stop words dropped, stems, character bigrams)."""

    def terms(self, text: str) -> list[str]:
        """Terms in order, with repetitions."""
        ...

    def matches(self, query: str, words: Sequence[str]) -> Mapping[int, int]:
        """Positions of the words that match the query -> the number of the query's word they match, in order."""
        ...


class TextEncoder(Protocol):
    """Short texts -> unit vectors whose dot product is their similarity."""

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 [len(texts), dim], rows of length 1."""
        ...


class VisionModel(Protocol):
    """A vision-language model: a vendor's API, a local server or a local checkpoint."""

    @property
    def name(self) -> str:
        """As `generation.open_model` takes it, such as ``anthropic:<id>``."""
        ...

    @property
    def limits(self) -> PictureLimits:
        """What pictures it takes."""
        ...

    @property
    def structured(self) -> bool:
        """Whether its replies can be held to `Prompt.schema`; one that is only told it in words answers freely."""
        ...

    def generate(self, prompt: Prompt) -> AsyncIterator[str | Finish]:
        """The reply in pieces as they come, then its `Finish`. Raises `ModelError` and its kin; may have yielded
        pieces before.
        """
        ...


class AnswerModel(Protocol):
    """Reads pages and drafts an answer with quotes. Checking the quotes is not its business."""

    @property
    def name(self) -> str:
        """As shown to people, such as ``extractive``."""
        ...

    def draft(
        self, question: str, pages: Sequence[GivenPage], history: Sequence[Turn] = ()
    ) -> AsyncIterator[str | DraftSegment | Draft]:
        """An answer from these pages alone: text of the answer as it comes, each segment once it is complete (its text
        has come before), at last the whole draft. A draft that was cut holds what had come.
        """
        ...

    async def standing(self, question: str, history: Sequence[Turn]) -> str | None:
        """The question so that it can be understood without ``history``; None from a model that can't rewrite."""
        ...
