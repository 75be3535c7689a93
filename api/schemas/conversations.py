"""Conversations over the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from api.conversations import LONGEST_TITLE, Conversation, StoredTurn
from api.schemas.answers import AnswerOut
from api.schemas.common import Given, Text


class NewConversation(Given):
    """``collection``: name or id; else the setting's. ``title``: else the beginning of the first question."""

    collection: str | None = Field(None, min_length=1, max_length=64)
    title: Text = Field("", max_length=LONGEST_TITLE)


class ConversationOut(BaseModel):
    """``collection``: its name. ``updated``: when the last turn was added."""

    object: Literal["conversation"] = "conversation"
    id: str
    collection: str
    title: str
    created: str
    updated: str


class TurnOut(BaseModel):
    """``id``: of the answer. ``answer``: None where it is gone with a document that it was written from."""

    id: str
    question: str
    answer: AnswerOut | None
    created: str


class ConversationTurns(ConversationOut):
    """A conversation with its turns, in order."""

    turns: list[TurnOut]


def conversation_out(found: Conversation, collection: str) -> ConversationOut:
    """``collection``: its name."""
    return ConversationOut(
        id=found.id, collection=collection, title=found.title, created=found.created, updated=found.updated
    )


def turn_out(found: StoredTurn) -> TurnOut:
    """As it was told."""
    answer = None if found.answer is None else AnswerOut.model_validate(found.answer)
    return TurnOut(id=found.id, question=found.question, answer=answer, created=found.created)
