"""The passages of a page that can stand as an answer: sentences, list items and the rows of tables.

Every passage is a list of word positions, so that its text is on the page by construction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Words
from generation.layout import row_order, table_rows, visual_rows

Kind = Literal["sentence", "row", "heading"]

SHORTEST = 4
"""Letters and digits; less says nothing."""

LONGEST = 80
"""Words; a longer stretch without an end is cut."""

PROSE_LINE = 6
"""Words that make a line running text rather than a cell."""

_END = re.compile(r"[.!?:;。！？．؟۔।]+[\"'”’)\]»」』]*$")
_FULL_END = re.compile(r"[.!?。！？．؟۔।]+[\"'”’)\]»」』]*(?:\[\d+\])*$")
_ABBREVIATION = re.compile(
    r"(?:\W*(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|Inc|Ltd|Co|Corp|No|Nos|Fig|Figs|Eq|Sec|Vol|pp|vs|etc|al|ca|cf|approx"
    r"|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec)|.*\w\.\w)\.$"
)
_BULLET = re.compile(r"(?:[•●○◦▪■□►▶➢✓✔*·‣–—-]|[\uf0a0-\uf0ff]|\(?(?:\d{1,2}|[a-zA-Z]|[ivx]{1,4})[.)])$")
_NUMERIC = re.compile(r"[$€£¥₹(−–—-]*(?:\d[\d.,:/]*)?[)%‰*]*$")
_DAY = re.compile(r"(?:[12]?\d|3[01])(?:st|nd|rd|th)?,?$")
_YEAR = re.compile(r"\W*(?:FY|Q\d)?\W*(?:19|20)\d\d\W*$")


@dataclass(frozen=True, slots=True)
class Passage:
    """Positions of words on the page, in the order in which they are read.

    ``label`` and ``header``, for a table row: what names it when its own first cell doesn't (the row or cell above),
    and the row that names its columns. ``context``: other words that say what it is about (heading, caption).
    """

    kind: Kind
    words: tuple[int, ...]
    context: tuple[int, ...] = ()
    label: tuple[int, ...] = ()
    header: tuple[int, ...] = ()


def text(words: Words, positions: Sequence[int]) -> str:
    """These words with a space between them; a word divided at the end of a line is put together."""
    parts: list[str] = []
    for here, after in pairwise([*positions, -1]):
        word = words.texts[here]
        divided = (
            after == here + 1  # not the next cell of a row
            and words.lines[here] != words.lines[after]
            and len(word) > 2
            and word[-1] in "-\u2010\u00ad"
            and word[-2].islower()
            and words.texts[after][0].islower()
        )
        parts.append(word[:-1] if divided else word + " ")
    return "".join(parts).rstrip()


def passages(words: Words) -> list[Passage]:
    """All passages of a page, rows first, in reading order."""
    if not len(words):
        return []
    height = float(np.median(words.boxes[:, 3] - words.boxes[:, 1]))
    rows = _table_rows(words, _gaps(words))
    in_table = {i for row in rows for i in row.words}
    found = rows + _with_headings(words, list(_sentences(words, in_table)), height)
    return [passage for passage in found if sum(map(str.isalnum, text(words, passage.words))) >= SHORTEST]


def read_on(words: Words, run: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The words cut where they go on neither in reading order nor along the row of a table, as quotes are verified."""
    if run == tuple(range(run[0], run[0] + len(run))):
        return [run]
    _, turns = table_rows(words, visual_rows(words))
    cuts = [0, *(k for k in range(1, len(run)) if run[k] in turns), len(run)]
    return [run[start:stop] for start, stop in pairwise(cuts)]


def ends(words: Words, passage: Passage) -> bool:
    """Whether a passage ends as a sentence does, or in a colon."""
    return bool(_END.search(words.texts[passage.words[-1]]))


def last_sentence(text: str) -> int:
    """Where the last sentence of a text begins, with the white space before it; a line feed begins one, too."""
    text = text.rstrip()
    for gap in reversed(list(re.finditer(r"\s+|(?<=[。！？])(?=\S)", text))):
        before, after = (text[: gap.start()].split() or [""])[-1], text[gap.end()]
        if "\n" in gap[0] or (_FULL_END.search(before) and not after.islower() and not _goes_on(before)):
            return gap.start()
    return 0


