"""Text -> index terms: NFKC, case folded, function words dropped, stemmed in the language of the text.

A page is stemmed in one language, found by counting function words. A query that is too short to tell its language
stands for the stems of all languages (`TextAnalyzer.alternatives`): whichever a page was stemmed in is among them.
Scripts written without spaces (Chinese, Japanese, Korean, Thai and neighbours) become overlapping character pairs.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from functools import cache, lru_cache
from typing import Any

from retrieval.stopwords import STOP_WORDS

REVISION = "1"
"""Part of the lexical fingerprint: changes whenever the same text may give other terms."""

LANGUAGES = tuple(STOP_WORDS)
# Where no function word tells, the script does.
_OF_SCRIPT = {
    "CYRILLIC": "russian",
    "GREEK": "greek",
    "ARABIC": "arabic",
    "DEVANAGARI": "hindi",
    "TAMIL": "tamil",
    "ARMENIAN": "armenian",
    "HEBREW": "yiddish",
}

# Han, Kana, Hangul, Thai, Lao, Myanmar, Khmer: no spaces between words, or (Hangul) endings glued to them.
_UNSPACED = (
    "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
)
# `\w` does not take the combining marks that Indic, Arabic and Hebrew words are written with.
_MARKS = "".join(chr(c) for c in range(0x300, 0x1E00) if unicodedata.category(chr(c))[0] == "M")
_WORD = rf"[\w{_MARKS}]"
_NUMBER = r"\d+(?:[.,]\d+)+"
_HYPHENATED = rf"{_WORD}+(?:(?<=[^\W\d])[-\u2010]\n(?=[^\W\d]){_WORD}+)*"
_TOKEN = re.compile(rf"{_NUMBER}|{_HYPHENATED}")
_MIXED_TOKEN = re.compile(rf"[{_UNSPACED}](?:\s?[{_UNSPACED}])*|{_NUMBER}|(?:(?![{_UNSPACED}]){_WORD})+")
_HAS_UNSPACED = re.compile(rf"[{_UNSPACED}]")
_HYPHENS = ("-", "\u2010", "\u00ad")
_LINE_HYPHEN = re.compile(r"[-\u2010]\n")
_SOFT_HYPHEN = re.compile("\u00ad(\n?)")

_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_THOUSANDS_BY_DOTS = re.compile(r"\d{1,3}(?:(?:\.\d{3})+,\d+|(?:\.\d{3}){2,})")
_DECIMAL_COMMA = re.compile(r"\d+,\d+")


class TextAnalyzer:
    """Implements `folioscope.ports.Analyzer`; stateless, safe in any number of threads."""

    def terms(self, text: str) -> list[str]:
        """Terms in order, with repetitions, stemmed in the language of the text. A line feed ends a line."""
        tokens = split(text)
        language = language_of(tokens)
        stop = STOP_WORDS[language]
        stems = _stems(language)
        return [stems[token] for token in tokens if token not in stop]

    def alternatives(self, query: str) -> list[tuple[str, ...]]:
        """For each word of the query that counts: its likeliest stem first, then those of all languages.

        Only the first where function words tell the query's language.
        """
        tokens = split(query)
        told = _told(tokens)
        likeliest = told or _language_by_script(tokens)
        languages = (likeliest,) if told else (likeliest, *LANGUAGES)
        stop = STOP_WORDS[likeliest]
        return [tuple(_stems(language)[token] for language in languages) for token in tokens if token not in stop]

    def matches(self, query: str, words: Sequence[str]) -> dict[int, int]:
        """Positions of the words that match the query -> the number, from 0, of the query's word they match.

        ``words``: those of one page in reading order; both parts of a word hyphenated across a line end match.
        """
        numbers = {term: number for number, terms in enumerate(self.alternatives(query)) for term in terms}
        parts = {word: _tokens(word) for word in set(words)}
        distinct = {token for part in parts.values() for token in part}
        language = language_of(distinct)
        stop, stems = STOP_WORDS[language], _stems(language)
        wanted = {token: numbers[stems[token]] for token in distinct - stop if stems[token] in numbers}
        matching = {word: wanted[token] for word, part in parts.items() for token in part if token in wanted}
        found = {position: matching[word] for position, word in enumerate(words) if word in matching}
        for position, word in enumerate(words[:-1]):
            if word.endswith(_HYPHENS) and len(word) > 1:
                for token in _tokens(f"{word}\n{words[position + 1]}"):
                    if token not in stop and stems[token] in numbers:
                        found[position] = found[position + 1] = numbers[stems[token]]
        return dict(sorted(found.items()))


def split(text: str) -> list[str]:
    """Tokens in order: words joined across hyphenated line ends, plain numbers, character pairs."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("_", " ")
    if "\u00ad" in text:
        text = _SOFT_HYPHEN.sub(lambda match: "-\n" if match[1] else "", text)
    if _HAS_UNSPACED.search(text):
        return [part for token in _MIXED_TOKEN.findall(text) for part in _parts(token)]
    return [token if token.isalnum() else _tidy(token) for token in _TOKEN.findall(text)]


