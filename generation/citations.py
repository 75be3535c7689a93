"""Is this quote on this page, and where? Nothing is drawn that is not there.

Page and quote are folded to letters and numbers (compatibility forms, ligatures, case, quotation marks, dashes,
hyphenation and white space make no difference; decimal points and minus signs do), then compared:

    exact       the quote's letters and numbers stand on the page in this order without a gap, from the beginning of a
                word to the end of one, in reading order or along a row of a table
    fuzzy       the same, but that words of the page are misread as OCR misreads, one in `WORDS_PER_MISREADING` at
                most, or that the quote leaves words out: one in `WORDS_PER_OMISSION`, or more where an ellipsis says so
    visual      the page has no words: only a person, or a model that sees, can tell
    unverified  none of these; no box

A quote that says another word than the page, or one more, is unverified, however alike the rest. What turns a statement
round may neither be left out nor changed: negations, number words, numbers, the signs that the quote writes beside them
(currency, per cent, greater or less), and words that limit it (only, almost, may, if).

Scripts written without spaces (Chinese, Japanese, Thai ...) are compared character by character, and a box then
covers its share of the word it lies in.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Box, QuoteStatus, Words
from generation.folding import (
    NEGATIONS,
    Piece,
    Stream,
    begin_alike,
    damage,
    has_digit,
    may_be_left_out,
    pieces_of,
    stream,
    telling,
)
from generation.layout import table_rows, visual_rows

FUZZY_WORDS = 4
"""Shorter quotes are exact or nothing: too much of a page looks like three words."""

WORDS_PER_MISREADING = 3
"""One word in so many may be misread."""

WORDS_PER_OMISSION = 15
"""One word in so many may be left out of the quote without an ellipsis."""

FIRM_ENDS = 3
"""Words at either end of the quote among which none may be left out: "the" alone stands near everything."""

KNOWN_SHARE = 0.4
"""With fewer of the quote's words anywhere on the page, a search for damage is vain."""

PAGE_BOX = Box(0.0, 0.0, 1.0, 1.0)

_JOINTS = ((1, 1), (1, 2), (2, 1), (1, 3), (3, 1), (2, 2))
"""How many words of the quote and of the page are compared as one, for words that are split or run together."""

_ELLIPSIS = re.compile(r"\[?(?:…|\.\.\.+)\]?")


@dataclass(frozen=True, slots=True)
class Match:
    """What was found of a quote. ``ranges``: word positions (start, stop exclusive) on the page, in quote order.

    ``boxes``: one for each line, or stretch of a line, that the quote covers; the page's box when ``visual``.
    """

    status: QuoteStatus
    ranges: tuple[tuple[int, int], ...] = ()
    boxes: tuple[Box, ...] = ()


def verify(quote: str, words: Words, *, near: int = 0) -> Match:
    """Find ``quote`` among the words of the page that it names.

    Of several exact occurrences the one that begins nearest to word ``near`` counts: the first, unless told otherwise.
    """
    if not len(words):
        return Match("visual", (), (PAGE_BOX,))
    wanted = stream(quote.split())
    if not wanted.pieces:
        return Match("unverified")
    page = _folded(words)
    if found := _exact(wanted, page.reading, near):
        return _match("exact", [found], page.reading, words, page.rows)
    known = sum(piece.text in page.reading.letters for piece in wanted.pieces) / len(wanted.pieces)
    if known < KNOWN_SHARE:
        return Match("unverified")
    if known == 1 and page.along and (found := _exact(wanted, page.along, near)):
        return _match("exact", [found], page.along, words, page.rows)
    if runs := _with_gaps(quote, page.reading) or _fuzzy(wanted, page.reading):
        return _match("fuzzy", runs, page.reading, words, page.rows)
    if page.along and (runs := _fuzzy(wanted, page.along)):
        return _match("fuzzy", runs, page.along, words, page.rows)
    return Match("unverified")


