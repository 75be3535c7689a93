"""Two documents, or two runs of pages, side by side: what they share and where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from folioscope.domain import GivenPage, Segment
from folioscope.errors import QueryError
from folioscope.ports import VisionModel
from generation.asking import Reply
from generation.prompt import quoted_name
from generation.reading import Claim, Read, Reading
from generation.running import synchronous

SIDES = "Pages {first} are the first document, {one}; pages {second} are the second, {two}."
PURPOSE = "{sides} Both are to be compared: note facts, figures, terms and claims that may differ or agree."
INSTRUCTION = (
    "{sides} Compare the two. `summary`: two or three sentences. `similarities`: what both say. `differences`: "
    "`topic`, what the `first` says of it and what the `second` says, its text empty where it says nothing. Give every "
    "statement the quotes that it rests on, with their pages, as `evidence`."
)


@dataclass(frozen=True, slots=True)
class Difference:
    """What each side says of a topic; a segment without text: nothing."""

    topic: str
    first: Segment
    second: Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Read):
    """``similarities`` and ``differences`` carry citations; ``summary`` puts them in a few sentences."""

    summary: str
    similarities: tuple[Segment, ...]
    differences: tuple[Difference, ...]


class _Difference(Reply):
    topic: str
    first: Claim
    second: Claim


class _Comparison(Reply):
    summary: str
    similarities: list[Claim]
    differences: list[_Difference]


async def compare_async(
    model: VisionModel, first: Sequence[GivenPage], second: Sequence[GivenPage], *, page_words: bool = True
) -> Comparison:
    """What the pages ``first`` and ``second`` share and where they differ.

    Raises `QueryError` where a side has no pages, and what the model raises.
    """
    for side, pages in (("first", first), ("second", second)):
        if not len(pages):
            raise QueryError(f"The {side} of the two has no pages.", hint="Name documents or pages that there are.")
    sides = SIDES.format(
        first=f"1 to {len(first)}",
        one=quoted_name(first[0]),
        second=f"{len(first) + 1} to {len(first) + len(second)}",
        two=quoted_name(second[0]),
    )
    reading = Reading(model, _Both(first, second), page_words=page_words)
    said = await reading.over_all(_Comparison, PURPOSE.format(sides=sides), INSTRUCTION.format(sides=sides))

    def segment(claim: Claim) -> Segment:
        return Segment(claim.text, reading.cited(claim.evidence))

    similarities = tuple(segment(claim) for claim in said.similarities)
    differences = tuple(Difference(each.topic, segment(each.first), segment(each.second)) for each in said.differences)
    return Comparison(summary=said.summary, similarities=similarities, differences=differences, **reading.told())


compare = synchronous(compare_async)


class _Both(Sequence[GivenPage]):
    """One run of pages after the other, without holding either."""

    def __init__(self, first: Sequence[GivenPage], second: Sequence[GivenPage]) -> None:
        self.first, self.second = first, second

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    @overload
    def __getitem__(self, place: int) -> GivenPage: ...
    @overload
    def __getitem__(self, place: slice) -> list[GivenPage]: ...
    def __getitem__(self, place: int | slice) -> GivenPage | list[GivenPage]:
        if isinstance(place, slice):
            return [self[each] for each in range(len(self))[place]]
        return self.first[place] if place < len(self.first) else self.second[place - len(self.first)]
