"""The answering model that needs nothing: it picks the passages that answer and quotes them.

No word of its answer is its own. A passage (sentence, list item, table row) scores by

    own      the share of the question's terms that it contains, each weighted by its rarity among the passages
    around   the same for what names it (the table's header and caption, the heading, the sentence before) and the file
             name, terms of its own left out
    alike    the similarity of its embedding to the question's, where a text encoder is at hand
    kind     whether it has what the question asks for: a number, a date, a name
    rank     1 for the best page, 1/2 for the second, 1/3 for the third ...

A short passage is quoted with what stands beside it: the answer is often in the next line or row. A sentence is said by
itself; what is beside it shows where it is cited. Headings, questions and passages that say nothing beyond the
question's own words are not chosen. The confidence is a logistic function of the best score; under `THRESHOLD` the
pages are said not to answer. Weights, function and threshold were chosen on questions about 44 documents;
docs/experiments-answers.md says how, and how weak the signal is.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePath

from folioscope.domain import Draft, DraftSegment, GivenPage, Quote, Turn, Words
from folioscope.ports import Analyzer, TextEncoder
from generation.sentences import Passage, ends, passages, read_on, text

MOST = 3
"""Passages in an answer."""

NEAR_BEST = 0.8
"""A further passage is taken when its score reaches this share of the best one's."""

QUOTED_WORDS = 60
"""A passage is quoted with the one after and the one before it where they have no more words together."""

ENCODED = 12
"""Passages whose embeddings are made: the best by the other parts. Twice as many found one answer in a hundred more."""

ENCODED_WORDS = 40
"""Of each, the first so many words."""

WEIGHTS = {"own": 1.0, "around": 0.5, "alike": 1.0, "kind": 0.3, "rank": 0.4}

LOGISTIC = {True: (3.45, -6.06), False: (3.9, -4.78)}
"""Slope and intercept from the best score to the confidence, with and without a text encoder."""

THRESHOLD = 0.15

Positions = tuple[int, ...]
"""Of words on a page."""

_DATE = re.compile(
    r"\b(?:1[5-9]|20)\d\d\b|\b(?:jan|feb|mar|apr|may|june?|july?|aug|sep|oct|nov|dec)[a-z]*\b|\b\d\d?[:/.]\d\d", re.I
)
_NUMBER = re.compile(
    r"(?<![\w.])(?!(?:19|20)\d\d\b)\d[\d.,]*(?!\w)|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen)\b",
    re.I,
)
_ASKS_DATE = re.compile(r"\bwhen\b|\b(?:what|which) (?:year|date|month|day)\b", re.I)
_ASKS_NUMBER = re.compile(
    r"\bhow (?:many|much|long|old|high|large|big|far)\b|\b(?:number|amount|percentage|percent|rate|ratio|value|cost"
    r"|price|expense|revenue|income|salary|fees?|temperature|phone|telephone)\b|%|\$",
    re.I,
)
_ASKS_LINK = re.compile(r"\b(?:web|website|site|link|url|address|online)\b", re.I)
_ASKS_NAME = re.compile(r"\bwho(?:m|se)?\b", re.I)
_NAME = re.compile(r"(?<=\s)[A-Z][\w.]+\s+[A-Z]\w+")


@dataclass(frozen=True, slots=True)
class Scored:
    """A passage of the ``page``-th given page, the parts of its score (0-1 each) and their weighted sum."""

    page: int
    passage: Passage
    parts: dict[str, float]
    score: float


