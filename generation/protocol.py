"""The reply of a vision-language model -> text and segments with quotes, while it comes.

Two forms, one parser, which sees for itself what it is given. JSON, from models that can be held to `SCHEMA`:

    {"segments": [{"text": "It lasts two years.", "quotes": [{"page": 1, "quote": "a period of two years"}]}]}

and prose with marks, from all others; a mark carries the sentence before it:

    It lasts two years [[1: a period of two years]]. Sales fell [[2 figure: the bar of 2023 is the lowest]].

An empty list, or ``[[none]]``, says that the pages do not answer. What stands before either form between ``<think>``
and ``</think>`` is dropped. How the stream is cut into pieces makes no difference. What else is in neither form is
text: nothing raises and no text is lost, whatever comes. A reply that ends in the middle gives what it had said, a
quote cut in a word without that word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from folioscope.domain import DraftSegment, Quote
from generation.sentences import last_sentence

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "segments": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "text": {"type": "string"},
                    "quotes": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {
                                "page": {"type": "integer"},
                                "quote": {"type": "string"},
                                "figure": {"type": "boolean"},
                            },
                            "required": ["page", "quote", "figure"],
                            "additionalProperties": False,
                        },
                    },
                },
                "required": ["text", "quotes"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["segments"],
    "additionalProperties": False,
}
"""JSON Schema of a reply. ``page`` counts from 1."""

LONGEST_MARK = 4000
"""Characters; two brackets that are not closed within so many are text."""

Piece = str | DraftSegment

_THINKING = ("<think>", "</think>")
_OPENING = '{"segments":['
_FENCE = re.compile(r"```\w*?(?=\{|\Z)")
_LONGEST_OPENING = 200
_MARK = re.compile(
    r"\s*(?:page\s*|p\.?\s*)?([0-9]{1,4})(\s*,?\s*figure)?\s*[:|]\s*(\S.*?)\s*", re.DOTALL | re.IGNORECASE
)
_NONE = re.compile(r"\s*none\s*", re.IGNORECASE)
_CLOSING = re.compile(r"[.,;:!?)\]}\"'”’»。，；：！？]+")
_TEXT_FIRST = re.compile(r'\{\s*"text"\s*:\s*"')
_IN_STRING = re.compile(r'(?:[^"\\]|\\(?:u[0-9a-fA-F]{4}|[^u]))*', re.DOTALL)
_SIGN = re.compile(r'\\.|["{}\[\]]', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_HALF_A_CHARACTER = re.compile(r"(?<!\\)((?:\\\\)*)\\u[dD][89abAB][0-9a-fA-F]{2}\Z")
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_QUOTATION_MARKS = '"“”„«»'


class Reply:
    """One reply. `feed` and `close` give its text as soon as it is certain and each segment after its text."""

    def __init__(self) -> None:
        self._head = ""
        self._form: _Prose | _Json | None = None
        self._looked = 0  # how much of the head has been searched for the end of thinking
        self._between = False  # two segments

    def feed(self, piece: str) -> list[Piece]:
        """The next piece of the reply."""
        return self._shown(self._read(piece))

    def close(self) -> list[Piece]:
        """The end of the reply, wherever it came."""
        form = self._form or _Prose()
        left = "" if self._form or self._head.lstrip().startswith(_THINKING[0]) else self._head
        return self._shown([*form.feed(left), *form.close()])

    def _read(self, piece: str) -> list[Piece]:
        if self._form is None:
            self._head += piece
            if self._thinks():
                return []
            found = _form_of(self._head[:_LONGEST_OPENING])
            if found is None and len(self._head) < _LONGEST_OPENING:
                return []
            self._form = found or _Prose()
            piece = self._head[self._head.index("[") + 1 :] if isinstance(found, _Json) else self._head
        out = self._form.feed(piece)
        if isinstance(self._form, _Json) and self._form.after.strip("}]` \t\r\n"):
            tail, self._form = self._form.after.lstrip("}]` \t\r\n"), _Prose()
            out += self._form.feed(tail)
        return out

    def _thinks(self) -> bool:
        """Whether what a model says to itself before its reply, as servers without a parser for it hand it on, is not
        over; drops it once it is.
        """
        begun = self._head.lstrip()[: len(_THINKING[0])]
        if begun != _THINKING[0]:
            return bool(begun) and _THINKING[0].startswith(begun)
        end = self._head.find(_THINKING[1], self._looked)
        self._looked = max(len(self._head) - len(_THINKING[1]), 0)
        if end >= 0:
            self._head = self._head[end + len(_THINKING[1]) :].lstrip()
        return end < 0

    def _shown(self, pieces: Iterable[Piece]) -> list[Piece]:
        """Neighbouring texts as one, a space before a segment's text that follows another."""
        out: list[Piece] = []
        for piece in pieces:
            if isinstance(piece, str) and out and isinstance(out[-1], str):
                out[-1] += piece
            elif isinstance(piece, str):
                out.append(f" {piece}" if self._between and not piece[0].isspace() else piece)
            else:
                out.append(piece)
            self._between = not isinstance(piece, str)
        return out


