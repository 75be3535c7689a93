"""Models of an Ollama server, on this machine or another: ``ollama:<model>``, such as ``ollama:qwen3-vl:8b``.

Its own HTTP interface is spoken, because what matters here is in no client package: by default a server takes a context
of 4,096 tokens, less than two pages, and quietly drops what is beyond it. ``num_ctx`` asks for more, ``truncate`` false
for an error in place of the quiet (servers of 2025 and older ignore it). A picture given to a model without vision is
ignored as quietly, so the server is asked first what the model can do.

https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx2

from folioscope.domain import Finish, Picture, PictureLimits, Prompt
from folioscope.settings import Settings
from generation.models.calling import NONSENSE, Failure, Patience, Server, connection, reply, retry_after

DEFAULT_URL = "http://127.0.0.1:11434"

LIMITS = PictureLimits(long_edge=1280, max_bytes=1_500_000, max_pictures=20)
"""Nothing is documented. Models that take pictures as they are (Qwen's) count a token for 28 x 28 pixels: a page of
this size is 1,500 tokens."""


class Ollama:
    """Implements `folioscope.ports.VisionModel`. Whether the server and the model are there shows at use."""

    def __init__(self, model: str, settings: Settings) -> None:
        self.name = f"ollama:{model}"
        self.limits = LIMITS
        self.structured = True
        self._model = model
        self._url = url(settings)
        self._context = settings.ollama_context
        self._patience = Patience.of(settings)
        self._sees = False  # not yet known

    def generate(self, prompt: Prompt) -> AsyncIterator[str | Finish]:
        """See the port."""
        hint = (
            f"Is Ollama running at {self._url}? `ollama serve` starts it, `ollama pull {self._model}` gets the model."
        )
        return reply(lambda: self._ask(prompt), Server(self.name, help=hint), self._patience)

    async def _ask(self, prompt: Prompt) -> AsyncGenerator[str | Finish]:
        async with connection() as http:
            if not self._sees and any(isinstance(part, Picture) for part in prompt.parts):
                await self._check_sight(http)
            finish = None
            async with http.stream("POST", f"{self._url}/api/chat", json=self._request(prompt)) as response:
                await _raise_for(response)
                async for line in response.aiter_lines():
                    if not line.strip():
                        continue
                    told = json.loads(line)
                    if "error" in told:
                        raise Failure(str(told["error"]), 500)
                    yield told["message"]["content"]
                    finish = _finish(told) if told["done"] else None
        if finish:
            yield finish

    async def _check_sight(self, http: httpx2.AsyncClient) -> None:
        response = await http.post(f"{self._url}/api/show", json={"model": self._model})
        await _raise_for(response)
        capabilities = response.json().get("capabilities")
        if capabilities is not None and "vision" not in capabilities:  # older servers don't say
            raise Failure(f"image input is not supported by {self._model}", 400)
        self._sees = True

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        system = [{"role": "system", "content": prompt.system}] if prompt.system else []
        history = [{"role": turn.role, "content": turn.text} for turn in prompt.history]
        request: dict[str, Any] = {
            "model": self._model,
            "messages": [*system, *history, _message(prompt)],
            "stream": True,
            "truncate": False,
            "shift": False,
            "options": {"num_ctx": self._context, "num_predict": prompt.max_tokens},
        }
        if prompt.schema is not None:
            request["format"] = dict(prompt.schema)
        return request


def url(settings: Settings) -> str:
    """Where the server is: the setting, else OLLAMA_HOST as Ollama's own programs read it, else this machine."""
    given = settings.ollama_url or os.environ.get("OLLAMA_HOST", "").strip() or DEFAULT_URL
    if "://" not in given:
        given = f"http://{given}" if ":" in given else f"http://{given}:11434"
    return given.replace("//0.0.0.0", "//127.0.0.1").rstrip("/")  # what a server listens on is no address to call


def _message(prompt: Prompt) -> dict[str, Any]:
    """Pictures stand beside the text, in order; the text says where each of them belongs."""
    pictures: list[str] = []
    texts: list[str] = []
    for part in prompt.parts:
        if isinstance(part, Picture):
            pictures.append(base64.b64encode(part.data).decode("ascii"))
            texts.append(f"(picture {len(pictures)})")
        else:
            texts.append(part)
    message: dict[str, Any] = {"role": "user", "content": "\n".join(texts)}
    return {**message, "images": pictures} if pictures else message


async def _raise_for(response: httpx2.Response) -> None:
    if response.status_code == 200:
        return
    await response.aread()
    try:
        message = str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        message = response.text
    raise Failure(message, response.status_code, retry_after(response.headers))


def _finish(told: dict[str, Any]) -> Finish:
    names = {"input_tokens": "prompt_eval_count", "output_tokens": "eval_count"}
    usage = {ours: told[theirs] for ours, theirs in names.items() if theirs in told}
    reason = told.get("done_reason", "stop")
    if reason not in ("stop", "length"):
        raise Failure(f"the reply ended with {reason}", NONSENSE)
    return Finish(reason, usage)
