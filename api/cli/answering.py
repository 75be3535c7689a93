"""The models that commands ask, and how what they say is shown to people: all at once or while it comes."""

from __future__ import annotations

import io
import sys
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli import output
from api.cli.output import say

if TYPE_CHECKING:
    from folioscope.domain import Answer, Citation, Segment
    from folioscope.ports import VisionModel
    from folioscope.settings import Settings
    from generation import Event, Look, Preview
    from generation.reading import Read

ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="Who answers: anthropic:ID, openai:ID, gemini:ID, ollama:NAME, transformers:ID, auto or extractive (which "
        "needs no key, for ask and chat alone); else the setting's, or with --url the server's.",
    ),
]
ShowPages = Annotated[bool, typer.Option("--show-pages", help="Say which pages the model reads, before it answers.")]
Cache = Annotated[
    bool | None,
    typer.Option(
        "--cache/--no-cache",
        help="Keep a model's replies, and answer the same question about the same pages from them.",
    ),
]


def open_reading_model(settings: Settings, quiet: bool) -> VisionModel:
    """The configured vision-language model; says which vendor ``auto`` has come to."""
    from generation import open_vision_model

    announce(settings, quiet)
    return open_vision_model(settings.model, settings)


def announce(settings: Settings, quiet: bool) -> None:
    """Say which vendor ``auto`` has come to: pages will leave this machine."""
    from generation import choose

    if settings.model == "auto" and not quiet:
        choice = choose(settings)
        if choice.spec != "extractive":
            say(f"model: {choice.spec}, {choice.reason}")


async def told(question: str, events: AsyncIterator[Event], show_pages: bool, text: bool) -> Answer:
    """The answer at the end of ``events``; on the way what was searched, where that is not the question, and the pages
    (on stderr) and the text (on stdout), as asked.
    """
    from folioscope.domain import Answer, SearchResult, Segment
    from generation.running import closing

    async with closing(events):  # also where nobody reads our output any more
        async for event in events:
            if isinstance(event, SearchResult):
                if event.query != question.strip():
                    say(f"searched: {event.query}")
                for hit in event.hits if show_pages else ():
                    say(f"reading {hit.document.filename}, page {hit.page}")
            elif isinstance(event, Answer):
                if text and event.text:
                    output.text()
                return event
            elif isinstance(event, str) and text:
                output.piece(event)
            elif isinstance(event, Segment) and text:
                output.piece(f" {marks(event)}")
    raise AssertionError("a stream ends with its answer or an error")


def show(found: Answer, quiet: bool, streamed: bool = False) -> None:
    """An answer, or what of it has not been shown while it came."""
    if found.status == "not_found":
        _show_nothing_found(found, streamed and bool(found.text))
    else:
        if not streamed:
            _show_segments(found)
        if found.status == "blocked":
            output.text("The model declined to answer.")
        if found.citations:
            output.text()
        for citation in found.citations:
            show_citation(citation)
    show_end(found, quiet, f"; {found.took_ms:.0f} ms")


def show_citation(citation: Citation, indent: str = "") -> None:
    """Where it stands, and how sure that is."""
    where = f"{citation.document.filename}, page {citation.page}"
    output.text(f"{indent}[{citation.index}] {where} ({citation.quote_status}): “{citation.quote.strip()}”")


def show_end(found: Answer | Read | Look, quiet: bool, took: str = "") -> None:
    """On stderr: the warnings, and who was asked at what cost."""
    for warning in found.warnings:
        say(f"note: {warning}")
    if not quiet:
        names = [name for name in ("input_tokens", "output_tokens") if name in found.usage]
        counts = ", ".join(f"{found.usage[name]:,} {name.replace('_', ' ')}" for name in names)
        say(f"model: {found.model}{took}" + (f"; {counts}" if counts else ""))


def _show_segments(found: Answer) -> None:
    for segment in found.segments:
        *lines, last = segment.text.splitlines() or [""]
        for line in lines:
            output.text(line)
        output.text(f"{last} {marks(segment)}")


def marks(segment: Segment) -> str:
    """The numbers of its citations."""
    return "".join(f"[{number}]" for number in segment.citations) or "[unsupported]"


def _show_nothing_found(found: Answer, shown: bool) -> None:
    """What the model drafted without support is not shown, or, when it was shown as it came, taken back."""
    if not found.pages_used:
        output.text("No page was found that has to do with the question.")
        return
    output.text(
        "None of this stands on the pages that were found." if shown else "The pages that were found don't say."
    )
    for hit in found.pages_used:
        output.text(f"  looked at: {hit.document.filename}, page {hit.page}")


def show_preview(shown: Preview, as_json: bool) -> None:
    """What would be sent."""
    from generation import to_json

    if as_json:
        output.json_document(to_json(shown))
        return
    for hit in shown.pages:
        output.text(f"{hit.document.filename}, page {hit.page}")
    if shown.input_tokens:
        output.text(f"{shown.images} images, {shown.image_bytes:,} bytes; about {shown.input_tokens:,} tokens in")
    else:
        output.text(f"Nothing would be sent: {shown.model} reads the pages here.")
    for note in shown.notes:
        say(f"note: {note}")
    say(f"model: {shown.model}; it was not asked")


def questions() -> Iterator[str]:
    """Lines that are not empty, up to the end of the input; at a terminal after a prompt."""
    prompt = "? " if sys.stdin.isatty() else ""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # a letter in another encoding does not end the conversation
    while True:
        try:
            line = input(prompt).strip()
        except EOFError:
            return
        if line:
            yield line
