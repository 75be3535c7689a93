"""What the service adds to the time to the first token: search, page images, prompt and parser around one model call.

A server in another process answers at once, as each vendor would. ``raw``: the vendor's SDK with one client that is
kept, given a finished prompt with 4 page images as JPEG files; from the call to the first piece of text. ``model``: the
same prompt through our `VisionModel`. ``service``: `generation.stream` over the sample documents, from the question to
the first piece of text: the same 4 pages searched, their pictures (kept from the first time) put into a prompt and
sent. ``new_pages``: the same with pictures made anew from the page images on disk. By turns, so that all see the same
machine.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

from api import samples
from benchmarks.common import parser, show
from folioscope.domain import Picture, Prompt
from folioscope.settings import load_settings
from generation import Reader, open_vision_model, stream
from generation.answer import given
from generation.models import openai as openai_module
from ingest import Library
from tests.support.vendors import KEY, Vendors

QUESTION = "What dividend does the board propose?"
PAGES = 4
MODELS = {
    "anthropic": "anthropic:claude-sonnet-5-5",
    "openai": "openai:gpt-6.1-terra",
    "gemini": "gemini:gemini-3.8-flash",
    "ollama": "ollama:qwen3-vl:8b",
}
REPLY = '{"segments": [{"text": "It proposes a dividend of 0.35 euros a share.", "quotes": []}]}'


Urls = dict[str, str]


def serve(pipe: Connection) -> None:
    """The vendors, until the pipe closes; what was wrong with requests goes back through it."""
    with Vendors(REPLY) as vendors:
        pipe.send({name: vendors.url(name) for name in MODELS})  # type: ignore[arg-type]
        pipe.recv()
        pipe.send(vendors.complaints)


@contextmanager
def served() -> Iterator[Urls]:
    """Where each vendor answers."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,))
    process.start()
    theirs.close()  # so that its end is noticed here
    try:
        yield ours.recv()
        ours.send("stop")
        complaints = ours.recv()
        assert not complaints, complaints
    finally:
        ours.close()
        process.join(10)


async def first(pieces: AsyncIterator[Any]) -> float:
    """Seconds until the first text; the rest is heard to its end, but not timed."""
    started = time.perf_counter()
    taken = 0.0
    async with aclosing(pieces) as heard:  # type: ignore[type-var]
        async for piece in heard:
            if isinstance(piece, str) and not taken:
                taken = time.perf_counter() - started
    return taken


async def measure(name: str, library: Library, url: str, runs: int) -> dict[str, float]:
    """Milliseconds at the median, for one vendor."""
    settings = load_settings({f"{name}_url": url})
    model = open_vision_model(MODELS[name], settings)
    retriever = library.retriever()
    reader = Reader(model, settings)
    _, pages = given(retriever, retriever.search(QUESTION, PAGES).hits, library)
    prompt, _ = await reader.prompt(QUESTION, pages)
    assert sum(isinstance(part, Picture) for part in prompt.parts) == PAGES
    raw, close = RAW[name](url, model, prompt)
    found: dict[str, list[float]] = {"raw": [], "model": [], "service": [], "new_pages": []}
    for _ in range(runs + 1):
        found["raw"].append(await first(raw()))
        found["model"].append(await first(model.generate(prompt)))
        for kind, reading in (("service", reader), ("new_pages", Reader(model, settings))):
            found[kind].append(await first(stream(QUESTION, retriever, reading, k=PAGES, images=library)))
    await close()
    return {f"{kind}_ms": round(1000 * median(times[1:]), 1) for kind, times in found.items()}


Raw = tuple[Callable[[], AsyncIterator[str]], Callable[[], Awaitable[Any]]]


def raw_anthropic(url: str, model: Any, prompt: Prompt) -> Raw:
    from anthropic import AsyncAnthropic

    client = AsyncAnthropic(api_key=KEY, base_url=url)

    async def ask() -> AsyncIterator[str]:
        async for event in await client.messages.create(**model._request(prompt), stream=True):
            if event.type == "content_block_delta":
                yield event.delta.text

    return ask, client.close


def raw_openai(url: str, model: Any, prompt: Prompt) -> Raw:
    from openai import AsyncOpenAI

    client = AsyncOpenAI(api_key=KEY, base_url=url)

    async def ask() -> AsyncIterator[str]:
        async for chunk in await client.chat.completions.create(**model._request(prompt), stream=True):
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content

    return ask, client.close


def raw_gemini(url: str, model: Any, prompt: Prompt) -> Raw:
    from google import genai

    client = genai.Client(api_key=KEY, http_options=genai.types.HttpOptions(base_url=url))
    wanted = {"contents": model._contents(prompt), "config": model._config(prompt)}

    async def ask() -> AsyncIterator[str]:
        async for chunk in await client.aio.models.generate_content_stream(model=MODELS["gemini"][7:], **wanted):
            if chunk.text:
                yield chunk.text

    return ask, client.aio.aclose


def raw_ollama(url: str, model: Any, prompt: Prompt) -> Raw:
    import json

    import httpx2

    client = httpx2.AsyncClient()

    async def ask() -> AsyncIterator[str]:
        async with client.stream("POST", f"{url}/api/chat", json=model._request(prompt)) as response:
            async for line in response.aiter_lines():
                if text := json.loads(line)["message"]["content"]:
                    yield text

    return ask, client.aclose


RAW = {"anthropic": raw_anthropic, "openai": raw_openai, "gemini": raw_gemini, "ollama": raw_ollama}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--runs", type=int, default=21)
    given_arguments = arguments.parse_args()
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"):
        os.environ[name] = KEY
    openai_module.OFFICIAL = "127.0.0.1"
    figures: dict[str, Any] = {"runs": given_arguments.runs, "pages": PAGES}
    with tempfile.TemporaryDirectory() as folder, Library(folder) as library, served() as urls:
        with samples.folder() as files:
            library.ingest([files])
        for name in MODELS:
            times = asyncio.run(measure(name, library, urls[name], given_arguments.runs))
            figures[name] = {**times, "overhead_ms": round(times["service_ms"] - times["raw_ms"], 1)}
    show(figures, given_arguments.json)


if __name__ == "__main__":
    main()
