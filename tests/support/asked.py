"""What the fake vendors share: a request as understood, what may be wrong with it, how its pictures are checked."""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from PIL import Image

Vendor = Literal["anthropic", "openai", "gemini", "ollama", "compatible"]

Trouble = Literal[
    "invalid",  # 400: the request breaks the published shape
    "auth",  # a key that is not accepted
    "forbidden",  # a key that may not use the model
    "no_credit",  # the account is used up
    "unknown_model",
    "no_vision",  # a model that takes no pictures
    "too_large",  # 413: too many bytes
    "prompt_too_long",  # too many tokens
    "rate_limit",  # 429, with a time to wait
    "overloaded",  # 529 or 503
    "server_error",  # 500
    "not_json",  # status 200 and a web page
    "cut",  # the connection breaks before an answer
]

MODELS = ("claude-sonnet-5-5", "gpt-6.1-terra", "gemini-3.8-flash", "qwen3-vl:8b", "vision-1")
TEXT_ONLY = "text-only"
CONTEXT_TOKENS = 200_000
PICTURE_TOKENS = 768
"""Of the fake models; a picture counts for so many tokens, other text for one token in four characters."""


class Bad(Exception):
    """A request that the vendor would refuse."""

    def __init__(self, message: str, trouble: Trouble = "invalid") -> None:
        super().__init__(message)
        self.trouble = trouble


@dataclass(slots=True)
class Sent:
    """A picture of a request, decoded."""

    data: bytes
    media_type: str
    width: int
    height: int


@dataclass(slots=True)
class Asked:
    """A request as understood. ``parts``: the last user message in order. ``number`` counts the requests from 1."""

    vendor: Vendor
    model: str
    system: str
    parts: list[str | Sent]
    history: list[tuple[str, str]]
    schema: dict[str, Any] | None
    max_tokens: int
    body: dict[str, Any] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    number: int = 0

    @property
    def pictures(self) -> list[Sent]:
        """The pictures in order."""
        return [part for part in self.parts if isinstance(part, Sent)]

    @property
    def texts(self) -> list[str]:
        """The texts in order."""
        return [part for part in self.parts if isinstance(part, str)]

    @property
    def text(self) -> str:
        """All texts, a line feed between them."""
        return "\n".join(self.texts)

    @property
    def tokens(self) -> int:
        """What the fake models count for it."""
        words = self.system + self.text + "".join(text for _, text in self.history)
        return len(words) // 4 + PICTURE_TOKENS * len(self.pictures)


def body_of(raw: bytes) -> dict[str, Any]:
    """The JSON object of a request."""
    try:
        body = json.loads(raw)
    except ValueError:
        raise Bad("the body is not JSON") from None
    need(isinstance(body, dict), "the body is no object")
    return dict(body)


def need(condition: object, message: str) -> None:
    """Raises `Bad` with the message unless the condition holds."""
    if not condition:
        raise Bad(message)


def known_fields(value: object, known: Collection[str], where: str) -> dict[str, Any]:
    """``value`` as an object without fields that the vendor does not know."""
    if not isinstance(value, dict):
        raise Bad(f"{where}: should be an object")
    for name in value:
        need(name in known, f"{where}{name}: Extra inputs are not permitted")
    return value


def check_model(model: object, parts: list[str | Sent]) -> str:
    """The model's name; a text-only one is not sent pictures."""
    if not isinstance(model, str) or not model:
        raise Bad("model: Field required")
    if model == TEXT_ONLY:
        if any(isinstance(part, Sent) for part in parts):
            raise Bad(model, "no_vision")
    elif model not in MODELS:
        raise Bad(model, "unknown_model")
    return model


def check_size(asked: Asked, context: int = CONTEXT_TOKENS) -> Asked:
    """The request, if it fits the model."""
    if asked.tokens > context:
        raise Bad(f"{asked.tokens} tokens > {context} maximum", "prompt_too_long")
    return asked


def picture(encoded: object, media_type: str | None, where: str, *, max_bytes: int, max_edge: int) -> Sent:
    """A base64 picture, decoded and really opened; ``media_type``: what the request says it is, None: nothing.

    ``max_bytes``: of the base64 text.
    """
    if not isinstance(encoded, str):
        raise Bad(f"{where}: should be base64 text")
    need(len(encoded) <= max_bytes, f"{where}: image exceeds {max_bytes} bytes: {len(encoded)} bytes")
    try:
        data = base64.b64decode(encoded.replace("-", "+").replace("_", "/"), validate=True)
        image = Image.open(io.BytesIO(data))
        image.load()
    except (binascii.Error, OSError):
        raise Bad(f"{where}: Could not process image") from None
    found = Image.MIME[image.format or ""]
    need(media_type in (None, found), f"{where}: the image is {found}, not {media_type}")
    need(found in ("image/jpeg", "image/png", "image/webp", "image/gif"), f"{where}: {found} is not supported")
    need(max(image.size) <= max_edge, f"{where}: image dimensions exceed max allowed size: {max_edge} pixels")
    return Sent(data, found, *image.size)


def closed_objects(schema: object, where: str, *, all_required: bool) -> None:
    """Every object of a JSON schema forbids other fields, and (``all_required``) requires all of its own."""
    if isinstance(schema, list):
        for part in schema:
            closed_objects(part, where, all_required=all_required)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object":
        need(schema.get("additionalProperties") is False, f"{where}: 'additionalProperties' must be false")
        if all_required:
            missing = set(schema.get("properties", {})) - set(schema.get("required", []))
            need(not missing, f"{where}: 'required' must include every key in properties; missing {sorted(missing)}")
    for part in schema.values():
        closed_objects(part, where, all_required=all_required)
