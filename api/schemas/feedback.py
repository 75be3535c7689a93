"""Feedback over the wire."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from api.feedback import Judgement, Value
from api.schemas.common import Given, Text


class FeedbackIn(Given):
    """Of an answer, by its id, or of a page for a question: ``query``, ``document`` and ``page``.

    ``value``: good or bad. ``relevance``: of a page, 0 (none) to 3 (it has the whole answer).
    """

    answer: str | None = Field(None, max_length=64)
    query: Text | None = Field(None, min_length=1, max_length=10_000)
    document: str | None = Field(None, max_length=64)
    page: int | None = Field(None, ge=1)
    value: Value | None = None
    relevance: int | None = Field(None, ge=0, le=3)
    comment: Text | None = Field(None, min_length=1, max_length=2000)

    @model_validator(mode="after")
    def _about_one_thing(self) -> Self:
        page = (self.query, self.document, self.page)
        if self.answer is None and None in page:
            raise ValueError("say what it is about: `answer`, or `query`, `document` and `page`")
        if self.answer is not None and page != (None, None, None):
            raise ValueError("an answer has its own question and pages: leave out `query`, `document` and `page`")
        if self.answer is not None and self.relevance is not None:
            raise ValueError("`relevance` is a page's; an answer has a `value`")
        if self.value is not None and self.relevance is not None:
            raise ValueError("give `value` or `relevance`")
        if (self.value, self.relevance, self.comment) == (None, None, None):
            raise ValueError("say something: `value`, `relevance` or `comment`")
        return self


class PageNamed(BaseModel):
    """``page``: from 1."""

    document: str
    page: int


class FeedbackOut(BaseModel):
    """``query``: the question. ``pages``: what it is about, of an answer the pages that it cites. ``key``: whose."""

    object: Literal["feedback"] = "feedback"
    id: str
    key: str | None
    answer: str | None
    query: str
    pages: list[PageNamed]
    value: Value | None
    relevance: int | None
    comment: str | None
    created: str


class Qrel(BaseModel):
    """A row for evaluation: how relevant a page is to a question, 0–3."""

    question: str
    document: str
    page: int
    relevance: int


def feedback_out(found: Judgement) -> FeedbackOut:
    """As it was given."""
    return FeedbackOut(
        id=found.id,
        key=found.owner or None,
        answer=found.answer_id,
        query=found.question,
        pages=[PageNamed(document=document, page=page) for document, page in found.pages],
        value=found.value,
        relevance=found.relevance,
        comment=found.comment,
        created=found.created,
    )


def qrels(found: Judgement) -> list[Qrel]:
    """What it says of pages."""
    grade = found.grade()
    if grade is None:
        return []
    return [
        Qrel(question=found.question, document=document, page=page, relevance=grade) for document, page in found.pages
    ]
