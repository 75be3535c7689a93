"""Summaries of whole documents, every statement with the pages that it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from folioscope.domain import GivenPage, Segment
from folioscope.ports import VisionModel
from generation.asking import Reply
from generation.reading import Claim, Read, Reading
from generation.running import synchronous

PURPOSE = "what a summary of the whole document must not leave out: its subject, claims, results, figures, decisions."
INSTRUCTION = (
    "Summarize the document in five to ten statements, the most important first, each one or two sentences that can be "
    "read on their own. Give each statement the quotes that it rests on, with their pages, as `evidence`."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary(Read):
    """``segments``: statements, the most important first, with the numbers of the citations that carry them."""

    segments: tuple[Segment, ...] = ()

    @property
    def text(self) -> str:
        """The whole summary."""
        return " ".join(segment.text for segment in self.segments)


class _Claims(Reply):
    claims: list[Claim]


async def summarize_async(model: VisionModel, pages: Sequence[GivenPage], *, page_words: bool = True) -> Summary:
    """A summary of all ``pages`` of a document. Raises `QueryError` without pages, and what the model raises."""
    reading = Reading(model, pages, page_words=page_words)
    said = await reading.over_all(_Claims, PURPOSE, INSTRUCTION)
    segments = tuple(Segment(claim.text, reading.cited(claim.evidence)) for claim in said.claims)
    return Summary(segments=segments, **reading.told())


summarize = synchronous(summarize_async)
