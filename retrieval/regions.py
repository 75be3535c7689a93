"""Where on a page the words of a query stand: boxes to draw and a snippet to read.

A word of the query that is rare on the page tells more about where to look than a frequent one, so that it weighs more.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from folioscope.domain import Region, Words

MAX_REGIONS = 12
MIN_SCORE = 0.25
SNIPPET_LENGTH = 240


def text_regions(words: Words, found: Mapping[int, int]) -> tuple[Region, ...]:
    """Boxes around words that match the query, one for each run on a line, best first; at most `MAX_REGIONS`.

    ``found``: what `Analyzer.matches` gives for the page's words. A line scores by the distinct words of the query on
    it and, half, on its neighbours, so that lines which hold the query together come before lone matches; the best is
    1, lines under `MIN_SCORE` are left out.
    """
    lines = words.lines.tolist()
    runs = _runs(found, lines)
    scores = _line_scores(found, lines, _weights(found))
    best = max(scores.values(), default=1.0)
    ranked = sorted((-scores[line] / best, start, stop) for line, start, stop in runs)
    return tuple(
        Region(words.box(start, stop), -score, "text_match")
        for score, start, stop in ranked[:MAX_REGIONS]
        if -score >= MIN_SCORE
    )


def snippet(words: Words, found: Mapping[int, int], length: int = SNIPPET_LENGTH) -> str:
    """The passage of at most ``length`` characters that holds most of the query; the page's start where none does.

    ``found``: what `Analyzer.matches` gives for the page's words. An ellipsis stands where the page goes on before or
    after it.
    """
    if not len(words):
        return ""
    ends = list(accumulate(len(text) + 1 for text in words.texts))
    start, stop = _best_window(found, ends, length)
    start = _widened(words, ends, start, (length - ends[stop - 1] + _begin(ends, start)) // 2)
    stop = _reach(ends, start, length)
    text = words.text(start, stop).replace("\n", " ")
    return f"{'… ' if start else ''}{text}{' …' if stop < len(words) else ''}"


def _weights(found: Mapping[int, int]) -> dict[int, float]:
    """Number of a query's word -> its weight, by how rare it is on this page."""
    return {number: count**-0.5 for number, count in Counter(found.values()).items()}


def _runs(found: Iterable[int], lines: Sequence[int]) -> list[tuple[int, int, int]]:
    """(line, start, stop) of matching words on one line with at most one other word between them."""
    runs: list[tuple[int, int, int]] = []
    for position in found:
        line = lines[position]
        if runs and runs[-1][0] == line and position - runs[-1][2] <= 1:
            runs[-1] = (line, runs[-1][1], position + 1)
        else:
            runs.append((line, position, position + 1))
    return runs


def _line_scores(found: Mapping[int, int], lines: Sequence[int], weights: Mapping[int, float]) -> dict[int, float]:
    numbers: dict[int, set[int]] = {}
    for position, number in found.items():
        numbers.setdefault(lines[position], set()).add(number)
    scores = {}
    for line, own in numbers.items():
        near = (numbers.get(line - 1, set()) | numbers.get(line + 1, set())) - own
        scores[line] = sum(weights[number] for number in own) + sum(weights[number] for number in near) / 2
    return scores


def _best_window(found: Mapping[int, int], ends: Sequence[int], length: int) -> tuple[int, int]:
    """From a matching word to the last one that fits, with the greatest weight of distinct words of the query."""
    if not found:
        return 0, 1
    weights = _weights(found)
    positions = list(found)
    best, window = -1.0, (0, 1)
    for first, start in enumerate(positions):
        stop = _reach(ends, start, length)
        inside = positions[first : bisect_left(positions, stop)]
        weight = sum(weights[number] for number in {found[position] for position in inside})
        if weight > best:
            best, window = weight, (start, inside[-1] + 1)
    return window


def _widened(words: Words, ends: Sequence[int], start: int, room: int) -> int:
    """An earlier start, by at most ``room`` characters: the nearest beginning of a sentence or block, else the room."""
    for position in range(start, -1, -1):
        if _begin(ends, start) - _begin(ends, position) > room:
            return position + 1
        if (
            position == 0
            or words.texts[position - 1][-1] in ".!?。"
            or words.blocks[position] != words.blocks[position - 1]
        ):
            return position
    return start


def _reach(ends: Sequence[int], start: int, length: int) -> int:
    """Where a passage of ``length`` characters from word ``start`` stops; it has at least one word."""
    return max(start + 1, bisect_right(ends, _begin(ends, start) + length + 1))


def _begin(ends: Sequence[int], position: int) -> int:
    return ends[position - 1] if position else 0
