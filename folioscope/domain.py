"""The vocabulary: what passes between the rooms of the house.

Plain frozen values without behaviour that needs I/O. Pages are numbered from 1. There is one box format:
``(x0, y0, x1, y1)`` normalised to 0–1, origin top left, on the upright rendered page.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

WordSource = Literal["text-layer", "ocr", "none"]
PageFlag = Literal["blank_render", "no_words"]
DocumentStatus = Literal["queued", "processing", "ready", "failed"]
AnswerStatus = Literal["answered", "partial", "not_found", "blocked"]
QuoteStatus = Literal["exact", "fuzzy", "visual", "unverified"]
RegionKind = Literal["text_match", "similarity"]
Metadata = Mapping[str, str | int | float | bool]


class Box(NamedTuple):
    """A rectangle on the upright rendered page; 0 <= x0 <= x1 <= 1 and 0 <= y0 <= y1 <= 1, origin top left."""

    x0: float
    y0: float
    x1: float
    y1: float

    def union(self, other: Box) -> Box:
        """The smallest box around both."""
        return Box(min(self.x0, other.x0), min(self.y0, other.y0), max(self.x1, other.x1), max(self.y1, other.y1))


class PageKey(NamedTuple):
    """Names one page of one version of one document. ``number`` counts from 1."""

    document_id: str
    version: int
    number: int


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """The words of one page in reading order, column by column.

    ``texts``: n strings without white space. ``boxes``: float32 [n, 4], the format of `Box`. ``lines`` and ``blocks``:
    int32 [n], numbers that stay the same along a line or a block (paragraph, table cell) and change with it; line
    numbers are unique on the page.
    """

    texts: Sequence[str]
    boxes: NDArray[np.float32]
    lines: NDArray[np.int32]
    blocks: NDArray[np.int32]
    source: WordSource

    def __len__(self) -> int:
        return len(self.texts)

    @classmethod
    def empty(cls) -> Words:
        """No words at all: source ``none``."""
        none = np.zeros(0, np.int32)
        return cls((), np.zeros((0, 4), np.float32), none, none, "none")

    def box(self, start: int, stop: int) -> Box:
        """The box around words ``start`` to ``stop`` (exclusive, at least one word)."""
        part = self.boxes[start:stop]
        x0, y0 = part[:, :2].min(axis=0).tolist()
        x1, y1 = part[:, 2:].max(axis=0).tolist()
        return Box(x0, y0, x1, y1)

    def text(self, start: int = 0, stop: int | None = None) -> str:
        """Words ``start`` to ``stop`` as text: a space between words, a line feed where the line changes."""
        stop = len(self.texts) if stop is None else min(stop, len(self.texts))
        if start >= stop:
            return ""
        turns = (self.lines[start + 1 : stop] != self.lines[start : stop - 1]).tolist()
        parts = [self.texts[start]]
        for word, turn in zip(self.texts[start + 1 : stop], turns, strict=True):
            parts.append("\n" if turn else " ")
            parts.append(word)
        return "".join(parts)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a document or a page failed: a stable code (see errors.py), what happened, what to do next."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page as read from its file. ``width`` and ``height``: PDF points (1/72 inch) or, for images, pixels; upright.

    A page with a ``problem`` keeps its number and has no words.
    """

    number: int
    width: float
    height: float
    words: Words
    flags: tuple[PageFlag, ...] = ()
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many of the pages a channel has taken in; a page with nothing to encode counts as done."""

    done: int
    total: int

    @property
    def share(self) -> float:
        """0–1; 1 when there is nothing to do."""
        return self.done / self.total if self.total else 1.0


@dataclass(frozen=True, slots=True)
class Document:
    """One file's content in one collection, with its current version. ``id`` is never recycled.

    ``pages`` counts the pages of the current version; ``page_problems`` those that could not be read. ``created`` is
    RFC 3339 in UTC. ``coverage`` has an entry for each channel of the collection.
    """

    id: str
    collection: str
    filename: str
    source: str
    sha256: str
    version: int
    status: DocumentStatus
    pages: int
    page_problems: int
    created: str
    problem: Problem | None = None
    metadata: Metadata = field(default_factory=dict)
    coverage: Mapping[str, Coverage] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DocumentRef:
    """Enough to name a document to a person: its id, its current version, its file's name, its number of pages."""

    id: str
    version: int
    filename: str
    pages: int


