"""OpenAI's models, and any server with its chat format (vLLM, LM Studio, llama.cpp): ``openai:<model id>``.

The key is in OPENAI_API_KEY; a server at another URL (`openai_url`, or OPENAI_BASE_URL) may want none. Structured
output is ``response_format``; a server without it is told of the schema in words (`openai_structured`).
"""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
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
from generation.schemas import in_words

OFFICIAL = "api.openai.com"

LIMITS = PictureLimits(long_edge=2048, max_bytes=1_500_000, max_pictures=20)
"""With detail ``high`` larger pictures are scaled down to this edge. A request has 50 MB at most, 20 such pictures in
base64 are 40. developers.openai.com/api/docs/guides/images-vision."""

REASONS: dict[str, Literal["stop", "length", "refusal"]] = {"length": "length", "content_filter": "refusal"}


class OpenAI:
    """Implements `folioscope.ports.VisionModel`."""

    def __init__(self, model: str, settings: Settings) -> None:
        self.name = f"openai:{model}"
        self.limits = LIMITS
        self.structured = settings.openai_structured
        self._model = model
        self._url = settings.openai_url or os.environ.get("OPENAI_BASE_URL") or f"https://{OFFICIAL}/v1"
        host = self._url.partition("://")[2].partition("/")[0].partition(":")[0]
        self._official = f".{host}".endswith(f".{OFFICIAL}")  # or a region of it
        self._patience = Patience.of(settings)

    @cached_property
    def _key(self) -> SecretStr:
        if self._official:
            return key_in("OPENAI_API_KEY", extra="openai")
        # The SDK insists on a key; a server that wants none looks at none.
        return SecretStr(os.environ.get("OPENAI_API_KEY", "").strip() or "none")

    @cached_property
    def _sdk(self) -> Any:
        return imported("openai", "openai")

    def check(self) -> None:
        """Raises `ModelUnavailable` without the package, or without a key where the server is OpenAI's."""
        _ = self._key, self._sdk

    def generate(self, prompt: Prompt) -> AsyncIterator[str | Finish]:
        """See the port."""
        return reply(lambda: self._ask(prompt), Server(self.name, "OPENAI_API_KEY"), self._patience)

    async def _ask(self, prompt: Prompt) -> AsyncGenerator[str | Finish]:
        request = self._request(prompt)
        usage: dict[str, int] = {}
        reason, refused = None, False
        async with connection() as http:
            client = self._sdk.AsyncOpenAI(
                api_key=self._key.get_secret_value(),
                base_url=self._url,
                http_client=http,
                max_retries=0,
                timeout=TIMEOUT,
            )
            try:
                async for chunk in await client.chat.completions.create(**request, stream=True):
                    usage |= _counts(chunk.usage)
                    for choice in chunk.choices:
                        reason = choice.finish_reason or reason
                        refused = refused or bool(choice.delta.refusal)
                        yield choice.delta.content or ""
            except self._sdk.APIStatusError as error:
                raise Failure(_message(error), error.status_code, retry_after(error.response.headers)) from error
            except self._sdk.APIConnectionError as error:
                raise Failure(str(error.__cause__ or error)) from error
            except self._sdk.APIError as error:  # an error in the middle of a stream
                raise Failure(_message(error), 500) from error
        if reason:
            yield Finish("refusal" if refused else REASONS.get(reason, "stop"), usage)

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        system = prompt.system
        room = THINKING_TOKENS if self._official else 0  # other servers may not have the room, and would refuse
        request: dict[str, Any] = {
            "model": self._model,
            "max_completion_tokens": prompt.max_tokens + room,
            "stream_options": {"include_usage": True},
        }
        if prompt.schema is not None and self.structured:
            schema = dict(prompt.schema)
            named = {"name": "reply", "schema": schema, "strict": enforceable(schema)}
            request["response_format"] = {"type": "json_schema", "json_schema": named}
        elif prompt.schema is not None:
            system = f"{system}\n\n{in_words(prompt.schema)}".strip()
        history = [{"role": turn.role, "content": turn.text} for turn in prompt.history]
        said = [{"role": "system", "content": system}] if system else []
        request["messages"] = [*said, *history, {"role": "user", "content": list(_parts(prompt))}]
        return request


def enforceable(schema: object) -> bool:
    """Whether OpenAI enforces a JSON Schema: every object forbids other fields and requires all of its own."""
    if isinstance(schema, Mapping):
        if schema.get("type") == "object":
            required = set(schema.get("required", ()))
            if schema.get("additionalProperties") is not False or required != set(schema.get("properties", {})):
                return False
        return all(enforceable(part) for part in schema.values())
    return all(enforceable(part) for part in schema) if isinstance(schema, list | tuple) else True


def _parts(prompt: Prompt) -> Iterator[dict[str, Any]]:
    for part in prompt.parts:
        if isinstance(part, Picture):
            url = f"data:{part.media_type};base64,{base64.b64encode(part.data).decode('ascii')}"
            yield {"type": "image_url", "image_url": {"url": url, "detail": "high"}}
        elif part:
            yield {"type": "text", "text": part}


def _counts(usage: Any) -> dict[str, int]:
    if usage is None:
        return {}
    counts = {"input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens}
    if cached := getattr(usage.prompt_tokens_details, "cached_tokens", None):
        counts["cache_read_input_tokens"] = cached
    if thoughts := getattr(usage.completion_tokens_details, "reasoning_tokens", None):
        counts["reasoning_tokens"] = thoughts
    return counts


def _message(error: Any) -> str:
    """In the server's words, with its code, which alone tells an empty account from a busy server."""
    body = error.body if isinstance(error.body, dict) else {}
    return " ".join(str(part) for part in (body.get("message") or error, body.get("code")) if part)
