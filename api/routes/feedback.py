"""Feedback: what people say of answers and of pages that were found."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from api.feedback import Feedback, Judgement
from api.idempotency import Made, OnlyOnce
from api.schemas.common import Listed
from api.schemas.feedback import FeedbackIn, FeedbackOut, feedback_out, qrels
from api.security import Access, Admin, Reader
from folioscope.errors import DocumentNotFound

router = APIRouter(prefix="/v1/feedback", tags=["feedback"])
AT_ONCE = 500  # rows read together for an export


@router.post("", status_code=201, response_model=FeedbackOut)
async def give_feedback(body: FeedbackIn, access: Reader, once: OnlyOnce) -> Response:
    """Of an answer that the same key was given, or of a page."""
    return await once(access, body, partial(run_in_threadpool, _give, access, body))


def _give(access: Access, body: FeedbackIn) -> Made:
    if body.answer is not None:
        answer = access.answer(body.answer)
        about: tuple[str, str | None, str] = (answer.collection_id, answer.id, answer.question)
        pages = [(page.document, page.page) for page in answer.pages if page.cited]
    else:
        assert body.query is not None
        assert body.document is not None
        assert body.page is not None
        document = access.document(body.document)
        if body.page > document.pages:
            raise DocumentNotFound(f"There is no page {body.page} of {document.id}.")
        about = (access.collection(document.collection).id, None, body.query)
        pages = [(document.id, body.page)]
    given = _table(access).add(
        access.owner, *about, pages, value=body.value, relevance=body.relevance, comment=body.comment
    )
    return Made(feedback_out(given), 201, None, {document for document, _ in pages})


@router.get("", response_model=Listed[FeedbackOut], responses={200: {"content": {"application/x-ndjson": {}}}})
def list_feedback(
    access: Admin,
    collection: Annotated[str | None, Query(max_length=64, description="name or id; else all")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(max_length=64)] = None,
    format: Annotated[  # noqa: A002
        Literal["json", "jsonl"], Query(description="jsonl: all of it as qrels, one JSON object a line")
    ] = "json",
) -> Listed[FeedbackOut] | Response:
    """Newest first. As qrels every line has ``question, document, page, relevance``, which evaluation reads."""
    ids = [each.id for each in (access.collections() if collection is None else [access.collection(collection)])]
    if format == "jsonl":
        lines = (f"{row.model_dump_json()}\n" for found in _all(_table(access), ids) for row in qrels(found))
        return StreamingResponse(lines, media_type="application/x-ndjson")
    found, more = _table(access).some(ids, limit, after)
    data = [feedback_out(each) for each in found]
    return Listed(data=data, has_more=more, last_id=found[-1].id if found else None)


def _all(table: Feedback, collections: list[str]) -> Iterator[Judgement]:
    after, more = None, True
    while more:
        found, more = table.some(collections, AT_ONCE, after)
        yield from found
        after = found[-1].id if found else None


def _table(access: Access) -> Feedback:
    return Feedback(access.library.catalog.database)
