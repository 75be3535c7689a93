"""Searching and asking over the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from api.schemas.common import Box, Given, Metadata, Progress, Text, coverage_in, image_url, notes, progress, view_url
from folioscope import domain
from folioscope.settings import ChannelName

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


class TurnIn(Given):
    """One earlier message of a conversation that the server does not keep."""

    role: Literal["user", "assistant"]
    text: Text = Field(max_length=100_000)


class AskIn(Question, Asked):
    """A question to a collection. ``history``: what was said before."""

    history: list[TurnIn] = Field(default_factory=list, max_length=200)


class DocumentName(BaseModel):
    """Enough to show a document. ``pages``: how many it has."""

    id: str
    filename: str
    pages: int


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


class AnswerOut(BaseModel):
    """See `folioscope.domain.Answer`. ``pages_used``: the pages that the model was given. ``cut``: it may go on."""

    object: Literal["answer"] = "answer"
    id: str
    question: str
    query: str
    status: domain.AnswerStatus
    text: str
    segments: list[SegmentOut]
    citations: list[CitationOut]
    pages_used: list[Hit]
    confidence: float | None
    usage: dict[str, int]
    cut: bool = False
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


def document_name(document: domain.DocumentRef) -> DocumentName:
    """Without its version, which stands beside it."""
    return DocumentName(id=document.id, filename=document.filename, pages=document.pages)


def document_in(given: DocumentName, version: int) -> domain.DocumentRef:
    """From the wire."""
    return domain.DocumentRef(given.id, version, given.filename, given.pages)


def hit_out(hit: domain.PageHit) -> Hit:
    """With the address of the page's image."""
    return Hit(
        rank=hit.rank,
        document=document_name(hit.document),
        version=hit.document.version,
        page=hit.page,
        score=hit.score,
        scores={name: Score(rank=score.rank, score=score.score) for name, score in hit.scores.items()},
        snippet=hit.snippet,
        regions=[RegionOut(box=each.box, score=each.score, kind=each.kind) for each in hit.regions],
        image_url=image_url(hit.key),
    )


def hit_in(given: Hit) -> domain.PageHit:
    """From the wire."""
    return domain.PageHit(
        rank=given.rank,
        document=document_in(given.document, given.version),
        page=given.page,
        score=given.score,
        scores={name: domain.ChannelScore(score.rank, score.score) for name, score in given.scores.items()},
        snippet=given.snippet,
        regions=tuple(domain.Region(each.box, each.score, each.kind) for each in given.regions),
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


def search_in(given: SearchOut) -> domain.SearchResult:
    """From the wire."""
    hits = tuple(map(hit_in, given.hits))
    return domain.SearchResult(given.query, hits, given.timings, coverage_in(given.coverage), tuple(given.notes))


def citation_out(found: domain.Citation) -> CitationOut:
    """With the addresses of the page's image and of the place where people look at it."""
    return CitationOut(
        index=found.index,
        document=document_name(found.document),
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


def citation_in(given: CitationOut) -> domain.Citation:
    """From the wire."""
    return domain.Citation(
        index=given.index,
        document=document_in(given.document, given.version),
        page=given.page,
        quote=given.quote,
        quote_status=given.quote_status,
        boxes=tuple(given.boxes),
        moved=given.moved,
    )


def segment_out(found: domain.Segment) -> SegmentOut:
    """With the numbers of its citations."""
    return SegmentOut(text=found.text, citations=list(found.citations))


def segment_in(given: SegmentOut) -> domain.Segment:
    """From the wire."""
    return domain.Segment(given.text, tuple(given.citations))


def answer_out(found: domain.Answer, answer_id: str) -> AnswerOut:
    """With an id and the addresses of images."""
    return AnswerOut(
        id=answer_id,
        question=found.question,
        query=found.query,
        status=found.status,
        text=found.text,
        segments=[segment_out(each) for each in found.segments],
        citations=[citation_out(each) for each in found.citations],
        pages_used=[hit_out(each) for each in found.pages_used],
        confidence=found.confidence,
        usage=dict(found.usage),
        cut=found.cut,
        warnings=notes(found.warnings),
        model=found.model,
        took_ms=round(found.took_ms, 1),
    )


def answer_in(given: AnswerOut) -> domain.Answer:
    """From the wire."""
    return domain.Answer(
        question=given.question,
        status=given.status,
        segments=tuple(map(segment_in, given.segments)),
        citations=tuple(map(citation_in, given.citations)),
        pages_used=tuple(map(hit_in, given.pages_used)),
        model=given.model,
        confidence=given.confidence,
        usage=given.usage,
        cut=given.cut,
        warnings=tuple(given.warnings),
        took_ms=given.took_ms,
        query=given.query,
    )
