"""The pages of whole documents, as those who read them are given them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import overload

from folioscope.domain import Document, DocumentRef, GivenPage, PageKey, Words
from ingest import Library

REMEMBERED = 64
"""Pages whose words are kept."""


class DocumentPages(Sequence[GivenPage]):
    """A document's pages, or those of the given ``numbers`` (from 1): words are read from the catalog when a page is
    asked for, and a few remembered; images are drawn when they are called for. May be used by several threads.
    """

    def __init__(self, library: Library, document: Document, numbers: Sequence[int] | None = None) -> None:
        self._library = library
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
        words = self._library.catalog.words([key]).get(key, Words.empty())
        return GivenPage(self._ref, number, words, image=partial(self._library.image, key))
