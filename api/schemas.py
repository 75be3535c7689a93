"""What goes over the wire. Boxes are [x0, y0, x1, y1], 0–1, origin top left, on the upright page; pages count from 1;
times are RFC 3339 in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from api import problems
from folioscope import domain, errors
from folioscope.settings import ChannelName
from generation import to_json
from ingest.catalog import Collection
from ingest.lookups import JobDocument, JobState

Box = domain.Box
Whole = Annotated[int, Field(strict=True, ge=-(2**53), le=2**53)]
Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Tag = Annotated[bool, Field(strict=True)] | Whole | Real | Annotated[str, Field(max_length=1000)]
Metadata = Annotated[dict[Annotated[str, Field(min_length=1, max_length=100)], Tag], Field(max_length=100)]
Item = TypeVar("Item", bound=BaseModel)


class Given(BaseModel):
    """What a request brings: a field that nobody knows is an error, not ignored."""

    model_config = ConfigDict(extra="forbid")


class Listed(BaseModel, Generic[Item]):
    """A stretch of a list; what comes behind it is asked for with ``after=last_id``."""

    object: Literal["list"] = "list"
    data: list[Item]
    has_more: bool = False
    last_id: str | None = None


class Failure(BaseModel):
    """Why a document or a page could not be read."""

    code: str
    message: str


class Progress(BaseModel):
    """Pages."""

    done: int
    total: int


# --- collections, documents, pages ----------------------------------------------------------------------------------


class NewCollection(Given):
    """``channels``: else the setting's."""

    name: str = Field(pattern=r"^[^\W_][\w.-]{0,63}$", max_length=64)
    channels: list[ChannelName] | None = Field(None, min_length=1, max_length=4)


class CollectionOut(BaseModel):
    """``channels``: those that are searched."""

    object: Literal["collection"] = "collection"
    id: str
    name: str
    created: str
    channels: list[str]


class DocumentOut(BaseModel):
    """``version``: the one that is searched; where none is ready yet, the newest."""

    object: Literal["document"] = "document"
    id: str
    collection: str
    filename: str
    sha256: str | None
    version: int
    status: str
    pages: int
    page_problems: int
    created: str
    metadata: dict[str, Any]
    coverage: dict[str, Progress]
    error: Failure | None


class Uploaded(BaseModel):
    """``job``: what reads it; None for a duplicate, which is there already."""

    document: DocumentOut
    duplicate: bool
    job: str | None


class Changes(Given):
    """``metadata``: takes the place of what was there."""

    metadata: Metadata


class PageOut(BaseModel):
    """``width``, ``height``: points (1/72 inch) or, of images, pixels."""

    object: Literal["page"] = "page"
    number: int
    width: float
    height: float
    words: int
    word_source: domain.WordSource
    flags: list[str]
    error: Failure | None
    image_url: str


class WordOut(BaseModel):
    """``line``, ``block``: numbers that change where a line or a paragraph ends."""

    text: str
    box: Box
    line: int
    block: int


class PageText(BaseModel):
    """``words``: only where asked for."""

    document: str
    version: int
    page: int
    word_source: domain.WordSource
    text: str
    words: list[WordOut] | None = None


# --- jobs -----------------------------------------------------------------------------------------------------------


class JobDocumentOut(BaseModel):
    """One document of a job."""

    document: str
    version: int
    filename: str
    status: str
    pages: int
    error: Failure | None


class JobProgress(BaseModel):
    """``pages``: read of those that are known so far. ``channels``: how far each has taken them in."""

    id: str
    state: Literal["running", "filling", "done", "cancelled"]
    ready: int
    failed: int
    outstanding: int
    pages: Progress
    channels: dict[str, Progress]


class JobOut(JobProgress):
    """A job with its documents."""

    object: Literal["job"] = "job"
    kind: str
    created: str
    documents: list[JobDocumentOut]


# --- searching and asking -------------------------------------------------------------------------------------------


class Question(Given):
    """``collection``: name or id; else the setting's. ``documents``: ids of the only ones to look at."""

    collection: str | None = Field(None, min_length=1, max_length=64)
    documents: list[str] | None = Field(None, max_length=1000)
    metadata: Metadata | None = None
    top_k: int | None = Field(None, ge=1, le=100)


class SearchIn(Question):
    """``channels``: only these."""

    query: str = Field(min_length=1, max_length=10_000)
    channels: list[ChannelName] | None = Field(None, min_length=1, max_length=4)


