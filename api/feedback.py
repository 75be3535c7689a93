"""Answers as they are known by their ids for a while, and what people say of them and of pages."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from folioscope.errors import DocumentNotFound, StorageError
from ingest import schema as t
from ingest import traces
from ingest.database import Database, new_id, now
from ingest.lookups import newest_first

Value = Literal["up", "down"]

log = logging.getLogger(__name__)


class PageGiven(NamedTuple):
    """A page that the model was given. ``cited``: a quote that stands on it carries the answer."""

    document: str
    page: int
    cited: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """What is kept of an answer: neither its text nor its quotes. ``owner``: id of a key, or empty."""

    id: str
    owner: str
    collection_id: str
    question: str
    status: str
    pages: tuple[PageGiven, ...]


class Answers:
    """The table of answers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, answer: Answered, most: int) -> None:
        """Know the answer from now on, as one of the last ``most``; that this fails is logged, the answer is given."""
        try:
            with self._database.write() as db:
                if traces.leave(db, answer.id, {page.document for page in answer.pages}):
                    keep(db, answer, most)
        except StorageError as error:
            log.warning("%s can't be given feedback on: %s", answer.id, error)

    def find(self, answer_id: str) -> Answered | None:
        """The answer with this id."""
        with self._database.read() as db:
            row = db.execute(sa.select(t.answers).where(t.answers.c.id == answer_id)).first()
        if row is None:
            return None
        pages = tuple(PageGiven(**page) for page in row.pages)
        return Answered(row.id, row.owner, row.collection_id, row.question, row.status, pages)


def keep(db: sa.Connection, answer: Answered, most: int) -> None:
    """Within a transaction in which its traces were left: a row, for as long as it is one of the last ``most``."""
    row = {**dataclasses.asdict(answer), "pages": [page._asdict() for page in answer.pages], "created": now()}
    db.execute(t.answers.insert().values(row))
    a = t.answers.c
    old = db.execute(sa.select(a.id).order_by(a.created.desc(), a.id.desc()).offset(most)).scalars().all()
    if old:
        turns = sa.select(t.turns.c.id).where(t.turns.c.id.in_(old))
        db.execute(t.traces.delete().where(t.traces.c.holder.in_(old), t.traces.c.holder.not_in(turns)))
        db.execute(t.answers.delete().where(a.id.in_(old)))


@dataclass(frozen=True, slots=True)
class Judgement:
    """What somebody said of an answer, or of a page for a question.

    ``pages``: (document, page) that it is about, of an answer those that it cites. ``relevance``: 0–3, of a page.
    """

    id: str
    owner: str
    collection_id: str
    answer_id: str | None
    question: str
    pages: tuple[tuple[str, int], ...]
    value: Value | None
    relevance: int | None
    comment: str | None
    created: str

    def grade(self) -> int | None:
        """How relevant its pages are to the question, 0–3; None where it does not say.

        Of a page, ``up`` is 1 and ``down`` is 0. An answer that was found good was read from relevant pages, 1; one
        that was found bad says nothing of them.
        """
        if self.relevance is not None:
            return self.relevance
        if self.value == "up":
            return 1
        return 0 if self.value == "down" and self.answer_id is None else None


class Feedback:
    """The table of feedback."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        owner: str,
        collection_id: str,
        answer_id: str | None,
        question: str,
        pages: Sequence[tuple[str, int]],
        *,
        value: Value | None,
        relevance: int | None,
        comment: str | None,
    ) -> Judgement:
        """A new one. Raises `DocumentNotFound` where a document was deleted meanwhile."""
        made = Judgement(
            new_id("fbk"), owner, collection_id, answer_id, question, tuple(pages), value, relevance, comment, now()
        )
        with self._database.write() as db:
            if not traces.leave(db, made.id, {document for document, _ in pages}):
                raise DocumentNotFound("A document that this is about has been deleted.")
            db.execute(t.feedback.insert().values(dataclasses.asdict(made)))
        return made

    def some(self, collections: Collection[str], limit: int, after: str | None) -> tuple[list[Judgement], bool]:
        """At most ``limit`` on these collections, by their ids, newest first; and whether there are more.

        Raises `QueryError` when ``after`` is none of them.
        """
        wanted = t.feedback.c.collection_id.in_(collections)
        with self._database.read() as db:
            rows, more = newest_first(db, t.feedback, wanted, limit, after)
        return [_judgement(row) for row in rows], more


def _judgement(row: Any) -> Judgement:
    pages = tuple((document, page) for document, page in row.pages)
    return Judgement(**{**row._mapping, "pages": pages})
