"""Is this quote on this page, and where? Nothing is drawn that is not there.

Page and quote are folded to letters and numbers (compatibility forms, ligatures, case, quotation marks, dashes,
hyphenation and white space make no difference; decimal points and minus signs do), then compared:

    exact       the quote's letters and numbers stand on the page in this order without a gap, from the beginning of a
                word to the end of one, in reading order or along a visual row (the cells of a table)
    fuzzy       at least `FUZZY_SHARE` of its words, and every one of its numbers, align with one stretch of the page;
                or the quote leaves words out and says so with an ellipsis
    visual      the page has no words: only a person, or a model that sees, can tell
    unverified  none of these; no box

Scripts written without spaces (Chinese, Japanese, Thai ...) are compared character by character, and a box then
covers its share of the word it lies in.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Box, QuoteStatus, Words
from generation.layout import row_order, visual_rows

FUZZY_SHARE = 0.8
"""Share of a quote's words that must align: two wrong words of ten pass, three don't."""

FUZZY_WORDS = 4
"""Shorter quotes are exact or nothing: too much of a page looks like three words."""

WORD_LIKENESS = 0.8
"""Two words without digits count as one misread when their normalised edit similarity reaches this."""

PAGE_BOX = Box(0.0, 0.0, 1.0, 1.0)

_UNSPACED = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
)
_MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0963\u0966-\u0dff"
_PIECE = re.compile(
    rf"[{_UNSPACED}]"
    r"|(?:(?<![^\W_])-(?=\.?\d))?(?:(?<![\w.])\.(?=\d))?"  # a sign; the point of .5, but not of "Contents....5"
    rf"(?:(?![{_UNSPACED}])[^\W_]|[{_MARKS}]|(?<=\d)\.(?=\d)|(?<=\d),(?=\d{{3}}(?!\d)))+"
)
_DASHES = str.maketrans(dict.fromkeys("‐‑‒–—―−﹣－", "-") | {"\u0640": "", "\u00ad": "", "ı": "i"})
_ELLIPSIS = re.compile(r"\[?(?:…|\.\.\.+)\]?")


@dataclass(frozen=True, slots=True)
class Match:
    """What was found of a quote. ``ranges``: word positions (start, stop exclusive) on the page, in quote order.

    ``boxes``: one for each line, or stretch of a line, that the quote covers; the page's box when ``visual``.
    """

    status: QuoteStatus
    ranges: tuple[tuple[int, int], ...] = ()
    boxes: tuple[Box, ...] = ()


Piece = tuple[str, float, float]
"""A folded word, or a piece of one: its letters, and the share of its word (from, to; 0-1) that it covers."""


class Stream(NamedTuple):
    """Pieces in some order, the position of each one's word, and where it begins in the string of all letters."""

    pieces: Sequence[Piece]
    words: Sequence[int]
    begins: Sequence[int]
    letters: str


def verify(quote: str, words: Words, *, near: int = 0) -> Match:
    """Find ``quote`` among the words of the page that it names.

    Of several exact occurrences the one that begins nearest to word ``near`` counts: the first, unless told otherwise.
    """
    if not len(words):
        return Match("visual", (), (PAGE_BOX,))
    wanted = _stream(quote.split())
    if not wanted.pieces:
        return Match("unverified")
    reading = _stream(words.texts)
    rows = visual_rows(words)
    if found := _exact(wanted, reading, near):
        return _match("exact", [found], reading, words, rows)
    known = sum(text in reading.letters for text, _, _ in wanted.pieces) / len(wanted.pieces)
    if known < FUZZY_SHARE / 2:
        return Match("unverified")
    along = _stream(words.texts, row_order(words, rows).tolist())
    if known == 1 and (found := _exact(wanted, along, near)):
        return _match("exact", [found], along, words, rows)
    if runs := _with_gaps(quote, reading) or _fuzzy(wanted, reading):
        return _match("fuzzy", runs, reading, words, rows)
    if runs := _fuzzy(wanted, along):
        return _match("fuzzy", runs, along, words, rows)
    return Match("unverified")


def fold(text: str) -> str:
    """A text's letters and numbers as they are compared here: a space only between two numbers."""
    return _stream(text.split()).letters


def numbers(text: str) -> set[str]:
    """The numbers in a text, without thousands separators and trailing zeros: ``$1,577.50`` gives ``1577.5``.

    Signs are dropped: a table writes a negative number in parentheses.
    """
    pieces = (piece for word in text.split() for piece, _, _ in _pieces(word))
    values = (value for piece in pieces for value in re.findall(r"\d+(?:\.\d+)?|(?<!\d)\.\d+", piece))
    return {_plain(value) for value in values}


def _plain(value: str) -> str:
    whole, _, part = value.partition(".")
    whole, part = whole.lstrip("0") or "0", part.rstrip("0")
    return f"{whole}.{part}" if part else whole


@lru_cache(maxsize=65536)
def _pieces(word: str) -> tuple[Piece, ...]:
    """The folded pieces of one word; only those of an unspaced script cover less than all of it."""
    if word.isascii() and word.isalpha():
        return ((word.lower(), 0.0, 1.0),)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word).casefold()).translate(_DASHES)
    size = len(folded)
    out = []
    for found in _PIECE.finditer(folded):
        text = found[0].replace(",", "")
        unspaced = re.match(rf"[{_UNSPACED}]", text)
        out.append((text, found.start() / size, found.end() / size) if unspaced else (text, 0.0, 1.0))
    return tuple(out)


