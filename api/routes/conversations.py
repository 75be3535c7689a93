"""Conversations: questions that follow each other, kept with their answers."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.asking import answering, known, streams, told, whole
from api.conversations import Conversation, Conversations, StoredTurn, heard, refuse_full
from api.idempotency import Made, OnlyOnce
from api.routes.questions import made, refuse_key
from api.schemas.answers import AnswerOut, AskCreated, Asked
from api.schemas.common import Listed
from api.schemas.conversations import (
    ConversationOut,
    ConversationTurns,
    NewConversation,
    conversation_out,
    turn_out,
)
from api.security import Access, Reader
from api.sse import respond
from generation.models.extractive import Extractive
from ingest.catalog import Collection
from ingest.database import new_id

router = APIRouter(prefix="/v1/conversations", tags=["conversations"])


@router.post("", status_code=201, response_model=ConversationOut)
async def create_conversation(body: NewConversation, access: Reader, once: OnlyOnce) -> Response:
    """It belongs to the key that makes it; those made without a key belong to everyone without one."""
    return await once(access, body, partial(run_in_threadpool, _create, access, body))


def _create(access: Access, body: NewConversation) -> Made:
    collection = access.collection(body.collection)
    found = _table(access).create(access.owner, collection.id, body.title)
    place = f"/v1/conversations/{found.id}"
    return Made(conversation_out(found, collection.name), 201, place, [found.id])


@router.get("")
def list_conversations(
    access: Reader,
    collection: Annotated[str | None, Query(max_length=64, description="name or id; else all")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(max_length=64)] = None,
) -> Listed[ConversationOut]:
    """Newest first."""
    seen = access.collections() if collection is None else [access.collection(collection)]
    names = {each.id: each.name for each in seen}
    found, more = _table(access).some(access.owner, names, limit, after)
    data = [conversation_out(each, names[each.collection_id]) for each in found]
    return Listed(data=data, has_more=more, last_id=found[-1].id if found else None)


@router.get("/{conversation}")
def get_conversation(conversation: str, access: Reader) -> ConversationTurns:
    """With its turns."""
    found, collection, turns = _opened(access, conversation)
    shown = conversation_out(found, collection.name)
    return ConversationTurns(**shown.model_dump(), turns=[turn_out(each) for each in turns])


@router.delete("/{conversation}", status_code=204)
def delete_conversation(conversation: str, access: Reader) -> None:
    """With its turns; what was said of its answers as feedback stays."""
    _table(access).delete(access.conversation(conversation).id)


@router.post("/{conversation}/ask", response_model=AnswerOut, responses={200: {"content": {"text/event-stream": {}}}})
async def ask(conversation: str, body: Asked, request: Request, access: Reader, once: OnlyOnce) -> Response:
    """As ``/v1/ask``; a follow-up is understood from the turns before it. A turn is added when the answer is done."""
    found, collection, turns = await run_in_threadpool(_opened, access, conversation)
    history, sources = heard(turns)
    answer_id = new_id("ans")
    events = partial(answering, access, collection, body, history)
    keep = partial(_keep, access, found, collection, sources)
    if streams(body, request):
        refuse_key(once)
        refuse_full(turns)
        head = AskCreated(id=answer_id, question=body.question, collection=collection.id)
        return respond(told(head, events(), keep), request.url.path, request.state.request_id)

    async def make() -> Made:
        refuse_full(turns)
        return made(await whole(events(), answer_id, keep), found.id, *sources)

    return await once(access, body, make)


def _opened(access: Access, conversation: str) -> tuple[Conversation, Collection, list[StoredTurn]]:
    found = access.conversation(conversation)
    return found, access.collection(found.collection_id), _table(access).turns(found.id)


def _keep(
    access: Access, found: Conversation, collection: Collection, sources: frozenset[str], answer: AnswerOut
) -> None:
    before = (
        frozenset() if answer.model == Extractive.name else sources
    )  # it reads the pages alone, and no earlier turn
    most = access.library.settings.answers_kept
    _table(access).add(found, known(access, collection, answer), answer.model_dump(mode="json"), before, most)


def _table(access: Access) -> Conversations:
    return Conversations(access.library.catalog.database)