def _form_of(head: str) -> _Prose | _Json | None:
    """Which form begins like this; None while that is open."""
    squeezed = "".join(head.split())
    body = _FENCE.sub("", squeezed, count=1) if squeezed.startswith("```") else squeezed
    if body.startswith(_OPENING):
        return _Json()
    undecided = _OPENING.startswith(body) or "```".startswith(squeezed)
    return None if undecided else _Prose()


class _Prose:
    """Text with marks."""

    def __init__(self) -> None:
        self._rest = ""  # what is not yet understood
        self._text = ""  # of the open segment
        self._space = ""  # after it: within it, before a mark or before the next
        self._quotes: list[Quote] = []
        self._begun = False
        self._out: list[Piece] = []

    def feed(self, piece: str) -> list[Piece]:
        self._rest += piece
        while found := re.search(r"\[\[|\[\Z", self._rest):
            self._say(self._rest[: found.start()])
            self._rest = self._rest[found.start() :]
            if found[0] == "[" or not self._mark():
                return self._taken()
        self._say(self._rest)
        self._rest = ""
        return self._taken()

    def close(self) -> list[Piece]:
        cut = _MARK.fullmatch(_whole_words(self._rest[2:]))
        if self._rest.startswith("[[") and cut:
            self._quote(cut)
        else:
            self._say(self._rest)
        self._end_segment()
        return self._taken()

    def _taken(self) -> list[Piece]:
        out, self._out = self._out, []
        return out

    def _mark(self) -> bool:
        """Take the mark with which the rest begins; whether its end has come."""
        end = self._rest.find("]]", 2, LONGEST_MARK)
        if end < 0 and len(self._rest) < LONGEST_MARK:
            return False
        inside = self._rest[2:end] if end > 0 else ""
        if found := _MARK.fullmatch(inside):
            self._quote(found)
        elif not _NONE.fullmatch(inside):
            self._say("[")
            end = -1
        self._rest = self._rest[end + 2 :]
        return True

    def _quote(self, found: re.Match[str]) -> None:
        text = found[3].strip(_QUOTATION_MARKS + " ") or found[3]
        if not self._text:
            self._say(text)  # a quote that carries nothing says itself
        self._space = ""
        self._quotes.append(Quote(text, int(found[1]) - 1, bool(found[2])))

    def _say(self, text: str) -> None:
        """More text. What closes a sentence and directly follows a mark belongs to the sentence before it."""
        if self._quotes and not self._space and (closing := _CLOSING.match(text)):
            self._add(closing[0])
            text = text[closing.end() :]
        body = text.strip()
        if not body:
            self._space += text
            return
        if self._quotes:
            self._end_segment()
        space = self._space + text[: text.index(body[0])]
        if not self._text:
            space = "\n" * min(space.count("\n"), 2) if self._begun else ""
        self._add(space + body)
        self._space = text[len(text.rstrip()) :]

    def _add(self, text: str) -> None:
        self._text += text
        self._out.append(text)
        self._begun = True

    def _end_segment(self) -> None:
        """The quotes carry the last sentence; those before it have none."""
        cut = last_sentence(self._text) if self._quotes else len(self._text)
        for text, quotes in ((self._text[:cut], ()), (self._text[cut:], tuple(self._quotes))):
            if text.strip():
                self._out.append(DraftSegment(text.strip(" "), quotes))
        self._text, self._quotes = "", []


