"""Question -> pages -> draft -> checked answer, told while it comes about."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial

from folioscope.domain import (
    Answer,
    Citation,
    Draft,
    DraftSegment,
    GivenPage,
    PageHit,
    SearchResult,
    Segment,
    Turn,
    Where,
)
from folioscope.errors import QueryError
from folioscope.ports import AnswerModel, PageImages, Searcher
from generation import conversation
from generation.check import Check
from generation.prompt import sendable
from generation.running import closing, run
from generation.watched import watched

MAX_QUESTION = 10_000
"""Characters."""

Event = SearchResult | str | Citation | Segment | Answer
"""What `stream` tells, in this order: the pages that were found (and, as their ``query``, what was searched for); the
text as it comes; for each piece of it the citations that are new and, once it is complete, the segment that they carry;
at last the answer with all of that.
"""


async def stream(
    question: str,
    retriever: Searcher,
    model: AnswerModel,
    *,
    k: int = 5,
    where: Where | None = None,
    images: PageImages | None = None,
    history: Sequence[Turn] = (),
) -> AsyncIterator[Event]:
    """Answer ``question`` from the ``k`` best pages, every quote checked against them.

    ``images``: where a vision-language model's pictures of the pages come from, such as an `ingest.Library`; without it
    such a model is given the words alone. With a ``history`` the question is rewritten first so that it stands by
    itself. Text is a draft until the answer says how much of it could be verified. Searching and checking run in
    threads.

    Status ``answered``: every segment rests on a verified quote; ``partial``: some do; ``not_found``: none does;
    ``blocked``: the model declined. Raises `QueryError` for an empty question and one of more than 10,000 characters,
    and what the search and the model raise.
    """
    started = time.perf_counter()
    question = checked(question)
    history = conversation.bounded(history)
    query = await model.standing(question, history) if history else question
    notes = [] if query else [f"{model.name} can't rewrite a follow-up: it was searched as it stands."]
    found = await asyncio.to_thread(retriever.search, query or question, k, where)
    yield found
    hits, pages = await asyncio.to_thread(given, retriever, found.hits, images)
    check, draft = Check(hits, pages, partial(retriever.seen, query=query or question)), Draft(())
    with watched(model.name) as watch:
        async with closing(model.draft(query or question, pages, history) if pages else _nothing()) as pieces:
            async for piece in pieces:
                if isinstance(piece, DraftSegment):
                    watch.piece()
                    told = len(check.citations)
                    segment = await asyncio.to_thread(check.add, piece)
                    for citation in check.citations[told:]:
                        yield citation
                    yield segment
                elif isinstance(piece, Draft):
                    draft = piece
                else:
                    watch.piece()
                    yield piece
    done = Answer(
        question=question,
        status="blocked" if draft.refused else check.status(),
        segments=tuple(check.segments),
        citations=tuple(check.citations),
        pages_used=tuple(hits),
        model=model.name,
        confidence=draft.confidence,
        usage=draft.usage,
        warnings=(*draft.warnings, *check.reservations(), *notes, *found.reservations),
        took_ms=(time.perf_counter() - started) * 1000,
        query=query or question,
        cut=draft.cut,
    )
    yield watch.answered(done)


async def _nothing() -> AsyncIterator[str | DraftSegment | Draft]:
    """No model is asked about no pages."""
    yield Draft(())


def answer(
    question: str,
    retriever: Searcher,
    model: AnswerModel,
    *,
    k: int = 5,
    where: Where | None = None,
    images: PageImages | None = None,
    history: Sequence[Turn] = (),
) -> Answer:
    """As `stream`, returning its answer; also where a loop is running, as in a notebook."""
    return run(_last(stream(question, retriever, model, k=k, where=where, images=images, history=history)))


async def _last(events: AsyncIterator[Event]) -> Answer:
    async with closing(events):
        async for event in events:
            if isinstance(event, Answer):
                return event
    raise AssertionError("a stream ends with its answer or an error")


def checked(question: str) -> str:
    """The question without space around it. Raises `QueryError` where it is empty or too long."""
    question = sendable(question.strip())
    if not question:
        raise QueryError("The question is empty.", hint="Ask in words, such as: How long is the warranty?")
    if len(question) > MAX_QUESTION:
        raise QueryError(f"The question has {len(question):,} characters.", hint=f"{MAX_QUESTION:,} are the most.")
    return question


def given(
    retriever: Searcher, hits: Sequence[PageHit], images: PageImages | None
) -> tuple[list[PageHit], list[GivenPage]]:
    """The hits that still exist and what a model sees of them, in the same order."""
    words = retriever.words([hit.key for hit in hits])
    hits = [hit for hit in hits if hit.key in words]
    return hits, [
        GivenPage(hit.document, hit.page, words[hit.key], hit.score, partial(images.image, hit.key) if images else None)
        for hit in hits
    ]
