"""OpenAI's chat completions over the documents: ``model`` is ``docs``, or ``docs/<collection>``.

Citations come three times, for whatever a client understands: as markdown links behind the sentences, as
``url_citation`` annotations, and, whole, in the field ``folioscope``.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, StreamingResponse

from api import problems
from api.schemas.answers import answer_out
from api.schemas.common import image_url
from api.security import Access, Reader
from folioscope.domain import Answer, Citation, Segment, Turn
from folioscope.errors import CollectionNotFound, FolioscopeError, QueryError
from generation import stream
from ingest.database import new_id

router = APIRouter(tags=["openai"])
PATH = "/v1/chat/completions"
MODEL = "docs"
NOTHING = "The pages that were found don't say."
TAKEN_BACK = "None of this stands on the pages that were found."


class Part(BaseModel):
    """A piece of a message; only text is understood."""

    type: str
    text: str = ""


class Message(BaseModel):
    """One turn; messages of the system and of tools are passed over."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None


class Completion(BaseModel):
    """What else OpenAI's clients send is accepted and has no effect."""

    model_config = ConfigDict(extra="ignore")
    model: str = Field(min_length=1, max_length=80)
    messages: list[Message] = Field(min_length=1, max_length=1000)
    stream: bool = False


class Told:
    """An answer as markdown while it comes: its pieces, where their citations stand, at last the whole of it."""

    def __init__(self, base: str) -> None:
        self._base = base.rstrip("/")
        self._links: dict[int, Citation] = {}
        self._length = 0
        self.annotations: list[dict[str, Any]] = []
        self.answer: Answer | None = None

    def piece(self, event: object) -> str:
        """The text that an event of `generation.stream` adds."""
        text = ""
        if isinstance(event, str):
            text = event
        elif isinstance(event, Citation):
            self._links[event.index] = event
        elif isinstance(event, Segment):
            text = "".join(map(self._mark, event.citations))
        elif isinstance(event, Answer):
            self.answer = event
            if event.status == "not_found":
                text = f"\n\n{TAKEN_BACK}" if self._length else NOTHING
        self._length += len(text) if not isinstance(event, Segment) else 0
        return text

    def _mark(self, number: int) -> str:
        cited = self._links[number]
        url = f"{self._base}{image_url(cited.key)}"
        mark = f" [{number}]({url})"
        title = f"{cited.document.filename}, page {cited.page}"
        where = {"start_index": self._length + 1, "end_index": self._length + len(mark), "url": url, "title": title}
        self.annotations.append({"type": "url_citation", "url_citation": where})
        self._length += len(mark)
        return mark


@router.post(PATH, response_model=None, responses={200: {"content": {"text/event-stream": {}}}})
async def complete(body: Completion, request: Request, access: Reader) -> JSONResponse | StreamingResponse:
    """Streamed or whole. The last message is the question, those before it the conversation."""
    name = _collection(body.model)
    collection = await run_in_threadpool(access.collection, name)
    question, history = _asked(body.messages)
    told = Told(str(request.base_url))
    pieces = _pieces(access, collection.name, question, history, told)
    head: dict[str, Any] = {"id": f"chatcmpl-{new_id('ans')}", "created": int(time.time()), "model": body.model}
    if body.stream:
        lines = _lines(pieces, head, told, request.state.request_id)
        return StreamingResponse(lines, media_type="text/event-stream", headers={"cache-control": "no-cache"})
    text = "".join([piece async for piece in pieces])
    message = {"role": "assistant", "content": text, "annotations": told.annotations}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return JSONResponse({**head, "object": "chat.completion", "choices": [choice], **_rest(told, head["id"])})


def _collection(model: str) -> str | None:
    kind, slash, name = model.partition("/")
    if kind != MODEL or (slash and not name):
        raise CollectionNotFound(f"There is no model {model!r}; the models are docs and docs/<collection>.")
    return name or None


def _asked(messages: Sequence[Message]) -> tuple[str, tuple[Turn, ...]]:
    """The question and the turns before it."""
    *before, last = messages
    if last.role != "user":
        raise QueryError("The last message is not the user's.")
    turns = tuple(
        Turn(each.role, _text(each)) for each in before if each.role in ("user", "assistant") and _text(each).strip()
    )
    return _text(last), turns


def _text(message: Message) -> str:
    if isinstance(message.content, list):
        if any(part.type != "text" for part in message.content):
            raise QueryError("A message has a part that is no text; only text can be asked with here.")
        return "\n".join(part.text for part in message.content)
    return message.content or ""


async def _pieces(
    access: Access, collection: str, question: str, history: tuple[Turn, ...], told: Told
) -> AsyncGenerator[str]:
    model = await run_in_threadpool(access.service.model)
    retriever = await run_in_threadpool(access.library.retriever, collection)
    k = access.library.settings.top_k
    async for event in stream(question, retriever, model, k=k, images=access.library, history=history):
        if text := told.piece(event):
            yield text


async def _lines(
    pieces: AsyncGenerator[str], head: dict[str, Any], told: Told, request_id: str
) -> AsyncIterator[bytes]:
    def chunk(delta: dict[str, Any], finish: str | None = None, **rest: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return _line({**head, "object": "chat.completion.chunk", "choices": [choice], **rest})

    yield chunk({"role": "assistant", "content": ""})
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                yield chunk({"content": piece})
    except FolioscopeError as error:
        yield _line(problems.openai(problems.of_error(error, PATH, request_id)))
        return
    yield chunk({"annotations": told.annotations}, "stop", **_rest(told, head["id"]))
    yield b"data: [DONE]\n\n"


def _line(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def _rest(told: Told, answer_id: str) -> dict[str, Any]:
    """Usage in OpenAI's words, and the whole answer."""
    assert told.answer is not None
    read, written = (told.answer.usage.get(name, 0) for name in ("input_tokens", "output_tokens"))
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    found = answer_out(told.answer, answer_id.removeprefix("chatcmpl-"))
    return {"usage": usage, "folioscope": found.model_dump(mode="json")}
