"""What goes with a document or a conversation when it is deleted: answers that were written from it, what was said of
them, responses that tell of it. Who stores such a thing leaves a trace in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from ingest import schema as t


def leave(db: sa.Connection, holder: str, sources: Iterable[str]) -> bool:
    """Note that ``holder`` goes when one of the ``sources``, ids of documents and conversations, does.

    False, and nothing is noted, where one of them is gone already. Whoever deletes one waits for this transaction.
    """
    wanted = set(sources)
    d, c = t.documents.c, t.conversations.c
    there: set[str] = set()
    for query in (
        sa.select(d.id).where(d.id.in_(wanted), ~d.deleted).with_for_update(read=True),
        sa.select(c.id).where(c.id.in_(wanted)).with_for_update(read=True),
    ):
        there.update(db.execute(query).scalars())
    if there != wanted:
        return False
    if wanted:
        db.execute(t.traces.insert(), [{"holder": holder, "source": source} for source in sorted(wanted)])
    return True


def erase(db: sa.Connection, source: str) -> None:
    """Everything that was stored from ``source``. Turns and replays stay as such, without what they held."""
    holders = sa.select(t.traces.c.holder).where(t.traces.c.source == source).scalar_subquery()
    db.execute(t.turns.update().where(t.turns.c.id.in_(holders)).values(answer=None))
    db.execute(t.replays.update().where(t.replays.c.id.in_(holders)).values(body=None, location=None))
    for table in (t.answers, t.feedback):
        db.execute(table.delete().where(table.c.id.in_(holders)))
    db.execute(t.traces.delete().where(t.traces.c.holder.in_(holders)))


def erase_collection(db: sa.Connection, collection_id: str) -> None:
    """Everything that was asked and said in a collection whose documents are deleted."""
    talks = sa.select(t.conversations.c.id).where(t.conversations.c.collection_id == collection_id)
    for talk in db.execute(talks).scalars().all():
        erase_conversation(db, talk)
    for table in (t.answers, t.feedback):
        db.execute(table.delete().where(table.c.collection_id == collection_id))


def erase_conversation(db: sa.Connection, conversation_id: str) -> None:
    """With its turns and what is known of their answers."""
    erase(db, conversation_id)
    said = sa.select(t.turns.c.id).where(t.turns.c.conversation_id == conversation_id)
    db.execute(t.answers.delete().where(t.answers.c.id.in_(said)))
    db.execute(t.traces.delete().where(t.traces.c.holder.in_(said)))
    db.execute(t.turns.delete().where(t.turns.c.conversation_id == conversation_id))
    db.execute(t.conversations.delete().where(t.conversations.c.id == conversation_id))