# --- channels -------------------------------------------------------------------------------------------------------

VectorKind = Literal["sparse", "dense", "multi"]


@dataclass(frozen=True, slots=True, eq=False)
class SparseVector:
    """``indices``: uint32 [n], distinct; ``values``: float32 [n]."""

    indices: NDArray[np.uint32]
    values: NDArray[np.float32]


Vector = SparseVector | NDArray[np.float32]
"""Sparse, dense (float32 [dim]) or multi (float32 [n, dim], n >= 1)."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a channel's vectors were made with. Indexes refuse vectors of another fingerprint.

    ``encoder`` names class and model, ``revision`` its weights or version, ``settings`` whatever else changes the
    vectors (image resolution, pooling, chunk length), in a stable textual form.
    """

    encoder: str
    revision: str
    kind: VectorKind
    dim: int  # 0 for sparse
    settings: str = ""

    def asdict(self) -> dict[str, Any]:
        """As written into an index and shown to people."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        size = f", {self.dim} dimensions" if self.dim else ""
        return f"{self.encoder}@{self.revision} ({self.kind}{size}{', ' + self.settings if self.settings else ''})"


@dataclass(frozen=True, slots=True, eq=False)
class PageInput:
    """What an encoder sees of a page.

    ``title``: the document's name for people (its file name). ``image``: called with the wanted long edge in pixels,
    returns uint8 [height, width, 3] RGB, upright; None where the caller has no image at hand.
    """

    key: PageKey
    title: str
    words: Words
    image: Callable[[int], NDArray[np.uint8]] | None = None


@dataclass(frozen=True, slots=True)
class Where:
    """A filter inside retrieval: only these documents, only those whose metadata has all these values."""

    documents: frozenset[str] | None = None
    metadata: Metadata = field(default_factory=dict)

    def matches(self, document_id: str, metadata: Metadata) -> bool:
        """Whether a document with this metadata is meant. ``true`` is not 1."""
        named = self.documents is None or document_id in self.documents
        return named and all(
            name in metadata and metadata[name] == value and isinstance(metadata[name], bool) == isinstance(value, bool)
            for name, value in self.metadata.items()
        )


class ScoredPage(NamedTuple):
    """A page found by one channel; a higher score is better, its scale is the channel's own."""

    key: PageKey
    score: float


@dataclass(frozen=True, slots=True)
class ChannelScore:
    """A page's rank (from 1) and score within one channel."""

    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Region:
    """A box on a page with a score (0–1, 1 best on its page) and what it stands for."""

    box: Box
    score: float
    kind: RegionKind


