"""Answers over HTTP, told as they come or whole, whatever route asked for them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from api.feedback import Answered, PageGiven
from api.schemas.answers import (
    AnswerOut,
    AskCreated,
    Asked,
    Delta,
    Narrowed,
    answer_out,
    citation_out,
    search_out,
    segment_out,
)
from api.security import Access
from api.sse import Sent
from folioscope.domain import Answer, Citation, SearchResult, Segment, Turn, Where
from generation import Event, stream
from ingest.catalog import Collection

Keep = Callable[[AnswerOut], None]
"""Stores an answer before it is told; may block."""


def streams(body: Asked, request: Request) -> bool:
    """Whether the answer is wanted as it comes."""
    return body.stream or "text/event-stream" in request.headers.get("accept", "")


async def answering(
    access: Access, collection: Collection, body: Asked, history: Sequence[Turn] = ()
) -> AsyncGenerator[Event]:
    """The events of `generation.stream`."""
    model = await run_in_threadpool(access.service.model)
    retriever = await run_in_threadpool(access.library.retriever, collection.name)
    events: AsyncIterator[Event] = stream(
        body.question,
        retriever,
        model,
        k=top_k(access, body),
        where=where_of(body),
        images=access.library,
        history=history,
    )
    async for event in events:
        yield event


async def whole(events: AsyncGenerator[Event], answer_id: str, keep: Keep) -> AnswerOut:
    """The answer at the end of ``events``."""
    async with contextlib.aclosing(events):
        async for event in events:
            if isinstance(event, Answer):
                return await _kept(event, answer_id, keep)
    raise AssertionError("a stream ends with its answer or an error")


async def told(head: AskCreated, events: AsyncGenerator[Event], keep: Keep) -> AsyncGenerator[Sent]:
    """``ask.created, retrieval.done, answer.delta, citation.added, segment.done, answer.done``."""
    yield Sent("ask.created", head)
    async with contextlib.aclosing(events):
        async for event in events:
            if isinstance(event, SearchResult):
                yield Sent("retrieval.done", search_out(event))
            elif isinstance(event, str):
                yield Sent("answer.delta", Delta(text=event))
            elif isinstance(event, Citation):
                yield Sent("citation.added", citation_out(event))
            elif isinstance(event, Segment):
                yield Sent("segment.done", segment_out(event))
            elif isinstance(event, Answer):
                yield Sent("answer.done", await _kept(event, head.id, keep))


async def _kept(found: Answer, answer_id: str, keep: Keep) -> AnswerOut:
    answer = answer_out(found, answer_id)
    await run_in_threadpool(keep, answer)
    return answer


def known(access: Access, collection: Collection, answer: AnswerOut) -> Answered:
    """What is kept of an answer so that feedback can name it."""
    cited = {(each.document.id, each.page) for each in answer.citations if each.quote_status != "unverified"}
    given = [(each.document.id, each.page) for each in answer.pages_used]
    pages = tuple(PageGiven(*page, page in cited) for page in dict.fromkeys([*given, *sorted(cited)]))
    return Answered(answer.id, access.owner, collection.id, answer.question, answer.status, pages)


def top_k(access: Access, body: Narrowed) -> int:
    """How many pages are looked for."""
    return body.top_k or access.library.settings.top_k


def where_of(body: Narrowed) -> Where:
    """The documents that are meant."""
    return Where(None if body.documents is None else frozenset(body.documents), body.metadata or {})
