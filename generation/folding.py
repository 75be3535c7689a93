"""What of a text is compared: letters, numbers, and the signs beside a number.

And what a word may turn into when a page is read: `damage` knows the shapes that OCR takes for each other. A word
that differs in any other way is another word.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from functools import lru_cache
from itertools import permutations
from typing import NamedTuple

from generation.alike import ALIKE


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


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
_UNSPACED_PIECE = re.compile(rf"[{_UNSPACED}]")
_RAISED = re.compile(r"(?<=\d)(?=[⁺⁻⁰¹²³⁴-⁹₀-₉₊₋¼-¾⅐-⅞])")
_SIGNED_AMOUNT = re.compile(r"-(\p)(?=\.?\d)".replace(r"\p", "[$€£¥₹]"))
_SIGNS = "$€£¥₹₩₽¢%‰‱°<>≤≥=≈~±"
_LONE_MINUS = frozenset("-‐‑–−﹣－")
TURN = "\n"
"""The piece between two stretches that are not read on: no quote has it."""

NEGATIONS = _words(
    "no not non nor never none neither nobody nothing nowhere without cannot t un anti hardly scarcely barely"
    " rarely seldom except unless nicht kein keine keinen keinem keiner keines nie niemals ohne weder ne n pas"
    " jamais sans aucun aucune ni sin nunca jamás tampoco ningún ninguno ninguna senza mai né nessun nessuno nessuna"
    " não nem sem nenhum nenhuma niet geen nooit zonder inte ikke не нет ни без никогда nie bez değil لا ليس لم لن"
    " नहीं 안 못 不 没 沒 無 无 未 非"
)
"""Pieces of words: "t" is what "isn't" leaves."""

_NUMBER_WORDS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand"
    " thousands million millions billion billions trillion trillions dozen half third quarter once twice double"
    " triple first second fourth null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf hundert tausend"
    " millionen milliarde milliarden deux trois quatre cinq sept huit neuf dix cent mille milliard milliards dos"
    " tres cuatro cinco seis siete ocho nueve diez ciento cien mil millones"
)
_TELLING = NEGATIONS | _NUMBER_WORDS

_LIMITING = _words(
    "only almost nearly approximately roughly up most more less least than over under above below all some any few"
    " many several every both if may might could should must can would will before after until allegedly reportedly"
    " possibly probably perhaps maybe likely partly partially mostly mainly largely usually sometimes always"
    " potentially formerly nur fast beinahe etwa mehr weniger alle einige manche wenn falls kann könnte soll muss darf"
    " vielleicht vor nach bis seulement presque environ plus moins tous quelques si peut pourrait doit avant après"
)
"""Words without which a statement says more, or less, than it does."""

_CONFUSED = (
    "rn:m nn:m in:m ni:m cl:d ol:d vv:w ii:u ii:n li:h ri:n l:i l:1 i:1 l:t i:t i:j t:f c:e o:0 n:u u:v h:b b:6 b:8 s:5"
    " s:8 g:q g:9 q:9 z:2"
)
_SHAPES: dict[str, list[tuple[str, str]]] = {}
"""What OCR takes for each other, both ways round, by the first letter of each."""

for _pair in sorted(_words(_CONFUSED)):
    for _x, _y in permutations(_pair.split(":")):
        _SHAPES.setdefault(_x[0] + _y[0], []).append((_x, _y))

_ACCENTS = re.compile("[\u0300-\u036f]")


class Piece(NamedTuple):
    """A folded word, or a piece of one.

    Its letters, the share of its word that it covers (0-1), the signs beside its number, and whether it is a word by
    itself rather than a part of one with hyphens or apostrophes.
    """

    text: str
    begin: float = 0.0
    end: float = 1.0
    signs: str = ""
    whole: bool = True


class Stream(NamedTuple):
    """Pieces in some order, the position of each one's word, and where it begins in the string of all letters."""

    pieces: Sequence[Piece]
    words: Sequence[int]
    begins: Sequence[int]
    letters: str

    def texts(self, run: range | None = None) -> list[str]:
        """The letters of each piece, or of some of them."""
        return [piece.text for piece in (self.pieces[run.start : run.stop] if run else self.pieces)]


