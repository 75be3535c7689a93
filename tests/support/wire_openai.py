"""OpenAI's chat completions as of openai 3.54, and servers behind the same format (vLLM, LM Studio):
https://developers.openai.com/api/reference/resources/chat.

The compatible server wants no key and refuses ``response_format``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.asked import (
    Asked,
    Bad,
    Sent,
    Trouble,
    Vendor,
    body_of,
    check_model,
    check_size,
    closed_objects,
    known_fields,
    need,
    picture,
)

MAX_REQUEST = 50 << 20  # bytes
MAX_PICTURES = 500

FIELDS = [
    "model", "messages", "stream", "stream_options", "max_completion_tokens", "response_format",
    "reasoning_effort", "store"
]  # fmt: skip
ERRORS: dict[Trouble, tuple[int, str, str | None, str]] = {
    "invalid": (400, "invalid_request_error", None, "{}"),
    "auth": (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: sk-f****cdef."),
    "forbidden": (403, "invalid_request_error", None, "Project does not have access to model."),
    "no_credit": (429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota, please check "
                  "your plan and billing details."),
    "unknown_model": (404, "invalid_request_error", "model_not_found", "The model `{}` does not exist."),
    "no_vision": (400, "invalid_request_error", None, "Invalid content type. image_url is only supported by certain "
                  "models."),
    "too_large": (413, "invalid_request_error", None, "Request too large"),
    "prompt_too_long": (400, "invalid_request_error", "context_length_exceeded", "This model's maximum context length "
                        "is exceeded: {}"),
    "rate_limit": (429, "requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    "overloaded": (503, "server_error", None, "The engine is currently overloaded, please try again later."),
    "server_error": (500, "server_error", None, "The server had an error while processing your request."),
}  # fmt: skip
STOP = {"stop": "stop", "length": "length", "refusal": "content_filter"}


def read(vendor: Vendor, path: str, headers: Mapping[str, str], raw: bytes, key: str) -> Asked:
    """The request, checked; `Bad` as the vendor would refuse it."""
    official = vendor == "openai"
    need(path == "/chat/completions", f"no such path: {path}")
    if len(raw) > MAX_REQUEST:
        raise Bad("", "too_large")
    if official and headers.get("authorization") != f"Bearer {key}":
        raise Bad("", "auth")
    body = known_fields(body_of(raw), FIELDS, "Unrecognized request argument supplied: ")
    need(body.get("stream") is True, "this fake only streams")
    need(body.get("stream_options") == {"include_usage": True}, "this fake counts tokens: ask for include_usage")
    limit = body.get("max_completion_tokens")
    if not isinstance(limit, int) or not 0 < limit <= 128_000:
        raise Bad(f"max_completion_tokens is out of range: {limit}")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Bad("messages: should be a list with at least one message")
    turns = [_message(message, f"messages.[{n}].") for n, message in enumerate(messages)]
    system = "".join(str(part) for role, parts in turns if role == "system" for part in parts)
    talk = [turn for turn in turns if turn[0] != "system"]
    need(talk and talk[-1][0] == "user", "the last message should be the user's")
    parts = talk[-1][1]
    need(sum(isinstance(part, Sent) for part in parts) <= MAX_PICTURES, f"more than {MAX_PICTURES} images")
    history = [(role, "".join(part for part in parts if isinstance(part, str))) for role, parts in talk[:-1]]
    model = check_model(body.get("model"), parts)
    return check_size(
        Asked(vendor, model, system, parts, history, _schema(body, official=official), limit, body, headers)
    )


def _message(message: object, where: str) -> tuple[str, list[str | Sent]]:
    fields = known_fields(message, ("role", "content"), where)
    role, content = fields.get("role"), fields.get("content")
    need(role in ("system", "user", "assistant"), f"{where}role: this fake knows system, user and assistant")
    if isinstance(content, str):
        return str(role), [content]
    if not isinstance(content, list) or not content:
        raise Bad(f"{where}content: should be text or a list of parts")
    return str(role), [_part(part, str(role), f"{where}content.[{n}].") for n, part in enumerate(content)]


def _part(part: object, role: str, where: str) -> str | Sent:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text":
        text = known_fields(part, ("type", "text"), where).get("text")
        if not isinstance(text, str) or not text:
            raise Bad(f"{where}text: should be text")
        return text
    need(kind == "image_url", f"{where}type: this fake knows text and image_url")
    need(role == "user", f"{where}: images are only allowed in messages of the user")
    image = known_fields(known_fields(part, ("type", "image_url"), where).get("image_url"), ("url", "detail"), where)
    need(image.get("detail", "auto") in ("auto", "low", "high", "original"), f"{where}detail: unknown")
    head, _, encoded = str(image.get("url")).partition(";base64,")
    need(head.startswith("data:image/") and encoded, f"{where}url: should be a data URL")
    return picture(encoded, head.removeprefix("data:"), where, max_bytes=20 << 20, max_edge=16_000)


def _schema(body: dict[str, Any], *, official: bool) -> dict[str, Any] | None:
    if "response_format" not in body:
        return None
    need(official, "response_format is not supported by this server")
    wanted = known_fields(body["response_format"], ("type", "json_schema"), "response_format.")
    need(wanted.get("type") == "json_schema", "response_format.type: this fake knows json_schema")
    where = "response_format.json_schema."
    named = known_fields(wanted.get("json_schema"), ("name", "schema", "strict", "description"), where)
    name, schema = named.get("name"), named.get("schema")
    need(isinstance(name, str) and name.replace("_", "").replace("-", "").isalnum(), f"{where}name: missing")
    if not isinstance(schema, dict):
        raise Bad(f"{where}schema: missing")
    if named.get("strict"):
        closed_objects(schema, f"Invalid schema for response_format '{name}'", all_required=True)
    return schema


def refusal(trouble: Trouble, message: str, retry_after: float | None) -> tuple[int, Any, dict[str, str]]:
    """Status, body and headers of an error."""
    status, kind, code, text = ERRORS[trouble]
    headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
    error = {"message": text.format(message or "as told"), "type": kind, "param": None, "code": code}
    return status, {"error": error}, headers


def start(asked: Asked, *, thinks: bool) -> Iterator[bytes]:
    """What comes before the text; a model that thinks says nothing meanwhile."""
    yield _chunk(asked, {"role": "assistant", "content": ""})


def piece(asked: Asked, text: str) -> bytes:
    """A piece of the text."""
    return _chunk(asked, {"content": text})


def end(asked: Asked, finish: str, output_tokens: int) -> Iterator[bytes]:
    """What comes after the text."""
    if finish == "refusal":
        yield _chunk(asked, {"refusal": "I can't help with that."})
    yield _chunk(asked, {}, STOP[finish])
    usage = {"prompt_tokens": asked.tokens, "completion_tokens": output_tokens}
    total = {**usage, "total_tokens": sum(usage.values())}
    yield _data({**_frame(asked), "choices": [], "usage": total})
    yield b"data: [DONE]\n\n"


def error_event(asked: Asked) -> bytes:
    """The vendor gives up in the middle."""
    return _data({"error": {"message": "The server had an error.", "type": "server_error", "code": None}})


def garbage(asked: Asked) -> bytes:
    """An event that is not JSON."""
    return b'data: {"id": "chatcmpl-fake", "choices": [{"delta\n\n'


def _chunk(asked: Asked, delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _data({**_frame(asked), "choices": [choice], "usage": None})


def _frame(asked: Asked) -> dict[str, Any]:
    return {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": asked.model}


def _data(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()
