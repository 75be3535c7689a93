"""Ollama's /api/chat and /api/show, as its docs/api.md and server have them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.asked import (
    MODELS,
    TEXT_ONLY,
    Asked,
    Bad,
    Sent,
    Trouble,
    body_of,
    check_model,
    check_size,
    known_fields,
    need,
    picture,
)

DEFAULT_CONTEXT = 4096  # tokens, where a request does not say
LARGEST_CONTEXT = 131_072

FIELDS = ["model", "messages", "stream", "format", "options", "keep_alive", "think", "truncate", "shift"]
ERRORS: dict[Trouble, tuple[int, str]] = {
    "invalid": (400, "{}"),
    "auth": (401, "unauthorized"),
    "forbidden": (403, "this model requires a subscription"),
    "no_credit": (402, "you have reached your usage limit, upgrade for more: billing"),
    "unknown_model": (404, "model '{}' not found"),
    "no_vision": (400, "{} does not support image input"),
    "too_large": (413, "http: request body too large"),
    "prompt_too_long": (400, "the input length exceeds the context length"),
    "rate_limit": (429, "too many requests"),
    "overloaded": (503, "server busy, please try again.  maximum pending requests exceeded"),
    "server_error": (500, "llama runner process has terminated: exit status 2"),
}
STOP = {"stop": "stop", "length": "length", "refusal": "stop"}


def read(path: str, headers: Mapping[str, str], raw: bytes, key: str) -> Asked | bytes:
    """The request, checked; `Bad` as the server would refuse it; for /api/show the answer itself."""
    body = body_of(raw)
    if path == "/api/show":
        return _show(body)
    need(path == "/api/chat", f"no such path: {path}")
    known_fields(body, FIELDS, "unknown field: ")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Bad("messages: missing")
    turns = [_message(message) for message in messages]
    system = "".join(str(part) for role, parts in turns if role == "system" for part in parts)
    talk = [turn for turn in turns if turn[0] != "system"]
    need(talk and talk[-1][0] == "user", "the last message should be the user's")
    parts = talk[-1][1]
    history = [(role, "".join(part for part in parts if isinstance(part, str))) for role, parts in talk[:-1]]
    options = known_fields(body.get("options", {}), ("num_ctx", "num_predict", "temperature", "seed"), "option ")
    schema = body.get("format")
    need(schema is None or schema == "json" or isinstance(schema, dict), "format: should be json or a schema")
    model = check_model(body.get("model"), parts)
    context = options.get("num_ctx", DEFAULT_CONTEXT)
    need(0 < context <= LARGEST_CONTEXT, f"num_ctx {context}: more than the model's")
    limit = options.get("num_predict", context)
    asked = Asked("ollama", model, system, parts, history, schema, limit, body, headers)
    if body.get("truncate") is False:
        return check_size(asked, context)
    if asked.tokens > context:  # as the real one does: quietly, the beginning goes
        asked.system, asked.parts, asked.history = "", asked.parts[-1:], []
    return asked


def _show(body: dict[str, Any]) -> bytes:
    model = body.get("model")
    if model not in (*MODELS, TEXT_ONLY):
        raise Bad(str(model), "unknown_model")
    capabilities = ["completion"] if model == TEXT_ONLY else ["completion", "vision"]
    return json.dumps({"details": {"family": "fake"}, "model_info": {}, "capabilities": capabilities}).encode()


def _message(message: object) -> tuple[str, list[str | Sent]]:
    fields = known_fields(message, ("role", "content", "images"), "unknown field in message: ")
    need(fields.get("role") in ("system", "user", "assistant"), "role: unknown")
    need(isinstance(fields.get("content"), str), "content: should be text")
    images = fields.get("images", [])
    need(isinstance(images, list), "images: should be a list")
    pictures = [picture(image, None, "images", max_bytes=100 << 20, max_edge=16_000) for image in images]
    return fields["role"], [*pictures, fields["content"]]


def refusal(trouble: Trouble, message: str, retry_after: float | None) -> tuple[int, Any, dict[str, str]]:
    """Status, body and headers of an error."""
    status, text = ERRORS[trouble]
    headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
    return status, {"error": text.format(message or "the model")}, headers


def start(asked: Asked, *, thinks: bool) -> Iterator[bytes]:
    """What comes before the text."""
    if thinks:
        yield _line(asked, {"role": "assistant", "content": "", "thinking": "Which page?"})


def piece(asked: Asked, text: str) -> bytes:
    """A piece of the text."""
    return _line(asked, {"role": "assistant", "content": text})


def end(asked: Asked, finish: str, output_tokens: int) -> Iterator[bytes]:
    """What comes after the text."""
    counts = {"prompt_eval_count": asked.tokens, "eval_count": output_tokens, "total_duration": 1, "eval_duration": 1}
    yield _line(asked, {"role": "assistant", "content": ""}, done=True, done_reason=STOP[finish], **counts)


def error_event(asked: Asked) -> bytes:
    """The server gives up in the middle."""
    return json.dumps({"error": "an error was encountered while running the model"}).encode() + b"\n"


def garbage(asked: Asked) -> bytes:
    """A line that is not JSON."""
    return b'{"model": "fake", "message": {"conte\n'


def _line(asked: Asked, message: dict[str, Any], *, done: bool = False, **more: Any) -> bytes:
    value = {"model": asked.model, "created_at": "2026-11-01T00:00:00Z", "message": message, "done": done, **more}
    return json.dumps(value).encode() + b"\n"
