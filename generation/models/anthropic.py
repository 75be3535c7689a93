"""Anthropic's models through the official SDK: ``anthropic:<model id>``, key in ANTHROPIC_API_KEY.

Structured output is ``output_config.format``; https://platform.claude.com/docs/en/build-with-claude/structured-outputs.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from functools import cached_property
from typing import Any, Literal

from pydantic import SecretStr

from folioscope.domain import Finish, Picture, PictureLimits, Prompt
from folioscope.settings import Settings
from generation.models.calling import (
    THINKING_TOKENS,
    TIMEOUT,
    Failure,
    Patience,
    Server,
    connection,
    imported,
    key_in,
    reply,
    retry_after,
)

LIMITS = PictureLimits(long_edge=1568, max_bytes=1_100_000, max_pictures=20)
"""Larger pictures are scaled down to this edge by most models. A request has 32 MB at most, 20 such pictures in base64
are 29; one picture may have 5 MB of base64, with up to 20 pictures. platform.claude.com/docs, "Vision"."""

REASONS: dict[str, Literal["stop", "length", "refusal"]] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}
STATUS_OF_EVENT = {
    "overloaded_error": 529,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "authentication_error": 401,
    "permission_error": 403,
    "billing_error": 402,
    "not_found_error": 404,
    "invalid_request_error": 400,
}
"""An error in the middle of a stream comes with status 200 and its type."""


class Anthropic:
    """Implements `folioscope.ports.VisionModel`."""

    def __init__(self, model: str, settings: Settings) -> None:
        self.name = f"anthropic:{model}"
        self.limits = LIMITS
        self.structured = True
        self._model = model
        self._url = settings.anthropic_url or None
        self._patience = Patience.of(settings)

    @cached_property
    def _key(self) -> SecretStr:
        return key_in("ANTHROPIC_API_KEY", extra="anthropic")

    @cached_property
    def _sdk(self) -> Any:
        return imported("anthropic", "anthropic")

    def check(self) -> None:
        """Raises `ModelUnavailable` without the package or a key."""
        _ = self._key, self._sdk

    def generate(self, prompt: Prompt) -> AsyncIterator[str | Finish]:
        """See the port."""
        return reply(lambda: self._ask(prompt), Server(self.name, "ANTHROPIC_API_KEY"), self._patience)

    async def _ask(self, prompt: Prompt) -> AsyncGenerator[str | Finish]:
        request = self._request(prompt)
        usage: dict[str, int] = {}
        reason = None
        async with connection() as http:
            client = self._sdk.AsyncAnthropic(
                api_key=self._key.get_secret_value(),
                base_url=self._url,
                http_client=http,
                max_retries=0,
                timeout=TIMEOUT,
            )
            try:
                async for event in await client.messages.create(**request, stream=True):
                    if event.type == "message_start":
                        usage |= _counts(event.message.usage)
                    elif event.type == "message_delta":
                        usage |= _counts(event.usage)
                        reason = event.delta.stop_reason
                    elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                        yield event.delta.text
                    else:
                        yield ""
            except self._sdk.APIStatusError as error:
                raise _failure(error) from error
            except self._sdk.APIConnectionError as error:
                raise Failure(str(error.__cause__ or error)) from error
        if reason:
            yield Finish(REASONS.get(reason, "stop"), usage)

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        history = [{"role": turn.role, "content": turn.text} for turn in prompt.history]
        request: dict[str, Any] = {
            "model": self._model,
            "max_tokens": prompt.max_tokens + THINKING_TOKENS,
            "messages": [*history, {"role": "user", "content": list(_blocks(prompt))}],
        }
        if prompt.system:
            request["system"] = prompt.system
        if prompt.schema is not None:
            schema = self._sdk.transform_schema(dict(prompt.schema))  # what it can't enforce becomes description
            request["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        return request


def _blocks(prompt: Prompt) -> Iterator[dict[str, Any]]:
    for part in prompt.parts:
        if isinstance(part, Picture):
            data = base64.b64encode(part.data).decode("ascii")
            yield {"type": "image", "source": {"type": "base64", "media_type": part.media_type, "data": data}}
        elif part.strip():  # an empty block is refused
            yield {"type": "text", "text": part}


def _counts(usage: Any) -> dict[str, int]:
    names = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return {name: count for name in names if isinstance(count := getattr(usage, name, None), int)}


def _failure(error: Any) -> Failure:
    body = error.body if isinstance(error.body, dict) else {}
    told = body["error"] if isinstance(body.get("error"), dict) else {}
    status = error.status_code
    if status == 200:
        status = STATUS_OF_EVENT.get(told.get("type", ""), 500)
    return Failure(str(told.get("message") or error), status, retry_after(error.response.headers))