class _Json:
    """The elements of the list of segments and what follows it, ``after``."""

    def __init__(self) -> None:
        self.after = ""
        self._ended = False
        self._rest = ""  # from the element that is open
        self._seen = 0  # how much of that has been shown as text, its beginning included
        self._said = ""
        self._begin()

    def _begin(self) -> None:
        """Of the next element nothing has been looked at."""
        self._looked, self._depth, self._quoted, self._hopeless = 0, 0, False, False

    def feed(self, piece: str) -> list[Piece]:
        out: list[Piece] = []
        self._rest += piece
        while not self._ended:
            self._rest = self._rest.lstrip(" \t\r\n,")
            if self._rest.startswith("]"):
                self._ended, self._rest = True, self._rest[1:]
                break
            value, end = _decoded(self._rest) if self._may_be_whole() else (None, 0)
            if not end:
                return [*out, *self._text_so_far()]
            out += self._element(value, self._rest[:end])
            self._rest = self._rest[end:]
            self._begin()
        self.after += self._rest
        self._rest = ""
        return out

    def close(self) -> list[Piece]:
        """What was said of an element that was cut, or that is no JSON."""
        if not self._rest:
            return []
        for raw in (self._rest, self._rest[: self._rest.rfind(",") + 1].rstrip(",")):
            for closers in ('"}]}', "}]}", "]}", '"}', "}", '"'):
                value, end = _decoded(raw + closers)
                if end == len(raw + closers):
                    return self._element(value, self._rest, cut=closers == '"}]}')
        prose = _Prose()
        said = [DraftSegment(self._said.strip())] if self._said.strip() else []
        return [*said, *prose.feed(self._rest[self._seen :]), *prose.close()]

    def _may_be_whole(self) -> bool:
        """Whether all that the open element opens is closed. Looks at each letter once, and says so once: what is no
        JSON then does not become any.
        """
        for sign in () if self._hopeless else _SIGN.finditer(self._rest, self._looked):
            self._looked = sign.end()
            if sign[0] == '"':
                self._quoted = not self._quoted
            elif not self._quoted:
                self._depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(sign[0], 0)
            if not self._quoted and self._depth <= 0:
                self._hopeless = True
                return True
        self._looked = max(self._looked, len(self._rest) - self._rest.endswith("\\"))
        return False

    def _text_so_far(self) -> list[Piece]:
        """What has come of the open element's text and was not shown."""
        if not self._seen and (found := _TEXT_FIRST.match(self._rest)):
            self._seen = found.end()
        if not self._seen:
            return []
        within = _IN_STRING.match(self._rest, self._seen)
        raw = _HALF_A_CHARACTER.sub(r"\1", within[0]) if within else ""
        self._seen += len(raw)
        return self._more(_unescaped(raw))

    def _more(self, text: str) -> list[Piece]:
        text = text if self._said else text.lstrip()
        self._said += text
        return [text] if text else []

    def _element(self, value: object, raw: str, cut: bool = False) -> list[Piece]:
        text, quotes = _segment(value, raw, cut)
        text = text or (quotes[0].text if quotes else "")
        if not text.startswith(self._said):
            text = f"{self._said} {text}"  # two texts in one element
        out = self._more(text[len(self._said) :])
        self._said, self._seen = "", 0
        return [*out, DraftSegment(text.strip(), quotes)] if text.strip() else out


def _decoded(raw: str) -> tuple[object, int]:
    """The JSON object or string at the beginning and where it ends; 0 while there is none."""
    if raw[:1] not in ("{", '"'):
        return None, 0
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(raw)
    except (ValueError, RecursionError):
        return None, 0
    return value, end


def _segment(value: object, raw: str, cut: bool) -> tuple[str, tuple[Quote, ...]]:
    """An element's text and quotes; the element as it was written where it is no segment."""
    if isinstance(value, str):
        return _printable(value).strip(), ()
    text = value.get("text", "" if "quotes" in value else None) if isinstance(value, dict) else None
    listed = value.get("quotes", ()) if isinstance(value, dict) else None
    if not isinstance(text, str) or not isinstance(listed, list | tuple):
        return raw, ()
    quotes = [_quote(quote, cut and quote is listed[-1]) for quote in listed]
    return _printable(text).lstrip(), tuple(quote for quote in quotes if quote)


def _quote(value: object, cut: bool) -> Quote | None:
    if not isinstance(value, dict) or not isinstance(value.get("quote"), str):
        return None
    text = _printable(value["quote"])
    text = (_whole_words(text) if cut else text).strip()
    page = value.get("page")
    number = int(page) if isinstance(page, int) or (isinstance(page, str) and re.fullmatch("[0-9]{1,4}", page)) else 0
    return Quote(text, max(-1, min(number, 9999) - 1), value.get("figure") is True) if text else None


def _unescaped(raw: str) -> str:
    """The inside of a JSON string; an escape that JSON does not have stands for itself."""
    return _printable(_ESCAPE.sub(lambda e: chr(int(e[1], 16)) if e[1] else _CONTROL.get(e[2], e[2]), raw))


def _printable(text: str) -> str:
    """Halves of characters put together, or made the sign of a damaged one."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _whole_words(text: str) -> str:
    """Without the last word, which may have been cut."""
    return text.rstrip().rpartition(" ")[0]
