"""A draft, segment by segment, held against the pages that the model was given.

Nothing it says about where words stand is believed. Each quote is looked up on the page it names, then on the others;
what is found nowhere stays in the answer as ``unverified`` and draws nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from folioscope.domain import (
    AnswerStatus,
    Box,
    Citation,
    DraftSegment,
    GivenPage,
    PageHit,
    PageKey,
    Quote,
    Region,
    Segment,
)
from generation.citations import PAGE_BOX, Match, fold, numbers, verify

_NO_STATEMENT = re.compile(r"\[\d+(?:, ?\d+)*\]|^\s*\d+[.)]\s", re.MULTILINE)
"""Numbers that say nothing: of a citation, of an item in a list."""

MOVABLE = 12
"""Letters and digits of a quote (bytes of UTF-8); a shorter one stands on other pages by chance."""


class Check:
    """Collects the segments, citations and warnings of one answer.

    ``hits`` and ``pages``: the same, in one order. ``seen``: where on a page a channel saw the question, best first.
    """

    def __init__(
        self,
        hits: Sequence[PageHit],
        pages: Sequence[GivenPage],
        seen: Callable[[PageKey], Sequence[Region]] = lambda _: (),
    ) -> None:
        self.segments: list[Segment] = []
        self.citations: list[Citation] = []
        self.warnings: list[str] = []
        self._hits = hits
        self._pages = pages
        self._seen = seen
        self._numbers: dict[tuple[str, int, str], int] = {}

    def add(self, draft: DraftSegment) -> Segment:
        """The segment with the numbers of the citations that carry it; none: it is unsupported."""
        cited = [index for quote in draft.quotes if (index := self._cite(quote))]
        segment = Segment(draft.text, tuple(dict.fromkeys(cited)))
        self.segments.append(segment)
        return segment

    def status(self) -> AnswerStatus:
        """``answered``: every segment rests on a quote that is not ``unverified``; ``partial``: some do."""
        carried = [bool(self._carrying(segment)) for segment in self.segments]
        return "not_found" if not any(carried) else "answered" if all(carried) else "partial"

    def reservations(self) -> list[str]:
        """All warnings, with those that take the whole answer to see."""
        out = list(self.warnings)
        if self.segments and self.status() == "not_found":
            return [*out, "Nothing in the draft of an answer could be verified on the pages."]
        verified = [citation.quote for citation in self.citations if citation.quote_status != "unverified"]
        for segment in self.segments:
            said = numbers(_NO_STATEMENT.sub(" ", segment.text))
            quoted = [citation.quote for citation in self._carrying(segment)] or verified
            out += [
                f"The number {number} in the answer stands in none of the quotes it rests on."
                for number in sorted(said - numbers(" ".join(quoted)))
            ]
        return list(dict.fromkeys(out))

    def _carrying(self, segment: Segment) -> list[Citation]:
        cited = [self.citations[index - 1] for index in segment.citations]
        return [citation for citation in cited if citation.quote_status != "unverified"]

    def _cite(self, quote: Quote) -> int | None:
        """The number of the citation for this quote; None where it is on a page that was never given."""
        if not 0 <= quote.page < len(self._pages):
            self.warnings.append(f"A quote names page {quote.page + 1} of {len(self._pages)} given: dropped.")
            return None
        at, match = self._find(quote)
        page = self._pages[at]
        key = (page.document.id, page.page, " ".join(quote.text.split()))
        if key not in self._numbers:
            index = self._numbers[key] = len(self.citations) + 1
            boxes = (self._region(at),) if match.status == "visual" else match.boxes
            self.citations.append(
                Citation(index, page.document, page.page, key[2], match.status, boxes, moved=at != quote.page)
            )
        return self._numbers[key]

    def _find(self, quote: Quote) -> tuple[int, Match]:
        """On the page it names, else on the first of the others that has it; what was only seen is looked for there
        alone.
        """
        match = verify(quote.text, self._pages[quote.page].words)
        if match.status != "unverified":
            return quote.page, match
        if quote.figure:
            return quote.page, Match("visual")
        movable = len(fold(quote.text).encode()) >= MOVABLE
        for at, page in enumerate(self._pages if movable else ()):
            if at != quote.page and len(page.words) and (moved := verify(quote.text, page.words)).boxes:
                named = _place(self._pages[quote.page])
                self.warnings.append(f"A quote from {named} stands on {_place(page)}: cited there.")
                return at, moved
        return quote.page, match

    def _region(self, at: int) -> Box:
        """What of the page is most like the question, where a channel can tell; else all of it."""
        hit = self._hits[at]
        similar = [region for region in hit.regions if region.kind == "similarity"] or self._seen(hit.key)
        return max(similar, key=lambda region: region.score).box if similar else PAGE_BOX


def _place(page: GivenPage) -> str:
    return f"{page.document.filename}, page {page.page}"