def _goes_on(word: str) -> bool:
    """Whether a word ends in a point without ending a sentence."""
    return bool(_ABBREVIATION.match(word) or _BULLET.match(word))


# --- tables ---------------------------------------------------------------------------------------------------------


def _table_rows(words: Words, gaps: NDArray[np.float32]) -> list[Passage]:
    """Visual rows of numbers or few words in cells, each with what names it and its columns."""
    out: list[Passage] = []
    titles: list[tuple[int, ...]] = []  # rows of column names, the last ones above
    label: tuple[int, ...] = ()
    caption: tuple[int, ...] = ()  # the last row of one cell
    fresh = False  # whether the last row was one of column names
    for row in _stretches(words, gaps):
        cells = _cells(words, row, gaps)
        if len(cells) < 2 or not _is_table_row(words, cells):
            label = caption = row if len(row) <= 12 else ()
            continue
        named = not _numeric_cell(words, cells[0])
        if fills := _names_columns(words, cells):
            titles = [*titles[-3:], row] if fresh else [row]
        header = () if fills or not titles else max(reversed(titles), key=lambda title: _years(words, title))
        above = () if named and not _continues(words, row) else label
        context = tuple(i for title in [*titles, caption] if title not in (row, header, above) for i in title)
        kind: Kind = "heading" if fills and _years(words, row) > 1 else "row"
        out.append(Passage(kind, row, context, above, header))
        label = tuple(cells[0]) if named else label
        fresh = fills
    return out


def _numeric_cell(words: Words, cell: Sequence[int]) -> bool:
    return all(_NUMERIC.match(words.texts[i]) for i in cell)


def _continues(words: Words, row: Sequence[int]) -> bool:
    """Whether the row goes on with a label that began in the line above."""
    return words.texts[row[0]][0].islower()


def _years(words: Words, row: Sequence[int]) -> int:
    return sum(bool(_YEAR.match(words.texts[i])) for i in row)


