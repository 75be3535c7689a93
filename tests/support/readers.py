"""Pages and models for tests of what reads whole documents."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import DocumentRef, Finish, GivenPage, Picture, PictureLimits, Prompt, Words

USAGE = {"input_tokens": 9, "output_tokens": 3}
DONE = Finish("stop", USAGE)


def words(text: str) -> Words:
    """A line of print for each line of the text."""
    lines = [line.split() for line in text.splitlines()]
    texts = [word for line in lines for word in line]
    rows = np.repeat(np.arange(len(lines)), [len(line) for line in lines]).astype(np.int32)
    columns = np.concatenate([np.arange(len(line)) for line in lines] or [np.zeros(0)])
    boxes = np.stack([columns * 0.05, rows * 0.05, columns * 0.05 + 0.04, rows * 0.05 + 0.03], axis=1)
    return Words(texts, np.clip(boxes, 0, 1).astype(np.float32), rows, np.zeros(len(texts), np.int32), "text-layer")


def document(*texts: str, name: str = "report.pdf", image: Callable[[int], NDArray[np.uint8]] | None = None):
    """A document's pages with these words, and grey images."""
    ref = DocumentRef(f"doc_{name}", 1, name, len(texts))
    draw = image or (lambda edge: np.full((edge, edge // 2, 3), 128, np.uint8))
    return [GivenPage(ref, number, words(text), image=draw) for number, text in enumerate(texts, 1)]


@dataclass
class Told:
    """A model whose reply is made from the prompt: text, anything for JSON, or an error that is raised."""

    reply: Callable[[Prompt], object]
    pictures: int = 20
    asked: list[Prompt] = field(default_factory=list)
    structured: bool = True
    name: str = "told"

    @property
    def limits(self) -> PictureLimits:
        return PictureLimits(64, 1_000_000, self.pictures)

    async def generate(self, prompt: Prompt) -> AsyncIterator[str | Finish]:
        self.asked.append(prompt)
        given = self.reply(prompt)
        if isinstance(given, Exception):
            raise given
        if isinstance(given, Finish):
            yield '{"data": {"ha'
            yield given
            return
        text = given if isinstance(given, str) else json.dumps(given)
        yield text[: len(text) // 2]
        yield text[len(text) // 2 :]
        yield DONE


def text_of(prompt: Prompt) -> str:
    return "\n".join(part for part in prompt.parts if isinstance(part, str))


def pages_of(text: str) -> list[int]:
    """The numbers of the pages that a prompt shows as pictures."""
    return [int(number) for number in re.findall(r"^Page (\d+) of \d+ \(file .*\):$", text, re.MULTILINE)]


def pictures_of(parts: Sequence[str | Picture]) -> int:
    return sum(isinstance(part, Picture) for part in parts)
