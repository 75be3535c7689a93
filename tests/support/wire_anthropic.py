"""Anthropic's Messages API as of anthropic 2.12: https://platform.claude.com/docs/en/api/messages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.asked import (
    Asked,
    Bad,
    Sent,
    Trouble,
    body_of,
    check_model,
    check_size,
    closed_objects,
    known_fields,
    need,
    picture,
)

VERSIONS = ("2023-06-01", "2026-10-21")
MAX_REQUEST = 32 << 20  # bytes
MAX_PICTURE = 5 << 20  # bytes of base64
MAX_PICTURES = 100
MAX_EDGE, MAX_EDGE_OF_MANY, MANY = 8000, 2000, 20  # pixels; with more than 20 pictures the lower limit holds

FIELDS = [
    "model", "max_tokens", "messages", "system", "stream", "output_config", "metadata", "stop_sequences",
    "thinking", "tools", "tool_choice", "service_tier", "cache_control"
]  # fmt: skip
ERRORS: dict[Trouble, tuple[int, str, str]] = {
    "invalid": (400, "invalid_request_error", "{}"),
    "auth": (401, "authentication_error", "invalid x-api-key"),
    "forbidden": (403, "permission_error", "Your API key does not have permission to use the specified resource."),
    "no_credit": (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
    "unknown_model": (404, "not_found_error", "model: {}"),
    "no_vision": (400, "invalid_request_error", "messages.0.content.0: this model does not support image input"),
    "too_large": (413, "request_too_large", "Request exceeds the maximum size"),
    "prompt_too_long": (400, "invalid_request_error", "prompt is too long: {}"),
    "rate_limit": (429, "rate_limit_error", "This request would exceed your organization's rate limit."),
    "overloaded": (529, "overloaded_error", "Overloaded"),
    "server_error": (500, "api_error", "Internal server error"),
}
STOP = {"stop": "end_turn", "length": "max_tokens", "refusal": "refusal"}


def read(path: str, headers: Mapping[str, str], raw: bytes, key: str) -> Asked:
    """The request, checked; `Bad` as the vendor would refuse it."""
    need(path.partition("?")[0] == "/v1/messages", f"no such path: {path}")
    if len(raw) > MAX_REQUEST:
        raise Bad("", "too_large")
    # The API takes the key in either header; the SDK uses the second.
    if headers.get("x-api-key") != key and headers.get("authorization") != f"Bearer {key}":
        raise Bad("", "auth")
    need(headers.get("anthropic-version") in VERSIONS, "anthropic-version: header is required")
    need(headers.get("content-type") == "application/json", "content-type: must be application/json")
    body = known_fields(body_of(raw), FIELDS, "")
    need(isinstance(body.get("max_tokens"), int) and body["max_tokens"] > 0, "max_tokens: Field required")
    need(body["max_tokens"] <= 64_000, "max_tokens: more than the model writes")
    need(body.get("stream") is True, "this fake only streams")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Bad("messages: at least one message is required")
    count = json.dumps(messages).count('"type": "image"')
    need(count <= MAX_PICTURES, f"messages: too many images: {count} > {MAX_PICTURES}")
    edge = MAX_EDGE_OF_MANY if count > MANY else MAX_EDGE
    turns = [_message(message, f"messages.{n}.", edge) for n, message in enumerate(messages)]
    need(turns[0][0] == "user", "messages: first message must use the user role")
    need(turns[-1][0] == "user", "messages: this model does not support prefill")
    role_parts = turns[-1][1]
    history = [(role, "".join(part for part in parts if isinstance(part, str))) for role, parts in turns[:-1]]
    model = check_model(body.get("model"), role_parts)
    system = body.get("system", "")
    need(isinstance(system, str), "system: this fake knows text only")
    asked = Asked(
        "anthropic", model, system, role_parts, history, _schema(body), body["max_tokens"], body, headers
    )  # fmt: skip
    return check_size(asked)


def _message(message: object, where: str, edge: int) -> tuple[str, list[str | Sent]]:
    fields = known_fields(message, ("role", "content"), where)
    need(fields.get("role") in ("user", "assistant"), f"{where}role: should be 'user' or 'assistant'")
    content = fields.get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(blocks, list) or not blocks:
        raise Bad(f"{where}content: at least one block is required")
    return fields["role"], [_block(block, f"{where}content.{n}.", edge) for n, block in enumerate(blocks)]


def _block(block: object, where: str, edge: int) -> str | Sent:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind == "text":
        fields = known_fields(block, ("type", "text", "cache_control"), where)
        need(isinstance(fields.get("text"), str), f"{where}text: Field required")
        need(fields["text"].strip(), f"{where}text: content blocks must contain non-whitespace text")
        return str(fields["text"])
    need(kind == "image", f"{where}type: this fake knows text and image")
    source = known_fields(known_fields(block, ("type", "source", "cache_control"), where).get("source"),
                          ("type", "media_type", "data"), f"{where}source.")  # fmt: skip
    need(source.get("type") == "base64", f"{where}source.type: should be 'base64'")
    return picture(source.get("data"), source.get("media_type"), where, max_bytes=MAX_PICTURE, max_edge=edge)


def _schema(body: dict[str, Any]) -> dict[str, Any] | None:
    if "output_config" not in body:
        return None
    config = known_fields(body["output_config"], ("format", "effort"), "output_config.")
    wanted = known_fields(config.get("format"), ("type", "schema"), "output_config.format.")
    need(wanted.get("type") == "json_schema", "output_config.format.type: should be 'json_schema'")
    schema = wanted.get("schema")
    if not isinstance(schema, dict):
        raise Bad("output_config.format.schema: Field required")
    closed_objects(schema, "output_config.format.schema", all_required=False)
    return schema


def refusal(trouble: Trouble, message: str, retry_after: float | None) -> tuple[int, Any, dict[str, str]]:
    """Status, body and headers of an error."""
    status, kind, text = ERRORS[trouble]
    headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
    error = {"type": kind, "message": text.format(message or "as told")}
    return status, {"type": "error", "error": error, "request_id": "req_fake"}, headers


def start(asked: Asked, *, thinks: bool) -> Iterator[bytes]:
    """What comes before the text."""
    message = {
        "id": "msg_fake", "type": "message", "role": "assistant", "model": asked.model, "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": asked.tokens, "output_tokens": 1},
    }  # fmt: skip
    yield _event("message_start", message=message)
    yield _event("ping")
    if thinks:
        block = {"type": "thinking", "thinking": "", "signature": ""}
        yield _event("content_block_start", index=0, content_block=block)
        yield _event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "Which page?"})
        yield _event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "c2ln"})
        yield _event("content_block_stop", index=0)
    yield _event("content_block_start", index=int(thinks), content_block={"type": "text", "text": ""})


def piece(asked: Asked, text: str) -> bytes:
    """A piece of the text."""
    return _event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def end(asked: Asked, finish: str, output_tokens: int) -> Iterator[bytes]:
    """What comes after the text."""
    yield _event("content_block_stop", index=0)
    delta = {"stop_reason": STOP[finish], "stop_sequence": None}
    yield _event("message_delta", delta=delta, usage={"output_tokens": output_tokens})
    yield _event("message_stop")


def error_event(asked: Asked) -> bytes:
    """The vendor gives up in the middle."""
    return _event("error", error={"type": "overloaded_error", "message": "Overloaded"})


def garbage(asked: Asked) -> bytes:
    """An event that is not JSON."""
    return b'event: content_block_delta\ndata: {"type": "content_block_delta", "delta\n\n'


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()
