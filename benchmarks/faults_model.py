"""What becomes of a question when the model's server fails: an answer or a clear error, how soon, and what was kept.

The sample documents, the whole way (`generation.stream`), each vendor's SDK against a server on this machine that fails
as told. ``model_timeout_s`` is 1 s, ``model_total_s`` 6 s, two more attempts. Nothing may hang: each question is given
30 s. ``kept``: the text that the server had sent before it failed is in the answer, or nothing had been sent.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from api import samples
from benchmarks.common import parser, show
from folioscope.domain import Answer
from folioscope.errors import FolioscopeError
from folioscope.settings import load_settings
from generation import Reader, open_vision_model, stream
from generation.models import openai as openai_module
from ingest import Library
from retrieval import Retriever
from tests.support.vendors import KEY, Asked, Refusal, Reply, Vendors

QUESTION = "What dividend does the board propose?"
HANG_S = 30.0
MODELS = {
    "anthropic": "anthropic:claude-sonnet-5-5",
    "openai": "openai:gpt-6.1-terra",
    "gemini": "gemini:gemini-3.8-flash",
    "ollama": "ollama:qwen3-vl:8b",
    "compatible": "openai:vision-1",
}
SAID = "The board proposes a dividend of 0.35 euros a share."
TRUE = "The board proposes a dividend of 0.35 euros a share"  # words of the page that is found first


def reply(quote: str, page: int) -> Callable[[Asked], str]:
    """The answer in the form that was asked for, with one quote."""

    def answer(asked: Asked) -> str:
        if asked.schema is None:
            return f"{SAID} [[{page}: {quote}]]"
        quotes = [{"page": page, "quote": quote, "figure": False}]
        return json.dumps({"segments": [{"text": SAID, "quotes": quotes}]})

    return answer


def broken(**how: Any) -> Callable[[Asked], Reply]:
    """The same, sent in many pieces, of which some come."""
    return lambda asked: Reply(reply(TRUE, 1)(asked), pieces=20, **how)


def after(attempts: int, fault: Refusal) -> Callable[[Asked], str | Refusal]:
    """The answer, once so many attempts have failed."""
    tried = [0]

    def answer(asked: Asked) -> str | Refusal:
        tried[0] += 1
        return fault if tried[0] <= attempts else reply(TRUE, 1)(asked)

    return answer


FAULTS: dict[str, Callable[[], Any]] = {
    "none": lambda: reply(TRUE, 1),
    "nothing comes": lambda: Reply("late", before_s=20),
    "silence after some text": lambda: lambda asked: Reply(reply(TRUE, 1)(asked), between_s=20),
    "goes on for ever": lambda: Reply("and so on " * 2000, pieces=2000, between_s=0.1),
    "connection cut after some text": lambda: broken(cut_after=14),
    "stream ends after some text": lambda: broken(ends_after=14),
    "error event after some text": lambda: broken(error_after=14),
    "broken event after some text": lambda: broken(garbage_after=14),
    "connection cut at once": lambda: Refusal("cut"),
    "connection cut once": lambda: after(1, Refusal("cut")),
    "busy twice (429, wait 0.2 s)": lambda: after(2, Refusal("rate_limit", 0.2)),
    "busy for an hour (429)": lambda: Refusal("rate_limit", 3600),
    "overloaded (529, 503)": lambda: Refusal("overloaded"),
    "server error (500)": lambda: Refusal("server_error"),
    "wrong key": lambda: Refusal("auth"),
    "key without the right": lambda: Refusal("forbidden"),
    "account used up": lambda: Refusal("no_credit"),
    "unknown model": lambda: Refusal("unknown_model"),
    "a model without vision": lambda: Refusal("no_vision"),
    "request too large (413)": lambda: Refusal("too_large"),
    "prompt too long": lambda: Refusal("prompt_too_long"),
    "prompt too long for 4 pages": lambda: (
        lambda asked: Refusal("prompt_too_long") if len(asked.pictures) > 2 else reply(TRUE, 1)(asked)
    ),
    "not a model's server": lambda: Refusal("not_json"),
    "an answer over the limit": lambda: lambda asked: Reply(reply(TRUE, 1)(asked), finish="length"),
    "a refusal": lambda: Reply("", finish="refusal"),
    "words in place of JSON": lambda: f"{SAID} It really does.",
    "an invented quote": lambda: reply("The board doubled the dividend of last year", 1),
    "a page that was never given": lambda: reply(TRUE, 40),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """``said``: the answer's status and how many warnings, or the error. ``kept``: see the module."""

    said: str
    seconds: float
    kept: bool


async def outcome(retriever: Retriever, library: Library, reader: Reader, vendors: Vendors, fault: Any) -> Outcome:
    """One question."""
    vendors.reply = fault
    vendors.asked.clear()
    text, said = "", "hang"
    started = time.perf_counter()
    try:
        async with asyncio.timeout(HANG_S):
            async for event in stream(QUESTION, retriever, reader, k=4, images=library):
                if isinstance(event, str):
                    text += event
                elif isinstance(event, Answer):
                    said = event.status + (f", {len(event.warnings)} warnings" if event.warnings else "")
                    kept = text.split() == event.text.split()
    except FolioscopeError as error:
        said, kept = type(error).__name__, not text
    except TimeoutError:
        kept = False
    return Outcome(said, time.perf_counter() - started, kept)


async def all_faults(library: Library, vendors: Vendors) -> dict[str, dict[str, Outcome]]:
    """Fault -> vendor -> outcome."""
    found: dict[str, dict[str, Outcome]] = {name: {} for name in FAULTS}
    retriever = library.retriever()
    for kind, spec in MODELS.items():
        openai_module.OFFICIAL = "127.0.0.1" if kind == "openai" else "api.openai.com"
        url = vendors.url(kind)  # type: ignore[arg-type]
        limits = {"model_timeout_s": 1.0, "model_total_s": 6.0, "model_retries": 2}
        structured = kind != "compatible"
        settings = load_settings({f"{spec.partition(':')[0]}_url": url, "openai_structured": structured, **limits})
        reader = Reader(open_vision_model(spec, settings), settings)
        for name, fault in FAULTS.items():
            found[name][kind] = await outcome(retriever, library, reader, vendors, fault())
    return found


def table(found: dict[str, dict[str, Outcome]]) -> None:
    for name, outcomes in found.items():
        said = sorted({one.said for one in outcomes.values()})
        seconds = [one.seconds for one in outcomes.values()]
        lost = [kind for kind, one in outcomes.items() if not one.kept]
        print(
            f"{name:<34} {min(seconds):5.1f} to {max(seconds):5.1f} s  {' | '.join(said)}",
            *["LOST:", lost] * bool(lost),
        )


def main() -> None:
    given = parser(__doc__).parse_args()
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"):
        os.environ[name] = KEY
    with tempfile.TemporaryDirectory() as folder, Library(folder) as library, Vendors() as vendors:
        with samples.folder() as files:
            library.ingest([files])
        found = asyncio.run(all_faults(library, vendors))
    everything = [one for outcomes in found.values() for one in outcomes.values()]
    figures = {
        "questions": len(everything),
        "hangs": sum(one.said == "hang" for one in everything),
        "text_lost": sum(not one.kept for one in everything),
        "slowest_s": round(max(one.seconds for one in everything), 1),
        "faults": {
            name: {kind: [one.said, round(one.seconds, 2)] for kind, one in outcomes.items()}
            for name, outcomes in found.items()
        },
    }
    show(figures, given.json, lambda: table(found))


if __name__ == "__main__":
    main()
