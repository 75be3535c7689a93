"""OpenAI's chat completions over the documents: ``model`` is ``docs``, or ``docs/<collection>``.

Citations come three times, for whatever a client understands: as markdown links behind the sentences, as
``url_citation`` annotations, and, whole, in the field ``folioscope``.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, StreamingResponse

from api import problems, query_image, sse
from api.schemas.answers import answer_out
from api.schemas.common import view_url
from api.security import Access, Reader
from folioscope.domain import Answer, Citation, Segment, Turn
from folioscope.errors import CollectionNotFound, QueryError
from folioscope.ports import Searcher
from generation import stream
from generation.conversation import MOST_TURNS
from ingest.database import new_id

router = APIRouter(tags=["openai"])
PATH = "/v1/chat/completions"
MODEL = "docs"
NOTHING = "The pages that were found don't say."
TAKEN_BACK = "None of this stands on the pages that were found."
DECLINED = "The model declined to answer."
LINK = re.compile(r" \[\d++\]\((?:(?!/d/)[^\s()])*+/d/[^\s()]*+\)")
"""One of ours in an earlier answer. It never goes back, so that no text keeps it busy."""

BREAK = re.compile(r"(?<=\])(?=[(\[:])|(?<=<)(?=[a-z/!?])", re.IGNORECASE)
"""Where markdown would make a link, an image or HTML of what a page or a model says."""


class ImageUrl(BaseModel):
    """An image's address; only ``data:`` is understood."""

    url: str


class Part(BaseModel):
    """A piece of a message: ``text``, or ``image_url``."""

    type: str
    text: str = ""
    image_url: ImageUrl | None = None


class Message(BaseModel):
    """One turn; messages of the system and of tools are passed over."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | Annotated[list[Part], Field(max_length=20)] | None = None

    def text(self) -> str:
        """Its words."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""

    def image(self) -> str | None:
        """The ``data:`` URL of its image. Raises `QueryError` for more than one, and for what is neither."""
        others = [part for part in self.content if part.type != "text"] if isinstance(self.content, list) else []
        if any(part.type != "image_url" or part.image_url is None for part in others):
            raise QueryError("A message has a part that is neither text nor an image.")
        if len(others) > 1:
            raise QueryError(f"A question can be asked with one image, not with {len(others)}.")
        return others[0].image_url.url if others and others[0].image_url else None


class StreamOptions(BaseModel):
    """``include_usage``: a last chunk of a stream that tells it."""

    include_usage: bool = False


class Completion(BaseModel):
    """What else OpenAI's clients send is accepted and has no effect."""

    model_config = ConfigDict(extra="ignore")
    model: str = Field(min_length=1, max_length=80)
    messages: list[Message] = Field(min_length=1, max_length=1000)
    stream: bool = False
    stream_options: StreamOptions | None = None


class Told:
    """An answer as markdown while it comes: its pieces, where their citations stand, at last the whole of it.

    ``base``: what links begin with.
    """

    def __init__(self, base: str) -> None:
        self._base = base.rstrip("/")
        self._links: dict[int, Citation] = {}
        self._length = 0
        self._last = ""
        self.annotations: list[dict[str, Any]] = []
        self.answer: Answer | None = None

    def piece(self, event: object) -> str:
        """The text that an event of `generation.stream` adds."""
        if isinstance(event, Segment):
            return "".join(map(self._mark, event.citations))
        text = ""
        if isinstance(event, str):
            text = self._plain(event)
        elif isinstance(event, Citation):
            self._links[event.index] = event
        elif isinstance(event, Answer):
            self.answer = event
            text = self._end(event)
        self._length += len(text)
        return text

    def _plain(self, text: str) -> str:
        """A space where the text would become a link that is none of ours, an image from elsewhere or HTML: whoever
        shows an answer as markdown must not be made to call a stranger's address.
        """
        broken = BREAK.sub(" ", self._last + text)[len(self._last) :]
        self._last = text[-1:] or self._last
        return broken

    def _mark(self, number: int) -> str:
        cited = self._links[number]
        url = f"{self._base}{view_url(cited)}"
        mark = f" [{number}]({url})"
        title = f"{cited.document.filename}, page {cited.page}"
        where = {"start_index": self._length + 1, "end_index": self._length + len(mark), "url": url, "title": title}
        self.annotations.append({"type": "url_citation", "url_citation": where})
        self._length += len(mark)
        return mark

    def _end(self, answer: Answer) -> str:
        if answer.status == "not_found":
            return f"\n\n{TAKEN_BACK}" if self._length else NOTHING
        return DECLINED if answer.status == "blocked" and not self._length else ""

    @property
    def finish(self) -> str:
        """Why it ended, in OpenAI's words."""
        assert self.answer is not None
        if self.answer.status == "blocked":
            return "content_filter"
        return "length" if self.answer.cut else "stop"

    @property
    def usage(self) -> dict[str, int]:
        """Tokens, in OpenAI's words; none for a model that counts none."""
        assert self.answer is not None
        read, written = (self.answer.usage.get(name, 0) for name in ("input_tokens", "output_tokens"))
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}

    def whole(self, answer_id: str) -> dict[str, Any]:
        """The extension field."""
        assert self.answer is not None
        return answer_out(self.answer, answer_id).model_dump(mode="json")