class AskIn(Question):
    """``stream``: tell the answer by server-sent events while it is made."""

    question: str = Field(min_length=1, max_length=10_000)
    stream: bool = False


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


# --- from the vocabulary --------------------------------------------------------------------------------------------


def image_url(key: domain.PageKey) -> str:
    """Where the page's image is, for as long as this version is."""
    return f"/v1/documents/{key.document_id}/pages/{key.number}/image?version={key.version}"


def failure(problem: domain.Problem | None) -> Failure | None:
    """A problem as the catalog has it; one whose words name a path or a fault of ours is told in general."""
    if problem is None:
        return None
    if problem.code in ("internal_error", errors.Unreadable.code):
        general = problems.PLAIN[errors.Unreadable] if problem.code == errors.Unreadable.code else "The server failed."
        return Failure(code=problem.code, message=general)
    return Failure(code=problem.code, message=problem.message)


def progress(coverage: domain.Coverage) -> Progress:
    """Pages done of pages there are."""
    return Progress(done=coverage.done, total=coverage.total)


def notes(reservations: tuple[str, ...]) -> list[str]:
    """What a search or answer says of itself; why a channel was left out may name folders of the server."""
    return [note.partition(" was left out: ")[0] + " was left out." if " was left out: " in note else note
            for note in reservations]  # fmt: skip


def collection_out(found: Collection) -> CollectionOut:
    """Its channels without those that are being built."""
    channels = [entry.name for entry in found.channels if entry.active]
    return CollectionOut(id=found.id, name=found.name, created=found.created, channels=channels)


def document_out(found: domain.Document) -> DocumentOut:
    """Without its source, which may be a path."""
    return DocumentOut(
        id=found.id,
        collection=found.collection,
        filename=found.filename,
        sha256=found.sha256,
        version=found.version,
        status=found.status,
        pages=found.pages,
        page_problems=found.page_problems,
        created=found.created,
        metadata=dict(found.metadata),
        coverage={name: progress(share) for name, share in found.coverage.items()},
        error=failure(found.problem),
    )


def page_out(found: domain.Page, key: domain.PageKey) -> PageOut:
    """Words are counted only."""
    return PageOut(
        number=found.number,
        width=found.width,
        height=found.height,
        words=len(found.words),
        word_source=found.words.source,
        flags=list(found.flags),
        error=failure(found.problem),
        image_url=image_url(key),
    )


def page_text(key: domain.PageKey, words: domain.Words, with_words: bool) -> PageText:
    """The page's text, and its words with their boxes where wanted."""
    listed = None
    if with_words:
        rows = zip(words.texts, words.boxes.tolist(), words.lines.tolist(), words.blocks.tolist(), strict=True)
        listed = [WordOut(text=text, box=Box(*box), line=line, block=block) for text, box, line, block in rows]
    return PageText(
        document=key.document_id,
        version=key.version,
        page=key.number,
        word_source=words.source,
        text=words.text(),
        words=listed,
    )


def job_document(found: JobDocument) -> JobDocumentOut:
    """``superseded`` and ``gone`` mean that it was ready and a newer version took its place."""
    status = "ready" if found.status in ("superseded", "gone") else found.status
    return JobDocumentOut(
        document=found.document_id,
        version=found.version,
        filename=found.filename,
        status=status,
        pages=found.pages,
        error=failure(found.problem),
    )


def job_out(found: JobState, filling: bool) -> JobOut:
    """``filling``: whether a channel that can be used here has not taken all in yet."""
    listed = [job_document(each) for each in found.documents]
    counts = [each.status for each in listed]
    outstanding = counts.count("queued") + counts.count("processing")
    state: Literal["running", "filling", "done", "cancelled"] = "filling" if filling else "done"
    if outstanding:
        state = "running"
    elif found.cancelled:
        state = "cancelled"
    return JobOut(
        id=found.id,
        kind=found.kind,
        created=found.created,
        state=state,
        ready=counts.count("ready"),
        failed=counts.count("failed"),
        outstanding=outstanding,
        pages=progress(found.pages),
        channels={name: progress(share) for name, share in found.channels.items()},
        documents=listed,
    )


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
    """With the address of the page's image."""
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
    )


def answer_out(found: domain.Answer, answer_id: str) -> AnswerOut:
    """As `generation.to_json` has it, with an id and the addresses of images."""
    plain: Mapping[str, Any] = to_json(found)
    citations = [citation_out(each) for each in found.citations]
    return AnswerOut.model_validate(
        {**plain, "id": answer_id, "citations": citations, "warnings": notes(tuple(plain["warnings"]))}
    )
