"""Conversations as they are stored: whose they are, their turns, what of them a follow-up is told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import sqlalchemy as sa

from api import feedback
from folioscope.domain import Turn
from folioscope.errors import NotFoundError, QueryError
from generation import conversation as talk
from ingest import schema as t
from ingest import traces
from ingest.database import Database, new_id, now
from ingest.lookups import newest_first

MOST_TURNS = 200
LONGEST_TITLE = 200


@dataclass(frozen=True, slots=True)
class Conversation:
    """``owner``: id of the key that made it; empty: made without one."""

    id: str
    owner: str
    collection_id: str
    title: str
    created: str
    updated: str


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """``id``: of the answer. ``answer``: as it went over the wire; None: gone with a document.

    ``sources``: documents that it was written from, or that answers were which the model was told; it goes with each.
    """

    id: str
    question: str
    answer: dict[str, Any] | None
    created: str
    sources: frozenset[str]


class Conversations:
    """The tables of conversations and turns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, owner: str, collection_id: str, title: str) -> Conversation:
        """A new one, without turns. ``title``: where empty, the first question's beginning."""
        made = Conversation(new_id("cnv"), owner, collection_id, title, now(), now())
        with self._database.write() as db:
            db.execute(
                t.conversations.insert().values(
                    id=made.id, owner=owner, collection_id=collection_id, title=title, created=made.created,
                    updated=made.updated,
                )
            )  # fmt: skip
        return made

    def find(self, conversation_id: str) -> Conversation | None:
        """The one with this id."""
        with self._database.read() as db:
            row = db.execute(sa.select(t.conversations).where(t.conversations.c.id == conversation_id)).first()
        return Conversation(*row) if row else None

    def some(
        self, owner: str, collections: Collection[str], limit: int, after: str | None
    ) -> tuple[list[Conversation], bool]:
        """At most ``limit`` of an owner's, newest first; and whether there are more.

        Raises `QueryError` when ``after`` is none of them.
        """
        c = t.conversations.c
        with self._database.read() as db:
            rows, more = newest_first(
                db, t.conversations, (c.owner == owner) & c.collection_id.in_(collections), limit, after
            )
        return [Conversation(*row) for row in rows], more

    def turns(self, conversation_id: str) -> list[StoredTurn]:
        """In order, at most `MOST_TURNS`."""
        c, trace = t.turns.c, t.traces.c
        mine = c.conversation_id == conversation_id
        sources = sa.select(c.id, trace.source).outerjoin(t.traces, trace.holder == c.id).where(mine)
        turns = sa.select(c.id, c.question, c.answer, c.created).where(mine).order_by(c.number)
        found: dict[str, set[str]] = {}
        with self._database.read() as db:
            # Sources first: an answer that is still there afterwards had all of them.
            for turn, source in db.execute(sources):
                found.setdefault(turn, set()).update([source] if source else [])
            return [StoredTurn(*row, frozenset(found[row.id])) for row in db.execute(turns) if row.id in found]

    def add(
        self, found: Conversation, known: feedback.Answered, answer: dict[str, Any], heard: Collection[str], most: int
    ) -> None:
        """A further turn, and its answer among the ``most`` that feedback can be given on.

        ``heard``: sources of the turns that the model was told. Raises `NotFoundError` where the conversation was
        deleted meanwhile, `QueryError` where it is full.
        """
        c = t.conversations.c
        own = {page.document for page in known.pages}
        with self._database.write() as db:
            title = db.execute(sa.select(c.title).where(c.id == found.id).with_for_update()).scalar()
            if title is None:
                raise NotFoundError(f"There is no conversation {found.id!r} any more.")
            number = _next(db, found.id)
            kept = traces.leave(db, known.id, {*own, *heard})
            if kept:
                feedback.keep(db, known, most)
            row = {"id": known.id, "conversation_id": found.id, "number": number, "question": known.question}
            db.execute(t.turns.insert().values({**row, "answer": answer if kept else None, "created": now()}))
            titled = title or " ".join(known.question.split())[:80]
            db.execute(t.conversations.update().where(c.id == found.id).values(title=titled, updated=now()))

    def delete(self, conversation_id: str) -> None:
        """With its turns and what is known of their answers."""
        with self._database.write() as db:
            traces.erase_conversation(db, conversation_id)


def heard(turns: Sequence[StoredTurn]) -> tuple[tuple[Turn, ...], frozenset[str]]:
    """What a follow-up is told: the last turns that still have their answers; and the sources of these."""
    last = [turn for turn in turns if turn.answer][-talk.MOST_TURNS // 2 :]
    answers = [turn.answer for turn in last if turn.answer]
    said = [talk.turns(each["query"] or each["question"], each["status"], each["text"]) for each in answers]
    return tuple(chain.from_iterable(said)), frozenset().union(*(turn.sources for turn in last))


def refuse_full(turns: Sequence[StoredTurn]) -> None:
    """Raises `QueryError`."""
    if len(turns) >= MOST_TURNS:
        raise QueryError(f"The conversation has {MOST_TURNS} turns.", hint="Begin another.")


def _next(db: sa.Connection, conversation_id: str) -> int:
    last = db.execute(sa.select(sa.func.max(t.turns.c.number)).where(t.turns.c.conversation_id == conversation_id))
    number = (last.scalar() or 0) + 1
    if number > MOST_TURNS:
        raise QueryError(f"The conversation has {MOST_TURNS} turns.", hint="Begin another.")
    return number