@lru_cache(maxsize=65536)
def pieces_of(word: str) -> tuple[Piece, ...]:
    """The folded pieces of one word; only those of an unspaced script cover less than all of it."""
    if word.isascii() and word.isalpha():
        return (Piece(word.lower()),)
    folded = _folded(word)
    size = len(folded)
    out = []
    matches = list(_PIECE.finditer(folded))
    whole = len(matches) == 1 and folded[-1] != "-"
    for found in matches:
        text = found[0].replace(",", "")
        if _UNSPACED_PIECE.match(text):
            out.append(Piece(text, found.start() / size, found.end() / size))
        else:
            before, after = folded[: found.start()], folded[found.end() :]
            signs = before[len(before.rstrip(_SIGNS)) :] + after[: len(after) - len(after.lstrip(_SIGNS))]
            out.append(Piece(text, signs=signs if has_digit(text) else "", whole=whole))
    return tuple(out)


def _folded(word: str) -> str:
    raised = unicodedata.normalize("NFKC", _RAISED.sub(" ", word))
    return _SIGNED_AMOUNT.sub(r"\1-", unicodedata.normalize("NFKC", raised.casefold()).translate(_DASHES))


def stream(texts: Sequence[str], order: Iterable[int] | None = None, turns: Container[int] = ()) -> Stream:
    """Fold words, in their own or another order. A space keeps two numbers apart; nothing else does.

    A sign that stands by itself belongs to the numbers next to it, a dash to the one that follows unless another one
    precedes it. ``turns``: words that do not go on from the one before.
    """
    pieces: list[Piece] = []
    words: list[int] = []
    begins: list[int] = []
    letters: list[str] = []
    at, digit, minus, pending = 0, False, False, ""
    for i in range(len(texts)) if order is None else order:
        found = pieces_of(texts[i])
        for piece in (Piece(TURN), *found) if i in turns else found:
            text = piece.text
            number = text[0] == "." or text[0].isdigit()
            if number and (minus or pending):
                text = "-" + text if minus else text
                piece = piece._replace(text=text, signs=piece.signs + pending)
            if digit and number:
                letters.append(" ")
                at += 1
            pieces.append(piece)
            words.append(i)
            begins.append(at)
            letters.append(text)
            at += len(text)
            digit, minus, pending = text[-1].isdigit(), False, ""
        if not found:
            signs = "".join(char for char in _folded(texts[i]) if char in _SIGNS)
            minus = (texts[i] in _LONE_MINUS and not digit) or (minus and bool(signs))
            pending += signs
            if digit and signs:
                pieces[-1] = pieces[-1]._replace(signs=pieces[-1].signs + signs)
    return Stream(pieces, words, begins, "".join(letters))


def telling(texts: Iterable[str]) -> list[str]:
    """The negations and number words among some words."""
    return [text for text in texts if text in _TELLING and not (len(text) == 1 and text.isascii())]


def has_digit(text: str) -> bool:
    """Whether a piece is a number or holds one."""
    return any(map(str.isdigit, text))


def may_be_left_out(word: str) -> bool:
    """Whether a quote may do without a piece of the page: nothing that turns a statement round, no letter of a word."""
    limits = word in _TELLING or word in _LIMITING
    return not (limits or has_digit(word) or word == TURN or _UNSPACED_PIECE.match(word))


def begin_alike(quoted: str, there: str) -> bool:
    """Whether OCR may take the beginning of one for that of the other: without it there is no `damage`."""
    a, b = _plain_letters(quoted)[:1], _plain_letters(there)[:1]
    return a == b or a + b in _SHAPES


def damage(quoted: Sequence[str], there: Sequence[str]) -> int | None:
    """How many of the quote's words are misread in these of the page; None when they are other words."""
    a, b = _plain_letters("".join(quoted)), _plain_letters("".join(there))
    if has_digit(a) or 2 * sum(map(str.isdigit, b)) > len(b):
        return None
    one = len(quoted) == len(there) == 1
    if telling(quoted) != telling(there) and (not one or (a != b and {a, b} <= _TELLING)):
        return None
    if a == b:
        return 0
    if not _misread(a, b, max(1, len(a) // 3)):
        return None
    ours, theirs = Counter(quoted), Counter(there)
    return None if ALIKE & (ours - theirs).keys() and ALIKE & (theirs - ours).keys() else len(quoted)


def _misread(a: str, b: str, most: int) -> bool:
    """Whether at most so many confusions of shapes make one word of the other."""
    same = next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    if same == len(a) == len(b):
        return True
    a, b = a[same:], b[same:]
    return most > 0 and any(
        a.startswith(x) and b.startswith(y) and _misread(a[len(x) :], b[len(y) :], most - 1)
        for x, y in _SHAPES.get(a[:1] + b[:1], ())
    )


@lru_cache(maxsize=4096)
def _plain_letters(text: str) -> str:
    """Without accents, which OCR loses first."""
    return text if text.isascii() else _ACCENTS.sub("", unicodedata.normalize("NFD", text))
