"""Searching and asking."""

from __future__ import annotations

from functools import partial
from typing import BinaryIO

import anyio.to_thread
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api import query_image
from api.asking import answering, known, streams, told, top_k, where_of, whole
from api.feedback import Answers
from api.idempotency import Made, OnlyOnce
from api.schemas.answers import AnswerOut, AskCreated, AskIn, SearchIn, SearchOut, search_out
from api.security import Access, Reader
from api.sse import respond
from folioscope.domain import Turn
from folioscope.errors import QueryError
from ingest.catalog import Collection
from ingest.database import new_id

router = APIRouter(prefix="/v1", tags=["questions"])


@router.post("/search", response_model=SearchOut)
async def search(body: SearchIn, access: Reader) -> Response:
    """The pages that matter, best first."""
    return await _searched(access, body, None)


@router.post("/search/image", response_model=SearchOut, openapi_extra={"requestBody": query_image.BODY})
async def search_by_image(request: Request, access: Reader) -> Response:
    """The pages that look like an uploaded image, or a PDF's first page; with words beside it, both."""
    async with query_image.form(request) as (file, search):
        return await _searched(access, search, file)


async def _searched(access: Access, body: SearchIn, uploaded: BinaryIO | None) -> Response:
    def found() -> Response:
        return Response(_search(access, body, uploaded).model_dump_json(), media_type="application/json")

    return await anyio.to_thread.run_sync(found, limiter=access.service.searchers)


def _search(access: Access, body: SearchIn, uploaded: BinaryIO | None) -> SearchOut:
    collection = access.collection(body.collection)
    image = None
    if uploaded is not None:
        image = query_image.read(access.library, uploaded)
    elif body.image is not None:
        image = query_image.decoded(access.library, body.image)
    return search_out(
        access.library.retriever(collection.name).search(
            body.query,
            k=top_k(access, body),
            where=where_of(body),
            channels=body.channels,
            image=image,
            similarity=body.similarity,
        )
    )


@router.post("/ask", response_model=AnswerOut, responses={200: {"content": {"text/event-stream": {}}}})
async def ask(body: AskIn, request: Request, access: Reader, once: OnlyOnce) -> Response:
    """An answer whose quotes are checked against the pages. Streamed: ``ask.created, retrieval.done, answer.delta,
    citation.added, segment.done, answer.done``, or ``error``. Its id is known for a while, for feedback.
    """
    collection = await run_in_threadpool(access.collection, body.collection)
    answer_id = new_id("ans")
    history = [Turn(each.role, each.text) for each in body.history]
    events = partial(answering, access, collection, body, history)
    keep = partial(_keep, access, collection)
    if streams(body, request):
        refuse_key(once)
        head = AskCreated(id=answer_id, question=body.question, collection=collection.id)
        return respond(told(head, events(), keep), request.url.path, request.state.request_id)

    async def make() -> Made:
        return made(await whole(events(), answer_id, keep))

    return await once(access, body, make)


def refuse_key(once: OnlyOnce) -> None:
    """A stream can't be given again. Raises `QueryError`."""
    if once.key is not None:
        raise QueryError("A stream takes no Idempotency-Key.", hint="Ask without `stream`.")


def made(answer: AnswerOut, *sources: str) -> Made:
    """An answer as a response that goes with the documents that it was written from, and with ``sources``."""
    return Made(answer, sources={*sources, *(page.document.id for page in answer.pages_used)})


def _keep(access: Access, collection: Collection, answer: AnswerOut) -> None:
    most = access.library.settings.answers_kept
    Answers(access.library.catalog.database).keep(known(access, collection, answer), most)
