"""Google's Gemini models through the official SDK: ``gemini:<model id>``, key in GEMINI_API_KEY or GOOGLE_API_KEY.

Structured output is ``response_json_schema``; https://ai.google.dev/gemini-api/docs/structured-output.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from functools import cached_property
from typing import Any, Literal

import httpx2
from pydantic import SecretStr

from folioscope.domain import Finish, Picture, PictureLimits, Prompt
from folioscope.settings import Settings
from generation.models.calling import (
    NONSENSE,
    THINKING_TOKENS,
    Failure,
    Patience,
    Server,
    connection,
    imported,
    key_in,
    reply,
    retry_after,
    ssl_context,
)

LIMITS = PictureLimits(long_edge=2048, max_bytes=700_000, max_pictures=20)
"""A request with inline pictures has 20 MB at most, 20 such pictures in base64 are 19.
ai.google.dev/gemini-api/docs/image-understanding."""

REASONS: dict[str, Literal["stop", "length", "refusal"]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "refusal",
    "RECITATION": "refusal",
    "LANGUAGE": "refusal",
    "BLOCKLIST": "refusal",
    "PROHIBITED_CONTENT": "refusal",
    "SPII": "refusal",
    "ESCALATION": "refusal",
    "MODEL_ARMOR": "refusal",
}
_DELAY = re.compile(r"'retryDelay': '([\d.]+)s'")


class Gemini:
    """Implements `folioscope.ports.VisionModel`."""

    def __init__(self, model: str, settings: Settings) -> None:
        self.name = f"gemini:{model}"
        self.limits = LIMITS
        self.structured = True
        self._model = model
        self._url = settings.gemini_url or None
        self._patience = Patience.of(settings)

    @cached_property
    def _key(self) -> SecretStr:
        return key_in("GEMINI_API_KEY", "GOOGLE_API_KEY", extra="gemini")

    @cached_property
    def _sdk(self) -> Any:
        return imported("google.genai", "gemini")

    def check(self) -> None:
        """Raises `ModelUnavailable` without the package or a key."""
        _ = self._key, self._sdk

    def generate(self, prompt: Prompt) -> AsyncIterator[str | Finish]:
        """See the port."""
        return reply(lambda: self._ask(prompt), Server(self.name, "GEMINI_API_KEY"), self._patience)

    async def _ask(self, prompt: Prompt) -> AsyncGenerator[str | Finish]:
        request = {"model": self._model, "contents": self._contents(prompt), "config": self._config(prompt)}
        usage: dict[str, int] = {}
        reason = None
        async with connection() as http:
            with self._client(http) as client:
                try:
                    async for chunk in await client.aio.models.generate_content_stream(**request):
                        usage |= _counts(chunk.usage_metadata)
                        reason = _reason(chunk) or reason
                        yield _text(chunk)
                except self._sdk.errors.APIError as error:
                    raise _failure(error) from error
        if reason in REASONS:
            yield Finish(REASONS[reason], usage)
        elif reason:
            raise Failure(f"the reply ended with {reason}", NONSENSE)

    def _client(self, http: httpx2.AsyncClient) -> Any:
        """A client that uses ours alone: its own would wait and retry by rules of their own."""
        types = self._sdk.types
        options = types.HttpOptions(
            base_url=self._url,
            httpx_client=httpx2.Client(verify=ssl_context()),
            httpx_async_client=http,
            async_client_args={"ssl": ssl_context()},
        )
        return self._sdk.Client(api_key=self._key.get_secret_value(), vertexai=False, http_options=options)

    def _contents(self, prompt: Prompt) -> list[Any]:
        types = self._sdk.types
        roles = {"user": "user", "assistant": "model"}
        history = [types.Content(role=roles[turn.role], parts=[types.Part(text=turn.text)]) for turn in prompt.history]
        parts = [
            types.Part.from_bytes(data=part.data, mime_type=part.media_type)
            if isinstance(part, Picture)
            else types.Part(text=part)
            for part in prompt.parts
            if part
        ]
        return [*history, types.Content(role="user", parts=parts)]

    def _config(self, prompt: Prompt) -> Any:
        wanted: dict[str, Any] = {"max_output_tokens": prompt.max_tokens + THINKING_TOKENS}
        if prompt.system:
            wanted["system_instruction"] = prompt.system
        if prompt.schema is not None:
            wanted |= {"response_mime_type": "application/json", "response_json_schema": dict(prompt.schema)}
        return self._sdk.types.GenerateContentConfig(**wanted)


def _text(chunk: Any) -> str:
    """The text of a chunk without thoughts; empty where it has none."""
    content = chunk.candidates[0].content if chunk.candidates else None
    parts = (content.parts if content else None) or []
    return "".join(part.text for part in parts if part.text and not part.thought)


def _reason(chunk: Any) -> str | None:
    """Why the reply, or already the prompt, came to its end; None while it goes on."""
    if chunk.prompt_feedback and chunk.prompt_feedback.block_reason:
        return "SAFETY"
    reason = chunk.candidates[0].finish_reason if chunk.candidates else None
    return None if reason is None else str(getattr(reason, "value", reason))


def _counts(usage: Any) -> dict[str, int]:
    if usage is None:
        return {}
    counts = {
        "input_tokens": usage.prompt_token_count,
        "output_tokens": usage.candidates_token_count,
        "cache_read_input_tokens": usage.cached_content_token_count,
        "reasoning_tokens": usage.thoughts_token_count,
    }
    return {name: count for name, count in counts.items() if count is not None}


def _failure(error: Any) -> Failure:
    """Its details, where the time to wait stands, are JSON of varying depth: looked for as text."""
    asked = _DELAY.search(str(error.details))
    wait = float(asked[1]) if asked else retry_after(getattr(error.response, "headers", None) or {})
    reason = " API_KEY_INVALID" if "API_KEY_INVALID" in str(error.details) else ""
    return Failure(f"{error.message}{reason}", int(error.code or 500), wait)