class _Folded:
    """A page as quotes are compared with it."""

    def __init__(self, words: Words) -> None:
        self._words = words

    @cached_property
    def reading(self) -> Stream:
        """In reading order."""
        return stream(self._words.texts)

    @cached_property
    def rows(self) -> NDArray[np.int32]:
        """See `visual_rows`."""
        return visual_rows(self._words)

    @cached_property
    def along(self) -> Stream | None:
        """Along the rows of tables; None where that is the reading order."""
        order, turns = table_rows(self._words, self.rows)
        return None if order == sorted(order) else stream(self._words.texts, order, turns)


@lru_cache(maxsize=16)
def _folded(words: Words) -> _Folded:
    """Folded once for all quotes of an answer; the words of a page are compared by identity."""
    return _Folded(words)


def fold(text: str) -> str:
    """A text's letters and numbers as they are compared here: a space only between two numbers."""
    return stream(text.split()).letters


def numbers(text: str) -> set[str]:
    """The numbers in a text, without thousands separators and trailing zeros: ``$1,577.50`` gives ``1577.5``.

    Signs are dropped: a table writes a negative number in parentheses.
    """
    pieces = (piece for word in text.split() for piece in pieces_of(word))
    values = (value for piece in pieces for value in re.findall(r"\d+(?:\.\d+)?|(?<!\d)\.\d+", piece.text))
    return {_plain(value) for value in values}


def _plain(value: str) -> str:
    whole, _, part = value.partition(".")
    whole, part = whole.lstrip("0") or "0", part.rstrip("0")
    return f"{whole}.{part}" if part else whole


def _occurrences(wanted: Stream, page: Stream) -> Iterator[range]:
    """The positions of the page's pieces, whole ones only, that spell the quote: one occurrence after the other."""
    at = page.letters.find(wanted.letters)
    while at >= 0:
        end = at + len(wanted.letters)
        first, after = bisect_left(page.begins, at), bisect_left(page.begins, end)
        run = range(first, after)
        whole = run and page.begins[first] == at and page.begins[after - 1] + len(page.pieces[after - 1].text) == end
        if whole and _says_the_same(wanted, page, run):
            yield run
        at = page.letters.find(wanted.letters, at + 1)


def _says_the_same(wanted: Stream, page: Stream, run: range) -> bool:
    """Whether the same letters are the same statement: no "notable" for "not able", no $ for €, no "can" of "can't"."""
    there = page.pieces[run.start : run.stop]
    before = page.pieces[run.start - 1].text if run.start and page.words[run.start - 1] == page.words[run[0]] else ""
    after = page.pieces[run.stop].text if page.words[run[-1]] in page.words[run.stop : run.stop + 1] else ""
    if (before in NEGATIONS - {"t"} and there[0].begin == 0) or after == "t":
        return False
    if len(there) != len(wanted.pieces) and _telling(wanted, range(len(wanted.pieces))) != _telling(page, run):
        return False
    numbers = [[piece.signs for piece in pieces if has_digit(piece.text)] for pieces in (wanted.pieces, there)]
    return all(map(_same_signs, *numbers)) and (len(numbers[0]) == len(numbers[1]) or not any(numbers[0]))


def _telling(text: Stream, run: range) -> list[str]:
    """The negations and number words of a run, also those that are divided at the end of a line."""
    said: list[str] = []
    begun = ""
    for i in run:
        piece, word = text.pieces[i], text.words[i]
        alone = word not in (*text.words[max(i - 1, 0) : i], *text.words[i + 1 : i + 2])
        if alone and not piece.whole:  # it ends in a hyphen
            begun += piece.text
        elif piece.whole:
            said.append(begun + piece.text)
            begun = ""
    return telling(said)


def _same_signs(quoted: str, there: str) -> bool:
    return set(quoted) <= set(there)


def _exact(wanted: Stream, page: Stream, near: int) -> range | None:
    return min(_occurrences(wanted, page), key=lambda run: abs(page.words[run[0]] - near), default=None)