@dataclass(frozen=True, slots=True)
class PageHit:
    """A page with its fused score, its rank and score per channel, its regions and a snippet of its words."""

    rank: int
    document: DocumentRef
    page: int
    score: float
    scores: Mapping[str, ChannelScore]
    snippet: str = ""
    regions: tuple[Region, ...] = ()

    @property
    def key(self) -> PageKey:
        """The page this hit is about."""
        return PageKey(self.document.id, self.document.version, self.page)

    def _repr_html_(self) -> str:
        from folioscope import html

        return html.hit(self)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits, best first; milliseconds per stage; which channels took part and what share of the pages they knew.

    ``notes``: what a person should know of the search, such as a channel that had to be left out, and why.
    """

    query: str
    hits: tuple[PageHit, ...]
    timings: Mapping[str, float]
    coverage: Mapping[str, Coverage]
    notes: tuple[str, ...] = ()

    @property
    def reservations(self) -> tuple[str, ...]:
        """What the search could not look at, in sentences: pages that a channel has not taken in, then the notes."""
        partly = (
            f"The {name} channel knew {share.done} of {share.total} pages."
            for name, share in self.coverage.items()
            if share.done < share.total
        )
        return (*partly, *self.notes)

    def _repr_html_(self) -> str:
        from folioscope import html

        return html.result(self)


# --- models that read and write -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as a model is sent it: ``data`` holds a file of ``media_type``, ``width`` x ``height`` pixels."""

    data: bytes
    media_type: Literal["image/jpeg", "image/png"]
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What a model takes: pixels of the longer side, bytes of one encoded picture, pictures in one prompt."""

    long_edge: int
    max_bytes: int
    max_pictures: int


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier message of a conversation."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked. ``system``: who it is and what it must keep to. ``parts``: text and pictures in order.

    ``schema``: JSON Schema of the reply where JSON is wanted; a model that can't be held to one is told it in words.
    ``max_tokens``: of the reply.
    """

    system: str
    parts: tuple[str | Picture, ...]
    history: tuple[Turn, ...] = ()
    schema: Mapping[str, Any] | None = None
    max_tokens: int = 4096


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a reply. ``reason``: ``length`` when it ran into ``max_tokens``, ``refusal`` when the model declined.

    ``usage``: tokens as the vendor counts them, at least ``input_tokens`` and ``output_tokens`` where it tells.
    """

    reason: Literal["stop", "length", "refusal"]
    usage: Mapping[str, int] = field(default_factory=dict)


# --- answers --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GivenPage:
    """A page as handed to an answering model: where it is from, its words, its image on demand (see `PageInput`)."""

    document: DocumentRef
    page: int
    words: Words
    score: float = 0.0
    image: Callable[[int], NDArray[np.uint8]] | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """Words that a model says stand on a page. ``page``: position in the list of given pages, from 0.

    ``figure``: not read as words but seen in a chart, drawing or photo; ``text`` then says what is seen.
    """

    text: str
    page: int
    figure: bool = False


@dataclass(frozen=True, slots=True)
class DraftSegment:
    """A piece of a model's answer with the quotes that it rests on."""

    text: str
    quotes: tuple[Quote, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """What a model says before anything is checked. No segments: the pages do not answer.

    ``confidence``: 0–1 where the model gives one. ``usage``: as in `Finish`. ``refused``: the model declined. ``cut``:
    the reply ran into its limit. ``warnings``: what a person should know, such as pages that did not fit.
    """

    segments: tuple[DraftSegment, ...]
    confidence: float | None = None
    usage: Mapping[str, int] = field(default_factory=dict)
    refused: bool = False
    warnings: tuple[str, ...] = ()
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Citation:
    """Answer span -> document, page, quote, status, boxes (one per line of the quote). ``index`` counts from 1.

    Only ``exact`` and ``fuzzy`` quotes have boxes from words; ``visual`` ones have the page's or a region's box;
    ``unverified`` ones have none. ``moved``: the model named another of its pages.
    """

    index: int
    document: DocumentRef
    page: int
    quote: str
    quote_status: QuoteStatus
    boxes: tuple[Box, ...] = ()
    moved: bool = False

    @property
    def key(self) -> PageKey:
        """The page this citation names."""
        return PageKey(self.document.id, self.document.version, self.page)

    @property
    def union_box(self) -> Box | None:
        """The box around all boxes."""
        if not self.boxes:
            return None
        box = self.boxes[0]
        for other in self.boxes[1:]:
            box = box.union(other)
        return box


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the answer's text and the numbers of the citations that carry it (none: unsupported)."""

    text: str
    citations: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A checked answer. ``pages_used``: the pages that the model was given, best first.

    ``query``: what was searched for: the question, or what a conversation made of it. ``cut``: as in `Draft`.
    """

    question: str
    status: AnswerStatus
    segments: tuple[Segment, ...]
    citations: tuple[Citation, ...]
    pages_used: tuple[PageHit, ...]
    model: str
    confidence: float | None = None
    usage: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    took_ms: float = 0.0
    query: str = ""
    cut: bool = False

    @property
    def text(self) -> str:
        """The whole answer."""
        texts = (segment.text for segment in self.segments)
        return "".join(text if text.startswith("\n") else f" {text}" for text in texts).lstrip(" ")

    def _repr_html_(self) -> str:
        from folioscope import html

        return html.answer(self)