class Extractive:
    """Implements `folioscope.ports.AnswerModel`. ``threshold``: of the confidence, 0-1."""

    name = "extractive"

    def __init__(self, analyzer: Analyzer, encoder: TextEncoder | None = None, threshold: float = THRESHOLD) -> None:
        self.analyzer = analyzer
        self.encoder = encoder
        self.threshold = threshold

    async def draft(
        self,
        question: str,
        pages: Sequence[GivenPage],
        history: Sequence[Turn] = (),  # noqa: ARG002
    ) -> AsyncIterator[str | DraftSegment | Draft]:
        """As `choose`, told piece by piece. ``history`` is of no use to it: it only compares words."""
        drafted = await asyncio.to_thread(self.choose, question, pages)
        for number, segment in enumerate(drafted.segments):
            yield f" {segment.text}" if number else segment.text
            yield segment
        yield drafted

    async def standing(self, question: str, history: Sequence[Turn]) -> str | None:  # noqa: ARG002
        """None: it can't rewrite."""
        return None

    def choose(self, question: str, pages: Sequence[GivenPage]) -> Draft:
        """One to three passages, best first; none when too little speaks for the best."""
        ranked = self.rank(question, pages)
        if not ranked:
            return Draft((), confidence=0.0)
        sure = confidence(ranked[0])
        if sure < self.threshold:
            return Draft((), confidence=sure)
        chosen = [found for found in ranked[:MOST] if found.score >= NEAR_BEST * ranked[0].score]
        asked = set(self.analyzer.terms(question))
        quoted = _with_neighbours(chosen, pages)
        segments = (
            self._segment(found, runs, pages[found.page], asked) for found, runs in zip(chosen, quoted, strict=True)
        )
        return Draft(tuple(segments), confidence=sure)

    def rank(self, question: str, pages: Sequence[GivenPage]) -> list[Scored]:
        """All passages of the pages that share a term with the question, best first; no text twice."""
        asked = dict.fromkeys(self.analyzer.terms(question))
        found = _without_running_heads([(i, p) for i, page in enumerate(pages) for p in passages(page.words)], pages)
        own = [set(self.analyzer.terms(text(pages[i].words, (*p.label, *p.words)))) for i, p in found]
        parts = self._parts(question, pages, found, own, _rarity(asked, own))
        scored = [
            Scored(i, passage, part, _weigh(part))
            for (i, passage), terms, part in zip(found, own, parts, strict=True)
            if part["own"] > 0 and terms - asked.keys() and not _is_aside(question, passage, pages[i])
        ]
        scored.sort(key=lambda one: -one.score)
        return self._with_similarity(question, pages, _distinct(scored, pages))

    def _parts(
        self,
        question: str,
        pages: Sequence[GivenPage],
        found: Sequence[tuple[int, Passage]],
        own: Sequence[set[str]],
        rarity: dict[str, float],
    ) -> list[dict[str, float]]:
        names = [set(self.analyzer.terms(re.sub(r"[_.-]", " ", PurePath(p.document.filename).stem))) for p in pages]
        out = []
        for n, ((i, passage), terms) in enumerate(zip(found, own, strict=True)):
            words = pages[i].words
            before = own[n - 1] if passage.kind == "sentence" and n and found[n - 1][0] == i else set()
            around = names[i] | before | set(self.analyzer.terms(text(words, passage.header + passage.context)))
            out.append(
                {
                    "own": sum(weight for term, weight in rarity.items() if term in terms),
                    "around": sum(weight for term, weight in rarity.items() if term in around - terms),
                    "kind": float(_has_what_is_asked(question, text(words, passage.words))),
                    "rank": 1 / (i + 1),
                }
            )
        return out

    def _with_similarity(self, question: str, pages: Sequence[GivenPage], ranked: list[Scored]) -> list[Scored]:
        """The best passages scored again with their embeddings; the others left out when there is an encoder."""
        if self.encoder is None or not ranked:
            return ranked
        ranked = ranked[:ENCODED]
        texts = [
            text(pages[one.page].words, (*one.passage.header, *one.passage.label, *one.passage.words)[:ENCODED_WORDS])
            for one in ranked
        ]
        vectors = self.encoder.encode_texts([question, *texts])
        out = []
        for one, alike in zip(ranked, (vectors[1:] @ vectors[0]).tolist(), strict=True):
            parts = {**one.parts, "alike": max(alike, 0.0)}
            out.append(Scored(one.page, one.passage, parts, _weigh(parts)))
        return sorted(out, key=lambda one: -one.score)

    def _segment(self, found: Scored, runs: Sequence[Positions], page: GivenPage, asked: set[str]) -> DraftSegment:
        """These words, after the label that names the passage and the header where the question speaks of a column."""
        runs, label, header = list(runs), found.passage.label, found.passage.header
        if label and not any(set(label) <= set(run) for run in runs):
            runs.insert(0, label)
        named = self.analyzer.terms(text(page.words, found.passage.words))
        if asked & set(self.analyzer.terms(text(page.words, header))) - set(named) and header not in runs:
            runs.insert(0, header)
        is_sentence = found.passage.kind == "sentence" and ends(page.words, found.passage)
        is_sentence &= not page.words.texts[found.passage.words[-1]].endswith((":", "："))  # what it announces follows
        if is_sentence:  # its own quote first, then a heading's beside it
            runs.sort(key=lambda run: found.passage.words[0] not in run)
        pieces = [text(page.words, piece) for run in runs for piece in read_on(page.words, run)]
        quoted = [piece for piece in pieces if any(map(str.isalnum, piece))]
        # A sentence answers by itself; what stands beside it is shown where it is cited.
        said = text(page.words, found.passage.words) if is_sentence else " | ".join(quoted)
        return DraftSegment(said, tuple(Quote(quote, found.page) for quote in quoted))