@router.post(PATH, response_model=None, responses={200: {"content": {"text/event-stream": {}}}})
async def complete(body: Completion, request: Request, access: Reader) -> JSONResponse | StreamingResponse:
    """Streamed or whole. The last message is the question, with an image or without; those before it are the
    conversation, of which the words count.
    """
    answer_id = new_id("ans")
    told = Told(access.library.settings.public_url or str(request.base_url))
    searcher = await run_in_threadpool(_searcher, access, body)
    pieces = _pieces(access, searcher, body.messages, told)
    head: dict[str, Any] = {"id": f"chatcmpl-{answer_id}", "created": int(time.time()), "model": body.model}
    if body.stream:
        usage = body.stream_options is not None and body.stream_options.include_usage
        lines = _lines(pieces, head, told, answer_id, request.state.request_id, usage)
        return sse.streamed(lines)
    text = "".join([piece async for piece in pieces])
    message = {"role": "assistant", "content": text, "refusal": None, "annotations": told.annotations}
    choice = {"index": 0, "message": message, "finish_reason": told.finish, "logprobs": None}
    rest = {"usage": told.usage, "folioscope": told.whole(answer_id)}
    return JSONResponse({**head, "object": "chat.completion", "choices": [choice], **rest})


def _searcher(access: Access, body: Completion) -> Searcher:
    """Of the collection that is meant, beside the image of the last message."""
    kind, slash, name = body.model.partition("/")
    if kind != MODEL or (slash and not name):
        raise CollectionNotFound(f"There is no model {body.model!r}; the models are docs and docs/<collection>.")
    retriever = access.library.retriever(access.collection(name or None).name)
    last = body.messages[-1]
    if last.role != "user":
        raise QueryError("The last message is not the user's.")
    url = last.image()
    return retriever if url is None else query_image.Beside(retriever, query_image.decoded(access.library, url))


async def _pieces(access: Access, searcher: Searcher, messages: Sequence[Message], told: Told) -> AsyncGenerator[str]:
    *before, last = messages
    said = [(each.role, each.text()) for each in before if each.role in ("user", "assistant")][-MOST_TURNS:]
    # Our own links say nothing to the model.
    history = [Turn(role, LINK.sub("", text)) for role, text in said if text.strip()]
    model = await run_in_threadpool(access.service.model)
    k = access.library.settings.top_k
    async for event in stream(last.text(), searcher, model, k=k, images=access.library, history=history):
        if text := told.piece(event):
            yield text


async def _lines(
    pieces: AsyncGenerator[str], head: dict[str, Any], told: Told, answer_id: str, request_id: str, usage: bool
) -> AsyncGenerator[bytes]:
    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        nothing = {"usage": None} if usage else {}
        return _line({**head, "object": "chat.completion.chunk", "choices": [choice], **nothing, **more})

    yield chunk({"role": "assistant", "content": ""})
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                yield chunk({"content": piece})
    except Exception as error:  # noqa: BLE001  logged and told
        yield _line(problems.openai(sse.failure(error, PATH, request_id)))
        return
    yield chunk({"annotations": told.annotations}, told.finish, folioscope=told.whole(answer_id))
    if usage:
        yield _line({**head, "object": "chat.completion.chunk", "choices": [], "usage": told.usage})
    yield b"data: [DONE]\n\n"


def _line(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()
