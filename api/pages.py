"""The pages of whole documents, as those who read them are given them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Protocol, overload

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Document, DocumentRef, GivenPage, PageKey, Words

REMEMBERED = 64
"""Pages whose words are kept."""


class Source(Protocol):
    """Where pages come from: an `ingest.Library`, or an `api.client.Client`."""

    def words(self, keys: Sequence[PageKey]) -> Mapping[PageKey, Words]:
        """The words of these pages; a page that is gone is missing."""
        ...

    def image(self, key: PageKey, long_edge: int) -> NDArray[np.uint8]:
        """uint8 [height, width, 3] RGB, upright, its longer side ``long_edge`` pixels."""
        ...


class DocumentPages(Sequence[GivenPage]):
    """A document's pages, or those of the given ``numbers`` (from 1): words are read from ``source`` when a page is
    asked for, and a few remembered; images are drawn when they are called for. May be used by several threads.
    """

    def __init__(self, source: Source, document: Document, numbers: Sequence[int] | None = None) -> None:
        self._source = source
        self._ref = DocumentRef(document.id, document.version, document.filename, document.pages)
        self._numbers = range(1, document.pages + 1) if numbers is None else numbers
        self._page = lru_cache(maxsize=REMEMBERED)(self._read)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> GivenPage: ...
    @overload
    def __getitem__(self, place: slice) -> list[GivenPage]: ...
    def __getitem__(self, place: int | slice) -> GivenPage | list[GivenPage]:
        if isinstance(place, slice):
            return [self._page(number) for number in self._numbers[place]]
        return self._page(self._numbers[place])

    def _read(self, number: int) -> GivenPage:
        key = PageKey(self._ref.id, self._ref.version, number)
        words = self._source.words([key]).get(key, Words.empty())
        return GivenPage(self._ref, number, words, image=partial(self._source.image, key))
