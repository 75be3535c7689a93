"""Quotes -> citations: each is looked up on the page that it names, then on others that the model was given.

Nothing that a model says about where words stand is believed. What is found nowhere stays as ``unverified`` and draws
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from folioscope.domain import Box, Citation, GivenPage, Quote
from generation.citations import PAGE_BOX, Match, fold, verify

MOVABLE = 12
"""Letters and digits of a quote (bytes of UTF-8); a shorter one stands on other pages by chance."""


class Evidence:
    """Collects citations, numbered from 1, and warnings. ``pages``: all that the model was given, in order.

    ``reach``: how many pages before and after the one that is named are looked at as well; models miscount. ``region``:
    position of a page -> what to draw of it for a quote that was only seen there.
    """

    def __init__(
        self, pages: Sequence[GivenPage], *, reach: int, region: Callable[[int], Box] = lambda _: PAGE_BOX
    ) -> None:
        self.citations: list[Citation] = []
        self.warnings: list[str] = []
        self._pages = pages
        self._reach = reach
        self._region = region
        self._numbers: dict[tuple[str, int, str], int] = {}

    def cite(self, quote: Quote) -> int | None:
        """The number of the citation for this quote.

        None for a quote without words, and for one on a page that was never given, of which a warning tells.
        """
        text = " ".join(quote.text.split())
        if not text:
            return None
        if not 0 <= quote.page < len(self._pages):
            self._warn(f"A quote names page {quote.page + 1} of {len(self._pages)} given: dropped.")
            return None
        at, match = self._find(quote)
        page = self._pages[at]
        key = (page.document.id, page.page, text)
        if key not in self._numbers:
            index = self._numbers[key] = len(self.citations) + 1
            boxes = (self._region(at),) if match.status == "visual" else match.boxes
            self.citations.append(
                Citation(index, page.document, page.page, text, match.status, boxes, moved=at != quote.page)
            )
        return self._numbers[key]

    def is_verified(self, number: int) -> bool:
        """Whether the citation of that number is more than ``unverified``."""
        return self.citations[number - 1].quote_status != "unverified"

    def _find(self, quote: Quote) -> tuple[int, Match]:
        """On the page it names, else on the nearest of the others that has it; what was only seen is looked for there
        alone.
        """
        named = self._pages[quote.page]
        match = verify(quote.text, named.words)
        if match.status != "unverified":
            return quote.page, match
        if quote.figure:
            return quote.page, Match("visual")
        for at in self._others(quote):
            page = self._pages[at]
            if len(page.words) and (moved := verify(quote.text, page.words)).boxes:
                self._warn(f"A quote from {page_name(named)} stands on {page_name(page)}: cited there.")
                return at, moved
        return quote.page, match

    def _others(self, quote: Quote) -> list[int]:
        """Where else the quote may stand, the nearest first."""
        if len(fold(quote.text).encode()) < MOVABLE:
            return []
        near = range(max(0, quote.page - self._reach), min(len(self._pages), quote.page + self._reach + 1))
        return sorted((at for at in near if at != quote.page), key=lambda at: abs(at - quote.page))

    def _warn(self, warning: str) -> None:
        if warning not in self.warnings:
            self.warnings.append(warning)


def page_name(page: GivenPage) -> str:
    """The page, for people."""
    return f"{page.document.filename}, page {page.page}"
