"""Question -> pages -> draft -> checked answer.

The model drafts; nothing it says about where words stand is believed. Each quote is looked up on the page it names,
then on the other pages it was given; what is found nowhere stays in the answer as ``unverified`` and draws nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from folioscope.domain import (
    Answer,
    AnswerStatus,
    Box,
    Citation,
    DraftSegment,
    GivenPage,
    PageHit,
    Quote,
    Segment,
    Where,
)
from folioscope.errors import QueryError
from folioscope.ports import AnswerModel, PageImages, Searcher
from generation.citations import Match, numbers, verify

MAX_QUESTION = 10_000
"""Characters."""

_MARKS = re.compile(r"\[\d+(?:, ?\d+)*\]")


def answer(
    question: str,
    retriever: Searcher,
    model: AnswerModel,
    *,
    k: int = 5,
    where: Where | None = None,
    images: PageImages | None = None,
) -> Answer:
    """Answer ``question`` from the ``k`` best pages, every quote checked against them.

    Status ``answered``: every segment rests on a verified quote; ``partial``: some do; ``not_found``: none does.
    Raises `QueryError` for an empty question and one of more than 10,000 characters.
    """
    started = time.perf_counter()
    question = question.strip()
    if not question:
        raise QueryError("The question is empty.", hint="Ask in words, such as: How long is the warranty?")
    if len(question) > MAX_QUESTION:
        raise QueryError(f"The question has {len(question):,} characters.", hint=f"{MAX_QUESTION:,} are the most.")
    found = retriever.search(question, k, where)
    hits, pages = _read(retriever, found.hits, images)
    draft = model.draft(question, pages)
    check = _Check(pages)
    segments = tuple(check.segment(segment) for segment in draft.segments)
    return Answer(
        question=question,
        status=check.status(segments),
        segments=segments,
        citations=tuple(check.citations),
        pages_used=tuple(hits),
        model=model.name,
        confidence=draft.confidence,
        usage=draft.usage,
        warnings=(*check.warnings, *found.reservations),
        took_ms=(time.perf_counter() - started) * 1000,
    )


def _read(
    retriever: Searcher, hits: Sequence[PageHit], images: PageImages | None
) -> tuple[list[PageHit], list[GivenPage]]:
    """The hits that still exist and what a model sees of them, in the same order."""
    words = retriever.words([hit.key for hit in hits])
    hits = [hit for hit in hits if hit.key in words]
    return hits, [
        GivenPage(hit.document, hit.page, words[hit.key], hit.score, partial(images.image, hit.key) if images else None)
        for hit in hits
    ]


class _Check:
    """Collects the citations and warnings of one answer."""

    def __init__(self, pages: Sequence[GivenPage]) -> None:
        self.pages = pages
        self.citations: list[Citation] = []
        self.warnings: list[str] = []
        self._numbers: dict[tuple[str, int, str], int] = {}

    def segment(self, draft: DraftSegment) -> Segment:
        cited = [index for quote in draft.quotes if (index := self._cite(quote))]
        quoted = numbers(" ".join(self.citations[index - 1].quote for index in cited))
        for number in sorted(numbers(_MARKS.sub(" ", draft.text)) - quoted if cited else ()):
            self.warnings.append(f"The number {number} in the answer stands in none of the quotes it rests on.")
        return Segment(draft.text, tuple(dict.fromkeys(cited)))

    def status(self, segments: Sequence[Segment]) -> AnswerStatus:
        carried = [
            any(self.citations[i - 1].quote_status != "unverified" for i in segment.citations) for segment in segments
        ]
        if segments and not any(carried):
            self.warnings.append("Nothing in the draft of an answer could be verified on the pages.")
        return "not_found" if not any(carried) else "answered" if all(carried) else "partial"

    def _cite(self, quote: Quote) -> int | None:
        """The number of the citation for this quote; None where it is on a page that was never given."""
        if not 0 <= quote.page < len(self.pages):
            self.warnings.append(f"A quote names page {quote.page + 1} of {len(self.pages)} given: dropped.")
            return None
        page, match = self._find(quote)
        key = (page.document.id, page.page, " ".join(quote.text.split()))
        if key not in self._numbers:
            index = self._numbers[key] = len(self.citations) + 1
            self.citations.append(Citation(index, page.document, page.page, key[2], match.status, match.boxes))
        return self._numbers[key]

    def _find(self, quote: Quote) -> tuple[GivenPage, Match]:
        """On the page it names, else on the first of the others that has it."""
        named = self.pages[quote.page]
        match = verify(quote.text, named.words)
        if match.status != "unverified":
            return named, match
        for page in self.pages:
            if page is not named and len(page.words) and (moved := verify(quote.text, page.words)).boxes:
                self.warnings.append(f"A quote from {_place(named)} stands on {_place(page)}: cited there.")
                return page, moved
        return named, match


def _place(page: GivenPage) -> str:
    return f"{page.document.filename}, page {page.page}"


def to_json(answer: Answer) -> dict[str, Any]:
    """The answer as plain JSON values; boxes as [x0, y0, x1, y1]."""
    return {
        "question": answer.question,
        "status": answer.status,
        "text": answer.text,
        "segments": [{"text": segment.text, "citations": list(segment.citations)} for segment in answer.segments],
        "citations": [
            {
                "index": citation.index,
                "document": {"id": citation.document.id, "filename": citation.document.filename},
                "page": citation.page,
                "quote": citation.quote,
                "quote_status": citation.quote_status,
                "boxes": [_rounded(box) for box in citation.boxes],
                "union_box": _rounded(citation.union_box) if citation.union_box else None,
            }
            for citation in answer.citations
        ],
        "pages_used": [
            {
                "rank": hit.rank,
                "document": {"id": hit.document.id, "filename": hit.document.filename},
                "page": hit.page,
                "score": hit.score,
            }
            for hit in answer.pages_used
        ],
        "confidence": answer.confidence,
        "usage": dict(answer.usage),
        "warnings": list(answer.warnings),
        "model": answer.model,
        "took_ms": round(answer.took_ms, 1),
    }


def _rounded(box: Box) -> list[float]:
    """Six decimals: a hundredth of a pixel on the largest page image."""
    return [round(side, 6) for side in box]