def _stream(texts: Sequence[str], order: Iterable[int] | None = None) -> Stream:
    """Fold words, in their own or another order. A space keeps two numbers apart; nothing else does."""
    pieces: list[Piece] = []
    words: list[int] = []
    begins: list[int] = []
    letters: list[str] = []
    at, digit = 0, False
    for i in range(len(texts)) if order is None else order:
        for piece in _pieces(texts[i]):
            text = piece[0]
            if digit and (text[0] == "." or text[0].isdigit()):
                letters.append(" ")
                at += 1
            pieces.append(piece)
            words.append(i)
            begins.append(at)
            letters.append(text)
            at += len(text)
            digit = text[-1].isdigit()
    return Stream(pieces, words, begins, "".join(letters))


def _occurrences(wanted: Stream, page: Stream) -> Iterator[range]:
    """The positions of the page's pieces, whole ones only, that spell the quote: one occurrence after the other."""
    at = page.letters.find(wanted.letters)
    while at >= 0:
        end = at + len(wanted.letters)
        first, after = bisect_left(page.begins, at), bisect_left(page.begins, end)
        last = after - 1
        if first <= last and page.begins[first] == at and page.begins[last] + len(page.pieces[last][0]) == end:
            yield range(first, after)
        at = page.letters.find(wanted.letters, at + 1)


def _exact(wanted: Stream, page: Stream, near: int) -> range | None:
    return min(_occurrences(wanted, page), key=lambda run: abs(page.words[run[0]] - near), default=None)


def _with_gaps(quote: str, page: Stream) -> list[range]:
    """The parts of a quote that leaves words out, each exact and after the one before; [] when one is missing."""
    found: list[range] = []
    for part in map(_stream, map(str.split, _ELLIPSIS.split(quote))):
        after = found[-1].stop if found else 0
        run = next((run for run in _occurrences(part, page) if run.start >= after), None) if part.pieces else range(0)
        if run is None or 0 < len(part.pieces) < FUZZY_WORDS:
            return []
        found += [run] if run else []
    return found


def _fuzzy(wanted: Stream, page: Stream) -> list[range]:
    """The runs of the page's pieces that align with the quote; [] when they are too few or a number is missing."""
    from rapidfuzz import fuzz
    from rapidfuzz.distance import Levenshtein

    quote, there = [piece[0] for piece in wanted.pieces], [piece[0] for piece in page.pieces]
    if not FUZZY_WORDS <= len(quote) <= len(there):
        return []
    window = fuzz.partial_ratio_alignment(quote, there, score_cutoff=100 * FUZZY_SHARE / 2)
    if window is None:
        return []
    room = len(quote) // FUZZY_WORDS
    start = max(window.dest_start - room, 0)
    there = there[start : window.dest_end + room]
    pairs = [
        (i, j)
        for op in Levenshtein.opcodes(quote, there)
        for i, j in zip(range(op.src_start, op.src_end), range(op.dest_start, op.dest_end), strict=False)
        if op.tag == "equal" or _alike(quote[i], there[j])
    ]
    missing = set(range(len(quote))).difference(i for i, _ in pairs)
    if len(missing) > (1 - FUZZY_SHARE) * len(quote) or any(_has_digit(quote[i]) for i in missing):
        return []
    return _runs([start + j for j in _closed_up(pairs, quote, there)])


def _closed_up(pairs: list[tuple[int, int]], quote: Sequence[str], there: Sequence[str]) -> list[int]:
    """Where the quote's words stand, strays moved next to their neighbours where the same word stands there too."""
    at = [j for _, j in pairs]
    for k in range(1, len(at)):
        if pairs[k][0] == pairs[k - 1][0] + 1 and there[at[k - 1] + 1] == quote[pairs[k][0]]:
            at[k] = at[k - 1] + 1
    for k in range(len(at) - 2, -1, -1):
        if pairs[k][0] + 1 == pairs[k + 1][0] and there[at[k + 1] - 1] == quote[pairs[k][0]]:
            at[k] = at[k + 1] - 1
    return at


def _runs(at: Sequence[int]) -> list[range]:
    """Ascending positions as ranges, cut wherever one is left out."""
    cuts = [k for k in range(1, len(at)) if at[k] != at[k - 1] + 1]
    return [range(at[a], at[b - 1] + 1) for a, b in zip([0, *cuts], [*cuts, len(at)], strict=True)]


def _alike(a: str, b: str) -> bool:
    from rapidfuzz.distance import Levenshtein

    return not _has_digit(a + b) and Levenshtein.normalized_similarity(a, b) >= WORD_LIKENESS


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))


def _match(status: QuoteStatus, runs: Iterable[range], page: Stream, words: Words, rows: NDArray[np.int32]) -> Match:
    """Boxes, merged along each run as long as it stays on one visual row."""
    ranges: list[tuple[int, int]] = []
    boxes: list[Box] = []
    for run in runs:
        row = -1
        for i in run:
            word = page.words[i]
            box = _piece_box(page.pieces[i], words.boxes[word])
            if rows[word] == row:
                boxes[-1] = boxes[-1].union(box)
            else:
                boxes.append(box)
            row = int(rows[word])
            _extend(ranges, word)
    return Match(status, tuple(ranges), tuple(boxes))


def _extend(ranges: list[tuple[int, int]], word: int) -> None:
    """Add a word's position to the last range, or begin a new one."""
    if ranges and word in (ranges[-1][1] - 1, ranges[-1][1]):
        ranges[-1] = (ranges[-1][0], word + 1)
    else:
        ranges.append((word, word + 1))


def _piece_box(piece: Piece, box: NDArray[np.float32]) -> Box:
    """The word's box, or the piece's share of it along its longer side."""
    _, begin, end = piece
    x0, y0, x1, y1 = box.tolist()
    if y1 - y0 > x1 - x0 and end - begin < 1:
        return Box(x0, y0 + begin * (y1 - y0), x1, y0 + end * (y1 - y0))
    return Box(x0 + begin * (x1 - x0), y0, x0 + end * (x1 - x0), y1)