def _with_neighbours(chosen: Sequence[Scored], pages: Sequence[GivenPage]) -> list[list[Positions]]:
    """The words of each passage and of those beside it on its page, in pieces; none is quoted twice."""
    taken = {(one.page, one.passage.words) for one in chosen}
    out = []
    for one in chosen:
        there = passages(pages[one.page].words)
        place = there.index(one.passage)
        quoted = [one.passage]
        for beside in there[place + 1 : place + 2] + there[max(place - 1, 0) : place]:
            fits = sum(len(p.words) for p in (*quoted, beside)) <= QUOTED_WORDS
            if fits and _adjacent(one.passage, beside) and (one.page, beside.words) not in taken:
                taken.add((one.page, beside.words))
                quoted.append(beside)
        out.append(_joined(sorted(quoted, key=there.index), pages[one.page].words))
    return out


def _joined(quoted: Sequence[Passage], words: Words) -> list[Positions]:
    """Sentences that follow each other in one piece; each row, heading and caption by itself."""
    runs = [quoted[0].words]
    for before, here in pairwise(quoted):
        if before.kind == here.kind == "sentence" and _read_as_one(before, here, words):
            runs[-1] += here.words
        else:
            runs.append(here.words)
    return runs


def _read_as_one(before: Passage, here: Passage, words: Words) -> bool:
    """Whether both are of one paragraph, or both end as sentences do, in files that make each line a block."""
    return words.blocks[before.words[-1]] == words.blocks[here.words[0]] or (ends(words, before) and ends(words, here))


def _adjacent(one: Passage, other: Passage) -> bool:
    """Whether nothing stands between two passages that follow each other: rows of a table, or text that is read on."""
    if "row" in (one.kind, other.kind):
        return one.kind == other.kind
    return one.words[-1] + 1 == other.words[0] or other.words[-1] + 1 == one.words[0]


def confidence(best: Scored) -> float:
    """0-1: the chance, as fitted, that an answer that begins with this passage quotes what was asked for."""
    slope, intercept = LOGISTIC["alike" in best.parts]
    return 1 / (1 + math.exp(-(slope * best.score + intercept)))


def _without_running_heads(
    found: Sequence[tuple[int, Passage]], pages: Sequence[GivenPage]
) -> list[tuple[int, Passage]]:
    """Without what stands, page numbers aside, on two pages of a document: running heads and feet."""
    texts = [
        (pages[i].document.id, re.sub(r"\d+", "", text(pages[i].words, p.label + p.words)).strip()) for i, p in found
    ]
    on = Counter(name for _, name in {(i, name) for (i, _), name in zip(found, texts, strict=True)})
    return [one for one, name in zip(found, texts, strict=True) if on[name] == 1 or one[1].kind == "row"]


def _rarity(asked: Iterable[str], own: Sequence[set[str]]) -> dict[str, float]:
    """The weight of each of the question's terms, by how few passages have it; together 1."""
    count = {term: sum(term in terms for terms in own) for term in asked}
    weights = {term: math.log(1 + (len(own) - n + 0.5) / (n + 0.5)) for term, n in count.items()}
    total = sum(weights.values()) or 1.0
    return {term: weight / total for term, weight in weights.items()}


def _weigh(parts: dict[str, float]) -> float:
    return sum(WEIGHTS[name] * value for name, value in parts.items())


def _distinct(scored: Sequence[Scored], pages: Sequence[GivenPage]) -> list[Scored]:
    """The first of each text."""
    seen: dict[str, Scored] = {}
    for one in scored:
        seen.setdefault(text(pages[one.page].words, one.passage.label + one.passage.words).casefold(), one)
    return list(seen.values())


def _is_aside(question: str, passage: Passage, page: GivenPage) -> bool:
    """A heading, a question, or an entry of a list of sources (unless addresses on the web are asked for)."""
    said = text(page.words, passage.words)
    link = "://" in said and not _ASKS_LINK.search(question)
    return passage.kind == "heading" or said.endswith(("?", "？", "؟")) or link


def _has_what_is_asked(question: str, passage: str) -> bool:
    """Whether the passage has a date, a number or a name where the question (in English) asks for one."""
    if _ASKS_DATE.search(question):
        return bool(set(_DATE.findall(passage)) - set(_DATE.findall(question)))
    if _ASKS_NUMBER.search(question):
        return bool(set(_NUMBER.findall(passage)) - set(_NUMBER.findall(question)))
    if _ASKS_NAME.search(question):
        return bool(_NAME.search(passage))
    return False
