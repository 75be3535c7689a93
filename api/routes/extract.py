"""Whole documents read by a vision-language model: fields, a summary, a label, a comparison."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from api.pages import DocumentPages
from api.schemas.extract import (
    Classified,
    ClassifyIn,
    Compared,
    CompareIn,
    Extracted,
    ExtractIn,
    PagesOf,
    Summarized,
    SummarizeIn,
    classified,
    compared,
    extracted,
    summarized,
)
from api.security import Access, Reader
from folioscope.domain import Document
from folioscope.errors import ConfigError, DocumentNotFound, QueryError
from folioscope.ports import VisionModel
from generation import classify, compare, extract, summarize
from generation.schemas import bounded, validator

router = APIRouter(prefix="/v1", tags=["whole documents"])

Out = TypeVar("Out")


@router.post("/extract")
async def extract_fields(body: ExtractIn, access: Reader) -> Extracted:
    """What a JSON Schema asks for, each value with the quote that carries it. Needs the extra ``extract``."""
    document, pages = await run_in_threadpool(_opened, access, body)

    def work(model: VisionModel, words: bool) -> Extracted:
        bounded(body.wanted)
        validator(body.wanted)
        return extracted(extract(model, pages, body.wanted, page_words=words), document)

    return await _read(access, work)


@router.post("/summarize")
async def summarize_document(body: SummarizeIn, access: Reader) -> Summarized:
    """Every statement with the pages that it rests on."""
    document, pages = await run_in_threadpool(_opened, access, body)
    return await _read(access, lambda model, words: summarized(summarize(model, pages, page_words=words), document))


@router.post("/classify")
async def classify_document(body: ClassifyIn, access: Reader) -> Classified:
    """Which of some labels fits, and what shows it."""
    document, pages = await run_in_threadpool(_opened, access, body)

    def work(model: VisionModel, words: bool) -> Classified:
        return classified(classify(model, pages, body.labels, page_words=words), document)

    return await _read(access, work)


@router.post("/compare")
async def compare_documents(body: CompareIn, access: Reader) -> Compared:
    """What both say, and where they differ."""
    first, its = await run_in_threadpool(_opened, access, body.first)
    second, others = await run_in_threadpool(_opened, access, body.second)

    def work(model: VisionModel, words: bool) -> Compared:
        return compared(compare(model, its, others, page_words=words), first, second)

    return await _read(access, work)


def _opened(access: Access, body: PagesOf) -> tuple[Document, DocumentPages]:
    found = access.document(body.document)
    if found.status != "ready":
        raise QueryError(f"The document {found.id} is {found.status}; only one that is ready can be read.")
    if body.pages and max(body.pages) > found.pages:
        raise DocumentNotFound(f"There is no page {max(body.pages)} of {found.id}.")
    return found, DocumentPages(access.library, found, body.pages)


async def _read(access: Access, work: Callable[[VisionModel, bool], Out]) -> Out:
    """In a thread that other requests don't need: a long document takes minutes."""

    def done() -> Out:
        model = access.service.reading_model()
        try:
            return work(model, access.library.settings.page_words)
        except ConfigError as error:  # what was sent, not how the server is set
            raise QueryError(error.message, hint=error.hint) from None

    return await anyio.to_thread.run_sync(done, limiter=access.service.readers)
