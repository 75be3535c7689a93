"""What is read of whole documents, over the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from api.schemas.answers import CitationOut, DocumentName, SegmentOut, citation_out
from api.schemas.common import Given, notes
from folioscope.domain import Document, Segment
from generation import Classification, Comparison, Extraction, Summary
from generation.reading import Read


class PagesOf(Given):
    """A document by its id; ``pages``: only these, from 1."""

    document: str = Field(max_length=64)
    pages: list[Annotated[int, Field(ge=1)]] | None = Field(None, min_length=1, max_length=2000)


class ExtractIn(PagesOf):
    """``schema``: a JSON Schema of what is wanted."""

    wanted: dict[str, Any] = Field(alias="schema")


class SummarizeIn(PagesOf):
    """A document to be summarized."""


class ClassifyIn(PagesOf):
    """``labels``: what it may be."""

    labels: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(min_length=2, max_length=100)


class CompareIn(Given):
    """Two documents, or pages of the same."""

    first: PagesOf
    second: PagesOf


class ReadOut(BaseModel):
    """``usage``: tokens as the model's vendor counts them."""

    documents: list[DocumentName]
    citations: list[CitationOut]
    model: str
    usage: dict[str, int]
    warnings: list[str]


class Extracted(ReadOut):
    """``fields``: JSON Pointer of a value -> number of its citation. ``problems``: where ``data`` does not conform to
    the schema. ``unsupported``: values, by their pointers, that no quote carries which stands on its page.
    """

    object: Literal["extraction"] = "extraction"
    data: Any
    fields: dict[str, int]
    problems: list[str]
    unsupported: list[str]


class Summarized(ReadOut):
    """``segments``: statements, the most important first."""

    object: Literal["summary"] = "summary"
    text: str
    segments: list[SegmentOut]


class Classified(ReadOut):
    """``label``: None where none fits."""

    object: Literal["classification"] = "classification"
    label: str | None
    reason: SegmentOut


class DifferenceOut(BaseModel):
    """What each of two documents says on a topic; an empty text where it says nothing."""

    topic: str
    first: SegmentOut
    second: SegmentOut


class Compared(ReadOut):
    """``similarities``: what both say."""

    object: Literal["comparison"] = "comparison"
    summary: str
    similarities: list[SegmentOut]
    differences: list[DifferenceOut]


def extracted(found: Extraction, document: Document) -> Extracted:
    """Fields with their citations."""
    return Extracted(
        data=found.data,
        fields=dict(found.fields),
        problems=list(found.problems),
        unsupported=list(found.unsupported),
        **_read(found, document),
    )


def summarized(found: Summary, document: Document) -> Summarized:
    """Statements with their citations."""
    return Summarized(text=found.text, segments=[_segment(each) for each in found.segments], **_read(found, document))


def classified(found: Classification, document: Document) -> Classified:
    """A label with the citations that show it."""
    return Classified(label=found.label, reason=_segment(found.reason), **_read(found, document))


def compared(found: Comparison, first: Document, second: Document) -> Compared:
    """What is the same and what is not, with citations."""
    differences = [
        DifferenceOut(topic=each.topic, first=_segment(each.first), second=_segment(each.second))
        for each in found.differences
    ]
    similarities = [_segment(each) for each in found.similarities]
    told = _read(found, first, second)
    return Compared(summary=found.summary, similarities=similarities, differences=differences, **told)


def _segment(found: Segment) -> SegmentOut:
    return SegmentOut(text=found.text, citations=list(found.citations))


def _read(found: Read, *documents: Document) -> dict[str, Any]:
    return {
        "documents": [DocumentName(id=each.id, filename=each.filename) for each in documents],
        "citations": [citation_out(each) for each in found.citations],
        "model": found.model,
        "usage": dict(found.usage),
        "warnings": notes(found.warnings),
    }
