"""What a question would send to a model, without sending it."""

from __future__ import annotations

from dataclasses import dataclass

from folioscope.domain import PageHit, Picture, Prompt, Where
from folioscope.ports import AnswerModel, PageImages, Searcher
from generation.answer import checked, given
from generation.cache import Cached
from generation.reader import Reader
from generation.running import run

BYTES_PER_TOKEN = 4
"""Of text in UTF-8; vendors' tokenizers lie between 3 and 5."""

PIXELS_PER_TOKEN = 750
"""As Anthropic documents it; other vendors charge from half to twice as much."""


@dataclass(frozen=True, slots=True)
class Preview:
    """The pages that would be given, how many of them as images of how many bytes together, and an estimate of tokens.

    A model that is sent nothing has zeros.
    """

    model: str
    pages: tuple[PageHit, ...]
    images: int
    image_bytes: int
    input_tokens: int
    notes: tuple[str, ...] = ()


def preview(
    question: str,
    retriever: Searcher,
    model: AnswerModel,
    *,
    k: int = 5,
    where: Where | None = None,
    images: PageImages | None = None,
) -> Preview:
    """Search and build the prompt, and call nobody. Arguments, and the errors of a question, as those of `answer`."""
    question = checked(question)
    found = retriever.search(question, k, where)
    hits, pages = given(retriever, found.hits, images)
    model = model.reader if isinstance(model, Cached) else model
    if not isinstance(model, Reader):
        return Preview(model.name, tuple(hits), 0, 0, 0, found.reservations)
    prompt, notes = run(model.prompt(question, pages))
    pictures = [part for part in prompt.parts if isinstance(part, Picture)]
    size = sum(len(picture.data) for picture in pictures)
    return Preview(model.name, tuple(hits), len(pictures), size, _tokens(prompt), (*notes, *found.reservations))


def _tokens(prompt: Prompt) -> int:
    text = [prompt.system, *(part for part in prompt.parts if isinstance(part, str))]
    pixels = sum(part.width * part.height for part in prompt.parts if isinstance(part, Picture))
    return sum(len(part.encode(errors="replace")) for part in text) // BYTES_PER_TOKEN + pixels // PIXELS_PER_TOKEN