def language_of(tokens: Collection[str]) -> str:
    """The one of `LANGUAGES` that has most of its function words here; by script where they do not tell."""
    return _told(tokens) or _language_by_script(tokens)


def plain_number(token: str) -> str:
    """Digits with at most a decimal point: 1,234.5 and 1.234,5 become 1234.5; 12,5 becomes 12.5.

    A single dot is a decimal point (1.234 stays), a comma before three digits a thousands separator, as in English.
    What is neither, such as 3.2.1 or 1,2,3, is left as it is.
    """
    if _THOUSANDS.fullmatch(token):
        return token.replace(",", "")
    if _THOUSANDS_BY_DOTS.fullmatch(token):
        return token.replace(".", "").replace(",", ".")
    return token.replace(",", ".") if _DECIMAL_COMMA.fullmatch(token) else token


@lru_cache(maxsize=1 << 16)
def _tokens(word: str) -> tuple[str, ...]:
    return tuple(split(word))


def _tidy(token: str) -> str:
    return plain_number(token) if token[0].isdigit() else _LINE_HYPHEN.sub("", token)


def _parts(token: str) -> list[str]:
    if not _HAS_UNSPACED.match(token):
        return [_tidy(token)]
    run = "".join(token.split())
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def _told(tokens: Collection[str]) -> str | None:
    """The language with most distinct function words among the tokens; a single one does not tell."""
    found = _languages_by_word()
    counts = Counter(language for token in found.keys() & set(tokens) for language in found[token])
    best = max(LANGUAGES, key=counts.__getitem__)
    return best if counts[best] > 1 else None


@cache
def _languages_by_word() -> dict[str, tuple[str, ...]]:
    # Single letters are as often variables, list marks or initials.
    words = {word for listed in STOP_WORDS.values() for word in listed if len(word) > 1}
    return {word: tuple(name for name in LANGUAGES if word in STOP_WORDS[name]) for word in words}


def _language_by_script(tokens: Collection[str]) -> str:
    for token in tokens:
        if token[0].isalpha() and not token.isascii():
            return _OF_SCRIPT.get(unicodedata.name(token[0], "").partition(" ")[0], "english")
    return "english"


class _Stems(dict[str, str]):
    """Case-folded word -> its stem by the language's Snowball stemmer, computed at first use.

    What is longer than any word is cut and not remembered.
    """

    LIMIT = 1 << 16
    LONGEST = 64

    def __init__(self, language: str) -> None:
        import Stemmer

        # PyStemmer holds the GIL while it works, so that threads may share a stemmer; the dictionary is its cache.
        self._stemmer: Any = Stemmer.Stemmer(language, 0)

    def __missing__(self, token: str) -> str:
        if len(token) > self.LONGEST:
            return token[: self.LONGEST]
        if len(self) >= self.LIMIT:
            self.clear()
        stem: str = self._stemmer.stemWord(token)
        self[token] = stem
        return stem


@cache
def _stems(language: str) -> _Stems:
    return _Stems(language)
