"""A draft, segment by segment, held against the pages that the model was given: which of it their words carry."""

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
    Region,
    Segment,
)
from generation.citations import PAGE_BOX, numbers
from generation.evidence import Evidence

_NO_STATEMENT = re.compile(r"\[\d+(?:, ?\d+)*\]|^\s*\d+[.)]\s", re.MULTILINE)
"""Numbers that say nothing: of a citation, of an item in a list."""


class Check(Evidence):
    """Collects the segments of one answer, with its citations and warnings.

    ``hits`` and ``pages``: the same, in one order. ``seen``: where on a page a channel saw the question, best first.
    """

    def __init__(
        self,
        hits: Sequence[PageHit],
        pages: Sequence[GivenPage],
        seen: Callable[[PageKey], Sequence[Region]] = lambda _: (),
    ) -> None:
        super().__init__(pages, reach=len(pages), region=self._most_alike)
        self.segments: list[Segment] = []
        self._hits = hits
        self._seen = seen

    def add(self, draft: DraftSegment) -> Segment:
        """The segment with the numbers of the citations that carry it; none: it is unsupported."""
        cited = [index for quote in draft.quotes if (index := self.cite(quote))]
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
        return [self.citations[number - 1] for number in segment.citations if self.is_verified(number)]

    def _most_alike(self, at: int) -> Box:
        """What of the page is most like the question, where a channel can tell; else all of it."""
        hit = self._hits[at]
        similar = [region for region in hit.regions if region.kind == "similarity"] or self._seen(hit.key)
        return max(similar, key=lambda region: region.score).box if similar else PAGE_BOX
