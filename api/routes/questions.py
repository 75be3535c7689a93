"""Searching and asking."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from api.schemas.answers import (
    AnswerOut,
    AskCreated,
    AskIn,
    Delta,
    Question,
    SearchIn,
    SearchOut,
    answer_out,
    citation_out,
    search_out,
)
from api.security import Access, Reader
from api.sse import Sent, respond
from folioscope.domain import Answer, Citation, SearchResult, Where
from generation import Event, stream
from ingest.catalog import Collection
from ingest.database import new_id
from ingest.lookups import tagged

router = APIRouter(prefix="/v1", tags=["questions"])


@router.post("/search")
def search(body: SearchIn, access: Reader) -> SearchOut:
    """The pages that matter, best first."""
    collection = access.collection(body.collection)
    return search_out(
        access.library.retriever(collection.name).search(
            body.query, k=_top_k(access, body), where=_where(access, collection, body), channels=body.channels
        )
    )


@router.post("/ask", response_model=AnswerOut, responses={200: {"content": {"text/event-stream": {}}}})
async def ask(body: AskIn, request: Request, access: Reader) -> AnswerOut | StreamingResponse:
    """An answer whose quotes are checked against the pages. Streamed: ``ask.created, retrieval.done, answer.delta,
    citation.added, answer.done``, or ``error``.
    """
    collection = await run_in_threadpool(access.collection, body.collection)
    answer_id = new_id("ans")
    if body.stream or "text/event-stream" in request.headers.get("accept", ""):
        events = _told(access, collection, body, answer_id)
        return respond(events, request.url.path, request.state.request_id)
    async with contextlib.aclosing(_answering(access, collection, body)) as answering:
        async for event in answering:
            if isinstance(event, Answer):
                return answer_out(event, answer_id)
    raise AssertionError("a stream ends with its answer or an error")


async def _answering(access: Access, collection: Collection, body: AskIn) -> AsyncGenerator[Event]:
    model = await run_in_threadpool(access.service.model)
    retriever = await run_in_threadpool(access.library.retriever, collection.name)
    where = await run_in_threadpool(_where, access, collection, body)
    events: AsyncIterator[Event] = stream(
        body.question, retriever, model, k=_top_k(access, body), where=where, images=access.library
    )
    async for event in events:
        yield event


async def _told(access: Access, collection: Collection, body: AskIn, answer_id: str) -> AsyncGenerator[Sent]:
    yield Sent("ask.created", AskCreated(id=answer_id, question=body.question, collection=collection.id))
    async with contextlib.aclosing(_answering(access, collection, body)) as answering:
        async for event in answering:
            if isinstance(event, SearchResult):
                yield Sent("retrieval.done", search_out(event))
            elif isinstance(event, str):
                yield Sent("answer.delta", Delta(text=event))
            elif isinstance(event, Citation):
                yield Sent("citation.added", citation_out(event))
            elif isinstance(event, Answer):
                yield Sent("answer.done", answer_out(event, answer_id))


def _top_k(access: Access, body: Question) -> int:
    return body.top_k or access.library.settings.top_k


def _where(access: Access, collection: Collection, body: Question) -> Where | None:
    """The documents that are meant. Metadata is looked up in the catalog, which knows changes at once."""
    if body.documents is None and not body.metadata:
        return None
    named = None if body.documents is None else frozenset(body.documents)
    if not body.metadata:
        return Where(named)
    found = tagged(access.library.catalog, collection, body.metadata)
    return Where(found if named is None else found & named)
