"""Searching and asking over the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from api.schemas.common import Box, Given, Metadata, Progress, Text, image_url, notes, progress, view_url
from folioscope import domain
from folioscope.settings import ChannelName
from generation import to_json

IMAGE_CHARACTERS = 1_000_000
"""Of a ``data:`` URL; no request in JSON may bring more anyway."""


class Narrowed(Given):
    """``documents``: ids of the only ones to look at."""

    documents: list[str] | None = Field(None, max_length=1000)
    metadata: Metadata | None = None
    top_k: int | None = Field(None, ge=1, le=100)


class Question(Narrowed):
    """``collection``: name or id; else the setting's."""

    collection: str | None = Field(None, min_length=1, max_length=64)


class Asked(Narrowed):
    """``stream``: tell the answer by server-sent events while it is made."""

    question: Text = Field(min_length=1, max_length=10_000)
    stream: bool = False


class SearchIn(Question):
    """``channels``: only these. ``image``: pages that look like it, as a ``data:`` URL; a larger one is uploaded to
    ``/v1/search/image``. ``similarity``: whether hits of a visual channel get regions of similarity, too.
    """

    query: str = Field("", max_length=10_000)
    image: str | None = Field(None, pattern=r"^data:[\w/.+-]*;base64,", max_length=IMAGE_CHARACTERS)
    channels: list[ChannelName] | None = Field(None, min_length=1, max_length=4)
    similarity: bool = False


class AskIn(Question, Asked):
    """A question to a collection."""


class DocumentName(BaseModel):
    """Enough to show a document."""

    id: str
    filename: str


class Score(BaseModel):
    """Within one channel."""

    rank: int
    score: float


class RegionOut(BaseModel):
    """Why a page was found; a region of similarity is no evidence."""

    box: Box
    score: float
    kind: domain.RegionKind


class Hit(BaseModel):
    """A page that was found."""

    rank: int
    document: DocumentName
    version: int
    page: int
    score: float
    scores: dict[str, Score]
    snippet: str
    regions: list[RegionOut]
    image_url: str


class SearchOut(BaseModel):
    """``timings``: milliseconds. ``coverage``: pages that each channel knew."""

    query: str
    hits: list[Hit]
    timings: dict[str, float]
    coverage: dict[str, Progress]
    notes: list[str]


class CitationOut(BaseModel):
    """``boxes``: one a line of the quote; none where it is ``unverified``."""

    index: int
    document: DocumentName
    version: int
    page: int
    quote: str
    quote_status: domain.QuoteStatus
    moved: bool
    boxes: list[Box]
    union_box: Box | None
    image_url: str
    view_url: str


class SegmentOut(BaseModel):
    """A piece of the text and the numbers of the citations that carry it."""

    text: str
    citations: list[int]


class PageUsed(BaseModel):
    """A page that the model was given."""

    rank: int
    document: DocumentName
    page: int
    score: float


class AnswerOut(BaseModel):
    """See `folioscope.domain.Answer`."""

    object: Literal["answer"] = "answer"
    id: str
    question: str
    query: str
    status: domain.AnswerStatus
    text: str
    segments: list[SegmentOut]
    citations: list[CitationOut]
    pages_used: list[PageUsed]
    confidence: float | None
    usage: dict[str, int]
    warnings: list[str]
    model: str
    took_ms: float


class AskCreated(BaseModel):
    """The first event of an answer."""

    id: str
    question: str
    collection: str


class Delta(BaseModel):
    """A piece of the answer's text; a draft until ``answer.done``."""

    text: str


def hit_out(hit: domain.PageHit) -> Hit:
    """With the address of the page's image."""
    return Hit(
        rank=hit.rank,
        document=DocumentName(id=hit.document.id, filename=hit.document.filename),
        version=hit.document.version,
        page=hit.page,
        score=hit.score,
        scores={name: Score(rank=score.rank, score=score.score) for name, score in hit.scores.items()},
        snippet=hit.snippet,
        regions=[RegionOut(box=each.box, score=each.score, kind=each.kind) for each in hit.regions],
        image_url=image_url(hit.key),
    )


def search_out(result: domain.SearchResult) -> SearchOut:
    """A search's result."""
    return SearchOut(
        query=result.query,
        hits=[hit_out(hit) for hit in result.hits],
        timings=dict(result.timings),
        coverage={name: progress(share) for name, share in result.coverage.items()},
        notes=notes(result.notes),
    )


def citation_out(found: domain.Citation) -> CitationOut:
    """With the addresses of the page's image and of the place where people look at it."""
    return CitationOut(
        index=found.index,
        document=DocumentName(id=found.document.id, filename=found.document.filename),
        version=found.document.version,
        page=found.page,
        quote=found.quote,
        quote_status=found.quote_status,
        moved=found.moved,
        boxes=list(found.boxes),
        union_box=found.union_box,
        image_url=image_url(found.key),
        view_url=view_url(found),
    )


def answer_out(found: domain.Answer, answer_id: str) -> AnswerOut:
    """As `generation.to_json` has it, with an id and the addresses of images."""
    plain: Mapping[str, Any] = to_json(found)
    citations = [citation_out(each) for each in found.citations]
    return AnswerOut.model_validate(
        {**plain, "id": answer_id, "citations": citations, "warnings": notes(tuple(plain["warnings"]))}
    )
