"""Gemini's generateContent and streamGenerateContent as of google-genai 3.4: https://ai.google.dev/api/generate-content."""

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
    known_fields,
    need,
    picture,
)

MAX_REQUEST = 20 << 20  # bytes, with inline data
MAX_PICTURES = 3000

UNKNOWN = "Invalid JSON payload received. Unknown name: "
ERRORS: dict[Trouble, tuple[int, str, str]] = {
    "invalid": (400, "INVALID_ARGUMENT", "{}"),
    "auth": (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    "forbidden": (403, "PERMISSION_DENIED", "Your project has been denied access."),
    "no_credit": (429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted. Please go to AI Studio to manage "
                  "your project and billing."),
    "unknown_model": (404, "NOT_FOUND", "models/{} is not found for API version v1beta."),
    "no_vision": (400, "INVALID_ARGUMENT", "Image input modality is not enabled for models/{}"),
    "too_large": (413, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes."),
    "prompt_too_long": (400, "INVALID_ARGUMENT", "The input token count exceeds the maximum number of tokens "
                        "allowed: {}"),
    "rate_limit": (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing."),
    "overloaded": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "server_error": (500, "INTERNAL", "An internal error has occurred."),
}  # fmt: skip
STOP = {"stop": "STOP", "length": "MAX_TOKENS", "refusal": "SAFETY"}


def read(path: str, headers: Mapping[str, str], raw: bytes, key: str) -> Asked:
    """The request, checked; `Bad` as the vendor would refuse it."""
    version, _, rest = path.removeprefix("/").partition("/models/")
    name, _, query = rest.partition("?")
    model, _, method = name.rpartition(":")
    need(version in ("v1", "v1beta") and method == "streamGenerateContent", f"no such path: {path}")
    need(query == "alt=sse", "this fake streams events only")
    if len(raw) > MAX_REQUEST:
        raise Bad("", "too_large")
    if headers.get("x-goog-api-key") != key:
        raise Bad("", "auth")
    body = known_fields(body_of(raw), ("contents", "systemInstruction", "generationConfig", "safetySettings"), UNKNOWN)
    contents = body.get("contents")
    if not isinstance(contents, list) or not contents:
        raise Bad("contents is not specified")
    turns = [_content(content) for content in contents]
    need(turns[-1][0] == "user", "the last content should be the user's")
    parts = turns[-1][1]
    need(sum(isinstance(part, Sent) for part in parts) <= MAX_PICTURES, f"more than {MAX_PICTURES} images")
    history = [
        ("assistant" if role == "model" else role, "".join(part for part in parts if isinstance(part, str)))
        for role, parts in turns[:-1]
    ]
    system = _content(body["systemInstruction"])[1] if "systemInstruction" in body else []
    known = ("maxOutputTokens", "responseMimeType", "responseJsonSchema", "thinkingConfig", "mediaResolution")
    config = known_fields(body.get("generationConfig", {}), known, UNKNOWN)
    limit = config.get("maxOutputTokens")
    if not isinstance(limit, int) or not 0 < limit <= 65_536:
        raise Bad(f"max_output_tokens is out of range: {limit}")
    schema = config.get("responseJsonSchema")
    if schema is not None:
        need(isinstance(schema, dict), "response_json_schema should be an object")
        need(config.get("responseMimeType") == "application/json", "response_json_schema needs application/json")
    check_model(model, parts)
    words = "".join(part for part in system if isinstance(part, str))
    return check_size(Asked("gemini", model, words, parts, history, schema, limit, body, headers))


def _content(content: object) -> tuple[str, list[str | Sent]]:
    fields = known_fields(content, ("role", "parts"), UNKNOWN)
    role, parts = fields.get("role", "user"), fields.get("parts")
    need(role in ("user", "model"), "Please use a valid role: user, model.")
    if not isinstance(parts, list) or not parts:
        raise Bad("contents.parts must not be empty.")
    return role, [_part(part) for part in parts]


def _part(part: object) -> str | Sent:
    fields = known_fields(part, ("text", "inlineData"), UNKNOWN)
    need(len(fields) == 1, "a part has exactly one of text and inline_data")
    if "text" in fields:
        need(isinstance(fields["text"], str) and fields["text"], "Unable to submit an empty text parameter")
        return str(fields["text"])
    # Protocol buffers take a field's name in either spelling; the SDK sends this one as it is in the schema.
    inline = known_fields(fields["inlineData"], ("mimeType", "mime_type", "data"), UNKNOWN)
    kind = inline.get("mimeType", inline.get("mime_type"))
    need(isinstance(kind, str), "mime_type is required")
    return picture(inline.get("data"), kind, "inline_data", max_bytes=MAX_REQUEST, max_edge=30_000)


def refusal(trouble: Trouble, message: str, retry_after: float | None) -> tuple[int, Any, dict[str, str]]:
    """Status, body and headers of an error; the time to wait stands in the body."""
    status, name, text = ERRORS[trouble]
    details: list[dict[str, Any]] = []
    if trouble == "auth":
        details.append({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"})
    if retry_after is not None:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{retry_after:g}s"})
    error = {"code": status, "message": text.format(message or "as told"), "status": name, "details": details}
    return status, {"error": error}, {}


def start(asked: Asked, *, thinks: bool) -> Iterator[bytes]:
    """What comes before the text."""
    if thinks:
        yield _chunk(asked, [{"text": "Which page?", "thought": True}])


def piece(asked: Asked, text: str) -> bytes:
    """A piece of the text."""
    return _chunk(asked, [{"text": text}])


def end(asked: Asked, finish: str, output_tokens: int) -> Iterator[bytes]:
    """What comes after the text."""
    usage = {"candidatesTokenCount": output_tokens, "totalTokenCount": asked.tokens + output_tokens}
    yield _chunk(asked, [] if finish == "refusal" else [{"text": ""}], STOP[finish], usage)


def error_event(asked: Asked) -> bytes:
    """The vendor gives up in the middle."""
    return _data({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}})


def garbage(asked: Asked) -> bytes:
    """An event that is not JSON."""
    return b'data: {"candidates": [{"content": {"parts": [{"text\n\n'


def _chunk(
    asked: Asked, parts: list[dict[str, Any]], finish: str | None = None, usage: Mapping[str, int] | None = None
) -> bytes:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if not parts:
        candidate = {"index": 0}
    if finish:
        candidate["finishReason"] = finish
    counts = {"promptTokenCount": asked.tokens, **(usage or {})}
    return _data({"candidates": [candidate], "usageMetadata": counts, "modelVersion": asked.model, "responseId": "r"})


def _data(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value)}\r\n\r\n".encode()