def _with_gaps(quote: str, page: Stream) -> list[range]:
    """The parts of a quote that leaves words out, each exact and after the one before; [] when one is missing.

    What is left out must not hold a negation.
    """
    found: list[range] = []
    for part in map(stream, map(str.split, _ELLIPSIS.split(quote))):
        after = found[-1].stop if found else 0
        run = next((run for run in _occurrences(part, page) if run.start >= after), None) if part.pieces else range(0)
        if run is None or 0 < len(part.pieces) < FUZZY_WORDS:
            return []
        if run and found and any(piece.text in NEGATIONS for piece in page.pieces[after : run.start]):
            return []
        found += [run] if run else []
    return found


def _fuzzy(wanted: Stream, page: Stream) -> list[range]:
    """The runs of the page's pieces that are the quote, damage aside; [] when there is no such place."""
    from rapidfuzz import fuzz

    quote, there = wanted.texts(), page.texts()
    if len(quote) < FUZZY_WORDS:
        return []
    window = fuzz.partial_ratio_alignment(quote, there, score_cutoff=100 * KNOWN_SHARE)
    if window is None:
        return []
    room = len(quote) // FUZZY_WORDS + 1
    starts = range(max(window.dest_start - room, 0), min(window.dest_end + room, len(there)))
    for start in sorted(starts, key=lambda at: abs(at - window.dest_start)):
        pairs = _walk(quote, there, 0, start, len(quote) // WORDS_PER_MISREADING, len(quote) // WORDS_PER_OMISSION)
        if pairs and all(_same_signs(wanted.pieces[i].signs, page.pieces[j].signs) for i, j in pairs if i >= 0):
            return _runs([j for _, j in pairs])
    return []


def _walk(
    quote: Sequence[str], there: Sequence[str], i: int, j: int, misread: int, left_out: int
) -> list[tuple[int, int]] | None:
    """Pairs of positions from ``i`` and ``j`` on to the end of the quote; None when more than damage lies between.

    ``misread``: how many words of the page may be. ``left_out``: how many of them the quote may not have; a word that
    it has and the page has not is always too much.
    """
    pairs: list[tuple[int, int]] = []
    while i < len(quote) and j < len(there) and quote[i] == there[j]:
        pairs.append((i, j))
        i, j = i + 1, j + 1
    if i == len(quote):
        return pairs
    for m, n in _JOINTS if j < len(there) and begin_alike(quote[i], there[j]) else ():
        if i + m > len(quote) or j + n > len(there):
            continue
        misreadings = damage(quote[i : i + m], there[j : j + n])
        if misreadings is None or misreadings > misread:
            continue
        rest = _walk(quote, there, i + m, j + n, misread - misreadings, left_out)
        if rest is not None:
            return [*pairs, *((-1, k) for k in range(j, j + n)), *rest]
    within = FIRM_ENDS <= i <= len(quote) - FIRM_ENDS
    if left_out and within and j < len(there) and may_be_left_out(there[j]):
        rest = _walk(quote, there, i, j + 1, misread, left_out - 1)
        return None if rest is None else pairs + rest
    return None


def _runs(at: Sequence[int]) -> list[range]:
    """Ascending positions as ranges, cut wherever one is left out."""
    cuts = [k for k in range(1, len(at)) if at[k] != at[k - 1] + 1]
    return [range(at[a], at[b - 1] + 1) for a, b in zip([0, *cuts], [*cuts, len(at)], strict=True)]


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
    begin, end = piece.begin, piece.end
    x0, y0, x1, y1 = box.tolist()
    if y1 - y0 > x1 - x0 and end - begin < 1:
        return Box(x0, y0 + begin * (y1 - y0), x1, y0 + end * (y1 - y0))
    return Box(x0 + begin * (x1 - x0), y0, x0 + end * (x1 - x0), y1)