def _prose(words: Words, gaps: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which words belong to running text: to a block most of whose lines are long and have no gap, bool [n]."""
    _, member = np.unique(words.blocks, return_inverse=True)
    space = words.boxes[1:, 0] - words.boxes[:-1, 2]
    wide = (words.lines[1:] == words.lines[:-1]) & (space > gaps[1:])
    gapped = set(words.lines[1:][wide].tolist())
    lines, start, count = np.unique(words.lines, return_index=True, return_counts=True)
    long = [n >= PROSE_LINE and line not in gapped for line, n in zip(lines.tolist(), count.tolist(), strict=True)]
    blocks = member[start]
    total = np.bincount(blocks, minlength=member.max() + 1)
    share = np.bincount(blocks, np.array(long, float), minlength=len(total)) / np.maximum(total, 1)
    return share[member] > 0.5


def _stretches(words: Words, gaps: NDArray[np.float32]) -> Iterator[tuple[int, ...]]:
    """Visual rows from top to bottom, running text taken out."""
    prose = _prose(words, gaps)
    rows = visual_rows(words)
    order = row_order(words, rows)
    cut = (np.diff(rows[order]) != 0) | (np.diff(prose[order].astype(np.int8)) != 0)
    for part in np.split(order, np.flatnonzero(cut) + 1):
        if not prose[part[0]]:
            yield tuple(part.tolist())


def _cells(words: Words, row: Sequence[int], gaps: NDArray[np.float32]) -> list[list[int]]:
    """A row cut at every gap wider than a line is high."""
    cells = [[row[0]]]
    for before, here in pairwise(row):
        if words.boxes[here, 0] - words.boxes[before, 2] > gaps[here]:
            cells.append([])
        cells[-1].append(here)
    return cells


def _gaps(words: Words) -> NDArray[np.float32]:
    """How wide the space before each word may be within a cell, float32 [n]; in shares of the page's width.

    A letter's width is the measure, for a page's width and height differ; narrow letters count as 0.4 of a median
    line's height.
    """
    width, height = words.boxes[:, 2] - words.boxes[:, 0], words.boxes[:, 3] - words.boxes[:, 1]
    letters = np.array([len(text) for text in words.texts], np.float32)
    gaps: NDArray[np.float32] = np.maximum(1.6 * width / letters, 0.4 * np.median(height))
    return gaps


def _names_columns(words: Words, cells: Sequence[Sequence[int]]) -> bool:
    """A row of names, years or dates: no number but years and days of a month."""
    found = [words.texts[i] for cell in cells for i in cell]
    data = [text for text in found if _NUMERIC.match(text) and not _YEAR.match(text) and not _DAY.match(text)]
    return not any(any(map(str.isdigit, text)) for text in data) and any(any(map(str.isalnum, text)) for text in found)


def _is_table_row(words: Words, cells: Sequence[Sequence[int]]) -> bool:
    """A label and, set apart from it, numbers or a few words."""
    rest = [words.texts[i] for cell in cells[1:] for i in cell]
    return _numeric(rest) >= len(rest) / 2 or (max(map(len, cells)) <= 5 and len(rest) <= 16)


def _numeric(texts: Sequence[str]) -> int:
    return sum(bool(_NUMERIC.match(text)) for text in texts)


# --- sentences ------------------------------------------------------------------------------------------------------


def _sentences(words: Words, skip: set[int]) -> Iterator[tuple[int, ...]]:
    """Runs of words outside of tables, cut where a sentence, a list item or a block ends."""
    run: list[int] = []
    width = _block_ends(words)
    for i in range(len(words)):
        if i in skip:
            continue
        if run and (i != run[-1] + 1 or len(run) >= LONGEST or _breaks(words, run, i, width)):
            yield tuple(run)
            run = []
        run.append(i)
    if run:
        yield tuple(run)


def _breaks(words: Words, run: Sequence[int], here: int, ends: NDArray[np.float32]) -> bool:
    """Whether a new passage begins at word ``here``."""
    if len(run) == 1 and _BULLET.match(words.texts[run[0]]):
        return False
    before = run[-1]
    last, first = words.texts[before], words.texts[here]
    begins = not first[0].islower()
    if words.lines[before] != words.lines[here]:
        if _BULLET.match(first):
            return True
        if words.blocks[before] != words.blocks[here] and not _goes_on_below(words, before, here):
            return begins or bool(_END.search(last))
        x0, x1 = min(ends[before, 0], ends[here, 0]), max(ends[before, 1], ends[here, 1])
        if begins and words.boxes[before, 2] < x0 + 0.7 * (x1 - x0):
            return True
    return begins and bool(_FULL_END.search(last)) and not _goes_on(last)


def _goes_on_below(words: Words, before: int, here: int) -> bool:
    """Whether the word begins the next line of the same print, for files that make each line a block of its own."""
    (_, top, _, bottom), (_, below, _, under) = words.boxes[before].tolist(), words.boxes[here].tolist()
    height = bottom - top
    return bool(0 < below - top < 1.8 * height and abs(under - below - height) < 0.15 * height)


def _block_ends(words: Words) -> NDArray[np.float32]:
    """The left and right end of each word's block, float32 [n, 2]."""
    _, member = np.unique(words.blocks, return_inverse=True)
    ends = np.empty((member.max() + 1, 2), np.float32)
    ends[:, 0], ends[:, 1] = 2, -1
    np.minimum.at(ends[:, 0], member, words.boxes[:, 0])
    np.maximum.at(ends[:, 1], member, words.boxes[:, 2])
    return ends[member]


def _with_headings(words: Words, runs: Sequence[tuple[int, ...]], height: float) -> list[Passage]:
    """Sentences with the heading above them as context."""
    out: list[Passage] = []
    heading: tuple[int, ...] = ()
    for run in runs:
        if _is_heading(words, run, height):
            heading = run
            out.append(Passage("heading", run))
        else:
            out.append(Passage("sentence", run, heading))
    return out


def _is_heading(words: Words, run: Sequence[int], height: float) -> bool:
    """A short line that doesn't end like a sentence, in larger or capital letters or in title case."""
    texts = [words.texts[i] for i in run]
    if len(run) > 14 or _FULL_END.search(texts[-1]):
        return False
    tall = float(np.median(words.boxes[list(run), 3] - words.boxes[list(run), 1]))
    long = [word for word in texts if len(word) > 3 and word[0].isalpha()]
    return tall > 1.15 * height or (bool(long) and all(word[0].isupper() for word in long))
