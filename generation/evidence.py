"""Citations of what was read from whole documents: each quote is looked up where the model says that it stands."""

from __future__ import annotations

from collections.abc import Sequence

from folioscope.domain import Citation, GivenPage
from generation.citations import verify

NEIGHBOURS = 3
"""How many pages before and after the one that is named are looked at as well: models miscount."""


class Evidence:
    """Collects citations, numbered from 1, and warnings. ``pages``: all that the model may have seen, in order."""

    def __init__(self, pages: Sequence[GivenPage]) -> None:
        self.pages = pages
        self.citations: list[Citation] = []
        self.warnings: list[str] = []
        self._numbers: dict[tuple[int, str], int] = {}

    def cite(self, page: int, quote: str) -> int | None:
        """The number of the citation for a quote on the ``page``-th of the pages, from 1.

        None for a quote without words and for one on a page that does not exist, of which a warning tells.
        """
        text = " ".join(quote.split())
        if not text:
            return None
        if not 1 <= page <= len(self.pages):
            self.warnings.append(f"A quote names page {page} of {len(self.pages)}: dropped.")
            return None
        if (page, text) not in self._numbers:
            self._numbers[page, text] = len(self.citations) + 1
            self.citations.append(self._citation(page, text))
        return self._numbers[page, text]

    def is_found(self, number: int | None) -> bool:
        """Whether a citation stands on its page."""
        return number is not None and self.citations[number - 1].quote_status != "unverified"

    def _citation(self, named: int, text: str) -> Citation:
        index = len(self.citations) + 1
        match = verify(text, self.pages[named - 1].words)
        if match.status == "unverified":
            for other in self._around(named):
                page = self.pages[other - 1]
                if len(page.words) and (moved := verify(text, page.words)).boxes:
                    return Citation(index, page.document, page.page, text, moved.status, moved.boxes, moved=True)
        page = self.pages[named - 1]
        return Citation(index, page.document, page.page, text, match.status, match.boxes)

    def _around(self, page: int) -> list[int]:
        """The numbers of the neighbours, the nearest first."""
        near = range(max(1, page - NEIGHBOURS), min(len(self.pages), page + NEIGHBOURS) + 1)
        return sorted((other for other in near if other != page), key=lambda other: abs(other - page))
